"""Draws that are handed a generator instead of taking torch's process-wide one."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.overrides import TorchFunctionMode

from skmixup.randomness.turns import WINDOWS


def _takes_generator(call: Callable[..., Any]) -> bool:
    """Whether a call accepts ``generator=``; in older versions of torch not all that draw do."""
    try:
        call(generator=Generator())
    except TypeError:
        return False
    return True


_ONE = torch.zeros(1)
_SINCE_SOME_VERSION = {
    torch.rand_like: partial(torch.rand_like, _ONE),
    torch.randn_like: partial(torch.randn_like, _ONE),
    torch.randint_like: partial(torch.randint_like, _ONE, 2),
    nn.init.uniform_: partial(nn.init.uniform_, _ONE),
    nn.init.normal_: partial(nn.init.normal_, _ONE),
    nn.init.kaiming_uniform_: partial(nn.init.kaiming_uniform_, _ONE.view(1, 1)),
    nn.init.kaiming_normal_: partial(nn.init.kaiming_normal_, _ONE.view(1, 1)),
    nn.init.orthogonal_: partial(nn.init.orthogonal_, _ONE.view(1, 1)),
}
_KNOW = {function for function, call in _SINCE_SOME_VERSION.items() if _takes_generator(call)}

_WITH_GENERATOR = {
    *_KNOW,
    *(getattr(torch, name) for name in ("rand", "randn", "randint", "randperm")),
    *(getattr(torch, name) for name in ("normal", "bernoulli", "multinomial", "poisson")),
    *(getattr(torch, name) for name in ("binomial", "_standard_gamma", "_sample_dirichlet")),
    *(getattr(Tensor, name) for name in ("bernoulli", "multinomial", "bernoulli_", "cauchy_")),
    *(getattr(Tensor, name) for name in ("exponential_", "geometric_", "log_normal_", "normal_")),
    *(getattr(Tensor, name) for name in ("random_", "uniform_")),
}

_WITHOUT_GENERATOR = {
    *(_SINCE_SOME_VERSION.keys() - _KNOW),
    *(getattr(torch, name) for name in ("alpha_dropout", "alpha_dropout_", "dropout_")),
    *(getattr(torch, name) for name in ("feature_dropout", "feature_dropout_")),
    *(getattr(torch, name) for name in ("feature_alpha_dropout", "feature_alpha_dropout_")),
    *(getattr(torch, name) for name in ("native_dropout", "rrelu", "rrelu_")),
    *(getattr(torch, name) for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")),
    *(getattr(torch, name) for name in ("svd_lowrank", "pca_lowrank")),
    *(getattr(F, name) for name in ("dropout1d", "dropout2d", "dropout3d", "alpha_dropout")),
    *(getattr(F, name) for name in ("feature_alpha_dropout", "rrelu", "gumbel_softmax")),
    *(getattr(F, name) for name in ("fractional_max_pool2d", "fractional_max_pool3d")),
    F.fractional_max_pool2d_with_indices,
    F.fractional_max_pool3d_with_indices,
    F.multi_head_attention_forward,
    F.scaled_dot_product_attention,
}


class ExplicitGenerator(TorchFunctionMode):
    """Hands `generator` to whatever draws random numbers in this thread.

    Functions that take no generator are called when it is this thread's turn to use the
    process-wide one.

    Parameters
    ----------
    generator : torch.Generator
    for_one_call : callable
        Returns the context in which the process-wide generator has the state of `generator`.
    """

    def __init__(
        self, generator: Generator, for_one_call: Callable[[], AbstractContextManager[Any]]
    ):
        super().__init__()
        self.generator = generator
        self.for_one_call = for_one_call

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call `func`, with a generator where it draws."""
        kwargs = kwargs or {}
        mine = WINDOWS.stack and WINDOWS.stack[-1] is self
        if mine and func in _WITH_GENERATOR:
            given = kwargs.get("generator") or any(isinstance(a, Generator) for a in args)
            if not given and _on_cpu(args, kwargs):
                kwargs = {**kwargs, "generator": self.generator}
        elif mine and func in (F.dropout, torch.dropout):
            return _dropout(func, self.generator, *args, **kwargs)
        elif mine and func in _WITHOUT_GENERATOR:
            with self.for_one_call():
                return func(*args, **kwargs)
        return func(*args, **kwargs)


def _on_cpu(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    devices = [a.device for a in args if isinstance(a, Tensor)]
    if kwargs.get("device") is not None:
        devices.append(torch.device(kwargs["device"]))
    return all(device.type == "cpu" for device in devices)


def _dropout(
    func: Any,
    generator: Generator,
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    **kwargs: Any,
) -> Tensor:
    """Return what ``func`` would: the same numbers drawn in the same order.

    ``torch.dropout`` calls its third argument `train`.
    """
    training = kwargs.pop("train", training)
    if not training or not 0 < p < 1 or input.numel() == 0 or input.device.type != "cpu":
        return func(input, p, training, **({"inplace": inplace} if func is F.dropout else {}))
    noise = torch.empty_like(input).bernoulli_(1 - p, generator=generator).div_(1 - p)
    return input.mul_(noise) if inplace else input * noise

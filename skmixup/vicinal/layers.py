"""Mixing at one layer of a module during a forward pass."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointError

from skmixup.vicinal.blocks import INPUT, is_wrapped_by_compiler, layer_at, unwrap
from skmixup.vicinal.recomputation import (
    GradientsPending,
    check_compiled,
    check_recomputable,
    in_backward,
)


def sole_output(output: Any) -> Any:
    """Return what a layer returned; of a tuple of one, as in transformers' blocks, that one."""
    return output[0] if isinstance(output, tuple) and len(output) == 1 else output


class MixingHook:
    """Forward hook that mixes the output of its layer once, after `mix` has been set.

    Attributes
    ----------
    mix : callable or None
        What the next call of the layer applies to its output; None: nothing.
    detach : bool
        Whether the mixed tensor is cut off from what it was computed from.
    mixed : Tensor or None
        The mixed tensor, from the call on.
    """

    def __init__(self, site: str):
        self.site = site
        self.mix: Callable[[Tensor], Tensor] | None = None
        self.detach = False
        self.mixed: Tensor | None = None

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        mix = self.mix
        if mix is None:
            return None
        self.mix = None  # the first call only
        if not torch.is_grad_enabled():
            check_compiled(self.site)
        return self.mixed_output(mix, output)

    def mixed_output(self, mix: Callable[[Tensor], Tensor], output: Any) -> Any:
        """Mix `output`, a tensor or a tuple of nothing but one."""
        value = sole_output(output)
        check_mixable(value, f"the output of layer {self.site!r}")
        mixed = mix(value)
        if self.detach:
            mixed = mixed.detach()
        self.mixed = mixed
        return mixed if value is output else (mixed,)


class RecomputedHook(MixingHook):
    """Mixing hook that mixes again when activation checkpointing recomputes its layer.

    Otherwise the gradients of the checkpoint would be those of unmixed rows.

    Parameters
    ----------
    site : str
    until : GradientsPending or None
        The gradients to come; None: the hook will be gone when they are computed.
    """

    def __init__(self, site: str, until: GradientsPending | None):
        super().__init__(site)
        self.until = until
        self.n_calls = 0
        self.again: Callable[[Tensor], Tensor] | None = None

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        if in_backward():
            if self.again is None:
                return None
            if self.until is not None:
                self.until.check_one_call(self.site, self.n_calls)
            mixed = self.mixed
            try:
                return self.mixed_output(self.again, output)
            finally:
                self.mixed = mixed
        self.n_calls += 1
        mix = self.mix
        if mix is None:
            return None
        self.mix, self.again = None, mix
        if not torch.is_grad_enabled():
            check_recomputable(self.site, self.until)
        return self.mixed_output(mix, output)


def prepare_for_compilation(module: nn.Module, sites: Sequence[str]) -> None:
    """Give the layers at `sites` hooks that stay, since compiled code runs no later ones.

    ``torch.compile`` traces the hooks that a module has when it is first called. These read what
    they are to do from their attributes, which are inputs of the compiled code.
    """
    for site in sites:
        if site != INPUT:
            layer_at(module, site).register_forward_hook(MixingHook(site))


def standing_hook(module: nn.Module, site: str) -> MixingHook:
    """Return the hook that a layer got before its module was compiled."""
    for hook in layer_at(unwrap(module), site)._forward_hooks.values():
        if isinstance(hook, MixingHook):
            return hook
    raise RuntimeError(
        f"layer {site!r} was not among `layers` when the module was compiled, so it cannot be "
        "mixed at; fit again from the start, or use compile=False"
    )


@contextmanager
def mixing_at(
    module: nn.Module,
    site: str,
    mix: Callable[[Tensor], Tensor],
    *,
    detach: bool = False,
    until: GradientsPending | None = None,
) -> Iterator[MixingHook]:
    """Apply `mix` to the output of one submodule, at its first call inside the context.

    Parameters
    ----------
    module : nn.Module
    site : str
        Name of a submodule, as in ``named_modules()``.
    mix : callable
        Takes and returns a tensor of the same shape.
    detach : bool, default=False
        Let no gradient flow through the mixed tensor.
    until : GradientsPending, optional
        Mix in recomputations too, until this ends.

    Yields
    ------
    MixingHook
        Its ``mixed`` is the mixed tensor, once the submodule has been called.

    Raises
    ------
    TypeError
        If the submodule returns anything but one floating-point tensor.
    RuntimeError
        If the forward pass did not call the submodule: labels would be mixed and inputs not.
    """
    compiled = is_wrapped_by_compiler(module)
    hook = standing_hook(module, site) if compiled else RecomputedHook(site, until)
    hook.mix, hook.detach, hook.mixed = mix, detach, None
    handle = None if compiled else layer_at(unwrap(module), site).register_forward_hook(hook)
    if handle is not None and until is not None:  # now, as an interrupt may skip the end below
        until.handles.append(handle)
    try:
        yield hook
        called = hook.mix is None
    finally:
        hook.mix = None
        if handle is not None and until is None:
            handle.remove()
    if not called:
        raise _not_called_in_compiled_code(site) if compiled else not_called(site)


def _not_called_in_compiled_code(site: str) -> RuntimeError:
    return RuntimeError(
        f"layer {site!r} was drawn for mixing but the compiled code did not call it with "
        "its hook. torch may have used code that it compiled for another fit of the same module, "
        "with other `layers`: call torch.compiler.reset() before fit, or use compile=False"
    )


def not_called(site: str) -> RuntimeError:
    """Return the error for a layer that no forward pass calls."""
    return RuntimeError(
        f"layer {site!r} was drawn for mixing but the module's forward did not call it; "
        "leave it out of `layers`"
    )


def check_mixable(value: Any, what: str) -> None:
    """Raise TypeError unless `value` is a tensor whose averages make sense."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{what} is a {type(value).__name__}, not a tensor, and cannot be mixed; "
            "choose a layer that returns one tensor"
        )
    if value.is_complex():
        raise TypeError(f"{what} has dtype {value.dtype}; only real numbers are mixed")
    if not value.is_floating_point():
        raise TypeError(
            f"{what} has dtype {value.dtype}: integer codes cannot be averaged. Mix after the "
            "embedding instead, with ManifoldMixup and `layers` that leave the input out; "
            "quantities are mixed if they come as floating numbers"
        )


def backward(loss: Tensor, mixed: Tensor | None, block_gradient: str | None) -> None:
    """Compute gradients of the parameters that `block_gradient` lets learn; frozen ones get none.

    Parameters
    ----------
    loss : Tensor of shape ()
    mixed : Tensor or None
        What was mixed at a hidden layer; None: nothing was.
    block_gradient : {None, "below", "above"}
        With "below", `mixed` was cut off from what it was computed from already.
    """
    if block_gradient == "above":
        backward_below(loss, mixed)
    elif block_gradient is None or loss.requires_grad:
        try:
            loss.backward()
        except CheckpointError as error:
            if mixed is None:
                raise
            raise RuntimeError(
                "an activation checkpoint ran its layers again without the mixing, which compiled "
                "code does only once; use compile=False, or leave the layers inside the "
                "checkpoint out of `layers`"
            ) from error


def backward_below(loss: Tensor, mixed: Tensor | None) -> None:
    """Gradients for the parameters that `mixed` was computed from, and for no other.

    Going through dL/d(mixed) gives a parameter that is used on both sides only the share that
    comes from below.
    """
    if mixed is None:
        loss.backward()
    elif mixed.requires_grad:
        (gradient,) = torch.autograd.grad(loss, mixed)
        mixed.backward(gradient)

"""Optimizers of torch, called without what only a profiler needs."""

import inspect
from collections.abc import Collection
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, SGD, Adagrad, AdamW, Optimizer

# Hooks of all optimizers; torch has public functions to add to them and none to look.
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

_FUSED_ON_CPU = (Adagrad,)  # and on no GPU, where torch refuses to step

# SGD's kernel fails where some parameters have a momentum and others, frozen so far, have none.
_NEVER_FUSED = (SGD,)


def has_fused_kernel(
    kind: Any, device: torch.device, parameters: list[Tensor], options: Collection[str]
) -> bool:
    """Whether an optimizer can step with one kernel for all parameters, and nobody chose another.

    Parameters
    ----------
    kind : class of optimizer, or partial of one
    device : torch.device
    parameters : list of Tensor
    options : collection of str
        Names of the arguments that the user gives.
    """
    while isinstance(kind, partial):
        kind, options = kind.func, {*options, *kind.keywords}
    return (
        not {"fused", "foreach", "capturable", "differentiable"}.intersection(options)
        and bool(parameters)
        and device.type in ("cpu", "cuda")
        and "fused" in inspect.signature(kind).parameters
        and not (device.type == "cuda" and kind in _FUSED_ON_CPU)
        and not (isinstance(kind, type) and issubclass(kind, _NEVER_FUSED))
        and all(p.is_floating_point() for p in parameters)
    )


def has_sparse_gradients(module: Any) -> bool:
    """Whether a module has embeddings whose gradients are sparse, which no fused kernel takes."""
    kinds = (nn.Embedding, nn.EmbeddingBag)
    parts = module.modules() if isinstance(module, nn.Module) else ()
    return any(isinstance(part, kinds) and part.sparse for part in parts)


def drop_gradients(optimizer: Any) -> bool:
    """Do what torch's ``zero_grad`` does, without what its profiling costs.

    On a small network that is a twelfth of a step. Nothing is done, and False returned, where
    ``zero_grad`` is not torch's.
    """
    if getattr(optimizer.zero_grad, "__func__", None) is not Optimizer.zero_grad:
        return False
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
    return True


def complete_copy(optimizer: Any) -> None:
    """Give a copy of LBFGS the parameters that it also keeps by themselves; torch forgets them.

    Anything else stays as it is.
    """
    if isinstance(optimizer, LBFGS) and "_params" not in vars(optimizer):
        optimizer._params = optimizer.param_groups[0]["params"]
        optimizer._numel_cache = None


def plain_step(optimizer: Any) -> Any:
    """Return the `step` of an optimizer, without torch's wrapper where that has nothing to do.

    The wrapper tells a profiler that is running, and calls hooks. On a small network it takes a
    twentieth of a training step.
    """
    if (
        not isinstance(optimizer, Optimizer)
        or "step" in vars(optimizer)  # a scheduler of torch's counts the calls
        or torch.autograd._profiler_enabled()
        or optimizer._optimizer_step_pre_hooks
        or optimizer._optimizer_step_post_hooks
        or _global_optimizer_pre_hooks
        or _global_optimizer_post_hooks
    ):
        return optimizer.step
    function: Any = type(optimizer).step
    if not _is_wrapped(function):
        return optimizer.step
    step = MethodType(function.__wrapped__, optimizer)
    return partial(_step_at_once, optimizer, step) if type(optimizer) is AdamW else step


def _is_wrapped(function: Any) -> bool:
    return getattr(function, "hooked", False) and hasattr(function, "__wrapped__")


def _step_at_once(optimizer: AdamW, step: Any, closure: Any = None) -> Any:
    """A step of AdamW: its fused kernel, where nothing else is to be done; else `step`, torch's.

    What torch does around the kernel takes two thirds of the time of a step on a small network.
    """
    loss = None
    if closure is not None:
        with torch.enable_grad():
            loss = closure()
    groups = [(group, _kernel_tensors(optimizer, group)) for group in optimizer.param_groups]
    if any(tensors is None for _, tensors in groups):
        step()
        return loss
    with torch.no_grad():
        for group, (parameters, gradients, means, squares, counts) in groups:  # type: ignore[misc]
            if not parameters:
                continue
            beta1, beta2 = group["betas"]
            torch._foreach_add_(counts, 1)
            torch._fused_adamw_(
                parameters,
                gradients,
                means,
                squares,
                [],
                counts,
                amsgrad=False,
                lr=group["lr"],
                beta1=beta1,
                beta2=beta2,
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                maximize=group["maximize"],
            )
    return loss


def _kernel_tensors(optimizer: AdamW, group: dict[str, Any]) -> tuple[list[Tensor], ...] | None:
    """Parameters with a gradient, gradients, both moments and numbers of steps, of one group.

    None where the kernel needs more, or does not know the tensors: the first step of a parameter,
    other devices and types, rates and scales that are tensors.
    """
    if (
        not group["fused"]
        or group["amsgrad"]
        or group["capturable"]
        or group["differentiable"]
        or not all(isinstance(value, float) for value in (group["lr"], *group["betas"]))
        or getattr(optimizer, "grad_scale", None) is not None
        or getattr(optimizer, "found_inf", None) is not None
    ):
        return None
    found: tuple[list[Tensor], ...] = ([], [], [], [], [])
    parameters, gradients, means, squares, counts = found
    for parameter in group["params"]:
        gradient = parameter.grad
        if gradient is None:
            continue
        state = optimizer.state.get(parameter)
        known = parameter.is_cpu and parameter.dtype is torch.float32
        if not state or not known or gradient.layout is not torch.strided:
            return None
        parameters.append(parameter)
        gradients.append(gradient)
        means.append(state["exp_avg"])
        squares.append(state["exp_avg_sq"])
        counts.append(state["step"])
    return found

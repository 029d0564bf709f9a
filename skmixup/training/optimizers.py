"""Optimizers of torch, called without what only a profiler needs."""

import inspect
from collections.abc import Collection
from types import MethodType
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

# Hooks of all optimizers; torch has public functions to add to them and none to look.
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks


def has_fused_kernel(
    kind: Any, device: torch.device, parameters: list[Tensor], options: Collection[str]
) -> bool:
    """Whether an optimizer can step with one kernel for all parameters, and nobody chose another.

    Parameters
    ----------
    kind : class of optimizer
    device : torch.device
    parameters : list of Tensor
    options : collection of str
        Names of the arguments that the user gives.
    """
    return (
        not {"fused", "foreach", "capturable", "differentiable"}.intersection(options)
        and bool(parameters)
        and device.type in ("cpu", "cuda")
        and "fused" in inspect.signature(kind).parameters
        and all(p.is_floating_point() for p in parameters)
    )


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
    return MethodType(function.__wrapped__, optimizer) if _is_wrapped(function) else optimizer.step


def _is_wrapped(function: Any) -> bool:
    return getattr(function, "hooked", False) and hasattr(function, "__wrapped__")

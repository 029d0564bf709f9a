"""Optimizers of torch, called without what only a profiler needs."""

from types import MethodType
from typing import Any

import torch
from torch.optim import Optimizer

# Hooks of all optimizers; torch has public functions to add to them and none to look.
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks


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

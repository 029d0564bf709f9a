"""Activation checkpointing: forward passes that are run again while gradients are computed."""

import inspect
from typing import Any

import torch
from torch.autograd.function import FunctionCtx
from torch.utils.hooks import RemovableHandle


class GradientsPending:
    """The stretch of an optimizer step from its forward pass until its gradients are there.

    ``torch.utils.checkpoint`` runs layers a second time while gradients are computed. Until then
    the hooks that mix have to stay.

    Attributes
    ----------
    block_gradient : {None, "below", "above"}
        What was drawn for the step.
    handles : list
        Of the hooks to remove at the end.
    n_forwards : int
        Forward passes so far.
    """

    def __init__(self) -> None:
        self.block_gradient: str | None = None
        self.handles: list[RemovableHandle] = []
        self.n_forwards = 0

    def end(self) -> None:
        """Remove the hooks."""
        for handle in self.handles:
            handle.remove()

    def check_one_call(self, site: str, n_calls: int) -> None:
        """Raise RuntimeError for several calls: it cannot be told which of them is run again."""
        if n_calls > 1 or self.n_forwards > 1:
            raise RuntimeError(
                f"layer {site!r} is called several times in a training step, in an activation "
                "checkpoint (torch.utils.checkpoint), where the call that is mixed cannot be told "
                "from the others; leave it out of `layers`, or do without the checkpoint"
            )


def in_backward() -> bool:
    """Whether gradients are being computed, so that a forward call is a recomputation."""
    return torch._C._current_graph_task_id() >= 0


def check_recomputable(site: str, pending: GradientsPending | None) -> None:
    """Raise RuntimeError for a call without gradients that would be recomputed unmixed."""
    blocked = None if pending is None else pending.block_gradient
    if pending is not None and blocked is None:
        return  # the recomputation is mixed as this call is
    if not _in_autograd_function():
        return  # torch.no_grad: a frozen part, which is not computed again
    how = f"with block_gradient={blocked!r}" if blocked else "outside of a training step"
    raise RuntimeError(
        f"layer {site!r} is inside a reentrant activation checkpoint, where gradients of mixed "
        f"rows cannot be had {how}; use torch.utils.checkpoint.checkpoint(…, use_reentrant=False)"
    )


def check_compiled(site: str) -> None:
    """Raise RuntimeError for a call in compiled code that would be recomputed unmixed."""
    if _in_autograd_function():
        raise RuntimeError(
            f"layer {site!r} is inside an activation checkpoint of a compiled module, whose code "
            "mixes only once; use compile=False, or leave the layer out of `layers`"
        )


def _in_autograd_function() -> bool:
    """Whether some caller is the forward of an autograd function, as a reentrant checkpoint is."""
    frame: Any = inspect.currentframe()
    while frame is not None:
        names = frame.f_code.co_varnames[:1] if frame.f_code.co_argcount else ()
        if any(isinstance(frame.f_locals.get(name), FunctionCtx) for name in names):
            return True
        frame = frame.f_back
    return False

"""Callbacks that watch a score: whether somebody computes that score, checked before training."""

from types import FunctionType
from typing import Any

from skorch.callbacks import (
    BatchScoring,
    EpochScoring,
    EpochTimer,
    LRScheduler,
    PassthroughScoring,
)

# What skorch's loop itself writes into each epoch of the history.
_WRITTEN = ("epoch", "batches", "train_batch_count")


def check_callbacks(callbacks: Any) -> None:
    """Raise TypeError unless the parameter `callbacks` lists callbacks, with or without names."""
    for item in callbacks if isinstance(callbacks, list) else ():
        callback = item[1] if isinstance(item, tuple) and len(item) == 2 else item
        if callback is not None and not hasattr(callback, "on_train_begin"):
            raise TypeError(
                "callbacks must be a list of skorch.callbacks.Callback or of pairs "
                f"(name, callback); got {item!r}"
            )


def check_monitors(callbacks: list[tuple[str, Any]], *, held_out: bool, open_ended: bool) -> None:
    """Raise ValueError for a callback that watches a score that nobody computes.

    Parameters
    ----------
    callbacks : list of (name, Callback)
        In the order in which they are called.
    held_out : bool
        Whether rows are held out, on which scores such as valid_loss are computed.
    open_ended : bool
        Whether the net itself may write more into the history than skorch's does.
    """
    known: set[str] = set(_WRITTEN)
    absent: set[str] = set()  # scores of rows held out, where no row is held out
    for name, callback in callbacks:
        if callback is None:
            continue
        watched = _watched(callback)
        if watched is None:
            pass
        elif watched in absent and not any(_mentions(other, watched) for _, other in callbacks):
            raise ValueError(
                f"the callback {name} watches {watched!r}, a score of rows held out, but "
                "train_split=None holds out none: pass train_split=0.2 for a fifth of the "
                "rows, or watch another score, such as 'train_loss'"
            )
        elif watched not in known | absent and not open_ended:
            scores = sorted(known - {"batches"})
            raise ValueError(
                f"the callback {name} watches {watched!r}, which no callback before it scores; "
                f"there are {', '.join(scores)}"
            )
        open_ended = open_ended or not type(callback).__module__.startswith("skorch.")
        written = _written_by(callback)
        if getattr(callback, "on_train", True) or held_out:
            known |= written
        else:
            absent |= written


def _watched(callback: Any) -> str | None:
    """Return the score that a callback of skorch's looks up after each epoch, or None."""
    monitor = getattr(callback, "monitor", None)
    method = getattr(getattr(type(callback), "on_epoch_end", None), "__module__", "")
    if not isinstance(monitor, str) or not method.startswith("skorch.callbacks"):
        return None
    if isinstance(callback, LRScheduler):
        plateau = getattr(callback.policy, "__name__", callback.policy) == "ReduceLROnPlateau"
        return monitor if plateau and callback.step_every == "epoch" else None
    return monitor


def _bases(callback: Any) -> list[type]:
    """Classes of a callback, without object and Callback."""
    return [base for base in type(callback).__mro__ if base.__name__ not in ("object", "Callback")]


def _written_by(callback: Any) -> set[str]:
    written = {"dur"} if isinstance(callback, EpochTimer) else set()
    if isinstance(event := getattr(callback, "event_name", None), str):
        written.add(event)
    if isinstance(callback, (EpochScoring, BatchScoring, PassthroughScoring)):
        name = getattr(callback, "name_", None) or callback.name
        written.add(name)
        if callback.lower_is_better is not None:
            written.add(f"{name}_best")
    return written


def _mentions(callback: Any, key: str) -> bool:
    """Whether a callback of the user's may compute `key` itself: its code holds that string."""
    return any(
        key in function.__code__.co_consts
        for base in _bases(callback)
        if not base.__module__.startswith("skorch.")
        for function in vars(base).values()
        if isinstance(function, FunctionType)
    )

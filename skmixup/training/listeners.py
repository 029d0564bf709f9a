"""Who listens to what happens in every minibatch; telling all the others would cost more."""

from typing import Any

from skorch.callbacks import Callback, EpochScoring

EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


def listeners_of(net: Any, base: type) -> dict[str, list[Any]]:
    """Return for each event of a minibatch the methods, of `net` and its callbacks, to call.

    Those that a net has from `base`, and a callback from skorch's Callback, do nothing.
    """
    everybody = (net, *(callback for _, callback in net.callbacks_))
    return {
        event: [getattr(who, event) for who in everybody if _listens(who, event, base)]
        for event in EVENTS
    }


def _listens(listener: Any, event: str, base: type) -> bool:
    method = getattr(listener, event)
    inherited = (getattr(Callback, event), getattr(base, event))
    return getattr(method, "__func__", method) not in inherited


def is_idle(listener: Any, training: bool) -> bool:
    """Whether it is a score's that looks at the other kind of rows only."""
    score = getattr(listener, "__self__", None)
    if not isinstance(score, EpochScoring):
        return False
    inherited = type(score).on_batch_end is EpochScoring.on_batch_end
    return inherited and bool(score.on_train) != training

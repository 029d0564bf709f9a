"""What callbacks see of training: the module's output for the rows before they are mixed."""

from collections.abc import Iterable
from typing import Any

from skorch.callbacks import BatchScoring, EpochScoring

# skorch's callbacks that compute a score from predictions kept in training
_SCORING = (EpochScoring, BatchScoring)


def look_at_outputs(net: Any, listeners: Iterable[Any]) -> bool:
    """Whether one of those that are told of a minibatch's end looks at `y_pred` in training.

    Parameters
    ----------
    net : NeuralNet
    listeners : iterable of bound methods
        ``on_batch_end`` of callbacks, or of the net itself. Of skorch's own callbacks those that
        score the training rows from cached predictions; of others it is taken for granted.
    """
    return any(_looks(net, listener) for listener in listeners)


def _looks(net: Any, listener: Any) -> bool:
    owner = getattr(listener, "__self__", None)
    if isinstance(owner, _SCORING):
        cached = owner.use_caching if net.use_caching == "auto" else net.use_caching
        return bool(owner.on_train and cached)
    return not type(owner).__module__.startswith("skorch.")

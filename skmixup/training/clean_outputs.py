"""What callbacks see of training: the module's output for the rows before they are mixed."""

from collections.abc import Iterable
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import BatchScoring, EpochScoring

from skmixup.training.own_loss import is_users

# skorch's callbacks that compute a score from predictions kept in training
_SCORING = (EpochScoring, BatchScoring)

# Methods of skorch's that get or return the module's output of a step.
_STEPS = ("train_step", "train_step_single", "get_train_step_accumulator", "run_single_epoch")


def hands_on_outputs(net: Any) -> bool:
    """Whether a method of the user's own has the module's output of a step in its hands."""
    return any(
        name in net.__dict__
        or (is_users(net, name) and getattr(type(net), name) is not getattr(NeuralNet, name))
        for name in _STEPS
    )


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

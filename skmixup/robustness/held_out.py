"""The error on clean held-out rows after every epoch: the best epoch beside the last."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_regressor
from sklearn.utils.validation import check_consistent_length
from skorch.callbacks import Callback

from skmixup.labels import label_column, of_one_type
from skmixup.robustness.gradient import check_labels_of, same_randomness


class HeldOutError(Callback):
    """Record the error rate on given rows in the history after every epoch.

    With noisy training labels a network first learns the rule and then memorises the noise: the
    error on clean rows falls and rises again. The papers on label noise therefore report the
    error of the *best* and of the *last* epoch. skorch's own validation scores come from
    a part of the training rows, whose labels are noisy too.

    Works with every skorch classifier. Training is not affected: the same seed gives the same
    network with and without this callback.

    Parameters
    ----------
    X : array-like
        Rows kept out of ``fit``; whatever the net predicts on.
    y : array-like of shape (n_samples,)
        Their true labels.
    name : str, default="held_out_error"
        Key in the history. ``name + "_best"`` tells for each epoch whether it was the best so
        far; skorch's ``PrintLog`` colours these.

    Notes
    -----
    The best epoch's error is chosen by the rows it is measured on, so it is optimistic: compare
    methods by it, but do not promise it. The callback holds the rows, and so does a pickle of
    the net; fit with ``callbacks=None`` to leave them out.

    Examples
    --------
    >>> import torch
    >>> from skorch import NeuralNetClassifier
    >>> from sklearn.datasets import make_blobs
    >>> from skmixup.robustness import HeldOutError
    >>> X, y = make_blobs(200, centers=2, random_state=0)
    >>> X = X.astype("float32")
    >>> net = NeuralNetClassifier(
    ...     torch.nn.Linear, module__in_features=2, module__out_features=2,
    ...     criterion=torch.nn.CrossEntropyLoss, train_split=None, verbose=0, max_epochs=3,
    ...     callbacks=[HeldOutError(X[100:], y[100:])],
    ... )
    >>> error = net.fit(X[:100], y[:100]).history[:, "held_out_error"]
    >>> best, last = min(error), error[-1]
    """

    def __init__(self, X: Any, y: ArrayLike, name: str = "held_out_error") -> None:
        self.X = X
        self.y = y
        self.name = name

    def initialize(self) -> "HeldOutError":
        """Check the rows, before training starts."""
        check_consistent_length(self.X, label_column(self.y))
        return self

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Refuse a regressor, whose numbers are hardly ever right, and unknown labels."""
        if is_regressor(net):
            raise TypeError(
                f"HeldOutError counts wrong labels, and {type(net).__name__} predicts numbers; "
                "hold rows out by train_split, or score them with skorch.callbacks.EpochScoring"
            )
        check_labels_of(net, of_one_type(label_column(self.y)))

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Predict the rows and write their error rate into the history."""
        with same_randomness(net):
            predicted = net.predict(self.X)
        error = float(np.mean(predicted != label_column(self.y)))
        earlier = [row[self.name] for row in net.history[:-1] if self.name in row]
        net.history.record(self.name, error)
        net.history.record(f"{self.name}_best", error < min(earlier, default=np.inf))

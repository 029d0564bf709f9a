"""A classifier that is quick, and whose fits go as a test wants them to."""

import time

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin


class Toy(ClassifierMixin, BaseEstimator):
    """Logits fall with squared distances from class means, along the second axis β times as fast.

    The class counts its fits; ``interrupted`` and ``fails`` are numbers of fits, or of the values
    of ``beta``.
    """

    interrupted = ()
    fails = ()
    error = RuntimeError("cannot be fitted")
    seconds = 0.0
    slow = {}  # noqa: RUF012 seconds of some values of beta
    log = None  # of (beta, random_state, rows, sum of weights) of each fit

    def __init__(self, beta=1.0, random_state=None):
        self.beta = beta
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        log = type(self).log
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        log.append((self.beta, self.random_state, len(y), weight.sum()))
        time.sleep(self.slow.get(self.beta, self.seconds))
        if len(log) in self.interrupted:
            raise KeyboardInterrupt
        if len(log) in self.fails or self.beta in self.fails:
            raise self.error
        self.classes_ = np.unique(y)
        self.means_ = np.array(
            [np.average(X[y == c], axis=0, weights=weight[y == c]) for c in self.classes_]
        )
        return self

    def predict_proba(self, X):
        first, second = np.moveaxis((X[:, None] - self.means_) ** 2, 2, 0)[:2]
        return softmax(-(first + self.beta * second) / 4, axis=1)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def toy(**behaviour):
    """A toy whose class counts its own fits."""
    return type("Counted", (Toy,), {**behaviour, "log": []})()

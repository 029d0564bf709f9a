"""The rows of a fit: what they hold, what may be done with them in folds, what is predicted."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from skmixup.estimators.targets import Standardization

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rows(ABC):
    """All rows of a fit: inputs, what is to be predicted, and weights or None."""

    X: Any
    y: NDArray[Any]
    weight: Floats | None

    #: Whether scikit-learn splits them as rows of classes.
    of_classes: ClassVar[bool]

    @abstractmethod
    def check_number_of_folds(self, cv: Any) -> None:
        """Raise ValueError for rows that no folds can be made of."""

    @abstractmethod
    def check_training(self, train: Ints, fold: int, cv: Any) -> None:
        """Raise ValueError where a fold's rows to train on do not suffice."""

    @abstractmethod
    def predicted(self, estimator: Any, X: Any) -> Floats:
        """What a fitted estimator predicts; ValueError for what cannot be averaged."""


@dataclass(frozen=True)
class LabeledRows(Rows):
    """Rows with a class each; `codes` are positions of their labels in `classes`."""

    codes: Ints
    classes: NDArray[Any]

    of_classes = True

    def check_number_of_folds(self, cv: Any) -> None:
        """Raise ValueError for one class only, or a class with fewer rows than folds."""
        counts = np.bincount(self.codes, minlength=len(self.classes))
        labels = self.classes.tolist()
        if len(labels) < 2:
            raise ValueError(
                f"y has one class only, {labels}: a classifier needs rows of at least two classes"
            )
        if isinstance(cv, int | np.integer) and counts.min() < cv:
            n = int(counts.min())
            have, advice = ("row", "") if n == 1 else ("rows", f"use cv={n}, or ")
            raise ValueError(
                f"class {labels[counts.argmin()]!r} has {n} {have} in y, fewer than the cv={cv} "
                f"folds, each of which needs one: {advice}give more rows of this class"
            )

    def check_training(self, train: Ints, fold: int, cv: Any) -> None:
        """Raise ValueError for a class without a row to train on.

        Rows without weight are none, but for a class that has no others anywhere.
        """
        counts = np.ones(len(self.codes), dtype=bool) if self.weight is None else self.weight > 0
        weighted = np.setdiff1d(self.codes[counts], self.codes[train][counts[train]])
        absent = np.setdiff1d(np.arange(len(self.classes)), self.codes[train])
        missing = np.union1d(weighted, absent)
        if len(missing):
            raise ValueError(
                f"cv={cv!r} leaves fold {fold} without a row of the classes "
                f"{self.classes[missing].tolist()} to train on: fewer folds, or a splitter that "
                "is stratified, keep all classes in every fold"
            )

    def predicted(self, estimator: Any, X: Any) -> Floats:
        """Probabilities, one column for each class."""
        proba = np.asarray(estimator.predict_proba(X))
        found = getattr(estimator, "classes_", self.classes)
        if proba.shape[1:] != self.classes.shape or not np.array_equal(found, self.classes):
            raise ValueError(
                f"{type(estimator).__name__} predicts {proba.shape[1:]} columns for the classes "
                f"{np.asarray(found).tolist()}, but y has {self.classes.tolist()}"
            )
        return finite(proba, "probabilities", estimator)


@dataclass(frozen=True)
class IndicatorRows(Rows):
    """Rows with several labels each: `y` is a matrix (n, n_labels) of zeros and ones.

    `sparse` is the kind that y was given in, a name in :mod:`scipy.sparse`, or None.
    """

    classes: NDArray[Any]
    sparse: str | None

    of_classes = True

    def check_number_of_folds(self, cv: Any) -> None:
        """Nothing: a label may be on in no row."""

    def check_training(self, train: Ints, fold: int, cv: Any) -> None:
        """Raise ValueError for no row to train on."""
        if len(train) == 0:
            raise ValueError(f"cv={cv!r} leaves fold {fold} without a row to train on")

    def predicted(self, estimator: Any, X: Any) -> Floats:
        """Probabilities, one column for each label."""
        proba = np.asarray(label_probabilities(estimator, X))
        if proba.shape[1:] != self.y.shape[1:]:
            raise ValueError(
                f"{type(estimator).__name__} predicts probabilities of shape {proba.shape}, but y "
                f"has {self.y.shape[1]} labels per row"
            )
        return finite(proba, "probabilities", estimator)


@dataclass(frozen=True)
class NumericRows(Rows):
    """Rows with numbers to predict: `y` has the shape (n,) or (n, n_targets)."""

    of_classes = False

    def check_number_of_folds(self, cv: Any) -> None:
        """Raise ValueError for a target that is the same in all rows."""
        Standardization.of(self.y.reshape(len(self.y), -1))

    def check_training(self, train: Ints, fold: int, cv: Any) -> None:
        """Raise ValueError for a target that is the same in all rows to train on."""
        if len(train) == 0 or (np.ptp(self.y[train], axis=0) == 0).any():
            raise ValueError(
                f"cv={cv!r} leaves fold {fold} with targets to train on that are all the same: "
                "fewer folds, or a splitter that shuffles, such as KFold(5, shuffle=True)"
            )

    def predicted(self, estimator: Any, X: Any) -> Floats:
        """Numbers, in the shape of y."""
        given = np.asarray(estimator.predict(X))
        shape = (len(given), *self.y.shape[1:])
        if given.ndim == 0 or given.size != np.prod(shape):
            raise ValueError(
                f"{type(estimator).__name__} predicts numbers of shape {given.shape}, but y has "
                f"the shape {self.y.shape}"
            )
        return finite(given.reshape(shape), "numbers", estimator)


def label_probabilities(estimator: Any, X: Any) -> Any:
    """Probabilities of several labels as one matrix.

    Forests list off and on for each label; one of both, where the training rows had no other.
    """
    proba = estimator.predict_proba(X)
    if not isinstance(proba, list):
        return proba
    known = getattr(estimator, "classes_", [(0, 1)] * len(proba))
    columns = [
        np.asarray(of_label)[:, np.flatnonzero(np.asarray(classes) == 1)].sum(axis=1)
        for of_label, classes in zip(proba, known, strict=True)
    ]
    return np.column_stack(columns)


def finite(prediction: NDArray[Any], what: str, estimator: Any) -> Floats:
    """Return predictions as float64; ValueError for NaN and infinity."""
    if not np.isfinite(prediction).all():
        raise ValueError(f"{type(estimator).__name__} predicts {what} that are not finite")
    return prediction.astype(np.float64)

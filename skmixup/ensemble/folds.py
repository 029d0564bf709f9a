"""The folds of a fit, checked before anything is trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import check_cv

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """All rows of a fit: inputs, labels, positions of these in `classes`, and weights or None."""

    X: Any
    y: NDArray[Any]
    codes: Ints
    classes: NDArray[Any]
    weight: NDArray[np.float64] | None


@dataclass(frozen=True)
class Fold:
    """Rows to train on, and rows to predict."""

    train: Ints
    test: Ints


def make_folds(cv: Any, rows: Rows, params: Mapping[str, Any]) -> list[Fold]:
    """The folds of a splitter; each trains on every class.

    Parameters
    ----------
    cv : int, splitter or iterable of splits
        As scikit-learn takes it; an int means stratified folds.
    rows : Rows
    params : mapping
        More arguments of the splitter, such as groups.

    Raises
    ------
    ValueError
        For one class only, a class with fewer rows than folds, or one that is missing among the
        rows that a fold trains on. The message names class and fold.
    """
    codes, classes = rows.codes, rows.classes
    counts = np.bincount(codes, minlength=len(classes))
    if len(classes) < 2:
        raise ValueError(
            f"y has one class only, {classes.tolist()}: a classifier needs rows of at least two "
            "classes"
        )
    if isinstance(cv, int | np.integer) and counts.min() < cv:
        rare = classes[counts.argmin()]
        advice = f"use cv={counts.min()}, or" if counts.min() > 1 else "use"
        raise ValueError(
            f"class {rare!r} has {counts.min()} rows in y, fewer than the cv={cv} folds, each of "
            f"which needs one: {advice} give more rows of this class"
        )
    splitter = check_cv(cv, rows.y, classifier=True)
    folds = [Fold(*map(_positions, split)) for split in splitter.split(rows.X, rows.y, **params)]
    for number, fold in enumerate(folds):
        missing = np.setdiff1d(np.arange(len(classes)), codes[fold.train])
        if len(missing):
            raise ValueError(
                f"cv={cv!r} leaves fold {number} without a row of the classes "
                f"{classes[missing].tolist()} to train on: fewer folds, or a splitter that is "
                "stratified, keep all classes in every fold"
            )
        if len(fold.test) == 0:
            raise ValueError(f"cv={cv!r} leaves fold {number} without a row to predict")
    if not folds:
        raise ValueError(f"cv={cv!r} gives no folds")
    return folds


def _positions(rows: Any) -> Ints:
    """Rows as integers; a splitter of one's own may give masks."""
    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)

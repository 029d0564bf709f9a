"""The folds of a fit, checked before anything is trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import check_cv

from skmixup.ensemble.rows import Ints, Rows
from skmixup.estimators.inputs import group_column


@dataclass(frozen=True)
class Fold:
    """Rows to train on, and rows to predict."""

    train: Ints
    test: Ints


def make_folds(cv: Any, rows: Rows, params: Mapping[str, Any]) -> list[Fold]:
    """The folds of a splitter; each trains on every class, or on targets that differ.

    Parameters
    ----------
    cv : int, splitter or iterable of splits
        As scikit-learn takes it; an int means stratified folds where rows have classes.
    rows : Rows
    params : mapping
        More arguments of the splitter, such as groups.

    Raises
    ------
    ValueError
        For one class only, a class with fewer rows than folds, or one that is missing among the
        rows that a fold trains on; for targets that are all the same, there or altogether; for
        folds that are no rows; for groups that are missing, or have no order. The message names
        class or target, and fold, or the first row without a group.
    """
    rows.check_number_of_folds(cv)
    splitter = check_cv(cv, rows.y, classifier=rows.of_classes)
    n = len(rows.y)
    try:
        splits = list(splitter.split(rows.X, rows.y, **params))
    except (TypeError, ValueError):  # of groups that are missing or have no order?
        if params.get("groups") is not None:
            group_column(params["groups"])
        raise
    folds = [Fold(*(_positions(part, n, cv, k) for part in s)) for k, s in enumerate(splits)]
    for number, fold in enumerate(folds):
        weight = None if rows.weight is None else rows.weight[fold.train]
        if weight is not None and len(weight) and not weight.any():
            raise ValueError(
                f"cv={cv!r} leaves fold {number} with rows to train on that all have a "
                "sample_weight of zero: leave such rows out, or use a splitter that shuffles"
            )
        rows.check_training(fold.train, number, cv)
        if len(fold.test) == 0:
            raise ValueError(f"cv={cv!r} leaves fold {number} without a row to predict")
    if not folds:
        raise ValueError(f"cv={cv!r} gives no folds")
    return folds


def _positions(rows: Any, n_rows: int, cv: Any, fold: int) -> Ints:
    """Rows as integers; a splitter of one's own may give masks."""
    rows = np.asarray(rows)
    if rows.dtype == bool and len(rows) == n_rows:
        return np.flatnonzero(rows)
    whole = rows.dtype.kind in "iu" or rows.size == 0
    if not whole or rows.ndim != 1 or (rows < -n_rows).any() or (rows >= n_rows).any():
        raise ValueError(
            f"cv={cv!r} gives for fold {fold} an array of shape {rows.shape} and type "
            f"{rows.dtype}: it needs positions of rows, integers below {n_rows}, or a mask of "
            f"{n_rows} booleans"
        )
    return rows.astype(np.int64)

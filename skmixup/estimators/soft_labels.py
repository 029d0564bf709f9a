"""Soft labels: a probability for each class, as annotators' votes or another model give them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from skmixup.estimators.criteria import ONE_HOT, criterion_of
from skmixup.estimators.inputs import as_array
from skmixup.labels import (
    KINDS_OF_LABELS,
    in_order_of,
    is_matrix,
    label_column,
    of_one_type,
    plain_numbers,
    refuse_masked_matrix,
)

# How far the sum of a row may be from one: probabilities are often rounded.
TOLERANCE = 0.01


def read_soft_labels(y: Any, classes: Any) -> tuple[NDArray[np.float32], NDArray[Any]] | None:
    """Return probabilities and the classes of their columns, or None for one label per row.

    Parameters
    ----------
    y : array-like
        A matrix with two columns and more is soft labels. One of zeros and ones only is read so
        where `classes` names its columns; otherwise scikit-learn takes it for several labels.
    classes : array-like of shape (n_classes,), or None
        The classes of the columns, in their order; None: 0, 1, …. A frame whose columns are
        called so is taken by these names.

    Returns
    -------
    probabilities : ndarray of shape (n, n_classes)
        Columns in the order of the sorted classes; each row sums to one.
    classes : ndarray of shape (n_classes,)
        Sorted.

    Raises
    ------
    ValueError
        For a matrix that is no soft labels; the message says the kinds of y there are.
    """
    if y is None or not is_matrix(y):
        return None
    refuse_masked_matrix(y)
    try:
        p = np.asarray(as_array(y))
    except ValueError:  # rows of several lengths
        return None
    p = plain_numbers(p)
    if p.dtype.kind not in "biuf":
        return None  # columns of strings: the error of one label per row names them
    p = p.astype(np.float64)
    if classes is None and np.isin(p, (0, 1)).all():
        return None
    _check(p)
    names = np.arange(p.shape[1])
    if classes is not None:
        names = of_one_type(label_column(classes, what="classes", advice="list labels only"))
    if len(names) != p.shape[1] or len(np.unique(names)) != len(names):
        raise ValueError(
            f"classes must name the {p.shape[1]} columns of y, each once; got {names.tolist()}"
        )
    p = in_order_of(names, p, y)
    order = np.argsort(names)
    p = p[:, order] / p.sum(axis=1, keepdims=True)
    return p.astype(np.float32), names[order]


def check_soft_criterion(net: Any) -> None:
    """Raise ValueError where the loss of a net does not take probabilities as targets."""
    criterion = criterion_of(net)
    if isinstance(criterion, nn.Module) and type(criterion).__module__.startswith("torch."):
        if isinstance(criterion, (nn.CrossEntropyLoss, *ONE_HOT)):
            return
        raise ValueError(
            f"criterion {type(criterion).__name__} takes one class per row, and y is soft labels; "
            "use torch.nn.CrossEntropyLoss, or pass y.argmax(axis=1)"
        )


def _check(p: NDArray[np.float64]) -> None:
    if not np.isfinite(p).all():
        row = int(np.flatnonzero(~np.isfinite(p).all(axis=1))[0])
        raise ValueError(
            f"Input y contains NaN or infinity, first in row {row}; {KINDS_OF_LABELS}"
        )
    if (p < 0).any():
        row = int(np.flatnonzero((p < 0).any(axis=1))[0])
        raise ValueError(
            f"y has shape {p.shape} and negative entries, first in row {row}: {_shown(p[row])}; "
            f"{KINDS_OF_LABELS}"
        )
    sums = p.sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums - 1) > TOLERANCE)
    if len(wrong):
        raise ValueError(
            f"y has shape {p.shape}, and {len(wrong)} of its rows do not sum to one, first row "
            f"{wrong[0]}: {_shown(p[wrong[0]])} sums to {sums[wrong[0]]:.6g}; {KINDS_OF_LABELS}"
        )


def _shown(row: NDArray[np.float64]) -> str:
    """The numbers of a row, ten at most."""
    return f"{row.tolist()}" if len(row) <= 10 else f"[{str(row[:10].tolist())[1:-1]}, …]"

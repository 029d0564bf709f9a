"""Several labels per row: a matrix of zeros and ones, with a column for each label."""

import warnings
from typing import Any

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skmixup.estimators.criteria import ONE_HOT, SIGMOID, criterion_of, try_on_target
from skmixup.estimators.inputs import as_array
from skmixup.labels import KINDS_OF_LABELS, is_matrix, plain_numbers, refuse_masked_matrix


def densified(y: Any) -> tuple[Any, str | None]:
    """Return a sparse matrix as an array, and the name of what predictions then come in."""
    if not scipy.sparse.issparse(y):
        return y, None
    return y.toarray(), "csr_array" if isinstance(y, scipy.sparse.sparray) else "csr_matrix"


def as_matrix(indicators: NDArray[np.int64], kind: str | None) -> Any:
    """Return indicators as `kind` says, a name in :mod:`scipy.sparse`, or as they are."""
    return indicators if kind is None else getattr(scipy.sparse, kind)(indicators)


def read_indicators(y: Any) -> NDArray[np.float32] | None:
    """Return the zeros and ones of several labels per row, or None for any other kind of y.

    Several labels are a matrix of zeros and ones with two columns and more.
    """
    if y is None or not is_matrix(y):
        return None
    refuse_masked_matrix(y)
    try:
        matrix = np.asarray(as_array(y))
    except ValueError:  # rows of several lengths
        return None
    matrix = plain_numbers(matrix)
    if matrix.dtype.kind in "biuf" and matrix.ndim == 2 and np.isin(matrix, (0, 1)).all():
        return matrix.astype(np.float32)
    return None


def refuse_other_kinds(y: Any) -> None:
    """Raise ValueError where y is collections of labels, or has more axes than a column."""
    first = next(iter(y), None) if hasattr(y, "__iter__") else None
    lists = isinstance(first, (list, tuple))
    if isinstance(first, (set, frozenset)) or (lists and len({len(row) for row in y}) > 1):
        raise ValueError(
            f"y is a collection of labels for each row, the first {first!r}; {KINDS_OF_LABELS}. "
            "sklearn.preprocessing.MultiLabelBinarizer makes the matrix of zeros and ones of them"
        )
    if is_matrix(y) or len(getattr(y, "shape", ())) > 2:
        shape = tuple(getattr(y, "shape", None) or np.shape(y))
        raise ValueError(f"y has shape {shape} and is no kind of y; {KINDS_OF_LABELS}")


def n_labels_in(label: Any) -> int:
    """Return how many labels the item of a data set has: zeros and ones, or 0 for one label."""
    label = np.asarray(as_array(label))
    several = read_indicators(label[None]) if label.ndim == 1 else None
    return 0 if several is None else several.shape[1]


def check_indicators(y: Any, n_labels: int) -> NDArray[np.float32]:
    """Return the zeros and ones of several labels per row.

    Raises
    ------
    ValueError
        Unless y is a matrix of zeros and ones with `n_labels` columns.
    """
    indicators = read_indicators(y)
    if indicators is None or indicators.shape[1] != n_labels:
        shape = getattr(y, "shape", None) or np.shape(y)
        raise ValueError(
            f"y has shape {tuple(shape)}, but this classifier was fitted on {n_labels} labels per "
            f"row: y must be a matrix (n, {n_labels}) of zeros and ones"
        )
    return indicators


def warn_of_one_hot(indicators: NDArray[np.float32], *, may_name_classes: bool = True) -> None:
    """Warn where every row has one label: these may be classes, of which a row has one."""
    if (indicators.sum(axis=1) == 1).all():
        warnings.warn(
            "y is a matrix of zeros and ones, which means several labels per row, and every row "
            "has exactly one. For classes, of which a row has one, pass np.argmax(y, axis=1)"
            + (", or name the columns with the parameter `classes`" if may_name_classes else ""),
            UserWarning,
            stacklevel=2,
        )


# ---- what is trained on, and what is predicted


def check_several_criterion(net: Any, output: Any, *, needs_rows: bool) -> None:
    """Raise an error where the loss of a net does not take several labels per row.

    Parameters
    ----------
    net : VicinalClassifier
    output : Tensor
        Of its module, for a few rows.
    needs_rows : bool
        Whether training will need the loss of each row.
    """
    criterion = criterion_of(net)
    theirs = isinstance(criterion, nn.Module) and type(criterion).__module__.startswith("torch.")
    if theirs and not isinstance(criterion, ONE_HOT):
        raise ValueError(
            f"criterion {type(criterion).__name__} takes one class per row, and y is several "
            "labels per row; use criterion='auto', which is torch.nn.BCEWithLogitsLoss then"
        )
    target = torch.zeros_like(output, dtype=torch.get_default_dtype())
    try_on_target(criterion, output, target, what="zeros and ones", needs_rows=needs_rows)


def check_label_outputs(outputs: Any, n_labels: int) -> None:
    """Raise ValueError unless there is one output for each label."""
    if isinstance(outputs, Tensor) and outputs.ndim in (2, 3) and outputs.shape[1] == n_labels:
        return
    got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    raise ValueError(
        f"the module must return one logit for each label, shape (n, {n_labels}); got {got}"
    )


def label_probabilities(outputs: Tensor, criterion: Any) -> Tensor:
    """Probability of each label, shape (n, n_labels), from outputs of a module.

    Outputs are logits, but for the criterions of torch that compare them with zeros and ones as
    they are.
    """
    if isinstance(criterion, ONE_HOT) and not isinstance(criterion, SIGMOID):
        return outputs.clamp(0, 1)
    return torch.sigmoid(outputs)

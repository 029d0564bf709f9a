"""Labels as users write them, brought to one plain array."""

import warnings
from enum import Enum
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.validation import column_or_1d

from skmixup.lazy_frames import refuse_lazy_frame

KINDS_OF_LABELS = (
    "y is one label per row, shape (n,); several labels per row, a matrix (n, n_labels) of zeros "
    "and ones, where `classes` is not given; or soft labels, a matrix (n, n_classes) of "
    "probabilities whose rows sum to one"
)


def is_matrix(y: Any) -> bool:
    """Whether y has two axes, and two columns or more."""
    if isinstance(y, (list, tuple)):
        first: Any = y[0] if y else None
        if isinstance(first, (list, tuple)):
            return len(first) > 1
        return getattr(first, "ndim", 0) > 0 and len(first) > 1  # an array or a tensor
    shape = tuple(y.shape) if hasattr(y, "shape") else np.asarray(y).shape
    return len(shape) == 2 and shape[1] > 1


def computed(X: Any) -> Any:
    """Compute a collection of Dask's, a lazy array or frame; leave everything else as it is."""
    return X.compute() if hasattr(X, "__dask_graph__") and hasattr(X, "compute") else X


def has_masked(values: Any) -> bool:
    """Whether this is a masked array with values under its mask."""
    return isinstance(values, np.ma.MaskedArray) and bool(np.ma.is_masked(values))


def refuse_masked_matrix(y: Any) -> None:
    """Raise ValueError for a matrix of labels some of which are under a mask."""
    if has_masked(y):
        rows = np.flatnonzero(np.ma.getmaskarray(y).reshape(len(y), -1).any(axis=1))
        raise ValueError(
            f"y is a masked array with masked values in {len(rows)} of {len(y)} rows, first in "
            f"row {rows[0]}: they are no labels; leave those rows out"
        )


def tensor_as_array(values: Any) -> Any:
    """Turn a tensor into an array; leave all else as it is. This module does without torch."""
    if not hasattr(values, "detach"):
        return values
    values = values.detach().resolve_neg().resolve_conj().cpu()
    return (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()


def label_column(
    y: Any, *, what: str = "y", advice: str = "give every row a label or leave it out"
) -> NDArray[Any]:
    """Return labels as a one-dimensional numpy array of the type that they have.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, 1)
        Array, list, tensor, or a column of pandas or polars. Nullable booleans become booleans,
        nullable integers integers; a list of strings and numbers keeps both.
    what : str
        Its name, for errors.
    advice : str
        What to do about rows without a label, for the error.

    Raises
    ------
    ValueError
        For more than one column, or for NaN, None and NA among the labels.
    """
    refuse_lazy_frame(y, what)
    if y is None:
        raise ValueError(f"{what} is None; {advice}")
    y = tensor_as_array(computed(y))
    _check_none_missing(y, what, advice)
    if isinstance(y, (list, tuple)):
        kinds = {issubclass(kind, str) for kind in map(type, y)}
        y = np.array(_plain_strings(y), dtype=object if len(kinds) == 2 else None)
    elif not hasattr(y, "shape"):
        y = np.asarray(y)
    _check_one_column(y, what)
    if hasattr(y, "iloc") and np.ndim(y) == 2:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected; pass y.iloc[:, 0]",
            DataConversionWarning,
            stacklevel=2,
        )
        y = y.iloc[:, 0]
    plain = getattr(getattr(y, "dtype", None), "numpy_dtype", None)  # of a nullable column
    if plain is not None and hasattr(y, "to_numpy"):
        y = y.to_numpy(dtype=plain)
    if type(getattr(y, "dtype", None)).__name__ == "CategoricalDtype":
        y = np.asarray(y)  # column_or_1d would make floats of booleans
    y = column_or_1d(y, warn=True)
    if y.dtype.kind == "T":  # scikit-learn knows no StringDType
        return y.astype(object)
    return np.asarray(_plain_strings(y), dtype=object) if y.dtype == object else y


def _plain_strings(labels: Any) -> Any:
    """Return members of an `enum.Enum` that are strings as these strings.

    numpy would take each by its name, cut off at the length of the longest string, and
    scikit-learn's scores sort them otherwise than they are.
    """
    if not any(isinstance(label, str) and isinstance(label, Enum) for label in labels):
        return labels
    return [str.__str__(label) if isinstance(label, str) else label for label in labels]


def sorted_classes(classes: Any) -> NDArray[Any]:
    """Return the labels that a user lists as all there are, sorted."""
    if np.ndim(classes) != 1 and not hasattr(classes, "iloc"):
        raise ValueError(f"classes must be a list of all labels; got {classes!r}")
    labels = label_column(classes, what="classes", advice="list labels only")
    return np.unique(of_one_type(labels))


def of_one_type(labels: NDArray[Any]) -> NDArray[Any]:
    """Give an array of Python numbers or booleans their own dtype; leave strings as they are.

    Raises
    ------
    ValueError
        If there are strings beside other labels, which have no order.
    """
    if labels.dtype != object or not len(labels):
        return labels
    kinds = {type(label) for label in labels}
    if all(issubclass(kind, bool | np.bool_) for kind in kinds):
        return labels.astype(bool)
    if all(issubclass(kind, Number) for kind in kinds):
        return np.array(labels.tolist())
    strings = {kind for kind in kinds if issubclass(kind, str)}
    if strings and strings != kinds:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(f"y mixes labels of the types {names}; make all of them strings")
    return labels


def unknown_labels(labels: NDArray[Any], classes: NDArray[Any]) -> list[Any]:
    """Return the different labels that are not among `classes`; "1" is not 1."""
    known = set(classes.tolist())
    return [label for label in np.unique(labels).tolist() if label not in known]


def in_order_of(names: NDArray[Any], matrix: NDArray[Any], given: Any) -> NDArray[Any]:
    """Return the columns of a matrix in the order of `names`, where it came in a frame of these.

    Parameters
    ----------
    names : ndarray of shape (n_columns,)
        Labels of classes.
    matrix : ndarray of shape (n, n_columns)
    given : array-like
        What the matrix was made of; columns of a frame are known by strings only.
    """
    columns, labels = list(getattr(given, "columns", [])), names.tolist()
    if not all(isinstance(column, str) for column in columns) or {*columns} != {*labels}:
        return matrix
    return matrix[:, [columns.index(label) for label in labels]]


def column_names(y: Any, what: str = "y") -> list[str]:
    """Return the names that columns of a frame are known by; none but different strings count."""
    refuse_lazy_frame(y, what)
    names = list(getattr(y, "columns", []))
    usable = all(isinstance(name, str) for name in names) and len({*names}) == len(names)
    return names if usable else []


def in_known_order(y: Any, known: list[str]) -> Any:
    """Return a frame of targets with its columns as `known`, if they are called so."""
    names = column_names(y)
    return y[known] if names != known and sorted(names) == sorted(known) else y


def plain_numbers(matrix: NDArray[Any]) -> NDArray[Any]:
    """Give Python numbers and booleans, as frames of several types have them, a dtype."""
    if matrix.dtype != object or not matrix.size or isinstance(matrix.flat[0], str):
        return matrix
    missing = np.array([_is_missing(value) for value in matrix.flat]).reshape(matrix.shape)
    try:
        return np.where(missing, np.nan, matrix).astype(np.float64)
    except (TypeError, ValueError):
        return matrix


def _check_one_column(y: Any, what: str) -> None:
    shape = np.shape(y)
    if len(shape) != 2 or shape[1] <= 1:
        return
    message = f"{what} should be a 1d array, got an array of shape {shape} instead"
    values = np.asarray(y)
    if values.dtype.kind in "biuf" and np.allclose(values.sum(axis=1), 1):
        if np.isin(values, (0, 1)).all():
            raise ValueError(f"{message}: for one-hot labels, pass np.argmax(y, axis=1)")
        raise ValueError(
            f"{message}: probabilities of classes (soft labels) are not supported here; give each "
            "row its one label, for instance np.argmax(y, axis=1)"
        )
    raise ValueError(f"{message}; one label per row is supported, not several")


def _check_none_missing(y: Any, what: str, advice: str) -> None:
    missing = np.flatnonzero(_missing(y))
    if len(missing):
        # scikit-learn's check_supervised_y_no_nan wants the words as far as NaN
        raise ValueError(
            f"Input {what} contains NaN, None or NA in {len(missing)} of {len(y)} rows, first in "
            f"row {missing[0]}; {advice}"
        )


def _missing(y: Any) -> Any:
    if hasattr(y, "isna"):  # pandas
        return y.isna()
    if isinstance(y, (list, tuple)):  # numpy would make the string "nan" of NaN beside strings
        return [_is_missing(label) for label in y]
    if isinstance(y, np.ma.MaskedArray):
        return np.ma.getmaskarray(y)
    array = np.asarray(y)
    array = array.astype(object) if array.dtype.kind == "T" else array
    if array.dtype.kind in "mM":
        return np.isnat(array)
    if array.dtype.kind == "f":
        return np.isnan(array)
    return [_is_missing(label) for label in array.flat] if array.dtype == object else []


def _is_missing(label: Any) -> bool:
    if label is None or type(label).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(label, Number) and label != label

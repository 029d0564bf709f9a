"""Warning of columns whose values become equal in float32: times in seconds, large numbers."""

import warnings
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmixup.estimators.columns import listed
from skmixup.labels import tensor_as_array

# At most so many rows, and so many numbers, are compared: that takes some ten milliseconds.
SAMPLED_ROWS = 4096
SAMPLED_NUMBERS = 2**18
# Of at most so many places in a row of more axes than one.
SAMPLED_PLACES = 2**12
# Warn of a column that loses this share of its different values.
LOST_SHARE = 0.1
# Columns that keep so many are fine enough, as coordinates within a town, to a millionth degree.
FINE = 1000
# Values of float64 that differ by less than this, relatively, count as one rounded value.
ROUNDING = 1e-12

_RESOLVED = [
    np.dtype(name) for name in ("float32", "float16", "int16", "uint16", "int8", "uint8", "bool")
]


def warn_of_vanishing_columns(
    X: Any, converted: NDArray[np.float32], estimator: str, what: str = "X"
) -> None:
    """Warn of columns in which many different values became equal by conversion.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n, n_features)
        As the user gave it. With other axes, as of sequences, each place in a row is a column.
    converted : ndarray of float32
        The same after conversion.
    estimator : str
        Its name, for the message.
    what : str
        What X is called in the message.
    """
    n_rows, shape = len(converted), converted.shape[1:]
    if n_rows < 2 or not converted.size or getattr(X, "dtype", None) in _RESOLVED:
        return
    X, table = tensor_as_array(X), len(shape) == 1
    n_sampled = min(n_rows, SAMPLED_ROWS, max(64, SAMPLED_NUMBERS // prod(shape)))
    rows = np.linspace(0, n_rows - 1, n_sampled).astype(int)
    if not table:
        X, converted = _places(X, rows), _places(converted, rows)
        n_rows, rows = n_sampled, np.arange(n_sampled)
    exact, rounded = _different(_rows(X, rows)), _different(converted[rows])
    vanishing = (exact - rounded > LOST_SHARE * exact) & (rounded < FINE)
    if n_rows > n_sampled:
        constant = np.flatnonzero(converted.min(axis=0) == converted.max(axis=0)).tolist()
        for i in constant:  # rows that were not compared may differ
            vanishing[i] |= _different(_column(X, i)[:, None])[0] > 1
    found = np.flatnonzero(vanishing).tolist()
    if not found:
        return
    if table:
        named = listed(len(found), (_name(X, i) for i in found))
        where, remedy = f"a column are the same{_WHY}: {named}", "such columns before, in float64"
    else:
        some = _column(X, found[0])
        where = f"a place are the same{_WHY}, as from {some.min():.10g} to {some.max():.10g}"
        remedy = "it before, in float64, for instance by the mean and standard deviation over rows"
    pipeline = f":\n    make_pipeline(StandardScaler(), {estimator}())" if what == "X" else ""
    warnings.warn(
        f"{what} is converted to float32, in which many values of {where}. Standardise {remedy}"
        f"{pipeline if table else ''}",
        UserWarning,
        stacklevel=2,
    )


_WHY = " if they are all but 0, or large and close to each other"


def _places(X: Any, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Rows with one axis of values, some from all over a row where there are very many."""
    few = _rows(X if isinstance(X, (list, tuple)) else np.asarray(X), rows).reshape(len(rows), -1)
    return few[:, :: -(-few.shape[1] // SAMPLED_PLACES)]


def _different(columns: Any) -> NDArray[np.int64]:
    """Number of different values in each column of an array, or of a list of columns."""
    if isinstance(columns, list):
        return np.array([_different(column[:, None])[0] for column in columns])
    ordered = np.sort(columns, axis=0)
    if ordered.dtype == np.float64:
        steps = np.diff(ordered, axis=0) > ROUNDING * np.abs(ordered[1:])
    else:
        steps = ordered[1:] != ordered[:-1]
    return 1 + steps.sum(axis=0)


def _rows(X: Any, rows: NDArray[np.int64]) -> Any:
    """Rows of X with their types: an array, or the list of the columns of a frame."""
    if _is_frame(X):
        few = X.iloc[rows] if hasattr(X, "iloc") else X[rows]
        return [_column(few, i) for i in range(few.shape[1])]
    if isinstance(X, (list, tuple)):
        return _numbers(np.asarray([X[i] for i in rows]))
    return _numbers(np.asarray(X)[rows])


def _column(X: Any, i: int) -> NDArray[Any]:
    if _is_frame(X):
        return _numbers(np.asarray(X.iloc[:, i] if hasattr(X, "iloc") else X[:, i].to_numpy()))
    return _numbers(np.asarray(X)[:, i])


def _is_frame(X: Any) -> bool:
    """Whether X is a frame of pandas or polars."""
    return hasattr(X, "iloc") or hasattr(X, "get_column")


def _numbers(values: NDArray[Any]) -> NDArray[Any]:
    """Integers as they are, everything else as float64."""
    return values if values.dtype.kind in "iub" else values.astype(np.float64, copy=False)


def _name(X: Any, i: int) -> str:
    column = _column(X, i)
    name = repr(str(X.columns[i])) if _is_frame(X) else str(i)
    return f"{name} ({column.min():.10g} to {column.max():.10g})"

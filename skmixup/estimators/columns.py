"""Errors for tables that a network cannot take, which name the columns and say what to do."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from skmixup.labels import has_masked
from skmixup.lazy_frames import refuse_lazy_frame

# With complex numbers: scikit-learn's validate_data refuses them, in the words that its
# check_complex_data wants.
_NUMERIC_KINDS = "biufc"
_MAX_NAMED = 10


def check_numeric_columns(X: Any, estimator: str) -> None:
    """Raise ValueError if a pandas or polars frame has columns that are not numbers.

    Text that looks like numbers, and the categories of pandas, are refused even where they would
    convert: mixup averages rows, and the average of two categories is no category.
    """
    refuse_unread_table(X)
    if not (hasattr(X, "columns") and hasattr(X, "dtypes")):
        _check_numeric_array(X)
        return
    found = {
        str(name): dtype
        for i, (name, dtype) in enumerate(zip(X.columns, X.dtypes, strict=True))
        if not _is_numeric(dtype, X, i)
    }
    if not found:
        return
    named = listed(len(found), (f"{name!r} ({dtype})" for name, dtype in found.items()))
    message = (
        f"X has columns that are not numbers: {named}. {estimator} averages "
        f"rows, which means nothing for them before they are encoded. skrub encodes any table:\n"
        f"    skrub.tabular_pipeline({estimator}())\n"
    )
    if not any(_is_temporal(dtype) for dtype in found.values()):
        message += (
            f"and scikit-learn's parts do:\n"
            f"    make_pipeline(\n"
            f"        make_column_transformer(\n"
            f'            (OneHotEncoder(handle_unknown="ignore"), {list(found)[:_MAX_NAMED]}),\n'
            f"            remainder=StandardScaler(),\n"
            f"            sparse_threshold=0,\n"
            f"        ),\n"
            f"        {estimator}(),\n"
            f"    )"
        )
    raise ValueError(message)


def refuse_unread_table(X: Any) -> None:
    """Raise ValueError for a lazy frame, or a Dataset of Hugging Face's, whose rows are dicts."""
    refuse_lazy_frame(X)
    if hasattr(X, "features") and hasattr(X, "to_pandas"):
        raise ValueError(
            f"X is a {type(X).__module__.partition('.')[0]}.{type(X).__name__}, whose rows are "
            "dicts: pass X.to_pandas() without the labels, which are y, or a column of vectors or "
            "images as np.stack(X['name'])"
        )


def refuse_sparse(X: Any) -> None:
    """Raise TypeError for a sparse matrix, or a frame of sparse columns."""
    frame = hasattr(X, "sparse") and len(X.dtypes) > 0  # all of its columns are sparse
    if issparse(X) or frame:
        raise TypeError(
            "Sparse data was passed for X, but dense data is required: pass X.toarray(), of a "
            "frame X.sparse.to_dense(). In a pipeline a ColumnTransformer gives dense data with "
            "sparse_threshold=0, a OneHotEncoder with sparse_output=False, and a TruncatedSVD "
            "makes few columns of many"
        )


def listed(n: int, names: Iterable[str]) -> str:
    """Return the first ten of `n` names, and how many more there are, for a message."""
    more = f" and {n - _MAX_NAMED} more" if n > _MAX_NAMED else ""
    return ", ".join(islice(names, _MAX_NAMED)) + more


def _check_numeric_array(X: Any) -> None:
    """Raise ValueError for masked values, and for times and text that would convert to numbers."""
    parts = X if isinstance(X, (list, tuple)) else [X]
    if any(map(has_masked, parts)):
        raise ValueError(
            "X is a masked array, and the values under its mask are no data; pass "
            "X.filled(np.nan) to an imputer, or leave those rows out"
        )
    first = X[:1] if isinstance(X, (list, tuple)) else X
    try:
        array = np.asarray(first) if isinstance(first, (list, tuple, np.ndarray)) else None
    except ValueError:  # rows of different lengths, which scikit-learn refuses
        return
    if array is None:
        return
    if array.dtype.names:
        raise ValueError(
            f"X is an array of records with the fields {', '.join(array.dtype.names[:10])}; pass "
            "pd.DataFrame(X)"
        )
    if array.dtype.kind in "mM":
        raise ValueError(
            f"X holds times ({array.dtype}); make numbers of them, small ones: for instance days "
            "since the first, (X - X.min()) / np.timedelta64(1, 'D')"
        )
    if _is_text(array) and _converts(array):
        raise ValueError(
            "X holds text that looks like numbers; if it is numbers, pass X.astype(float), and if "
            "it is codes of categories, encode them first, for example with OneHotEncoder"
        )


def _is_text(array: Any) -> bool:
    if array.dtype == np.dtype(object):
        return any(isinstance(value, (str, bytes)) for value in array.flat)
    return array.dtype.kind in "SUT"


def _converts(array: Any) -> bool:
    try:
        array.astype(np.float64)
    except (TypeError, ValueError):
        return False
    return True


def advice_on(error: ValueError, X: Any, estimator: str) -> str | None:
    """Return a message for an error of scikit-learn's about missing values, infinity or text.

    It names the columns and says what to do; None for other errors.
    """
    message = str(error)
    if "contains NaN" in message and getattr(X, "ndim", 2) > 2:
        axes = tuple(range(1, X.ndim))
        return (
            f"Input X contains NaN. {estimator} does not take missing values; leave out rows that "
            f"have some, keep = ~np.isnan(X).any(axis={axes}), or fill them, np.nan_to_num(X)"
        )
    if "contains NaN" in message:
        columns = _columns_with_missing(X)
        where = f" in columns {listed(len(columns), columns)}" if columns else ""
        return (
            f"Input X contains NaN{where}. {estimator} does not take missing values; put an "
            f"imputer before it:\n"
            f"    make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), "
            f"{estimator}())\n"
            f"or skrub, which prepares a table with columns of any kind:\n"
            f"    skrub.tabular_pipeline({estimator}())"
        )
    if "contains infinity" in message and getattr(X, "ndim", 2) == 2:
        return _advice_on_infinity(X, estimator)
    if message.startswith("setting an array element with a sequence."):
        return (
            "X has values that are arrays or lists where numbers are needed: make an array of "
            "them, np.stack(X), of a column of a frame np.stack(X['name'])"
        )
    if message.startswith("could not convert string to float"):
        return (
            f"{message}. {estimator} takes numbers only; encode text first, for example with "
            f"OneHotEncoder, or with skrub.tabular_pipeline({estimator}()) on a DataFrame"
        )
    return None


def _is_numeric(dtype: Any, X: Any, i: int) -> bool:
    if hasattr(dtype, "is_numeric"):  # polars
        return dtype.is_numeric() or str(dtype) in ("Boolean", "Null")
    if getattr(dtype, "kind", "O") in _NUMERIC_KINDS:
        return True
    if dtype != np.dtype(object):
        return False
    return not any(isinstance(value, str) for value in X.iloc[:, i])


def _is_temporal(dtype: Any) -> bool:
    return dtype.is_temporal() if hasattr(dtype, "is_temporal") else dtype.kind in "mM"


def _advice_on_infinity(X: Any, estimator: str) -> str:
    """Return what to do about infinity or, where there is none, numbers beyond float32."""
    infinite = np.isinf(np.asarray(X, dtype=np.float64))
    if not infinite.any():
        large = _named_where(np.abs(np.asarray(X, dtype=np.float64)) > np.finfo(np.float32).max, X)
        return (
            f"Input X contains values too large for float32, beyond 3.4e38, in columns "
            f"{listed(len(large), large)}. Take logarithms, or standardise them before, in "
            f"float64:\n    make_pipeline(StandardScaler(), {estimator}())"
        )
    columns = _named_where(infinite, X)
    frame = "X.replace([np.inf, -np.inf], np.nan)"
    as_missing = frame if hasattr(X, "iloc") else "np.where(np.isinf(X), np.nan, X)"
    return (
        f"Input X contains infinity in columns {listed(len(columns), columns)}. {estimator} takes "
        f"finite numbers only; pass {as_missing} and put an imputer before it:\n"
        f"    make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), {estimator}())"
    )


def _columns_with_missing(X: Any) -> list[str]:
    missing = X.isna() if hasattr(X, "isna") else np.isnan(np.asarray(X, dtype=np.float64))
    return _named_where(np.asarray(missing), X)


def _named_where(found: NDArray[np.bool_], X: Any) -> list[str]:
    """Names, or numbers, of the columns in which something was found; none without columns."""
    if found.ndim != 2:
        return []
    names = getattr(X, "columns", range(found.shape[1]))
    return [repr(names[i]) for i in np.flatnonzero(found.any(axis=0))]

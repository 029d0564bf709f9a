"""Dicts of arrays as X: one input of the module's forward for each key, as in skorch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from skorch.helper import SliceDataset, SliceDict
from torch import Tensor

from skmixup.estimators.images import check_range, note_range
from skmixup.estimators.input_types import forget_inputs
from skmixup.estimators.vanishing_columns import warn_of_vanishing_columns
from skmixup.labels import has_masked, tensor_as_array
from skmixup.lazy_frames import refuse_lazy_frame
from skmixup.training.batches import is_pixels


def refuse_several_inputs(X: Any, y: Any = None) -> None:
    """Raise ValueError for a list of one array per input, whose arrays would be taken for rows.

    Parameters
    ----------
    X : object
    y : object, default=None
        The labels, if there are any; their number is the number of rows.
    """
    if not isinstance(X, (list, tuple)) or not all(len(np.shape(x)) > 1 for x in X):
        return
    n_rows = len(y) if hasattr(y, "__len__") else None
    shapes = {tuple(np.shape(x)) for x in X}
    lengths = {shape[0] for shape in shapes}
    if len(lengths) == 1 and len(X) not in lengths and (len(shapes) > 1 or lengths == {n_rows}):
        raise ValueError(
            f"X is a {type(X).__name__} of {len(X)} arrays of {lengths.pop()} rows. For a module "
            "with several inputs pass them in a dict, whose keys are the arguments of its "
            "forward, for instance X = {'left': a, 'right': b}"
        )


def refuse_rows_of_several(X: SliceDataset) -> None:
    """Raise TypeError for a SliceDataset whose rows are several arrays without names."""
    first = X[0] if len(X) else None
    if not isinstance(first, (list, tuple)) or len(first) < 2:
        return
    if all(isinstance(part, (np.ndarray, Tensor)) for part in first):
        raise TypeError(
            f"X is a SliceDataset whose rows are a {type(first).__name__} of {len(first)} arrays, "
            "which have no names that folds could be cut by: let the data set yield dicts, whose "
            "keys are the arguments of the module's forward, or pass the Dataset itself"
        )


def rows_as_dict(X: Any) -> Any:
    """Turn rows that are dicts, in a list or a SliceDataset of skorch's, into one dict."""
    if not isinstance(X, (list, tuple, SliceDataset)) or not len(X):
        return X
    if not isinstance(X[0], Mapping):
        return X
    rows = [X[i] for i in range(len(X))]
    keys = list(rows[0])
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping) or set(row) != set(keys):
            found = list(row) if isinstance(row, Mapping) else type(row).__name__
            raise ValueError(f"the rows of X are dicts of the keys {keys}, but row {i} is {found}")
    return {key: [np.asarray(row[key]) for row in rows] for key in keys}


def check_dict(net: Any, X: Mapping[Any, Any], *, reset: bool) -> SliceDict:
    """Validate a dict of arrays; floating-point values become float32, integers int64.

    Images of uint8 stay as they are, wherever they lie: they become floats batch by batch.

    Parameters
    ----------
    net : estimator
        Gets ``input_shape_``, a dict of shapes, if `reset`; then it has no ``n_features_in_``.
    X : mapping of str to array-like of shape (n, …)
        Arrays, DataFrames, torch tensors; keys are names of arguments of the module's forward.
    reset : bool
        True in `fit`; False compares X with what was seen there.

    Returns
    -------
    SliceDict of ndarrays
        In the order of the keys in `fit`.

    Raises
    ------
    ValueError or TypeError
        The message names the key: for values that are no numbers, NaN, infinity, lengths that
        differ, no rows, and keys, shapes or kinds of numbers that differ from those of `fit`.
    """
    _check_keys(net, X, reset=reset)
    known = reset or isinstance(getattr(net, "input_shape_", None), dict)
    keys = list(X) if reset or not known else list(net.input_shape_)
    arrays = {key: _checked_array(key, X[key]) for key in keys}
    lengths = {key: len(array) for key, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"X is a dict of arrays of different lengths: {lengths}")
    if next(iter(lengths.values())) < 1:
        raise ValueError(
            f"Found array with 0 sample(s) in every value of X: {list(lengths)}; a minimum of 1 "
            "is required"
        )
    shapes = {key: tuple(array.shape[1:]) for key, array in arrays.items()}
    kinds = {key: str(array.dtype) for key, array in arrays.items()}
    if reset:
        forget_inputs(net)
        net.input_shape_, net._input_dtypes_ = shapes, kinds
    if not known:  # after load_params, or a data set of dicts
        return SliceDict(**arrays)
    for key, shape in net.input_shape_.items():
        if shapes[key] != shape:
            raise ValueError(
                f"X[{key!r}] has rows of shape {shapes[key]}, but {type(net).__name__} was fitted "
                f"on rows of shape {shape}"
            )
        arrays[key] = _of_kind(key, arrays[key], net._input_dtypes_[key])
    if reset:
        for key, array in arrays.items():
            if array.dtype == np.float32:
                what = f"X[{key!r}]"
                warn_of_vanishing_columns(X[key], array, type(net).__name__, what)
        note_range(net, arrays)
    else:
        check_range(net, arrays)
    return SliceDict(**arrays)


def _check_keys(net: Any, X: Mapping[Any, Any], *, reset: bool) -> None:
    if not len(X.keys()):
        raise ValueError("X is an empty dict; give one array for each argument of the module")
    wrong = [key for key in X if not isinstance(key, str)]
    if wrong:
        raise TypeError(
            "the keys of a dict as X are names of arguments of the module's forward; got "
            f"{wrong[:10]}"
        )
    seen = None if reset else getattr(net, "input_shape_", None)
    if reset or (isinstance(seen, dict) and set(seen) == set(X)):
        return
    if seen is None:
        return
    if not isinstance(seen, dict):
        raise ValueError(
            f"X is a dict, but {type(net).__name__} was fitted on one array with rows of shape "
            f"{seen}"
        )
    missing = [key for key in seen if key not in X]
    unknown = [key for key in X if key not in seen]
    what = [f"lacks {missing}"] * bool(missing) + [f"has {unknown} beside them"] * bool(unknown)
    raise ValueError(
        f"X must be a dict with the keys of `fit`, {list(seen)}; it {' and '.join(what)}"
    )


def _checked_array(key: str, value: Any) -> NDArray[Any]:
    """Turn one value into an array of float32, int64 or bool; images of uint8 stay."""
    if issparse(value):
        raise TypeError(f"X[{key!r}] is sparse; dense data is required, for instance .toarray()")
    refuse_lazy_frame(value, f"X[{key!r}]")
    if has_masked(value):
        raise ValueError(
            f"X[{key!r}] is a masked array, and the values under its mask are no data: fill them, "
            "value.filled(0), and pass the mask as an input of its own, or leave those rows out"
        )
    value = tensor_as_array(value)
    try:
        array = value.to_numpy() if hasattr(value, "to_numpy") else np.asarray(value)
    except ValueError as error:  # lists of different lengths
        raise ValueError(f"X[{key!r}] is no array: {error}. {_STACK}") from error
    if is_pixels(array):
        return array
    if array.dtype.kind == "O":
        array = _numbers_from_objects(key, array)
    if array.dtype.kind == "O" and array.ndim == 1 and np.ndim(array[:1].tolist()[0]):
        raise ValueError(f"X[{key!r}] holds an array for each row. {_STACK}")
    if array.ndim < 1:
        raise ValueError(f"X[{key!r}] is a single value, {value!r}; each needs one entry per row")
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"X[{key!r}] holds {array.dtype}, not numbers; encode it first (codes for an "
            "embedding, or one-hot)"
        )
    if array.dtype.kind == "f":
        _refuse_categories(key, value)
        with np.errstate(over="ignore"):
            array = array.astype(np.float32, copy=False)
        if not np.isfinite(array).all():
            what = "NaN" if np.isnan(array).any() else "infinity or a value too large for float32"
            raise ValueError(
                f"Input X contains {what}, in X[{key!r}]; fill it in before, for instance with "
                "sklearn.impute.SimpleImputer"
            )
    elif array.dtype.kind in "iu":
        if array.dtype == np.uint64 and array.size and array.max() >= 2**63:
            raise ValueError(
                f"X[{key!r}] holds integers up to {array.max()}, and integers become int64, which "
                "ends at 2**63 - 1; number the codes anew, np.unique(codes, return_inverse=True)"
            )
        array = array.astype(np.int64, copy=False)
    return np.ascontiguousarray(array)


_STACK = "Make one array of rows of one length, np.stack(rows), of sequences after padding them"


def _refuse_categories(key: str, value: Any) -> None:
    """Raise ValueError for categories of pandas among floating numbers, which are averaged."""
    frame = hasattr(value, "columns")
    dtypes = value.dtypes if frame else [getattr(value, "dtype", None)]
    each = zip(value.columns if frame else [key], dtypes, strict=True)
    found = [str(name) for name, dtype in each if type(dtype).__name__ == "CategoricalDtype"]
    if found:
        raise ValueError(
            f"X[{key!r}] has categories among floating numbers, {found[:10]}, and would be "
            "averaged; give them an input of their own as integer codes, or one-hot encode them"
        )


def _numbers_from_objects(key: str, array: NDArray[Any]) -> NDArray[Any]:
    values = array.ravel().tolist()
    if all(isinstance(value, (bool, np.bool_)) for value in values):
        return array.astype(bool)
    if all(isinstance(value, (int, np.integer)) for value in values):
        return array.astype(np.int64)
    if any(isinstance(value, str) for value in values):
        return array  # refused by its dtype
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):
        return array


def _of_kind(key: str, array: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Convert integers and booleans to the floats that `fit` saw; floats are never converted.

    Images of uint8 and of floats stand for each other.
    """
    if dtype == "uint8":
        dtype = "float32"
    if str(array.dtype) == dtype or (dtype == "float32" and is_pixels(array)):
        return array
    if dtype == "float32" or (dtype == "int64" and array.dtype.kind in "bu"):
        return array.astype(dtype)
    raise TypeError(f"X[{key!r}] holds {array.dtype}, where `fit` saw {dtype}")

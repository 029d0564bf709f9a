"""Checks of the X and y that users pass, and their conversion to what the nets train on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import assert_all_finite, validate_data
from skorch.helper import SliceDataset
from torch import Tensor

from skmixup.estimators.columns import advice_on, check_numeric_columns, refuse_sparse
from skmixup.estimators.dicts import (
    check_dict,
    refuse_rows_of_several,
    refuse_several_inputs,
    rows_as_dict,
)
from skmixup.estimators.images import advice_on_axes, check_range, note_range
from skmixup.estimators.input_types import forget_inputs
from skmixup.estimators.vanishing_columns import warn_of_vanishing_columns
from skmixup.labels import computed, label_column, of_one_type, tensor_as_array
from skmixup.training.batches import is_pixels


def as_array(X: Any) -> Any:
    """Turn a torch tensor into an array, compute what Dask has; leave everything else as it is."""
    X = computed(X)
    if isinstance(X, Tensor) and X.is_nested:
        raise ValueError(
            "a nested tensor has rows of different lengths: pad them, "
            "torch.nested.to_padded_tensor(X, 0.0)"
        )
    return tensor_as_array(X)


def group_column(groups: Any) -> NDArray[Any]:
    """Return the group of each row as an array; ValueError for more axes or missing ones."""
    groups = as_array(groups)
    shape = np.shape(groups)
    if len(shape) != 1 and shape[1:] != (1,):
        raise ValueError(
            f"groups must be the name or number of each row's group, of shape (n,); got {shape}"
        )
    if len(shape) == 2:
        groups = np.asarray(groups)[:, 0]
    groups = label_column(groups, what="groups", advice="give every row a group")
    try:
        np.unique(groups)
    except TypeError as error:
        raise ValueError(
            f"groups mixes kinds that have no order ({error}); make all of them strings"
        ) from error
    return groups


def check_inputs(net: Any, X: Any, *, reset: bool) -> Any:
    """Validate X as scikit-learn does and convert it, at most once, to float32.

    Images of uint8 stay as they are, wherever they lie: they become floats batch by batch.

    Parameters
    ----------
    net : estimator
        Gets ``n_features_in_``, ``feature_names_in_`` and ``input_shape_`` if `reset`.
    X : array-like, DataFrame or Tensor of shape (n, n_features) or (n, channels, height, width)
        Or a dict of these.
    reset : bool
        True in `fit`; False compares X with what was seen there.

    Returns
    -------
    ndarray of float32, C-contiguous in its rows, or of uint8, or SliceDict

    Raises
    ------
    ValueError or TypeError
        For NaN, infinity, sparse or non-numeric X, no rows, or another shape than in `fit`; where
        columns are at fault, it names them.
    """
    X = rows_as_dict(X)
    if isinstance(X, Mapping):
        refuse_sparse(X)  # a DOK array is one too
        return check_dict(net, X, reset=reset)
    refuse_several_inputs(X)
    if not reset and isinstance(getattr(net, "input_shape_", None), dict):
        raise ValueError(
            f"X is a {type(X).__name__}, but {type(net).__name__} was fitted on a dict with the "
            f"keys {list(net.input_shape_)}"
        )
    if isinstance(X, SliceDataset):
        refuse_rows_of_several(X)
        X = np.asarray(X)
    given, estimator = as_array(X), type(net).__name__
    if not reset and (checked := _checked_at_once(net, given)) is not None:
        return checked
    refuse_sparse(given)
    check_numeric_columns(given, estimator)
    pixels = is_pixels(given)
    dtype = np.dtype(np.uint8 if pixels else np.float32 if reset else _dtype_of_fit(net, given))
    if reset:
        forget_inputs(net)
    try:
        X = validate_data(
            net,
            given,
            reset=reset,
            dtype=dtype,
            order=None if pixels else "C",
            allow_nd=True,
            ensure_2d=True,
        )
    except ValueError as error:
        advice = advice_on(error, given, estimator)
        if advice is None and not reset:
            advice = advice_on_axes(np.shape(given)[1:], getattr(net, "input_shape_", None))
        if advice is None:
            raise
        raise ValueError(advice) from error
    shape = tuple(X.shape[1:])
    if reset:
        warn_of_vanishing_columns(given, X, estimator)
        net.input_shape_ = shape
        net._input_dtype_ = "float32"
        note_range(net, X)
    elif shape != getattr(net, "input_shape_", shape):  # after load_params it is not known
        raise ValueError(
            advice_on_axes(shape, net.input_shape_)
            or f"X has rows of shape {shape}, but {estimator} was fitted on rows of shape "
            f"{net.input_shape_}"
        )
    else:
        check_range(net, X)
    return X


def _checked_at_once(net: Any, X: Any) -> NDArray[np.float32] | None:
    """A small array in which nothing can be wrong, as float32; None: it needs a closer look.

    One row is predicted in less time than scikit-learn's checks take to find nothing.
    """
    fitted = net.__dict__
    if (
        type(X) is not np.ndarray
        or X.ndim != 2
        or X.dtype.kind not in "fiub"
        or not 0 < X.size <= _FEW_VALUES
        or X.shape[1:] != fitted.get("input_shape_")
        or X.shape[1] != fitted.get("n_features_in_")
        or "feature_names_in_" in fitted
        or fitted.get("_input_dtype_") != "float32"
    ):
        return None
    with np.errstate(over="ignore"):
        rows = X.astype(np.float32, order="C", copy=False)
    return rows if np.isfinite(rows).all() else None


def _dtype_of_fit(net: Any, X: Any) -> str:
    """Return float32, or the integer type if the net was fitted on a data set of integers."""
    dtype: str = net.__dict__.get("_input_dtype_", "float32")
    return dtype if dtype.startswith("int") and _holds_whole_numbers(X) else "float32"


def _holds_whole_numbers(X: Any) -> bool:
    """Whether an array, a list or a frame is integers, or floats that are whole numbers."""
    try:
        array = X.to_numpy() if hasattr(X, "to_numpy") else np.asarray(X)
        array = array.astype(np.float64) if array.dtype.kind == "O" else array
    except (TypeError, ValueError):
        return False  # for which there is an error later
    if array.dtype.kind in "iub":
        return True
    within = array.dtype.kind == "f" and (np.abs(array) < 2**53).all()
    return bool(within and (array == np.trunc(array)).all())


#: Of more values, scikit-learn's checks are a small part of a prediction.
_FEW_VALUES = 2**14


def check_labels(y: Any) -> NDArray[Any]:
    """Labels as a one-dimensional array; ValueError if they are not class labels."""
    if y is None:
        # scikit-learn's check_requires_y_none wants these first words
        raise ValueError(
            "requires y to be passed, but the target y is None; give one class label per row"
        )
    y = of_one_type(label_column(y))
    _check_kind(y)
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    if type_of_target(y) not in ("binary", "multiclass"):
        raise ValueError(f"y must be one class label per row; got {type_of_target(y)!r} targets")
    return y


def _check_kind(labels: NDArray[Any]) -> None:
    """Raise ValueError for objects that scikit-learn does not know as labels."""
    if labels.dtype != object:
        return
    odd = [label for label in labels.tolist() if not isinstance(label, (str, bytes))]
    if odd and isinstance(odd[0], (np.ndarray, Tensor)):
        raise ValueError(
            f"Unknown label type: y holds objects of the type {type(odd[0]).__name__}; of several "
            "labels or probabilities per row make one matrix, np.stack(y)"
        )
    if odd:
        raise ValueError(
            f"Unknown label type: y holds objects of the type {type(odd[0]).__name__}, the first "
            f"{odd[0]!r}; make strings or numbers of them, for instance [str(label) for label in "
            "y]"
        )


def encode(y: Any, classes: NDArray[Any]) -> NDArray[np.int64]:
    """Position of each label in `classes`, which are sorted.

    Raises
    ------
    ValueError
        For a label that is not among `classes`.
    """
    y = np.asarray(y)
    try:
        codes = np.searchsorted(classes, y)
        codes[codes == len(classes)] = 0
        unknown = classes[codes] != y
    except TypeError:  # kinds that have no order, numbers beside strings
        codes, unknown = np.zeros(len(y), dtype=np.int64), np.ones(len(y), dtype=bool)
    if np.any(unknown):
        raise ValueError(
            f"y has labels that are not among the classes {classes.tolist()}: "
            f"{np.unique(y[unknown])[:10].tolist()}"
        )
    return codes.astype(np.int64, copy=False)

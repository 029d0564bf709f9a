"""What users pass to `fit` and `predict`, checked and put into the form the nets train on."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    assert_all_finite,
    check_consistent_length,
    validate_data,
)
from skorch.utils import data_from_dataset, is_dataset, to_numpy
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from skmixup.estimators.columns import advice_on, check_numeric_columns
from skmixup.labels import label_column, of_one_type
from skmixup.vicinal.randomness import preserved_randomness


def as_array(X: Any) -> Any:
    """Bring a torch tensor into numpy's reach; leave all else as it is."""
    if isinstance(X, Tensor):
        X = X.detach()
        if X.dtype == torch.bfloat16:
            X = X.float()
        X = X.cpu().numpy()
    return X


def check_inputs(net: Any, X: Any, *, reset: bool) -> NDArray[np.float32]:
    """Validate X as scikit-learn does and convert it, at most once, to float32.

    Parameters
    ----------
    net : estimator
        Gets ``n_features_in_``, ``feature_names_in_`` and ``input_shape_`` if `reset`.
    X : array-like, DataFrame or Tensor of shape (n, n_features) or (n, channels, height, width)
    reset : bool
        True in `fit`; False compares X with what was seen there.

    Returns
    -------
    ndarray of float32, C-contiguous in its rows

    Raises
    ------
    ValueError or TypeError
        For NaN, infinity, sparse or non-numeric X, no rows, or another shape than in `fit`; where
        columns are at fault, it names them.
    """
    given, estimator = as_array(X), type(net).__name__
    check_numeric_columns(given, estimator)
    try:
        X = validate_data(
            net, given, reset=reset, dtype=np.float32, order="C", allow_nd=True, ensure_2d=True
        )
    except ValueError as error:
        advice = advice_on(error, given, estimator)
        if advice is None:
            raise
        raise ValueError(advice) from error
    shape = tuple(X.shape[1:])
    if reset:
        net.input_shape_ = shape
        net._input_dtype_ = "float32"
    elif shape != getattr(net, "input_shape_", shape):  # none is known after load_params
        raise ValueError(
            f"X has rows of shape {shape}, but {type(net).__name__} was fitted on rows of shape "
            f"{net.input_shape_}"
        )
    return X


def check_labels(y: Any) -> NDArray[Any]:
    """Labels as a one-dimensional array; ValueError if they are not class labels."""
    if y is None:
        raise ValueError(
            "requires y to be passed, but the target y is None; give one class label per row"
        )
    y = of_one_type(label_column(y))
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    if type_of_target(y) not in ("binary", "multiclass"):
        raise ValueError(f"y must be one class label per row; got {type_of_target(y)!r} targets")
    return y


def encode(y: Any, classes: NDArray[Any]) -> NDArray[np.int64]:
    """Position of each label in `classes`, which are sorted.

    Raises
    ------
    ValueError
        For a label that is not among `classes`.
    """
    y = np.asarray(y)
    codes = np.searchsorted(classes, y)
    codes[codes == len(classes)] = 0
    unknown = classes[codes] != y
    if np.any(unknown):
        raise ValueError(
            f"y has labels that are not among the classes {classes.tolist()}: "
            f"{np.unique(y[unknown])[:10].tolist()}"
        )
    return codes.astype(np.int64, copy=False)


def first_row(dataset: Dataset[Any]) -> Tensor | None:
    """One input of a user's data set, or None where it cannot be looked at."""
    if isinstance(dataset, IterableDataset):
        return None
    with preserved_randomness(torch.device("cpu")):  # a transform may be random
        X = dataset[0][0]
    return None if isinstance(X, (dict, tuple, list)) else torch.as_tensor(X)


def labels_of(dataset: Dataset[Any]) -> NDArray[Any] | None:
    """All labels of a user's data set, or None where it does not say."""
    try:
        return to_numpy(data_from_dataset(dataset)[1])
    except AttributeError:
        targets = getattr(dataset, "targets", None)  # torchvision's name
        return None if targets is None else np.asarray(targets)


class EncodedBatches:
    """The batches of a user's own loader, with labels turned into class codes."""

    def __init__(self, loader: Any, classes: NDArray[Any] | None):
        self.loader = loader
        self.classes = classes

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Any:
        for X, y in self.loader:
            if self.classes is None or y is None:
                yield X, y
            else:
                yield X, torch.from_numpy(encode(np.asarray(y), self.classes))


__all__ = [
    "EncodedBatches",
    "as_array",
    "check_consistent_length",
    "check_inputs",
    "check_labels",
    "encode",
    "first_row",
    "is_dataset",
    "labels_of",
]

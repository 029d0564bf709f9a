"""Data sets of the user's own: which inputs and labels they yield, found out before training."""

from collections.abc import Callable
from typing import Any

import numpy as np
import skorch.dataset
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_consistent_length
from torch import Tensor
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
)

from skmixup.estimators.input_types import dtype_name, forget_inputs
from skmixup.estimators.inputs import as_array, check_labels, encode
from skmixup.estimators.several_labels import check_indicators
from skmixup.labels import label_column
from skmixup.randomness.fit import items_looked_at
from skmixup.training.batches import in_memory

# How many items of a data set are compared with the labels that it lists: this many spread over
# it, and the first of each of this many classes.
COMPARED_ITEMS = 64
COMPARED_CLASSES = 1000


def refuse_loader(X: Any, what: str = "X") -> None:
    """Raise TypeError if X is a DataLoader, which has already cut the rows into batches."""
    if isinstance(X, DataLoader):
        raise TypeError(
            f"{what} is a DataLoader; pass the data set itself, loader.dataset, and what the "
            "loader was told as parameters: batch_size=…, iterator_train__num_workers=…, "
            "iterator_train__collate_fn=…"
        )


def refuse_dataset(X: Any) -> None:
    """Raise TypeError if X is a data set, where rows are to be picked for folds."""
    if isinstance(X, Dataset):
        raise TypeError(
            f"X is a {type(X).__name__}, whose rows cannot be split into folds: pass "
            "skorch.helper.SliceDataset(X), and the labels as y"
        )


def first_item(dataset: Dataset[Any]) -> tuple[Any, Any] | None:
    """Return the first input and label of a data set, or None for a stream.

    Raises
    ------
    ValueError
        If it is empty, or yields something else than pairs.
    """
    if isinstance(dataset, IterableDataset):
        return None
    name = type(dataset).__name__
    if hasattr(dataset, "__len__") and len(dataset) == 0:
        raise ValueError(f"X is a {name} of 0 samples; at least 1 is needed")
    with items_looked_at():  # a transform may be random
        item = dataset[0]
    return pair_of(item, f"a {name}")


def input_tensor(item: tuple[Any, Any], collate: Callable[..., Any] | None) -> Tensor | None:
    """Return the input of an item as the module gets it, or None unless it is one tensor.

    Parameters
    ----------
    item : tuple
        What the data set yields.
    collate : callable or None
        The user's function that makes a batch from a list of items, for instance of texts.
    """
    X = item[0]
    if collate is not None:
        with items_looked_at():
            X = input_of(collate([item, item]))
        X = X[0] if isinstance(X, Tensor) else None
    return torch.as_tensor(X) if isinstance(X, (Tensor, np.ndarray, np.generic, float)) else None


def pair_of(item: Any, what: str) -> tuple[Any, Any]:
    if isinstance(item, (tuple, list)) and len(item) == 2:
        return item[0], item[1]
    found = (
        f"{len(item)} values" if isinstance(item, (tuple, list)) else f"a {type(item).__name__}"
    )
    raise ValueError(
        f"a data set for fit yields pairs (input, label), but {what} yields {found}; several "
        "inputs of a module go into the first of the two as a tuple or dict, and sample weights "
        "are an argument of fit beside X and y as arrays"
    )


def check_label(label: Any, classes: NDArray[Any], *, several: bool = False) -> None:
    """Raise ValueError unless the label of an item is among the classes, or `several` as many."""
    if several:
        check_indicators(np.asarray(as_array(label))[None], len(classes))
        return
    encode(one_label_a_row(label_column([_plain(label)])), classes)


def check_held_out(dataset: Any, check: Callable[[Any], None]) -> None:
    """Raise an error unless rows held out are (input, label) pairs; `check` is given a label."""
    refuse_loader(dataset, "the data set held out by train_split")
    if in_memory(dataset) is None:
        first = first_item(dataset)
        if first is not None:
            check(first[1])


def input_of(batch: Any) -> Any:
    """Return the inputs of a batch to predict: the first of a pair, or all there is."""
    if not isinstance(batch, (tuple, list)):
        return batch
    if len(batch) > 2:
        pair_of(batch, "this one")
    return batch[0]


# ---- labels


def one_label_a_row(y: Any) -> NDArray[Any]:
    labels = _flat_labels(y)
    if labels.ndim != 1:
        raise ValueError(
            f"a batch has targets of shape {labels.shape}, where one label a row is expected, "
            "shape (n,). Soft and one-hot labels are not supported; a collate function that mixes "
            "rows or labels is not needed: the estimator mixes them itself (alpha, vicinity)"
        )
    return labels


def labels_of(dataset: Any, y: Any = None) -> Any:
    """Return all labels that a data set yields, or None where neither it nor `y` lists them.

    A data set may yield other labels than it lists in ``y``, ``targets`` or ``labels``, for
    instance after a transform. A few items are compared; where they differ, all items are read.
    """
    listed = _listed_labels(dataset)
    if listed is None and y is not None and len(y) == len(dataset):
        listed = y
    if listed is None or _yields_what_it_lists(dataset):
        return listed
    rows = _rows_to_compare(listed)
    with items_looked_at():
        if all(_same(dataset[i][1], listed[i]) for i in rows):
            return listed
        return [_plain(dataset[i][1]) for i in range(len(listed))]


def check_listed(dataset: Any, y: Any) -> None:
    """Raise ValueError if labels passed beside a data set are not those that it yields."""
    if isinstance(dataset, IterableDataset):
        return
    if len(y) != len(dataset):
        raise ValueError(
            f"X and y have inconsistent numbers of samples: X is a {type(dataset).__name__} of "
            f"{len(dataset)}, y has {len(y)}"
        )
    with items_looked_at():
        for i in _rows_to_compare(y):
            label = dataset[i][1]
            if not _same(label, y[i]):
                raise ValueError(
                    f"y[{i}] is {_plain(y[i])!r}, but the data set yields the label "
                    f"{_plain(label)!r} there, which is what is trained on; pass the labels that "
                    "it yields, or y=None and the parameter `classes`"
                )


def check_listed_numbers(dataset: Any, y: NDArray[np.float64]) -> None:
    """Raise ValueError if targets passed beside a data set are others than those it yields.

    That is known of data sets of arrays; others may draw the targets that they yield.
    """
    if isinstance(dataset, IterableDataset):
        return
    check_consistent_length(dataset, y)
    listed = _listed_labels(dataset) if _yields_what_it_lists(dataset) else None
    if listed is None or listed.dtype.kind not in "biuf":
        return
    listed, y = listed.reshape(len(y), -1), y.reshape(len(y), -1)
    if listed.shape != y.shape or not np.allclose(listed, y, 1e-3, 1e-3 * np.abs(y).max()):
        raise ValueError(
            f"y differs from the targets that the {type(dataset).__name__} yields, which are "
            "trained on in its mean and spread: pass the same ones, or y=None"
        )


def _listed_labels(dataset: Any) -> NDArray[Any] | None:
    if isinstance(dataset, IterableDataset):  # in an order of its own
        return None
    if isinstance(dataset, Subset):
        inner = _listed_labels(dataset.dataset)
        return None if inner is None else inner[np.asarray(dataset.indices)]
    if isinstance(dataset, ConcatDataset):
        parts = [_listed_labels(part) for part in dataset.datasets]
        return None if any(part is None for part in parts) else np.concatenate(parts)  # type: ignore[arg-type]
    if isinstance(dataset, TensorDataset):
        return _flat_labels(dataset.tensors[1]) if len(dataset.tensors) == 2 else None
    for name in ("y", "targets", "labels"):  # skorch's name, and torchvision's two
        listed = getattr(dataset, name, None)
        if listed is not None and hasattr(listed, "__len__") and len(listed) == len(dataset):
            return _flat_labels(listed)
    return None


def _flat_labels(labels: Any) -> NDArray[Any]:
    array = np.asarray(as_array(labels))
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _yields_what_it_lists(dataset: Any) -> bool:
    if type(dataset) is Subset:
        return _yields_what_it_lists(dataset.dataset)
    if type(dataset) is ConcatDataset:
        return all(map(_yields_what_it_lists, dataset.datasets))
    return type(dataset) in (TensorDataset, skorch.dataset.Dataset)


def _rows_to_compare(labels: Any) -> list[int]:
    """Rows all over the data, and the first of each label, or of each row of several."""
    array = np.asarray(labels)
    try:
        axis = 0 if array.ndim > 1 else None
        first = np.unique(array, return_index=True, axis=axis)[1][:COMPARED_CLASSES]
    except TypeError:  # None among strings, for which there is an error later
        first = np.zeros(0, dtype=int)
    spread = np.linspace(0, len(labels) - 1, min(COMPARED_ITEMS, len(labels))).astype(int)
    return np.union1d(first, spread).tolist()


def _plain(label: Any) -> Any:
    """Take a label out of a tensor, an array or a list that holds just it."""
    if isinstance(label, (list, tuple)) and len(label) == 1:
        label = label[0]
    if isinstance(label, (Tensor, np.ndarray, np.generic)) and np.shape(label) in ((), (1,)):
        return label.item()
    return label


def _same(label: Any, other: Any) -> bool:
    label, other = _plain(label), _plain(other)
    if label is None or other is None:
        return label is other
    return np.shape(label) == np.shape(other) and bool(np.all(np.asarray(label == other)))


# ---- what a fit takes from them


def labels_for(net: Any, X: Dataset[Any], y: Any, classes: Any, *, fresh: bool) -> Any:
    """Return the labels to take the classes from, or None where the classes are known already.

    If `fresh`, `net` notes the shape and type of the rows.
    """
    if fresh:
        note_inputs(net, X)
    known = not fresh or classes is not None or net.classes is not None
    if y is not None:
        y = check_labels(y)
        if not known:
            check_listed(X, y)
        return y
    labels = None if known else labels_of(X)
    if labels is None and not known:
        raise ValueError(
            f"classes cannot be read from a {type(X).__name__}; pass the labels as y, "
            "or the list of classes as the parameter `classes`"
        )
    return None if labels is None else check_labels(labels)


def note_inputs(net: Any, X: Dataset[Any]) -> None:
    """Let `net` note shape and type of the rows of a data set, where one can be looked at."""
    first = first_item(X)
    collate = net.get_params_for("iterator_train").get("collate_fn")
    row = None if first is None else input_tensor(first, collate)
    forget_inputs(net)
    if row is not None:
        net.input_shape_ = tuple(row.shape)
        net._yielded_dtype_ = dtype_name(row.dtype)
        net.n_features_in_ = row.shape[0] if row.ndim else 1

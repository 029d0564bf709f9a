"""Data sets of the user's own: what they yield, looked at before training and in each batch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import skorch.dataset
import torch
from numpy.typing import NDArray
from skorch.utils import is_dataset, to_numpy
from torch import Tensor
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
)

from skmixup.estimators.inputs import encode
from skmixup.labels import label_column
from skmixup.vicinal.batches import in_memory
from skmixup.vicinal.nested import map_tensors
from skmixup.vicinal.randomness import preserved_randomness

# Items of a data set that are compared with the labels it lists, beside the first of each class.
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
    with preserved_randomness(torch.device("cpu")):  # a transform may be random
        item = dataset[0]
    return _pair(item, f"a {name}")


def row_of(item: tuple[Any, Any], collate: Callable[..., Any] | None) -> Tensor | None:
    """One input as the module gets it, or None where it is no single tensor.

    Parameters
    ----------
    item : tuple
        What the data set yields.
    collate : callable or None
        The user's function that makes a batch of a list of items; it may make tensors of texts.
    """
    X = item[0]
    if collate is not None:
        with preserved_randomness(torch.device("cpu")):
            X = input_of(collate([item, item]))
        X = X[0] if isinstance(X, Tensor) else None
    return torch.as_tensor(X) if isinstance(X, (Tensor, np.ndarray, np.generic, float)) else None


def _pair(item: Any, what: str) -> tuple[Any, Any]:
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


def check_label(label: Any, classes: NDArray[Any]) -> None:
    """Raise ValueError unless the label of an item is one, and among the classes."""
    encode(one_label_a_row(label_column([_plain(label)])), classes)


def check_held_out(dataset: Any, classes: NDArray[Any]) -> None:
    """Raise an error if rows held out are no data set of pairs with labels among the classes."""
    refuse_loader(dataset, "the data set held out by train_split")
    if in_memory(dataset) is None:
        first = first_item(dataset)
        if first is not None:
            check_label(first[1], classes)


def input_of(batch: Any) -> Any:
    """Return the inputs of a batch to predict: the first of a pair, or all there is."""
    if not isinstance(batch, (tuple, list)):
        return batch
    if len(batch) > 2:
        _pair(batch, "this one")
    return batch[0]


# ---- labels


def labels_of(dataset: Any, y: Any = None) -> Any:
    """All labels that a data set yields, or None where it lists none and none are listed in `y`.

    What it lists (``y``, ``targets``, ``labels``) need not be what it yields, after a transform of
    targets for instance. Where items differ from the list, all items are read.
    """
    listed = _listed_labels(dataset)
    if listed is None and y is not None and len(y) == len(dataset):
        listed = y
    if listed is None or _yields_what_it_lists(dataset):
        return listed
    rows = _rows_to_compare(listed)
    with preserved_randomness(torch.device("cpu")):
        if all(_same(dataset[i][1], listed[i]) for i in rows):
            return listed
        return [_plain(dataset[i][1]) for i in range(len(listed))]


def check_listed(dataset: Any, y: Any) -> None:
    """Raise ValueError if labels given beside a data set are not those it yields."""
    if isinstance(dataset, IterableDataset):
        return
    if len(y) != len(dataset):
        raise ValueError(
            f"X and y have inconsistent numbers of samples: X is a {type(dataset).__name__} of "
            f"{len(dataset)}, y has {len(y)}"
        )
    with preserved_randomness(torch.device("cpu")):
        for i in _rows_to_compare(y):
            label = dataset[i][1]
            if not _same(label, y[i]):
                raise ValueError(
                    f"y[{i}] is {_plain(y[i])!r}, but the data set yields the label "
                    f"{_plain(label)!r} there, which is what is trained on; pass the labels that "
                    "it yields, or y=None and the parameter `classes`"
                )


def _listed_labels(dataset: Any) -> NDArray[Any] | None:
    if isinstance(dataset, Subset):
        inner = _listed_labels(dataset.dataset)
        return None if inner is None else inner[np.asarray(dataset.indices)]
    if isinstance(dataset, ConcatDataset):
        parts = [_listed_labels(part) for part in dataset.datasets]
        return None if any(part is None for part in parts) else np.concatenate(parts)  # type: ignore[arg-type]
    if isinstance(dataset, TensorDataset):
        return _column(dataset.tensors[1]) if len(dataset.tensors) == 2 else None
    for name in ("y", "targets", "labels"):  # skorch's name, and torchvision's two
        listed = getattr(dataset, name, None)
        if listed is not None and hasattr(listed, "__len__") and len(listed) == len(dataset):
            return _column(listed)
    return None


def _column(labels: Any) -> NDArray[Any]:
    array = to_numpy(labels) if isinstance(labels, Tensor) else np.asarray(labels)
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _yields_what_it_lists(dataset: Any) -> bool:
    if type(dataset) is Subset:
        return _yields_what_it_lists(dataset.dataset)
    if type(dataset) is ConcatDataset:
        return all(map(_yields_what_it_lists, dataset.datasets))
    return type(dataset) in (TensorDataset, skorch.dataset.Dataset)


def _rows_to_compare(labels: Any) -> list[int]:
    """Rows all over the data, and the first of each label."""
    try:
        first = np.unique(np.asarray(labels), return_index=True)[1][:COMPARED_CLASSES]
    except TypeError:  # None among strings: the labels are refused later, with a word about it
        first = np.zeros(0, dtype=int)
    spread = np.linspace(0, len(labels) - 1, min(COMPARED_ITEMS, len(labels))).astype(int)
    return np.union1d(first, spread).tolist()


def _plain(label: Any) -> Any:
    """A label without its tensor or its array of one element."""
    if isinstance(label, (Tensor, np.ndarray, np.generic)) and np.shape(label) in ((), (1,)):
        return label.item()
    return label


def _same(label: Any, other: Any) -> bool:
    label, other = _plain(label), _plain(other)
    if label is None or other is None:
        return label is other
    return np.shape(label) == np.shape(other) and bool(np.all(np.asarray(label == other)))


# ---- inputs


def input_cast(net: Any) -> Callable[[Any], Any]:
    """Return what gives batches of a data set the type that the module takes.

    As arrays do, floating numbers, booleans and small integers become the floating type of the
    module. Integers of 32 and 64 bits stay what they are if the user's module takes them, as one
    that looks them up in a table does.
    """
    floating = _floating_dtype(net)
    integers = _integer_dtype(net)

    def cast(X: Any) -> Any:
        if not isinstance(X, Tensor):  # of several, masks and codes among them, floating ones
            return map_tensors(lambda part: part.to(floating) if _is_floating(part) else part, X)
        if X.dtype.is_complex:
            return X
        return X.to(floating if X.dtype.is_floating_point else integers)

    return cast


def _is_floating(X: Any) -> bool:
    return isinstance(X, Tensor) and X.dtype.is_floating_point


def _floating_dtype(net: Any) -> torch.dtype:
    parameters = net.module_.parameters()
    return next((p.dtype for p in parameters if p.is_floating_point()), torch.float32)


def _integer_dtype(net: Any) -> torch.dtype:
    known = net.__dict__.get("_input_dtype_")
    if known is not None:
        dtype: torch.dtype = getattr(torch, known)
        return _floating_dtype(net) if dtype.is_floating_point else dtype
    lookups = (torch.nn.Embedding, torch.nn.EmbeddingBag)
    looks_up = any(isinstance(module, lookups) for module in net.module_.modules())
    return torch.int64 if looks_up else _floating_dtype(net)


def try_inputs(net: Any, rows: Any, *, cast: bool) -> Any:
    """Return the module's output for a few rows, in the first type of input that it takes.

    Remembers that type as ``_input_dtype_``, and raises the error of the first that was tried.
    Rows of an array are tried as they are, without `cast`.
    """
    if not isinstance(rows, Tensor):
        return net.infer(rows)
    floating = _floating_dtype(net)
    if not cast or rows.dtype.is_complex:
        tried = [rows.dtype]
    elif rows.dtype in (torch.int32, torch.int64):
        tried = [floating] if net.module is None else [rows.dtype, floating]
    else:
        tried = [floating] if rows.dtype.is_floating_point else [floating, torch.int64]
    first_error = None
    for dtype in tried:
        try:
            output = net.infer(rows.to(dtype))
        except Exception as error:
            first_error = first_error or error
        else:
            net._input_dtype_ = str(dtype).removeprefix("torch.")
            return output
    assert first_error is not None
    if rows.dtype.is_floating_point and any(part in str(first_error) for part in _WANT_INTEGERS):
        raise TypeError(
            f"{type(net.module_).__name__} looks its input up in a table, which takes integers, "
            f"but X comes as {rows.dtype}: arrays are converted to float32. Let the module's "
            "forward call x.long(), or pass a Dataset, whose integers of 64 bits stay integers "
            f"({first_error})"
        ) from first_error
    raise first_error


# What torch says where integers are looked up: Embedding, one_hot, indexing.
_WANT_INTEGERS = (
    "scalar types: Long, Int",
    "only applicable to index tensor",
    "tensors used as indices",
)


class DatasetBatches:
    """The batches of a user's own data or loader: inputs cast, labels turned into class codes."""

    def __init__(self, loader: Any, cast: Callable[[Any], Any], classes: NDArray[Any] | None):
        self.loader = loader
        self.cast = cast
        self.classes = classes

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for batch in self.loader:
            X, y = _pair(batch, "this one")
            if self.classes is not None and y is not None:
                y = torch.from_numpy(encode(one_label_a_row(y), self.classes))
            yield self.cast(X), y

    def inputs(self) -> Iterator[tuple[Any, None]]:
        """Batches to predict, whatever labels there are, if any."""
        for batch in self.loader:
            yield self.cast(input_of(batch)), None


class CollatedBatches:
    """Batches of class codes that went through a user's collate function."""

    def __init__(self, loader: Any, *, weighted: bool):
        self.loader = loader
        self.weighted = weighted

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.loader:
            X, y = _pair(batch, "its collate function")
            paired = self.weighted and isinstance(y, (tuple, list)) and len(y) == 2
            one_label_a_row(y[0] if paired else y)
            yield X, y


def one_label_a_row(y: Any) -> NDArray[Any]:
    labels = _column(y)
    if labels.ndim != 1:
        raise ValueError(
            f"a batch has targets of shape {labels.shape}, where one label a row is expected, "
            "shape (n,). Soft and one-hot labels are not supported; a collate function that mixes "
            "rows or labels is not needed: the estimator mixes them itself (alpha, vicinity)"
        )
    return labels


__all__ = [
    "CollatedBatches",
    "DatasetBatches",
    "check_held_out",
    "check_label",
    "check_listed",
    "first_item",
    "input_cast",
    "is_dataset",
    "labels_of",
    "refuse_loader",
    "row_of",
    "try_inputs",
]

"""Whole-tensor minibatches: one gather for each batch instead of one Python call for each row."""

from collections.abc import Callable, Iterator, Mapping
from math import inf
from typing import Any

import numpy as np
import skorch.dataset
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Subset

from skmixup.vicinal.nested import leading, map_tensors, rows_at, sent, tensors_in


class ArrayDataset(skorch.dataset.Dataset):
    """A data set in memory, with class codes and weights beside the labels.

    Parameters
    ----------
    X : ndarray or Tensor of shape (n, …), or dict of these
        Not copied. Images of uint8 stay so; rows of them that are read are float32.
    y : array of shape (n,), optional
        Labels as the user wrote them, for callbacks and splitters.
    target : ndarray of shape (n,), optional
        What the loss is computed on: class codes 0 … C − 1, or real values; default `y`.
    weight : ndarray of shape (n,), optional
        Weight of each row in the loss.
    """

    def __init__(self, X: Any, y: Any = None, target: Any = None, weight: Any = None):
        super().__init__(X, y)
        self.inputs = map_tensors(as_tensor, X) if isinstance(X, Mapping) else as_tensor(X)
        target = y if target is None else target
        self.target = None if target is None else as_tensor(target)
        self.weight = None if weight is None else as_tensor(weight)

    def __getitem__(self, i: Any) -> tuple[Any, Any]:
        return self.inputs_at(i), targets_at(self, i)

    def inputs_at(self, index: Any) -> Any:
        """Rows at `index`; of images of uint8 as floats."""
        return _rows(self.inputs, lambda x: x[index])


def _rows(inputs: Any, read: Callable[[Tensor], Tensor]) -> Any:
    """Read rows of each tensor of `inputs`; images of uint8 become floats."""
    return map_tensors(lambda x: read(x).float() if is_pixels(x) else read(x), inputs)


def targets_at(data: ArrayDataset, index: Any) -> Any:
    """Return the second half of a batch: the targets at `index`, with their weights if any."""
    if data.target is None:
        # skorch's placeholder where there is no y
        return torch.zeros(() if isinstance(index, slice) else np.shape(index))
    if data.weight is None:
        return data.target[index]
    return data.target[index], data.weight[index]


def split_targets(y: Any) -> tuple[Any, Any]:
    """Take apart what :func:`targets_at` put together: targets, and weights or None."""
    if isinstance(y, (tuple, list)) and len(y) == 2:
        return y[0], y[1]
    return y, None


def in_memory(dataset: Any) -> tuple[ArrayDataset, NDArray[np.int64] | None] | None:
    """Return the :class:`ArrayDataset` behind nested subsets and the rows taken, or None.

    Subclasses do not count: they may give other rows than they hold, by a transform for instance.
    """
    if type(dataset) is ArrayDataset:
        return dataset, None
    if type(dataset) is Subset and (inner := in_memory(dataset.dataset)) is not None:
        data, rows = inner
        chosen = np.asarray(dataset.indices)
        return data, chosen if rows is None else rows[chosen]
    return None


class TensorBatches:
    """Iterate over an :class:`ArrayDataset`, or a subset of one, in whole-tensor minibatches.

    Parameters
    ----------
    dataset : Dataset
    batch_size : int
        The last batch of an epoch may be smaller.
    shuffle : bool, default=False
        Take the rows in a new order each epoch.
    drop_last : bool, default=False
        Leave out a last batch that is not full.
    device : torch.device or str, default="cpu"
        Where batches are wanted. The data move there once, if they take at most half of the
        memory that is free, and batch by batch otherwise.
    generator : torch.Generator, optional
        What the order is drawn from; None: torch's process-wide generator.

    Notes
    -----
    Batches are copies: a module that works in place does not change the user's data. Nothing else
    is copied, so that memory stays at the data plus one batch.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        batch_size: int,
        shuffle: bool = False,
        drop_last: bool = False,
        device: torch.device | str = "cpu",
        generator: torch.Generator | None = None,
    ):
        found = in_memory(dataset)
        if found is None:
            raise TypeError(
                f"TensorBatches reads ArrayDataset and its subsets, not {type(dataset).__name__}; "
                "use torch.utils.data.DataLoader"
            )
        self.data, rows = found
        self.rows = None if rows is None else torch.from_numpy(rows)
        self.n_rows = len(self.data) if rows is None else len(rows)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.device = torch.device(device)
        self.generator = generator
        if self.device.type == "cuda" and has_room(self.data.inputs, self.device):
            self.data = _moved(self.data, self.device)

    @property
    def draws_alone(self) -> bool:
        """Whether iterating leaves the process-wide random states alone."""
        return self.generator is not None or not self.shuffle

    def __len__(self) -> int:
        full, rest = divmod(self.n_rows, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        inputs = self.data.inputs
        order = torch.randperm(self.n_rows, generator=self.generator) if self.shuffle else None
        if self.rows is not None:
            order = self.rows if order is None else self.rows[order]
        if order is not None:
            order = order.to(leading(inputs).device)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            stop = min(start + self.batch_size, self.n_rows)
            if order is None:
                index: Any = slice(start, stop)
                yield _copied(inputs, index, self.device), targets_at(self.data, index)
            else:
                index = order[start:stop]
                yield _gathered(inputs, index, self.device), targets_at(self.data, index)


def _copied(inputs: Any, index: slice, device: torch.device) -> Any:
    def read(x: Tensor) -> Tensor:
        moves = is_pixels(x) or x.device.type != device.type
        return sent(x[index], device) if moves else x[index].clone()

    return _rows(inputs, read)


def _gathered(inputs: Any, index: Tensor, device: torch.device) -> Any:
    def read(x: Tensor) -> Tensor:
        return sent(rows_at(x, index) if is_pixels(x) else x.index_select(0, index), device)

    return _rows(inputs, read)


def has_room(inputs: Any, device: torch.device) -> bool:
    """Whether `inputs` take at most half of the memory of a GPU that is free."""
    tensors = [x for _, x in tensors_in(inputs) if isinstance(x, Tensor)]
    size = sum(x.element_size() * x.nelement() for x in tensors)
    free: int = torch.cuda.mem_get_info(device)[0]
    return 2 * size <= free


def _moved(data: ArrayDataset, device: torch.device) -> ArrayDataset:
    target = None if data.target is None else data.target.to(device)
    weight = None if data.weight is None else data.weight.to(device)
    inputs = map_tensors(lambda x: x.to(device), data.inputs)
    return ArrayDataset(inputs, target=target, weight=weight)


#: Images of floats with no larger value have been scaled: pixels of uint8 are 0 … 255.
SCALED = 16.0


def is_pixels(X: Any) -> bool:
    """Whether `X`, an array or a tensor, is images of uint8, which become float32 in batches."""
    return getattr(X, "dtype", None) in (np.uint8, torch.uint8) and X.ndim >= 4


def lies_on_a_disk(X: Any) -> bool:
    """Whether `X`, an array or a dict of arrays, is read from a file as it is needed."""
    if isinstance(X, Mapping):
        return any(map(lies_on_a_disk, X.values()))
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap):
            return True
        X = X.base  # what np.asarray makes of a memory map is a view of it
    return False


def as_tensor(x: Any) -> Tensor:
    """Tensor that shares memory with `x`, also where `x` is a read-only array.

    Read-only arrays are common (pandas, memory maps of joblib workers). ``torch.from_numpy`` warns
    of them because torch has no read-only tensors; nobody here writes to the data, since batches
    are copies.
    """
    if isinstance(x, Tensor):
        return x.detach()
    x = np.asarray(x)
    if any(stride < 0 for stride in x.strides):
        x = np.ascontiguousarray(x)
    return torch.from_numpy(x if x.flags.writeable else np.asarray(_WritableAlias(x)))


class _WritableAlias:
    """Offers the memory of a read-only array through numpy's array interface as writable."""

    def __init__(self, x: NDArray[Any]):
        self.owner = x
        self.__array_interface__ = {
            **x.__array_interface__,
            "data": (x.__array_interface__["data"][0], False),
        }


def auto_batch_size(n_rows: int) -> int:
    """Some thirty steps an epoch up to 64 rows; from 8192 rows on n/128, within 16 … 256.

    Tables of several thousand rows need more steps than a thirty-second of them gives, and small
    batches cost a CPU little.
    """
    rows = max(n_rows / 128, min(n_rows / 32, 64), 16)
    return int(min(2 ** round(np.log2(rows)), 256))


def n_batches(batches: Any) -> float:
    """Return the number of batches; infinity where a stream of rows does not tell."""
    try:
        return len(batches)
    except TypeError:
        return inf

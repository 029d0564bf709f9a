"""Batches of a user's own data set or loader, converted to what a training step takes."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from skmixup.estimators.datasets import input_of, one_label_a_row, pair_of


class DatasetBatches:
    """Batches of a user's own data set or loader: inputs are cast, labels or targets encoded."""

    def __init__(
        self, loader: Any, cast: Callable[[Any], Any], encode: Callable[[Any], Tensor] | None
    ):
        self.loader = loader
        self.cast = cast
        self.encode = encode

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for batch in self.loader:
            X, y = pair_of(batch, "this one")
            if self.encode is not None and y is not None:
                y = self.encode(_joined(y, self.loader))
            yield self.cast(X), y

    def inputs(self) -> Iterator[tuple[Any, None]]:
        """Batches of inputs without labels, to predict."""
        for batch in self.loader:
            yield self.cast(input_of(batch)), None


def _joined(y: Any, loader: Any) -> Any:
    """Make rows of the columns that torch makes of targets which are lists or tuples."""
    ours = getattr(loader, "collate_fn", None) is default_collate
    if ours and isinstance(y, (list, tuple)) and y and all(isinstance(c, Tensor) for c in y):
        return torch.stack([*y], dim=1)
    return y


class CollatedBatches:
    """Batches of class codes that went through a user's collate function.

    Parameters
    ----------
    loader : iterable of (X, y)
    weighted : bool
        Whether y is a pair of codes and weights.
    matrix : bool
        Whether, instead of codes, a row has numbers for several labels or classes.
    """

    def __init__(self, loader: Any, *, weighted: bool, matrix: bool):
        self.loader = loader
        self.weighted = weighted
        self.matrix = matrix

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.loader:
            X, y = pair_of(batch, "its collate function")
            paired = self.weighted and isinstance(y, (tuple, list)) and len(y) == 2
            if not self.matrix:
                one_label_a_row(y[0] if paired else y)
            yield X, y

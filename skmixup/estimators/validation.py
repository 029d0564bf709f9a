"""Rows held out of a fit to be scored: which rows, and how they are prepared."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import skorch.dataset
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils.validation import check_consistent_length
from skorch.utils import data_from_dataset, multi_indexing
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset

from skmixup.estimators.datasets import labels_of
from skmixup.estimators.inputs import as_array
from skmixup.estimators.monitors import check_monitors
from skmixup.estimators.persistence import PersistentNet
from skmixup.labels import is_matrix
from skmixup.training.batches import ArrayDataset, in_memory


class HoldingOutNet(PersistentNet):
    """A net that holds out rows as `train_split` says, and scores them."""

    def check_callbacks(self) -> None:
        """Raise ValueError for a callback that watches a score that nobody computes."""
        of_user = self.users_classes()
        splits_itself = any("get_split_datasets" in vars(c) for c in of_user)
        held_out = bool(self.train_split) or splits_itself
        check_monitors(self.callbacks_, held_out=held_out, open_ended=bool(of_user))

    def check_groups(self, groups: Any) -> None:
        """Raise ValueError for groups where no rows are held out."""
        self.refuse_groups(groups)

    def refuse_groups(self, groups: Any) -> None:
        """Raise ValueError for groups without a `train_split`."""
        if groups is not None and not self.train_split:
            raise ValueError(
                "groups say which rows train_split holds out together, but train_split=None holds "
                "out none: pass for instance train_split=0.2"
            )

    @contextmanager
    def split_as_callable(self) -> Iterator[None]:
        """Let `train_split` be a function, as skorch wants it, with the same rows in each call."""
        given, state = self.train_split, self._fit_state_
        groups = None if state is None else state.groups
        if not given or (callable(given) and groups is None):
            yield
            return
        if "_split_seed_" not in self.__dict__:
            self._split_seed_ = int(self._rng_.integers(2**32))
        held_out = HeldOut(given, groups, self._split_seed_, self.names_rows(), self.strata_of)
        object.__setattr__(self, "train_split", held_out)
        try:
            yield
        finally:
            object.__setattr__(self, "train_split", given)

    def strata(self, data: ArrayDataset) -> NDArray[np.int64] | None:
        """Return the class of each row of data in memory, or None: real values have no strata."""
        target = data.target
        return None if target is None or target.is_floating_point() else target.numpy()

    def strata_of(self, dataset: Any, y: Any) -> NDArray[np.int64] | None:
        """Return the class of each row of any data set, or None where rows have or list none."""
        found = in_memory(dataset)
        if found is not None and found[0].target is not None:
            data, rows = found
            codes = self.strata(data)
            return codes if rows is None or codes is None else codes[rows]
        return self.listed_strata(dataset, y)

    def listed_strata(self, dataset: Any, y: Any) -> NDArray[np.int64] | None:
        """Return the class of each row of a data set that is not in memory, or None."""
        labels = labels_of(dataset) if y is None else y
        if labels is None or is_matrix(labels):  # of several labels per row
            return None
        return np.unique(np.asarray(labels), return_inverse=True)[1].ravel()

    def names_rows(self) -> bool:
        """Whether a sampler of the user's names rows to train on by their positions."""
        params = self.get_params_for("iterator_train")
        return any(params.get(name) is not None for name in ("sampler", "batch_sampler"))

    def check_split(self, split: Any) -> None:
        """Raise an error unless a `train_split` of the user's returned two data sets with rows."""
        if not callable(self.train_split):
            return
        what = f"train_split={self.train_split!r} must return two data sets, one to train on and "
        what += "one held out (or None)"
        if not isinstance(split, (tuple, list)) or len(split) != 2:
            got = f" of {len(split)}" if isinstance(split, (tuple, list)) else ""
            raise ValueError(f"{what}; got a {type(split).__name__}{got}")
        for part, role in zip(split, ("to train on", "to hold out"), strict=True):
            if isinstance(part, (np.ndarray, Tensor)):
                raise TypeError(
                    f"{what}, such as torch.utils.data.Subset(dataset, rows); got a "
                    f"{type(part).__name__} {role}"
                )
            if part is not None and hasattr(part, "__len__") and len(part) == 0:
                raise ValueError(f"{what}, with rows in both; there is none {role}")

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Split as `train_split` says; arrays that are held out are checked as X is."""
        train, valid = super().get_split_datasets(X, y, **fit_params)
        arrays = None
        if valid is not None and in_memory(train) is not None and in_memory(valid) is None:
            arrays = arrays_of(valid)
        return train, valid if arrays is None else self._array_dataset(*arrays)

    def _array_dataset(self, X: Any, y: Any) -> Any:
        """Return rows with their labels as a data set in memory."""
        raise NotImplementedError


@dataclass(frozen=True)
class HeldOut:
    """The user's `train_split` as a function, which is what skorch calls.

    Parameters
    ----------
    given : float or callable
        A fraction of the rows, the same in every class, or a function such as skorch's
        ValidSplit.
    groups : array-like of shape (n,), or None
        Rows of a group are held out together.
    seed : int
        Which rows make up the fraction.
    all_rows : bool
        Whether the fraction is one of all rows; otherwise of those that count.
    strata : callable
        Returns the class of each row of a data set and its y, or None where rows have none.
    """

    given: Any
    groups: Any
    seed: int
    all_rows: bool
    strata: Callable[[Any, Any], NDArray[np.int64] | None]

    def __call__(self, dataset: Any, y: Any = None) -> tuple[Any, Any]:
        """Return the data set to train on and the one held out."""
        groups = {}
        if self.groups is not None:
            check_consistent_length(np.empty(len(dataset)), self.groups)
            groups = {"groups": self.groups}
        if callable(self.given):
            labels = () if y is None else (y,)  # as skorch calls it
            train, valid = self.given(dataset, *labels, **groups)
            return train, valid
        if not hasattr(dataset, "__len__") or isinstance(dataset, IterableDataset):
            raise ValueError(
                f"train_split={self.given!r} needs to know which rows there are, which a "
                f"{type(dataset).__name__} does not say; pass skorch.helper.predefined_split(…) "
                "with a data set to hold out"
            )
        codes = self.strata(dataset, y)
        options = {"test_size": self.given, "random_state": self.seed}
        rows = None if self.all_rows else _rows_with_weight(dataset, codes)
        if rows is not None:
            dataset, codes = Subset(dataset, rows), None if codes is None else codes[rows]  # type: ignore[arg-type]
            groups = {name: np.asarray(as_array(values))[rows] for name, values in groups.items()}
        if codes is not None and _are_probabilities(dataset):
            n_held_out = ceil(self.given * len(codes))
            codes = joined(codes, min(n_held_out, len(codes) - n_held_out))
        if groups:
            splitter = GroupShuffleSplit(1, **options)
        else:
            splitter = (ShuffleSplit if codes is None else StratifiedShuffleSplit)(1, **options)
        parted, kept = np.arange(len(dataset)), np.arange(0)
        if codes is not None and np.count_nonzero(codes < 0) == 1 and not groups:
            # one row without a label cannot be parted, and is trained on
            parted, kept = np.flatnonzero(codes >= 0), np.flatnonzero(codes < 0)
            codes = codes[parted]
        try:
            train, valid = next(splitter.split(parted, codes, **groups))
        except ValueError as error:
            raise ValueError(f"train_split={self.given!r} is not possible: {error}") from error
        trained_on: Any = np.append(parted[train], kept)
        return Subset(dataset, trained_on), Subset(dataset, parted[valid])


def _are_probabilities(dataset: Any) -> bool:
    """Whether the classes of rows, which they have, are the most probable of soft labels."""
    found = in_memory(dataset)
    target = None if found is None else found[0].target
    return target is not None and target.is_floating_point()


def joined(codes: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Join the smallest classes until each has two rows and there are at most so many.

    Every class can then be parted. A class that the user names but once is an error; one that is
    the most probable of a single row is none.
    """
    counts = np.bincount(codes)
    order = np.argsort(-counts, kind="stable")
    kept = [c for c in order if counts[c] > 1]
    if len(kept) > most or len(kept) == most < np.count_nonzero(counts):
        kept = kept[: most - 1]
    strata = np.full(len(counts), -1)
    strata[kept] = kept
    found = strata[codes]
    if np.count_nonzero(found < 0) == 1 and kept:
        found[found < 0] = kept[0]
    return found


def _rows_with_weight(dataset: Any, codes: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    """Positions of the rows that count, or have no label; None: all do, or no weights are listed.

    The others might as well be absent: of arrays in memory they already are.
    """
    found = in_memory(dataset)
    if found is None or found[0].weight is None:
        return None
    rows = found[1]
    counts = np.asarray(found[0].weight) > 0
    counts = counts if rows is None else counts[rows]
    if codes is not None:
        counts |= codes < 0
    return None if counts.all() else np.flatnonzero(counts)


def arrays_of(dataset: Dataset[Any]) -> tuple[Any, Any] | None:
    """Return X and y if the data set yields just their rows, else None."""
    inner, rows = dataset, None
    while type(inner) is Subset:
        chosen = np.asarray(inner.indices)
        inner, rows = inner.dataset, chosen if rows is None else chosen[rows]
    # subclasses may yield other rows than they hold
    if type(inner) not in (skorch.dataset.Dataset, TensorDataset):
        return None
    try:
        X, y = data_from_dataset(inner)
    except AttributeError:  # a TensorDataset of more or fewer than two tensors
        return None
    if y is None or isinstance(X, (list, tuple)):
        return None
    return (X, y) if rows is None else (multi_indexing(X, rows), multi_indexing(y, rows))

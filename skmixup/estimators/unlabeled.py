"""Rows without a label: told apart from labelled ones, and batched beside them."""

import warnings
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import StratifiedKFold
from torch.utils.data import Dataset, Subset

from skmixup.estimators.inputs import check_labels
from skmixup.labels import label_column
from skmixup.training.batches import in_memory
from skmixup.training.consistency_net import ConsistencyNet

# scikit-learn's mark of an unlabelled row
UNLABELED = -1
# what is left of it among strings
_AS_STRING = ("-1", "-1.0")

_FOR_A_PART = (
    "Each call of partial_fit needs one, as with consistency alone a network may predict the same "
    "everywhere: give these rows beside labelled ones, which may be those of earlier calls"
)


def split_labels(
    y: ArrayLike | None, *, of_a_part: bool = False
) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[Any]]:
    """Take y apart: as an array, which rows are labelled, and their labels.

    Parameters
    ----------
    y : array-like of shape (n,)
    of_a_part : bool
        Whether it is of a part of the rows, as `partial_fit` gets them; for the error.

    Raises
    ------
    ValueError
        If no row is labelled, if the labelled rows do not hold class labels, or if the mark of
        unlabelled rows became something else: the string "-1", NaN, or 255 in unsigned bytes.
    """
    if y is None:
        check_labels(y)
    array = label_column(
        y, advice=f"rows without a label are marked {UNLABELED}; a pandas y.fillna({UNLABELED})"
    )
    _check_mark(array)
    if array.dtype.kind in "iufb":
        labeled = array != UNLABELED
    else:
        labeled = np.array([label != UNLABELED for label in array.tolist()], dtype=bool)
    if not labeled.any():
        advice = _FOR_A_PART if of_a_part else "Give at least one labelled row of each class"
        raise ValueError(f"y has no labelled row: all {len(array)} are {UNLABELED}. {advice}")
    labels = array[labeled]
    if array.dtype.kind == "O" and len({type(label) for label in labels}) == 1:
        labels = np.array(labels.tolist())  # without −1, an array of their own type will do
        if labels.dtype.kind in "if":  # as then for all; scorers do not know numbers as objects
            array = array.astype(labels.dtype)
    return array, labeled, check_labels(labels)


def warn_of_no_unlabeled_row() -> None:
    """Warn where all rows have a label, as estimators around may have numbered −1 anew."""
    warnings.warn(
        f"y holds no {UNLABELED}, so every row counts as labelled. VotingClassifier, "
        f"StackingClassifier, BaggingClassifier and others number labels anew: a {UNLABELED} that "
        "they were given is a class here. Fit this estimator outside of them, and average "
        "probabilities. Where all rows do have a label, MixupClassifier does the same; "
        "unlabeled_weight=0 goes without this warning",
        UserWarning,
        stacklevel=3,
    )


def _check_mark(y: NDArray[Any]) -> None:
    """Raise ValueError where −1 was written, but is something else in an array of that type."""
    if y.dtype.kind == "u":
        wrapped = np.iinfo(y.dtype).max
        if np.any(y == wrapped):
            raise ValueError(
                f"y is of the unsigned type {y.dtype} and holds {wrapped}, which {UNLABELED} "
                "becomes there; give it a signed type, as by y.astype(int), before rows are marked"
            )
        return
    if y.dtype.kind not in "OUST":
        return
    strings = np.unique([label for label in y.tolist() if isinstance(label, str)])
    of_bytes = {label.decode(errors="replace") for label in y.tolist() if isinstance(label, bytes)}
    marks = [label for label in {*strings.tolist(), *of_bytes} if label.strip() in _AS_STRING]
    if marks:
        raise ValueError(
            f"y is an array of strings that holds {marks[0]!r}; unlabelled rows are marked by the "
            f"integer {UNLABELED}, which beside strings needs an array of dtype=object: "
            f"y = np.array(y, dtype=object); y[y == {marks[0]!r}] = {UNLABELED}. If it is a class "
            "of yours, give that another name"
        )


class LabeledStratifiedKFold(StratifiedKFold):
    """Stratified folds that are scored on labelled rows only; the rest is always trained on.

    scikit-learn's splitters put unlabelled rows, y = −1, into the scored folds, where scorers
    count every prediction as wrong. This one splits the labelled rows and adds all the unlabelled
    ones to each training part.

    Parameters
    ----------
    n_splits, shuffle, random_state
        As in :class:`~sklearn.model_selection.StratifiedKFold`. Every class needs `n_splits`
        labelled rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skmixup import LabeledStratifiedKFold
    >>> y = np.array([0, 1, -1, -1, 0, 1])
    >>> for train, test in LabeledStratifiedKFold(n_splits=2).split(np.zeros((6, 1)), y):
    ...     print(train, test)
    [2 3 4 5] [0 1]
    [0 1 2 3] [4 5]
    """

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Any]:
        """Yield positions of training rows and of scored rows.

        Parameters
        ----------
        X : array-like of shape (n, …)
        y : array-like of shape (n,)
            Labels, −1 where there is none.
        groups : ignored

        Yields
        ------
        train, test : ndarray of int
        """
        _, labeled, labels = split_labels(y)
        known, unknown = np.flatnonzero(labeled), np.flatnonzero(~labeled)
        for train, test in super().split(known, labels):
            yield np.union1d(known[train], unknown), known[test]


def rows_of(dataset: Dataset[Any], *, labeled: bool) -> Subset[Any]:
    """Return the labelled or the unlabelled rows of a data set in memory."""
    found = in_memory(dataset)
    if found is None or found[0].target is None:
        raise TypeError(f"cannot tell labelled rows of a {type(dataset).__name__}")
    target, rows = found[0].target, found[1]
    codes = np.asarray(target if rows is None else target[rows])
    return Subset(dataset, np.flatnonzero((codes != UNLABELED) == labeled))  # type: ignore[arg-type]


class PairedBatches:
    """(X, y, u): the longer of two iterables once, the shorter again and again beside it."""

    def __init__(self, labeled: Any, unlabeled: Any):
        self.labeled = labeled
        self.unlabeled = unlabeled

    @property
    def draws_alone(self) -> bool:
        """Whether iterating leaves the process-wide random states alone."""
        return all(getattr(part, "draws_alone", False) for part in (self.labeled, self.unlabeled))

    def __len__(self) -> int:
        return max(len(self.labeled), len(self.unlabeled))

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        pairs = zip(_endless(self.labeled), _endless(self.unlabeled), strict=False)
        for (X, y), (u, _) in islice(pairs, len(self)):
            yield X, y, u


def _endless(batches: Any) -> Iterator[Any]:
    while True:
        yield from batches


class PartlyLabeledNet(ConsistencyNet):
    """A net on arrays of rows of which some have a label: what it trains on, and is scored on."""

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        """Split as `train_split` says; of the rows held out, keep those with a label."""
        train, valid = super().get_split_datasets(X, y, **fit_params)
        if valid is None:
            return train, None
        scored = rows_of(valid, labeled=True)
        if not len(scored):
            raise ValueError(
                f"train_split held out {len(valid)} rows, none of them with a label to score; "
                "hold out more, or use skorch.helper.predefined_split with labelled rows"
            )
        return train, scored

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Batches of labelled and of unlabelled rows, side by side, for training."""
        if not training:
            return super().get_iterator(dataset)
        labeled, unlabeled = (rows_of(dataset, labeled=which) for which in (True, False))
        if not len(labeled):
            raise ValueError("train_split left no labelled row to train on")
        batches = super().get_iterator(labeled, training=True)
        if len(unlabeled):
            batches = PairedBatches(batches, super().get_iterator(unlabeled, training=True))
        state = self._fit_state_
        if state is not None:
            state.n_steps = len(batches)
        return batches

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Tell the callbacks; those that score the training rows get the ones with a label."""
        if method_name == "on_epoch_end" and "dataset_train" in kwargs:
            kwargs["dataset_train"] = rows_of(kwargs["dataset_train"], labeled=True)
        super().notify(method_name, **kwargs)

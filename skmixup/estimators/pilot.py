"""How long to train, and how bold to be: found on rows held out, before all are trained on.

No number of epochs is right for all tables: where targets are noisy a few are enough and more do
harm, where they follow from the columns many are needed. So a pilot of the same estimator is
trained on a part of the rows at a constant learning rate, with a moving average of its weights,
which may be stopped anywhere; of the numbers of epochs tried, the one with the smallest loss on
the rows held out is taken. Then all rows are trained on. What the loss is stands in
:mod:`~skmixup.estimators.pilot_judges`: the log-loss at the best temperature, or for numbers the
criterion. Where trees find that few of the columns matter, half of a pilot's members have columns
weighted by what they find, and so have those of the network, unless all members together are worse
than the others alone.

References
----------
Hägele, Bakouch, Kosson, Ben Allal, Von Werra, Jaggi: Scaling Laws and Compute-Optimal Training
Beyond Fixed Training Durations. NeurIPS 2024, arXiv:2405.18392 (a constant rate with averaged
weights stands for training runs of all lengths at once).
Holzmüller, Berta, Bach: Rethinking Early Stopping: Refine, Then Calibrate. arXiv:2501.19195
(stop by the log-loss after a temperature).
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from skmixup.estimators.pilot_watch import Enough, Floats, Found, Ints, Judge, Length, Watch, best
from skmixup.networks.importance import column_importance, is_concentrated, rows_looked_at
from skmixup.quiet import ignoring
from skmixup.randomness.fit import generator_from
from skmixup.training.batches import ArrayDataset, TensorBatches
from skmixup.training.divergence import DivergenceError

#: Numbers of epochs that are tried, about √2 apart,
CANDIDATES = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 48)
#: as long as they take no more steps: a million rows are trained on for four epochs at most.
MOST_STEPS = 20_000
#: Rows are held out a fifth at a time, by so many pilots, two at most, that about as many rows
#: are predicted.
N_PARTS = 5
WANTED_ROWS = 200
MOST_PILOTS = 2
#: At most so many of a fifth are held out.
MOST_ROWS = 10_000
#: With fewer rows nothing can be found out.
LEAST_ROWS = 100
#: With fewer rows trees do not tell which columns matter; with more it was not measured.
LEAST_WEIGHTED, MOST_WEIGHTED = 300, 20_000
#: A pilot's learning rate, as a part of the peak of the one that falls along a cosine: their mean.
PILOT_RATE = 0.5
PILOT_DECAY = 0.99
#: How scikit-learn begins to warn of classes of few rows.
FEW_ROWS = "The number of unique classes is greater than 50% of the number of samples"


@dataclass(frozen=True)
class TrainingRows:
    """What `fit` was given, of the rows that count.

    Attributes
    ----------
    X, y : as in `fit`, checked
    sample_weight : array of shape (n,), or None
    target : ndarray of shape (n, …)
        What the loss compares with: class codes, soft labels, or numbers.
    weight : ndarray of shape (n,), or None
        What each row counts in the loss, `class_weight` included.
    groups : array of shape (n,), or None
        Rows of a group are held out together.
    """

    X: Any
    y: NDArray[Any]
    sample_weight: Any
    target: NDArray[Any]
    weight: Any
    groups: Any = None

    @property
    def weights(self) -> Floats:
        """What each row counts, also where all count the same."""
        if self.weight is None:
            return np.ones(len(self.y))
        return np.asarray(self.weight, dtype=np.float64)


def finds_length(net: Any) -> bool:
    """Whether the parameters leave the length of the training to a pilot.

    ``max_epochs="auto"`` does, of a default network that is trained in the usual way. Where you
    have a say in it, by callbacks, rows held out, a module, data set or loss of your own or by
    going on from where training was, a pilot could not know what you do.
    """
    usual = (
        net.max_epochs == "auto"
        and net.module is None
        and not net.warm_start
        and not net.train_split
        and net.callbacks in (None, [])
        and net.dataset is ArrayDataset
        and net.iterator_train is TensorBatches
        and net.predict_nonlinearity == "auto"
        and net.criterion in net.judged_criteria
        and not net.compile
    )
    parts = ("criterion", "iterator_train", "iterator_valid", "callbacks", "dataset")
    return (
        usual and not any(net.get_params_for(part) for part in parts) and not net.users_classes()
    )


def find_length(net: Any, rows: TrainingRows) -> Length | None:
    """Train pilots on parts of the rows, and say how to train on all; None: too few rows to say.

    Parameters
    ----------
    net : PilotedNet
        Whose parameters :func:`finds_length`; it stays as it is.
    rows : TrainingRows
    """
    n = len(rows.y)
    if n < LEAST_ROWS:
        return None
    judge: Judge = net.pilot_judge(rows)
    part = parts_of(judge.strata, rows.groups, generator_from(clone(net).random_state))
    n_pilots = min(MOST_PILOTS, ceil(WANTED_ROWS * N_PARTS / n))
    steps = ceil(n / net.rows_per_batch(range(n), training=True))
    candidates = tuple(c for c in CANDIDATES if c == 1 or c * steps <= MOST_STEPS)
    splits = [(np.flatnonzero(part != i), np.flatnonzero(part == i)) for i in range(n_pilots)]
    splits = [(train, judge.judged(train, held_out)) for train, held_out in splits]
    splits = [(train, held_out) for train, held_out in splits if len(held_out)]
    if not splits or not _may_weigh_columns(net, rows, splits[0][0]):
        found, _ = _found(net, rows, judge, splits, candidates)
        return None if found is None else found.length
    found, plain = _found(net, rows, judge, splits, candidates, weighted=True)
    if plain is None:  # the network has one member, or it diverged
        plain, _ = _found(net, rows, judge, splits, candidates)
    if found is None or plain is None or _is_worse(found, plain, rows.weights):
        return None if plain is None else plain.length
    return replace(found.length, column_weights="importance")


def _may_weigh_columns(net: Any, rows: TrainingRows, train: Ints) -> bool:
    """Whether it is left to the pilot, and few of many columns matter in the rows `train`."""
    if not net.may_weigh_columns() or not LEAST_WEIGHTED <= len(train) <= MOST_WEIGHTED:
        return False
    y = net.targets_shown(np.asarray(rows.target[train]))
    looked_at = rows_looked_at(y, rows.X.shape[1])  # no copy of all
    X = torch.as_tensor(rows.X[train[looked_at]], dtype=torch.float32)
    return is_concentrated(column_importance(X.cpu().numpy(), y[looked_at]))


def parts_of(strata: Ints, groups: Any, rng: np.random.Generator) -> Ints:
    """Deal rows, or groups of rows, into five parts, every stratum alike; −1: never held out.

    The only row of a stratum is never held out.
    """
    n = len(strata)
    if groups is not None:
        _, groups = np.unique(np.asarray(groups), return_inverse=True)
        return (rng.permutation(groups.max() + 1) % N_PARTS)[groups]
    order = rng.permutation(n)
    order = order[np.argsort(strata[order], kind="stable")]
    part = np.empty(n, dtype=np.int64)
    part[order] = np.arange(n) % N_PARTS
    part[np.bincount(strata)[strata] == 1] = -1
    if n > N_PARTS * MOST_ROWS:
        part[rng.permutation(n)[N_PARTS * MOST_ROWS :]] = -1
    return part


def _found(
    net: Any,
    rows: TrainingRows,
    judge: Judge,
    splits: list[tuple[Ints, Ints]],
    candidates: tuple[int, ...],
    *,
    weighted: bool = False,
) -> tuple[Found | None, Found | None]:
    """Train a pilot on each part: what it finds, and what those members find that do not weigh.

    None where none got as far as the first candidate, or has such members beside others.
    """
    watches: list[Watch] = []
    for train, held_out in splits:
        if watches:  # as far as the first went
            candidates = candidates[: len(watches[0].seen)]
        watch = Watch(rows.X, judge, held_out, candidates, bool(watches), weighted)
        _train_pilot(net, rows, train, watch)
        if watch.seen:
            watches.append(watch)
    found = best(watches) if watches else None
    return found, best(watches, plain=True) if watches and watches[0].seen_plain else None


def _is_worse(one: Found, other: Found, weights: Floats) -> bool:
    """Whether its loss is larger by more than a standard error, on the rows that both predict."""
    common, of_one, of_other = np.intersect1d(one.held_out, other.held_out, return_indices=True)
    more, weight = one.losses[of_one] - other.losses[of_other], weights[common]
    mean = np.average(more, weights=weight)
    error = np.sqrt(np.square(weight * (more - mean)).sum()) / weight.sum()
    return bool(mean > error)


def _train_pilot(net: Any, rows: TrainingRows, train: Ints, watch: Watch) -> None:
    weights = {"module__column_weights": "importance"} if watch.weighted else {}
    pilot = clone(net).set_params(
        max_epochs=watch.candidates[-1],
        lr=net.lr * PILOT_RATE,
        lr_schedule=None,
        ema_decay=PILOT_DECAY,
        callbacks=[watch],
        verbose=0,
        **net.pilot_parameters(),
        **weights,
    )
    weight = None if rows.sample_weight is None else rows.sample_weight[train]
    # Where it diverges, the training of all rows is to say so, unless it ends before; where
    # classes have few rows, `fit` has warned or, having more rows, need not.
    with suppress(Enough, DivergenceError), ignoring(FEW_ROWS):
        pilot.fit(rows.X[train], rows.y[train], sample_weight=weight)

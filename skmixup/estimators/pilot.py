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
from dataclasses import dataclass
from functools import partial
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
#: A fifth of the rows is held out, but at least so many of few rows, though no more than a third;
#: and of many at most so many.
LEAST_HELD_OUT, MOST_HELD_OUT = 200, 10_000
#: With fewer rows nothing can be found out.
LEAST_ROWS = 100
#: With fewer rows trees do not tell which columns matter; with more it was not measured.
LEAST_WEIGHTED, MOST_WEIGHTED = 300, 25_000
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
    """Train a pilot on a part of the rows, and say how to train on all; None: too few to say.

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
    rng = generator_from(clone(net).random_state)
    held_out = rows_held_out(judge.strata, rows.groups, rng)
    train = np.setdiff1d(np.arange(n), held_out)
    held_out = judge.judged(train, held_out)
    if not len(held_out):
        return None
    steps = ceil(n / net.rows_per_batch(range(n), training=True))
    candidates = tuple(c for c in CANDIDATES if c == 1 or c * steps <= MOST_STEPS)
    watch = partial(Watch, rows.X, judge, held_out, candidates)
    if not _may_weigh_columns(net, rows, train):
        plain, weighted = _found(net, rows, train, watch(weighted=False)), None
    else:
        both = watch(weighted=True)
        weighted = _found(net, rows, train, both)
        if both.found_plain:
            plain = best(both.found_plain)
        else:  # the network has one member, or it diverged
            plain = _found(net, rows, train, watch(weighted=False))
    if plain is None or weighted is None or weighted.is_worse(plain):
        return None if plain is None else Length(plain.n_epochs, plain.temperature)
    return Length(weighted.n_epochs, weighted.temperature, "importance")


def _may_weigh_columns(net: Any, rows: TrainingRows, train: Ints) -> bool:
    """Whether it is left to the pilot, and few of many columns matter in the rows `train`."""
    if not net.may_weigh_columns() or not LEAST_WEIGHTED <= len(rows.y) <= MOST_WEIGHTED:
        return False
    y = net.targets_shown(np.asarray(rows.target[train]))
    looked_at = rows_looked_at(y, rows.X.shape[1])  # no copy of all
    X = torch.as_tensor(rows.X[train[looked_at]], dtype=torch.float32)
    return is_concentrated(column_importance(X.cpu().numpy(), y[looked_at]))


def rows_held_out(strata: Ints, groups: Any, rng: np.random.Generator) -> Ints:
    """Positions of rows that a pilot is not trained on, of every stratum alike, or whole groups.

    The only row of a stratum is not held out.
    """
    n = len(strata)
    every = n / min(max(n / 5, min(LEAST_HELD_OUT, n / 3)), MOST_HELD_OUT)
    if groups is not None:
        _, groups = np.unique(np.asarray(groups), return_inverse=True)
        place = rng.permutation(groups.max() + 1)
        return np.flatnonzero(np.isin(place, _evenly(len(place), every))[groups])
    order = rng.permutation(n)
    order = order[np.argsort(strata[order], kind="stable")]
    held_out = np.sort(order[_evenly(n, every)])
    return held_out[np.bincount(strata)[strata[held_out]] > 1]


def _evenly(n: int, every: float) -> Ints:
    """About every such place of n, from the first; two are further apart than `every` - 1."""
    return (np.arange(ceil(n / every)) * every).astype(np.int64)


def _found(net: Any, rows: TrainingRows, train: Ints, watch: Watch) -> Found | None:
    """Train a pilot; None where it did not get as far as the first candidate."""
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
    return best(watch.found) if watch.found else None

"""Rows of weight zero might as well be absent, wherever rows are handed to an estimator."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import PredefinedSplit
from skorch.callbacks import Callback, EpochScoring
from skorch.helper import SliceDict
from torch import nn
from torch.utils.data import Subset, SubsetRandomSampler

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupClassifierCV,
    MixupRegressor,
    MixupRegressorCV,
    VicinalClassifier,
    VicinalRegressor,
)
from tests.estimators.pixels_in_memory import memory_map

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = np.repeat(["a", "b", "c"], [40, 15, 5])
WEIGHT = RNG.uniform(0.1, 3, size=60)
FAST = {"module__hidden_sizes": (8,), "max_epochs": 5, "random_state": 0}
ALL = [VicinalClassifier, MixupClassifier, ManifoldMixupClassifier]


SOFT = RNG.dirichlet(np.ones(3), 60)


@pytest.mark.parametrize("estimator", ALL)
@pytest.mark.parametrize("y", [Y, SOFT, (SOFT > 0.3) * 1], ids=["one", "soft", "several"])
def test_rows_without_weight_might_as_well_be_absent(estimator, y):
    weight = np.where(np.arange(60) % 3, WEIGHT, 0)
    kept, padded = weight > 0, X.copy()
    padded[~kept] = 1e6
    found = estimator(**FAST).fit(padded, y, sample_weight=weight)
    absent = estimator(**FAST).fit(X[kept], y[kept], sample_weight=weight[kept])
    np.testing.assert_allclose(found.predict_proba(X), absent.predict_proba(X), rtol=1e-4)


@pytest.mark.parametrize("train_split", [None, 0.2])
def test_also_of_several_inputs_classes_in_balance_and_groups(train_split):
    weight = np.where(np.arange(60) % 3, WEIGHT, 0)
    kept, groups = weight > 0, np.arange(60) // 4
    params = FAST | {"class_weight": "balanced", "train_split": train_split}
    held = {} if train_split is None else {"groups": groups}
    of_kept = {} if train_split is None else {"groups": groups[kept]}
    found = MixupClassifier(**params).fit(X, Y, sample_weight=weight, **held)
    absent = MixupClassifier(**params).fit(X[kept], Y[kept], sample_weight=weight[kept], **of_kept)
    np.testing.assert_allclose(found.predict_proba(X), absent.predict_proba(X), rtol=1e-4)
    both = {"a": X, "b": X}
    net = VicinalClassifier(TwoInputs, max_epochs=2, train_split=train_split, random_state=0)
    found = clone(net).fit(SliceDict(**both), Y, sample_weight=weight, **held)
    absent = clone(net).fit(
        SliceDict(**both)[kept], Y[kept], sample_weight=weight[kept], **of_kept
    )
    np.testing.assert_allclose(
        found.predict_proba(SliceDict(**both)), absent.predict_proba(SliceDict(**both)), rtol=1e-4
    )


class TwoInputs(nn.Linear):
    def __init__(self):
        super().__init__(8, 3)

    def forward(self, a, b):
        return super().forward(torch.cat([a, b], dim=1))


SOME = np.where(np.arange(60) % 3, WEIGHT, 0)
KEPT = SOME > 0
PADDED = np.where(KEPT[:, None], X, np.float32(1e6))


def every_other(dataset, y=None):
    assert len(dataset) == 60
    return Subset(dataset, range(0, 60, 2)), Subset(dataset, range(1, 60, 2))


@pytest.mark.parametrize("y", [Y, SOFT, (SOFT > 0.3) * 1], ids=["one", "soft", "several"])
def test_a_split_of_the_users_own_finds_all_rows_and_trains_on_those_that_count(y):
    net = MixupClassifier(train_split=every_other, **FAST | {"batch_size": 16})
    found = clone(net).fit(PADDED, y, sample_weight=SOME)
    chosen = KEPT & (np.arange(60) % 2 == 0)
    absent = clone(net).set_params(train_split=None)
    absent.fit(X[chosen], y[chosen], sample_weight=SOME[chosen])
    np.testing.assert_allclose(found.predict_proba(X), absent.predict_proba(X), rtol=1e-4)


@pytest.mark.parametrize("kind", [MixupClassifier, VicinalRegressor])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_split_of_the_users_own_scores_those_that_count(kind, method):
    numbers = kind is VicinalRegressor
    y = np.arange(60) // 20.0
    accuracy = EpochScoring("r2" if numbers else "accuracy", lower_is_better=False, name="score")
    net = kind(train_split=every_other, callbacks=[accuracy], **FAST)
    chosen = np.flatnonzero(KEPT & (np.arange(60) % 2 == 1))

    def held(dataset, y=None):
        return Subset(dataset, range(0, 60, 2)), Subset(dataset, chosen)

    garbage = np.where(KEPT, y, 0)
    classes = {} if numbers or method == "fit" else {"classes": [0, 1, 2]}
    found = getattr(clone(net), method)(PADDED, garbage, sample_weight=SOME, **classes)
    net.set_params(train_split=held)
    absent = getattr(net, method)(PADDED, garbage, sample_weight=SOME, **classes)
    for name in ("score", "valid_loss"):
        assert found.history[:, name] == pytest.approx(absent.history[:, name])


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_rows_on_a_disk_are_not_copied(tmp_path, class_weight):
    np.save(tmp_path / "X.npy", PADDED)
    on_disk = np.load(tmp_path / "X.npy", mmap_mode="r")

    class Beholder(Callback):
        def on_train_begin(self, net, X=None, y=None, **kwargs):
            assert np.shares_memory(X, on_disk)

    net = MixupClassifier(class_weight=class_weight, **FAST)
    found = clone(net).set_params(callbacks=[Beholder()]).fit(on_disk, Y, sample_weight=SOME)
    absent = clone(net).fit(X[KEPT], Y[KEPT], sample_weight=SOME[KEPT])
    np.testing.assert_allclose(found.predict_proba(X), absent.predict_proba(X), rtol=1e-4)
    net.set_params(train_split=0.25)  # which rows are held out may differ
    assert clone(net).fit(on_disk, Y, sample_weight=SOME).score(X, Y) > 0.5


@pytest.mark.parametrize("y", [Y, SOFT, (SOFT > 0.3) * 1], ids=["one", "soft", "several"])
def test_a_call_of_partial_fit(y):
    net = VicinalClassifier(classes=np.unique(Y) if y is Y else None, **FAST)
    found = clone(net).partial_fit(PADDED, y, sample_weight=SOME)
    absent = clone(net).partial_fit(X[KEPT], y[KEPT], sample_weight=SOME[KEPT])
    assert np.array_equal(found.predict_proba(X), absent.predict_proba(X))
    found.partial_fit(PADDED, y, sample_weight=SOME)
    absent.partial_fit(X[KEPT], y[KEPT], sample_weight=SOME[KEPT])
    assert np.array_equal(found.predict_proba(X), absent.predict_proba(X))


def test_a_call_of_partial_fit_of_a_regressor():
    y, net = np.where(KEPT, X[:, 0], -9999), MixupRegressor(**FAST)
    found = clone(net).partial_fit(PADDED, y, sample_weight=SOME)
    absent = clone(net).partial_fit(X[KEPT], y[KEPT], sample_weight=SOME[KEPT])
    assert np.array_equal(found.predict(X), absent.predict(X))


@pytest.mark.parametrize("estimator", [MixupClassifier, InterpolationConsistencyClassifier])
def test_a_call_of_partial_fit_without_any_weight_is_an_error(estimator):
    net = estimator(class_weight={0: 0, 1: 1, 2: 1}, **FAST).partial_fit(X, np.arange(60) % 3)
    before = net.predict_proba(X)
    with pytest.raises(ValueError, match=r"class_weight.* must be positive for some row"):
        net.partial_fit(X, np.zeros(60, dtype=int))
    assert np.array_equal(net.predict_proba(X), before)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("params", [{"train_split": 0.25}, {"max_epochs": "auto"}, {}], ids=str)
@pytest.mark.parametrize("kind", [MixupClassifier, VicinalRegressor])
def test_memory_maps_are_trained_on_as_arrays_are(kind, params, grouped, tmp_path):
    n = 180
    rows = np.random.default_rng(1).normal(size=(n, 4)).astype(np.float32)
    y = rows[:, 0].round() if kind is VicinalRegressor else np.arange(n) % 3
    weight = np.where(np.arange(n) % 4, rows[:, 1] ** 2 + 0.1, 0)
    net = kind(batch_size=64, **FAST | params)
    groups = {"groups": pd.Series(np.arange(n) // 6)[::-1]} if grouped and params else {}
    found = clone(net).fit(memory_map(rows, tmp_path), y, sample_weight=weight, **groups)
    usual = clone(net).fit(rows, y, sample_weight=weight, **groups)
    assert found.n_epochs_ == usual.n_epochs_
    assert found.loss_curve_ == pytest.approx(usual.loss_curve_, rel=1e-4)
    np.testing.assert_allclose(found.predict(rows), usual.predict(rows), rtol=1e-3, atol=1e-5)
    if net.train_split:
        found, usual = (model.history[:, "valid_loss"] for model in (found, usual))
        assert found == pytest.approx(usual, rel=1e-4)


def test_a_sampler_finds_all_rows():
    sampler = SubsetRandomSampler(range(40, 60))
    net = VicinalClassifier(
        nn.Linear, module__in_features=4, module__out_features=3, max_epochs=1, batch_size=20,
        optimizer=torch.optim.SGD, lr=1e-12, random_state=0, iterator_train__sampler=sampler,
    )  # fmt: skip
    net.fit(PADDED, Y, sample_weight=SOME)
    p = net.predict_proba(X[40:])[np.arange(20), np.searchsorted(net.classes_, Y[40:])]
    relative = SOME[40:] / SOME.mean()
    assert net.loss_curve_[0] == pytest.approx(-(relative * np.log(p)).mean(), rel=1e-4)


def test_labelled_rows_without_weight_are_absent_where_others_have_no_label():
    y = np.where(np.arange(60) % 2, -1, np.arange(60) % 3)
    weight = np.where((np.arange(60) % 5 == 0) & (y >= 0), 0, WEIGHT)
    kept, padded = weight > 0, X.copy()
    padded[~kept] = 1e6
    ict = InterpolationConsistencyClassifier(**FAST)
    found = clone(ict).fit(padded, y, sample_weight=weight)
    absent = clone(ict).fit(X[kept], y[kept], sample_weight=weight[kept])
    np.testing.assert_allclose(found.predict_proba(X), absent.predict_proba(X), rtol=1e-4)
    assert len(found.transduction_) == 60


@pytest.mark.parametrize("search", [MixupClassifierCV, MixupRegressorCV])
def test_cross_validation_inside_an_estimator(search):
    net, target = MixupClassifier(**FAST), Y
    if search is MixupRegressorCV:
        net, target = MixupRegressor(**FAST), X[:, 0]
    clf = search(net, param_distributions={"lr": [1e-3, 1e-2]}, n_runs=2, random_state=0)
    fold = np.arange(60) % 7 % 2
    found = clone(clf).set_params(cv=PredefinedSplit(fold)).fit(PADDED, target, SOME)
    absent = clone(clf).set_params(cv=PredefinedSplit(fold[KEPT]))
    absent.fit(X[KEPT], target[KEPT], SOME[KEPT])
    assert found.best_score_ == pytest.approx(absent.best_score_, abs=1e-6)
    np.testing.assert_allclose(predicted(found), predicted(absent), rtol=1e-4)


def predicted(net):
    return net.predict_proba(X) if hasattr(net, "predict_proba") else net.predict(X)

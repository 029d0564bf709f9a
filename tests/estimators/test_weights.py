"""Facts about class weights and sample weights."""

from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import log_loss
from torch import nn
from torch.utils.data import Subset

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    VicinalClassifier,
    VicinalRegressor,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = np.repeat(["a", "b", "c"], [40, 15, 5])
WEIGHT = RNG.uniform(0.1, 3, size=60)
FAST = {"module__hidden_sizes": (8,), "max_epochs": 5, "random_state": 0}
ALL = [VicinalClassifier, MixupClassifier, ManifoldMixupClassifier]


@pytest.mark.parametrize("estimator", ALL)
def test_a_constant_factor_changes_nothing(estimator):
    first = estimator(**FAST).fit(X, Y, sample_weight=WEIGHT).predict_proba(X)
    again = estimator(**FAST).fit(X, Y, sample_weight=4 * WEIGHT).predict_proba(X)
    plain = estimator(**FAST).fit(X, Y).predict_proba(X)
    ones = estimator(**FAST).fit(X, Y, sample_weight=np.full(60, 7)).predict_proba(X)
    assert np.allclose(first, again, atol=1e-6)
    assert np.allclose(plain, ones, atol=1e-6)
    assert not np.allclose(first, plain, atol=1e-3)


@pytest.mark.parametrize("class_weight", [None, "balanced", {"a": 1.0, "b": 2.0, "c": 3.0}])
@pytest.mark.parametrize("factor", [1e-310, 1e-50, 1e50, 5e307])
def test_weights_may_be_of_any_size(factor, class_weight):
    net = MixupClassifier(class_weight=class_weight, **FAST)
    found = clone(net).fit(X, Y, sample_weight=factor * WEIGHT).predict_proba(X)
    expected = clone(net).fit(X, Y, sample_weight=WEIGHT).predict_proba(X)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_weights_beside_which_others_vanish_leave_one_class():
    weight = np.r_[1e300, WEIGHT[1:]]
    with pytest.raises(ValueError, match=r"leaves 1 class, \['a'\]"):
        MixupClassifier(**FAST).fit(X, Y, sample_weight=weight)


@pytest.mark.parametrize("factor", [1e-50, 1e50])
def test_partial_fit_takes_weights_within_the_range_of_float32(factor):
    with pytest.raises(ValueError, match="in partial_fit within the range of float32"):
        MixupClassifier(**FAST).partial_fit(X, Y, sample_weight=factor * WEIGHT)


@pytest.mark.parametrize("estimator", ALL)
def test_the_label_of_a_row_without_weight_does_not_matter(estimator):
    weight, other = WEIGHT.copy(), Y.copy()
    weight[::4], other[::4] = 0, "b"
    first = estimator(**FAST).fit(X, Y, sample_weight=weight).predict_proba(X)
    again = estimator(**FAST).fit(X, other, sample_weight=weight).predict_proba(X)
    assert np.array_equal(first, again)


@pytest.mark.parametrize("estimator", ALL)
def test_class_weight_is_sample_weight_by_class(estimator):
    per_class = {"a": 0.5, "b": 2.0, "c": 5.0}
    by_row = np.array([per_class[label] for label in Y])
    first = estimator(class_weight=per_class, **FAST).fit(X, Y)
    again = estimator(**FAST).fit(X, Y, sample_weight=by_row)
    assert np.array_equal(first.predict_proba(X), again.predict_proba(X))
    both = estimator(class_weight=per_class, **FAST).fit(X, Y, sample_weight=WEIGHT)
    product = estimator(**FAST).fit(X, Y, sample_weight=WEIGHT * by_row)
    assert np.allclose(both.predict_proba(X), product.predict_proba(X), atol=1e-6)


def test_balanced_gives_every_class_the_same_total():
    balanced = MixupClassifier(class_weight="balanced", **FAST).fit(X, Y)
    weights = {"a": 60 / (3 * 40), "b": 60 / (3 * 15), "c": 60 / (3 * 5)}
    explicit = MixupClassifier(class_weight=weights, **FAST).fit(X, Y)
    assert np.allclose(balanced.predict_proba(X), explicit.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("train_split", [None, "first rows"])
def test_so_it_does_with_weights_of_rows_as_if_these_were_repeated(train_split):
    def split(dataset, y=None):
        return Subset(dataset, range(0, 60, 2)), Subset(dataset, range(1, 60, 2))

    params = FAST | {"train_split": train_split and split}
    trained_on = slice(None, None, 2 if train_split else 1)
    totals = {label: WEIGHT[trained_on][Y[trained_on] == label].sum() for label in "abc"}
    balanced = MixupClassifier(class_weight="balanced", **params).fit(X, Y, WEIGHT)
    explicit = WEIGHT / np.array([totals[label] for label in Y])
    expected = MixupClassifier(**params).fit(X, Y, explicit)
    np.testing.assert_allclose(balanced.predict_proba(X), expected.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({"c": 5.0}, r"class_weight lacks \['a', 'b'\]; give every class a weight"),
        ({}, r"class_weight lacks \['a', 'b', 'c'\]"),
        ({"a": 1, "b": 1, "C": 5}, r"class_weight has \['C'\], .*'b', 'c'\].* lacks \['c'\]"),
        ({"a": 1, "b": -1, "c": 5}, r"class_weight .*≥ 0; got -1 for class 'b'"),
        ({"a": 1, "b": 1, "c": np.nan}, r"class_weight .*≥ 0; got nan for class 'c'"),
        ({"a": 1, "b": 1, "c": np.inf}, r"class_weight .*≥ 0; got inf for class 'c'"),
        ({"a": 1, "b": "2", "c": 1}, r"class_weight .*≥ 0; got '2' for class 'b'"),
        ({"a": 1, "b": None, "c": 1}, r"class_weight .*≥ 0; got None for class 'b'"),
        ({"a": 0, "b": 0, "c": 0}, "must be positive for some row"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("estimator", [MixupClassifier, InterpolationConsistencyClassifier])
def test_class_weights_that_are_wrong_are_named_before_training(estimator, class_weight, message):
    net = estimator(class_weight=class_weight, **FAST)
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y)
    assert not hasattr(net, "module_")


def test_a_weight_for_a_class_that_these_rows_lack_is_fine():
    wide = MixupClassifier(class_weight={"a": 1, "b": 1, "c": 5, "d": 9}, **FAST).fit(X, Y)
    exact = MixupClassifier(class_weight={"a": 1, "b": 1, "c": 5}, **FAST).fit(X, Y)
    assert np.array_equal(wide.predict_proba(X), exact.predict_proba(X))


@pytest.mark.parametrize(
    "weights",
    [{"sample_weight": (Y == "b") * 1.0}, {"class_weight": {"a": 0, "b": 2, "c": 0}}],
    ids=lambda weights: next(iter(weights)),
)
def test_weights_that_leave_one_class_are_as_a_y_of_one_class(weights):
    net = MixupClassifier(class_weight=weights.get("class_weight"), **FAST)
    with pytest.raises(ValueError, match=r"leaves 1 class, \['b'\]: .* \['a', 'c'\] has weight 0"):
        net.fit(X, Y, sample_weight=weights.get("sample_weight"))
    assert not hasattr(net, "module_")


def test_a_class_of_weight_zero_is_not_learnt():
    net = MixupClassifier(class_weight={"a": 0, "b": 1, "c": 1}, **FAST | {"max_epochs": 30})
    assert "a" not in net.fit(X, Y).predict(X)


def test_weights_under_a_mask_are_none():
    weight = np.ma.masked_equal(np.arange(len(Y)) % 4, 2)
    with pytest.raises(ValueError, match=r"sample_weight is a masked array.*filled\(0\)"):
        VicinalClassifier(**FAST).fit(X, Y, sample_weight=weight)


@pytest.mark.parametrize("kind", [torch.tensor, pd.Series, pl.Series, list])
def test_sample_weights_of_any_kind(kind):
    given = kind(WEIGHT.tolist())
    if kind is torch.tensor:
        given.requires_grad_()
    expected = MixupClassifier(**FAST).fit(X, Y, sample_weight=WEIGHT).predict_proba(X)
    found = MixupClassifier(**FAST).fit(X, Y, sample_weight=given).predict_proba(X)
    np.testing.assert_allclose(found, expected, atol=1e-5)


# ---- partial_fit: weights as they are, as in scikit-learn


def steps_in_chunks_of_one_class(estimator=VicinalClassifier, weight=None, **params):
    """How far each of three chunks, each of one class, moves a linear model."""
    net = estimator(
        nn.Linear, module__in_features=4, module__out_features=3, batch_size=-1, max_epochs=0,
        optimizer=torch.optim.SGD, lr=1e-3, lr_schedule=None, random_state=0, **params,
    )  # fmt: skip
    moved = []
    net.partial_fit(X, Y).set_params(max_epochs=1)
    for label in "abc":
        rows = label == Y
        before = net.module_.weight.detach().clone()
        net.partial_fit(X[rows], Y[rows], sample_weight=None if weight is None else weight[rows])
        moved.append(float((net.module_.weight.detach() - before).norm()))
    return np.array(moved)


SEMI = partial(InterpolationConsistencyClassifier, ema_decay=0.0, alpha=0.0)


@pytest.mark.parametrize("estimator", [VicinalClassifier, SEMI], ids=["plain", "semi"])
def test_class_weights_count_in_chunks_of_one_class(estimator):
    plain = steps_in_chunks_of_one_class(estimator)
    weighted = steps_in_chunks_of_one_class(estimator, class_weight={"a": 1, "b": 10, "c": 0.1})
    np.testing.assert_allclose(weighted / plain, [1, 10, 0.1], rtol=0.05)


@pytest.mark.parametrize("estimator", [VicinalClassifier, SEMI], ids=["plain", "semi"])
def test_sample_weights_of_a_chunk_count_as_they_are(estimator):
    plain = steps_in_chunks_of_one_class(estimator)
    weight = np.where(Y == "b", 0.01, 1.0)
    weighted = steps_in_chunks_of_one_class(estimator, weight=weight)
    np.testing.assert_allclose(weighted / plain, [1, 0.01, 1], rtol=0.05)


def test_a_warm_start_divides_by_the_mean_as_every_fit():
    first = VicinalClassifier(warm_start=True, **FAST).fit(X, Y, WEIGHT).fit(X, Y, 100 * WEIGHT)
    again = VicinalClassifier(warm_start=True, **FAST).fit(X, Y, WEIGHT).fit(X, Y, WEIGHT)
    assert np.allclose(first.predict_proba(X), again.predict_proba(X), atol=1e-6)


def test_balancing_finds_more_of_a_rare_class():
    rng = np.random.default_rng(1)
    y = (np.arange(400) % 20 == 0).astype(int)
    rows = (rng.normal(size=(400, 2)) + 1.5 * y[:, None]).astype(np.float32)
    params = {"module__hidden_sizes": (16,), "max_epochs": 20, "lr": 0.01, "random_state": 0}
    plain = MixupClassifier(**params).fit(rows, y).predict(rows)[y == 1].mean()
    net = MixupClassifier(class_weight="balanced", **params).fit(rows, y)
    assert net.predict(rows)[y == 1].mean() > plain + 0.2


@pytest.mark.parametrize("iterator", [{}, {"iterator_train__num_workers": 0}])
def test_weights_reach_the_loss_also_through_a_dataloader(iterator):
    net = VicinalClassifier(
        nn.Linear, module__in_features=4, module__out_features=3, batch_size=-1, max_epochs=1,
        optimizer=torch.optim.SGD, lr=1e-12, random_state=0, **iterator,
    ).fit(X, Y, sample_weight=WEIGHT)  # fmt: skip
    log_p = net.predict_log_proba(X)[np.arange(60), np.searchsorted(net.classes_, Y)]
    assert net.loss_curve_[0] == pytest.approx(-(WEIGHT * log_p).sum() / WEIGHT.sum(), rel=1e-4)


def test_weights_need_the_default_data_set():
    from skorch.dataset import Dataset

    with pytest.raises(
        ValueError, match=r"sample_weight and class_weight need the default `dataset`"
    ):
        MixupClassifier(dataset=Dataset, **FAST).fit(X, Y, sample_weight=WEIGHT)
    with pytest.raises(ValueError, match="not a Dataset"):
        MixupClassifier(class_weight="balanced", **FAST).fit(Dataset(X, Y), None)


# ---- rows held out


def held_out_last(dataset, y=None, **kwargs):
    rows = np.arange(len(dataset))
    return Subset(dataset, rows[:-20]), Subset(dataset, rows[-20:])


@pytest.mark.parametrize("estimator", [MixupClassifier, InterpolationConsistencyClassifier])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1.0, 1: 3.0, 2: 2.0}])
def test_rows_held_out_have_no_part_in_the_training(estimator, class_weight):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 4)).astype(np.float32), rng.integers(0, 3, size=80)
    weight = rng.uniform(0.1, 2, size=80)
    others, classes, weights = X.copy(), y.copy(), weight.copy()
    others[-20:] = 1000 * others[-20:] + 7
    classes[-20:] = 0
    weights[-20:] = 50.0
    params = {"class_weight": class_weight, "max_epochs": 3, "random_state": 0,
              "optimizer": torch.optim.SGD, "train_split": held_out_last}  # fmt: skip
    first = estimator(**params).fit(X, y, sample_weight=weight)
    second = estimator(**params).fit(others, classes, sample_weight=weights)
    np.testing.assert_allclose(second.predict_proba(X), first.predict_proba(X), atol=1e-6)
    assert second.history[-1, "valid_loss"] != first.history[-1, "valid_loss"]


def test_weights_are_those_of_a_fit_on_the_rows_left():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 4)).astype(np.float32), rng.integers(0, 3, size=80)
    params = {"class_weight": "balanced", "max_epochs": 3, "random_state": 0, "batch_size": 16}
    module = {"module": torch.nn.Linear, "module__in_features": 4, "module__out_features": 3}
    part = VicinalClassifier(**module, **params).fit(X[:-20], y[:-20])
    split = VicinalClassifier(**module, **params, train_split=held_out_last).fit(X, y)
    np.testing.assert_allclose(split.predict_proba(X), part.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 50.0])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1.0, 1: 3.0, 2: 2.0}])
@pytest.mark.parametrize("estimator", [MixupClassifier, InterpolationConsistencyClassifier])
def test_the_loss_of_rows_held_out_is_their_weighted_mean(estimator, class_weight, factor):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 4)).astype(np.float32), rng.integers(0, 3, size=80)
    weight = rng.uniform(0.1, 2, size=80)
    weight[-20:] *= factor
    params = {"class_weight": class_weight, "max_epochs": 1, "batch_size": 8, "random_state": 0}
    net = estimator(**params, module__hidden_sizes=(4,), train_split=held_out_last)
    net.fit(X, y, sample_weight=weight)
    per_class = class_weight or {0: 1.0, 1: 1.0, 2: 1.0}
    if class_weight == "balanced":
        per_class = {c: 1 / weight[:-20][y[:-20] == c].sum() for c in range(3)}
    both = weight * np.array([per_class[label] for label in y])
    expected = log_loss(y[-20:], net.predict_proba(X[-20:]), sample_weight=both[-20:])
    assert net.history[-1, "valid_loss"] == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_numbers_held_out_is_their_weighted_mean():
    X, y = np.random.default_rng(0).normal(size=(80, 4)), np.arange(80.0)
    weight = np.r_[np.ones(60), np.linspace(5, 50, 20)]
    net = VicinalRegressor(max_epochs=1, random_state=0, train_split=held_out_last)
    net.fit(X, y, sample_weight=weight)
    error = (y - net.predict(X))[-20:] ** 2 / np.cov(y, aweights=weight, ddof=0)
    expected = np.average(error, weights=weight[-20:])
    assert net.history[-1, "valid_loss"] == pytest.approx(expected, rel=1e-5)


def test_weights_must_be_left_to_train_on():
    X, y = np.zeros((80, 4), dtype=np.float32), np.arange(80) % 3
    weight = np.r_[np.zeros(60), np.ones(20)]
    with pytest.raises(ValueError, match="positive for some row that train_split leaves"):
        MixupClassifier(train_split=held_out_last).fit(X, y, sample_weight=weight)

"""Facts about column_importance, and about networks whose columns it weighs."""

import pickle
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupRegressor,
    VicinalClassifier,
)
from skmixup.networks import MLP, importance
from skmixup.networks.importance import column_importance, is_concentrated, rows_looked_at

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 8)).astype(np.float32)
Y = ((X[:, 1] > 0) ^ (X[:, 6] > 0.8)).astype(np.int64)
SMALL = {"module__hidden_sizes": (16,), "module__n_members": 2, "max_epochs": 2, "random_state": 0}


def test_columns_that_matter_are_found():
    found = column_importance(X, Y)
    assert found.shape == (8,)
    assert set(np.argsort(found)[-2:]) == {1, 6}
    assert found.max() == 1.0
    assert np.delete(found, [1, 6]).max() < 0.1
    assert found.min() >= 0.0


@pytest.mark.parametrize(
    "y",
    [
        np.eye(2, dtype=np.float32)[Y],  # soft labels
        Y.astype(np.float32),
        X[:, 1] + X[:, 6],
        np.column_stack([X[:, 1], X[:, 6]]),
    ],
    ids=["soft", "numbers", "sum", "two targets"],
)
def test_numbers_are_targets_too(y):
    assert set(np.argsort(column_importance(X, y))[-2:]) == {1, 6}


def test_where_nothing_matters_all_columns_count_the_same():
    constant = np.ones((50, 3), dtype=np.float32)
    np.testing.assert_array_equal(column_importance(constant, Y[:50]), 1.0)
    np.testing.assert_array_equal(column_importance(X, np.zeros(400, dtype=np.int64)), 1.0)
    np.testing.assert_array_equal(column_importance(X[:0], Y[:0]), 1.0)


def test_of_classes_with_a_row_or_two_nothing_is_found():
    """Each tree would warn of them."""
    X = np.random.default_rng(0).normal(size=(90, 3))
    assert column_importance(X, np.arange(90) % 46).tolist() == [1.0, 1.0, 1.0]
    assert column_importance(X, np.arange(90) % 45).min() < 1.0


def test_rows_of_unknown_class_have_no_say():
    unknown = np.where(np.arange(400) % 3 == 0, -1, Y)
    known = unknown >= 0
    np.testing.assert_array_equal(
        column_importance(X, unknown), column_importance(X[known], Y[known])
    )
    np.testing.assert_array_equal(column_importance(X, np.full(400, -1)), 1.0)


def test_the_scale_of_columns_does_not_matter():
    scale = np.float32(2.0) ** np.arange(-4, 4, dtype=np.float32)
    np.testing.assert_allclose(
        column_importance(X * scale, Y), column_importance(X, Y), rtol=1e-12
    )


def test_columns_in_tiny_or_huge_units_count_as_much():
    tables = [X[:200].astype(np.float64) * 2.0**power for power in (0, -30, -100, 100, 600)]
    first, *others = [column_importance(table, Y[:200]) for table in tables]
    for other in others:
        np.testing.assert_array_equal(other, first)
    tiny = X[:200] * np.float32([1, 1e-9, 1, 1, 1, 1, 1e-30, 1])
    np.testing.assert_allclose(column_importance(tiny, Y[:200]), first, atol=0.05)


def test_the_same_bytes_of_another_type_are_another_table():
    column_importance(X[:100], Y[:100])
    as_ints = X[:100].view(np.int32)
    np.testing.assert_array_equal(
        column_importance(as_ints, Y[:100]), importance._by_trees(as_ints, Y[:100])
    )


def test_it_is_computed_once_for_the_same_rows(monkeypatch):
    calls = []
    by_trees = importance._by_trees
    monkeypatch.setattr(importance, "_by_trees", lambda *a: calls.append(1) or by_trees(*a))
    monkeypatch.setattr(importance, "_remembered", OrderedDict())
    monkeypatch.setattr(importance, "N_TREES", 3)
    first = [column_importance(X[i:].copy(), Y[i:]) for i in range(40)]
    again = [column_importance(X[i:].copy(), Y[i:]) for i in range(39, 23, -1)]
    assert len(calls) == 40
    assert len(importance._remembered) == importance.N_REMEMBERED == 16
    for one, other in zip(first[::-1], again, strict=False):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="read-only"):
        again[0][0] = 2.0
    other = column_importance(X, RNG.permutation(Y))
    assert not np.array_equal(column_importance(X, Y), other)


def test_threads_may_ask_at_once(monkeypatch):
    monkeypatch.setattr(importance, "_remembered", OrderedDict())
    monkeypatch.setattr(importance, "N_TREES", 3)
    tables = [X + np.float32(i % 20) for i in range(60)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda table: column_importance(table, Y), tables))
    for i, one in enumerate(found):
        np.testing.assert_array_equal(one, found[i % 20])


def test_trees_start_no_processes(monkeypatch):
    monkeypatch.setattr(importance, "N_TREES", 3)
    for name in ("submit", "apply_async"):  # of newer and older versions
        monkeypatch.setattr(joblib.parallel.LokyBackend, name, None, raising=False)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        column_importance(X[:30], Y[:30])


def test_it_draws_nothing_from_global_generators():
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    column_importance(X + np.float32(0.5), Y)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_of_many_rows_some_are_looked_at(monkeypatch):
    seen = []
    monkeypatch.setattr(importance, "_remembered", OrderedDict())
    monkeypatch.setattr(importance, "_by_trees", lambda X, y: seen.append(X) or np.ones(2))
    numbers = np.arange(20_000, dtype=np.float32).reshape(10_000, 2)
    column_importance(numbers, np.arange(10_000) % 2)
    assert len(seen[0]) == 4000
    assert 0.4 < np.median(seen[0]) / 20_000 < 0.6  # not the first ones
    wide = np.zeros((2000, 5000), dtype=np.float32)
    column_importance(wide, np.arange(2000) % 2)
    assert len(seen[1]) == 2**22 // 5000


@pytest.mark.parametrize("n_rare", [10, 40, 200, 2000])
def test_rows_of_a_rare_class_are_looked_at(n_rare):
    y = np.zeros(20_000, dtype=np.int64)
    y[RNG.permutation(20_000)[:n_rare]] = 3
    y[:5000] = -1
    found = rows_looked_at(y, 10)
    assert len(np.unique(found)) == len(found)
    assert (y[found] >= 0).all()
    assert min(50, (y == 3).sum()) <= (y[found] == 3).sum()
    assert 4000 <= len(found) <= 4050
    plain = np.random.default_rng(0).choice(np.arange(5000, 20_000), 4000, replace=False)
    assert np.isin(plain, found).all()


def test_of_many_classes_few_rows_more_are_looked_at():
    y = np.repeat(np.arange(400), np.r_[[5] * 300, [200] * 100])
    found = rows_looked_at(y, 10)
    np.testing.assert_array_less(4, np.bincount(y[found]))
    assert len(found) <= 6000


@pytest.mark.parametrize(
    ("weights", "few"),
    [
        ([1.0] * 10, False),
        ([1.0] * 4 + [0.0] * 6, False),
        ([1.0] * 3 + [0.0] * 7, True),
        ([1.0, 0.1, 0.1, 0.1, 0.1], True),
        ([1.0], False),
    ],
)
def test_importance_is_concentrated_on_less_than_four_in_ten(weights, few):
    assert is_concentrated(np.array(weights)) is few


# The network.


def test_columns_and_their_curves_are_weighted():
    torch.manual_seed(0)
    plain = MLP(8, 2, hidden_sizes=(16,), n_members=3)
    weighted = MLP(8, 2, hidden_sizes=(16,), n_members=3, column_weights="importance")
    weighted.load_state_dict(plain.state_dict())
    plain.adapt_to_data(torch.from_numpy(X))
    weighted.adapt_to_data(torch.from_numpy(X), torch.from_numpy(Y))
    found = column_importance(X, Y)
    first, *others = weighted.column_weight  # of three members
    assert (first == 1).all()
    for of_member in others:
        np.testing.assert_allclose(of_member, np.repeat(found, 4), rtol=1e-6)
    assert (plain.column_weight == 1).all()
    with torch.no_grad():
        plain.members.weight[1:] *= torch.from_numpy(np.repeat(found, 4)).float()
    x = torch.randn(20, 8)
    torch.testing.assert_close(weighted.eval()(x), plain.eval()(x))


@pytest.mark.parametrize("embedding", ["periodic", "piecewise", None])
def test_a_column_without_importance_changes_nothing(embedding):
    net = MLP(8, 2, embedding=embedding, n_members=1, column_weights="importance")
    net.adapt_to_data(torch.from_numpy(X), torch.from_numpy(Y))
    ignored = np.flatnonzero(column_importance(X, Y) == 0)
    assert len(ignored)
    X_other = X.copy()
    X_other[:, ignored] = 5.0
    net.eval()
    with torch.no_grad():
        torch.testing.assert_close(net(torch.from_numpy(X_other)), net(torch.from_numpy(X)))


def test_errors_name_the_parameter():
    with pytest.raises(ValueError, match="column_weights must be 'importance' or None; got 'all'"):
        MLP(3, 2, column_weights="all")
    with pytest.raises(ValueError, match="needs the targets of the training rows"):
        MLP(8, 2, column_weights="importance").adapt_to_data(torch.from_numpy(X))


@pytest.mark.parametrize(
    "kind", [VicinalClassifier, MixupClassifier, ManifoldMixupClassifier, MixupRegressor]
)
def test_estimators_show_their_targets(kind):
    net = kind(module__column_weights="importance", **SMALL).fit(X, Y.astype(float))
    weights = net.module_.column_weight.numpy()[-1, ::4]
    assert set(np.argsort(weights)[-2:]) == {1, 6}
    assert weights.max() == 1.0


def test_rows_held_out_have_no_say():
    split = {"train_split": 0.5, "module__column_weights": "importance"}
    net = VicinalClassifier(**SMALL, **split).fit(X, Y)
    train, _ = net.get_split_datasets(X, Y)
    rows = np.asarray(train.indices)
    assert len(rows) == 200
    expected = column_importance(X[rows], Y[rows])
    np.testing.assert_allclose(net.module_.column_weight[-1, ::4], expected, rtol=1e-6)


def test_rows_without_a_label_have_no_say():
    y = np.where(np.arange(400) < 100, Y, -1)
    net = InterpolationConsistencyClassifier(module__column_weights="importance", **SMALL)
    weights = net.fit(X, y).module_.column_weight.numpy()[-1]
    n_curves = len(weights) // 8
    expected = column_importance(X[:100], Y[:100])
    np.testing.assert_allclose(weights[::n_curves], expected, rtol=1e-6)


def test_files_and_pickles_of_earlier_versions_are_read():
    net = MixupClassifier(**SMALL).fit(X, Y)
    expected = net.predict_proba(X)
    module = net.module_
    state = module.state_dict()
    del state["column_weight"]
    module.load_state_dict(state)
    np.testing.assert_array_equal(net.predict_proba(X), expected)
    old = pickle.loads(pickle.dumps(net))
    del old.module_._buffers["column_weight"], old.module_.__dict__["column_weights"]
    again = pickle.loads(pickle.dumps(old))
    np.testing.assert_array_equal(again.predict_proba(X), expected)


def test_weights_are_saved(tmp_path):
    net = MixupClassifier(module__column_weights="importance", **SMALL).fit(X, Y)
    net.save_params(f_params=tmp_path / "net.pt")
    plain = MixupClassifier(classes=[0, 1], **SMALL)
    plain.initialize().load_params(f_params=tmp_path / "net.pt")
    np.testing.assert_array_equal(plain.predict_proba(X), net.predict_proba(X))

"""Facts about how fit finds out whether columns are weighted by their importance."""

from contextlib import suppress

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import log_loss

from skmixup import (
    ManifoldMixupClassifier,
    ManifoldMixupRegressor,
    MixupClassifier,
    MixupRegressor,
    VicinalClassifier,
    VicinalRegressor,
)
from skmixup.estimators import pilot
from skmixup.estimators.pilot_watch import Enough, Found, Watch, best
from skmixup.estimators.temperature import with_temperature
from skmixup.networks import mlp

RNG = np.random.default_rng(0)
N_COLUMNS, N_ROWS = 30, 600
SMALL = {
    "module__hidden_sizes": (32,), "module__n_members": 2, "module__embedding": None,
    "batch_size": 40, "lr": 0.02, "random_state": 0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def same_numbers_in_any_order_of_tests(monkeypatch):
    monkeypatch.setitem(globals(), "RNG", np.random.default_rng(0))


def few_of_many(n=N_ROWS):
    X = RNG.normal(size=(n, N_COLUMNS)).astype(np.float32)
    return X, (X[:, 3] + 0.3 * RNG.normal(size=n) > 0).astype(np.int64)


def all_of_them(n=N_ROWS):
    X = RNG.normal(size=(n, N_COLUMNS)).astype(np.float32)
    return X, (X.sum(axis=1) > 0).astype(np.int64)


@pytest.fixture
def pilots(monkeypatch):
    """The weights of the columns of each pilot, while the candidates are few."""
    trained, train = [], pilot._found

    def noted(net, rows, part, watch):
        trained.append("importance" if watch.weighted else None)
        return train(net, rows, part, watch)

    monkeypatch.setattr(pilot, "CANDIDATES", (1, 2, 4))
    monkeypatch.setattr(pilot, "_found", noted)
    return trained


def weights_of(net):
    return net.module_.column_weights


@pytest.mark.parametrize("kind", [VicinalClassifier, MixupClassifier, ManifoldMixupClassifier])
def test_where_few_columns_matter_they_are_weighted(kind, pilots):
    X, y = few_of_many()
    net = kind(**SMALL).fit(X, y)
    assert weights_of(net) == "importance"
    assert pilots == ["importance"]
    assert net.module_.column_weight[-1].argmax() == 3
    new, labels = few_of_many(2000)
    plain = kind(module__column_weights=None, **SMALL).fit(X, y)
    assert weights_of(plain) is None
    assert log_loss(labels, net.predict_proba(new)) < log_loss(labels, plain.predict_proba(new))


def test_it_is_what_the_parameter_gives(pilots):
    X, y = few_of_many()
    auto = MixupClassifier(**SMALL).fit(X, y)
    found = {"max_epochs": auto.n_epochs_, "module__column_weights": weights_of(auto)}
    stated = MixupClassifier(**SMALL, **found).fit(X, y)
    left, right = auto.module_.state_dict(), stated.module_.state_dict()
    assert [k for k in left if not torch.equal(left[k], right[k])] == ["temperature"]
    assert "module__column_weights" not in auto.get_params_for("module")


def test_where_all_columns_matter_no_pilot_is_asked(pilots):
    net = VicinalClassifier(**SMALL).fit(*all_of_them())
    assert weights_of(net) is None
    assert pilots == [None]


@pytest.mark.parametrize("given", [None, "importance"])
def test_what_is_given_stays(given, pilots):
    net = VicinalClassifier(module__column_weights=given, **SMALL).fit(*few_of_many())
    assert weights_of(net) == given
    assert set(pilots) == {None}  # the network's own parameter is the pilot's
    assert clone(net).get_params()["module__column_weights"] == given


def test_weights_that_mislead_are_not_taken(pilots, monkeypatch):
    X, y = few_of_many(1500)
    wrong = np.zeros(N_COLUMNS)
    wrong[7] = 1.0
    for module in (pilot, mlp):
        monkeypatch.setattr(module, "column_importance", lambda X, y: wrong)
    net = VicinalClassifier(**SMALL).fit(X, y)
    assert weights_of(net) is None
    assert pilots == ["importance"]  # whose plain members are better
    assert net.score(*few_of_many()) > 0.8


def test_one_is_worse_by_more_than_a_standard_error():
    rng = np.random.default_rng(1)
    losses, noise = rng.gamma(1.0, size=50), rng.normal(size=50)
    weights = rng.uniform(0.5, 2.0, size=50)
    other = Found(1, 1.0, 0.0, losses, weights)
    noise -= np.average(noise, weights=weights)
    error = np.sqrt(np.sum((weights * noise) ** 2)) / weights.sum()
    for more, worse in [(0.95, False), (1.05, True), (-2.0, False)]:
        assert Found(1, 1.0, 0.0, losses + noise + more * error, weights).is_worse(other) is worse


def test_of_one_member_there_are_pilots_with_weights_and_without(pilots):
    net = VicinalClassifier(**{**SMALL, "module__n_members": 1}).fit(*few_of_many())
    assert weights_of(net) == "importance"
    assert pilots == ["importance", None]


def test_plain_members_are_judged_by_what_they_alone_predict(monkeypatch):
    seen, on_epoch_end = [], Watch.on_epoch_end

    def noted(watch, net, **kwargs):
        with suppress(Enough):
            on_epoch_end(watch, net, **kwargs)
        X = torch.as_tensor(watch.X[watch.held_out])
        module = net.module_  # the moving average, in evaluation
        logits = module.head(module.blocks(module.members(module.scaling(X))))
        plain = logits.softmax(dim=1)[..., :2].mean(dim=2).detach().numpy()
        found, of_all = watch.found_plain[-1], watch.found[-1]
        at_best = with_temperature(plain, found.temperature)
        losses = -np.log(at_best[np.arange(len(plain)), y[watch.held_out]])
        np.testing.assert_allclose(found.losses, losses, rtol=1e-3)
        assert not np.allclose(found.losses, of_all.losses, rtol=1e-2)
        assert not module.head._forward_hooks
        seen.append(len(watch.found_plain))

    monkeypatch.setattr(pilot, "CANDIDATES", (1, 2))
    monkeypatch.setattr(Watch, "on_epoch_end", noted)
    X, y = few_of_many()
    VicinalClassifier(**{**SMALL, "module__n_members": 5}).fit(X, y)
    assert seen == [1, 2]


@pytest.mark.parametrize(
    ("of_all", "of_plain", "n_seen"),
    [
        ([5, 1, 2, 2, 2, 2, 2], [8, 9, 9, 9, 9, 9, 9], 4),
        ([5, 1, 2, 2, 2, 2, 2], [9, 8, 7, 9, 9, 9, 9], 5),
        ([9, 9, 3, 9, 9, 9, 9], [5, 1, 2, 2, 2, 2, 2], 5),
        ([5, 4, 30, 3, 2, 1, 9], [8, 7, 90, 6, 5, 4, 9], 7),  # a bump
        ([7, 6, 5, 4, 3, 2, 1], [7, 6, 5, 4, 3, 2, 1], 7),
    ],
)
def test_a_pilot_ends_where_neither_all_members_nor_the_plain_ones_learn(of_all, of_plain, n_seen):
    X, y = few_of_many(5000)
    told = iter([number for both in zip(of_all, of_plain, strict=True) for number in both])

    class Scripted:
        weights = np.ones(5000)

        def judgement(self, net, outputs, held_out):
            loss = float(next(told))
            return loss, 1.0, np.full(len(held_out), loss)

    held_out = np.arange(1000, 5000)
    watch = Watch(X, Scripted(), held_out, (1, 2, 3, 4, 5, 6, 7), weighted=True)
    net = VicinalClassifier(
        **{**SMALL, "batch_size": 1000}, max_epochs=7, callbacks=[watch], ema_decay=0.9,
        module__column_weights="importance",
    )  # fmt: skip
    with suppress(Enough):
        net.fit(X[:1000], y[:1000])
    assert len(watch.found) == n_seen
    assert best(watch.found).n_epochs == 1 + int(np.argmin(of_all[:n_seen]))
    assert best(watch.found_plain).n_epochs == 1 + int(np.argmin(of_plain[:n_seen]))


def test_of_many_rows_trees_are_not_asked(pilots, monkeypatch):
    monkeypatch.setattr(pilot, "MOST_WEIGHTED", N_ROWS - 1)
    assert weights_of(VicinalClassifier(**SMALL).fit(*few_of_many())) is None
    assert "importance" not in pilots


def test_few_rows_tell_too_little(pilots):
    X, y = few_of_many()
    net = VicinalClassifier(**SMALL).fit(X[:299], y[:299])
    assert weights_of(net) is None
    assert pilots == [None]


@pytest.mark.parametrize("kind", [VicinalRegressor, MixupRegressor, ManifoldMixupRegressor])
def test_numbers_are_predicted_from_weighted_columns_too(kind, pilots):
    X, _ = few_of_many()
    new, _ = few_of_many(2000)
    y, numbers = 10 + 5 * X[:, 3] + RNG.normal(size=N_ROWS), 10 + 5 * new[:, 3]
    net = kind(**SMALL).fit(X, y)
    assert weights_of(net) == "importance"
    assert pilots == ["importance"]
    assert net.module_.column_weight[-1].argmax() == 3
    plain = kind(module__column_weights=None, **SMALL).fit(X, y)
    assert np.mean((net.predict(new) - numbers) ** 2) < np.mean(
        (plain.predict(new) - numbers) ** 2
    )
    everything = kind(**SMALL).fit(X, X.sum(axis=1))
    assert weights_of(everything) is None


def test_targets_of_all_units_say_which_columns_matter(pilots):
    X, _ = few_of_many()
    y = np.column_stack([1e6 * X[:, 3], X[:, 5], 1e-6 * X[:, 7]])
    net = MixupRegressor(**SMALL).fit(X, y)
    assert weights_of(net) == "importance"
    weight = net.module_.column_weight[-1]
    assert set(weight.argsort()[-3:].tolist()) == {3, 5, 7}
    assert weight[[3, 5, 7]].min() > 0.3


def test_plain_members_predict_numbers_by_their_mean(monkeypatch):
    seen, on_epoch_end = [], Watch.on_epoch_end

    def noted(watch, net, **kwargs):
        with suppress(Enough):
            on_epoch_end(watch, net, **kwargs)
        module = net.module_  # the moving average, in evaluation
        inputs = module.scaling(torch.as_tensor(watch.X[watch.held_out]))
        outputs = module.head(module.blocks(module.members(inputs)))[:, 0, :2].mean(dim=1)
        target = net.standardized(y[watch.held_out])[:, 0]
        losses = (outputs.detach().numpy() - target) ** 2
        np.testing.assert_allclose(
            np.ravel(watch.found_plain[-1].losses), losses, rtol=1e-3, atol=1e-6
        )
        seen.append(len(watch.found_plain))

    monkeypatch.setattr(pilot, "CANDIDATES", (1, 2))
    monkeypatch.setattr(Watch, "on_epoch_end", noted)
    X, _ = few_of_many()
    y = X[:, 3]
    MixupRegressor(**{**SMALL, "module__n_members": 5}).fit(X, y)
    assert seen == [1, 2]


def test_soft_labels_are_targets_of_trees_too(pilots):
    X, y = few_of_many()
    net = VicinalClassifier(classes=[0, 1], **SMALL).fit(X, np.eye(2)[y])
    assert weights_of(net) == "importance"
    assert net.module_.column_weight[-1].argmax() == 3


def test_rows_without_weight_might_be_absent(pilots):
    X, y = few_of_many()
    more, noise = few_of_many()
    both, labels = np.concatenate([X, more]), np.concatenate([y, RNG.permutation(noise)])
    weighted = VicinalClassifier(**SMALL).fit(both, labels, np.repeat([1.0, 0.0], N_ROWS))
    alone = VicinalClassifier(**SMALL).fit(X, y)
    assert weights_of(weighted) == weights_of(alone) == "importance"
    np.testing.assert_array_equal(weighted.predict_proba(more), alone.predict_proba(more))


def test_a_fit_leaves_no_weights_to_the_next(pilots):
    net = VicinalClassifier(**SMALL)
    assert weights_of(net.fit(*few_of_many())) == "importance"
    assert weights_of(net.fit(*all_of_them())) is None
    assert weights_of(net.set_params(max_epochs=2).fit(*few_of_many())) is None

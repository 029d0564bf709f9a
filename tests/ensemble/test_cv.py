"""What a fitted MixupClassifierCV is: results, weights, predictions, what it takes."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import load_iris, make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, make_scorer, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RepeatedStratifiedKFold,
    StratifiedKFold,
    cross_val_score,
)

from skmixup import ManifoldMixupClassifier, MixupClassifierCV
from skmixup.effects import design_effects
from skmixup.estimators.temperature import fit_temperature
from tests.ensemble.toys import toy

FAST = {"param_distributions": {"alpha": [0.0, 0.2, 1.0]}, "n_runs": 3, "cv": 2}
NET = ManifoldMixupClassifier(max_epochs=3, module__n_members=1)
X, y = load_iris(return_X_y=True)


def tempered(proba, temperature):
    return softmax(np.log(np.maximum(proba, np.finfo(float).eps)) / temperature, axis=1)


# Results.


def test_the_results_are_those_of_a_search(blobs, searching):
    clf = searching(toy(), cv=3, n_runs=8).fit(*blobs)
    search = GridSearchCV(toy(), {"beta": [1.0, 2.0]}, cv=3, scoring="neg_log_loss").fit(*blobs)
    assert set(search.cv_results_) | {"n_splits", "temperature"} == set(clf.cv_results_)
    for name, column in search.cv_results_.items():
        if name != "params":
            assert type(clf.cv_results_[name]) is type(column)
            assert clf.cv_results_[name].dtype == column.dtype
    assert all(len(column) == 8 for column in clf.cv_results_.values())
    assert clf.cv_results_["params"][clf.best_index_] == clf.best_params_
    assert clf.cv_results_["rank_test_score"][clf.best_index_] == 1
    assert clf.cv_results_["mean_test_score"][clf.best_index_] == clf.best_score_
    pd.DataFrame(clf.cv_results_)


def test_scores_are_those_after_the_settings_own_temperature(blobs, searching):
    data, labels = blobs
    clf = searching(toy(), cv=StratifiedKFold(3)).fit(data, labels)
    codes = labels.astype(int)
    for row in np.flatnonzero(clf.cv_results_["n_splits"] == 3):
        estimator = toy().set_params(**clf.cv_results_["params"][row])
        splits = [*StratifiedKFold(3).split(data, labels)]
        probas = [estimator.fit(data[a], labels[a]).predict_proba(data[b]) for a, b in splits]
        held_out = np.concatenate([codes[b] for _, b in splits])
        temperature = fit_temperature(np.vstack(probas), held_out, np.ones(90))
        assert clf.cv_results_["temperature"][row] == pytest.approx(temperature)
        for fold, (_, b) in enumerate(splits):
            expected = -log_loss(labels[b], tempered(probas[fold], temperature))
            score = clf.cv_results_[f"split{fold}_test_score"][row]
            assert score == pytest.approx(expected)


def test_the_mean_of_a_setting_that_left_the_race(blobs, searching):
    results = searching(toy()).fit(*blobs).cv_results_
    complete = results["n_splits"] == 3
    first = results["split0_test_score"]
    scores = np.array([results[f"split{k}_test_score"] for k in range(3)])
    assert np.isnan(scores[1:, ~complete]).all()
    means = scores[:, complete].mean(axis=0)
    np.testing.assert_allclose(results["mean_test_score"][complete], means)
    expected = first[~complete] + (means - first[complete]).mean()
    np.testing.assert_allclose(results["mean_test_score"][~complete], expected)
    assert results["rank_test_score"][complete].max() < results["rank_test_score"][~complete].min()


def test_effects_are_read_from_it(blobs, searching):
    clf = searching(toy(), n_runs=8).fit(*blobs)
    effects = design_effects(clf)
    assert len(effects.responses.y) == 8
    (factor,) = effects.responses.factors
    assert factor.name == "beta"
    assert factor.log


def test_effects_know_the_automatic_space():
    net = clone(NET).set_params(max_epochs=1)
    clf = MixupClassifierCV(net, cv=2, random_state=0).fit(X, y)
    assert set(clf.param_distributions_) == set(clf.best_params_)
    log = {factor.name: factor.log for factor in design_effects(clf).responses.factors}
    assert log["lr"]
    assert not log["module__dropout"]


# Predictions.


def test_predictions_are_the_weighted_mean_of_the_fold_networks(blobs, searching):
    data, labels = blobs
    clf = searching(toy(), cv=StratifiedKFold(3), store_oof=True).fit(data, labels)
    chosen = np.flatnonzero(clf.weights_)
    assert len(chosen) > 1
    assert clf.weights_.sum() == pytest.approx(1)
    assert len(clf.estimators_) == 3 * len(chosen)
    mean, oof = np.zeros((90, 3)), np.zeros((90, 3))
    splits = [*StratifiedKFold(3).split(data, labels)]
    for k, row in enumerate(chosen):
        networks = clf.estimators_[3 * k : 3 * k + 3]
        assert {n.beta for n in networks} == {clf.cv_results_["params"][row]["beta"]}
        own = clf.cv_results_["temperature"][row]
        for network, (_, held_out) in zip(networks, splits, strict=True):
            proba = tempered(network.predict_proba(data), own)
            mean += clf.weights_[row] / 3 * proba
            oof[held_out] += clf.weights_[row] * proba[held_out]
    np.testing.assert_allclose(clf.predict_proba(data), tempered(mean, clf.temperature_))
    np.testing.assert_allclose(clf.oof_proba_, tempered(oof, clf.temperature_))
    codes = labels.astype(int)
    assert clf.temperature_ == pytest.approx(fit_temperature(oof, codes, np.ones(90)))


def test_labels_and_logarithms_follow_from_the_probabilities():
    clf = MixupClassifierCV(NET, **FAST, random_state=0).fit(X, y)
    proba = clf.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(clf.predict(X), proba.argmax(axis=1))
    np.testing.assert_allclose(np.exp(clf.predict_log_proba(X)), proba)


def test_several_settings_are_better_than_one_of_them(blobs, searching):
    one = searching(toy(), n_runs=12, ensemble=False, store_oof=True).fit(*blobs)
    several = searching(toy(), n_runs=12, store_oof=True).fit(*blobs)
    assert one.weights_.tolist() == [float(i == one.best_index_) for i in range(12)]
    assert one.temperature_ == 1
    losses = [log_loss(blobs[1], clf.oof_proba_) for clf in (one, several)]
    assert losses[1] <= losses[0] + 1e-9


def test_without_calibration_there_are_no_temperatures(blobs, searching):
    clf = searching(toy(), calibrate=False).fit(*blobs)
    assert clf.temperature_ == 1
    assert set(clf.cv_results_["temperature"]) == {1.0}


def test_a_temperature_helps_networks_that_are_too_modest():
    net = clone(NET).set_params(alpha=8.0, max_epochs=20)
    space = {"param_distributions": {}, "cv": 3, "random_state": 0}
    modest, right = (
        MixupClassifierCV(net, **space, calibrate=calibrate).fit(X, y)
        for calibrate in (False, True)
    )
    assert right.cv_results_["temperature"][0] < 0.8
    assert right.best_score_ > modest.best_score_ + 0.05
    np.testing.assert_array_equal(right.predict(X), modest.predict(X))


def test_refit_leaves_one_network_of_the_best_setting(blobs, searching):
    estimator = toy()
    clf = searching(estimator, refit=True).fit(*blobs)
    (network,) = clf.estimators_
    assert network.beta == clf.best_params_["beta"]
    assert type(estimator).log[-1][2] == 90
    own = clf.cv_results_["temperature"][clf.best_index_]
    expected = tempered(network.predict_proba(blobs[0]), own)
    np.testing.assert_allclose(clf.predict_proba(blobs[0]), expected)
    assert clf.temperature_ == 1


def test_rows_that_are_held_out_more_than_once_or_never(blobs, searching):
    data, labels = blobs
    repeated = RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0)
    clf = searching(toy(), cv=repeated, store_oof=True).fit(data, labels)
    assert clf.n_splits_ == 6
    np.testing.assert_allclose(clf.oof_proba_.sum(axis=1), 1)
    folds = [(np.arange(90), np.arange(30)), (np.arange(90), np.arange(30, 60))]
    clf = searching(toy(), cv=folds, store_oof=True).fit(data, labels)
    assert np.isfinite(clf.oof_proba_[:60]).all()
    assert np.isnan(clf.oof_proba_[60:]).all()


# Scores.


def accuracy(estimator, X, y):
    return accuracy_score(y, estimator.predict(X))


def without_axes(estimator, X, y):
    return np.array(accuracy(estimator, X, y))


@pytest.mark.parametrize(
    ("scoring", "metric"),
    [
        (None, lambda y, proba: accuracy_score(y, proba.argmax(axis=1))),
        ("accuracy", lambda y, proba: accuracy_score(y, proba.argmax(axis=1))),
        (accuracy, lambda y, proba: accuracy_score(y, proba.argmax(axis=1))),
        (without_axes, lambda y, proba: accuracy_score(y, proba.argmax(axis=1))),
        ("roc_auc_ovr", lambda y, proba: roc_auc_score(y, proba, multi_class="ovr")),
        (
            make_scorer(log_loss, response_method="predict_proba", greater_is_better=False),
            lambda y, proba: -log_loss(y, proba),
        ),
    ],
)
def test_any_scorer(blobs, searching, scoring, metric):
    data, labels = blobs
    clf = searching(toy(), scoring=scoring, store_oof=True).fit(data, labels)
    codes = labels.astype(int)
    assert clf.score(data, labels) == pytest.approx(metric(codes, clf.predict_proba(data)))
    worst = np.nanmin(clf.cv_results_["mean_test_score"])
    assert worst <= clf.best_score_ <= metric(codes, clf.oof_proba_) + 0.1


def test_weights_count_in_scores_temperatures_and_training(blobs, searching):
    data, labels = blobs
    weight = np.where(labels == "0", 5.0, 1.0)
    estimator = toy()
    clf = searching(estimator, param_distributions={}, cv=StratifiedKFold(3), store_oof=True)
    clf.fit(data, labels, sample_weight=weight)
    held_out = [b for _, b in StratifiedKFold(3).split(data, labels)]
    assert [fit[3] for fit in type(estimator).log] == [
        weight.sum() - weight[b].sum() for b in held_out
    ]
    expected = [-log_loss(labels[b], clf.oof_proba_[b], sample_weight=weight[b]) for b in held_out]
    assert clf.best_score_ == pytest.approx(np.mean(expected))
    plain = searching(toy(), param_distributions={}, cv=StratifiedKFold(3)).fit(data, labels)
    assert plain.cv_results_["temperature"] != clf.cv_results_["temperature"]
    a, b = (clf.score(data, labels, sample_weight=w) for w in (weight, None))
    assert a == pytest.approx(-log_loss(labels, clf.predict_proba(data), sample_weight=weight))
    assert a != b
    unweighted = plain.set_params(scoring=accuracy)
    assert unweighted.score(data, labels, weight) == unweighted.score(data, labels)


# What it takes.


def test_labels_of_any_type():
    for labels in (y == 1, np.array(["a", "b", "c"])[y], y - 5, pd.Series(list("xyz")).loc[y]):
        clf = MixupClassifierCV(NET, **FAST, random_state=0).fit(X, labels)
        assert set(clf.classes_) == set(labels)
        assert set(clf.predict(X)) <= set(labels)


def test_frames_and_their_names():
    frame = pd.DataFrame(X, columns=list("abcd"))
    clf = MixupClassifierCV(NET, **FAST, random_state=0).fit(frame, y)
    assert clf.feature_names_in_.tolist() == list("abcd")
    assert clf.n_features_in_ == 4
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(frame[list("dcba")])
    arrays = MixupClassifierCV(NET, **FAST, random_state=0).fit(X, y)
    for nameless in (X, pd.DataFrame(X)):
        with pytest.warns(UserWarning, match="feature names") as caught:
            clf.predict(nameless)
        assert len(caught) == 1  # and not once more for each network
    np.testing.assert_array_equal(clf.predict_proba(frame), arrays.predict_proba(X))


def test_tables_through_skrub():
    skrub = pytest.importorskip("skrub")
    rng = np.random.default_rng(0)
    city = rng.choice(["Oslo", "Bergen"], 80)
    table = pd.DataFrame({"city": city, "age": np.where(rng.random(80) < 0.1, np.nan, 40.0)})
    labels = np.where(city == "Oslo", "stays", "leaves")
    outside = skrub.tabular_pipeline(MixupClassifierCV(NET, **FAST, random_state=0))
    assert outside.fit(table, labels).predict_proba(table).shape == (80, 2)
    pipeline = skrub.tabular_pipeline(NET)
    space = {"manifoldmixupclassifier__alpha": [0.0, 0.2]}
    inside = MixupClassifierCV(pipeline, param_distributions=space, n_runs=2, cv=2, random_state=0)
    inside.fit(table, labels, sample_weight=np.ones(80))
    assert inside.predict(table).shape == (80,)
    assert inside.feature_names_in_.tolist() == ["city", "age"]


def test_images_and_tensors():
    import torch

    images = np.random.default_rng(0).normal(size=(24, 1, 4, 4)).astype(np.float32)
    labels = np.arange(24) % 2
    net = ManifoldMixupClassifier(max_epochs=1, module__width=4, batch_size=8)
    clf = MixupClassifierCV(net, n_runs=7, cv=2, random_state=0).fit(images, labels)
    assert clf.predict_proba(images).shape == (24, 2)
    assert "module__hidden_sizes" not in clf.best_params_
    tensors = clone(clf).fit(torch.as_tensor(images), labels)
    np.testing.assert_array_equal(
        tensors.predict_proba(torch.as_tensor(images)), clf.predict_proba(images)
    )


def test_several_inputs():
    import torch
    from skorch.helper import SliceDict

    class Sum(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(4, 3)

        def forward(self, a, b):
            return self.head(a + b)

    net = ManifoldMixupClassifier(Sum, layers=0, max_epochs=1)
    clf = MixupClassifierCV(net, **FAST, random_state=0).fit(SliceDict(a=X, b=X), y)
    assert clf.predict_proba(SliceDict(a=X, b=X)).shape == (150, 3)
    with pytest.raises(TypeError, match="SliceDict"):
        clf.fit({"a": X, "b": X}, y)


def test_groups_keep_together(blobs, searching):
    data, labels = blobs
    groups = np.arange(90) % 6
    clf = searching(toy(), cv=GroupKFold(3)).fit(data, labels, groups=groups)
    assert clf.n_completed_ == 3
    with pytest.raises(ValueError, match="groups"):
        searching(toy(), cv=GroupKFold(3)).fit(data, labels)


def test_class_weight_is_a_setting_of_the_estimator():
    net = clone(NET).set_params(class_weight="balanced")
    clf = MixupClassifierCV(net, **FAST, random_state=0).fit(X[:120], y[:120])
    assert {network.class_weight for network in clf.estimators_} == {"balanced"}


def test_nested_parameters_and_clones():
    clf = MixupClassifierCV(clone(NET)).set_params(estimator__alpha=1.5, cv=3)
    assert clf.get_params()["estimator__alpha"] == 1.5
    assert clone(clf).estimator.alpha == 1.5
    assert cross_val_score(
        clf.set_params(**FAST, random_state=0), X, y, cv=KFold(2, shuffle=True, random_state=0)
    ).shape == (2,)


def test_the_estimator_is_not_touched():
    net = clone(NET)
    before = repr(net)
    MixupClassifierCV(net, **FAST, random_state=0).fit(X, y)
    assert repr(net) == before
    assert not hasattr(net, "classes_")


def test_before_fit_there_are_no_predictions():
    for method in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError):
            getattr(MixupClassifierCV(), method)(X)


# What is kept.


def test_a_pickle_holds_no_training_rows():
    def size(n, **params):
        space = {"param_distributions": {"C": [0.1, 1.0, 10.0]}, "n_runs": 3, "ensemble": False}
        clf = MixupClassifierCV(LogisticRegression(), **space, **params)
        return len(pickle.dumps(clf.fit(*make_blobs(n, random_state=0))))

    assert abs(size(900) - size(90)) < 300
    assert size(900, store_oof=True) > size(900) + 900 * 3 * 8


def test_a_pickle_predicts_the_same():
    clf = MixupClassifierCV(NET, **FAST, random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_a_second_fit_forgets_the_first(blobs, searching):
    clf = searching(toy(), store_oof=True).fit(*blobs)
    clf.set_params(store_oof=False).fit(*blobs)
    assert not hasattr(clf, "oof_proba_")


def test_networks_are_kept_without_the_moments_of_their_optimizer():
    clf = MixupClassifierCV(NET, **FAST, random_state=0).fit(X, y)
    network = clf.estimators_[0]
    assert len(network.optimizer_.state) == 0
    assert len(pickle.dumps(network)) < 0.6 * len(pickle.dumps(clone(network).fit(X, y)))
    network.partial_fit(X, y)  # goes on all the same
    assert len(network.optimizer_.state) > 0


# Randomness.


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_networks_are_the_same_whatever_the_workers(backend):
    kwargs = {**FAST, "random_state": 3}
    alone = MixupClassifierCV(NET, **kwargs).fit(X, y)
    with joblib.parallel_backend(backend):
        beside = MixupClassifierCV(NET, **kwargs, n_jobs=2).fit(X, y)
    np.testing.assert_allclose(beside.predict_proba(X), alone.predict_proba(X), atol=1e-6)
    other = MixupClassifierCV(NET, **FAST, random_state=4).fit(X, y)
    assert np.abs(other.predict_proba(X) - alone.predict_proba(X)).max() > 1e-3


def test_global_random_states_stay(global_states):
    before = global_states()
    MixupClassifierCV(NET, **FAST).fit(X, y)
    assert global_states() == before

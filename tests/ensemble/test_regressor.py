"""What a fitted MixupRegressorCV is, where it differs from its sibling for classes."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.stats import loguniform
from sklearn.base import RegressorMixin, clone, is_regressor
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (
    make_scorer,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
)
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    RepeatedKFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skmixup import (
    ManifoldMixupClassifier,
    ManifoldMixupRegressor,
    MixupRegressorCV,
    VicinalRegressor,
)
from skmixup.effects import design_effects
from skmixup.ensemble.net import Net
from skmixup.ensemble.proposals import Proposals
from skmixup.ensemble.settings import own_setting, space_of
from tests.ensemble.toys import Toy

X, y = (part[:90] for part in load_diabetes(return_X_y=True))
Y = np.column_stack([y, 1e4 * X[:, 2] + y, -0.01 * y])
WEIGHT = 1.0 + np.arange(90) % 3
FOLDS = KFold(3, shuffle=True, random_state=0)
FAST = {"param_distributions": {"alpha": [0.0, 0.2, 1.0]}, "n_runs": 3, "cv": 2}
NET = ManifoldMixupRegressor(max_epochs=3, module__n_members=1)


class Numbers(RegressorMixin, Toy):
    """Ridge regression with penalty β; the class counts its fits."""

    def fit(self, X, y, sample_weight=None):
        log = type(self).log
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        log.append((self.beta, self.random_state, len(y), weight.sum()))
        if len(log) in self.interrupted:
            raise KeyboardInterrupt
        self.ridge_ = Ridge(alpha=self.beta).fit(X, y, sample_weight=sample_weight)
        return self

    def predict(self, X):
        return self.ridge_.predict(X)


def numbers(**behaviour):
    return type("Counted", (Numbers,), {**behaviour, "log": []})()


def searching(estimator=None, **params):
    space = {"beta": loguniform(1e-3, 1e3)}
    given = {"param_distributions": space, "n_runs": 6, "cv": FOLDS, "random_state": 0} | params
    return MixupRegressorCV(numbers() if estimator is None else estimator, **given)


# Results and predictions.


def test_the_results_are_those_of_a_search():
    reg = searching(n_runs=8).fit(X, y)
    search = GridSearchCV(numbers(), {"beta": [1.0, 2.0]}, cv=FOLDS).fit(X, y)
    assert set(search.cv_results_) | {"n_splits"} == set(reg.cv_results_)
    for row in np.flatnonzero(reg.cv_results_["n_splits"] == 3):
        own = numbers().set_params(**reg.cv_results_["params"][row])
        for fold, (train, test) in enumerate(FOLDS.split(X)):
            expected = r2_score(y[test], own.fit(X[train], y[train]).predict(X[test]))
            assert reg.cv_results_[f"split{fold}_test_score"][row] == pytest.approx(expected)
    assert reg.n_completed_ == 4
    assert reg.cv_results_["rank_test_score"][reg.best_index_] == 1
    assert reg.cv_results_["params"][reg.best_index_] == reg.best_params_
    assert {f.name for f in design_effects(reg).responses.factors} == {"beta"}


@pytest.mark.parametrize("targets", [y, Y])
def test_predictions_are_the_weighted_mean_of_the_fold_networks(targets):
    reg = searching(n_runs=12, store_oof=True).fit(X, targets)
    chosen = np.flatnonzero(reg.weights_)
    assert reg.weights_.sum() == pytest.approx(1)
    assert len(reg.estimators_) == 3 * len(chosen)
    mean, oof = np.zeros(targets.shape), np.zeros(targets.shape)
    for k, row in enumerate(chosen):
        networks = reg.estimators_[3 * k : 3 * k + 3]
        assert {n.beta for n in networks} == {reg.cv_results_["params"][row]["beta"]}
        for network, (_, held_out) in zip(networks, FOLDS.split(X), strict=True):
            mean += reg.weights_[row] / 3 * network.predict(X)
            oof[held_out] += reg.weights_[row] * network.predict(X[held_out])
    np.testing.assert_allclose(reg.predict(X), mean)
    np.testing.assert_allclose(reg.oof_prediction_, oof)


def test_several_settings_are_better_than_one_of_them():
    space = {"max_depth": [1, 2, 3, 5, 8], "max_features": [0.3, 0.5, 1.0]}
    forest = RandomForestRegressor(5)
    one, several = (
        searching(forest, param_distributions=space, ensemble=e, store_oof=True).fit(X, y)
        for e in (False, True)
    )
    assert one.weights_.tolist() == [float(i == one.best_index_) for i in range(6)]
    assert (several.weights_ > 0).sum() > 1

    def score(reg):
        return np.mean([r2_score(y[b], reg.oof_prediction_[b]) for _, b in FOLDS.split(X)])

    assert score(several) > score(one)
    assert score(one) == pytest.approx(one.best_score_)


def test_refit_leaves_one_network_of_the_best_setting():
    estimator = numbers()
    reg = searching(estimator, refit=True).fit(X, y)
    (network,) = reg.estimators_
    assert network.beta == reg.best_params_["beta"]
    assert type(estimator).log[-1][2] == 90
    np.testing.assert_array_equal(reg.predict(X), network.predict(X))


def test_rows_that_are_held_out_more_than_once_or_never():
    reg = searching(cv=RepeatedKFold(n_splits=3, n_repeats=2), store_oof=True).fit(X, Y)
    assert reg.oof_prediction_.shape == Y.shape
    assert np.isfinite(reg.oof_prediction_).all()
    rows = np.arange(90)
    reg.set_params(cv=[(rows, rows[:30]), (rows, rows[30:60])]).fit(X, Y)
    assert np.isfinite(reg.oof_prediction_[:60]).all()
    assert np.isnan(reg.oof_prediction_[60:]).all()
    reg.set_params(store_oof=False).fit(X, Y)
    assert not hasattr(reg, "oof_prediction_")


def test_an_interrupt_leaves_what_is_complete():
    reg = searching(numbers(interrupted={11}))
    with pytest.raises(KeyboardInterrupt):
        reg.fit(X, y)
    assert reg.n_completed_ == 2
    assert reg.predict(X).shape == (90,)


def test_the_same_whatever_the_workers():
    space = {"param_distributions": {"alpha": loguniform(1e-3, 1e3)}, "time_limit": 1000.0}
    alone, beside = (searching(Ridge(), **space, n_jobs=n).fit(X, Y) for n in (1, 2))
    np.testing.assert_allclose(beside.predict(X), alone.predict(X))
    np.testing.assert_allclose(beside.weights_, alone.weights_)


# Scores.


@pytest.mark.parametrize(
    ("scoring", "metric"),
    [
        (None, r2_score),
        ("r2", r2_score),
        ("neg_mean_squared_error", lambda *pair: -mean_squared_error(*pair)),
        (lambda reg, X, y: -mean_absolute_error(y, reg.predict(X)), None),
        (make_scorer(mean_absolute_error, greater_is_better=False), None),
    ],
)
@pytest.mark.parametrize("targets", [y, Y])
def test_any_scorer(scoring, metric, targets):
    metric = metric or (lambda *pair: -mean_absolute_error(*pair))
    reg = searching(scoring=scoring, ensemble=False, store_oof=True).fit(X, targets)
    assert reg.score(X, targets) == pytest.approx(metric(targets, reg.predict(X)))
    folds = [metric(targets[b], reg.oof_prediction_[b]) for _, b in FOLDS.split(X)]
    assert reg.best_score_ == pytest.approx(np.mean(folds))


def test_of_equal_scores_squared_error_decides_on_weights():
    split, betas = next(FOLDS.split(X)), [1.0, 1e-3]
    space = {"param_distributions": {"beta": betas}, "n_runs": 2}
    reg = searching(**space, scoring=lambda reg, X, y: 0.5, cv=[split], store_oof=True).fit(X, y)
    assert reg.best_index_ == 0  # of equals the first
    single = [numbers().set_params(beta=b).fit(X[split[0]], y[split[0]]) for b in betas]
    errors = [mean_squared_error(y[split[1]], net.predict(X[split[1]])) for net in single]
    assert mean_squared_error(y[split[1]], reg.oof_prediction_[split[1]]) < min(errors)


def test_targets_in_other_units_give_the_same_predictions_in_those():
    params = {"n_runs": 5, "random_state": 0}
    space = {"param_distributions": {"alpha": [0.0, 0.2, 1.0], "lr": loguniform(1e-3, 1e-1)}}
    first, second = (
        MixupRegressorCV(NET, **space, **params, cv=2).fit(X, t) for t in (Y, 8.0 * Y)
    )
    np.testing.assert_allclose(second.weights_, first.weights_)
    np.testing.assert_allclose(second.predict(X), 8.0 * first.predict(X), rtol=1e-5, atol=1e-3)


def test_weights_count_in_training_and_scores():
    estimator = numbers()
    reg = searching(estimator, param_distributions={}, store_oof=True)
    reg.fit(X, y, sample_weight=WEIGHT)
    splits = [*FOLDS.split(X)]
    assert [fit[3] for fit in type(estimator).log] == [WEIGHT[a].sum() for a, _ in splits]
    oof = reg.oof_prediction_
    expected = [r2_score(y[b], oof[b], sample_weight=WEIGHT[b]) for _, b in splits]
    assert reg.best_score_ == pytest.approx(np.mean(expected))
    weighted = reg.score(X, y, sample_weight=WEIGHT)
    assert weighted == pytest.approx(r2_score(y, reg.predict(X), sample_weight=WEIGHT))
    assert weighted != reg.score(X, y)


# What it takes.


def test_targets_of_any_shape_and_type():
    import torch

    for targets in (y.tolist(), y[:, None], pd.Series(y), torch.as_tensor(y), Y, pd.DataFrame(Y)):
        reg = MixupRegressorCV(NET, **FAST, random_state=0, store_oof=True).fit(X, targets)
        shape = np.shape(targets)
        assert reg.predict(X).shape == shape
        assert reg.oof_prediction_.shape == shape
        assert np.isfinite(reg.score(X, targets))


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize(("targets", "axes"), [(y[:, None], -1), (y, (-1, 1))])
def test_predictions_have_the_axes_of_y_also_where_the_estimators_have_others(
    targets, axes, refit
):
    class Reshaped(Numbers):  # as forests do with a column of targets
        def predict(self, X):
            return super().predict(X).reshape(axes)

    estimator = type("Counted", (Reshaped,), {"log": []})()
    reg = searching(estimator, refit=refit, store_oof=True).fit(X, targets)
    assert reg.predict(X).shape == reg.oof_prediction_.shape == targets.shape


def test_groups_keep_together_and_frames_keep_their_names():
    frame, groups = pd.DataFrame(X).add_prefix("c"), np.arange(90) % 6
    reg = searching(cv=GroupKFold(3)).fit(frame, y, groups=groups)
    assert reg.n_splits_ == 3
    assert reg.feature_names_in_.tolist() == list(frame)
    with pytest.raises(ValueError, match="feature names should match"):
        reg.predict(frame[list(frame)[::-1]])
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = numbers()
        reg = searching(estimator, cv=GroupKFold(3), param_distributions={})
        reg.fit(X, y, sample_weight=WEIGHT, groups=groups)
        expected = [WEIGHT[a].sum() for a, _ in GroupKFold(3).split(X, y, groups)]
        assert [fit[3] for fit in type(estimator).log] == expected


def test_the_default_network_in_a_pipeline_clones_and_pickles():
    reg = make_pipeline(StandardScaler(), MixupRegressorCV(NET, **FAST, random_state=0))
    assert is_regressor(reg)
    found = cross_validate(clone(reg), X, y, cv=2, return_estimator=True)
    assert found["test_score"].shape == (2,)
    fitted = found["estimator"][0]
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    default = MixupRegressorCV(param_distributions={"max_epochs": [1, 2, 3]}, n_runs=3, cv=2)
    default.fit(X, y)
    assert {type(network) for network in default.estimators_} == {ManifoldMixupRegressor}
    assert not hasattr(default, "predict_proba")
    assert not hasattr(default, "temperature_")


def test_whether_it_takes_several_targets_is_up_to_the_estimator():
    assert sklearn.utils.get_tags(MixupRegressorCV()).target_tags.multi_output
    assert not sklearn.utils.get_tags(searching()).target_tags.multi_output


# The automatic space.


def test_the_automatic_space_has_partners():
    net = ManifoldMixupRegressor(bandwidth=0.5)
    space = space_of("auto", Net(net), 2)
    assert {"alpha", "layers", "lr", "max_epochs", "pairing", "bandwidth"} < set(space)
    assert space["pairing"] == ["uniform", "similar"]
    assert space["bandwidth"].support() == pytest.approx((0.1, 1.0))
    settings = Proposals(space, own_setting(Net(net), space), "auto", 0).settings
    assert settings[0]["pairing"] == "uniform"
    assert {setting["pairing"] for setting in settings} == {"uniform", "similar"}
    net.set_params(**settings[-1])
    assert "pairing" not in space_of("auto", Net(VicinalRegressor()), 2)
    assert "pairing" not in space_of("auto", Net(ManifoldMixupClassifier()), 2)


def test_the_default_network_of_a_table_has_relu():
    net = MixupRegressorCV()._estimator(X).set_params(max_epochs=0).fit(X, np.arange(len(X)))
    kinds = {type(layer) for layer in net.module_.modules()}
    assert nn.ReLU in kinds
    assert nn.SiLU not in kinds


# Bad input.


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"estimator": LogisticRegression()}, TypeError, "is a classifier.*MixupClassifierCV"),
        ({"estimator": StandardScaler()}, TypeError, "has no predict"),
        ({"estimator": Ridge(), "param_distributions": "auto"}, ValueError, "for Ridge give a di"),
        ({"param_distributions": {"gamma": [1]}}, ValueError, "names .'gamma'"),
        ({"scoring": "r3"}, ValueError, "'scoring' parameter of MixupRegressorCV"),
        ({"scoring": "neg_log_loss"}, ValueError, "cannot score .*with predict for these"),
        ({"scoring": "neg_mean_squared_log_error"}, ValueError, "cannot score.*-1"),
        ({"cv": 1}, ValueError, "'cv' parameter"),
        ({"cv": 91}, ValueError, "n_splits=91"),
        ({"cv": LeaveOneOut()}, ValueError, "'r2' must give one finite number .* gives nan"),
        ({"n_runs": 1}, ValueError, "n_runs=1"),
        ({"time_limit": 0}, ValueError, "'time_limit'"),
    ],
)
def test_parameters(params, error, match):
    reg = searching(**params)
    with pytest.raises(error, match=match):
        reg.fit(X, y - 100.0)
    assert not getattr(type(reg.estimator), "log", None)


@pytest.mark.parametrize(
    ("targets", "match"),
    [
        (np.full(90, 3.0), "y is constant: all 90 rows have 3.0"),
        (np.column_stack([y, np.zeros(90)]), "target 1 of y is constant"),
        (np.where(np.arange(90) == 4, np.nan, y), "Input y contains NaN"),
        (y[1:], "inconsistent numbers of samples"),
        (None, "requires y to be passed"),
        (np.array(["low", "high"] * 45), "y must hold numbers.*classifier"),
        (np.zeros((90, 2, 2)), r"y must hold numbers of shape .*got shape \(90, 2, 2\)"),
    ],
)
def test_targets_that_cannot_be_learnt(targets, match):
    reg = searching()
    with pytest.raises(ValueError, match=match):
        reg.fit(X, targets)
    assert not type(reg.estimator).log


def test_targets_that_do_not_vary_in_a_fold():
    steps = (np.arange(90) >= 45).astype(float)
    with pytest.raises(ValueError, match=r"cv=2 leaves fold 0 with targets .* all the same"):
        searching(cv=2).fit(X, steps)
    assert searching().fit(X, steps).n_completed_ == 3


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda X: np.zeros((len(X), 2)), r"predicts numbers of shape \(30, 2\), but y has .*90"),
        (lambda X: np.full(len(X), np.inf), "predicts numbers that are not finite"),
    ],
)
def test_predictions_that_cannot_be_averaged(wrong, match):
    estimator = numbers(predict=lambda self, X: wrong(X))
    with pytest.raises(ValueError, match=match):
        searching(estimator).fit(X, y)

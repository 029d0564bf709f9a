"""Facts about MixupClassifierCV for several labels per row."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score, log_loss
from sklearn.model_selection import KFold
from sklearn.utils import get_tags

from skmixup import (
    ManifoldMixupClassifier,
    ManifoldMixupRegressor,
    MixupClassifierCV,
    MixupRegressorCV,
)
from skmixup.ensemble.label_judging import neg_label_log_loss
from skmixup.estimators.temperature import decisions, fit_temperature, labels_with_temperature

X, Y = make_multilabel_classification(90, n_features=6, n_classes=3, random_state=0)
X = X.astype(np.float32)
Y[:, 2] &= np.arange(90) % 9 == 0  # rarely on
NET_PARAMS = {"max_epochs": 3, "module__hidden_sizes": (16,)}
NET = ManifoldMixupClassifier(**NET_PARAMS)
SPACE = {"alpha": [0.0, 0.5], "lr": [0.003, 0.01, 0.03]}


def cv(**params):
    given = {"param_distributions": SPACE, "n_runs": 4, "cv": 3, "random_state": 0} | params
    return MixupClassifierCV(given.pop("estimator", NET), **given)


def binary_log_loss(y, proba):
    return np.mean([log_loss(y[:, k], proba[:, k], labels=[0, 1]) for k in range(y.shape[1])])


def test_it_predicts_a_probability_for_each_label():
    clf = cv(store_oof=True).fit(X, Y)
    proba = clf.predict_proba(X)
    assert clf.multilabel_
    assert clf.classes_.tolist() == [0, 1, 2]
    assert proba.shape == clf.oof_proba_.shape == Y.shape
    assert np.array_equal(clf.predict(X), (proba > 0.5) * 1)
    assert clf.score(X, Y) == pytest.approx(-binary_log_loss(Y, proba))
    own = clf.cv_results_["temperature"]
    shares = np.repeat(clf.weights_[clf.weights_ > 0] / 3, 3)
    settings = np.repeat(np.flatnonzero(clf.weights_), 3)
    mean = sum(
        share * expit(logit(network.predict_proba(X)) / own[setting])
        for share, setting, network in zip(shares, settings, clf.estimators_, strict=True)
    )
    np.testing.assert_allclose(proba, expit(logit(mean) / clf.temperature_), rtol=1e-6)


def test_scores_are_those_of_held_out_rows():
    clf = cv(ensemble=False, calibrate=False, store_oof=True, scoring="f1_macro").fit(X, Y)
    folds = [test for _, test in KFold(3).split(X)]
    expected = [f1_score(Y[t], clf.oof_proba_[t] > 0.5, average="macro") for t in folds]
    assert clf.best_score_ == pytest.approx(np.mean(expected))
    assert clf.temperature_ == 1.0


def test_the_temperature_is_the_one_of_all_decisions():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(200, 3))
    y = (rng.random((200, 3)) < expit(z)) * 1
    bold = expit(3 * z)
    found = fit_temperature(decisions(bold), y.ravel(), np.ones(600))
    best = minimize_scalar(
        lambda t: binary_log_loss(y, expit(logit(bold) / t)), bounds=(0.5, 9), method="bounded"
    ).x
    assert found == pytest.approx(best, rel=0.02)
    np.testing.assert_allclose(labels_with_temperature(bold, 3.0), expit(z), rtol=1e-6)


def test_sparse_matrices_two_labels_weights_and_refits():
    clf = cv(refit=True).fit(X, sp.csr_array(Y), np.linspace(0.5, 1.5, 90))
    assert isinstance(clf.predict(X), sp.csr_array)
    assert np.isfinite(clf.score(X, sp.csr_array(Y), np.ones(90)))
    two = cv(n_runs=3, cv=2).fit(X, Y[:, :2])
    assert two.predict(X).shape == (90, 2)
    assert neg_label_log_loss(two, X, Y[:, :2]) == pytest.approx(two.score(X, Y[:, :2]))


def test_a_forest_lists_the_probabilities_of_each_label():
    forest = RandomForestClassifier(5)
    depths = {"max_depth": [2, 4]}
    clf = cv(estimator=forest, param_distributions=depths, n_runs=2).fit(X, Y)
    assert clf.predict_proba(X).shape == Y.shape
    known = np.c_[Y, np.zeros(90), np.ones(90)].astype(int)
    with_known = cv(estimator=forest, param_distributions=depths, n_runs=2).fit(X, known)
    proba = with_known.predict_proba(X)
    assert proba[:, 3].max() < 0.05
    assert proba[:, 4].min() > 0.95
    assert with_known.score(X, known) > -0.5


def test_one_label_after_several_and_tags():
    clf = cv(n_runs=3).fit(X, Y)
    clf.fit(X, np.where(Y[:, 0], "on", "off"))
    assert not clf.multilabel_
    assert set(clf.predict(X)) <= {"on", "off"}
    assert get_tags(clf).classifier_tags.multi_label


def test_what_cannot_work_is_told_before_the_first_fit():
    named = ManifoldMixupClassifier(classes=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"several labels per row, but .* classes=\['a', 'b'"):
        cv(estimator=named).fit(X, np.eye(3)[Y[:, 0]])

    class Unfit(ManifoldMixupClassifier):
        def fit(self, X, y, sample_weight=None):
            raise AssertionError

    two = cv(estimator=Unfit(max_epochs=1), scoring="roc_auc")
    with pytest.raises(ValueError, match="scoring='roc_auc' cannot score predictions"):
        two.fit(X, Y[:, :2])
    with pytest.raises(ValueError, match="one label per row is supported, not several"):
        cv(estimator=Unfit(max_epochs=1)).fit(X, Y + 1)


@pytest.mark.parametrize("kind", [MixupClassifierCV, MixupRegressorCV])
def test_scores_know_columns_of_targets_by_their_names(kind):
    frame = pd.DataFrame(Y, columns=list("abc"))
    network = NET if kind is MixupClassifierCV else ManifoldMixupRegressor(**NET_PARAMS)
    one = {"param_distributions": {}, "n_runs": 1, "cv": 2, "random_state": 0}
    fitted = kind(network, **one).fit(X, frame)
    expected = pytest.approx(fitted.score(X, Y))
    assert fitted.score(X, frame) == expected
    assert fitted.score(X, frame[["c", "a", "b"]]) == expected
    assert fitted.score(X, Y[:, [2, 0, 1]]) != expected

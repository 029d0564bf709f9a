"""Estimators that are made of estimators, scikit-learn's and what others do with ours."""

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import RFE, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils.validation import has_fit_parameter

from skmixup import ManifoldMixupClassifier, MixupClassifier

RNG = np.random.default_rng(0)
CODES = np.arange(60) % 3
X = (RNG.normal(size=(60, 4)) + 4 * np.eye(3, 4)[CODES]).astype(np.float32)
Y = np.array(["ant", "bee", "cow"])[CODES]
WEIGHT = RNG.uniform(0.5, 2, size=60)
NET = MixupClassifier(module__hidden_sizes=(8,), max_epochs=25, lr=0.03, random_state=0)
QUICK = clone(NET).set_params(max_epochs=2)

METAS = {
    "sigmoid": CalibratedClassifierCV(NET, cv=2),
    "isotonic": CalibratedClassifierCV(NET, method="isotonic", cv=2, ensemble=False),
    "stacking": StackingClassifier([("net", NET)], LogisticRegression(), cv=2),
    "final": StackingClassifier([("linear", LogisticRegression())], NET, cv=2, passthrough=True),
    "voting": VotingClassifier([("a", NET), ("b", clone(NET).set_params(alpha=0))], voting="soft"),
    "bagging": BaggingClassifier(NET, 3, max_features=0.8, random_state=0),
    "boosting": AdaBoostClassifier(NET, n_estimators=2, random_state=0),
    "one against rest": OneVsRestClassifier(NET),
    "one against one": OneVsOneClassifier(NET),
    "codes": OutputCodeClassifier(NET, random_state=0),
}


@pytest.mark.parametrize("kind", METAS)
def test_classifiers_of_classifiers_learn_what_one_learns(kind):
    meta = clone(METAS[kind])
    if has_fit_parameter(meta, "sample_weight"):
        meta.fit(X, Y, sample_weight=WEIGHT)
    else:
        meta.fit(X, Y)
    assert set(meta.predict(X)) == {"ant", "bee", "cow"}
    assert meta.score(X, Y) > 0.85


def test_a_temperature_makes_probabilities_flatter_and_changes_no_label():
    pytest.importorskip("sklearn", minversion="1.8")
    frozen = FrozenEstimator(clone(NET).fit(X, Y))
    noisy = np.where(RNG.random(60) < 0.4, np.roll(Y, 1), Y)
    scaled = CalibratedClassifierCV(frozen, method="temperature").fit(X, noisy)
    assert np.array_equal(scaled.predict(X), frozen.predict(X))
    assert scaled.predict_proba(X).max() < frozen.predict_proba(X).max()


def test_several_labels_at_once():
    labels = np.stack([CODES == 0, CODES == 1], axis=1).astype(int)
    for meta in (MultiOutputClassifier(NET), ClassifierChain(NET), OneVsRestClassifier(NET)):
        assert meta.fit(X, labels).score(X, labels) > 0.8


def test_labels_for_rows_that_have_none():
    some = np.where(np.arange(60) % 4 < 2, CODES, -1)
    assert SelfTrainingClassifier(NET).fit(X, some).score(X, CODES) > 0.85


def test_features_are_selected_by_scores_and_not_by_coefficients():
    selector = SequentialFeatureSelector(QUICK, n_features_to_select=2, cv=2).fit(X, Y)
    assert selector.get_support().sum() == 2
    importances = permutation_importance(clone(NET).fit(X, Y), X, Y, n_repeats=3, random_state=0)
    assert importances.importances_mean[:3].min() > importances.importances_mean[3]
    with pytest.raises(ValueError, match="importance_getter"):
        RFE(QUICK).fit(X, Y)
    ranked = RFE(QUICK, importance_getter=lambda net: net.module_.scaling.scale.numpy())
    assert ranked.fit(X, Y).n_features_ == 2


def test_searches_curves_and_thresholds():
    scoring = ["accuracy", "neg_log_loss", "roc_auc_ovr"]
    search = GridSearchCV(QUICK, {"alpha": [0, 1.0]}, scoring=scoring, refit="neg_log_loss", cv=2)
    assert np.all(np.isfinite(search.fit(X, Y).cv_results_["mean_test_roc_auc_ovr"]))
    sizes, train, _ = learning_curve(
        QUICK, X, Y, cv=2, train_sizes=[0.5, 1.0], exploit_incremental_learning=True
    )
    assert (sizes.tolist(), train.shape) == ([15, 30], (2, 2))
    tuned = TunedThresholdClassifierCV(QUICK, cv=2).fit(X, CODES == 1)
    assert 0 < tuned.best_threshold_ < 1


@pytest.mark.skipif(
    sklearn.__version__.startswith("1.6."),
    reason="before 1.7 a pipeline does not route weights to the score of its last step",
)
def test_weights_are_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        net = clone(QUICK).set_fit_request(sample_weight=True)
        clf = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False),
            net.set_score_request(sample_weight=True),
        )
        routed = cross_validate(clf, X, Y, params={"sample_weight": WEIGHT}, cv=2)
    plain = cross_val_score(make_pipeline(StandardScaler(), clone(QUICK)), X, Y, cv=2)
    assert not np.array_equal(routed["test_score"], plain)


def test_pipelines_that_remember(tmp_path):
    steps = [("scale", StandardScaler()), ("net", clone(QUICK))]
    clf = Pipeline(steps, memory=str(tmp_path)).set_output(transform="pandas")
    once, twice = clf.fit(X, Y).predict_proba(X), clf.fit(X, Y).predict_proba(X)
    assert np.array_equal(once, twice)
    assert clf[-1].n_features_in_ == 4


class Resampled(ClassifierMixin, BaseEstimator):
    """What imbalanced-learn and fairlearn do: a clone fitted on other rows, labels and weights."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y):
        rows = RNG.integers(len(X), size=2 * len(X))
        codes = (np.asarray(y) == y[0]).astype(int)
        weight = np.abs(RNG.normal(size=len(rows)))
        params = self.estimator.get_params()
        self.estimator_ = type(self.estimator)(
            **{k: v for k, v in params.items() if "callbacks__" not in k}
        )
        self.estimator_.fit(X[rows], codes[rows], sample_weight=weight)
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X):
        return self.estimator_.predict(X)


@pytest.mark.parametrize("net", [NET, ManifoldMixupClassifier(max_epochs=25, random_state=0)])
def test_clones_by_hand_on_other_rows(net):
    meta = Resampled(net).fit(X, Y)
    assert np.mean(meta.predict(X) == (Y[0] == Y)) > 0.85
    assert not hasattr(net, "module_")

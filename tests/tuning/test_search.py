"""Searches keep scikit-learn's contract and run the design."""

import subprocess
import sys

import numpy as np
import pytest
import sklearn
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy import stats
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GroupKFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmixup.design import orthogonal_array, uniform_design
from skmixup.design.central import central_design
from skmixup.tuning import OrthogonalDesignSearchCV, UniformDesignSearchCV

X, y = load_iris(return_X_y=True)
SPACE = {"C": stats.loguniform(1e-2, 1e2), "gamma": stats.loguniform(1e-3, 1e1)}


def uniform(**settings):
    return UniformDesignSearchCV(SVC(), SPACE, **({"n_runs": 7, "cv": 3} | settings))


def expected_failures(search):
    """What scikit-learn expects of its own searches, too."""
    if isinstance(search.estimator, Ridge):
        return {"check_supervised_y_2d": "Ridge takes a column and gives no warning"}
    return {}


# scikit-learn's own searches warn so when y holds infinities.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@parametrize_with_checks(
    [
        UniformDesignSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, n_runs=2, cv=2, error_score="raise"),
        UniformDesignSearchCV(
            LogisticRegression(),
            {"C": [0.1, 1.0, 2.0]},
            n_runs=3,
            n_rounds=2,
            cv=2,
            error_score="raise",
        ),
        OrthogonalDesignSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2, error_score="raise"),
    ],
    expected_failed_checks=expected_failures,
)
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("criterion", "make", "shift"),
    [("CD", uniform_design, 0.5), ("CD+middle", central_design, 1)],
)
def test_candidates_are_the_uniform_design(criterion, make, shift):
    search = uniform(n_runs=11, random_state=5, criterion=criterion).fit(X, y)
    u = (make(11, 2, random_state=clone_seed(5)) + shift) / (10 + 2 * shift)
    found = [[p["C"], p["gamma"]] for p in search.cv_results_["params"]]
    expected = [[SPACE["C"].ppf(a), SPACE["gamma"].ppf(b)] for a, b in u]
    np.testing.assert_allclose(found, expected)


def clone_seed(seed):
    return int(np.random.RandomState(seed).randint(2**31 - 1))


def test_results_have_what_grid_search_has():
    search = uniform(return_train_score=True).fit(X, y)
    keys = set(search.cv_results_)
    assert {"param_C", "param_gamma", "params", "rank_test_score", "split2_test_score"} <= keys
    assert {"mean_fit_time", "std_score_time", "mean_train_score"} <= keys
    assert all(len(column) == 7 for column in search.cv_results_.values())
    assert search.best_params_ == search.cv_results_["params"][search.best_index_]
    assert {type(v) for p in search.cv_results_["params"] for v in p.values()} == {float}
    assert search.best_score_ > 0.95
    assert is_classifier(search)


def test_optuna_distributions_and_lists():
    space = {
        "max_depth": IntDistribution(1, 4),
        "min_impurity_decrease": FloatDistribution(0, 0.2, step=0.05),
        "criterion": CategoricalDistribution(["gini", "entropy"]),
        "min_samples_leaf": np.array([1, 2, 4, 8]),
    }
    tree = DecisionTreeClassifier(random_state=0)
    search = UniformDesignSearchCV(tree, space, n_runs=20).fit(X, y)
    for name, values in {
        "max_depth": [1, 2, 3, 4],
        "min_impurity_decrease": [0, 0.05, 0.1, 0.15, 0.2],
        "criterion": ["gini", "entropy"],
        "min_samples_leaf": [1, 2, 4, 8],
    }.items():
        column = [p[name] for p in search.cv_results_["params"]]
        assert [column.count(v) for v in values] == [20 // len(values)] * len(values)


def test_orthogonal_search_runs_the_array():
    grid = {"C": [0.1, 1, 10], "gamma": [0.01, 0.1, 1], "kernel": ["rbf", "poly", "sigmoid"]}
    search = OrthogonalDesignSearchCV(SVC(), grid, cv=3).fit(X, y)
    expected = [
        {name: grid[name][level] for name, level in zip(grid, levels, strict=True)}
        for levels in orthogonal_array(3, 3)
    ]
    assert search.cv_results_["params"] == expected


@pytest.mark.parametrize(("n_runs", "n_rounds"), [(17, 3), (10, 2), (50, 6)])
def test_rounds_use_the_budget_exactly_and_zoom_in(n_runs, n_rounds):
    X, y = make_regression(60, 5, noise=30, random_state=0)
    space = {"alpha": stats.loguniform(1e-6, 1e6)}
    search = UniformDesignSearchCV(Ridge(), space, n_runs=n_runs, n_rounds=n_rounds).fit(X, y)
    alphas = np.log10([p["alpha"] for p in search.cv_results_["params"]])
    assert len(np.unique(alphas)) == n_runs
    once = UniformDesignSearchCV(Ridge(), space, n_runs=n_runs).fit(X, y)
    assert search.best_score_ >= once.best_score_
    # The last rounds stay close to the best, the first one spans all twelve decades.
    assert np.abs(alphas[-2:] - np.log10(search.best_params_["alpha"])).max() < 6
    assert np.ptp(alphas[: n_runs // 2]) > 8


def test_categories_stay_factors_in_every_round():
    space = {"C": stats.loguniform(1e-2, 1e2), "kernel": ["rbf", "linear", "poly"]}
    search = UniformDesignSearchCV(SVC(), space, n_runs=30, n_rounds=4, cv=3).fit(X, y)
    assert {p["kernel"] for p in search.cv_results_["params"][-12:]} == {"rbf", "linear", "poly"}


def test_multimetric_and_callable_refit():
    scoring = {"accuracy": "accuracy", "loss": "neg_log_loss"}
    space = {"C": stats.loguniform(1e-2, 1e2)}
    estimator = make_pipeline(StandardScaler(), LogisticRegression())
    space = {f"logisticregression__{k}": v for k, v in space.items()}
    search = UniformDesignSearchCV(
        estimator, space, n_runs=8, n_rounds=2, scoring=scoring, refit="loss"
    ).fit(X, y)
    assert search.best_score_ == search.cv_results_["mean_test_loss"].max()
    last = UniformDesignSearchCV(
        estimator, space, n_runs=4, scoring=scoring, refit=lambda results: 3
    ).fit(X, y)
    assert last.best_index_ == 3


class FailsAbove(SVC):
    """Cannot be fitted with a large C."""

    def fit(self, X, y, sample_weight=None):
        if self.C > 1:
            raise ValueError("too large")
        return super().fit(X, y, sample_weight)


def test_error_score_also_between_rounds():
    search = UniformDesignSearchCV(FailsAbove(), SPACE, n_runs=12, n_rounds=3, cv=3)
    with pytest.warns((FitFailedWarning, UserWarning)):
        search.fit(X, y)
    assert search.best_params_["C"] <= 1
    assert np.isnan(search.cv_results_["mean_test_score"]).any()
    with pytest.raises(ValueError, match="too large"):
        search.set_params(error_score="raise").fit(X, y)


@pytest.mark.parametrize("fails", [0, 3])
def test_error_score_where_a_callable_scoring_fails(fails):
    """Only from the other fits it is known how many scores, and which, the failed one lacks."""
    calls = iter(range(100))

    def scoring(estimator, X, y):
        if next(calls) == fails:
            raise RuntimeError("no score")
        return {"first": estimator.score(X, y), "second": 0.5}

    search = UniformDesignSearchCV(SVC(), SPACE, n_runs=4, cv=2, scoring=scoring, refit="first")
    with pytest.warns(UserWarning, match=r"Scoring failed|non-finite"):
        search.set_params(error_score=-1.0).fit(X, y)
    for name in ("first", "second"):
        scores = np.stack([search.cv_results_[f"split{k}_test_{name}"] for k in range(2)], axis=1)
        assert np.flatnonzero(scores.ravel() == -1.0).tolist() == [fails]
    assert search.best_score_ == search.cv_results_["mean_test_first"].max()


def test_cloning_and_nesting():
    search = uniform(n_runs=5, random_state=3)
    copied = clone(search)
    assert (copied.n_runs, copied.random_state, set(copied.param_distributions)) == (
        5,
        3,
        {*SPACE},
    )
    assert cross_val_score(search, X, y, cv=StratifiedKFold(3)).mean() > 0.9
    assert "n_runs=5" in repr(search)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib_backends_find_the_same(backend):
    import joblib

    alone = uniform().fit(X, y)
    with joblib.parallel_backend(backend, n_jobs=2):
        together = uniform(n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(
        alone.cv_results_["mean_test_score"], together.cv_results_["mean_test_score"]
    )


@pytest.mark.filterwarnings("ignore")
def test_dask_cluster_of_processes():
    import joblib

    distributed = pytest.importorskip("distributed")
    alone = uniform(n_rounds=2).fit(X, y)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_backend("dask"),
    ):
        together = uniform(n_rounds=2).fit(X, y)
    assert alone.cv_results_["params"] == together.cv_results_["params"]
    assert alone.best_params_ == together.best_params_


def test_metadata_routing():
    groups = np.arange(len(y)) % 5
    weights = np.where(y == 0, 1.0, 2.0)
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        search = UniformDesignSearchCV(
            SVC().set_fit_request(sample_weight=True),
            SPACE,
            n_runs=4,
            cv=GroupKFold(5),
            scoring=scorer,
        )
        search.fit(X, y, groups=groups, sample_weight=weights)
    assert search.n_splits_ == 5


def test_progress_bar_shows_every_candidate(capsys):
    search = uniform(n_rounds=2, progress_bar=True).fit(X, y)
    assert "7/7" in capsys.readouterr().err
    assert search.cv_results_["params"] == uniform(n_rounds=2).fit(X, y).cv_results_["params"]


@pytest.mark.parametrize(
    ("name", "unwanted"),
    [("UniformDesignSearchCV", "optuna torch matplotlib"), ("UniformDesignSampler", "torch")],
)
def test_imports_only_what_is_used(name, unwanted):
    code = (
        f"import sys; from skmixup.tuning import {name}; "
        f"sys.exit(any(m in sys.modules for m in {unwanted.split()}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class OnlyDraws:
    def rvs(self, random_state=None):
        return 1.0


@pytest.mark.parametrize(
    ("search", "error", "message"),
    [
        (uniform(n_runs=2), ValueError, "n_runs=2 is too few for 2 parameters: use at least 3"),
        (uniform(n_rounds=6), ValueError, "n_rounds=6 is too many for n_runs=7, the total"),
        (uniform(n_runs=1), ValueError, "'n_runs' parameter"),
        (uniform(criterion="L2"), ValueError, "'criterion' parameter"),
        (
            uniform(n_rounds=2, cv=ShuffleSplit(3)),
            ValueError,
            "draws new splits in every round.*random_state",
        ),
        (
            uniform(n_rounds=2, scoring=["accuracy", "f1_macro"], refit=False),
            ValueError,
            "needs one metric of .*'accuracy', 'f1_macro'.*refit",
        ),
        (
            UniformDesignSearchCV(SVC(), {"C": OnlyDraws()}, n_runs=4),
            TypeError,
            "'C'.*has no ppf",
        ),
        (
            UniformDesignSearchCV(SVC(), [{"C": [1]}, {"C": [2]}], n_runs=4),
            TypeError,
            "param_distributions is a list of 2 spaces",
        ),
        (
            OrthogonalDesignSearchCV(
                SVC(), {"C": [1, 2, 3, 4, 5, 6], "tol": [1, 2, 3, 4, 5, 6], "gamma": [1, 2]}
            ),
            ValueError,
            "lists of different lengths.*'C': 6, 'tol': 6, 'gamma': 2.*L18.*UniformDesignSearchCV",
        ),
        (
            OrthogonalDesignSearchCV(SVC(), {"C": [1, 2, 3], "gamma": [1, 2]}, strength=3),
            ValueError,
            "lists of different lengths.*strength=3",
        ),
        (
            OrthogonalDesignSearchCV(SVC(), {"C": [1, 2, 3, 4, 5, 6]}),
            ValueError,
            "6 values .* a prime power",
        ),
        (
            OrthogonalDesignSearchCV(SVC(), {"C": stats.uniform(0, 1)}),
            TypeError,
            r"distributions for \['C'\]",
        ),
        (OrthogonalDesignSearchCV(SVC(), [{}]), TypeError, "param_grid is a list of 1"),
    ],
)
def test_bad_input_is_refused_before_any_fit(search, error, message):
    search.estimator = FailsAbove()
    with pytest.raises(error, match=message):
        search.fit(X, y)


def test_more_runs_than_candidates():
    search = UniformDesignSearchCV(SVC(), {"kernel": ["rbf", "linear"]}, n_runs=4)
    with pytest.warns(UserWarning, match="n_runs=4 is more than the 2 different candidates"):
        search.fit(X, y)

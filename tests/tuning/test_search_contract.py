"""With as many runs as settings, a uniform design search finds what a grid search does."""

import pickle
import warnings

import numpy as np
import polars as pl
import pytest
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from skmixup.tuning import OrthogonalDesignSearchCV, UniformDesignSearchCV

X, y = load_iris(return_X_y=True)
GRID = {"C": [0.01, 1.0, 100.0], "kernel": ["linear", "rbf"]}
GROUPS = np.arange(len(y)) % 5


def two_scores(estimator, X, y):
    return {"first": estimator.score(X, y), "second": 1.0 - estimator.score(X, y)}


def by_setting(search):
    """Every column of the results that is no time and no rank, by setting."""
    results = search.cv_results_
    keys = [k for k in results if "time" not in k and not k.startswith(("rank", "param"))]
    return {
        repr(sorted(setting.items(), key=lambda item: item[0])): {k: results[k][i] for k in keys}
        for i, setting in enumerate(results["params"])
    }


def splits():
    yield from KFold(3, shuffle=True, random_state=0).split(X)


CASES = {
    "plain": ({}, {}),
    "a metric by name": ({"scoring": "f1_macro", "return_train_score": True}, {}),
    "a scorer": ({"scoring": make_scorer(accuracy_score)}, {}),
    "several metrics": ({"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro"}, {}),
    "a dict of metrics": ({"scoring": {"a": "accuracy", "score": "f1_macro"}, "refit": "a"}, {}),
    "metrics, no refit": ({"scoring": ["accuracy", "f1_macro"], "refit": False}, {}),
    "a callable": ({"scoring": two_scores, "refit": "second"}, {}),
    "splits from a generator": ({"cv": splits}, {}),
    "groups": ({"cv": GroupKFold(5)}, {"groups": GROUPS}),
    "sample weights": ({}, {"sample_weight": np.where(y == 1, 3.0, 1.0)}),
    "workers": ({"n_jobs": 2, "pre_dispatch": 1}, {}),
}


@pytest.mark.filterwarnings("ignore:The total space of parameters:UserWarning")
@pytest.mark.parametrize(("settings", "fit_params"), CASES.values(), ids=CASES)
def test_the_same_results_as_a_grid_search(settings, fit_params):
    def make(kind, **more):
        own = {k: v() if v is splits else v for k, v in settings.items()}
        return kind(SVC(), GRID, **{"cv": 3} | own | more).fit(X, y, **fit_params)

    grid, ours = make(GridSearchCV), make(UniformDesignSearchCV, n_runs=6)
    assert by_setting(ours) == by_setting(grid)
    assert {*ours.cv_results_} == {*grid.cv_results_}
    assert ours.multimetric_ == grid.multimetric_
    if settings.get("refit") is not False:
        assert ours.best_score_ == grid.best_score_
        assert 0 < ours.score(X, y) <= 1
    reference = make(RandomizedSearchCV, n_iter=6)
    assert {*vars(ours)} - {*vars(reference)} <= {
        "n_runs",
        "n_rounds",
        "initial_params",
        "time_limit",
        "criterion",
        "progress_bar",
        "n_completed_",
    }
    again = pickle.loads(pickle.dumps(ours.set_params(cv=None)))
    assert by_setting(again) == by_setting(ours)


@pytest.mark.parametrize(
    ("X", "y"), [(sparse.csr_matrix(X), y), (X.tolist(), list(y)), (X, y.astype(str))]
)
def test_inputs_of_other_kinds(X, y):
    ours = UniformDesignSearchCV(SVC(), GRID, n_runs=6, cv=3).fit(X, y)
    assert by_setting(ours) == by_setting(GridSearchCV(SVC(), GRID, cv=3).fit(X, y))


def test_parts_of_a_pipeline_and_no_targets():
    pipeline = Pipeline([("scale", StandardScaler()), ("svc", SVC())])
    grid = {"scale": [StandardScaler(), MinMaxScaler(), "passthrough"], "svc__C": [0.1, 10]}
    ours = UniformDesignSearchCV(pipeline, grid, n_runs=6, cv=3).fit(X, y)
    assert by_setting(ours) == by_setting(GridSearchCV(pipeline, grid, cv=3).fit(X, y))
    assert pipeline.named_steps["scale"] is not ours.best_estimator_.named_steps["scale"]
    clusters = UniformDesignSearchCV(
        KMeans(random_state=0, n_init=1), {"n_clusters": [2, 3, 4]}, n_runs=3, cv=3
    ).fit(X)
    assert clusters.predict(X).shape == (len(X),)
    assert (
        UniformDesignSearchCV(PCA(), {"n_components": [1, 2]}, n_runs=2).fit(X).n_completed_ == 2
    )


@pytest.mark.parametrize("value", [-1, 6])
def test_a_refit_out_of_bounds(value):
    search = UniformDesignSearchCV(SVC(), GRID, n_runs=6, cv=2, refit=lambda results: value)
    with pytest.raises(IndexError, match="best_index_ index out of range"):
        search.fit(X, y)


def test_a_splitter_without_splits_is_an_error():
    class NoSplits(KFold):
        def split(self, *args, **kwargs):
            return iter(())

    with pytest.raises(ValueError, match=r"No fits were performed|inconsistent"):
        UniformDesignSearchCV(SVC(), GRID, n_runs=6, cv=NoSplits()).fit(X, y)


def test_verbose_search_prints_what_scikit_learn_prints(capsys):
    UniformDesignSearchCV(SVC(), GRID, n_runs=6, cv=2, verbose=1).fit(X, y)
    assert capsys.readouterr().out == (
        "Fitting 2 folds for each of 6 candidates, totalling 12 fits\n"
    )


def test_scikit_learns_own_callbacks():
    callback = pytest.importorskip("sklearn.callback")
    monitor = callback.ScoringMonitor(scoring="accuracy")
    search = UniformDesignSearchCV(SVC(), GRID, n_runs=6, n_rounds=2, cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search.set_callbacks(monitor).fit(X, y)
    assert search.n_completed_ == 6


@pytest.mark.parametrize("name", ["X", "y"])
def test_a_lazy_frame_is_to_be_read_first(name):
    lazy = pl.DataFrame({"a": np.arange(len(y))}).lazy()
    for search in (
        UniformDesignSearchCV(SVC(), GRID, n_runs=6),
        OrthogonalDesignSearchCV(SVC(), {"C": [1.0, 2.0]}),
    ):
        with pytest.raises(ValueError, match=rf"^{name} is a lazy frame; pass {name}.collect\(\)"):
            search.fit(**{"X": X, "y": y} | {name: lazy})

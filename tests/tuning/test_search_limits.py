"""Searches that end early, whose fits fail, or that are watched: nothing that was run is lost."""

import threading
import time
import warnings
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.model_selection import _validation, cross_val_score
from sklearn.svm import SVC

from skmixup.tuning import OrthogonalDesignSearchCV, UniformDesignSearchCV, limits

X, y = load_iris(return_X_y=True)
SPACE = {"a": stats.uniform(0, 1)}
GRID = {"a": [0.0, 0.4], "b": [1, 2]}


class Constant(ClassifierMixin, BaseEstimator):
    """Predicts one class; how fits number 1, 2, … go is up to the class attributes."""

    n_fits, counting = 0, threading.Lock()
    sleep = staticmethod(time.sleep)
    fails = range(0)
    interrupted = 0
    seconds = 0.0

    def __init__(self, a=0.0, b=1):
        self.a = a
        self.b = b

    def fit(self, X, y):
        with self.counting:
            number = type(self).n_fits = self.n_fits + 1
        self.sleep(self.seconds)
        if number == self.interrupted:
            raise KeyboardInterrupt
        if number in self.fails:
            raise RuntimeError("cannot be fitted")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), int(3 * self.a))


def constant(**behaviour):
    """An estimator whose class counts its own fits."""
    return type("Counted", (Constant,), behaviour)()


def search(estimator, **settings):
    return UniformDesignSearchCV(estimator, SPACE, **({"n_runs": 6, "cv": 2} | settings))


def params_of(**settings):
    """The candidates of a search that nothing ends."""
    return search(constant(), **settings).fit(X, y).cv_results_["params"]


# Failing fits.


@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
@pytest.mark.parametrize(
    ("fails", "settings"),
    [
        (range(1, 3), {"progress_bar": True}),
        (range(9, 13), {"n_rounds": 2}),
        (range(1, 9), {"n_rounds": 2}),
        (range(1, 9), {"n_rounds": 2, "error_score": 0.0}),
    ],
    ids=["the first candidate", "the last round", "the first round", "score 0"],
)
def test_a_part_whose_fits_all_fail_does_not_end_the_search(fails, settings, capsys):
    with pytest.warns(FitFailedWarning, match=f"{len(fails)} fits failed out of a total of 12"):
        found = search(constant(fails=fails), **settings).fit(X, y)
    failed = np.zeros(6, dtype=bool)
    failed[[(number - 1) // 2 for number in fails]] = True
    scores = found.cv_results_["mean_test_score"]
    expected = settings.get("error_score", np.nan)
    np.testing.assert_array_equal(scores[failed], np.full(failed.sum(), expected))
    assert np.isfinite(scores[~failed]).all()
    assert not failed[found.best_index_]


@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
@pytest.mark.parametrize("n_rounds", [1, 2])
def test_a_search_whose_fits_all_fail_is_an_error(n_rounds):
    with pytest.raises(ValueError, match="All the 12 fits failed"):
        search(constant(fails=range(1, 99)), n_rounds=n_rounds).fit(X, y)


def two_scores(estimator, X, y):
    return {"good": estimator.score(X, y), "bad": 0.5}


@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
@pytest.mark.parametrize("n_rounds", [1, 2])
def test_failures_before_a_callable_has_named_its_scores(n_rounds):
    with pytest.warns(FitFailedWarning):
        found = search(
            constant(fails=range(1, 9)), n_rounds=n_rounds, scoring=two_scores, refit="good"
        ).fit(X, y)
    assert np.isnan(found.cv_results_["mean_test_good"]).tolist() == [True] * 4 + [False] * 2
    assert found.multimetric_


# What refit may be.


@pytest.mark.parametrize(
    ("scoring", "refit"),
    [
        ("accuracy", "accuracy"),
        ("accuracy", "whatever"),
        ("accuracy", False),
        (None, lambda results: int(np.argmax(results["mean_test_score"]))),
        ({"only": "accuracy"}, False),
        (["accuracy"], "accuracy"),
        (["accuracy"], lambda results: int(results["mean_test_accuracy"].argmax())),
        (two_scores, "good"),
        ({"good": "accuracy", "score": "f1_macro"}, "good"),
        (two_scores, lambda results: int(np.argmax(results["mean_test_good"]))),
        (["accuracy", "f1_macro"], lambda results: int(results["mean_test_accuracy"].argmax())),
    ],
)
def test_rounds_take_what_scikit_learn_takes(scoring, refit):
    settings = {"n_runs": 12, "n_rounds": 4, "cv": 3}
    alone = UniformDesignSearchCV(SVC(), {"C": stats.loguniform(1e-3, 1e3)}, **settings)
    chosen = UniformDesignSearchCV(
        SVC(), {"C": stats.loguniform(1e-3, 1e3)}, scoring=scoring, refit=refit, **settings
    ).fit(X, y)
    c = np.log10([p["C"] for p in chosen.cv_results_["params"]])
    best = alone.fit(X, y).best_params_["C"]
    assert np.abs(c[-2:] - np.log10(best)).max() < 1.5  # of six decades


@pytest.mark.parametrize(
    ("scoring", "refit", "n_rounds", "message"),
    [
        (["accuracy", "f1_macro"], False, 2, "needs one metric of .*'accuracy', 'f1_macro'"),
        ({"good": "accuracy"}, "typo", 2, "'typo' was passed"),
        ({"good": "accuracy"}, True, 1, "True was passed"),
        (two_scores, False, 2, "needs one metric of .*'good', 'bad'.*refit"),
        (two_scores, True, 2, "True was passed"),
        (two_scores, "typo", 2, "'typo' was passed"),
        (two_scores, "typo", 1, "'typo' was passed"),
    ],
)
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_refit_that_cannot_be_is_told_before_much_is_fitted(
    scoring, refit, n_rounds, message, n_jobs
):
    estimator = constant(seconds=0.02)
    with (
        joblib.parallel_backend("threading"),
        pytest.raises(ValueError, match=message),
    ):
        search(
            estimator, n_runs=60, scoring=scoring, refit=refit, n_rounds=n_rounds, n_jobs=n_jobs
        ).fit(X, y)
    # What a callable returns is known only after a fit; no further candidate is begun then.
    assert type(estimator).n_fits <= (2 if n_jobs == 1 else 60) * callable(scoring)


@pytest.mark.filterwarnings("ignore:refit picks none:UserWarning")
def test_a_callable_refit_that_needs_more_candidates_than_a_round_has():
    chosen = search(
        constant(), n_runs=12, n_rounds=3, scoring=["accuracy", "f1_macro"], refit=lambda found: 11
    )
    with pytest.warns(UserWarning, match="refit picks none of the [69] candidates"):
        chosen.fit(X, y)
    assert chosen.best_index_ == 11


# The time limit.


@pytest.fixture
def clock(monkeypatch):
    """Return the time in a list, for searches and for fits whose ``sleep`` puts it on."""
    now, lock = [0.0], threading.Lock()

    def sleep(seconds):
        with lock:
            now[0] += seconds

    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: now[0]))
    # with which scikit-learn measures how long fits take
    monkeypatch.setattr(_validation, "time", SimpleNamespace(time=lambda: now[0]))
    monkeypatch.setattr(Constant, "sleep", staticmethod(sleep))
    return now


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"n_rounds": 3},
        {"n_jobs": 2},
        {"progress_bar": True},
        {"pre_dispatch": "all"},
        {"n_jobs": 2, "pre_dispatch": "all"},
    ],
)
def test_a_time_limit_ends_the_search_with_what_is_complete(settings, capsys):
    settings = {"n_runs": 60, **settings}
    limited = search(constant(seconds=0.04), time_limit=0.7, **settings)
    with (
        joblib.parallel_backend("threading"),
        pytest.warns(UserWarning, match=r"time_limit=0.7 s ended .* of 60 candidates"),
    ):
        limited.fit(X, y)
    n = limited.n_completed_
    assert 1 <= n < 60
    assert {len(column) for column in limited.cv_results_.values()} == {n}
    if "n_rounds" not in settings:
        assert limited.cv_results_["params"] == params_of(n_runs=60)[:n]
    assert limited.best_params_ == limited.cv_results_["params"][limited.best_index_]
    assert limited.predict(X[:2]).shape == (2,)


@pytest.mark.parametrize("end", ["limit", "interrupt"])
def test_backends_that_give_all_results_at_once_are_asked_slice_by_slice(end, monkeypatch):
    class AllAtOnce(joblib.parallel.ThreadingBackend):  # As joblib's multiprocessing backend is.
        supports_return_generator = False

    monkeypatch.setitem(joblib.parallel.BACKENDS, "all at once", AllAtOnce)
    with joblib.parallel_backend("all at once"):
        if end == "limit":
            ended = search(constant(seconds=0.03), n_runs=60, n_jobs=2, time_limit=0.9)
            with pytest.warns(UserWarning, match="time_limit"):
                ended.fit(X, y)
        else:
            ended = search(constant(interrupted=30), n_runs=60, n_jobs=2)
            with pytest.raises(KeyboardInterrupt):
                ended.fit(X, y)
    assert 1 <= ended.n_completed_ < 60
    assert ended.cv_results_["params"] == params_of(n_runs=60)[: ended.n_completed_]


def test_a_time_limit_is_kept_to_the_last_fit(clock):
    limited = search(constant(seconds=0.02), n_runs=60, time_limit=0.71)
    with pytest.warns(UserWarning, match=r"after 16 of 60 candidates"):
        limited.fit(X, y)
    # Each takes 0.04 s; the refit 0.02 s, or 0.04 s as two folds tell of it.
    assert clock[0] == pytest.approx(16 * 0.04 + 0.02)


@pytest.mark.usefixtures("clock")
def test_the_refit_is_part_of_the_time_limit():
    n_completed = {}
    for refit in (True, False):
        limited = search(constant(seconds=0.4), time_limit=2.3, refit=refit)
        with pytest.warns(UserWarning, match="time_limit"):
            n_completed[refit] = limited.fit(X, y).n_completed_
    # After one candidate, 0.8 s, another one would take 0.8 s, and the refit on all rows 0.8 s.
    assert n_completed == {True: 1, False: 2}


@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.parametrize(("fails", "n_completed"), [(range(0), 1), (range(1, 7), 4)])
def test_a_time_limit_never_leaves_nothing(fails, n_completed):
    limited = search(constant(fails=fails), time_limit=1e-9)
    with pytest.warns(UserWarning, match=f"after {n_completed} of 6"):
        limited.fit(X, y)
    assert limited.n_completed_ == n_completed
    assert np.isfinite(limited.best_score_)


def test_a_time_limit_that_is_kept_goes_unnoticed():
    kept = search(constant(), time_limit=600).fit(X, y)  # Warnings are errors here.
    assert kept.n_completed_ == 6
    assert kept.cv_results_["params"] == params_of()


@pytest.mark.parametrize("limit", [600, np.inf])
def test_limits_far_away(limit):
    assert search(constant(), time_limit=limit).fit(X, y).n_completed_ == 6


@pytest.mark.parametrize("value", [0, -1, "1 h", float("nan"), True])
def test_bad_time_limits(value):
    with pytest.raises(ValueError, match="time_limit"):
        search(constant(), time_limit=value).fit(X, y)


# Interrupts.


@pytest.mark.parametrize(
    ("number", "n_completed", "settings"),
    [
        (8, 3, {}),
        (8, 3, {"progress_bar": True}),
        (7, 3, {"refit": False}),
        (10, 4, {"n_rounds": 2}),
        (11, 5, {"n_rounds": 2}),
        (13, 6, {}),  # in the refit
    ],
)
def test_an_interrupt_leaves_what_is_complete_and_goes_on(number, n_completed, settings, capsys):
    stopped = search(constant(interrupted=number), **settings)
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(X, y)
    assert stopped.n_completed_ == n_completed
    assert stopped.cv_results_["params"] == params_of(**settings)[:n_completed]
    assert len(stopped.cv_results_["mean_test_score"]) == n_completed
    assert stopped.best_params_ == stopped.cv_results_["params"][stopped.best_index_]
    assert stopped.best_score_ == stopped.cv_results_["mean_test_score"].max()
    assert not hasattr(stopped, "best_estimator_")
    if stopped.refit:
        with pytest.raises(NotFittedError):
            stopped.predict(X)


def test_an_interrupt_with_workers_and_several_metrics():
    stopped = search(
        constant(interrupted=40, seconds=0.01),
        n_runs=40,
        n_jobs=2,
        scoring=["accuracy", "f1_macro"],
        refit="f1_macro",
    )
    with joblib.parallel_backend("threading"), pytest.raises(KeyboardInterrupt):
        stopped.fit(X, y)
    assert 1 <= stopped.n_completed_ < 30
    assert stopped.best_score_ == stopped.cv_results_["mean_test_f1_macro"].max()


def test_an_interrupt_forgets_the_network_of_an_earlier_fit():
    stopped = search(constant(interrupted=16)).fit(X, y)
    with pytest.raises(KeyboardInterrupt):  # after 13 fits: the third of the second search
        stopped.fit(X, y)
    assert stopped.n_completed_ == 1
    assert not hasattr(stopped, "best_estimator_")


def test_an_interrupt_before_anything_is_complete_leaves_nothing():
    stopped = search(constant(interrupted=2))
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(X, y)
    assert not hasattr(stopped, "cv_results_")


def test_an_interrupt_goes_through_searches_inside_and_the_orthogonal_one():
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(search(constant(interrupted=20)), X, y, cv=3)
    stopped = OrthogonalDesignSearchCV(constant(interrupted=5), GRID, cv=2)
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(X, y)
    assert stopped.n_completed_ == 2


# scikit-learn's callbacks.


class Tasks:
    """A callback of scikit-learn 1.9 that counts the tasks by their name."""

    def __init__(self):
        self.begun, self.ended = [], []

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context):
        self.ended.append(context.task_name)

    def teardown(self, estimator, context):
        pass


@pytest.mark.parametrize(
    ("make", "rounds", "fits"),
    [
        (lambda: search(constant()), 0, 12),
        (lambda: search(constant(), n_rounds=3), 3, 12),
        (lambda: search(constant(), n_rounds=3, progress_bar=True), 3, 12),
        (lambda: OrthogonalDesignSearchCV(constant(), GRID, cv=2), 0, 8),
    ],
)
def test_callbacks_see_rounds_and_candidates(make, rounds, fits, capsys):
    pytest.importorskip("sklearn.callback")
    tasks = Tasks()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make().set_callbacks(tasks).fit(X, y)
    expected = {
        "fit": 1,
        "search": 1,
        "round": rounds,
        "candidate-split-evaluation": fits,
        "refit-with-best-params": 1,
    }
    for seen in (tasks.begun, tasks.ended):
        assert {name: seen.count(name) for name in expected} == expected
        assert len(seen) == sum(expected.values())

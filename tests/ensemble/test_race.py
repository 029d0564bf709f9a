"""Which fits are made, in which order, and what ends them early."""

import gc
import time
import weakref
from typing import ClassVar

import joblib
import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import KFold, ShuffleSplit, StratifiedKFold

from skmixup import MixupClassifierCV
from skmixup.ensemble.clock import Clock
from skmixup.ensemble.selection import greedy_weights
from skmixup.training.divergence import DivergenceError
from tests.ensemble.toys import Toy, toy


def sharpness(estimator):
    """The parameter of each fit so far."""
    return [fit[0] for fit in type(estimator).log]


def constant_score(estimator, X, y):
    return 0.5


# The race.


def test_all_settings_run_on_the_first_fold_and_the_better_half_on_the_others(blobs, searching):
    estimator = toy()
    clf = searching(estimator, calibrate=False).fit(*blobs)
    results = clf.cv_results_
    tried = [setting["beta"] for setting in results["params"]]
    assert tried[0] == 1.0  # the estimator's own
    assert len(set(tried)) == 6
    betas = sharpness(estimator)
    assert betas[:6] == tried
    first = results["split0_test_score"]
    order = np.argsort(-first, kind="stable")
    last = [i for i in order if i >= 4][1:]  # of two runs near the best one goes on at most
    half = [i for i in order if i not in last][:3]
    assert betas[6:] == [tried[i] for i in half for _ in range(2)]
    np.testing.assert_array_equal(np.flatnonzero(results["n_splits"] == 3), np.sort(half))
    assert clf.n_completed_ == 3


@pytest.mark.parametrize("time_limit", [None, 1000])
def test_six_settings_go_on_and_the_best_of_two_folds_further(blobs, searching, time_limit):
    X, y = blobs
    clf = searching(toy(), n_runs=20, calibrate=False, time_limit=time_limit).fit(X, y)
    results = clf.cv_results_
    n_splits, first = results["n_splits"], results["split0_test_score"]
    better = n_splits > 1
    assert better.sum() == 6
    assert better[12:].sum() <= 2  # are near the best
    assert first[:12][better[:12]].min() >= first[:12][~better[:12]].max()
    # Of these go on: the best three, and those that would have a weight.
    folds = [*StratifiedKFold(3).split(X, y)][:2]
    codes = np.searchsorted(clf.classes_, np.concatenate([y[test] for _, test in folds]))
    place = (np.arange(len(codes)), codes)
    betas = [setting["beta"] for setting in results["params"]]
    members = {
        i: np.concatenate(
            [toy().set_params(beta=betas[i]).fit(X[a], y[a]).predict_proba(X[b]) for a, b in folds]
        )
        for i in np.flatnonzero(better)
    }
    order = sorted(members, key=lambda i: -np.log(members[i][place]).mean())
    weights = greedy_weights([members[i] for i in order], lambda p: np.log(p[place]).mean())
    expected = {i for k, i in enumerate(order) if k < 3 or weights[k] > 0}
    assert set(np.flatnonzero(n_splits == 3)) == expected
    assert 3 <= len(expected) < 6
    # What is known of the others: the mean of two scores, and what the complete ones gained.
    scores = np.stack([results[f"split{k}_test_score"] for k in range(3)], axis=1)
    complete = n_splits == 3
    gained = (scores[complete].mean(axis=1) - scores[complete, :2].mean(axis=1)).mean()
    given_up = n_splits == 2
    np.testing.assert_allclose(
        results["mean_test_score"][given_up], scores[given_up, :2].mean(axis=1) + gained
    )


def test_means_of_settings_on_two_folds_are_scored_by_any_scorer(blobs, searching):
    clf = searching(toy(), n_runs=20, scoring="accuracy").fit(*blobs)  # without a warning
    assert (clf.cv_results_["n_splits"] > 1).sum() == 6
    assert 3 <= clf.n_completed_ < 6


@pytest.mark.parametrize("n_folds", [1, 2])
def test_settings_are_told_apart_in_folds_whose_rows_have_no_weight(blobs, searching, n_folds):
    def accuracy(clf, X, y):
        return np.mean(clf.predict(X) == y)

    X, y = blobs
    weight = (np.arange(90) >= 18 * n_folds) * 1.0
    clf = searching(toy(), n_runs=20, scoring=accuracy, cv=KFold(5))
    clf.fit(X, y, sample_weight=weight)
    assert (clf.cv_results_["n_splits"] > 1).sum() == 6
    assert np.isfinite(clf.predict_proba(X)).all()


def test_of_equal_settings_the_earlier_ones_go_on(blobs, searching):
    clf = searching(toy(), scoring=constant_score).fit(*blobs)
    assert clf.cv_results_["n_splits"].tolist() == [3, 3, 3, 1, 1, 1]
    assert clf.best_index_ == 0
    assert clf.cv_results_["rank_test_score"].tolist() == [1, 1, 1, 4, 4, 4]


def epochs_of_first_fits(**params):
    class Timed(Toy):
        log: ClassVar[list] = []

        def __init__(self, max_epochs=3, random_state=None):
            self.max_epochs = max_epochs
            self.random_state = random_state

        beta = property(lambda self: self.max_epochs)

    X, y = make_blobs(60, centers=3, random_state=0)
    space = {"max_epochs": [1, 2, 3, 5, 8]}
    clf = MixupClassifierCV(Timed(), param_distributions=space, n_runs=5, cv=2, **params)
    clf.fit(X, y)
    return [beta for beta, *_ in Timed.log[:5]], clf


def test_long_fits_begin_first_so_that_workers_end_together():
    epochs, clf = epochs_of_first_fits()
    assert epochs == [3, 8, 5, 2, 1]
    assert clf.cv_results_["params"][0] == {"max_epochs": 3}
    limited, again = epochs_of_first_fits(time_limit=1000.0)
    assert limited == [setting["max_epochs"] for setting in again.cv_results_["params"]]
    assert sorted(limited) == sorted(epochs)
    assert limited != epochs


def test_one_fold_is_enough(blobs, searching):
    clf = searching(toy(), cv=ShuffleSplit(1, random_state=0)).fit(*blobs)
    assert clf.n_completed_ == 6
    assert clf.n_splits_ == 1


# Failing fits.


def test_settings_that_fail_are_left_out_with_a_warning(blobs, searching):
    estimator = toy(fails={2, 4, 8})  # two on the first fold, one on the others
    with pytest.warns(FitFailedWarning, match="3 of 10 fits failed.*RuntimeError: cannot be fit"):
        clf = searching(estimator).fit(*blobs)
    assert np.isnan(clf.cv_results_["mean_test_score"][[1, 3]]).all()
    assert clf.n_completed_ == 1
    assert clf.cv_results_["rank_test_score"][clf.best_index_] == 1
    assert len(clf.estimators_) == 3


def test_where_all_that_went_on_fail_the_next_one_does(blobs, searching):
    estimator = toy(fails={7, 9, 11})  # each of the better three in the second fold
    with pytest.warns(FitFailedWarning, match="3 of 14 fits failed"):
        clf = searching(estimator, calibrate=False).fit(*blobs)
    assert clf.n_completed_ == 1
    first = clf.cv_results_["split0_test_score"]
    assert clf.best_index_ == np.argsort(-first)[3]
    again = toy().set_params(**clf.best_params_)
    alone = searching(again, param_distributions={}, calibrate=False).fit(*blobs)
    np.testing.assert_allclose(clf.predict_proba(blobs[0]), alone.predict_proba(blobs[0]))


def test_an_error_with_the_estimators_own_setting_is_raised_at_once(blobs, searching):
    estimator = toy(fails={1})
    with pytest.raises(RuntimeError, match="cannot be fitted"):
        searching(estimator).fit(*blobs)
    assert len(sharpness(estimator)) == 1


def test_divergence_with_the_own_setting_is_one_setting_less(blobs, searching):
    estimator = toy(fails={1}, error=DivergenceError("diverged"))
    with pytest.warns(FitFailedWarning, match="diverged"):
        clf = searching(estimator).fit(*blobs)
    assert clf.n_completed_ == 3


def test_settings_that_all_fail_are_an_error(blobs, searching):
    with pytest.raises(DivergenceError, match="diverged"):
        searching(toy(fails=range(99), error=DivergenceError("diverged"))).fit(*blobs)


class Moody:
    """A scorer of sharpness that fails, or has no answer, when it is called for such a time."""

    def __init__(self, *times, answer=None):
        self.times = times
        self.answer = answer
        self.n_calls = 0

    def __call__(self, estimator, X, y):
        self.n_calls += 1
        if self.n_calls in self.times:
            if self.answer is not None:
                return self.answer
            raise ZeroDivisionError("no such class here")
        return float(estimator.predict_proba(X).max(axis=1).mean())


@pytest.mark.parametrize("answer", [None, np.nan, np.inf])
def test_a_setting_that_cannot_be_scored_is_left_out_with_a_warning(blobs, searching, answer):
    # three calls try the scorer, six are for settings on the first fold
    scorer = Moody(5, answer=answer)
    with pytest.warns(FitFailedWarning, match="^1 of 6 settings could not be scored.*error: "):
        clf = searching(toy(), scoring=scorer, ensemble=False).fit(*blobs)
    assert np.flatnonzero(np.isnan(clf.cv_results_["mean_test_score"])).tolist() == [1]
    assert clf.cv_results_["rank_test_score"][1] == 6
    assert clf.cv_results_["n_splits"][1] == 0
    assert clf.n_completed_ == 3  # the better half of five
    assert clf.weights_[1] == 0


def test_a_setting_that_cannot_be_scored_on_all_folds_is_left_out(blobs, searching):
    estimator = toy()
    with pytest.warns(FitFailedWarning, match="ZeroDivisionError: no such class here"):
        clf = searching(estimator, scoring=Moody(11), ensemble=False).fit(*blobs)
    lost = np.isnan(clf.cv_results_["mean_test_score"])
    assert lost.sum() == 1
    assert clf.n_completed_ == 2
    assert len(sharpness(estimator)) == 12
    assert clf.best_params_["beta"] != clf.cv_results_["params"][lost.argmax()]["beta"]


def test_a_mean_of_settings_that_cannot_be_scored_is_left_out(blobs, searching):
    whole = Moody()
    searching(toy(), scoring=whole).fit(*blobs)
    # three calls, six, three settings on three folds, then the members and their means
    with pytest.warns(FitFailedWarning, match="a mean of settings could not be scored"):
        clf = searching(toy(), scoring=Moody(*range(28, whole.n_calls + 1))).fit(*blobs)
    assert sorted(clf.weights_)[-1] == 1


def test_settings_of_which_none_can_be_scored_are_an_error(blobs, searching):
    with pytest.raises(ZeroDivisionError, match="no such class here"):
        searching(toy(), scoring=Moody(*range(4, 99))).fit(*blobs)


# Ctrl-C.


@pytest.mark.parametrize(("interrupted", "n_complete"), [(9, 1), (10, 1), (11, 2)])
def test_an_interrupt_leaves_what_is_complete(blobs, searching, interrupted, n_complete):
    clf = searching(toy(interrupted={interrupted}))
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*blobs)
    assert clf.n_completed_ == n_complete
    assert clf.predict_proba(blobs[0]).shape == (90, 3)
    assert set(clf.predict(blobs[0])) <= {"0", "1", "2"}
    whole = searching(toy()).fit(*blobs)
    for fold in range(3):
        complete = clf.cv_results_["n_splits"] == 3
        key = f"split{fold}_test_score"
        np.testing.assert_array_equal(
            clf.cv_results_[key][complete], whole.cv_results_[key][complete]
        )


def test_an_interrupt_before_anything_is_complete_leaves_the_last_fit(blobs, searching):
    clf = searching(toy(interrupted={8}))
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*blobs)
    assert not hasattr(clf, "cv_results_")
    clf = searching(toy(interrupted={13 + 4})).fit(*blobs)  # one fit has twelve
    before = clf.predict_proba(blobs[0])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(blobs[0][:, [0, 1, 1]], blobs[1])
    np.testing.assert_array_equal(clf.predict_proba(blobs[0]), before)


def test_an_interrupt_of_the_refit_leaves_the_networks_of_the_folds(blobs, searching):
    clf = searching(toy(interrupted={13}), refit=True)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*blobs)
    assert clf.n_completed_ == 3
    assert len(clf.estimators_) == 3
    single = searching(toy(), ensemble=False).fit(*blobs)
    np.testing.assert_array_equal(clf.predict_proba(blobs[0]), single.predict_proba(blobs[0]))


def test_an_interrupt_while_settings_are_weighed_leaves_the_best_one(blobs, searching):
    class Interrupted(Moody):
        def __call__(self, estimator, X, y):
            if self.n_calls == 27:  # three to try it, six, three on three folds, three members
                raise KeyboardInterrupt
            return super().__call__(estimator, X, y)

    clf = searching(toy(), scoring=Interrupted())
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*blobs)
    assert clf.n_completed_ == 3
    assert clf.weights_[clf.best_index_] == 1
    assert len(clf.estimators_) == 3


# Time.


def test_a_limit_that_is_too_short_for_anything_leaves_one_complete_setting(blobs, searching):
    estimator = toy(seconds=0.02)
    clf = searching(estimator, time_limit=1e-9, refit=True).fit(*blobs)
    assert clf.n_completed_ == 1
    assert sharpness(estimator) == [1.0] * 4  # three folds, and all rows
    assert len(clf.cv_results_["params"]) == 1


@pytest.fixture
def sleeping(monkeypatch):
    """Return the time in a list: sleeping takes none here, but puts the clock on."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_a_limit_is_kept_and_shared_between_the_stages(blobs, searching, sleeping):
    clf = searching(toy(seconds=0.1), n_runs=40, time_limit=2.0, refit=True).fit(*blobs)
    # Eight fits and two more of four leave 0.15 for the refit, which a fold tells 3/2 times of.
    assert len(clf.cv_results_["params"]) == 8
    assert sleeping[0] == pytest.approx(1.6)  # with nine settings it might have been 2.05
    assert clf.n_completed_ == 3  # after the second fold one was given up


@pytest.mark.parametrize(("seconds", "beta"), [(0.3, 8.0), (0.0, 8.0), (9.0, 1.0)])
@pytest.mark.usefixtures("sleeping")
def test_settings_for_which_there_is_no_time(blobs, searching, monkeypatch, seconds, beta):
    # Best is 1.0, and takes 0.6 seconds in the other two folds; the others are quicker.
    space = {"param_distributions": {"beta": [1.0, 8.0, 64.0]}, "n_runs": 3}
    monkeypatch.setattr(Clock, "first_fold_has_time", lambda *_: True)
    monkeypatch.setattr(Clock, "has_time", lambda clock, ahead, refit: ahead < seconds)
    clf = searching(toy(slow={1.0: 0.3}), **space, time_limit=99.0).fit(*blobs)
    assert clf.best_params_["beta"] == beta
    assert clf.n_completed_ == 1 + (seconds == 9.0)


@pytest.mark.usefixtures("sleeping")
def test_time_for_the_refit_is_kept_free():
    with_refit, without = (Clock(12.0, 5, refit, time.monotonic()) for refit in (True, False))
    assert without.has_time(11.0, 4.0)
    assert not without.has_time(12.1, 4.0)
    assert with_refit.has_time(6.5, 4.0)  # all rows are a quarter more than those of a fold
    assert not with_refit.has_time(7.1, 4.0)
    assert without.first_fold_has_time(3.5, 4.0, 0.5)  # one fit of three in the whole race
    assert not without.first_fold_has_time(4.1, 4.0, 0.5)
    assert without.first_fold_has_time(4.1, 4.0, 0.25)  # fewer go on
    assert not with_refit.first_fold_has_time(3.5, 4.0, 0.5)


def test_a_long_limit_changes_nothing(blobs, searching):
    limited = searching(toy(), time_limit=1000.0).fit(*blobs)
    free = searching(toy()).fit(*blobs)
    np.testing.assert_array_equal(limited.predict_proba(blobs[0]), free.predict_proba(blobs[0]))


# Memory.


@pytest.fixture
def quick_collections():
    """What is there already is not looked through in every collection: a quarter of a second."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("quick_collections")
def test_networks_that_are_out_of_the_race_are_given_back(blobs, searching):
    alive, most = weakref.WeakSet(), []

    class Counted(Toy):
        log: ClassVar[list] = []

        def fit(self, X, y, sample_weight=None):
            gc.collect()
            most.append(len(alive))
            alive.add(self)
            return super().fit(X, y)

    clf = searching(Counted(), n_runs=20, ensemble=False).fit(*blobs)
    gc.collect()
    assert len(alive) == len(clf.estimators_) == 3
    assert most[19] == 19
    assert most[20] <= 7  # six go on, and the last one may still be held by its worker


# Workers.


def test_the_same_whatever_the_workers(blobs, searching):
    alone = searching(toy(), store_oof=True).fit(*blobs)
    with joblib.parallel_backend("threading"):
        beside = searching(toy(), store_oof=True, n_jobs=2).fit(*blobs)
    np.testing.assert_array_equal(beside.predict_proba(blobs[0]), alone.predict_proba(blobs[0]))
    np.testing.assert_array_equal(beside.oof_proba_, alone.oof_proba_)
    np.testing.assert_array_equal(beside.weights_, alone.weights_)


@pytest.mark.filterwarnings("ignore")  # Dask's own
def test_dask(blobs, searching):
    distributed = pytest.importorskip("distributed")
    alone = searching(toy()).fit(*blobs)
    with (
        distributed.Client(processes=False, n_workers=1, dashboard_address=None),
        joblib.parallel_backend("dask"),
    ):
        beside = searching(toy(), n_jobs=2).fit(*blobs)
    np.testing.assert_array_equal(beside.predict_proba(blobs[0]), alone.predict_proba(blobs[0]))


def test_every_fit_has_a_seed_of_its_own_unless_the_user_gave_one(blobs, searching):
    estimator = toy()
    searching(estimator).fit(*blobs)
    seeds = [fit[1] for fit in type(estimator).log]
    assert len(set(seeds)) == 12
    assert estimator.random_state is None
    fixed = toy().set_params(random_state=7)
    searching(fixed).fit(*blobs)
    assert {fit[1] for fit in type(fixed).log} == {7}


def test_progress_in_words(blobs, searching, capsys):
    searching(toy(), verbose=1, refit=True).fit(*blobs)
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("[MixupClassifierCV] ") for line in lines)
    assert sum("first fold: score -" in line for line in lines) == 6
    assert sum("all 3 folds: score -" in line for line in lines) == 3
    assert "weights: 1.00 of setting" in lines[-2]
    assert "refit on all rows" in lines[-1]
    searching(toy()).fit(*blobs)
    assert capsys.readouterr().out == ""

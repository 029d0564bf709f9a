"""Points whose worker died, was slow or failed late: none is lost, and none is run twice."""

import logging
import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState

from skmixup.tuning import DesignExhausted, UniformDesignSampler, stale
from skmixup.tuning.rows import StudyRows
from tests.tuning.studies import SPACE, assert_every_row_once, objective, row, study_with, suggest

N_RUNS = 6
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def another_worker(study, **settings):
    """The same study as another process sees it."""
    sampler = UniformDesignSampler(n_runs=N_RUNS, **settings)
    return optuna.load_study(study_name=study.study_name, storage=study._storage, sampler=sampler)


def die_amid_a_trial(study):
    lost = another_worker(study).ask()
    suggest(lost)
    return lost


def has_begun_before(study, trial, seconds):
    """Let a trial be so much older than it is."""
    number, key = trial.number, "skmixup:mark"
    mark, start, watched = study.trials[number].system_attrs[key]
    study._storage.set_trial_system_attr(trial._trial_id, key, [mark, start - seconds, watched])


# stale_after.


def test_one_optimize_runs_the_point_of_a_dead_worker():
    study = study_with(UniformDesignSampler(n_runs=N_RUNS, stale_after=0.5))
    lost = die_amid_a_trial(study)
    study.optimize(objective)  # once
    assert_every_row_once(study, N_RUNS)
    assert study.trials[lost.number].state == TrialState.FAIL
    assert len(study.trials) == N_RUNS + 1


def test_one_optimize_in_threads_runs_the_point_of_a_dead_worker():
    study = study_with(UniformDesignSampler(n_runs=N_RUNS, stale_after=60))
    has_begun_before(study, die_amid_a_trial(study), seconds=61)
    study.optimize(objective, n_jobs=3)
    assert_every_row_once(study, N_RUNS)


def test_a_worker_does_not_give_up_its_own_trial_after_a_long_sleep(monkeypatch):
    """The machine was suspended, or busy, after the trial had begun and before it had a point."""
    study = study_with(UniformDesignSampler(n_runs=N_RUNS, stale_after=60))
    has_begun_before(study, die_amid_a_trial(study), seconds=61)
    mark = StudyRows._mark

    def mark_and_sleep(rows, study, trial):
        mark(rows, study, trial)
        if trial.number == N_RUNS:
            has_begun_before(study, trial, seconds=61)

    monkeypatch.setattr(StudyRows, "_mark", mark_and_sleep)
    study.optimize(objective)
    assert_every_row_once(study, N_RUNS)
    assert len(study.trials) == N_RUNS + 1


def test_a_worker_that_died_before_it_wrote_anything():
    study = study_with(UniformDesignSampler(n_runs=N_RUNS, stale_after=0.3))
    study._storage.create_new_trial(study._study_id)
    study.optimize(objective)
    assert_every_row_once(study, N_RUNS)


def test_a_worker_waits_for_a_point_that_another_one_finishes():
    study = study_with(UniformDesignSampler(n_runs=N_RUNS, stale_after=60))
    slow = die_amid_a_trial(study)
    timer = threading.Timer(0.5, lambda: study.tell(slow, 0.0))
    timer.start()
    study.optimize(objective)
    timer.join()
    assert_every_row_once(study, N_RUNS)
    assert [t.state for t in study.trials[N_RUNS:]] in ([], [TrialState.PRUNED])


def test_only_trials_of_the_design_are_given_up():
    study = study_with(UniformDesignSampler(n_runs=3, stale_after=0.01))
    study.add_trial(optuna.create_trial(state=TrialState.RUNNING, system_attrs={"skmixup:row": 1}))
    by_hand = optuna.load_study(study_name=study.study_name, storage=study._storage)
    study.optimize(lambda t: suggest(t)[0], n_trials=3)
    theirs = by_hand.ask()
    time.sleep(0.05)
    study.optimize(objective)
    assert study.trials[0].state == study.trials[theirs.number].state == TrialState.RUNNING
    assert_every_row_once(study, 3)


def test_the_log_says_which_trial_is_given_up(caplog):
    study = study_with(UniformDesignSampler(n_runs=N_RUNS, stale_after=0.2))
    lost = die_amid_a_trial(study)
    with caplog.at_level(logging.WARNING, logger="skmixup"):
        study.optimize(objective)
    (message,) = (r.getMessage() for r in caplog.records if "given up" in r.getMessage())
    assert f"trial {lost.number}, which runs point {row(lost)}, is given up" in message
    assert "stale_after=0.2" in message


def test_what_a_worker_sees_that_was_slow_not_dead():
    """As docs/guide/tuning.md says, so that the page is found out when Optuna changes."""
    study = study_with(UniformDesignSampler(n_runs=N_RUNS))
    rescuer = another_worker(study, stale_after=0.1)

    def slow(trial):
        value = objective(trial)
        if trial.number == 0:
            time.sleep(0.15)
            rescuer.optimize(objective)
        return value

    with pytest.raises(AssertionError, match="Should not reach") as caught:
        study.optimize(slow)
    assert "Cannot tell a FAIL trial" in str(caught.value.__context__)
    assert_every_row_once(study, N_RUNS)
    study.optimize(objective)
    assert_every_row_once(study, N_RUNS)


def test_a_retried_trial_is_not_as_old_as_the_one_that_died(monkeypatch):
    """Optuna's retry callback copies the mark, which the trial renews a moment after it starts."""
    study = study_with(UniformDesignSampler(n_runs=N_RUNS, stale_after=2))
    dead = die_amid_a_trial(study)
    study._storage.set_trial_state_values(dead._trial_id, TrialState.FAIL)
    mark, start, watched = study.trials[0].system_attrs["skmixup:mark"]
    attrs = {"skmixup:row": 0, "skmixup:mark": [mark, start - 60, watched]}
    study.add_trial(optuna.create_trial(state=TrialState.RUNNING, system_attrs=attrs))
    renewed = study.trials[1]
    waited = []

    def renew(seconds):  # while the other one waits before it looks again
        waited.append(seconds)
        value = [mark, time.time(), watched]
        study._storage.set_trial_system_attr(renewed._trial_id, "skmixup:mark", value)

    monkeypatch.setattr(stale, "time", SimpleNamespace(sleep=renew, time=time.time))
    study.sampler._design(study)._give_up_stale(study, N_RUNS)
    assert waited == [0.1]
    assert study.trials[1].state == TrialState.RUNNING


@pytest.mark.parametrize("hours", [-14, -1, 1, 14])
def test_local_clocks_do_not_matter(hours):
    """The worker of another time zone, or of before the clocks were changed."""
    study = study_with(UniformDesignSampler(n_runs=N_RUNS, stale_after=1800))
    alive = die_amid_a_trial(study)
    (trial,) = study._storage.get_all_trials(study._study_id, deepcopy=False)
    trial.datetime_start += timedelta(hours=hours)
    study.optimize(objective, n_trials=N_RUNS - 1)
    with pytest.raises(DesignExhausted, match="1 of them are still running"):
        study.ask()
    study.tell(alive, 0.0)
    assert_every_row_once(study, N_RUNS)


def test_a_clock_in_another_zone_does_not_keep_the_dead_alive(monkeypatch):
    study = study_with(UniformDesignSampler(n_runs=N_RUNS, stale_after=0.3))
    die_amid_a_trial(study)
    (trial,) = study._storage.get_all_trials(study._study_id, deepcopy=False)
    trial.datetime_start += timedelta(hours=9)
    study.optimize(objective)
    assert_every_row_once(study, N_RUNS)


# Neither heartbeat nor stale_after.


def test_a_point_that_nobody_will_notice_is_told():
    study = study_with(UniformDesignSampler(n_runs=N_RUNS))
    lost = die_amid_a_trial(study)
    with pytest.warns(UserWarning, match=rf"1 of the 6 .* trials \[{lost.number}\].*stale_after"):
        study.optimize(objective)
    with pytest.raises(
        DesignExhausted, match=r"1 of them are still running, in trials \[0\].*tell"
    ):
        another_worker(study).ask()
    study.tell(lost.number, state=TrialState.FAIL)
    study.optimize(objective)
    assert_every_row_once(study, N_RUNS)


def test_a_trial_has_a_heartbeat_from_its_first_moment(tmp_path):
    """Optuna's own comes later, from a thread, and it fails no trial that never had one."""
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{tmp_path / 's.db'}", heartbeat_interval=1, grace_period=1
    )
    study = study_with(UniformDesignSampler(n_runs=3), storage=storage, study_name="s")

    class Killed(BaseException):
        pass

    class KilledAtOnce(UniformDesignSampler):
        def before_trial(self, study, trial):
            super().before_trial(study, trial)
            raise Killed

    with pytest.raises(Killed):
        study_with(
            KilledAtOnce(n_runs=3), storage=storage, study_name="s", load_if_exists=True
        ).optimize(objective)
    time.sleep(2.2)  # SQLite's clock counts whole seconds.
    study.optimize(objective)
    assert [t.state.name for t in study.trials] == ["FAIL", *["COMPLETE"] * 3]
    assert_every_row_once(study, 3)


@pytest.mark.parametrize("n_trials", [2, 4], ids=["amid the design", "at its end"])
def test_a_trial_that_has_just_begun_is_a_line_in_the_log(caplog, n_trials):
    study = study_with(UniformDesignSampler(n_runs=N_RUNS))

    study.optimize(objective, n_trials=1 + n_trials)
    study._storage.get_all_trials(study._study_id, deepcopy=False)[0].datetime_start -= timedelta(
        hours=1
    )
    die_amid_a_trial(study)  # for all that is known, it is as long as the first
    with caplog.at_level(logging.WARNING, logger="skmixup"):
        study.optimize(objective)
        study.optimize(objective)
    (record,) = caplog.records
    assert f"are still being run, by trials [{n_trials + 1}]" in record.getMessage()


def test_an_asked_trial_has_no_heartbeat_and_is_told(tmp_path):
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 's.db'}", heartbeat_interval=60)
    study = study_with(UniformDesignSampler(n_runs=N_RUNS), storage=storage)
    with pytest.warns(UserWarning, match="Heartbeat of storage is supposed to be used with"):
        lost = die_amid_a_trial(study)
    with pytest.warns(UserWarning, match=rf"trials \[{lost.number}\].* have no heartbeat"):
        study.optimize(objective)


def test_a_refused_worker_takes_no_point_with_it():
    study = study_with(UniformDesignSampler(n_runs=N_RUNS))
    study.optimize(objective, n_trials=2)
    stranger = optuna.load_study(
        study_name=study.study_name, storage=study._storage, sampler=UniformDesignSampler(n_runs=9)
    )
    with pytest.raises(ValueError, match="started with another design"):
        stranger.optimize(objective)
    with pytest.raises(ValueError, match="started with another design"):
        stranger.ask()
    assert all(t.state.is_finished() for t in study.trials)
    study.optimize(objective)
    assert_every_row_once(study, N_RUNS)


# Threads of one optimize.


@pytest.mark.parametrize("n_jobs", [2, 4])
def test_a_point_that_fails_last_is_run_again_by_the_same_optimize(n_jobs):
    study = study_with(UniformDesignSampler(SPACE, n_runs=N_RUNS))

    def last_one_fails_slowly(trial):
        value = objective(trial)
        if trial.number == N_RUNS - 1:
            time.sleep(0.4)
            raise OSError
        return value

    study.optimize(last_one_fails_slowly, n_jobs=n_jobs, catch=OSError)
    assert_every_row_once(study, N_RUNS)


def test_threads_that_have_nothing_to_run_make_no_trial():
    study = study_with(UniformDesignSampler(SPACE, n_runs=N_RUNS))

    def last_one_is_slow(trial):
        time.sleep(0.3 * (trial.number == N_RUNS - 1))
        return objective(trial)

    study.optimize(last_one_is_slow, n_jobs=4)
    assert_every_row_once(study, N_RUNS)
    n_trials = len(study.trials)
    assert n_trials <= N_RUNS + 3  # more only where threads ask for the last point at once
    study.optimize(last_one_is_slow, n_jobs=4)
    assert len(study.trials) == n_trials

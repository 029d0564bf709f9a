"""Many workers at once: in virtual time, and in threads whose every storage call is delayed."""

import heapq
import itertools
import threading
import time

import numpy as np
import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from skmixup.tuning import DesignExhausted, UniformDesignSampler
from tests.tuning.studies import assert_every_row_once, row, study_with


class Cluster:
    """Workers in virtual time that crash, are restarted, fail, and are pruned.

    A crashed worker leaves its trial running; the heartbeat fails it later, and a new worker is
    started in its place. A worker that finds the design through goes home.
    """

    def __init__(self, study, seed, crash, fail, prune):
        self.study = study
        self.rng = np.random.default_rng(seed)
        self.odds = {"crash": crash, "fail": fail, "prune": prune}
        self.events = []
        self.order = itertools.count()
        self.crashes = 0

    def at(self, moment, action, *arguments):
        heapq.heappush(self.events, (moment, next(self.order), action, arguments))

    def run(self, n_workers):
        for _ in range(n_workers):
            self.at(self.rng.exponential(1.0), self.ask)
        while self.events:
            moment, _, action, arguments = heapq.heappop(self.events)
            action(moment, *arguments)

    def ask(self, now):
        try:
            trial = self.study.ask()
            trial.suggest_float("x", 0, 1)
        except DesignExhausted:
            return
        self.at(now + self.rng.gamma(2.0, 5.0), self.end, trial)

    def end(self, now, trial):
        outcome = self.rng.random()
        if outcome < self.odds["crash"]:
            self.crashes += 1
            self.at(now + 30, self.heartbeat, trial)
            return
        if outcome < self.odds["crash"] + self.odds["fail"]:
            self.study.tell(trial, state=TrialState.FAIL)
        elif outcome < sum(self.odds.values()):
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, trial.params["x"])
        self.at(now, self.ask)

    def heartbeat(self, now, trial):
        self.study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        self.at(now + self.rng.exponential(10.0), self.ask)


def test_a_thousand_workers_in_virtual_time():
    n_runs = 800
    study = study_with(UniformDesignSampler(n_runs=n_runs, retry_failed=30))
    cluster = Cluster(study, seed=0, crash=0.15, fail=0.1, prune=0.1)
    cluster.run(1000)
    assert cluster.crashes > 100
    assert_every_row_once(study, n_runs)


class DelayedStorage(InMemoryStorage):
    """Lets other threads in before and after every call that workers agree by."""

    def __init__(self, seed):
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def pause(self):
        time.sleep(float(self.rng.random()) * 2e-3)

    def set_trial_system_attr(self, *arguments):
        self.pause()
        super().set_trial_system_attr(*arguments)
        self.pause()

    def get_all_trials(self, *arguments, **settings):
        self.pause()
        trials = super().get_all_trials(*arguments, **settings)
        self.pause()
        return trials

    def set_study_system_attr(self, *arguments):
        self.pause()
        super().set_study_system_attr(*arguments)

    def get_study_system_attrs(self, study_id):
        attrs = dict(super().get_study_system_attrs(study_id))
        self.pause()
        return attrs


@pytest.mark.parametrize("seed", range(6))
def test_contended_rows_are_completed_once(seed):
    study = optuna.create_study(
        storage=DelayedStorage(seed), sampler=UniformDesignSampler(n_runs=5)
    )

    def fails_at_first(trial):
        x = trial.suggest_float("x", 0, 1)
        if trial.number < 5:
            raise OSError
        return x

    # Ten threads compete for five failed rows.
    study.optimize(fails_at_first, n_trials=5, catch=OSError)
    study.optimize(fails_at_first, n_jobs=10)
    assert_every_row_once(study, 5)


@pytest.mark.parametrize("seed", range(6))
def test_names_that_come_up_at_the_same_time_get_their_own_columns(seed):
    names = "abcdef"
    study = optuna.create_study(
        storage=DelayedStorage(seed), sampler=UniformDesignSampler(n_runs=12)
    )

    def objective(trial):
        order = np.random.default_rng([seed, trial.number]).permutation(list(names))
        return sum(trial.suggest_float(str(name), 0, 1) for name in order)

    study.optimize(objective, n_jobs=8)
    attrs = study._storage.get_study_system_attrs(study._study_id)
    columns = [attrs[f"skmixup:column:{name}"] for name in names]
    assert sorted(columns) == list(range(6))
    # Every trial, also those of the race, used the columns that were agreed on.
    replay = study.sampler._design(study).points
    for trial in study.get_trials(states=(TrialState.COMPLETE,)):
        expected = [replay.at(row(trial), column) for column in columns]
        assert [trial.params[name] for name in names] == pytest.approx(expected)


def test_zooming_threads_agree_on_their_rounds():
    study = optuna.create_study(
        storage=DelayedStorage(0), sampler=UniformDesignSampler(n_runs=6, then="zoom")
    )
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=21, n_jobs=6)
    assert_every_row_once(study, 21)


def test_a_proposal_of_a_dead_worker_is_adopted():
    study = study_with(UniformDesignSampler(n_runs=6))
    dead, alive = study.ask(), study.ask()
    proposal = {"skmixup:column:x": 0}
    study._storage.set_trial_system_attr(dead._trial_id, "skmixup:proposals", proposal)
    alive.suggest_float("y", 0, 1)
    alive.suggest_float("x", 0, 1)
    attrs = study._storage.get_study_system_attrs(study._study_id)
    assert (attrs["skmixup:column:x"], attrs["skmixup:column:y"]) == (0, 1)


def test_a_column_whose_proposal_is_withdrawn_does_not_stay_free(monkeypatch):
    monkeypatch.setattr("skmixup.tuning.agreement._COURTESY", 60.0)
    study = study_with(UniformDesignSampler(n_runs=6))
    rival, ours = study.ask(), study.ask()
    proposal = {"skmixup:column:x": 0}
    study._storage.set_trial_system_attr(rival._trial_id, "skmixup:proposals", proposal)
    waiting = threading.Thread(target=ours.suggest_float, args=("y", 0, 1))
    waiting.start()
    time.sleep(0.3)
    assert waiting.is_alive()
    study._storage.set_trial_system_attr(rival._trial_id, "skmixup:proposals", {})
    waiting.join(timeout=60)
    attrs = study._storage.get_study_system_attrs(study._study_id)
    assert attrs["skmixup:column:y"] == 0


def test_a_clash_of_two_dead_workers_lapses(monkeypatch):
    monkeypatch.setattr("skmixup.tuning.agreement._PATIENCE", 0.05)
    study = study_with(UniformDesignSampler(n_runs=6))
    for name in "xy":
        dead = study.ask()
        proposal = {f"skmixup:column:{name}": 0}
        study._storage.set_trial_system_attr(dead._trial_id, "skmixup:proposals", proposal)
    study.ask().suggest_float("x", 0, 1)
    attrs = study._storage.get_study_system_attrs(study._study_id)
    assert attrs["skmixup:column:x"] == 0

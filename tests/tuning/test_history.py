"""What is remembered of a study from one look to the next changes nothing that is seen."""

from itertools import pairwise

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from skmixup.design.factors import Category, Continuum, LogIntegers, Steps
from skmixup.tuning import UniformDesignSampler
from skmixup.tuning.distinct import without_repeats
from skmixup.tuning.evidence import StudyEvidence
from skmixup.tuning.history import Reader
from skmixup.tuning.snapshot import Snapshot
from skmixup.tuning.valleys import Valleys
from tests.tuning.studies import study_with


def eventful(trial):
    """An objective with failures, pruned trials and a parameter that comes up late."""
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_int("y", 1, 9)
    if trial.number % 7 == 3:
        raise ValueError
    if trial.number % 7 == 5:
        raise optuna.TrialPruned
    z = trial.suggest_float("z", 0, 1) if trial.number > 12 else 0.5
    return (x - 0.3) ** 2 + abs(y - 4) + z


@pytest.fixture(scope="module")
def looks():
    """A study, and snapshots of it with a reader that follows it, and with none."""
    study, reader, taken = study_with(UniformDesignSampler(n_runs=8, then="zoom")), Reader(), []
    study.add_trial(
        create_trial(
            value=3.0,
            params={"x": 0.2, "y": 4},
            distributions={"x": FloatDistribution(0, 1), "y": IntDistribution(1, 9)},
        )
    )
    study.enqueue_trial({"x": 0.7})
    waiting = []
    for k in range(40):
        trial = study.ask()
        if k % 9 == 4:  # It runs for a while beside the others.
            eventful_start = trial.suggest_float("x", 0, 1), trial.suggest_int("y", 1, 9)
            waiting.append((trial, sum(eventful_start)))
        else:
            try:
                study.tell(trial, eventful(trial))
            except ValueError:
                study.tell(trial, state=TrialState.FAIL)
            except optuna.TrialPruned:
                study.tell(trial, state=TrialState.PRUNED)
        if k % 9 == 8:
            study.tell(*waiting.pop(0))
        taken.append((Snapshot.of(study, reader), Snapshot.of(study)))
    return study, taken


def test_a_history_ends_at_the_first_trial_that_has_not(looks):
    _, taken = looks
    lengths = [remembered.history.n for remembered, _ in taken]
    assert max(np.diff(lengths)) > 1  # It waited, and went on.
    for remembered, fresh in taken:
        assert all(t.state.is_finished() for t in remembered.trials[: remembered.history.n])
        assert remembered.history == fresh.history


def test_open_rows_are_those_that_no_trial_closes(looks):
    _, taken = looks
    for snapshot, _ in taken:
        states = {}
        for trial, row in snapshot.runs:
            states.setdefault(row, []).append(trial.state)
        expected = [
            row
            for row in range(30)
            if states.get(row, []).count(TrialState.FAIL) == len(states.get(row, [])) <= 2
        ]
        assert snapshot.open_rows(30, 0, 2) == expected


def test_evidence_followed_is_evidence_read_at_once(looks):
    study, taken = looks
    places = np.random.default_rng(0).random((60, 3))
    follows = StudyEvidence(lambda _, row, column: places[row, column])
    for names in (("x", "y"), ("x", "y", "z")):
        for snapshot, _ in taken:
            read = StudyEvidence(lambda _, row, column: places[row, column])
            ours, theirs = (e.at(study, snapshot, names, 50) for e in (follows, read))
            assert np.array_equal(ours.points, theirs.points)
            assert np.array_equal(ours.losses, theirs.losses, equal_nan=True)
            assert (ours.factors, ours.feasible) == (theirs.factors, theirs.feasible)
    for (before, _), (after, _) in pairwise(taken):
        assert follows.factors(before, ("x",)) == follows.factors(after, ("x",))


def test_nearest_better_points_are_followed():
    rng, valleys = np.random.default_rng(1), Valleys()
    points, losses = rng.random((3, 2)), np.round(rng.random(3), 1)
    for step in range(60):
        if step % 3 < 2:  # One is told, one runs.
            points = np.vstack([points, rng.random((2, 2))])
            losses = np.append(losses, [round(rng.random(), 1), np.inf])
        elif step % 2:
            losses = losses.copy()
            losses[-4] = round(rng.random(), 1)
        else:
            points, losses = points[:-1], losses[:-1]
        distances, nearest = valleys.nearest_better(points, losses)
        rank = np.argsort(np.argsort(losses, kind="stable"), kind="stable")
        gaps = np.abs(points[:, None] - points).max(axis=-1)
        expected = np.where(rank < rank[:, None], gaps, np.inf).min(axis=1)
        assert np.array_equal(distances, expected)
        found = np.isfinite(distances)
        assert np.array_equal(gaps[found, nearest[found]], distances[found])
        assert (rank[nearest[found]] < rank[found]).all()


def test_settings_are_compared_by_value_in_every_kind_of_factor():
    factors = [Continuum(0.0, 1.0), Steps(0, 3, 1), LogIntegers(1, 100), Category(("a", "b"))]
    known = np.array([[0.5, 0.1, 0.50, 0.1]])
    same = [0.5, 0.2, 0.501, 0.4]
    others = [
        [0.51, 0.1, 0.5, 0.1],
        [0.5, 0.3, 0.5, 0.1],
        [0.5, 0.1, 0.9, 0.1],
        [0.5, 0.1, 0.5, 0.9],
    ]
    new = np.array([same, *others])
    assert np.array_equal(without_repeats(factors, new, known), new[1:])

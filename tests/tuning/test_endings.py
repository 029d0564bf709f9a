"""After the last point: a finished study gains nothing, batches are not cut short."""

import logging
import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
from optuna.trial import TrialState

from skmixup.tuning import DesignExhausted, OrthogonalDesignSampler, UniformDesignSampler
from tests.tuning.studies import SPACE, assert_every_row_once, objective, study_with, suggest


def never(trial):
    raise AssertionError("the objective of a finished study was called")


def catches_everything(trial):
    try:
        return objective(trial)
    except Exception:
        return -1e9


def renewed(study):
    return optuna.load_study(
        study_name=study.study_name,
        storage=study._storage,
        sampler=UniformDesignSampler(SPACE, n_runs=6),
    )


@pytest.mark.parametrize("n_jobs", [1, 3])
@pytest.mark.parametrize("settings", [{}, {"n_trials": 3}, {"timeout": 5}], ids=str)
def test_a_finished_study_gains_nothing(n_jobs, settings):
    study = study_with(UniformDesignSampler(SPACE, n_runs=6))
    study.optimize(objective)
    study.optimize(never, n_jobs=n_jobs, **settings)
    study.sampler = UniformDesignSampler(SPACE, n_runs=6)
    study.optimize(never, n_jobs=n_jobs, **settings)
    assert len(study.trials) == 6


def test_a_finished_study_gains_nothing_in_a_thread_of_the_users():
    study = study_with(UniformDesignSampler(SPACE, n_runs=6))
    study.optimize(objective)
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(study.optimize, never) for _ in range(2)]:
            future.result()
    assert len(study.trials) == 6


def test_a_wrapped_design_gains_nothing_either():
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        fixed = optuna.samplers.PartialFixedSampler(
            {"kind": "a"}, UniformDesignSampler(SPACE, n_runs=6)
        )
    study = study_with(fixed)
    study.optimize(objective)
    study.optimize(never)
    assert len(study.trials) == 6


def test_a_finished_study_goes_on_where_there_is_something_to_run():
    study = study_with(UniformDesignSampler(SPACE, n_runs=6))
    study.optimize(objective)
    study.enqueue_trial({"lr": 0.02, "depth": 3, "kind": "b"})
    study.optimize(objective)
    assert study.trials[6].params == {"lr": 0.02, "depth": 3, "kind": "b"}
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    study.optimize(objective, n_trials=2)
    assert len(study.trials) == 9


def test_a_finished_study_survives_pickling():
    study = study_with(UniformDesignSampler(SPACE, n_runs=6))
    study.optimize(objective)
    again = pickle.loads(pickle.dumps(study))
    again.enqueue_trial({"lr": 0.02})
    again.optimize(objective)
    again.optimize(never)
    assert len(again.trials) == 7


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_trial_that_had_nothing_to_run_is_never_the_best(direction, caplog):
    """Another process hears of the study only when Optuna has made a trial."""
    study = study_with(UniformDesignSampler(SPACE, n_runs=6), direction=direction)
    study.optimize(objective)
    best = study.best_trial.number
    other = renewed(study)
    with caplog.at_level(logging.WARNING, logger="skmixup"):
        other.optimize(lambda t: catches_everything(t) * (1 if direction == "minimize" else -1))
    assert "trial 6 had no point of the design to run" in caplog.text
    assert other.best_trial.number == best
    assert other.trials[6].value == (math.inf if direction == "minimize" else -math.inf)
    other.optimize(never)
    assert_every_row_once(study, 6)


def test_a_trial_that_had_nothing_to_run_dominates_no_other():
    study = study_with(UniformDesignSampler(n_runs=4), directions=["minimize", "maximize"])
    study.optimize(lambda t: suggest(t)[:2])
    other = optuna.load_study(
        study_name=study.study_name, storage=study._storage, sampler=UniformDesignSampler(n_runs=4)
    )
    other.optimize(lambda t: (-1e9, 1e9))
    assert 4 not in [t.number for t in other.best_trials]


def test_an_objective_that_lets_pruning_pass_leaves_a_pruned_trial():
    study = study_with(UniformDesignSampler(SPACE, n_runs=6))
    study.optimize(objective)
    other = renewed(study)
    other.optimize(objective)
    assert [t.state for t in other.trials[6:]] == [TrialState.PRUNED]


# Ask and tell, several at a time.


def run_batches(study, size, tell, space=None):
    """What the user guide of Optuna does, until the design is through; the last words."""
    while True:
        try:
            batch = [study.ask(space) for _ in range(size)]
        except DesignExhausted as end:
            return str(end)
        for trial in batch:
            tell(trial)


@pytest.mark.parametrize("n_runs", [9, 10, 11, 12])
@pytest.mark.parametrize("space", [None, SPACE], ids=["lazy", "declared"])
def test_batches_run_every_point_once(n_runs, space):
    study = study_with(UniformDesignSampler(space, n_runs=n_runs))
    end = run_batches(study, 4, lambda t: study.tell(t, objective(t)))
    assert end == f"all {n_runs} points of the design are taken"
    assert_every_row_once(study, n_runs)
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    assert len({tuple(t.params.items()) for t in complete}) == len(complete) == 12


def test_the_first_batch_of_a_worker_that_is_started_near_the_end():
    study = study_with(UniformDesignSampler(SPACE, n_runs=10))
    for _ in range(2):
        for trial in [study.ask() for _ in range(4)]:
            study.tell(trial, objective(trial))
    later = optuna.load_study(
        study_name=study.study_name,
        storage=study._storage,
        sampler=UniformDesignSampler(SPACE, n_runs=10),
    )
    run_batches(later, 4, lambda t: later.tell(t, objective(t)))
    assert_every_row_once(study, 10)


def test_batches_with_a_declared_space_and_numbers():
    study = study_with(OrthogonalDesignSampler(SPACE))
    run_batches(study, 4, lambda t: study.tell(t.number, float(t.number)), SPACE)
    assert_every_row_once(study, 9)


def test_a_point_that_fails_in_the_last_batch_is_run_again():
    study = study_with(UniformDesignSampler(n_runs=6))

    def tell(trial):
        if trial.number == 5:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, objective(trial))

    run_batches(study, 4, tell)
    assert study.trials[5].state == TrialState.FAIL
    assert_every_row_once(study, 6)


def test_one_at_a_time_there_are_no_more_trials_than_points():
    study = study_with(UniformDesignSampler(n_runs=5))
    run_batches(study, 1, lambda t: study.tell(t, objective(t)))
    assert [t.state for t in study.trials] == [*[TrialState.COMPLETE] * 5, TrialState.PRUNED]


# Samplers that come after a design.


def test_a_design_after_a_design_is_refused():
    inner = UniformDesignSampler(SPACE, n_runs=6)
    for then in (inner, OrthogonalDesignSampler(SPACE)):
        with pytest.raises(ValueError, match=r"then=.* is another design"):
            UniformDesignSampler(SPACE, n_runs=6, then=then)
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        wrapped = optuna.samplers.PartialFixedSampler({"depth": 2}, inner)
    with pytest.raises(ValueError, match=r"then=.* is another design"):
        OrthogonalDesignSampler(SPACE, then=wrapped)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["TPESampler", "NSGAIISampler", "NSGAIIISampler"])
def test_constraints_are_computed_for_the_trials_of_the_design(kind):
    seen = []

    def constraints(trial):
        seen.append(trial.number)
        return (trial.params["depth"] - 4,)

    then = getattr(optuna.samplers, kind)(constraints_func=constraints, seed=0)
    study = study_with(UniformDesignSampler(SPACE, n_runs=6, then=then))
    study.enqueue_trial({"lr": 0.02, "depth": 8, "kind": "b"})
    study.optimize(objective, n_trials=8)
    assert seen == list(range(8))
    assert all("constraints" in t.system_attrs for t in study.trials)
    assert study.best_trial.params["depth"] <= 4


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("kind", ["NSGAIISampler", "NSGAIIISampler"])
def test_the_design_is_the_first_generation_of_a_genetic_algorithm(kind):
    then = getattr(optuna.samplers, kind)(population_size=8, mutation_prob=0.0, seed=0)
    study = study_with(UniformDesignSampler(SPACE, n_runs=8, then=then))
    study.optimize(objective, n_trials=12)
    generations = [t.system_attrs[f"{kind}:generation"] for t in study.trials]
    assert generations == [0] * 8 + [1] * 4
    first = {name: {t.params[name] for t in study.trials[:8]} for name in SPACE}
    for trial in study.trials[8:]:  # crossed from the design's values, not drawn at random
        assert all(trial.params[name] in first[name] for name in SPACE)


def test_a_grid_after_a_design():
    then = optuna.samplers.GridSampler({"lr": [0.01], "depth": [1, 2, 3], "kind": ["a"]}, seed=0)
    study = study_with(UniformDesignSampler(SPACE, n_runs=6, then=then))
    study.optimize(objective)
    assert {t.params["depth"] for t in study.trials[6:]} == {1, 2, 3}

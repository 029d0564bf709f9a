"""Where then="zoom" looks: at the best trials that count, whoever ran them, and when it ends."""

import math
import sys

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from skmixup.tuning import DesignExhausted, UniformDesignSampler
from skmixup.tuning.rows import StudyRows
from skmixup.tuning.valleys import MIN_WIDTH
from tests.tuning.studies import study_with

SQUARE = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}


def zooming(n_runs=8, space=None, **settings):
    return study_with(UniformDesignSampler(space, n_runs=n_runs, then="zoom"), **settings)


def point(trial):
    return trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)


def distance(params, x, y):
    return math.hypot(params["x"] - x, params["y"] - y)


def rounds(study):
    """The rounds that were laid out."""
    attrs = study._storage.get_study_system_attrs(study._study_id)
    return [attrs[key] for k in range(len(attrs)) if (key := f"skmixup:round:{k}") in attrs]


def centres(study, name):
    """Where the rounds looked for one parameter."""
    attrs = study._storage.get_study_system_attrs(study._study_id)
    column = attrs.get(f"skmixup:column:{name}", "xy".index(name))
    return [r["centre"][column] for r in rounds(study)]


# What counts.


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_an_infinitely_good_value_is_the_best(direction):
    """As log10(error) is where nothing is wrong."""
    study = zooming(direction=direction)
    sign = 1 if direction == "minimize" else -1

    def objective(trial):
        x, y = point(trial)
        found = trial.number == 3
        return sign * (-math.inf if found else (x - 0.9) ** 2 + (y - 0.9) ** 2)

    study.optimize(objective, n_trials=12)
    best = study.best_trial
    assert best.number == 3
    assert centres(study, "x") == [best.params["x"]] * len(rounds(study))


@pytest.mark.parametrize("large", [sys.float_info.max, -sys.float_info.max])
def test_the_largest_numbers_do_not_overflow(large):
    study = zooming()
    study.optimize(lambda t: large if point(t)[0] > 0.6 else t.params["x"], n_trials=24)
    assert {r["centre"][0] > 0.6 for r in rounds(study)} == {large < 0}


def as_a_list(trial, value):
    trial.storage.set_trial_system_attr(trial._trial_id, "constraints", [value, -1.0])


def by_name(trial, value):
    if not hasattr(trial, "set_constraint"):
        pytest.skip("Optuna keeps constraints under names from 5.0 on")
    trial.set_constraint("c", value)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("constrain", [as_a_list, by_name])
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_trials_that_violate_constraints_are_not_the_best(constrain, direction):
    sign = 1 if direction == "minimize" else -1

    def objective(trial):
        x, y = point(trial)
        constrain(trial, 0.6 - x)  # feasible where x ≥ 0.6
        return sign * ((x - 0.1) ** 2 + (y - 0.2) ** 2)

    study = zooming(direction=direction)
    study.optimize(objective, n_trials=40)
    feasible = [t for t in study.trials if t.params["x"] >= 0.6]
    assert len(feasible) > 18
    # The best feasible place is (0.6, 0.2), the best of all (0.1, 0.2).
    assert min(t.params["x"] for t in feasible) < 0.61
    assert all(x > 0.55 for x in centres(study, "x"))


def test_while_no_trial_is_feasible_the_constraint_is_what_counts():
    def objective(trial):
        x, y = point(trial)
        as_a_list(trial, abs(x - 0.83) + abs(y - 0.31) - 0.02)
        return x

    study = zooming(n_runs=6)
    study.optimize(objective, n_trials=48)
    feasible = [
        abs(t.params["x"] - 0.83) + abs(t.params["y"] - 0.31) <= 0.02 for t in study.trials
    ]
    assert not any(feasible[:6])
    assert sum(feasible) > 5


def needle(x, y):
    """A bowl around (0.2, 0.8) and a needle at (0.93, 0.07)."""
    if math.hypot(x - 0.93, y - 0.07) < 0.05:
        return -1 + math.hypot(x - 0.93, y - 0.07)
    return math.hypot(x - 0.2, y - 0.8)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("space", [None, SQUARE])
@pytest.mark.parametrize("how", ["enqueued", "added", "enqueued in part", "another sampler's"])
def test_better_trials_of_others_are_what_it_zooms_in_on(how, space):
    study, best = zooming(space=space), {"x": 0.93, "y": 0.07}
    if how == "enqueued":
        study.enqueue_trial(best)
    elif how == "enqueued in part":
        study.enqueue_trial({"x": 0.93})

    def objective(trial):
        x, y = point(trial)
        if how == "enqueued in part" and x == 0.93:
            return -1.0
        return needle(x, y)

    study.optimize(objective, n_trials=8)
    if how == "added":
        study.add_trial(optuna.create_trial(params=best, distributions=SQUARE, value=-1.0))
    elif how == "another sampler's":
        other = optuna.samplers.PartialFixedSampler(best, optuna.samplers.RandomSampler(0))
        study.sampler, own = other, study.sampler
        study.optimize(objective, n_trials=1)
        study.sampler = own
    study.optimize(objective, n_trials=20)
    at = min(study.trials, key=lambda t: t.value).params
    assert rounds(study)[0]["width"] == 1.0
    assert max(abs(centres(study, name)[0] - at[name]) for name in "xy") <= 1e-9
    assert sum(distance(t.params, at["x"], at["y"]) < 0.5 for t in study.trials[-12:]) >= 10


def test_added_trials_outside_the_ranges_say_nothing():
    study = zooming()
    far = {"x": FloatDistribution(0, 9), "y": FloatDistribution(0, 1)}
    study.add_trial(optuna.create_trial(params={"x": 8, "y": 0}, distributions=far, value=-9))
    other = {"z": FloatDistribution(0, 1)}
    study.add_trial(optuna.create_trial(params={"z": 0.5}, distributions=other, value=-9))
    study.add_trial(optuna.create_trial(value=-9))
    study.optimize(
        lambda t: distance(dict(zip("xy", point(t), strict=True)), 0.3, 0.4), n_trials=24
    )
    ours = [t for t in study.trials if {*t.params} == {"x", "y"} and t.params["x"] <= 1]
    assert min(t.value for t in ours) < 0.05


def test_failed_trials_are_no_leaders():
    def objective(trial):
        x, y = point(trial)
        if x > 0.3:
            raise ValueError
        return x + y

    sampler = UniformDesignSampler(n_runs=8, then="zoom", retry_failed=False)
    study = study_with(sampler)
    study.optimize(objective, n_trials=24, catch=ValueError)
    assert all(x <= 0.3 for x in centres(study, "x"))


# When it ends, or starts again.


def test_a_study_without_parameters_ends_after_the_design():
    study = zooming(n_runs=4)
    study.optimize(lambda trial: 1.0, n_trials=20)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 4
    study.optimize(lambda trial: 1.0)
    assert len(study.trials) == 4


@pytest.mark.parametrize("suggested", [[], ["kind"]])
def test_before_parameters_are_known_there_is_more_to_run(suggested):
    """More workers than rows, at the start of a study that learns its parameters from trials."""
    study = zooming(n_runs=3)
    trials = [study.ask() for _ in range(3)]
    for trial in trials:
        for _ in suggested:
            trial.suggest_categorical("kind", ["a", "b"])
    trials += [study.ask() for _ in range(4)]
    for trial in trials:
        kind = trial.suggest_categorical("kind", ["a", "b"])
        study.tell(trial, trial.suggest_float("x", 0, 1) + (kind == "a"))
    study.optimize(
        lambda t: (
            t.suggest_float("x", 0, 1) + t.suggest_categorical("kind", ["a", "b"]).count("a")
        ),
        n_trials=16,
    )
    assert len({t.params["x"] for t in study.trials}) == 23
    assert min(r["width"] for r in rounds(study)) < 0.5
    assert study.best_value < 0.05


def test_conditional_parameters_are_zoomed_in_on():
    def objective(trial):
        if trial.suggest_categorical("kind", ["a", "b"]) == "a":
            return abs(trial.suggest_float("u", 0, 1) - 0.3)
        return 1 + trial.suggest_float("v", 0, 1)

    study = zooming(n_runs=8)
    study.optimize(objective, n_trials=40)
    assert min(r["width"] for r in rounds(study)) < 0.1
    assert study.best_value < 0.01


SMALL = {
    "k": IntDistribution(1, 3),
    "kind": CategoricalDistribution(["a", "b", "c", "d"]),
}


def small(trial):
    kind = trial.suggest_categorical("kind", ["a", "b", "c", "d"])
    return trial.suggest_int("k", 1, 3) + "dcab".index(kind)


@pytest.mark.parametrize("space", [None, SMALL])
@pytest.mark.parametrize("n_jobs", [1, 3])
@pytest.mark.parametrize("n_runs", [5, 6])
def test_every_setting_is_run_once_and_then_it_ends(space, n_jobs, n_runs):
    study = zooming(n_runs=n_runs, space=space)
    study.optimize(small, n_trials=60, n_jobs=n_jobs)
    complete = study.get_trials(states=[TrialState.COMPLETE])
    assert len({tuple(sorted(t.params.items())) for t in complete}) == 12
    if space is not None:  # Columns that come up one by one may repeat a setting in the design.
        assert len(complete) == 12
    assert sum(t.state != TrialState.COMPLETE for t in study.trials) < n_jobs


@pytest.mark.parametrize("n_runs", [5, 8])
@pytest.mark.parametrize("seed", range(4))
def test_a_category_stays_the_one_of_the_best_trial(n_runs, seed):
    """The design has a run at one third, where the shares of two of three categories meet."""
    space = {"kind": CategoricalDistribution("abc"), "k": IntDistribution(0, 6)}
    sampler = UniformDesignSampler(space, n_runs=n_runs, then="zoom", seed=seed)
    study = study_with(sampler)
    study.optimize(
        lambda t: (t.suggest_categorical("kind", "abc") != "b") + t.suggest_int("k", 0, 6) / 9
    )
    ran = [tuple(trial.params.values()) for trial in study.trials]
    assert len(ran) == len(set(ran)) == 21


def test_a_range_that_changes_from_trial_to_trial_has_no_end_of_settings():
    study = zooming(n_runs=10)
    study.enqueue_trial({"a": 6, "b": 6})

    def objective(trial):
        a = trial.suggest_int("a", 1, 10)
        return a / 10 + (trial.suggest_int("b", 1, a) / a - 0.9) ** 2

    study.optimize(objective, n_trials=50)
    assert len(study.trials) == 50  # the last range seen had few settings, all of them run
    assert study.best_params["a"] == 1


def test_others_lie_in_their_own_ranges():
    """A fifth of a range is a fifth of it, whichever range the last trial had."""
    study = zooming(n_runs=6)

    def objective(trial):
        scale = 10.0 ** (trial.number % 3)
        return (trial.suggest_float("x", 0, scale) / scale - 0.5) ** 2

    study.optimize(objective, n_trials=7)
    better = optuna.trial.create_trial(
        params={"x": 20.0}, distributions={"x": FloatDistribution(0, 100)}, value=-1.0
    )
    study.add_trial(better)
    study.optimize(objective, n_trials=1)
    assert centres(study, "x")[-1] == pytest.approx(0.2)


def test_a_declared_range_counts_where_the_objective_has_a_wider_one():
    space = {"k": IntDistribution(0, 5), "kind": CategoricalDistribution("ab")}
    study = zooming(n_runs=5, space=space)
    study.enqueue_trial({"k": 9, "kind": "a"})  # outside: says nothing
    study.optimize(
        lambda t: t.suggest_int("k", 0, 20) + (t.suggest_categorical("kind", ["a", "b"]) == "a"),
        n_trials=40,
    )
    ran = [tuple(trial.params.values()) for trial in study.trials]
    assert len(ran) == len(set(ran)) == 13


def test_ask_and_tell_learns_that_all_settings_are_run():
    study = zooming(n_runs=5, space=SMALL)
    for _ in range(12):
        trial = study.ask()
        study.tell(trial, small(trial))
    with pytest.raises(DesignExhausted):
        study.ask()
    assert len(study.get_trials(states=[TrialState.COMPLETE])) == 12


def test_a_long_zoom_starts_again_elsewhere():
    """Two valleys: the first cycle goes into the broad one, a later one into the other."""

    def valleys(trial):
        x, y = point(trial)
        return min(math.hypot(x - 0.25, y - 0.25), 0.05 + 3 * math.hypot(x - 0.8, y - 0.75))

    study = zooming(n_runs=8)
    study.optimize(valleys, n_trials=220)
    settings = [(t.params["x"], t.params["y"]) for t in study.trials]
    assert len({(round(x, 8), round(y, 8)) for x, y in settings}) == 220
    widths = [r["width"] for r in rounds(study)]
    assert min(widths) >= MIN_WIDTH
    assert widths.count(1.0) >= 1
    assert study.best_value < 1e-3
    assert sum(distance(t.params, 0.8, 0.75) < 0.06 for t in study.trials) > 12


def test_rounds_of_earlier_versions_are_gone_on_with():
    study = zooming(n_runs=4, space=SQUARE)
    study.optimize(
        lambda t: distance(dict(zip("xy", point(t), strict=True)), 0.3, 0.4), n_trials=4
    )
    old = {"centre": [0.3, 0.4], "width": 1e-7, "best": 0.1, "points": [[0.3, 0.4], [0.3, 0.4]]}
    for k in range(3):
        study._storage.set_study_system_attr(study._study_id, f"skmixup:round:{k}", old)
    study.optimize(
        lambda t: distance(dict(zip("xy", point(t), strict=True)), 0.3, 0.4), n_trials=16
    )
    assert rounds(study)[3]["width"] == 1.0
    new = np.array([[t.params["x"], t.params["y"]] for t in study.trials[10:]])
    assert len(np.unique(new, axis=0)) == 10


def test_a_trial_is_this_process_s_own_before_it_takes_a_row(monkeypatch):
    take, seen = StudyRows._take, []

    def watched(self, study, trial):
        seen.append(trial.number in self.started)
        return take(self, study, trial)

    monkeypatch.setattr(StudyRows, "_take", watched)
    zooming(n_runs=5, space=SMALL).optimize(small, n_trials=3)
    assert seen == [True] * 3

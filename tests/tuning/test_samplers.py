"""Trials run the design: which point, in which order, and what happens at its end."""

import json
import pickle
import time
from wsgiref.util import setup_testing_defaults

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from skmixup.design import orthogonal_array, uniform_design
from skmixup.tuning import DesignExhausted, OrthogonalDesignSampler, UniformDesignSampler
from skmixup.tuning.publishing import levels_from_text, levels_to_text
from tests.tuning.studies import (
    SPACE,
    assert_every_row_once,
    finished_rows,
    objective,
    row,
    study_with,
    suggest,
)

UNIT = {name: FloatDistribution(0, 1) for name in "xyz"}


def unit_objective(trial):
    return sum(trial.suggest_float(name, 0, 1) for name in "xyz")


def unit_points(study):
    return np.array([[t.params[name] for name in "xyz"] for t in study.trials])


@pytest.mark.parametrize("criterion", ["CD", "WD", "MD"])
def test_a_declared_space_runs_exactly_the_uniform_design(criterion):
    study = study_with(UniformDesignSampler(UNIT, n_runs=9, seed=3, criterion=criterion))
    study.optimize(unit_objective)
    expected = (uniform_design(9, 3, random_state=3, criterion=criterion) + 0.5) / 9
    np.testing.assert_allclose(unit_points(study), expected, rtol=1e-12)


def test_an_orthogonal_sampler_runs_exactly_the_array():
    study = study_with(OrthogonalDesignSampler(UNIT, n_levels=4))
    study.optimize(unit_objective)
    np.testing.assert_allclose(unit_points(study), (orthogonal_array(4, 3) + 0.5) / 4, rtol=1e-12)


def test_an_orthogonal_sampler_gives_every_category_its_own_level():
    space = {"kind": CategoricalDistribution(list("abcde")), "x": FloatDistribution(0, 1)}
    study = study_with(OrthogonalDesignSampler(space, seed=1))
    study.optimize(
        lambda t: t.suggest_float("x", 0, 1) + ord(t.suggest_categorical("kind", list("abcde")))
    )
    pairs = {(t.params["kind"], round(t.params["x"], 6)) for t in study.trials}
    assert len(study.trials) == len(pairs) == 25


@pytest.mark.parametrize("space", [None, SPACE], ids=["lazy", "declared"])
def test_columns_are_balanced_and_the_first_trial_is_a_design_point(space):
    study = study_with(UniformDesignSampler(space, n_runs=16))
    study.optimize(objective)
    assert len(study.trials) == 16
    assert [row(t) for t in study.trials] == list(range(16))
    logs = np.sort([np.log10(t.params["lr"]) for t in study.trials])
    places = (np.arange(16) + 1) / 17
    places[8] = 0.5
    np.testing.assert_allclose(logs, -5 + 4 * places, rtol=1e-9)
    for name, count in (("depth", 2), ("kind", 8)):
        values = [t.params[name] for t in study.trials]
        assert {values.count(v) for v in values} == {count}


def test_names_that_come_up_while_objectives_run_take_free_columns():
    def conditional(trial):
        if trial.suggest_categorical("model", ["svm", "tree"]) == "svm":
            return trial.suggest_float("C", 1e-3, 1e3, log=True)
        return trial.suggest_int("depth", 1, 6) + trial.suggest_float("ccp", 0, 1)

    study = study_with(UniformDesignSampler(n_runs=12))
    study.optimize(conditional)
    attrs = study._storage.get_study_system_attrs(study._study_id)
    columns = {k: v for k, v in attrs.items() if k.startswith("skmixup:column:")}
    assert sorted(columns.values()) == [0, 1, 2, 3]
    assert [t.params["model"] for t in study.trials].count("svm") == 6
    values = [t.params["C"] for t in study.trials if "C" in t.params]
    assert len(set(values)) == 6


def test_levels_per_parameter():
    sampler = UniformDesignSampler(UNIT, n_runs=12, n_levels={"x": 3, "y": 4})
    study = study_with(sampler)
    study.optimize(unit_objective)
    lazily = study_with(UniformDesignSampler(n_runs=12, n_levels={"x": 3, "y": 4}))
    lazily.optimize(unit_objective)
    for points in (unit_points(study), unit_points(lazily)):
        for column, q in zip(points.T, (3, 4, 12), strict=True):
            values, counts = np.unique(column.round(9), return_counts=True)
            places = (np.arange(q) + 0.5) / q
            if q == 12:  # as many as runs: in equal parts, one in the middle
                places = (np.arange(q) + 1) / (q + 1)
                places[q // 2] = 0.5
            np.testing.assert_allclose(values, places)
            assert set(counts) == {12 // q}


def test_one_choice_needs_no_column():
    space = {"only": CategoricalDistribution([7]), "x": FloatDistribution(0, 1)}
    study = study_with(UniformDesignSampler(space, n_runs=3))
    study.optimize(lambda t: t.suggest_categorical("only", [7]) + t.suggest_float("x", 0, 1))
    assert {t.params["only"] for t in study.trials} == {7}
    assert sorted(t.params["x"] for t in study.trials) == pytest.approx([1 / 6, 0.5, 5 / 6])


def test_reseeding_and_pickling_do_not_change_the_design():
    runs = []
    for prepare in (lambda s: s, lambda s: pickle.loads(pickle.dumps(s))):
        sampler = prepare(UniformDesignSampler(n_runs=8))
        sampler.reseed_rng()
        study = study_with(sampler)
        study.optimize(objective)
        runs.append([t.params for t in study.trials])
    assert runs[0] == runs[1]


def test_a_design_of_another_seed_is_another_design():
    studies = [study_with(UniformDesignSampler(UNIT, n_runs=9, seed=s)) for s in (None, 0, 1)]
    for study in studies:
        study.optimize(unit_objective)
    none, zero, one = (unit_points(s) for s in studies)
    np.testing.assert_array_equal(none, zero)
    assert (zero != one).any()


# The end of the design.


def test_threads_stop_by_themselves_with_every_point_once():
    study = study_with(UniformDesignSampler(n_runs=40))
    study.optimize(objective, n_jobs=8)
    assert_every_row_once(study, 40)


def test_ask_and_tell_learns_that_the_design_is_through():
    study = study_with(UniformDesignSampler(n_runs=4))
    asked = [study.ask() for _ in range(4)]
    with pytest.raises(DesignExhausted, match=r"all 4 points .* 4 of them are still running"):
        study.ask()
    for trial in asked:
        study.tell(trial, objective(trial))
    with pytest.raises(DesignExhausted, match="all 4 points of the design are taken"):
        study.ask(SPACE)
    assert all(t.state.is_finished() for t in study.trials)
    assert_every_row_once(study, 4)


def test_augment_goes_on_with_points_that_complete_the_design():
    study = study_with(UniformDesignSampler(UNIT, n_runs=10, then="augment"))
    study.optimize(unit_objective, n_trials=20)
    points = unit_points(study)
    assert len(np.unique(points.round(9), axis=0)) == 20
    for column in points.T:  # one new point in every twentieth that the design left empty
        assert np.bincount((column * 10).astype(int), minlength=10).tolist() == [2] * 10


def test_another_sampler_takes_over_with_the_design_as_its_start():
    def bowl(trial):
        return (trial.suggest_float("x", -5, 5) - 1) ** 2

    tpe = optuna.samplers.TPESampler(n_startup_trials=10, seed=0)
    study = study_with(UniformDesignSampler(n_runs=10, then=tpe))
    study.optimize(bowl, n_trials=20)
    assert [row(t) for t in study.trials] == [*range(10), *[None] * 10]
    alone = study_with(optuna.samplers.TPESampler(n_startup_trials=10, seed=0))
    alone.add_trials(study.trials[:10])
    alone.optimize(bowl, n_trials=10)
    assert [t.params for t in alone.trials] == [t.params for t in study.trials]


def test_a_relative_sampler_takes_over():
    cma_like = optuna.samplers.NSGAIISampler(population_size=4, seed=0)
    study = study_with(UniformDesignSampler(SPACE, n_runs=6, then=cma_like))
    study.optimize(objective, n_trials=16, n_jobs=2)
    assert len(study.trials) == 16
    assert finished_rows(study) == dict.fromkeys(range(6), 1)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("n_jobs", [1, 4])
def test_zoom_closes_in_on_the_optimum(direction, n_jobs):
    sign = 1 if direction == "minimize" else -1

    def bowl(trial):
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        miss = trial.suggest_categorical("kind", ["a", "b"]) == "a"
        return sign * ((x - 0.3) ** 2 + (y - 0.8) ** 2 + miss)

    study = study_with(UniformDesignSampler(n_runs=12, then="zoom", seed=1), direction=direction)
    study.optimize(bowl, n_trials=54, n_jobs=n_jobs)
    if n_jobs == 1:  # 54 points spread over the square come to about 5e-3.
        assert sign * study.best_value < 1e-3
    assert finished_rows(study) == dict.fromkeys(range(54), 1)


# Trials that do not count.


def test_rows_of_enqueued_trials_are_made_up_for():
    study = study_with(UniformDesignSampler(SPACE, n_runs=6))
    study.enqueue_trial({"lr": 0.05, "depth": 3, "kind": "a"})
    study.enqueue_trial({"lr": 0.02})
    study.optimize(objective)
    assert [row(t) for t in study.trials[:2]] == [None, None]
    assert study.trials[0].params == {"lr": 0.05, "depth": 3, "kind": "a"}
    assert len(study.trials) == 8
    assert_every_row_once(study, 6)


def test_rows_of_trials_of_another_sampler_are_made_up_for():
    study = study_with(optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=3)
    study.add_trial(optuna.create_trial(value=1.0))
    study.sampler = UniformDesignSampler(n_runs=6)
    study.optimize(objective)
    assert len(study.trials) == 10
    assert_every_row_once(study, 6)


class Flaky:
    """Fails at its first calls for some rows."""

    def __init__(self, failures):
        self.failures = dict(failures)

    def __call__(self, trial):
        value = objective(trial)
        if self.failures.get(row(trial), 0) > 0:
            self.failures[row(trial)] -= 1
            raise OSError("out of memory")
        return value


def test_failed_points_run_again_once_the_first_pass_is_through():
    study = study_with(UniformDesignSampler(n_runs=6))
    study.optimize(Flaky({1: 1, 4: 2}), catch=OSError)
    assert [row(t) for t in study.trials] == [0, 1, 2, 3, 4, 5, 1, 4, 4]
    assert_every_row_once(study, 6)


def test_a_point_that_always_fails_is_given_up():
    study = study_with(UniformDesignSampler(n_runs=4, retry_failed=np.int64(2)))
    study.optimize(Flaky({1: 99}), catch=OSError)
    assert [row(t) for t in study.trials] == [0, 1, 2, 3, 1, 1]


def test_failed_points_stay_failed_where_the_user_wants_it():
    study = study_with(UniformDesignSampler(n_runs=4, retry_failed=False))
    study.optimize(Flaky({1: 1}), catch=OSError)
    assert [t.state.name for t in study.trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]


def test_a_study_that_an_error_ended_goes_on_where_it_stopped():
    study = study_with(UniformDesignSampler(n_runs=5))
    flaky = Flaky({2: 1})
    with pytest.raises(OSError, match="out of memory"):
        study.optimize(flaky)
    study.sampler = UniformDesignSampler(n_runs=5)
    study.optimize(flaky)
    assert [row(t) for t in study.trials] == [0, 1, 2, 3, 4, 2]
    assert_every_row_once(study, 5)


def test_pruned_points_are_through():
    def pruned(trial):
        value = objective(trial)
        trial.report(value, 1)
        if trial.number % 2:
            raise optuna.TrialPruned
        return value

    study = study_with(UniformDesignSampler(n_runs=6))
    study.optimize(pruned)
    assert len(study.trials) == 6
    assert_every_row_once(study, 6)


def test_a_stale_trial_is_failed_and_its_late_result_refused():
    study = study_with(UniformDesignSampler(n_runs=3, stale_after=0.05))
    lost = study.ask()
    suggest(lost)
    study.optimize(objective, n_trials=2)
    time.sleep(0.1)
    study.optimize(objective)
    assert study.trials[0].state == TrialState.FAIL
    assert_every_row_once(study, 3)
    with pytest.raises(ValueError, match="Cannot tell a FAIL trial"):
        study.tell(lost, 0.0)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("dies_first", [True, False])
def test_optunas_own_retry_of_a_killed_trial_keeps_its_row(dies_first):
    storages = optuna.storages
    retry = getattr(storages, "RetryHeartbeatStaleTrialCallback", None)
    retry = (retry or storages.RetryFailedTrialCallback)(max_retry=3)
    study = study_with(UniformDesignSampler(n_runs=4, retry_failed=False))
    lost = study.ask()
    suggest(lost)
    if not dies_first:
        study.optimize(objective)  # runs all other points, then stops
    study._storage.set_trial_state_values(lost._trial_id, TrialState.FAIL)
    retry(study, study.trials[lost.number])
    study.optimize(objective)
    assert_every_row_once(study, 4)


# Working together with the rest of Optuna.


@pytest.mark.parametrize(
    "pruner",
    [
        optuna.pruners.MedianPruner(n_startup_trials=2),
        optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9),
    ],
    ids=["median", "hyperband"],
)
def test_pruners(pruner):
    def curve(trial):
        value = objective(trial)
        for step in range(1, 10):
            trial.report(value / step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    study = study_with(UniformDesignSampler(n_runs=20), pruner=pruner)
    study.optimize(curve)
    assert len(study.trials) == 20
    assert_every_row_once(study, 20)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}


def test_several_objectives():
    study = study_with(UniformDesignSampler(SPACE, n_runs=9), directions=["minimize", "maximize"])
    study.optimize(lambda t: suggest(t)[:2])
    assert len(study.trials) == 9
    zoom = study_with(UniformDesignSampler(n_runs=9, then="zoom"), directions=["minimize"] * 2)
    with pytest.raises(ValueError, match="then='zoom' needs one objective"):
        zoom.optimize(lambda t: suggest(t)[:2])


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_partial_fixed_sampler():
    base = UniformDesignSampler(SPACE, n_runs=8)
    study = study_with(optuna.samplers.PartialFixedSampler({"depth": 5}, base))
    study.optimize(objective)
    assert {t.params["depth"] for t in study.trials} == {5}
    assert len({t.params["lr"] for t in study.trials}) == len(study.trials) == 8


def test_attributes_are_short_json():
    import json

    study = study_with(UniformDesignSampler(n_runs=25, then="zoom"))
    study.optimize(objective, n_trials=60)
    attrs = study._storage.get_study_system_attrs(study._study_id)
    texts = [json.dumps(v) for v in attrs.values()]
    texts += [json.dumps(v) for t in study.trials for v in t.system_attrs.values()]
    assert max(map(len, texts)) < 2000


@pytest.mark.skipif(
    optuna.__version__.startswith("4."), reason="dashboards of today want Optuna 5"
)
@pytest.mark.parametrize("then", [None, "zoom"])
def test_optuna_dashboard_reads_the_study(then):
    import optuna_dashboard

    study = study_with(UniformDesignSampler(n_runs=12, then=then))
    study.optimize(objective, n_trials=16 if then else None)
    app = optuna_dashboard.wsgi(study._storage)

    def get(path):
        status = []
        environ = {"PATH_INFO": path}
        setup_testing_defaults(environ)
        body = b"".join(app(environ, lambda s, headers, *rest: status.append(s)))
        assert status == ["200 OK"]
        return json.loads(body)

    (summary,) = get("/api/studies")["study_summaries"]
    shown = get(f"/api/studies/{summary['study_id']}")
    assert [t["number"] for t in shown["trials"]] == [t.number for t in study.trials]
    assert [p["param_external_value"] for p in shown["trials"][0]["params"]] == [
        str(value) for value in study.trials[0].params.values()
    ]
    get(f"/api/studies/{summary['study_id']}/param_importances")


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optuna_visualization():
    import matplotlib

    matplotlib.use("agg")
    from optuna.visualization import matplotlib as plots

    study = study_with(UniformDesignSampler(n_runs=12))
    study.optimize(objective)
    other = optuna.load_study(
        study_name=study.study_name,
        storage=study._storage,
        sampler=UniformDesignSampler(n_runs=12),
    )
    other.optimize(objective)  # leaves one pruned trial without parameters
    with matplotlib.rc_context():  # Optuna's plots change the style of all that come after
        plots.plot_optimization_history(study)
        plots.plot_parallel_coordinate(study)
        plots.plot_slice(study)
    matplotlib.pyplot.close("all")
    assert len(study.trials_dataframe()) == 13


# Bad input.


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_runs": 3}, ValueError, "n_runs=3 is too few for 3 parameters: use at least 4"),
        ({"n_runs": 1}, ValueError, "n_runs=1 must be at least 2"),
        ({"n_runs": 9.5}, TypeError, "n_runs=9.5 must be an integer"),
        ({"n_runs": 9, "n_levels": 10}, ValueError, "n_levels=10 must be at most n_runs=9"),
        ({"n_runs": 9, "n_levels": {"w": 3}}, ValueError, r"n_levels names \['w'\]"),
        ({"n_runs": 9, "criterion": "L2"}, ValueError, "criterion='L2' is unknown"),
        ({"n_runs": 9, "then": "tpe"}, ValueError, "then='tpe' must be None"),
        ({"n_runs": 9, "seed": -1}, ValueError, "seed=-1"),
        ({"n_runs": 9, "retry_failed": -1}, ValueError, "retry_failed=-1"),
        ({"n_runs": 9, "stale_after": 0}, ValueError, "stale_after=0"),
        ({"n_runs": 9, "stale_after": True}, ValueError, "stale_after=True must be None or sec"),
        (
            {"n_runs": 9, "stale_after": "60"},
            ValueError,
            "stale_after='60' must be None or seconds",
        ),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        UniformDesignSampler(UNIT, **arguments)


@pytest.mark.parametrize("space", [{"x": [1, 2]}, {"x": (0, 1)}])
def test_a_space_of_something_else_than_optuna_distributions(space):
    with pytest.raises(TypeError, match=r"search_space\['x'\].* must be an Optuna distribution"):
        UniformDesignSampler(space, n_runs=9)


def test_parameters_that_are_not_declared():
    study = study_with(UniformDesignSampler({"x": FloatDistribution(0, 1)}, n_runs=9))
    with pytest.raises(ValueError, match=r"'w' is not in the sampler's search_space.*\['x'\]"):
        study.optimize(lambda t: t.suggest_float("w", 0, 1))
    with pytest.raises(ValueError, match=r"'x' is suggested .*high=2.0.* declares .*high=1.0"):
        study.optimize(lambda t: t.suggest_float("x", 1.5, 2))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (UniformDesignSampler(SPACE, n_runs=12), "n_runs was 9 and is now 12"),
        (UniformDesignSampler(SPACE, n_runs=9, seed=5), "seed was 0 and is now 5"),
        (UniformDesignSampler(SPACE, n_runs=9, criterion="MD"), r"criterion was 'CD\+middle'"),
        (UniformDesignSampler(n_runs=9), "search_space is now missing"),
        (
            UniformDesignSampler(SPACE | {"depth": IntDistribution(1, 9)}, n_runs=9),
            "search_space differs in 'depth'",
        ),
        (
            UniformDesignSampler(dict(sorted(SPACE.items())), n_runs=9),
            r"search_space had its parameters in the order \['lr', 'depth', 'kind'\]",
        ),
        (OrthogonalDesignSampler(SPACE), "design was 'uniform' and is now 'orthogonal'"),
    ],
)
def test_a_changed_design_is_refused(changed, message):
    study = study_with(UniformDesignSampler(SPACE, n_runs=9))
    study.optimize(objective, n_trials=2)
    study.sampler = changed
    with pytest.raises(ValueError, match=f"started with another design: .*{message}"):
        study.optimize(objective)


@pytest.mark.parametrize("q", [2, 3, 16, 17, 1000])
def test_packed_levels(q):
    levels = np.random.default_rng(0).integers(q, size=37)
    np.testing.assert_array_equal(levels_from_text(levels_to_text(levels, q), 37, q), levels)

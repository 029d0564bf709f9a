"""The default of samplers and searches: the first run is in the middle of all ranges."""

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import qmc

from skmixup.design import discrepancy
from skmixup.design.central import central_design, central_runs
from skmixup.design.factors import Choices, as_factors
from skmixup.tuning import UniformDesignSampler
from skmixup.tuning.candidates import first_points
from skmixup.tuning.criteria import MIDDLE
from skmixup.tuning.plans import uniform_plan
from tests.tuning.studies import study_with

UNIT = {name: FloatDistribution(0, 1) for name in "xyz"}


def unit_objective(trial):
    return sum(trial.suggest_float(name, 0, 1) for name in "xyz")


def unit_points(study):
    return np.array([[t.params[name] for name in "xyz"] for t in study.trials])


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(("n_runs", "seed"), [(9, None), (9, 3), (12, 0), (12, 1), (4, 2)])
def test_by_default_the_first_run_is_the_middle(n_runs, seed, declared):
    study = study_with(UniformDesignSampler(UNIT if declared else None, n_runs=n_runs, seed=seed))
    study.optimize(unit_objective)
    points = unit_points(study)
    assert (points[0] == 0.5).all()
    places = (np.arange(n_runs) + 1) / (n_runs + 1)
    places[n_runs // 2] = 0.5
    for column in points.T:
        np.testing.assert_allclose(np.sort(column), places, rtol=1e-12)
    if declared:
        design = central_design(n_runs, 3, random_state=seed or 0)
        np.testing.assert_allclose(points, places[design], rtol=1e-12)
    if n_runs >= 9:  # an opposite pair lies beside it
        low = {9: 2, 12: 3}[n_runs]
        beside = np.isclose(points, places[low]) | np.isclose(points, places[n_runs - 1 - low])
        assert beside.all(axis=1).sum() == 2


@pytest.mark.parametrize(("n_runs", "n_levels"), [(401, None), (401, 21), (1201, None)])
@pytest.mark.parametrize("declared", [True, False])
def test_many_runs_begin_in_the_middle_too(n_runs, n_levels, declared):
    factors = as_factors(UNIT, "space") if declared else None
    table = uniform_plan(factors, n_runs, n_levels, MIDDLE, 1, {}).table()
    points = np.array([[table.at(row, c) for c in range(3)] for row in range(n_runs)])
    assert (points[0] == 0.5).all()
    assert n_levels or np.sum(np.abs(points - 0.5).max(axis=1) < 0.15) >= 4
    for column, place in enumerate(points.T):
        counts = np.bincount(table.levels(column), minlength=n_levels or n_runs)
        assert counts.min() >= n_runs // (n_levels or n_runs)
        assert len(np.unique(place)) == (n_levels or n_runs)


@pytest.mark.parametrize(("n_runs", "n_factors"), [(250, 3), (1000, 3), (600, 8)])
def test_a_design_of_many_runs_is_more_even_than_a_sobol_sequence(n_runs, n_factors):
    design = central_design(n_runs, n_factors, random_state=1, effort=(60 / n_runs) ** 2)
    assert (design[0] == n_runs // 2).all()
    assert (np.sort(design, axis=0) == np.arange(n_runs)[:, None]).all()
    sobol = qmc.Sobol(n_factors, seed=0).random(1024)[:n_runs]
    assert discrepancy(design, n_runs) < qmc.discrepancy(sobol)


def test_runs_that_are_there_already_are_completed_around_the_middle():
    factors = as_factors({"x": UNIT["x"], "y": UNIT["y"]}, "space")
    initial = np.array([[0.03, 0.9], [0.97, 0.2]])
    new = first_points(factors, 7, initial, MIDDLE, 0)
    assert (new[0] == 0.5).all()
    for column in np.vstack([initial, new]).T:
        assert sorted((column * 9).astype(int)) == list(range(9))
    # One of them on the middle level already: no level is run twice.
    initial[0, 0] = 0.52
    new = first_points(factors, 7, initial, MIDDLE, 0)
    for column in np.vstack([initial, new]).T:
        assert sorted((column * 9).astype(int)) == list(range(9))


@pytest.mark.parametrize(
    ("m", "n_new", "n_beside"), [(1, 24, 3), (3, 17, 3), (1, 11, 2), (20, 5, 0)]
)
def test_runs_beside_the_middle_are_among_those_that_complete(m, n_new, n_beside):
    factors, n = as_factors(UNIT, "space"), m + n_new
    i = np.arange(m)
    ends = np.where(i % 2, n - 1 - i // 2, i // 2)
    initial = np.column_stack([ends, ends, n - 1 - ends])
    new = first_points(factors, n_new, (initial + 0.3) / n, MIDDLE, 0)
    assert (new[0] == 0.5).all()
    beside = {tuple(row) for row in central_runs(n, [n] * 3)[1:].tolist()}
    found = (new * n).astype(int)
    assert sum(tuple(row) in beside for row in found.tolist()) == n_beside
    for column in np.vstack([initial, found]).T:
        assert sorted(column) == list(range(n))
    # Those that share a level with a given run are left out, the middle stays.
    initial[0] = sorted(beside)[0]
    new = first_points(factors, n_new, (initial + 0.3) / n, MIDDLE, 0)
    assert (new[0] == 0.5).all()
    found = (new * n).astype(int)
    assert sum(tuple(row) in beside for row in found.tolist()) <= max(n_beside - 1, 0)


@pytest.mark.parametrize(
    "counts", [(4, 4, 4, 4, 4), (2, 3, 5), (6, 6, 6), (3, 3, 3, 3, 2, 2), (30, 5, 2)]
)
@pytest.mark.parametrize("n_runs", [12, 25])
def test_a_small_part_of_the_search_is_enough_where_levels_are_few(n_runs, counts):
    factors = {f"c{i}": Choices(tuple(range(q))) for i, q in enumerate(counts)}
    plan = uniform_plan(factors, n_runs, None, MIDDLE, 0, {})
    if plan.all_settings or plan.columns is None:
        return
    quick = np.column_stack([plan.table().levels(c) for c in range(len(counts))])
    whole = central_design(n_runs, len(counts), counts, random_state=0)
    assert discrepancy(quick, counts) < 1.03 * discrepancy(whole, counts)


def test_settings_of_few_values_are_run_once_and_begin_in_the_middle():
    space = {
        "depth": IntDistribution(1, 9),
        "width": IntDistribution(1, 128, log=True),
        "kind": CategoricalDistribution(["a", "b", "c"]),
    }
    factors = as_factors(space, "space")
    plan = uniform_plan(factors, 24, None, MIDDLE, 1, {})
    points = plan.table().design_points()
    values = [
        tuple(f.at(float(u)) for f, u in zip(factors.values(), p, strict=True)) for p in points
    ]
    assert len(set(values)) == 24
    assert (values[0][0], values[0][2]) == (5, "b")

"""One road from a row of a design to its values, for samplers, searches and many workers."""

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from skmixup.design import discrepancy, orthogonal_array, to_unit_cube, uniform_design
from skmixup.design.factors import as_factors
from skmixup.tuning import OrthogonalDesignSampler, UniformDesignSampler, points
from skmixup.tuning.candidates import first_points, settings_at
from skmixup.tuning.plans import orthogonal_plan, uniform_plan
from skmixup.tuning.points import PointTable
from skmixup.tuning.publishing import levels_to_text, share_columns
from skmixup.tuning.storage import StudyStorage

SPACE = {
    "lr": FloatDistribution(1e-5, 1e-1, log=True),
    "width": IntDistribution(4, 512, log=True),
    "momentum": FloatDistribution(0, 1, step=0.1),
    "optimizer": CategoricalDistribution(["sgd", "adam", "rmsprop"]),
}


def trials_of(sampler, n_trials=None, storage=None):
    study = optuna.create_study(
        sampler=sampler, storage=storage, study_name="same", load_if_exists=True
    )
    study.optimize(
        lambda t: float(len([t._suggest(name, d) for name, d in SPACE.items()])), n_trials=n_trials
    )
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("criterion", ["CD+middle", "CD"])
@pytest.mark.parametrize("seed", [0, 3])
def test_the_trials_of_a_sampler_are_the_candidates_of_a_search(seed, criterion):
    factors = as_factors(SPACE, "space")
    found = first_points(factors, 20, np.empty((0, 4)), criterion, seed)
    sampler = UniformDesignSampler(SPACE, n_runs=20, seed=seed, criterion=criterion)
    assert trials_of(sampler) == settings_at(factors, factors, found)


def test_the_table_of_a_plan_holds_its_design():
    factors = as_factors(SPACE, "space")
    uniform = uniform_plan(factors, 20, None, "WD", 1, {}).table()
    design = uniform_design(20, 4, criterion="WD", random_state=1)
    assert (uniform.design_points() == to_unit_cube(design)).all()
    array = orthogonal_plan(factors, 5, 2, None, {}).table()
    assert (array.design_points() == to_unit_cube(orthogonal_array(5, 4), 5)).all()
    assert array.at(7, 2) == array.design_points()[7, 2]


def test_a_design_is_only_searched_where_its_columns_are_not_known():
    def design():
        calls.append(1)
        return np.array([[0, 2], [1, 0], [2, 1]])

    calls = []
    table = PointTable(3, None, "CD", 0, 2, design)
    assert calls == []
    table.set_levels(0, np.array([2, 1, 0]))
    assert table.at(0, 0) == 2.5 / 3
    assert calls == []
    assert table.levels(1).tolist() == [2, 0, 1]
    assert table.levels(0).tolist() == [2, 1, 0]  # what was put in place stays there
    assert len(calls) == 1


def test_a_column_that_another_worker_wrote_over_is_taken_over():
    study = optuna.create_study()
    table = PointTable(9, None, "CD", 0)
    share_columns(study, table, [0])
    (key,) = StudyStorage(study).attrs()
    others = np.roll(table.levels(0), 1)
    StudyStorage(study).set_attr(key, levels_to_text(others, 9))
    share_columns(study, table, [0])
    assert (table.levels(0) == others).all()


@pytest.mark.filterwarnings("ignore:the 6561 runs of the orthogonal array have 5865 different")
def test_a_worker_that_comes_later_has_columns_too_long_to_be_stored():
    storage = optuna.storages.InMemoryStorage()
    sampler = OrthogonalDesignSampler(SPACE, n_levels=81)
    trials_of(sampler, 3, storage)
    later = trials_of(OrthogonalDesignSampler(SPACE, n_levels=81), 3, storage)
    factors = as_factors(SPACE, "space")
    places = to_unit_cube(orthogonal_array(81, 4), 81)
    assert later == settings_at(factors, factors, places[:6])


@pytest.mark.parametrize("criterion", ["CD", "WD", "MD"])
@pytest.mark.parametrize("n_runs", [12, 30])
def test_columns_made_one_by_one_form_a_uniform_design(n_runs, criterion):
    table = PointTable(n_runs, None, criterion, 0)
    levels = np.column_stack([table.levels(c) for c in range(4)])
    assert (np.sort(levels, axis=0) == np.arange(n_runs)[:, None]).all()
    rng = np.random.default_rng(0)
    at_random = [rng.permuted(levels, axis=0) for _ in range(100)]
    spread = [discrepancy(d, n_runs, criterion) for d in at_random]
    assert discrepancy(levels, n_runs, criterion) < min(spread)
    again = PointTable(n_runs, None, criterion, 0)
    assert [again.levels(c).tolist() for c in range(2)] == levels.T[:2].tolist()


def test_columns_that_ship_are_not_searched_for(monkeypatch):
    def search(*arguments):
        raise AssertionError("searched")

    monkeypatch.setattr(points, "complete_column", search)
    designs = set()
    for seed in range(9):
        table = PointTable(16, None, "CD", seed, central=True)
        design = np.column_stack([table.levels(c) for c in range(10)])
        assert (np.sort(design, axis=0) == np.arange(16)[:, None]).all()
        assert (design[0] == 8).all()
        assert discrepancy(design[:, :3]) < 0.0036
        designs.add(design.tobytes())
    assert len(designs) > 4
    with pytest.raises(AssertionError, match="searched"):
        table.levels(10)


def test_a_study_with_other_columns_goes_on_from_those():
    """Begun before there were columns that ship, or on another kind of processor."""
    table = PointTable(16, None, "CD", 0, central=True)
    begun = PointTable(16, None, "CD", 0, central=True)
    begun.set_levels(0, np.append(8, np.delete(np.roll(np.arange(16), 3), 11)))
    assert begun.levels(1).tolist() != table.levels(1).tolist()
    design = np.column_stack([begun.levels(0), begun.levels(1)])
    assert discrepancy(design) < 1.2 * discrepancy(
        np.column_stack([table.levels(0), table.levels(1)])
    )


def test_points_after_the_design_keep_it_and_its_balance():
    table = PointTable(10, None, "CD", 0, 3, lambda: uniform_design(10, 3))
    first = table.design_points()
    more = np.array([[table.at(row, c) for c in range(3)] for row in range(30)])
    assert (more[:10] == first).all()
    for column in more.T:
        counts = np.bincount((column * 10).astype(int), minlength=10)
        assert counts.min() >= 2
        assert counts.max() <= 4

"""Points that are there already, completed by more runs or one more factor."""

import itertools

import numpy as np
import pytest

from skmixup.design import completion, discrepancy, to_unit_cube, uniform_design
from skmixup.design.completion import (
    complete_column,
    complete_rows,
    least_used_levels,
    sobol_column,
)
from skmixup.design.levels import cell, middle


@pytest.mark.parametrize("q", [1, 2, 7, 60, 1000])
def test_a_level_lies_in_the_middle_of_its_cell(q):
    levels = np.arange(q)
    places = middle(levels, q)
    np.testing.assert_allclose(places * q - levels, 0.5)
    assert (cell(places, q) == levels).all()
    assert [cell(float(u), q) for u in places] == levels.tolist()
    edges = np.array([0.0, 1 - 2**-53, 1.0])
    assert cell(edges, q).tolist() == [cell(float(u), q) for u in edges] == [0, q - 1, q - 1]


@pytest.mark.parametrize("criterion", ["CD", "WD", "MD"])
def test_new_runs_are_balanced_with_the_old_ones_and_better_than_random_ones(criterion):
    kept = to_unit_cube(uniform_design(6, 3), 6)
    new = complete_rows(kept, 6, criterion, np.random.default_rng(0), [12, 12, 4])
    levels = cell(np.vstack([kept, new]), 12)
    assert (np.sort(levels[:, :2], axis=0) == np.arange(12)[:, None]).all()
    assert np.bincount(cell(np.vstack([kept, new])[:, 2], 4)).tolist() == [3, 3, 3, 3]
    together = np.column_stack([levels[:, :2], cell(np.vstack([kept, new])[:, 2], 4)])
    value = discrepancy(together, (12, 12, 4), criterion)
    rng = np.random.default_rng(1)
    for _ in range(50):
        together[6:] = rng.permuted(together[6:], axis=0)
        assert value < discrepancy(together, (12, 12, 4), criterion)


@pytest.mark.parametrize("n_known", [0, 5])
def test_a_new_column_keeps_the_places_that_are_known(n_known):
    rng = np.random.default_rng(0)
    design = uniform_design(15, 3)
    others, known = to_unit_cube(design[:, :2], 15), to_unit_cube(design, 15)[:n_known, 2]
    levels = complete_column(others, known, "CD", rng, 15)
    column = np.append(design[:n_known, 2], levels)
    assert sorted(column) == list(range(15))
    value = discrepancy(np.column_stack([design[:, :2], column]), 15)
    for _ in range(50):
        column[n_known:] = rng.permutation(column[n_known:])
        assert value < discrepancy(np.column_stack([design[:, :2], column]), 15)


@pytest.mark.parametrize("block", [64, 7])
@pytest.mark.parametrize("n_known", [0, 2])
@pytest.mark.parametrize("criterion", ["CD", "WD", "MD"])
def test_no_swap_of_two_runs_makes_a_new_column_better(criterion, n_known, block, monkeypatch):
    monkeypatch.setattr(completion, "_MAX_BLOCK", block)
    monkeypatch.setattr(completion, "_STEPS_OF_FEW", 300)
    others, known = to_unit_cube(uniform_design(12, 3), 12), middle(np.arange(n_known), 6)
    levels = complete_column(others, known, criterion, np.random.default_rng(3), 6)
    design = np.column_stack([cell(others, 12), np.append(np.arange(n_known), levels)])
    assert np.bincount(design[:, 3]).tolist() == [2] * 6
    value = discrepancy(design, (12, 12, 12, 6), criterion)
    for i, j in itertools.combinations(range(n_known, 12), 2):
        swapped = design.copy()
        swapped[[i, j], 3] = design[[j, i], 3]
        assert discrepancy(swapped, (12, 12, 12, 6), criterion) > value - 1e-10


@pytest.mark.parametrize("n", [25, 50, 100])
def test_columns_one_by_one_are_about_as_even_as_a_whole_search(n):
    rng, points = np.random.default_rng(0), np.empty((n, 0))
    for _ in range(5):
        column = complete_column(points, np.empty(0), "CD", rng, n)
        points = np.column_stack([points, middle(column, n)])
    assert discrepancy(cell(points, n), n) < 1.5 * discrepancy(uniform_design(n, 5), n)


@pytest.mark.parametrize(
    ("known", "n_new", "counts"),
    [
        ([], 12, [3, 3, 3, 3]),
        ([0, 0, 1], 5, [2, 2, 2, 2]),
        ([0, 0, 0, 0], 3, [4, 1, 1, 1]),
        ([2, 2, 2, 2, 1], 1, None),
    ],
)
def test_new_levels_are_those_least_used(known, n_new, counts):
    known = np.array(known, dtype=np.intp)
    for seed in range(10):
        new = least_used_levels(known, n_new, 4, np.random.default_rng(seed))
        found = np.bincount(np.append(known, new), minlength=4)
        assert len(new) == n_new
        if counts is None:
            assert new[0] in (0, 3)
        else:
            assert found.tolist() == counts


def test_a_sobol_column_goes_on_where_it_stopped():
    whole = sobol_column(0, 64, 2, seed=5)
    assert (np.append(sobol_column(0, 40, 2, 5), sobol_column(40, 24, 2, 5)) == whole).all()
    shifted = np.sort((whole - whole[0]) % 1.0)
    assert np.diff(shifted).max() < 3 / 64
    assert (sobol_column(0, 64, 2, seed=6) != whole).any()

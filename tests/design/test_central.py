"""Designs with a run in the middle: balanced, even, and searched for once."""

import numpy as np
import pytest
from optuna.distributions import IntDistribution
from scipy.stats import randint

from skmixup.design import central, discrepancy, optimize, uniform_design
from skmixup.design.central import central_design, central_runs, places_of_levels
from skmixup.design.factors import as_factor
from skmixup.design.levels import cell
from skmixup.design.shipped import CENTRAL_TABLE, COLUMN_TABLE, _table, read_table


def columns_are_balanced(design, counts):
    for column, q in zip(design.T, counts, strict=True):
        occurs = np.bincount(column, minlength=q)
        if len(occurs) != q or np.ptp(occurs) > 1:
            return False
    return True


def random_latin(n, s, repetitions=60):
    rng = np.random.default_rng(0)
    rows = np.tile(np.arange(n)[:, None], (1, s))
    return np.mean([discrepancy(rng.permuted(rows, axis=0)) for _ in range(repetitions)])


@pytest.mark.parametrize("n", [4, 5, 8, 9, 10, 15, 16, 25, 50])
@pytest.mark.parametrize("s", [2, 3, 5, 8])
def test_runs_in_the_middle_are_balanced_and_lie_on_all_sides(n, s):
    rows = central_runs(n, (n,) * s)
    assert len(rows) == (1 if n < max(9, 2 * s) else 3 if n < 16 else 4)
    assert (rows[0] == n // 2).all()
    assert all(len(set(column)) == len(rows) for column in rows.T)
    beside = rows[1:] - (n - 1) / 2
    if len(beside):
        assert (beside.min(axis=0) < 0).all()
        assert (beside.max(axis=0) > 0).all()
    if len(beside) == 2:
        assert (beside.sum(axis=0) == 0).all()
        assert np.abs(beside).max() <= 3
    if len(beside) == 3:
        assert np.abs(beside).max() <= n / 6
        assert s < 3 or all(len({abs(step) for step in run}) > 1 for run in beside.tolist())


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
@pytest.mark.parametrize("size", [(5, 2), (9, 4), (9, 8), (16, 5), (24, 7), (25, 3), (60, 10)])
def test_shipped_designs_and_their_images_keep_the_middle(size, seed):
    n, s = size
    design = central_design(n, s, random_state=seed)
    assert columns_are_balanced(design, (n,) * s)
    assert (design[0] == n // 2).all()
    n_central = len(central_runs(n, (n,) * s))
    distance = np.abs(design - (n - 1) / 2).max(axis=1)
    assert (distance <= max(2, n / 9) + 1).sum() >= n_central
    value = discrepancy(design)
    assert value < random_latin(n, s)
    assert value < 1.02 * discrepancy(central_design(n, s))
    assert value < (1.5 if n_central < n / 5 else 2) * discrepancy(uniform_design(n, s))


@pytest.mark.parametrize(
    ("n", "counts"),
    [(9, (3, 3, 3, 3)), (12, (3, 4, 12)), (12, (6, 6)), (18, (2, 3, 18)), (25, (5,) * 4), (10, 7)],
)
@pytest.mark.parametrize("seed", [None, 3])
def test_fewer_levels_than_runs(n, counts, seed):
    s = 3 if isinstance(counts, int) else len(counts)
    qs = (counts,) * s if isinstance(counts, int) else counts
    design = central_design(n, s, counts, random_state=seed)
    assert columns_are_balanced(design, qs)
    assert (design[0] == [(2 * (n // 2) + 1) * q // (2 * n) for q in qs]).all()
    assert len(np.unique(design, axis=0)) == n
    even = discrepancy(uniform_design(n, s, counts, random_state=seed), counts)
    assert discrepancy(design, counts) < 1.35 * even


@pytest.mark.parametrize(("q", "n_most"), [(8, 64), (16, 122), (19, 61)])
def test_the_run_that_becomes_the_middle_is_sought_among_fewer_of_many_runs(
    monkeypatch, q, n_most
):
    looked_at = []

    def counted(rows, counts):
        looked_at.append(len(rows))
        return discrepancy(rows, counts)

    monkeypatch.setattr(central, "discrepancy", counted)
    n = q**2
    design = central_design(n, 3, q, random_state=0, effort=(60 / n) ** 2 / n)
    assert len(looked_at) == n_most  # of 1000 runs all took a minute
    assert columns_are_balanced(design, (q,) * 3)
    assert (design[0] == q // 2).all()
    assert len(np.unique(design, axis=0)) == n


@pytest.mark.parametrize("n", [10, 25, 50, 100])
def test_where_no_array_is_known_a_short_search_is_as_good_as_a_long_one(n):
    counts = (2, 3, 4, 5, 4)
    design = central_design(n, 5, counts, random_state=0, effort=min(1, (60 / n) ** 2) / n)
    assert columns_are_balanced(design, counts)
    assert (design[0] == [1, 1, 2, 2, 2]).all()
    assert len(np.unique(design, axis=0)) == n
    searched = uniform_design(n, 5, counts, initial=design[:1], random_state=0, effort=0.3)
    assert discrepancy(design, counts) < 1.05 * discrepancy(searched, counts)


def test_an_orthogonal_array_stays_one():
    design = central_design(9, 4, 3)
    for a in range(4):
        for b in range(a):
            assert len({*zip(design[:, a].tolist(), design[:, b].tolist(), strict=True)}) == 9


@pytest.mark.parametrize(
    ("n", "s"), [(12, 11), (25, 12), (61, 5), (75, 3), (101, 2), (210, 4), (333, 3)]
)
def test_what_does_not_ship_is_nearly_as_even_and_has_other_images(n, s):
    design = central_design(n, s)
    assert columns_are_balanced(design, (n,) * s)
    rows = {tuple(row) for row in design.tolist()}
    assert {tuple(row) for row in central_runs(n, (n,) * s).tolist()} <= rows
    assert (design[0] == n // 2).all()
    rng = np.random.default_rng(0)
    squares = [discrepancy(rng.permuted(design, axis=0), n) for _ in range(20)]
    assert discrepancy(design, n) < min(squares)
    if n <= 101:
        runs = central_runs(n, (n,) * s)
        searched = uniform_design(n, s, initial=runs, random_state=0, effort=0.2)
        assert discrepancy(design, n) < 1.12 * discrepancy(searched, n)
    images = [central_design(n, s, random_state=seed) for seed in (1, 2)]
    assert (images[0] != images[1]).any()
    for image in images:
        assert discrepancy(image, n) < 1.05 * discrepancy(design, n)


@pytest.mark.parametrize("n", [4, 9, 10, 31, 60])
def test_levels_part_the_range_equally_and_stay_in_their_cells(n):
    levels = np.arange(n)
    places = places_of_levels(levels, n, n)
    assert (np.floor(places * n) == levels).all()
    assert places[n // 2] == 0.5
    others = np.delete(levels, n // 2)
    np.testing.assert_allclose(places[others], (others + 1) / (n + 1))
    fewer = places_of_levels(np.array([0, 1]), 2, n)
    assert fewer.tolist() == [0.25, 0.75]
    assert places_of_levels(np.arange(3), 3, 3).tolist() == [1 / 6, 0.5, 5 / 6]


@pytest.mark.parametrize("n", [4, 9, 10, 24, 31, 34, 39, 44, 60])
def test_levels_on_the_edge_of_two_values_give_each_value_equally_often(n):
    places = places_of_levels(np.arange(n), n, n)
    for q in range(2, n + 1):
        assert np.ptp(np.bincount(cell(places, q), minlength=q)) <= 1
        for values in (list(range(q)), IntDistribution(0, q - 1), randint(0, q)):
            factor = as_factor("x", values)
            found = [factor.at(float(u)) for u in places]
            assert np.ptp(np.bincount(found, minlength=q)) <= 1, (q, values)


def test_the_first_runs_are_spread_too():
    """An interrupted sweep has the middle and then runs all around it."""
    for n, s in [(16, 3), (25, 5), (50, 4)]:
        design = central_design(n, s)
        half = design[: n // 2]
        assert all((half < n / 2)[:, c].sum() >= n // 8 for c in range(s))
        rng = np.random.default_rng(0)
        others = [discrepancy(design[rng.permutation(n)[: n // 2]], n) for _ in range(50)]
        assert discrepancy(half, n) < np.quantile(others, 0.1)


def test_a_shipped_design_is_not_searched_for(monkeypatch):
    def search(*args, **kwargs):
        raise AssertionError("searched")

    monkeypatch.setattr(central, "uniform_design", search)
    monkeypatch.setattr(central, "improved_columns", search)
    for seed in (None, 0, 1):
        assert central_design(25, 5, random_state=seed).shape == (25, 5)
    with pytest.raises(AssertionError, match="searched"):
        central_design(61, 5)


@pytest.mark.parametrize("n", [4, 20, 23, 61, 64, 250])
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_one_factor_begins_in_the_middle_and_is_not_searched_for(monkeypatch, n, seed):
    def search(*args, **kwargs):
        raise AssertionError("searched")

    monkeypatch.setattr(optimize, "threshold_accepting", search)
    (levels,) = central_design(n, 1, random_state=seed).T
    assert levels[0] == n // 2
    assert sorted(levels) == list(range(n))
    assert np.ptp(levels[:3]) > n / 3  # the first ones lie on both sides
    assert sorted(uniform_design(n, 1, random_state=seed)) == list(range(n))


# Numbers of runs above 60 for which designs ship.
LARGE = (64, 72, 80, 90, 96, 100, 120, 128, 144, 150, 200, 250, 300, 400, 500, 1000)


def test_every_shipped_design_is_what_a_search_would_make():
    table = read_table(_table(CENTRAL_TABLE)[0])
    assert {(n, s) for n, s, _ in table} == {
        (n, s) for n in (*range(4, 61), *LARGE) for s in range(1, 11) if s < n
    }
    for (n, s, q), design in table.items():
        assert q == n
        design = design.astype(int)
        assert columns_are_balanced(design, (n,) * s)
        rows = {tuple(row) for row in design.tolist()}
        assert len(rows) == n
        assert {tuple(row) for row in central_runs(n, (n,) * s).tolist()} <= rows
        assert (design[0] == n // 2).all()


def test_any_first_ones_of_the_shipped_columns_are_a_uniform_design():
    table = read_table(_table(COLUMN_TABLE)[0])
    assert set(table) == {(n, min(10, n - 1), n) for n in (*range(4, 61), *LARGE)}
    for (n, s, _), columns in table.items():
        design = columns.astype(int)
        assert (np.sort(design, axis=0) == np.arange(n)[:, None]).all()
        assert (design[0] == n // 2).all()
        central = central_runs(n, (n,) * s)
        assert {tuple(row) for row in central.tolist()} <= {tuple(row) for row in design.tolist()}
        for c in (2, 3, 5, s) if n <= 100 else (2,):
            if n >= max(9, 2 * c):
                assert discrepancy(design[:, :c]) < random_latin(n, c, 9)

"""Sizes that cannot be had are answered at once, with the largest that can."""

import sys
import time

import numpy as np
import pytest

from skmixup.design import (
    discrepancy,
    good_lattice_points,
    orthogonal_array,
    prefix_uniform_order,
    to_unit_cube,
    uniform_design,
)

PRIME = 10**18 + 9  # of 19 digits


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: uniform_design(10**6, 50), r"n_runs=1000000 .*n_factors=50: at most 4472"),
        (lambda: uniform_design(10**6, 50, 2), r"n_runs=1000000 .* at most 4472"),
        (lambda: uniform_design(10**6, 2, method="good_lattice"), "n_runs=1000000 .*10000"),
        (lambda: uniform_design(PRIME, 2), f"n_runs={PRIME} .* at most 10000"),
        (lambda: uniform_design(10, 10**6), "n_factors=1000000 is too many: at most 1000"),
        (lambda: uniform_design(100, 2, PRIME), f"n_levels={PRIME} is more than n_runs=100"),
        (lambda: good_lattice_points(10**6, 50), "n_runs=1000000 .* at most 4472"),
        (lambda: good_lattice_points(PRIME, 3), f"n_runs={PRIME} .* at most 10000"),
        (lambda: good_lattice_points(11, PRIME), f"n_factors={PRIME} is too many: at most 1000"),
        (lambda: discrepancy(np.zeros((10**6, 50), np.int8)), "levels has 1000000 runs.*14142"),
        (lambda: discrepancy(np.zeros((2, 10**4), np.int8)), "levels has 10000 factors.*1000"),
        (lambda: prefix_uniform_order(np.zeros((10**5, 3), int)), "levels has 100000 runs.*10000"),
        (lambda: orthogonal_array(4096, 2), "n_levels=4096 is too many.*at most 2048"),
        (lambda: orthogonal_array(PRIME, 2), f"n_levels={PRIME} is too many.*at most 2048"),
        (lambda: orthogonal_array([PRIME] * 3), f"n_levels={PRIME} is too many"),
        (lambda: orthogonal_array([PRIME, 2, 3]), "differ.*all would be too large"),
        (lambda: orthogonal_array([9973] * 2 + [9967] * 2), "differ.*all would be too large"),
        (lambda: orthogonal_array([4099] * 3 + [2]), "differ.*all would be too large"),
        (lambda: orthogonal_array([6] * 10**5 + [2]), "and so on differ.*all would be too large"),
        (lambda: orthogonal_array(PRIME, 2, strength=1), f"n_levels={PRIME} is too many"),
        (lambda: orthogonal_array(2, 28, strength=28), "strength=28 .*largest .* works is 22"),
        (lambda: orthogonal_array(3, 99, strength=28), "strength=28 .*largest .* works is 14"),
        (lambda: orthogonal_array(2, PRIME, strength=PRIME), "strength=.*largest .* works is 22"),
        (lambda: orthogonal_array(2, PRIME), f"n_factors={PRIME} .*at most 8192"),
        (lambda: orthogonal_array(1024, 500), "n_factors=500 .*at most 128 factors work"),
        (lambda: orthogonal_array(2, 9**9, strength=3), "n_factors=387420489 .*at most 8192"),
    ],
)
def test_impossible_sizes_are_answered_at_once(call, message):
    start = time.process_time()
    with pytest.raises(ValueError, match=message):
        call()
    assert time.process_time() - start < 1  # trials took minutes, or the memory


def test_the_largest_that_is_named_is_possible():
    orthogonal_array(2048, 1)
    assert orthogonal_array(2, 22, strength=2).shape == (32, 22)
    assert good_lattice_points(211, 12).shape == (211, 12)


def test_discrepancy_takes_any_number_of_levels():
    levels = [[0, 7], [PRIME - 1, 3], [PRIME // 2, 0]]
    x = to_unit_cube(levels, (PRIME, 8))
    a, b = np.abs(x - 0.5), np.abs(x[:, None] - x)
    pairs = 1 + (a[:, None] + a) / 2 - b / 2
    value = (13 / 12) ** 2 - 2 / 3 * (1 + a / 2 - a**2 / 2).prod(axis=1).sum()
    value += pairs.prod(axis=2).sum() / 9
    assert discrepancy(levels, (PRIME, 8)) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("criterion", ["CD", "WD", "MD"])
def test_a_discrepancy_in_blocks_is_that_of_the_whole(criterion, monkeypatch):
    design = uniform_design(31, 4)
    whole = discrepancy(design, criterion=criterion)
    # The function has taken the module's name in the package.
    monkeypatch.setattr(sys.modules["skmixup.design.discrepancy"], "_AT_ONCE", 100)
    assert discrepancy(design, criterion=criterion) == pytest.approx(whole, rel=1e-12)


# -- little effort, and no run twice --------------------------------------------------------------


@pytest.mark.parametrize("effort", [0, 0.0, 1e-12, 1e-3, 0.01])
@pytest.mark.parametrize(
    ("n", "q"), [(3, (2, 2, 2)), (9, (3, 4, 9)), (40, (40, 40)), (61, (61, 5))]
)
def test_any_effort_gives_a_balanced_design(effort, n, q):
    design = uniform_design(n, len(q), q, effort=effort)
    completed = uniform_design(n, len(q), q, initial=design[: n // 2], effort=effort)
    np.testing.assert_array_equal(completed[: n // 2], design[: n // 2])
    for rows in (design, completed):
        for column, levels in zip(rows.T, q, strict=True):
            assert np.ptp(np.bincount(column, minlength=levels)) <= 1
        assert len(np.unique(rows, axis=0)) == n


@pytest.mark.parametrize("effort", [-1, float("nan"), float("inf"), "1", None])
def test_other_efforts_are_refused(effort):
    with pytest.raises(ValueError, match="effort="):
        uniform_design(5, 2, effort=effort)


@pytest.mark.parametrize("method", ["good_lattice", "auto"])
@pytest.mark.parametrize("s", [2, 3])
def test_no_run_occurs_twice_while_there_are_other_combinations(method, s):
    for n in range(s + 2, 15):
        for q in {(2, *[3] * (s - 1)), (2, 4, 2)[:s], (3, 4, 2)[:s], (4,) * s}:
            if max(q) <= n <= np.prod(q):
                design = uniform_design(n, s, q, method=method, effort=0.01)
                assert len(np.unique(design, axis=0)) == n, (n, q)
                for column, levels in zip(design.T, q, strict=True):
                    assert np.ptp(np.bincount(column, minlength=levels)) <= 1


def test_few_runs_beside_many_initial_ones_are_new():
    q = (4, 6)
    full = uniform_design(16, 2, q)
    for kept in (13, 14, 15):
        design = uniform_design(16, 2, q, initial=full[:kept], effort=0)
        assert len(np.unique(design, axis=0)) == 16

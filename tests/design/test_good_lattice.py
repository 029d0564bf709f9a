"""Good lattice points: the number theory, and how good they are."""

from itertools import combinations
from math import gcd

import numpy as np
import pytest

from skmixup.design import discrepancy, good_lattice_points
from skmixup.design.good_lattice import generators, max_factors, shift_levels


@pytest.mark.parametrize("n", [2, 3, 5, 6, 8, 12, 13, 30, 31, 97, 100, 128])
@pytest.mark.parametrize("most", [1, 2, 3, 6])
def test_every_level_once(n, most):
    s = min(most, max_factors(n))
    points = good_lattice_points(n, s)
    assert points.shape == (n, s)
    assert (np.sort(points, axis=0) == np.arange(n)[:, None]).all()


@pytest.mark.parametrize(("n", "s"), [(7, 3), (11, 4), (12, 2), (30, 3), (53, 5)])
def test_columns_are_multiples_of_generators_up_to_a_shift(n, s):
    points = good_lattice_points(n, s)
    steps = np.diff(points, axis=0)
    if all(len(set(column)) == 1 for column in (steps % n).T):
        assert all(gcd(int(h), n) == 1 for h in steps[0] % n)
    else:  # leave-one-out: constant steps mod n + 1 before the shift of the levels mod n
        found = []
        for column in points.T:
            shifted = [(column + b) % n + 1 for b in range(n)]
            found.append(any(len(set(np.diff(u) % (n + 1))) == 1 for u in shifted))
        assert all(found)


@pytest.mark.parametrize(("n", "s"), [(7, 2), (8, 3), (11, 3), (13, 2)])
def test_no_generator_vector_without_shift_is_better(n, s):
    best = min(
        discrepancy((i[:, None] * np.array(h)) % modulus - (modulus > n), n)
        for modulus in (n, n + 1)
        if len(generators(modulus)) >= s
        for i in [np.arange(1, n + 1)]
        for h in combinations(generators(modulus), s)
    )
    assert discrepancy(good_lattice_points(n, s)) <= best + 1e-12


@pytest.mark.parametrize("criterion", ["CD", "WD", "MD"])
def test_shifts_agree_with_trying_each_one(criterion):
    rng = np.random.default_rng(0)
    design = np.stack([rng.permutation(9) for _ in range(3)], axis=1)
    tried = []
    for b in range(9):
        other = design.copy()
        other[:, 0] = (other[:, 0] + b) % 9
        tried.append(discrepancy(other, criterion=criterion))
    shifted = shift_levels(design, criterion, sweeps=1)
    # the first factor moves first, the others only improve on it
    assert discrepancy(shifted, criterion=criterion) <= min(tried) + 1e-12
    assert (np.sort(shifted, axis=0) == np.arange(9)[:, None]).all()


def test_deterministic():
    np.testing.assert_array_equal(good_lattice_points(50, 5), good_lattice_points(50, 5))


def test_more_factors_than_generators_is_an_error():
    with pytest.raises(ValueError, match=r"n_factors=5 is more than .* 5 runs have: at most 4"):
        good_lattice_points(5, 5)


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((1, 1), ValueError, "n_runs=1 must be at least 2"),
        ((5, 0), ValueError, "n_factors=0 must be at least 1"),
        ((5.0, 2), TypeError, r"n_runs=5.0 must be an integer"),
        ((True, 2), TypeError, "n_runs=True must be an integer"),
    ],
)
def test_bad_sizes_are_named(args, error, message):
    with pytest.raises(error, match=message):
        good_lattice_points(*args)

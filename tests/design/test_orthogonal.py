"""Orthogonal arrays, verified by counting."""

from itertools import combinations

import numpy as np
import pytest

from skmixup.design import orthogonal_array
from skmixup.design.galois import field_tables, prime_power


def has_strength(array, q, strength, columns=None):
    """Whether every combination of levels of any ``strength`` columns occurs equally often."""
    chosen = columns if columns is not None else combinations(range(array.shape[1]), strength)
    for some in chosen:
        code = np.zeros(len(array), dtype=int)
        for c in some:
            code = code * q + array[:, c]
        counts = np.bincount(code, minlength=q**strength)
        if len(counts) > q**strength or counts.min() != counts.max():
            return False
    return True


@pytest.mark.parametrize("q", [2, 3, 4, 5, 7, 8, 9])
@pytest.mark.parametrize("k", [2, 3])
def test_every_pair_of_columns_is_counted(q, k):
    n_factors = (q**k - 1) // (q - 1)
    array = orthogonal_array(q, n_factors)
    assert array.shape == (q**k, n_factors)
    assert set(np.unique(array)) == set(range(q))
    assert has_strength(array, q, 2)


@pytest.mark.parametrize(
    ("q", "n_factors"), [(2, 63), (3, 121), (11, 12), (13, 14), (16, 17), (25, 26), (27, 28)]
)
def test_larger_arrays_are_sampled(q, n_factors):
    array = orthogonal_array(q, n_factors)
    rng = np.random.default_rng(0)
    pairs = [tuple(rng.choice(n_factors, size=2, replace=False)) for _ in range(60)]
    assert has_strength(array, q, 2, pairs)


@pytest.mark.parametrize("q", [32, 49, 64])
def test_large_prime_powers(q):
    array = orthogonal_array(q, q + 1)
    assert array.shape == (q * q, q + 1)
    assert has_strength(array, q, 2, [(0, 1), (0, q), (5, 17), (q - 1, q)])


@pytest.mark.parametrize(
    ("q", "n_factors", "runs"),
    [(2, 3, 4), (2, 7, 8), (3, 4, 9), (4, 5, 16), (5, 6, 25), (3, 13, 27), (7, 8, 49), (8, 9, 64),
     (9, 10, 81), (3, 5, 27), (2, 1, 4)],
)  # fmt: skip
def test_classical_sizes(q, n_factors, runs):
    assert orthogonal_array(q, n_factors).shape == (runs, n_factors)


@pytest.mark.parametrize(
    ("q", "n_factors", "strength", "runs"),
    [(2, 4, 3, 8), (2, 8, 3, 16), (2, 5, 4, 16), (3, 4, 3, 27), (3, 10, 3, 81), (4, 6, 3, 64),
     (4, 17, 3, 256), (5, 6, 3, 125), (5, 6, 4, 625), (3, 5, 4, 81), (7, 3, 3, 343),
     (8, 10, 3, 512)],
)  # fmt: skip
def test_higher_strength(q, n_factors, strength, runs):
    array = orthogonal_array(q, n_factors, strength=strength)
    assert array.shape == (runs, n_factors)
    rng = np.random.default_rng(0)
    every = list(combinations(range(n_factors), strength))
    some = [every[i] for i in rng.permutation(len(every))[:80]]
    assert has_strength(array, q, strength, some)


def test_equal_levels_one_by_one():
    np.testing.assert_array_equal(orthogonal_array((3, 3, 3, 3)), orthogonal_array(3, 4))
    np.testing.assert_array_equal(orthogonal_array((2,) * 7), orthogonal_array(2, 7))
    np.testing.assert_array_equal(orthogonal_array(np.array([2, 3]), 2)[:, 0] < 2, True)


def test_strength_one_has_q_runs():
    assert has_strength(orthogonal_array(5, 3, strength=1), 5, 1)


@pytest.mark.parametrize("q", [2, 3, 4, 5, 8, 9, 16, 25, 27, 64])
def test_field_axioms(q):
    add, multiply = field_tables(q)
    everything = set(range(q))
    assert all(set(row) == everything for row in add)
    assert all(set(row) == everything for row in multiply[1:])
    np.testing.assert_array_equal(add, add.T)
    np.testing.assert_array_equal(multiply, multiply.T)
    np.testing.assert_array_equal(add[0], np.arange(q))
    np.testing.assert_array_equal(multiply[1], np.arange(q))
    a, b, c = np.random.default_rng(0).integers(q, size=(3, 200))
    np.testing.assert_array_equal(multiply[a, add[b, c]], add[multiply[a, b], multiply[a, c]])
    np.testing.assert_array_equal(multiply[a, multiply[b, c]], multiply[multiply[a, b], c])


def test_prime_powers_are_recognised():
    found = {q for q in range(2, 66) if prime_power(q)}
    assert found == {
        2, 3, 4, 5, 7, 8, 9, 11, 13, 16, 17, 19, 23, 25, 27, 29, 31, 32, 37, 41, 43, 47, 49, 53,
        59, 61, 64,
    }  # fmt: skip
    assert prime_power(243) == (3, 5)


@pytest.mark.parametrize(
    ("args", "strength", "message"),
    [
        ((6, 3), 2, "n_levels=6 is no prime power.*nearest are 5 and 7"),
        ((14, 3), 2, "n_levels=14 is no prime power.*nearest are 13 and 16"),
        ((3, 11), 3, "n_factors=11 is too many for strength 3 and 3 levels: at most 10"),
        ((5, 7), 4, "n_factors=7 is too many for strength 4 and 5 levels: at most 6"),
        ((3, 3), 4, "strength=4 is more than the 3 factors"),
        ((1, 3), 2, "n_levels=1 must be at least 2"),
        ((3, 0), 2, "n_factors=0 must be at least 1"),
        ((3, 2), 0, "strength=0 must be at least 1"),
        ((2, 10**6), 2, "too large an array"),
        (((6, 6, 2),), 2, r"n_levels=\(6, 6, 2\) differ.*72 runs.*L18, L36.*uniform_design"),
        (((6, 4, 10),), 2, "the grid of 240 runs"),
        (((6, 6, 6),), 2, "n_levels=6 is no prime power"),
        (([2] * 10**5 + [4],), 2, "and so on differ.*would be too large"),
        (((2, 3, 3),), 3, "with strength 2"),
        (((2, 3), 3), 2, "2 entries for 3 factors"),
    ],
)
def test_what_does_not_exist_is_named(args, strength, message):
    with pytest.raises(ValueError, match=message):
        orthogonal_array(*args, strength=strength)

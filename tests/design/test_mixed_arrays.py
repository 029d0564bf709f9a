"""Mixed levels: every pair of levels counted, in no more runs than the classics have."""

from collections import Counter
from itertools import combinations
from math import gcd, prod

import numpy as np
import pytest

from skmixup.design import orthogonal_array
from skmixup.design.hadamard import hadamard
from skmixup.design.subspaces import array_from_subspaces


def counts_every_pair(array, n_levels):
    """Whether each pair of levels of any two factors occurs equally often."""
    if array.shape[1] != len(n_levels):
        return False
    for (i, p), (j, q) in combinations(enumerate(n_levels), 2):
        counts = np.bincount(array[:, i] * q + array[:, j], minlength=p * q)
        if len(counts) != p * q or not (counts == len(array) / (p * q)).all():
            return False
    return True


@pytest.mark.parametrize(
    ("n_levels", "runs"),
    [
        # Taguchi's.
        ((4, *[2] * 4), 8),
        ([2] * 11, 12),
        ([4] + [2] * 12, 16),
        ([4] * 2 + [2] * 9, 16),
        ([4] * 3 + [2] * 6, 16),
        ([4] * 4 + [2] * 3, 16),
        ([8] + [2] * 8, 16),
        ((2, *[3] * 7), 18),
        ([6] + [3] * 6, 18),
        ([9] + [3] * 9, 27),
        ([4] * 9 + [2] * 4, 32),
        ([16] + [2] * 16, 32),
        ([8] + [4] * 8, 32),
        ([2] * 11 + [3] * 12, 36),
        ([2] * 3 + [3] * 13, 36),
        ([2] * 4 + [3] * 13, 36),
        ([2] + [5] * 11, 50),
        ([2] + [3] * 25, 54),
        ([4] * 21, 64),
        ([8] * 9, 64),
        # Wang & Wu's, and the like.
        ([3] + [2] * 4, 12),
        ([5] + [2] * 8, 20),
        ([7] + [2] * 12, 28),
        ([3] + [2] * 16, 24),
        ([12] + [2] * 12, 24),
        ([3, 4] + [2] * 12, 24),
        ([3] + [4] * 13, 48),
        ([12] + [4] * 12, 48),
        ([10] + [5] * 10, 50),
        ([2] * 47 + [3] * 12, 72),
        ([9] * 10, 81),
        ([25] + [5] * 25, 125),
        # Equal levels where no power is the smallest.
        ([2] * 19, 20),
        ([2] * 23, 24),
        ([2] * 27, 28),
        ([3] * 7, 18),
        ([3] * 14, 54),
        ([4] * 13, 48),
        ([5] * 11, 50),
        # No smaller one can exist: the runs are the smallest multiple of all pairs of levels.
        ((2, 3), 6),
        ((2, 2, 3), 12),
        ((2, 3, 4), 24),
        ((2, 3, 5), 30),
        ((3, 3, 2, 3), 18),
        ((5, *[3] * 4), 45),
        ((2, 2, 2, 5, 3, 3), 180),
        # The order of the factors is the caller's.
        ([3, 2] * 11, 36),
        ((2, 4, 2, 2, 4, 2), 16),
    ],
    ids=lambda value: " ".join(
        f"{q}^{k}" for q, k in Counter(value).items()
    ) if not isinstance(value, int) else str(value),
)  # fmt: skip
def test_the_classics_are_held_in_their_sizes(n_levels, runs):
    array = orthogonal_array(n_levels)
    assert len(array) == runs
    assert counts_every_pair(array, n_levels)


@pytest.mark.parametrize("seed", range(40))
def test_any_levels_have_an_array_that_counts(seed):
    rng = np.random.default_rng(seed)
    n_levels = [int(q) for q in rng.choice([2, 3, 4, 5, 7, 8, 9], size=rng.integers(2, 7))]
    array = orthogonal_array(n_levels)
    assert counts_every_pair(array, n_levels)
    assert len(array) <= prod(n_levels)
    assert len(array) > sum(q - 1 for q in n_levels)


@pytest.mark.parametrize("order", range(4, 92, 4))
def test_hadamard_matrices(order):
    signs = 1 - 2 * hadamard(order)
    np.testing.assert_array_equal(signs.T @ signs, order * np.eye(order))
    np.testing.assert_array_equal(signs[:, 0], 1)


def test_orders_without_a_hadamard_matrix():
    assert [n for n in range(1, 100) if n % 4 and hadamard(n) is not None] == [1, 2]
    assert hadamard(92) is None
    assert len(orthogonal_array([2] * 90)) == 96


@pytest.mark.parametrize(
    ("p", "k", "exponents"),
    [(2, 5, (3, *[2] * 8)), (2, 6, (3, 3, *[2] * 7)), (2, 6, [3] * 9), (2, 7, (4, *[3] * 16)),
     (3, 4, [2] * 10), (3, 5, (3, *[2] * 27)), (5, 3, (2, *[1] * 25))],
)  # fmt: skip
def test_disjoint_subspaces_fill_the_space(p, k, exponents):
    array = array_from_subspaces(p, k, tuple(exponents))
    assert len(array) == p**k
    assert counts_every_pair(array, [p**m for m in exponents])


def test_more_than_the_space_holds_is_refused():
    assert array_from_subspaces(2, 5, (2,) * 10) is None  # 9 lines are disjoint, not 10
    assert array_from_subspaces(2, 5, (3, 3)) is None
    assert array_from_subspaces(2, 3, (1,) * 8) is None


def test_levels_without_a_prime_in_common_multiply():
    for n_levels in [(2, 2, 2, 3, 3, 3), (4, 4, 3), (9, 9, 2), (5, 5, 5, 2, 2)]:
        assert all(gcd(a, b) in (1, a, b) for a, b in combinations(n_levels, 2))
        assert counts_every_pair(orthogonal_array(n_levels), n_levels)


def test_no_main_effect_of_l18_hides_the_interaction_of_its_first_two_columns():
    array = orthogonal_array([2] + [3] * 7)
    both = 3 * array[:, 0] + array[:, 1]
    for column in array[:, 2:].T:
        counts = np.bincount(6 * column + both)
        np.testing.assert_array_equal(counts, np.ones(18))

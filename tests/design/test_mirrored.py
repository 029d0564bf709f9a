"""Chains of designs that are their own mirror image: exact differences, balanced, mirrored."""

import numpy as np
import pytest

from skmixup.design import discrepancy
from skmixup.design.exchange import descend, threshold_accepting
from skmixup.design.mirrored import MirroredChains, can_be_mirrored

CASES = [
    (12, (12, 6, 4), "CD"),
    (12, (3, 6, 4), "MD"),
    (10, (5, 5, 10), "WD"),
    (18, (3, 3, 6, 18), "CD"),
]


def chains_of(n, n_levels, criterion, seed=0):
    return MirroredChains.random(3, n, n_levels, criterion, np.random.default_rng(seed))


def assert_exact(chains, n_levels, criterion):
    expected = [discrepancy(design, n_levels, criterion) for design in chains.whole()]
    np.testing.assert_allclose(chains.values, expected, rtol=1e-10, atol=1e-14)
    pairs, singles = chains.pairs.copy(), chains.singles.copy()
    chains.refresh()
    np.testing.assert_allclose(pairs, chains.pairs, rtol=1e-10)
    np.testing.assert_allclose(singles, chains.singles, rtol=1e-10)


@pytest.mark.parametrize(("n", "n_levels", "criterion"), CASES)
def test_designs_are_balanced_and_mirrored(n, n_levels, criterion):
    chains = chains_of(n, n_levels, criterion)
    threshold_accepting(chains, 0.02 * chains.values, 50, 4, np.random.default_rng(1))
    for design in chains.whole():
        opposite = np.asarray(n_levels) - 1 - design
        assert sorted(map(tuple, design)) == sorted(map(tuple, opposite))
        for column, q in zip(design.T, n_levels, strict=True):
            assert (np.bincount(column, minlength=q) == n // q).all()


@pytest.mark.parametrize(("n", "n_levels", "criterion"), CASES)
def test_every_move_adds_what_it_is_said_to_add(n, n_levels, criterion):
    chains, rng = chains_of(n, n_levels, criterion), np.random.default_rng(2)
    for _ in range(60):
        column, block = int(rng.integers(len(n_levels))), rng.permutation(chains.free)[:4]
        chains.step(column, block, 0.01)
        assert_exact(chains, n_levels, criterion)


def test_a_run_and_its_opposite_are_exchanged_as_well():
    chains = MirroredChains(np.array([[[0, 0], [1, 1]]]), (4, 4), "CD")
    chains.step(1, np.array([1]), np.inf)  # a single run: only its opposite is left
    assert chains.whole()[0].tolist() in ([[0, 0], [1, 2], [3, 3], [2, 1]],
                                          [[0, 0], [2, 1], [3, 3], [1, 2]])  # fmt: skip
    assert_exact(chains, (4, 4), "CD")


def test_other_representatives_are_the_same_design():
    chains = chains_of(12, (12, 6, 4), "CD")
    before, values = chains.whole(), chains.values.copy()
    chains.turn(np.array([0, 3, 5]))
    assert_exact(chains, (12, 6, 4), "CD")
    np.testing.assert_allclose(chains.values, values, rtol=1e-12)
    for design, same in zip(before, chains.whole(), strict=True):
        assert sorted(map(tuple, design)) == sorted(map(tuple, same))


def test_a_descent_ends_where_no_move_of_its_runs_improves():
    chains = chains_of(10, (10, 10), "CD")
    start = chains.values.copy()
    descend(chains, len(chains.free), 500, np.random.default_rng(0))
    assert (chains.values < start).all()
    assert_exact(chains, (10, 10), "CD")


@pytest.mark.parametrize(
    ("n", "n_levels", "possible"),
    [
        (10, (10, 5), True),
        (12, (3, 4), True),
        (9, (9,), False),  # a run without an opposite
        (6, (3,), True),
        (15, (5,), False),
        (10, (4,), False),  # no multiple
        (6, (6, 2), True),
        (18, (9, 2), True),
        (30, (10, 6), True),
        (14, (2, 7), True),
        (6, (2,), True),
    ],
)
def test_where_runs_can_stand_in_pairs(n, n_levels, possible):
    assert can_be_mirrored(n, n_levels) == possible

"""The search's differences against the full formula, and what the search does with them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skmixup.design import discrepancy
from skmixup.design.exchange import Chains, best_swaps, descend, threshold_accepting
from skmixup.design.level_permutation import LevelChains, uniform_arrays

CRITERIA = ("CD", "WD", "MD")


def random_chains(seed, criterion, kind=Chains, n_chains=2, n=12, n_levels=(12, 4, 3, 2)):
    rng = np.random.default_rng(seed)
    designs = np.stack(
        [
            np.stack([rng.permutation(np.arange(n) % q) for q in n_levels], axis=1)
            for _ in range(n_chains)
        ]
    )
    return kind(designs, n_levels, criterion)


@given(st.integers(0, 2**32), st.sampled_from(CRITERIA), st.integers(0, 3))
@settings(max_examples=40)
def test_swap_differences_equal_the_full_formula(seed, criterion, column):
    n_levels = (12, 4, 3, 2)
    chains = random_chains(seed, criterion)
    block = np.random.default_rng(seed).permutation(12)[:7]
    delta, _ = chains.differences(column, block)
    for chain, design in enumerate(chains.designs):
        before = discrepancy(design, n_levels, criterion)
        for a, i in enumerate(block):
            for b, j in enumerate(block):
                swapped = design.copy()
                swapped[[i, j], column] = swapped[[j, i], column]
                if (swapped == design).all():
                    assert delta[chain, a, b] == np.inf
                else:
                    after = discrepancy(swapped, n_levels, criterion)
                    assert delta[chain, a, b] == pytest.approx(after - before, abs=1e-12)


@given(st.integers(0, 2**32), st.sampled_from(CRITERIA), st.integers(0, 3))
@settings(max_examples=40)
def test_one_run_alone_has_the_same_differences_and_its_swap_updates_all(seed, criterion, column):
    chains = random_chains(seed, criterion, n_chains=1)
    block = np.random.default_rng(seed).permutation(12)[:7]
    (all_of_them,), _ = chains.differences(column, block)
    of_run = chains.differences_of_run(column, int(block[2]), block)
    np.testing.assert_allclose(of_run, all_of_them[2], atol=1e-12)
    other = int(block[5])
    chains.exchange(column, int(block[2]), other)
    found = [chains.pairs.copy(), chains.singles.copy()]
    chains.refresh()
    for updated, anew in zip(found, [chains.pairs, chains.singles], strict=True):
        np.testing.assert_allclose(updated, anew, rtol=1e-10)


@given(st.integers(0, 2**32))
@settings(max_examples=25)
def test_swaps_at_once_are_disjoint_and_hold_the_best_of_all(seed):
    # Few different numbers: ties are where the best swap could get lost.
    delta = np.random.default_rng(seed).integers(-3, 3, (3, 6, 6)).astype(float)
    delta = np.minimum(delta, np.swapaxes(delta, 1, 2))
    delta[:, range(6), range(6)] = 0
    for chain, partner, alone in zip(delta, *best_swaps(delta, -0.5), strict=True):
        assert (partner[partner] == np.arange(6)).all()
        gains = chain[np.arange(6), partner]
        assert gains.min() == chain.min()
        assert (alone == np.where(partner == np.arange(6), 0, gains)).all()
        assert (gains[partner != np.arange(6)] < -0.5).all()


@given(st.integers(0, 2**32), st.sampled_from(CRITERIA))
@settings(max_examples=25)
def test_level_exchange_differences_equal_the_full_formula(seed, criterion):
    n_levels = (4, 4, 4)
    chains = random_chains(seed, criterion, LevelChains, n_levels=n_levels)
    designs = chains.designs.copy()
    moved = chains.step(1, np.arange(4), np.inf)
    assert len(moved) == len(designs)
    for design, value in zip(chains.designs, chains.values, strict=True):
        assert value == pytest.approx(discrepancy(design, n_levels, criterion), abs=1e-12)
    # the step made the best of the six exchanges
    for design, value in zip(designs, chains.values, strict=True):
        reachable = []
        for a in range(4):
            for b in range(a):
                names = np.arange(4)
                names[[a, b]] = b, a
                other = design.copy()
                other[:, 1] = names[other[:, 1]]
                reachable.append(discrepancy(other, n_levels, criterion))
        assert value == pytest.approx(min(reachable), abs=1e-12)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_values_stay_exact_through_many_swaps(criterion):
    chains = random_chains(3, criterion)
    rng = np.random.default_rng(3)
    for _ in range(500):
        chains.step(int(rng.integers(4)), rng.permutation(12)[:5], 1e-3)
    tracked = chains.values.copy()
    chains.refresh()
    np.testing.assert_allclose(tracked, chains.values, atol=1e-12)


def test_swaps_keep_balance_and_the_fixed_runs():
    chains = random_chains(5, "CD")
    fixed = Chains(chains.designs.copy(), (12, 4, 3, 2), "CD", n_fixed=4)
    rng = np.random.default_rng(5)
    threshold_accepting(fixed, 0.05 * fixed.values, 200, 5, rng)
    assert (fixed.designs[:, :4] == chains.designs[:, :4]).all()
    assert (fixed.designs[:, 4:] != chains.designs[:, 4:]).any()
    assert (np.sort(fixed.designs, axis=1) == np.sort(chains.designs, axis=1)).all()


def test_search_never_returns_worse_than_its_start_and_ends_in_a_local_optimum():
    chains = random_chains(7, "CD", n_levels=(12, 6, 4))
    before = chains.values.copy()
    rng = np.random.default_rng(7)
    threshold_accepting(chains, 0.5 * chains.values, 100, 6, rng)
    assert (chains.values <= before).all()
    descend(chains, 12, 10_000, rng)
    for column in range(3):
        delta, _ = chains.differences(column, chains.free)
        assert delta.min() > -1e-12


def test_level_renaming_keeps_arrays_orthogonal():
    arrays = uniform_arrays(18, (3, 3, 3), "CD", 1.0, np.random.default_rng(0))
    values = [discrepancy(array, 3) for array in arrays]
    assert values == sorted(values)
    for array in arrays:
        for a, b in ((0, 1), (0, 2), (1, 2)):
            assert (np.bincount(3 * array[:, a] + array[:, b], minlength=9) == 2).all()

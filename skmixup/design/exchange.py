"""The search for uniform designs: threshold accepting over swaps within a column.

A swap exchanges the levels of two runs in one factor, so balance is never lost. The differences
that *all* swaps among m runs make to the criterion come from one (m, n) by (n, m) matrix product:
the search looks at thousands of swaps for the price of a few array operations.
"""

from collections.abc import Sequence

import numpy as np

from skmixup.design.discrepancy import (
    constant_term,
    level_kernels,
    run_products,
    squared_discrepancy,
)
from skmixup.design.levels import Floats, Ints


def swap_differences(
    others: Floats,
    pair: Floats,
    rest: Floats,
    single: Floats,
    *,
    block: Ints,
    n_runs: int,
) -> Floats:
    """What every swap of two runs of the block adds to the criterion, (..., m, m).

    With R the product of the pair kernel over the other factors, K the kernel of this one, F and f
    the same of the single kernel, and A = R K − n F fᵀ, swapping the levels of runs i and j adds
    2/n² (S_ij + S_ji), where

        S_ij = A_ij − A_ii + (R_ij − (R_ii + R_jj)/2) (K_ij − (K_ii + K_jj)/2)

    ``others`` is R[block, :] and ``pair`` K[block, :], both (..., m, n); ``rest`` is F[block] and
    ``single`` f[block], both (..., m). R and K need only be symmetric: with R summed over the
    runs of each level, the same formula gives the differences of exchanging whole levels.
    """
    half = others @ np.swapaxes(pair, -1, -2)
    half -= n_runs * rest[..., :, None] * single[..., None, :]
    half -= np.diagonal(half, axis1=-2, axis2=-1)[..., :, None].copy()
    half += hollow(others[..., block]) * hollow(pair[..., block])
    half *= 2 / n_runs**2
    return np.asarray(half + np.swapaxes(half, -1, -2))


def hollow(kernel: Floats) -> Floats:
    """A symmetric kernel K less (K_ii + K_jj)/2: zeros on its diagonal."""
    own = np.diagonal(kernel, axis1=-2, axis2=-1) / 2
    return np.asarray(kernel - own[..., :, None] - own[..., None, :])


def entries(table: Floats, rows: Ints, columns: Ints) -> Floats:
    """A table at some rows (chains, m) and columns (chains, n), for each chain: (chains, m, n)."""
    if len(rows) == 1:
        return np.asarray(table[rows[0]].take(columns[0], axis=1)[None])
    return table.ravel().take(rows[:, :, None] * table.shape[1] + columns[:, None, :])


def best_moves(delta: Floats, threshold: Floats | float) -> tuple[Ints, Ints]:
    """The chains whose best move adds less than the threshold, and that move of each: (moved, 2).

    ``delta`` (chains, m, m) is what exchanging the members i and j of a block adds.
    """
    flat = delta.reshape(len(delta), -1)
    chosen = flat.argmin(axis=1)
    moved = np.flatnonzero(flat[np.arange(len(flat)), chosen] < threshold)
    return moved, np.stack(np.divmod(chosen[moved], delta.shape[2]), axis=1)


def best_swaps(delta: Floats, threshold: float) -> tuple[Ints, Floats]:
    """With whom each member of a block changes places, (chains, m), and what that adds alone.

    All pairs that are each other's best swap and add less than the threshold; the best of all
    swaps is one of them. Who stays has itself for a partner, and adds 0.
    """
    chains, own = np.arange(len(delta))[:, None], np.arange(delta.shape[2])
    partner = delta.argmin(axis=2)
    gains = delta[chains, own, partner]
    mutual = (partner[chains, partner] == own) & (gains < threshold)
    return np.where(mutual, partner, own), np.where(mutual, gains, 0.0)


class Chains:
    """Several designs of one size that are searched side by side, one array operation for all.

    Parameters
    ----------
    designs : int array (chains, n_runs, n_factors)
        Starts; changed in place.
    n_levels : sequence of int
        Levels of each factor.
    criterion : {"CD", "WD", "MD"}
    n_fixed : int, default 0
        The first runs stay as they are.

    Attributes
    ----------
    values : float array (chains,)
        The criterion of each design now.
    """

    def __init__(self, designs: Ints, n_levels: Sequence[int], criterion: str, n_fixed: int = 0):
        self.designs = designs
        self.kernels = level_kernels(n_levels, criterion)
        self.constant = constant_term(len(n_levels), criterion)
        self.free = np.arange(n_fixed, designs.shape[1])
        self.refresh()

    def refresh(self) -> None:
        """Compute the products anew, which removes the rounding of many updates."""
        self.pairs, self.singles = run_products(self.designs, self.kernels)
        self.values = squared_discrepancy(self.pairs, self.singles, self.constant)

    def best(self) -> Ints:
        """The design with the smallest criterion."""
        return np.asarray(self.designs[int(np.argmin(self.values))])

    def differences(self, column: int, block: Ints) -> tuple[Floats, Floats]:
        """What each swap in the block adds, (chains, m, m), infinite where it changes nothing;
        and the products of the block's runs over the other factors, (chains, m, n).
        """
        kernel = self.kernels[column]
        u = self.designs[:, :, column]
        levels = u[:, block]
        pair = entries(kernel.pair, levels, u)
        others = self.pairs[:, block] / pair
        single = kernel.single[levels]
        rest = self.singles[:, block] / single if single.any() else np.zeros_like(single)
        delta = swap_differences(others, pair, rest, single, block=block, n_runs=u.shape[1])
        delta[levels[:, :, None] == levels[:, None, :]] = np.inf
        return delta, others

    def differences_of_run(self, column: int, run: int, block: Ints) -> Floats:
        """What swapping one run with each of the block adds in the first chain, as in
        :meth:`differences`, without the swaps among the others.
        """
        kernel = self.kernels[column]
        u = self.designs[0, :, column]
        pair, own = kernel.pair[u[block]][:, u], kernel.pair[u[run], u]
        others, rest = self.pairs[0, block] / pair, self.pairs[0, run] / own
        at, n = np.arange(len(block)), len(u)
        # A_ij + A_ji − A_ii − A_jj, and half the sum of both diagonals of R and K.
        delta = (others - rest) @ own + pair @ rest - np.einsum("jk,jk->j", others, pair)
        single = kernel.single[u]
        if single.any():
            outer = self.singles[0] / single
            delta += n * (outer[block] - outer[run]) * (single[block] - single[run])
        middle_of_rest = (others[at, block] + rest[run]) / 2
        middle_of_own = (pair[at, block] + own[run]) / 2
        delta += 2 * (rest[block] - middle_of_rest) * (own[block] - middle_of_own)
        delta *= 2 / n**2
        delta[u[block] == u[run]] = np.inf
        return np.asarray(delta)

    def exchange(self, column: int, run: int, other: int) -> None:
        """Make one swap in the first chain."""
        runs = np.array([[run, other]])
        u = self.designs[0, :, column]
        others = self.pairs[:1, runs[0]] / self.kernels[column].pair[u[runs[0]]][:, u]
        self.swap(np.zeros(1, dtype=np.intp), column, runs, others)

    def step(self, column: int, block: Ints, threshold: Floats | float) -> Ints:
        """Make the best swap among the block's runs in every chain where it adds less than the
        threshold; return the indices of these chains.
        """
        delta, others = self.differences(column, block)
        moved, pair = best_moves(delta, threshold)
        if len(moved):
            self.swap(moved, column, block[pair], others[moved[:, None], pair])
            self.values[moved] += delta[moved, pair[:, 0], pair[:, 1]]
        return moved

    def swap(self, chains: Ints, column: int, runs: Ints, others: Floats) -> None:
        """Exchange the levels of two runs per chain and update the products.

        ``runs`` is (chains, 2), ``others`` (chains, 2, n) their products over the other factors.
        """
        kernel = self.kernels[column]
        here = chains[:, None]
        swapped = self.designs[here, runs[:, ::-1], column]
        before = self.designs[here, runs, column]
        self.designs[here, runs, column] = swapped
        u = self.designs[chains, :, column]
        rows = others * kernel.pair[swapped[:, :, None], u[:, None, :]]
        self.pairs[here, runs] = rows
        self.pairs[chains[:, None, None], np.arange(u.shape[1])[:, None], runs[:, None, :]] = (
            np.swapaxes(rows, 1, 2)
        )
        if kernel.single.any():
            self.singles[here, runs] *= kernel.single[swapped] / kernel.single[before]


def threshold_accepting(
    chains: Chains,
    thresholds: Floats,
    n_steps: int,
    block_size: int,
    rng: np.random.Generator,
    first_column: int = 0,
) -> None:
    """Accept swaps that make the criterion worse by less and less, keeping the best of each chain.

    Each step looks at all swaps of one random column within one random block of runs. The
    threshold of a chain falls from its first one as (1 − t)², t from 0 to 1 (Winker & Fang 1997
    use a falling staircase). Columns before ``first_column`` stay as they are.
    """
    best_values, best_designs = chains.values.copy(), chains.designs.copy()
    columns = rng.integers(first_column, len(chains.kernels), size=n_steps)
    for t, column in enumerate(columns):
        block = rng.permutation(chains.free)[:block_size]
        chains.step(int(column), block, thresholds * (1 - t / n_steps) ** 2)
        better = np.flatnonzero(chains.values < best_values)
        best_values[better] = chains.values[better]
        best_designs[better] = chains.designs[better]
    chains.designs[...] = best_designs
    chains.refresh()


def descend(chains: Chains, block_size: int, n_steps: int, rng: np.random.Generator) -> None:
    """Make improving swaps until no swap in any column improves any chain, or the steps are spent.

    Where the block is smaller than the design, only swaps within random blocks are looked at.
    """
    n_factors = len(chains.kernels)
    tolerance = -1e-13 * np.abs(chains.values)
    n_blocks = -(-len(chains.free) // block_size)
    still = column = steps = 0
    while still < n_factors and steps < n_steps:
        improved = 0
        for block in np.array_split(rng.permutation(chains.free), n_blocks):
            improved += len(chains.step(column, block, tolerance))
        still = 0 if improved else still + 1
        column = (column + 1) % n_factors
        steps += n_blocks
    chains.refresh()

"""Orthogonal arrays made uniform: which columns, and which level is called which.

Renaming a factor's levels leaves an array orthogonal but changes its discrepancy (Tang, Xu & Lin
2012, "Uniform fractional factorial designs"). The best renaming of a saturated array is often the
best design known.
"""

from collections.abc import Sequence

import numpy as np

from skmixup.design.difference_schemes import array_from_scheme
from skmixup.design.exchange import (
    Chains,
    best_moves,
    descend,
    swap_differences,
    threshold_accepting,
)
from skmixup.design.galois import prime_power
from skmixup.design.levels import Floats, Ints


class LevelChains(Chains):
    """Chains whose move exchanges two levels of a factor in all runs; a block is of levels."""

    def __init__(self, designs: Ints, n_levels: Sequence[int], criterion: str):
        super().__init__(designs, n_levels, criterion)
        self.free = np.arange(n_levels[0])

    def step(self, column: int, block: Ints, threshold: Floats | float) -> Ints:
        """Make the best exchange of two of the block's levels in every chain where it adds less
        than the threshold; return the indices of these chains.
        """
        kernel = self.kernels[column]
        u = self.designs[:, :, column]
        others = self.pairs / kernel.pair[u[:, :, None], u[:, None, :]]
        rest = self.singles / kernel.single[u] if kernel.single.any() else np.zeros(u.shape)
        delta = self._differences(column, block, others, rest)
        moved, pair = best_moves(delta, threshold)
        if len(moved):
            a, b = block[pair.T][:, :, None]
            u = u[moved]
            renamed = np.where(u == a, b, np.where(u == b, a, u))
            self.designs[moved, :, column] = renamed
            self.pairs[moved] = (
                others[moved] * kernel.pair[renamed[:, :, None], renamed[:, None, :]]
            )
            if kernel.single.any():
                self.singles[moved] = rest[moved] * kernel.single[renamed]
            self.values[moved] += delta[moved, pair[:, 0], pair[:, 1]]
        return moved

    def _differences(self, column: int, block: Ints, others: Floats, rest: Floats) -> Floats:
        """What each exchange adds: the swap differences of products summed over equal levels."""
        kernel = self.kernels[column]
        member = (self.designs[:, :, column, None] == self.free).astype(float)
        by_level = np.swapaxes(member, 1, 2)
        shape = (len(member), len(block))
        delta = swap_differences(
            by_level[:, block] @ others @ member,
            np.broadcast_to(kernel.pair[block], (*shape, len(self.free))),
            (by_level[:, block] @ rest[:, :, None])[:, :, 0],
            np.broadcast_to(kernel.single[block], shape),
            block=block,
            n_runs=member.shape[1],
        )
        delta[:, np.arange(len(block)), np.arange(len(block))] = np.inf
        return delta


def array_columns(n_runs: int, n_levels: tuple[int, ...]) -> Ints | None:
    """The orthogonal array, of n runs or of a divisor, that has the most runs of those with
    enough columns; or None.
    """
    q = n_levels[0]
    if set(n_levels) != {q} or q == n_runs or prime_power(q) is None:
        return None
    sizes = [m for m in range(q * q, n_runs + 1, q) if n_runs % m == 0]
    arrays = [array_from_scheme(m, q) for m in reversed(sizes)]
    return next((array for array in arrays if array.shape[1] >= len(n_levels)), None)


def _random_choice(array: Ints, n_runs: int, n_factors: int, rng: np.random.Generator) -> Ints:
    """Random columns of the array, repeated up to n runs, each copy with its levels renamed."""
    columns = array[:, rng.permutation(array.shape[1])[:n_factors]]
    q = int(array.max()) + 1
    copies = [
        np.stack([rng.permutation(q)[column] for column in columns.T], axis=1)
        for _ in range(n_runs // len(array))
    ]
    return np.concatenate(copies)


def uniform_arrays(
    n_runs: int,
    n_levels: tuple[int, ...],
    criterion: str,
    effort: float,
    rng: np.random.Generator,
) -> list[Ints]:
    """The best orthogonal arrays that renaming levels finds, best first; none where none exists.

    Many chains take different columns; where all columns are needed they differ only in the
    levels' first names.
    """
    array = array_columns(n_runs, n_levels)
    if array is None:
        return []
    s, q = len(n_levels), n_levels[0]
    n_chains = round(np.clip(40_000 / n_runs**2, 2, 64) * max(effort, 1) ** (1 / 3))
    n_steps = min(20 * s * q, 200_000_000 // (n_chains * n_runs**2))
    designs = np.stack([_random_choice(array, n_runs, s, rng) for _ in range(n_chains)])
    chains = LevelChains(designs, n_levels, criterion)
    n_steps = round(effort ** (2 / 3) * n_steps)
    threshold_accepting(chains, 0.01 * chains.values, n_steps, q // 2 + 1, rng)
    descend(chains, q, n_steps, rng)
    return list(chains.designs[np.argsort(chains.values, kind="stable")])

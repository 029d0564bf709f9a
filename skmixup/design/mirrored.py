"""Chains of designs that are their own mirror image: each run stands for itself and its opposite.

The criteria do not change when every factor is mirrored, and many of the best designs known do
not either: with run x they have run 1 − x. Such designs are a small part of all balanced ones, and
half as large to hold, so that a search among them gets further in the same time.
"""

from collections.abc import Sequence

import numpy as np

from skmixup.design.discrepancy import level_kernels, run_products, squared_discrepancy
from skmixup.design.exchange import Chains, swap_differences
from skmixup.design.levels import Floats, Ints


def can_be_mirrored(n_runs: int, n_levels: Sequence[int]) -> bool:
    """Whether runs can stand in pairs of opposites with every level equally often."""
    return n_runs % 2 == 0 and all(
        n_runs % q == 0 and (q % 2 == 0 or n_runs // q % 2 == 0) for q in n_levels
    )


class MirroredChains(Chains):
    """Chains whose moves are made twice: in some runs and, mirrored, in their opposites.

    A move exchanges the levels of two runs, or of a run and its opposite. ``designs`` holds one
    run of each pair (chains, n_runs / 2, s); ``pairs`` (2, chains, n_runs / 2, n_runs / 2) their
    products with each other and with each other's opposites.
    """

    def __init__(self, designs: Ints, n_levels: Sequence[int], criterion: str):
        self.n_levels = np.asarray(n_levels)
        self.tables = [
            np.stack([kernel.pair, kernel.pair[:, ::-1]])
            for kernel in level_kernels(n_levels, criterion)
        ]
        super().__init__(designs, n_levels, criterion)

    @classmethod
    def random(
        cls,
        n_chains: int,
        n_runs: int,
        n_levels: Sequence[int],
        criterion: str,
        rng: np.random.Generator,
    ) -> "MirroredChains":
        """Chains that begin with balanced columns in random order."""
        columns = []
        for q in n_levels:
            levels = np.arange(n_runs) % q
            lower = np.sort(np.minimum(levels, q - 1 - levels))[::2]
            shuffled = rng.permuted(np.tile(lower, (n_chains, 1)), axis=1)
            columns.append(np.where(rng.random(shuffled.shape) < 0.5, shuffled, q - 1 - shuffled))
        return cls(np.stack(columns, axis=2), n_levels, criterion)

    def whole(self) -> Ints:
        """The designs with all their runs, (chains, n_runs, s)."""
        return np.concatenate([self.designs, self.n_levels - 1 - self.designs], axis=1)

    def refresh(self) -> None:
        """Compute the products anew, which removes the rounding of many updates."""
        half = self.designs.shape[1]
        pairs, singles = run_products(self.whole(), self.kernels)
        self.pairs = np.stack([pairs[:, :half, :half], pairs[:, :half, half:]])
        self.singles = singles[:, :half].copy()
        self.values = squared_discrepancy(self.pairs.sum(axis=0) / 2, self.singles, self.constant)

    def turn(self, runs: Ints) -> None:
        """Let the opposites of these runs stand for their pairs: the designs stay as they are."""
        self.designs[:, runs] = self.n_levels - 1 - self.designs[:, runs]
        self.pairs[:, :, runs] = self.pairs[::-1, :, runs]
        self.pairs[..., runs] = self.pairs[::-1][..., runs]

    def differences(self, column: int, block: Ints) -> tuple[Floats, Floats]:
        """What each move adds, (chains, m, m): on the diagonal, of a run and its opposite; and
        the products over the other factors, (chains, m, 2, n_runs / 2).
        """
        kernel, half = self.kernels[column], self.designs.shape[1]
        q, u = len(kernel.single), self.designs[:, :, column]
        levels = u[:, block]
        pair = self.tables[column].reshape(2, -1).take(levels[:, :, None] * q + u[:, None], axis=1)
        others = self.pairs[:, :, block] / pair
        single = kernel.single[levels]
        rest = self.singles[:, block] / single if single.any() else np.zeros_like(single)
        both = swap_differences(
            others,
            pair,
            np.stack([rest, np.zeros_like(rest)]),
            np.stack([single, single]),
            block=block,
            n_runs=2 * half,
        )
        delta = 2 * (both[0] + both[1])
        delta[levels[:, :, None] == levels[:, None, :]] = np.inf
        own = np.arange(len(block))
        change = (others[0] - others[1]) * (pair[1] - pair[0])
        opposite = (change.sum(axis=2) - change[:, own, block]) / half**2
        delta[:, own, own] = np.where(levels == q - 1 - levels, np.inf, opposite)
        return delta, np.moveaxis(others, 0, 2)

    def step(self, column: int, block: Ints, threshold: Floats | float) -> Ints:
        """Make the best move among the block's runs in every chain where it adds less than the
        threshold; return the indices of these chains.

        Half of the runs are turned before, so that all exchanges of a run with another's opposite
        have their turn as well.
        """
        self.turn(block[::2])
        return super().step(column, block, threshold)

    def swap(self, chains: Ints, column: int, runs: Ints, others: Floats) -> None:
        """Make one move per chain, of two runs or of one run given twice, and update products."""
        kernel, here = self.kernels[column], chains[:, None]
        before = self.designs[here, runs, column]
        alone = runs[:, :1] == runs[:, 1:]
        after = np.where(alone, len(kernel.single) - 1 - before, before[:, ::-1])
        self.designs[here, runs, column] = after
        u = self.designs[chains, :, column]
        rows = np.moveaxis(others, 2, 0) * self.tables[column][:, after[:, :, None], u[:, None]]
        self.pairs[:, here, runs] = rows
        self.pairs[:, chains[:, None, None], np.arange(u.shape[1])[:, None], runs[:, None]] = (
            np.swapaxes(rows, 2, 3)
        )
        if kernel.single.any():
            self.singles[here, runs] *= kernel.single[after] / kernel.single[before]

"""The points a study runs, row by row and column by column.

A design that is searched as a whole fixes both its runs and its factors. Two things cannot wait
for that: parameters whose names come up one by one while objectives run (a new *column*), and
points that go on after the design (new *rows*, of which the rows already run are kept). Both are
the same task: complete the table so that it stays uniform, without touching what is there.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from skmixup.design.discrepancy import constant_term, kernels
from skmixup.design.exchange import Chains, threshold_accepting

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

#: Tables with more rows go on with a Sobol' sequence: the search needs n² numbers per chain.
MAX_SEARCHED_ROWS = 400


def cell(u: Floats, q: int) -> Ints:
    """The level 0 … q − 1 whose cell of width 1/q holds u."""
    return np.minimum((u * q).astype(np.intp), q - 1)


def least_used_levels(known: Ints, n_new: int, q: int, rng: np.random.Generator) -> Ints:
    """Levels for the new rows, in random order, that make the column as balanced as can be."""
    counts = np.bincount(known, minlength=q)
    levels = np.empty(n_new, dtype=np.intp)
    for i in range(n_new):
        rarest = np.flatnonzero(counts == counts.min())
        levels[i] = rarest[rng.integers(len(rarest))]
        counts[levels[i]] += 1
    return rng.permutation(levels)


def complete_rows(
    kept: Floats, n_new: int, criterion: str, rng: np.random.Generator, n_levels: Sequence[int]
) -> Floats:
    """New rows (n_new, s) that make the kept ones (m, s) a uniform design of m + n_new runs.

    ``n_levels`` holds one number of levels per factor. The new rows lie in the middle of their
    level's cell, the kept ones stay where they are.
    """
    m, n_factors = kept.shape
    fixed = np.column_stack([cell(kept[:, c], q) for c, q in enumerate(n_levels)])
    n_chains = 1 if m + n_new > 100 else 4
    designs = np.empty((n_chains, m + n_new, n_factors), dtype=np.intp)
    designs[:, :m] = fixed
    for design in designs:
        for c, q in enumerate(n_levels):
            design[m:, c] = least_used_levels(fixed[:, c], n_new, q, rng)
    if n_new > 1 and max(n_levels) > 1:
        constant = constant_term(n_factors, criterion)
        chains = Chains(designs, kernels(n_levels, criterion), constant, n_fixed=m)
        threshold_accepting(chains, 0.01 * chains.values, 60 * n_factors, min(n_new, 64), rng)
        best = chains.best()
    else:
        best = designs[0]
    return (best[m:] + 0.5) / np.asarray(n_levels)


def complete_column(
    others: Floats, known: Floats, criterion: str, rng: np.random.Generator, n_levels: int
) -> Ints:
    """Levels of one more column for the rows (n, c) of the other columns.

    The first ``len(known)`` rows have their place in the column already; the levels of the others
    are returned. Only this column is searched, so a table may grow column by column.
    """
    n, m = len(others), len(known)
    fixed = cell(known, n_levels)
    n_chains = 1 if n > 100 else 4
    designs = np.empty((n_chains, n, others.shape[1] + 1), dtype=np.intp)
    designs[:, :, :-1] = cell(others, n)
    designs[:, :m, -1] = fixed
    for design in designs:
        design[m:, -1] = least_used_levels(fixed, n - m, n_levels, rng)
    if others.shape[1] > 0 and n - m > 1 and n_levels > 1:
        levels = [n] * others.shape[1] + [n_levels]
        constant = constant_term(len(levels), criterion)
        chains = Chains(designs, kernels(levels, criterion), constant, n_fixed=m)
        n_steps = 150
        for step in range(n_steps):
            # Threshold accepting as in skmixup.design, in the new column only.
            threshold = 0.01 * chains.values * (1 - step / n_steps) ** 2 * (step < n_steps - 30)
            block = rng.permutation(chains.free)[:64]
            chains.step(designs.shape[2] - 1, block, threshold)
        return chains.best()[m:, -1]
    return designs[0, m:, -1]


def sobol_rows(first: int, n_rows: int, column: int, seed: int) -> Floats:
    """One column of a Sobol' sequence from row ``first`` on, shifted modulo 1 by the seed."""
    from scipy.stats import qmc

    engine = qmc.Sobol(d=column + 1, scramble=False)
    engine.fast_forward(first + 1)  # the first point is the corner 0
    shift = np.random.default_rng([seed, column]).random()
    return np.asarray((engine.random(n_rows)[:, column] + shift) % 1.0)


class PointTable:
    """Where every row of a study lies in every column, on the unit interval.

    Rows 0 … n_runs − 1 are the design. Rows beyond it complete the design, block by block of
    n_runs rows. Everything follows from the arguments, so any process computes the same table.

    Parameters
    ----------
    n_runs : int
        Runs of the design.
    n_levels : int, sequence of int, or None
        Levels of every column (None: as many as runs), or of each column of ``design``.
    criterion : {"CD", "WD", "MD"}
    seed : int

    Columns that :meth:`set_levels` has not put in place are made one by one as they are asked for,
    each so that it forms a uniform design with those before it.
    """

    def __init__(
        self,
        n_runs: int,
        n_levels: int | Sequence[int] | None,
        criterion: str,
        seed: int,
    ):
        self.n_runs = n_runs
        self.criterion = criterion
        self.seed = seed
        self._n_levels = n_levels
        self._columns: dict[tuple[int, int], Floats] = {}

    def n_levels(self, column: int) -> int:
        """The number of levels of a column of the design."""
        if self._n_levels is None:
            return self.n_runs
        return self._n_levels if isinstance(self._n_levels, int) else self._n_levels[column]

    def levels(self, column: int) -> Ints:
        """The design's levels in one column."""
        return cell(self._block(0, column), self.n_levels(column))

    def set_levels(self, column: int, levels: Ints) -> None:
        """Put a column of the design in place."""
        self._columns[0, column] = (levels + 0.5) / self.n_levels(column)

    def at(self, row: int, column: int) -> float:
        """The place of a row in a column."""
        block, i = divmod(row, self.n_runs)
        return float(self._block(block, column)[i])

    def _block(self, block: int, column: int) -> Floats:
        key = block, column
        if key not in self._columns:
            self._columns[key] = self._make_block(block, column)
        return self._columns[key]

    def _make_block(self, block: int, column: int) -> Floats:
        n_rows = (block + 1) * self.n_runs
        coarse = self._n_levels is not None
        if n_rows > MAX_SEARCHED_ROWS:
            u = sobol_rows(block * self.n_runs, self.n_runs, column, self.seed)
            if block == 0:
                u = (np.argsort(np.argsort(u, kind="stable"), kind="stable") + 0.5) / len(u)
            q = self.n_levels(column)
            return (cell(u, q) + 0.5) / q if coarse else u
        q = self.n_levels(column) if coarse else n_rows
        others = np.column_stack(
            [self._rows(n_rows, c) for c in range(column)] or [np.empty((n_rows, 0))]
        )
        known = self._rows(block * self.n_runs, column)
        rng = np.random.default_rng([self.seed, block, column])
        levels = complete_column(others, known, self.criterion, rng, q)
        return (levels + 0.5) / q

    def _rows(self, n_rows: int, column: int) -> Floats:
        blocks = [self._block(b, column) for b in range(n_rows // self.n_runs)]
        return np.concatenate(blocks) if blocks else np.empty(0)

"""Completing points that are there already: more runs of them, or one more factor.

A design that is searched as a whole fixes both its runs and its factors. Two things cannot wait
for that: factors whose names come up one by one while objectives run (a new *column*), and points
that go on after the design (new *rows*). Both are the same task: complete the points so that they
stay uniform, without moving those that are there.
"""

from collections.abc import Sequence

import numpy as np

from skmixup.design.exchange import Chains, threshold_accepting
from skmixup.design.levels import Floats, Ints, cell, middle

#: More rows than this go on with a Sobol' sequence: the search needs n² numbers per chain.
MAX_SEARCHED_ROWS = 400
#: Rows up to which several chains are searched side by side, and how many.
_FEW_ROWS, _N_CHAINS = 100, 4
#: Steps of the search for one column; the first threshold, as a share of the start's criterion.
_STEPS_PER_COLUMN, _THRESHOLD = 150, 0.01
_MAX_BLOCK = 64


def least_used_levels(known: Ints, n_new: int, q: int, rng: np.random.Generator) -> Ints:
    """Levels for the new rows, in random order, that make the column as balanced as can be."""
    counts = np.bincount(known, minlength=q)
    levels = np.empty(n_new, dtype=np.intp)
    for i in range(n_new):
        rarest = np.flatnonzero(counts == counts.min())
        levels[i] = rarest[rng.integers(len(rarest))]
        counts[levels[i]] += 1
    return rng.permutation(levels)


def _starts(n_rows: int, n_columns: int) -> Ints:
    """Room for the designs that are searched side by side, (chains, n_rows, n_columns)."""
    n_chains = 1 if n_rows > _FEW_ROWS else _N_CHAINS
    return np.empty((n_chains, n_rows, n_columns), dtype=np.intp)


def complete_rows(
    kept: Floats, n_new: int, criterion: str, rng: np.random.Generator, n_levels: Sequence[int]
) -> Floats:
    """New rows (n_new, s) that make the kept ones (m, s) a uniform design of m + n_new runs.

    ``n_levels`` holds one number of levels per factor. The new rows lie in the middle of their
    level's cell, the kept ones stay where they are.
    """
    m, n_factors = kept.shape
    fixed = np.column_stack([cell(kept[:, c], q) for c, q in enumerate(n_levels)])
    designs = _starts(m + n_new, n_factors)
    designs[:, :m] = fixed
    for design in designs:
        for c, q in enumerate(n_levels):
            design[m:, c] = least_used_levels(fixed[:, c], n_new, q, rng)
    best = designs[0]
    if n_new > 1 and max(n_levels) > 1:
        chains = Chains(designs, n_levels, criterion, n_fixed=m)
        block_size = min(n_new, _MAX_BLOCK)
        threshold_accepting(chains, _THRESHOLD * chains.values, 60 * n_factors, block_size, rng)
        best = chains.best()
    return middle(best[m:], np.asarray(n_levels))


def complete_column(
    others: Floats, known: Floats, criterion: str, rng: np.random.Generator, n_levels: int
) -> Ints:
    """Levels of one more column for the rows (n, c) of the other columns.

    The first ``len(known)`` rows have their place in the column already; the levels of the others
    are returned. Only this column is searched, so a table may grow column by column.
    """
    (n, n_others), m = others.shape, len(known)
    fixed = cell(known, n_levels)
    designs = _starts(n, n_others + 1)
    designs[:, :, :-1] = cell(others, n)
    designs[:, :m, -1] = fixed
    for design in designs:
        design[m:, -1] = least_used_levels(fixed, n - m, n_levels, rng)
    best = designs[0]
    if n_others > 0 and n - m > 1 and n_levels > 1:
        chains = Chains(designs, [n] * n_others + [n_levels], criterion, n_fixed=m)
        thresholds = _THRESHOLD * chains.values
        threshold_accepting(
            chains, thresholds, _STEPS_PER_COLUMN, _MAX_BLOCK, rng, first_column=n_others
        )
        best = chains.best()
    return best[m:, -1]


def sobol_column(first: int, n_rows: int, column: int, seed: int) -> Floats:
    """One column of a Sobol' sequence from row ``first`` on, shifted modulo 1 by the seed."""
    from scipy.stats import qmc

    engine = qmc.Sobol(d=column + 1, scramble=False)
    engine.fast_forward(first + 1)  # the first point is the corner 0
    shift = np.random.default_rng([seed, column]).random()
    return np.asarray((engine.random(n_rows)[:, column] + shift) % 1.0)

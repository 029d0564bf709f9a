"""Completing points that are there already: more runs of them, or one more factor.

A design that is searched as a whole fixes both its runs and its factors. Two things cannot wait
for that: factors whose names come up one by one while objectives run (a new *column*), and points
that go on after the design (new *rows*). Both are the same task: complete the points so that they
stay uniform, without moving those that are there.
"""

from collections.abc import Sequence

import numpy as np

from skmixup.design.discrepancy import (
    LevelKernel,
    level_kernels,
    run_products,
    squared_discrepancy,
)
from skmixup.design.exchange import (
    Chains,
    best_swaps,
    entries,
    hollow,
    threshold_accepting,
)
from skmixup.design.levels import Floats, Ints, cell, middle

#: More rows than this go on with a Sobol' sequence: the search needs n² numbers per chain.
MAX_SEARCHED_ROWS = 400
#: Several chains are searched side by side, where that takes a moment only: how many, up to how
#: many rows of a design, and of one column of it, which somebody waits for.
_N_CHAINS, _FEW_ROWS, _SHORT_COLUMN = 4, 100, 30
#: The first threshold of the search for rows, as a share of the start's criterion.
_THRESHOLD = 0.01
_MAX_BLOCK = 64
#: Steps at most of the search for one column, many swaps each, also where there are few rows;
#: what a swap has to bring.
_STEPS_PER_COLUMN, _STEPS_OF_FEW, _LEAST = 30, 24, -1e-12
#: A whole design is gone through so often at most, column by column, and less often where all
#: passes together have more runs; with blocks of so many runs and so many steps at most.
_PASSES, _RUNS_OF_PASSES, _BLOCK_OF_WHOLE, _STEPS_OF_WHOLE = 3, 700, 100, 15


def least_used_levels(known: Ints, n_new: int, q: int, rng: np.random.Generator) -> Ints:
    """Levels for the new rows, in random order, that make the column as balanced as can be."""
    counts = np.bincount(known, minlength=q)
    lowest = (len(known) + n_new) // q
    while np.maximum(lowest - counts, 0).sum() > n_new:
        lowest -= 1
    levels = np.repeat(np.arange(q), np.maximum(lowest - counts, 0))
    if len(levels) == n_new:
        return rng.permutation(levels)
    once_more = rng.permutation(np.flatnonzero(counts <= lowest))[: n_new - len(levels)]
    return rng.permutation(np.append(levels, once_more))


def complete_rows(
    kept: Floats, n_new: int, criterion: str, rng: np.random.Generator, n_levels: Sequence[int]
) -> Floats:
    """New rows (n_new, s) that make the kept ones (m, s) a uniform design of m + n_new runs.

    ``n_levels`` holds one number of levels per factor. The new rows lie in the middle of their
    level's cell, the kept ones stay where they are.
    """
    m, n_factors = kept.shape
    fixed = np.column_stack([cell(kept[:, c], q) for c, q in enumerate(n_levels)])
    n_chains = _N_CHAINS if m + n_new <= _FEW_ROWS else 1
    designs = np.empty((n_chains, m + n_new, n_factors), dtype=np.intp)
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
    searched = n_others > 0 and n - m > 1 and n_levels > 1
    columns = np.empty((_N_CHAINS if searched and n <= _SHORT_COLUMN else 1, n), dtype=np.intp)
    columns[:, :m] = fixed
    for column in columns:
        column[m:] = least_used_levels(fixed, n - m, n_levels, rng)
    if not searched:
        return np.asarray(columns[0, m:])
    kernel, *kernels = level_kernels([n_levels] + [n] * n_others, criterion)
    n_steps = _STEPS_OF_FEW if n <= _FEW_ROWS else _STEPS_PER_COLUMN
    products = run_products(cell(others, n), kernels)
    return _descended(columns, m, *products, kernel, rng, n_steps)[m:]


def improved_columns(design: Ints, n_fixed: int, rng: np.random.Generator) -> Ints:
    """The design (n, s) of n levels after a search for each column in turn beside the others.

    The first ``n_fixed`` runs stay. As a step makes many swaps at once, the centred discrepancy
    comes within a tenth of what threshold accepting finds, of few hundred runs in a twentieth of
    the time.
    """
    n, n_factors = design.shape
    design = design.copy()
    (kernel,) = level_kernels([n], "CD")
    pairs, singles = run_products(design, [kernel] * n_factors)
    for _ in range(max(1, min(_PASSES, round(_RUNS_OF_PASSES / n)))):
        for c in range(n_factors):
            u = design[:, c]
            pairs /= kernel.pair[u[:, None], u]
            singles /= kernel.single[u]
            steps, block = _STEPS_OF_WHOLE, _BLOCK_OF_WHOLE
            u = _descended(u[None], n_fixed, pairs, singles, kernel, rng, steps, block)
            design[:, c] = u
            pairs *= kernel.pair[u[:, None], u]
            singles *= kernel.single[u]
    return design


def _descended(
    columns: Ints,
    m: int,
    pairs: Floats,
    singles: Floats,
    kernel: LevelKernel,
    rng: np.random.Generator,
    n_steps: int,
    most_in_block: int = _MAX_BLOCK,
) -> Ints:
    """The best of some columns (chains, n) after swaps that help, again and again.

    ``pairs`` and ``singles`` are the products over the other columns, the same for all chains. In
    each step all pairs of runs that are each other's best swap change places; where that brings
    less than the best swap alone, that one.

    Here K is what :func:`swap_differences` calls so less (K_ii + K_jj)/2: zero on its diagonal.
    That part and the linear term are two more columns of R (``weights``) and K (``table``). A
    swap then adds 2/n² (S_ij + S_ji), where A is the product of both and r the diagonal of R:

        S_ij = A_ij − A_ii + (R_ij − (r_i + r_j)/2) K_ij
    """
    n, q = columns.shape[1], len(kernel.single)
    n_free, tail = n - m, np.arange(2)
    table = np.column_stack([hollow(kernel.pair), np.diagonal(kernel.pair) / 2, kernel.single])
    weights = np.column_stack([pairs, pairs.sum(axis=1), -n * singles])
    # The last two columns of the table are there for each run.
    places = np.concatenate([columns, np.tile(q + tail, (len(columns), 1))], axis=1)
    order = np.concatenate([np.arange(m, n), np.arange(m), n + tail])
    size, active = min(n_free, most_in_block), np.arange(len(columns))
    for step in range(n_steps):
        if step == 0 or size < n_free:
            if size < n_free:
                rng.shuffle(order[:n_free])  # The block comes first.
            others = weights[order[:size]].take(order, axis=1)
            within = hollow(others[:, :size])
            # Of the runs outside the block each is met once, of those inside each twice.
            once = others.copy()
            once[:, :size] /= 2
        whole = places[active].take(order, axis=1)
        levels = whole[:, :size].copy()
        pair = entries(table, levels, whole)
        half = others @ np.swapaxes(pair, 1, 2)
        half -= np.diagonal(half, axis1=1, axis2=2)[:, :, None].copy()
        half += within * pair[:, :, :size]
        partner, gains = best_swaps(half + np.swapaxes(half, 1, 2), _LEAST * n**2 / 2)
        run, chains = gains.argmin(axis=1), np.arange(len(active))
        best = gains[chains, run]
        whole[:, :size] = levels[chains[:, None], partner]
        change = entries(table, whole[:, :size], whole)
        change -= pair
        worse = np.flatnonzero(change.reshape(len(chains), -1) @ once.ravel() > best)
        if len(worse):
            two = np.stack([run[worse], partner[worse, run[worse]]], axis=1)
            whole[worse, :size] = levels[worse]
            whole[worse[:, None], two] = levels[worse[:, None], two[:, ::-1]]
        places[active[:, None], order[:size]] = whole[:, :size]
        if size == n_free:
            active = active[best < 0]
            if not len(active):
                break
    return _best_column(places[:, :n], pairs, singles, kernel)


def _best_column(columns: Ints, pairs: Floats, singles: Floats, kernel: LevelKernel) -> Ints:
    """The column with the smallest criterion beside the others, of which these are products."""
    if len(columns) == 1:
        return np.asarray(columns[0])
    found = pairs * kernel.pair[columns[:, :, None], columns[:, None, :]]
    values = squared_discrepancy(found, singles * kernel.single[columns], 0.0)
    return np.asarray(columns[int(np.argmin(values))])


def sobol_column(first: int, n_rows: int, column: int, seed: int) -> Floats:
    """One column of a Sobol' sequence from row ``first`` on, shifted modulo 1 by the seed."""
    from scipy.stats import qmc

    engine = qmc.Sobol(d=column + 1, scramble=False)
    engine.fast_forward(first + 1)  # the first point is the corner 0
    shift = np.random.default_rng([seed, column]).random()
    return np.asarray((engine.random(n_rows)[:, column] + shift) % 1.0)

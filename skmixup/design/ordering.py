"""Row order: the runs of a design so that every prefix is spread out too."""

from collections.abc import Sequence
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

from skmixup.design.discrepancy import (
    Floats,
    check_criterion,
    constant_term,
    level_kernels,
    run_products,
)
from skmixup.design.levels import Ints, as_levels
from skmixup.design.sizes import check_compared


def prefix_values(pairs: Floats, singles: Floats, constant: float) -> Floats:
    """The criterion of the first 1, 2, …, n runs."""
    k = np.arange(1, len(singles) + 1)
    within = np.cumsum(2 * np.tril(pairs).sum(axis=1) - np.diagonal(pairs))
    return np.asarray(constant - 2 / k * np.cumsum(singles) + within / k**2)


def _forward(pairs: Floats, singles: Floats, n_fixed: int) -> Ints:
    """Add the run that keeps the prefix best, one after the other."""
    n = len(singles)
    order = list(range(n_fixed))
    to_prefix = 2 * pairs[:, :n_fixed].sum(axis=1) + np.diagonal(pairs)
    left = np.ones(n, dtype=bool)
    left[:n_fixed] = False
    for k in range(n_fixed + 1, n + 1):
        cost = np.where(left, to_prefix - 2 * k * singles, np.inf)
        run = int(np.argmin(cost))
        order.append(run)
        left[run] = False
        to_prefix += 2 * pairs[:, run]
    return np.array(order, dtype=np.intp)


def _backward(pairs: Floats, singles: Floats, n_fixed: int) -> Ints:
    """Take away the run that leaves the others best, one after the other."""
    n = len(singles)
    tail: list[int] = []
    to_rest = 2 * pairs.sum(axis=1) - np.diagonal(pairs)
    there = np.ones(n, dtype=bool)
    there[:n_fixed] = False
    for k in range(n - 1, n_fixed - 1, -1):
        gain = np.where(there, to_rest - 2 * k * singles, -np.inf)
        run = int(np.argmax(gain))
        tail.append(run)
        there[run] = False
        to_rest -= 2 * pairs[:, run]
    return np.array([*range(n_fixed), *tail[::-1]], dtype=np.intp)


def prefix_uniform_order(
    levels: ArrayLike,
    n_levels: int | Sequence[int] | None = None,
    *,
    criterion: str = "CD",
    n_fixed: int = 0,
) -> Ints:
    """The order of a design's runs in which every prefix is spread as evenly as can be.

    A sweep that is interrupted after k runs is then still a good design of k runs. Two greedy
    orders are built, adding the best run to the front and taking the best run from the back, and
    the one whose prefixes have the smaller discrepancies (geometric mean) is returned.

    Parameters
    ----------
    levels, n_levels
        A design and its numbers of levels, as in :func:`discrepancy`.
    criterion : {"CD", "WD", "MD"}, default "CD"
        The discrepancy of the prefixes, see :func:`discrepancy`.
    n_fixed : int, default 0
        The first runs keep their place, as those that have been made already; at most n_runs.

    Returns
    -------
    int array of shape (n_runs,)
        Row indices, to be used as ``levels[order]``.

    Raises
    ------
    ValueError
        Unknown criterion, levels that are not integers in 0 … q − 1, wrong shapes, more runs than
        can be compared with each other (n²·s above 10⁹), ``n_fixed`` out of range.

    Examples
    --------
    >>> from skmixup.design import discrepancy, prefix_uniform_order
    >>> grid = [[a, b] for a in range(4) for b in range(4)]
    >>> order = prefix_uniform_order(grid, 4)
    >>> spread = [grid[i] for i in order[:4]]
    >>> discrepancy(spread, 4) < discrepancy(grid[:4], 4) / 4
    True
    """
    check_criterion(criterion)
    design, counts = as_levels(levels, n_levels)
    check_compared(len(design), len(counts), "levels", held=True)
    if not isinstance(n_fixed, Integral) or isinstance(n_fixed, bool):
        raise TypeError(f"n_fixed={n_fixed!r} must be an integer from 0 to {len(design)}")
    if not 0 <= n_fixed <= len(design):
        raise ValueError(f"n_fixed={n_fixed} must be between 0 and the {len(design)} runs")
    pairs, singles = run_products(design, level_kernels(counts, criterion))
    constant = constant_term(len(counts), criterion)

    def spread(order: Ints) -> float:
        values = prefix_values(pairs[np.ix_(order, order)], singles[order], constant)
        return float(np.log(np.maximum(values, 1e-300)).sum())

    candidates = [build(pairs, singles, n_fixed) for build in (_forward, _backward)]
    return min(candidates, key=spread)

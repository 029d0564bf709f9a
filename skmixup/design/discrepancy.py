"""Discrepancies: how far a set of runs is from being spread evenly."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmixup.design.levels import Floats, as_levels, middle
from skmixup.design.sizes import check_compared

#: A given design's runs are compared in blocks of so many pairs, which need little memory.
_AT_ONCE = 4_000_000
#: Tables of more levels than this are not kept in memory for the next call.
_MOST_KEPT = 256

#: Every criterion is  base · constant^s − (2/n) Σ_i Π f(x_i) + (1/n²) Σ_ij Π k(x_i, x_j):
#: the sign of the constant term and its value per factor; WD has no linear term.
_CONSTANTS = {"CD": (1, 13 / 12), "WD": (-1, 4 / 3), "MD": (1, 19 / 12)}
#: Their names: centred, wrap-around and mixture discrepancy.
CRITERIA = tuple(_CONSTANTS)


def check_criterion(criterion: str) -> str:
    """The criterion itself, or an error that lists the valid ones."""
    if criterion not in CRITERIA:
        raise ValueError(f"criterion={criterion!r} is unknown: choose one of {list(CRITERIA)}")
    return criterion


@dataclass(frozen=True)
class LevelKernel:
    """One factor's share of a criterion, tabulated over its q levels.

    ``pair`` is the symmetric (q, q) table of k(x_a, x_b), ``single`` the (q,) table of f(x_a),
    all zeros for a criterion without linear term.
    """

    pair: Floats
    single: Floats


def pair_kernel(x: Floats, others: Floats, criterion: str) -> Floats:
    """k(x_a, y_b) of two sets of points of the unit interval, (points, others)."""
    d = np.abs(x[:, None] - others)
    z_sum = np.abs(x - 0.5)[:, None] + np.abs(others - 0.5)
    if criterion == "CD":  # Hickernell (1998), centred L2
        return np.asarray(1 + z_sum / 2 - d / 2)
    if criterion == "WD":  # Hickernell (1998), wrap-around L2
        return np.asarray(1.5 - d + d**2)
    return np.asarray(
        15 / 8 - z_sum / 4 - 3 * d / 4 + d**2 / 2
    )  # Zhou, Fang & Ning (2013), mixture


def single_kernel(x: Floats, criterion: str) -> Floats:
    """f(x) of points of the unit interval; all zeros for a criterion without linear term."""
    z = np.abs(x - 0.5)
    if criterion == "CD":
        return np.asarray(1 + z / 2 - z**2 / 2)
    if criterion == "WD":
        return np.zeros(len(x))
    return np.asarray(5 / 3 - z / 4 - z**2 / 4)


def level_kernel(q: int, criterion: str) -> LevelKernel:
    """Tabulate a criterion's kernel over the levels x = (u + ½)/q of one factor."""
    return _kept(q, criterion) if q <= _MOST_KEPT else _tabulated(q, criterion)


def _tabulated(q: int, criterion: str) -> LevelKernel:
    x = middle(np.arange(q), q)
    pair, single = pair_kernel(x, x, criterion), single_kernel(x, criterion)
    for table in (pair, single):
        table.setflags(write=False)
    return LevelKernel(pair, single)


_kept = lru_cache(maxsize=256)(_tabulated)


def level_kernels(n_levels: Sequence[int], criterion: str) -> list[LevelKernel]:
    """The kernel of every factor, in the order of the factors."""
    tables = {q: level_kernel(q, criterion) for q in set(n_levels)}
    return [tables[q] for q in n_levels]


def constant_term(n_factors: int, criterion: str) -> float:
    """The part of a criterion that no design changes."""
    sign, base = _CONSTANTS[criterion]
    return sign * base**n_factors


def run_products(levels: NDArray[Any], kernels: Sequence[LevelKernel]) -> tuple[Floats, Floats]:
    """Products over the factors: (..., n, n) of the pair kernel and (..., n) of the single one.

    ``levels`` is (..., n, s): leading axes are separate designs. ``kernels`` has one per factor.
    """
    if levels.ndim == 2:  # one design: whole rows, then columns, are faster than single entries
        u = levels[:, 0]
        pairs, singles = kernels[0].pair[u].take(u, axis=1), kernels[0].single[u]
        for kernel, u in zip(kernels[1:], levels.T[1:], strict=True):
            pairs *= kernel.pair[u].take(u, axis=1)
            singles *= kernel.single[u]
        return pairs, singles
    first = levels[..., 0]
    pairs = kernels[0].pair[first[..., :, None], first[..., None, :]]
    singles = kernels[0].single[first]
    for c, kernel in enumerate(kernels[1:], start=1):
        u = levels[..., c]
        pairs *= kernel.pair[u[..., :, None], u[..., None, :]]
        singles *= kernel.single[u]
    return pairs, singles


def squared_discrepancy(pairs: Floats, singles: Floats, constant: float) -> Floats:
    """The criterion from its products, one value for each leading axis entry."""
    n = singles.shape[-1]
    value = constant - 2 / n * singles.sum(axis=-1) + pairs.sum(axis=(-2, -1)) / n**2
    return np.asarray(value)


def discrepancy(
    levels: ArrayLike, n_levels: int | Sequence[int] | None = None, criterion: str = "CD"
) -> float:
    """Squared discrepancy of a design: 0 would be perfectly even, smaller is better.

    Level u of a factor with q levels stands for the point (u + ½)/q of the unit interval.

    Parameters
    ----------
    levels : int array of shape (n_runs, n_factors)
        Levels 0 … q − 1.
    n_levels : int, one int per factor, or None
        Levels of each factor. None: as many as there are runs.
    criterion : {"CD", "WD", "MD"}, default "CD"
        Centred, wrap-around or mixture L2-discrepancy. All three are **squared**, as
        :func:`scipy.stats.qmc.discrepancy` returns them. CD does not change when a factor is
        mirrored, WD does not change when its levels are shifted cyclically either; MD lies
        between the two.

    Returns
    -------
    float
        At least 0, the squared discrepancy.

    Raises
    ------
    ValueError
        Unknown criterion, levels that are not integers in 0 … q − 1, wrong shapes, more runs than
        can be compared with each other (n²·s above 10¹⁰).

    References
    ----------
    F. J. Hickernell (1998), "A generalized discrepancy and quadrature error bound", Math. Comp.
    67; Y.-D. Zhou, K.-T. Fang, J.-H. Ning (2013), "Mixture discrepancy for quasi-random point
    sets", J. Complexity 29.

    Examples
    --------
    >>> from skmixup.design import discrepancy
    >>> rows = [[0, 1], [2, 2], [1, 0]]
    >>> print(f"{discrepancy(rows, 3):.7f}")
    0.0295782
    >>> print(f"{discrepancy(rows, 3, criterion='WD'):.7f}")
    0.0606996
    """
    check_criterion(criterion)
    shape = np.shape(levels)
    if len(shape) == 2:
        check_compared(shape[0], shape[1], "levels")
    x = to_unit_cube(levels, n_levels)
    n, s = x.shape
    singles, total = np.ones(n), 0.0
    for column in x.T:
        singles *= single_kernel(column, criterion)
    for rows in np.array_split(np.arange(n), -(-n * n // _AT_ONCE)):
        pairs = np.ones((len(rows), n))
        for column in x.T:
            pairs *= pair_kernel(column[rows], column, criterion)
        total += float(pairs.sum())
    return float(constant_term(s, criterion) - 2 / n * singles.sum() + total / n**2)


def to_unit_cube(levels: ArrayLike, n_levels: int | Sequence[int] | None = None) -> Floats:
    """Points of the unit cube: level u of q becomes (u + ½)/q, the middle of its cell.

    Parameters
    ----------
    levels, n_levels
        A design and its numbers of levels, as in :func:`discrepancy`.

    Returns
    -------
    float array of shape (n_runs, n_factors), strictly between 0 and 1

    Raises
    ------
    ValueError
        Levels that are not integers in 0 … q − 1, wrong shapes.

    Examples
    --------
    >>> from skmixup.design import to_unit_cube
    >>> to_unit_cube([[0, 1], [1, 0]], n_levels=(2, 4))
    array([[0.25 , 0.375],
           [0.75 , 0.125]])
    """
    design, counts = as_levels(levels, n_levels)
    return np.asarray(middle(design, np.asarray(counts)))

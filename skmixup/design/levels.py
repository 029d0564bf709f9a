"""Levels: how many each factor has, and columns that use them equally often."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

#: Up to here u · q is an int64 for u = 1 too, however q is rounded.
_MAX_INT = 2**62
#: What lies so little below an edge lies on it: 30 / 44 · 22 is 14.999999999999998.
EDGE = 1e-9
Ints = NDArray[np.intp]


@overload
def cell(u: float, q: int) -> int: ...


@overload
def cell(u: Floats, q: int) -> Ints: ...


def cell(u: Any, q: int) -> Any:
    """The cell 0 … q − 1 of width 1/q that holds u: floor(u · q), and the last one for u = 1.

    A level of a factor, the value of a list, a step of a range: whatever shares the unit interval
    equally. What rounding keeps from an edge counts as beyond it, so that levels on edges are
    shared equally too. An int for a float, an int array for an array, of floats where no int64 is
    as large.
    """
    if isinstance(u, np.ndarray):
        if q > _MAX_INT:
            return np.minimum(np.floor(u * float(q)), float(q - 1))
        return np.minimum((u * q + EDGE).astype(np.intp), q - 1)
    return min(int(u * q + EDGE), q - 1)


def check_count(name: str, value: Any, minimum: int) -> int:
    """A whole number of at least ``minimum``, or an error that names the parameter."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name}={value!r} must be an integer of at least {minimum}")
    if value < minimum:
        raise ValueError(f"{name}={value!r} must be at least {minimum}")
    return int(value)


def middle(levels: Any, n_levels: Any) -> Any:
    """Where levels lie on the unit interval: (u + ½)/q, the middle of their cells.

    A float for one level, a float array for an array of them.
    """
    return (levels + 0.5) / n_levels


def level_numbers(
    n_levels: int | Sequence[int] | None, n_factors: int, default: int
) -> tuple[int, ...]:
    """The number of levels of every factor, from an int, one int per factor, or None."""
    if n_levels is None:
        return (check_count("n_levels", default, 2),) * n_factors
    if isinstance(n_levels, Integral):
        return (check_count("n_levels", n_levels, 2),) * n_factors
    if isinstance(n_levels, str) or not isinstance(n_levels, Sequence | np.ndarray):
        raise TypeError(
            f"n_levels={n_levels!r} must be None, an integer, or one integer per factor"
        )
    if len(n_levels) != n_factors:
        raise ValueError(
            f"n_levels={n_levels!r} has {len(n_levels)} entries for {n_factors} factors: "
            "give one per factor, or one integer for all"
        )
    return tuple(check_count(f"n_levels[{c}]", q, 2) for c, q in enumerate(n_levels))


def as_levels(
    levels: ArrayLike,
    n_levels: int | Sequence[int] | None,
    name: str = "levels",
    default: int | None = None,
) -> tuple[Ints, tuple[int, ...]]:
    """Check a design: a 2-D array of whole numbers, each in 0 … q − 1 of its factor."""
    if np.ma.is_masked(levels):
        raise ValueError(f"{name} has masked values, which are no levels: leave those runs out")
    design = np.asarray(levels)
    if design.ndim != 2 or 0 in design.shape:
        raise ValueError(
            f"{name} must be a 2-D array of shape (n_runs, n_factors) with at least one row and "
            f"one column, not of shape {design.shape}"
        )
    if not np.issubdtype(design.dtype, np.number) or not np.all(design == np.floor(design)):
        raise ValueError(f"{name} must hold integers 0 … q − 1, not {design.dtype} values")
    counts = level_numbers(n_levels, design.shape[1], len(design) if default is None else default)
    wrong = (design < 0) | (design >= np.asarray(counts))
    if wrong.any():
        i, c = np.argwhere(wrong)[0]
        raise ValueError(
            f"{name}[{i}, {c}]={design[i, c]} is out of range: factor {c} has the levels "
            f"0 … {counts[c] - 1}"
        )
    return design.astype(np.intp), counts


def balanced_counts(
    n_runs: int, q: int, used: Ints, rng: np.random.Generator | None = None
) -> Ints | None:
    """How often the runs still to come must use each level so that the whole column is balanced.

    Every level occurs ⌊n/q⌋ times, and n mod q of them once more: evenly spread ones, or random
    ones where ``rng`` is given, after those that the ``used`` counts (q,) already force. None
    where the used counts rule out balance.
    """
    share, extra = divmod(n_runs, q)
    forced = used > share
    if used.max() > share + 1 or forced.sum() > extra:
        return None
    open_levels = np.flatnonzero(~forced)
    left = extra - int(forced.sum())
    if rng is None:
        chosen = open_levels[(2 * np.arange(left) + 1) * len(open_levels) // (2 * left or 1)]
    else:
        chosen = rng.choice(open_levels, size=left, replace=False)
    target = np.full(q, share, dtype=np.intp) + forced
    target[chosen] += 1
    return np.asarray(target - used, dtype=np.intp)

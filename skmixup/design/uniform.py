"""Uniform designs: n runs over s factors, spread as evenly as a search can make them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from skmixup.design.discrepancy import check_criterion
from skmixup.design.levels import Ints, as_levels, check_count, level_numbers
from skmixup.design.ordering import prefix_uniform_order
from skmixup.design.search import Task, lattice_design, search
from skmixup.design.shipped import shipped_design

RandomState = int | np.random.RandomState | np.random.Generator | None

_METHODS = ("auto", "good_lattice", "optimize")


def _check_initial(
    initial: ArrayLike | None, n_runs: int, n_factors: int, n_levels: tuple[int, ...]
) -> Ints:
    """The runs made already: in range, of the right width, none twice."""
    if initial is None:
        return np.zeros((0, n_factors), dtype=np.intp)
    rows = np.asarray(initial)
    if rows.size == 0:
        return np.zeros((0, n_factors), dtype=np.intp)
    if rows.ndim != 2 or rows.shape[1] != n_factors:
        raise ValueError(
            f"initial has shape {rows.shape}: it must be (runs already made, {n_factors})"
        )
    rows, _ = as_levels(rows, n_levels, name="initial")
    if len(rows) > n_runs:
        raise ValueError(f"initial has {len(rows)} runs, more than n_runs={n_runs}")
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    if len(distinct) < len(rows) and n_runs <= np.prod(n_levels, dtype=float):
        raise ValueError(
            f"initial has duplicated runs: {distinct[counts.argmax()].tolist()} occurs "
            f"{counts.max()} times"
        )
    return rows


def _generator(random_state: RandomState) -> np.random.Generator:
    """A generator of its own; None is a fixed seed, so that a default call is reproducible."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31))
    if random_state is None:
        return np.random.default_rng(0)
    return np.random.default_rng(check_count("random_state", random_state, 0))


def uniform_design(
    n_runs: int,
    n_factors: int,
    n_levels: int | Sequence[int] | None = None,
    *,
    criterion: str = "CD",
    method: str = "auto",
    initial: ArrayLike | None = None,
    random_state: RandomState = None,
    effort: float = 1.0,
) -> Ints:
    """Uniform design: n runs over s factors with the smallest discrepancy that is found.

    Returns
    -------
    int array of shape (n_runs, n_factors)
    """
    n_runs = check_count("n_runs", n_runs, 2)
    n_factors = check_count("n_factors", n_factors, 1)
    counts = level_numbers(n_levels, n_factors, n_runs)
    for c, q in enumerate(counts):
        if q > n_runs:
            where = "n_levels" if isinstance(n_levels, int) else f"n_levels[{c}]"
            raise ValueError(
                f"{where}={q} is more than n_runs={n_runs}: a level that never occurs cannot be "
                f"balanced. Use at most {n_runs} levels or at least {q} runs"
            )
    check_criterion(criterion)
    if method not in _METHODS:
        raise ValueError(f"method={method!r} is unknown: choose one of {list(_METHODS)}")
    if not effort >= 0:
        raise ValueError(f"effort={effort!r} must be a number of at least 0")
    task = Task(n_runs, counts, criterion, _check_initial(initial, n_runs, n_factors, counts))
    rng = _generator(random_state)
    if method == "good_lattice":
        if len(task.initial):
            raise ValueError("method='good_lattice' cannot complete initial runs: use 'optimize'")
        design = lattice_design(task)
    elif len(task.initial) == n_runs:
        task.random_design(rng)
        return task.initial.copy()
    else:
        known = shipped_design(task) if method == "auto" else None
        if known is not None and effort <= 1:
            return known
        design = search(task, effort, rng, start=known)
    order = prefix_uniform_order(design, counts, criterion=criterion, n_fixed=len(task.initial))
    return np.asarray(design[order])

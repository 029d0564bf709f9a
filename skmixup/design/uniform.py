"""Uniform designs: n runs over s factors, spread as evenly as a search can make them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from skmixup.design.discrepancy import check_criterion, constant_term, kernels
from skmixup.design.exchange import Chains, descend, threshold_accepting
from skmixup.design.good_lattice import good_lattice_points, max_factors
from skmixup.design.levels import Ints, as_levels, balanced_counts, check_count, level_numbers
from skmixup.design.ordering import prefix_uniform_order

RandomState = int | np.random.RandomState | np.random.Generator | None

_METHODS = ("auto", "good_lattice", "optimize")


@dataclass(frozen=True)
class _Task:
    """What is asked for: the sizes, the criterion, and the runs that are there already."""

    n_runs: int
    n_levels: tuple[int, ...]
    criterion: str
    initial: Ints

    @property
    def n_factors(self) -> int:
        return len(self.n_levels)

    def random_design(self, rng: np.random.Generator, *, random_extras: bool = True) -> Ints:
        """The initial runs, completed by balanced columns in random order."""
        columns = []
        for c, q in enumerate(self.n_levels):
            used = np.bincount(self.initial[:, c], minlength=q)
            counts = balanced_counts(self.n_runs, q, used, rng if random_extras else None)
            if counts is None:
                raise ValueError(
                    f"initial is unbalanced in factor {c}: its levels occur {used.tolist()} "
                    f"times, but in {self.n_runs} runs each of {q} levels may occur at most "
                    f"{-(-self.n_runs // q)} times ({self.n_runs % q or q} of them)"
                )
            columns.append(rng.permutation(np.repeat(np.arange(q), counts)))
        return np.concatenate([self.initial, np.stack(columns, axis=1)])

    def chains(self, designs: Ints) -> Chains:
        return Chains(
            designs,
            kernels(self.n_levels, self.criterion),
            constant_term(self.n_factors, self.criterion),
            n_fixed=len(self.initial),
        )


def _lattice_start(task: _Task) -> Ints | None:
    """Good lattice points, their n levels merged into q neighbouring ones where q < n."""
    if task.n_factors > max_factors(task.n_runs) or len(task.initial):
        return None
    points = good_lattice_points(task.n_runs, task.n_factors, criterion=task.criterion)
    return np.asarray(points * np.asarray(task.n_levels) // task.n_runs)


def _search(task: _Task, effort: float, rng: np.random.Generator) -> Ints:
    """The best design that threshold accepting or a descent from a structured start finds."""
    n, s = task.n_runs, task.n_factors
    free = n - len(task.initial)
    block = min(free, max(9, round(2.7 * free**0.5)))
    n_chains = max(1, 2000 // (block * n))
    n_steps = max(20, round(10 * effort * s * min(free, 200)))
    starts = [task.random_design(rng, random_extras=i > 0) for i in range(n_chains)]
    chains = task.chains(np.stack(starts))
    threshold_accepting(chains, n_steps, block, rng)
    found = [chains]
    lattice = _lattice_start(task)
    if lattice is not None:
        found.append(task.chains(lattice[None].copy()))
    for candidate in found:
        descend(candidate, block if n > 200 else n, rng, max_steps=n_steps)
    return min(found, key=lambda candidate: float(candidate.values.min())).best()


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
    task = _Task(n_runs, counts, criterion, _check_initial(initial, n_runs, n_factors, counts))
    rng = _generator(random_state)
    if method == "good_lattice":
        if len(task.initial):
            raise ValueError("method='good_lattice' cannot complete initial runs: use 'optimize'")
        good_lattice_points(n_runs, n_factors, criterion=criterion)
        design = _lattice_start(task)
        assert design is not None
    elif len(task.initial) == n_runs:
        task.random_design(rng)
        return task.initial.copy()
    else:
        design = _search(task, effort, rng)
    order = prefix_uniform_order(design, counts, criterion=criterion, n_fixed=len(task.initial))
    return np.asarray(design[order])

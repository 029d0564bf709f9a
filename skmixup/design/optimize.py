"""The search for a uniform design: from which starts, how long, and what comes out."""

from dataclasses import dataclass
from math import prod

import numpy as np

from skmixup.design.exchange import descend, threshold_accepting
from skmixup.design.good_lattice import good_lattice_points, max_factors
from skmixup.design.level_permutation import uniform_arrays
from skmixup.design.levels import Ints
from skmixup.design.mirrored import MirroredChains, can_be_mirrored
from skmixup.design.repeats import repeated_runs, swap_repeats_apart
from skmixup.design.task import Task

#: Beyond this many runs a descent looks at random blocks instead of all pairs of runs, and the
#: search starts from good lattice points, which a random start would take too long to reach.
MANY_RUNS = 200
#: The most chains in one array: more would leave the processor's cache.
_SIDE_BY_SIDE = 32
#: So many other balanced columns are tried where runs cannot be swapped apart.
_OTHER_LEVELS = 30
#: First thresholds, as shares of the start's discrepancy, also where all levels repeat; the low
#: one leaves a good start whole.
_THRESHOLD, _REPEATED_THRESHOLD, _LOW_THRESHOLD = 0.015, 0.0075, 0.003
#: Up to so many factors for each run the search goes through mirrored designs.
_MIRRORED_FACTORS = 0.42


@dataclass(frozen=True)
class SearchBudget:
    """How far to search: counted in steps, so that the result does not depend on the machine."""

    n_chains: int
    n_steps: int
    block_size: int

    @classmethod
    def for_task(cls, task: Task, effort: float) -> "SearchBudget":
        """The budget of an effort: steps grow with effort^(2/3), chains with effort^(1/3).

        Few runs are searched in many chains at once, since an array operation on small arrays
        costs nearly the same for one as for eight. Long chains beat many chains, and blocks of 8
        to 12 runs beat larger ones, except where factors are few: both tuned for the smallest
        discrepancy in a given time. Where levels repeat, fewer steps with blocks of more than
        twice as many runs, in twice as many chains, come to half the distance from the best known
        designs. With many hundred runs a step costs more, and the search from good lattice points
        needs fewer.
        """
        free, s = max(task.n_free, 2), task.n_factors
        steps_per_column = min(3 * free + 0.4 * free**2, 15 * free, 1500, 600_000 / free)
        n_chains, block_size = np.clip(120 / free, 1, 16), 8 + 0.6 * free / s
        if _levels_repeat(task) and free <= MANY_RUNS:
            n_chains, block_size = 2 * n_chains, 2.5 * block_size
            steps_per_column *= 0.45
        return cls(
            n_chains=max(1, round(n_chains * effort ** (1 / 3))),
            n_steps=round(effort ** (2 / 3) * s * steps_per_column),
            block_size=min(free, 64, round(block_size)),
        )


def _levels_repeat(task: Task) -> bool:
    """Whether every level of every factor occurs at least twice."""
    return 2 * max(task.n_levels) <= task.n_runs


def with_distinct_runs(task: Task, design: Ints, rng: np.random.Generator) -> Ints:
    """The design without repeated runs, unless there are fewer level combinations than runs.

    Few runs beside many initial ones may not be free to be different: then other choices of the
    levels that occur once more than the others are tried.
    """
    if task.n_runs > prod(task.n_levels) or not len(repeated_runs(design)):
        return design
    design = swap_repeats_apart(task.chains(design[None]), rng)
    for _ in range(_OTHER_LEVELS):
        if not len(repeated_runs(design)):
            break
        other = swap_repeats_apart(task.chains(task.random_design(rng)[None]), rng, patience=3)
        design = min(design, other, key=lambda rows: len(repeated_runs(rows)))
    return design


def lattice_design(task: Task) -> Ints:
    """Good lattice points, their n levels merged into q neighbouring ones where q < n.

    Merging may make one run of two.
    """
    points = good_lattice_points(task.n_runs, task.n_factors, criterion=task.criterion)
    return np.asarray(points * np.asarray(task.n_levels) // task.n_runs)


def _wants_mirrored(task: Task) -> bool:
    """Whether designs that are their own mirror images are searched first.

    In the same time they come closer to the best known ones of the centred discrepancy while
    factors are few for the runs (measured up to 60 runs); of the mixture discrepancy they do not.
    """
    few_factors = task.n_factors <= _MIRRORED_FACTORS * task.n_runs
    return (
        task.criterion == "CD"
        and not len(task.initial)
        and few_factors
        and can_be_mirrored(task.n_runs, task.n_levels)
    )


def _mirrored_designs(
    task: Task, budget: SearchBudget, n_steps: int, rng: np.random.Generator
) -> list[Ints]:
    """The best two designs found among those that are their own mirror images."""
    chains = MirroredChains.random(
        budget.n_chains, task.n_runs, task.n_levels, task.criterion, rng
    )
    block_size = min(budget.block_size, len(chains.free))
    threshold_accepting(chains, _THRESHOLD * chains.values, n_steps, block_size, rng)
    descend(chains, len(chains.free), n_steps, rng)
    return list(chains.whole()[np.argsort(chains.values, kind="stable")[:2]])


def _structured_starts(task: Task, effort: float, rng: np.random.Generator) -> list[Ints]:
    """Designs that theory gives: lattices, and orthogonal arrays where they exist."""
    if len(task.initial):
        return []
    starts = uniform_arrays(task.n_runs, task.n_levels, task.criterion, effort, rng)[:4]
    if task.n_factors <= max_factors(task.n_runs):
        starts.append(lattice_design(task))
    return starts


def optimized(
    task: Task, effort: float, rng: np.random.Generator, start: Ints | None = None
) -> Ints:
    """The best design that threshold accepting finds from random and from structured starts.

    Structured starts (and ``start``, a good design to go on from) are searched with a low
    threshold, which does not tear them down. One factor has a single design where every level
    occurs equally often.
    """
    if task.n_factors == 1 and task.n_runs % task.n_levels[0] == 0:
        return task.random_design(rng)
    budget = SearchBudget.for_task(task, effort)
    starts = [(design, _LOW_THRESHOLD) for design in _structured_starts(task, effort, rng)]
    if start is not None:
        starts.append((start, _LOW_THRESHOLD))
    n_steps, random = budget.n_steps, not starts or task.n_free <= MANY_RUNS
    if task.n_free <= MANY_RUNS and _wants_mirrored(task):
        # A step among mirrored designs takes nearly twice as long. The time is parted as served
        # best: random starts find nothing better unless levels repeat.
        random = _levels_repeat(task)
        mirrored_share, other_share = (0.3, 0.5) if random else (0.5, 0.2)
        found = _mirrored_designs(task, budget, round(mirrored_share * n_steps), rng)
        starts += [(design, _LOW_THRESHOLD) for design in found]
        n_steps = round(other_share * n_steps)
    if random:
        designs = (task.random_design(rng, random_extras=i > 0) for i in range(budget.n_chains))
        threshold = _REPEATED_THRESHOLD if _levels_repeat(task) else _THRESHOLD
        starts += [(design, threshold) for design in designs]
    block = budget.block_size if task.n_free > MANY_RUNS else task.n_free
    best, best_value = starts[0][0], np.inf
    for first in range(0, len(starts), _SIDE_BY_SIDE):
        batch = starts[first : first + _SIDE_BY_SIDE]
        chains = task.chains(np.stack([design for design, _ in batch]))
        thresholds = chains.values * [share for _, share in batch]
        threshold_accepting(chains, thresholds, n_steps, budget.block_size, rng)
        descend(chains, block, budget.n_steps, rng)
        if chains.values.min() < best_value:
            best, best_value = chains.best(), float(chains.values.min())
    return with_distinct_runs(task, best, rng)

"""Uniform designs with a run in the middle, for searches that want the best of few runs.

The centred discrepancy alone is smallest when all runs keep about the same distance from the
middle of the cube, so in several factors none comes near it. Here the first run *is* the middle,
two or three lie beside it, and the others make the centred discrepancy of all of them small.
Every level still occurs equally often.
"""

from collections.abc import Sequence
from math import prod

import numpy as np

from skmixup.design.completion import improved_columns
from skmixup.design.discrepancy import (
    discrepancy,
    level_kernels,
    run_products,
    squared_discrepancy,
)
from skmixup.design.good_lattice import korobov_lattice
from skmixup.design.level_permutation import array_columns
from skmixup.design.levels import Floats, Ints, level_numbers, middle
from skmixup.design.optimize import MANY_RUNS, optimized
from skmixup.design.ordering import prefix_uniform_order
from skmixup.design.shipped import shipped_central_design, shipped_design
from skmixup.design.task import Task
from skmixup.design.uniform import RandomState, generator, uniform_design

#: Fewer runs have no run to spare for the middle, for a pair beside it, or for three.
_MIN_RUNS, _MIN_RUNS_FOR_PAIR, _MIN_RUNS_FOR_THREE = 4, 9, 16
#: How far beside the middle they lie: a share of the range, and so many levels of a pair at least.
_DISTANCE, _PAIR_LEVELS = 1 / 9, 2
#: So many images of a shipped design are compared where they are not equally even.
_N_IMAGES = 4
#: Fewer levels than runs take only so much of the search: more gains a percent at most.
_SHARE_OF_EFFORT = 0.2


def central_runs(n_runs: int, n_levels: Sequence[int]) -> Ints:
    """The runs that are in the middle or beside it, (0, 1, 3 or 4, factors).

    From 16 runs on three lie beside it, from nine on an opposite pair. Both are left out where
    there are fewer than two runs for each factor: the others could then not be spread more evenly
    than those of a random Latin hypercube.
    """
    s = len(n_levels)
    counts = np.asarray(n_levels)
    if n_runs < _MIN_RUNS:
        return np.zeros((0, s), dtype=np.intp)
    runs = np.full((1, s), n_runs // 2)
    if n_runs >= max(_MIN_RUNS_FOR_PAIR, 2 * s):
        beside = _three_beside if n_runs >= _MIN_RUNS_FOR_THREE else _pair_beside
        runs = np.vstack([runs, beside(n_runs, s)])
    # The share of a factor's q levels that holds a place among n: balance allows it always.
    rows = ((2 * runs + 1) * counts // (2 * n_runs)).astype(np.intp)
    return rows if len(set(map(tuple, rows.tolist()))) == len(rows) else rows[:1]


def _pair_beside(n_runs: int, n_factors: int) -> Ints:
    """Two opposite runs, above the middle in every other factor."""
    low = int((n_runs - 1) / 2 - max(_PAIR_LEVELS, _DISTANCE * n_runs))
    below = np.arange(n_factors) % 2 == 0
    return np.array([np.where(side, low, n_runs - 1 - low) for side in (below, ~below)])


def _three_beside(n_runs: int, n_factors: int) -> Ints:
    """Three runs of the middle third, each below the middle, beside it and above in turn."""
    low, beside = int((n_runs - 1) / 2 - _DISTANCE * n_runs), n_runs // 2 + 1
    turns = (np.arange(3)[:, None] + np.arange(n_factors)) % 3
    return np.array([low, beside, n_runs - 1 - low])[turns]


def central_design(
    n_runs: int,
    n_factors: int,
    n_levels: int | Sequence[int] | None = None,
    *,
    random_state: RandomState = None,
    effort: float = 1.0,
) -> Ints:
    """A uniform design (n_runs, n_factors) whose first run is on the middle level of each factor.

    The arguments are those of :func:`uniform_design`. The order is one in which every prefix is
    spread evenly. Where all factors have as many levels as runs, a seed exchanges them and mirrors
    some; ``effort`` counts where one has fewer.
    """
    counts = level_numbers(n_levels, n_factors, n_runs)
    rows = central_runs(n_runs, counts)
    if not len(rows) or (prod(counts) <= n_runs and counts != (n_runs,)):
        return uniform_design(
            n_runs, n_factors, n_levels, random_state=random_state, effort=effort
        )
    if set(counts) == {n_runs}:
        known = shipped_central_design(n_runs, n_factors)
        if known is None:
            known = _from_lattice(n_runs, n_factors, rows)
        return known if random_state is None else _best_image(known, generator(random_state))
    if max(counts) < n_runs:
        design = _of_few_levels(n_runs, counts, rows[0], random_state, effort)
    else:
        design = uniform_design(
            n_runs, n_factors, n_levels, initial=rows, random_state=random_state, effort=effort
        )
    return np.asarray(design[prefix_uniform_order(design, counts, n_fixed=1)])


def _from_lattice(n_runs: int, n_factors: int, rows: Ints) -> Ints:
    """A design around these runs where none ships: good lattice points, each column improved."""
    start = with_first_runs(korobov_lattice(n_runs, n_factors), rows)
    design = improved_columns(start, len(rows), generator(None))
    return np.asarray(design[prefix_uniform_order(design, n_fixed=1)])


def with_first_runs(design: Ints, rows: Ints) -> Ints:
    """The design with these runs first: in each column two levels change places for each."""
    design = design.copy()
    for k, row in enumerate(rows):
        others = np.argmax(design[k:] == row, axis=0) + k
        columns = np.arange(design.shape[1])
        design[others, columns] = design[k]
        design[k] = row
    return design


def _of_few_levels(
    n_runs: int, counts: tuple[int, ...], centre: Ints, random_state: RandomState, effort: float
) -> Ints:
    """A design of fewer levels than runs around the centre, searched in a moment.

    Where an orthogonal array, or a design that stems from one, is known, its levels are renamed
    until a run is the centre: no search finds one that starts with a fixed run.
    """
    rng = generator(random_state)
    array = array_columns(n_runs, counts)
    is_array = array is not None and len(array) == n_runs
    nothing = np.zeros((0, len(counts)), dtype=np.intp)
    start = None
    if is_array or shipped_design(Task(n_runs, counts, "CD", nothing)) is not None:
        design = uniform_design(
            n_runs, len(counts), counts, random_state=rng, effort=min(effort, 1.0)
        )
        start = _moved_to_the_middle(design, counts, centre)
    task = Task(n_runs, counts, "CD", centre[None])
    return optimized(task, effort * _SHARE_OF_EFFORT, rng, start=start)


def _moved_to_the_middle(design: Ints, counts: tuple[int, ...], centre: Ints) -> Ints:
    """The design with its levels renamed so that the run which costs least is the centre."""
    n_runs = len(design)
    # Of many runs some do as well, so many that all sizes take the same time: a discrepancy of a
    # thousand runs takes long.
    n_tried = min(n_runs, max(1, round(MANY_RUNS * (MANY_RUNS / n_runs) ** 2)))
    tried = np.linspace(0, n_runs - 1, n_tried).astype(int).tolist()
    renamed = (_renamed(design, run, centre) for run in tried)
    return min(renamed, key=lambda rows: discrepancy(rows, counts))


def _renamed(design: Ints, run: int, centre: Ints) -> Ints:
    """The design with ``run`` first, its levels exchanged with the central ones everywhere."""
    own = design[run]
    renamed = np.where(design == own, centre, np.where(design == centre, own, design))
    return np.concatenate([renamed[run : run + 1], np.delete(renamed, run, axis=0)])


def _best_image(design: Ints, rng: np.random.Generator) -> Ints:
    """An image of a design of as many levels as runs, from a few the most even one."""
    n_runs, n_factors = design.shape
    # Where levels are odd in number, or many, all images are equally even: one is enough.
    n_images = 1 if n_runs % 2 or n_runs > MANY_RUNS else _N_IMAGES
    images = [_image(design, n_runs, rng) for _ in range(n_images)]
    if n_images == 1:
        return images[0]
    products = run_products(np.stack(images), level_kernels((n_runs,) * n_factors, "CD"))
    return images[int(np.argmin(squared_discrepancy(*products, 0.0)))]


def _image(design: Ints, n_levels: int, rng: np.random.Generator) -> Ints:
    """The design with its factors exchanged and mirrored at random, the middle run kept."""
    n_factors = design.shape[1]
    turned = design[:, rng.permutation(n_factors)]
    return np.where(rng.integers(2, size=n_factors) == 1, mirrored(turned, n_levels), turned)


def mirrored(levels: Ints, n_levels: int) -> Ints:
    """The levels in reverse order, those of the run in the middle kept.

    Where the number of levels is even, the middle one is the upper one of two: both are kept,
    which changes the discrepancy by a few hundredths at most.
    """
    in_the_middle = (levels == n_levels // 2) | (levels == (n_levels - 1) // 2)
    return np.where(in_the_middle, levels, n_levels - 1 - levels)


def pulled_inside(points: Floats, n_runs: int) -> Floats:
    """Points drawn towards the middle so that the middles of n cells part the range equally."""
    return np.asarray(0.5 + (points - 0.5) * n_runs / (n_runs + 1))


def places_of_levels(levels: Ints, n_levels: int, n_runs: int) -> Floats:
    """Where the levels of a factor lie in a central design.

    n levels of n runs part the interval in n + 1 equal parts, 0.1, 0.2, … 0.9 for nine: the mean
    places of n random draws in order. They lie a little further inside than the middles of n
    cells, where a point belongs that stands for its surroundings in several factors; each is in
    its own cell of width 1/n still. Level ⌊n/2⌋, that of the first run, is in the middle exactly.
    Fewer levels than runs lie in the middles of their cells, which are further inside.
    """
    places = np.asarray(middle(levels, n_levels))
    if n_levels < n_runs or n_runs < _MIN_RUNS:
        return places
    return np.where(levels == n_levels // 2, 0.5, pulled_inside(places, n_levels))

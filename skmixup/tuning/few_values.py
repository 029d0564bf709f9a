"""Every setting at most once, where parameters have few values.

Levels of a design become values of parameters, and several levels may become one value. Where
that leaves fewer different settings than runs, all of them are run, once; where it leaves enough,
the design is searched over the values themselves, so that no run repeats another.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from skmixup.design import prefix_uniform_order
from skmixup.design.factors import Factor
from skmixup.design.levels import Floats, Ints, middle
from skmixup.design.places import n_different_values
from skmixup.design.settings import level_key

#: More settings than this are run in random order: ordering them takes n² numbers.
MAX_ORDERED = 400
_MOST_LEVELS = 4096

#: Levels of one column: which of them are used, one for each value, and of how many.
Column = tuple[tuple[int, ...], int]


def number_of_values(factor: Factor, n_levels: int | None) -> float:
    """How many values of a factor a design can reach; infinite for a continuum."""
    values = n_different_values(factor)
    if n_levels is None or math.isinf(values):
        return values if n_levels is None else n_levels
    # The first levels of a logarithmic range may be one value.
    return len(_levels_apart(factor, middle(np.arange(n_levels), n_levels)))


def number_of_settings(factors: Mapping[str, Factor], asked: Mapping[str, int | None]) -> float:
    """How many different settings there are; infinite where a parameter is a continuum."""
    return math.prod(number_of_values(f, asked.get(name)) for name, f in factors.items())


def tells_runs_apart(factor: Factor, asked: int | None, places: Floats) -> bool:
    """Whether a column of a design, with a run at each place, has another value in every run."""
    if number_of_values(factor, asked) < len(places):
        return False
    return math.isinf(n_different_values(factor)) or len(_levels_apart(factor, places)) == len(
        places
    )


def value_levels(factor: Factor, asked: int | None, n_runs: int) -> Column:
    """One level for each value of a factor, in the middle of its share; at most ``n_runs``.

    ``asked`` is a number of levels that the design has to keep to.
    """
    wanted = int(min(number_of_values(factor, asked), n_runs))
    q = asked or max(2, wanted)
    chosen = _levels_apart(factor, middle(np.arange(q), q))
    # The values of a logarithmic range have shares of different sizes.
    while len(chosen) < wanted and asked is None and q < _MOST_LEVELS:
        q *= 2
        chosen = _levels_apart(factor, middle(np.arange(q), q))
    spread = [chosen[(2 * k + 1) * len(chosen) // (2 * wanted)] for k in range(wanted)]
    return tuple(chosen if len(chosen) <= wanted else spread), q


def _levels_apart(factor: Factor, places: Floats) -> list[int]:
    levels: dict[Any, list[int]] = {}
    for level, place in enumerate(places):
        levels.setdefault(level_key(factor.at(float(place))), []).append(level)
    return [same[len(same) // 2] for same in levels.values()]


def all_settings(columns: Sequence[Column], criterion: str, seed: int) -> Ints:
    """Every setting once, in an order in which every beginning is spread evenly."""
    used = [levels for levels, _ in columns]
    design = np.array(list(itertools.product(*(range(len(levels)) for levels in used))))
    if len(design) > MAX_ORDERED:
        order = np.random.default_rng(seed).permutation(len(design))
    else:
        counts = [max(2, len(levels)) for levels in used]
        order = prefix_uniform_order(design, counts, criterion=criterion)
    return _take(columns, design[order])


def distinct_settings(
    columns: Sequence[Column], search: Callable[[int, Sequence[int]], Ints]
) -> Ints:
    """A uniform design over the values: no run twice, as there are enough settings.

    ``search`` makes a design of so many factors with these numbers of levels.
    """
    counts = [max(2, len(levels)) for levels, _ in columns]
    return _take(columns, search(len(columns), counts))


def _take(columns: Sequence[Column], design: Ints) -> Ints:
    used = [np.array(levels, dtype=np.intp) for levels, _ in columns]
    return np.column_stack(
        [levels[np.minimum(design[:, j], len(levels) - 1)] for j, levels in enumerate(used)]
    )

"""Points whose settings all differ: a setting that has been run already tells nothing new."""

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from skmixup.design.factors import Category, Choices, Continuum, Factor, Steps
from skmixup.design.levels import Floats, cell, middle
from skmixup.design.places import n_different_values, places_of_values
from skmixup.design.settings import level_key
from skmixup.tuning.rounds import Box, fill_box
from skmixup.tuning.surface import guided_points

#: Spaces with more settings are not listed one by one.
_MAX_LISTED = 20_000
#: Among so many of them one is sought that is near to a point.
_MAX_NEAR = 2_000
#: Enough to widen the narrowest box of a zoom to the whole space.
_MAX_ATTEMPTS = 15
#: Places of a continuum that are no further apart may be the same setting.
_SAME = 1e-9


def n_different(factors: Iterable[Factor]) -> float:
    """How many different settings there are; infinity where that is not known."""
    return math.prod(n_different_values(factor) for factor in factors)


def n_left(points: Floats, factors: Sequence[Factor]) -> float:
    """How many settings no point has."""
    different = n_different(factors)
    if math.isinf(different):
        return different
    return different - len(without_repeats(factors, points, points[:0]))


def with_levels(factor: Factor, n_levels: int) -> Factor:
    """The factor where only the middles of ``n_levels`` equal parts of it are run."""
    values = tuple(factor.at(middle(k, n_levels)) for k in range(n_levels))
    return Choices(values) if factor.ordered else Category(values)


def setting_key(factors: Sequence[Factor], point: Floats) -> Hashable:
    """What two points with the same setting have in common."""
    return tuple(level_key(f.at(float(u))) for f, u in zip(factors, point, strict=True))


def without_repeats(factors: Sequence[Factor], new: Floats, known: Floats) -> Floats:
    """The new points whose settings no known one and no earlier one has."""
    return new[~_repeat(factors, new, known)]


def _repeat(factors: Sequence[Factor], new: Floats, known: Floats) -> NDArray[np.bool_]:
    """Which new points have the setting of a known or of an earlier one."""
    taken = {setting_key(factors, point) for point in known[_may_equal(factors, known, new)]}
    repeat = np.zeros(len(new), dtype=bool)
    for i, point in enumerate(new):
        key = setting_key(factors, point)
        repeat[i] = key in taken
        taken.add(key)
    return repeat


def moved_apart(
    factors: Sequence[Factor], new: Floats, known: Floats, rng: np.random.Generator
) -> Floats:
    """The new points, those that repeat a setting moved to the nearest one that none has.

    Another category is as far away as the other end of a range. Where every setting is taken the
    other repeats stay as they are, and come last.
    """
    repeat = _repeat(factors, new, known)
    if not repeat.any():
        return new
    moved = new.copy()
    left = _unused(factors, np.vstack([known, new[~repeat]]), _MAX_NEAR, rng)
    left = rng.permutation(left)  # of settings at the same distance any one
    for i in np.flatnonzero(repeat)[: len(left)]:
        gaps = np.abs(left - new[i])
        for c, factor in enumerate(factors):
            if not factor.ordered and factor.n_values is not None:
                gaps[:, c] = cell(left[:, c], factor.n_values) != cell(new[i, c], factor.n_values)
        nearest = int(np.argmin(gaps.sum(axis=1)))
        moved[i] = left[nearest]
        left = np.delete(left, nearest, axis=0)
        repeat[i] = False
    return moved[np.argsort(repeat, kind="stable")]


def _may_equal(factors: Sequence[Factor], known: Floats, new: Floats) -> NDArray[np.bool_]:
    """Which known points may have the setting of a new one, as far as is cheap to see."""
    same = np.ones((len(known), len(new)), dtype=bool)
    for factor, a, b in zip(factors, known.T, new.T, strict=True):
        if isinstance(factor, Continuum) and factor.low < factor.high:
            same &= np.abs(a[:, None] - b) < _SAME
        elif isinstance(factor, Steps):
            n_values = factor.n_values
            same &= cell(a, n_values)[:, None] == cell(b, n_values)
    return np.asarray(same.any(axis=1))


def new_points(
    box: Box,
    points: Floats,
    n_new: int,
    factors: Sequence[Factor],
    criterion: str,
    seed: int,
    losses: Floats | None = None,
) -> Floats:
    """At most ``n_new`` points in a box, with settings that no other point has.

    With the ``losses`` of the points so far, a surface through them says where; without, the
    points complete the box to a uniform design. Where the box has too few such settings it is
    widened. There are fewer points than asked for only if there are no more settings at all.
    """
    ordered = [factor.ordered for factor in factors]
    if n_different(factors) < len(points) + n_new:  # Else no need to count what is left.
        n_new = int(min(n_new, n_left(points, factors)))
    if n_new < 1:
        return points[:0]
    n_old, wide = len(points), box
    for attempt in range(_MAX_ATTEMPTS):
        missing = n_new - len(points) + n_old
        if losses is None:
            found = fill_box(wide, points, missing, ordered, criterion, seed + attempt)
        else:
            known = np.append(losses, np.full(len(points) - n_old, np.nan))
            found = guided_points(wide, points, known, missing, factors, seed + attempt)
        points = np.vstack([points, without_repeats(factors, found, points)])
        if len(points) - n_old == n_new:
            return points[n_old:]
        wide = replace(wide, width=min(2 * wide.width, 1.0))
    missing = n_new - len(points) + n_old
    return np.vstack([points[n_old:], _nearest_unused(box, factors, points, missing)])


def _nearest_unused(box: Box, factors: Sequence[Factor], known: Floats, n_points: int) -> Floats:
    """Of all settings that are left, those nearest to the middle of the box.

    Where there are many, of a random sample of settings: more than ``n_points`` of them are left.
    """
    left = _unused(factors, known, _MAX_LISTED, np.random.default_rng(len(known)))
    ordered = np.array([factor.ordered for factor in factors], dtype=bool)
    distance = np.abs(left - np.array(box.centre))[:, ordered].max(axis=1, initial=0.0)
    return left[np.argsort(distance, kind="stable")[:n_points]]


def _unused(
    factors: Sequence[Factor], known: Floats, most: int, rng: np.random.Generator
) -> Floats:
    """One point of each setting that no known point has; of more than ``most`` a random sample."""
    if n_different(factors) > most:
        grid = rng.random((len(known) + most, len(factors)))
    else:
        places = [places_of_values(factor) for factor in factors]
        grid = np.array([*product(*places)], dtype=np.float64).reshape(-1, len(factors))
    return without_repeats(factors, grid, known)

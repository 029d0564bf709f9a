"""A surface through the losses, and the points of the next round that it points to.

A cubic radial basis function with a linear part goes through all results near the box. Of many
random candidates in the box, each new point is the one with the best weighted sum of two marks:
how low the surface is there, and how far away the known points are. The weights take turns, so
that some points fill gaps and others go straight to the surface's lowest place (Regis & Shoemaker
2007).

References
----------
R. G. Regis, C. A. Shoemaker (2007), "A stochastic radial basis function method for the global
optimization of expensive functions", INFORMS Journal on Computing 19(4).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from skmixup.design.factors import Choices, Factor, LogIntegers, Steps
from skmixup.design.levels import Floats, cell, middle
from skmixup.tuning.rounds import Box

#: How much the surface counts in one point after the other; the rest is the distance.
WEIGHTS = (0.3, 0.6, 0.9, 1.0)
_MIN_CANDIDATES = 400
#: The surface goes through this many points, those nearest to the middle of the box.
_MAX_FITTED = 80
#: The distance between two categories, where the range of a number is 1.
_CATEGORY = 0.5
_RIDGE = 1e-8
#: A column that is no further from the span of those before it depends on them.
_DEPENDENT = 1e-9
_BELOW_ONE = float(np.nextafter(1.0, 0.0))


def guided_points(
    box: Box, points: Floats, losses: Floats, n_new: int, factors: Sequence[Factor], seed: int
) -> Floats:
    """New points (n_new, s) in a box, where the surface is low or little is known.

    ``losses`` are infinite where a run has ended without a value: it counts as a bad one. They
    are NaN where nothing is known yet: such a point only keeps others away.
    """
    rng = np.random.default_rng([seed, len(points)])
    candidates = _candidates(box, max(_MIN_CANDIDATES, 4 * n_new), factors, rng)
    told = ~np.isnan(losses)
    places = coded(points, factors, _CATEGORY)
    new = coded(candidates, factors, _CATEGORY)
    height = _marks(_surface(places[told], losses[told], _coded_centre(box, factors))(new))
    if not all(factor.ordered for factor in factors):
        # Beside the width of the box another category is as far away as in the whole space.
        scale = _CATEGORY * box.width
        places, new = coded(points, factors, scale), coded(candidates, factors, scale)
    gaps = _gaps(new, places)
    chosen: list[int] = []
    for k in range(n_new):
        weight = WEIGHTS[(len(points) + k) % len(WEIGHTS)]
        total = weight * height + (1 - weight) * (1 - _marks(gaps))
        # Not on top of a known point, where the surface has nothing to tell.
        total = np.where(gaps > 1e-3 * box.width, total, total + 2)
        total[chosen] = np.inf
        best = int(np.argmin(total))
        chosen.append(best)
        if k < n_new - 1:
            gaps = np.minimum(gaps, np.sqrt(squares(new, new[[best]])[:, 0]))
    return candidates[chosen]


def _candidates(box: Box, n: int, factors: Sequence[Factor], rng: np.random.Generator) -> Floats:
    """Random points of the box; half of them have the category of its centre, each time."""
    ordered = [factor.ordered for factor in factors]
    low, widths = box.edges(ordered)
    found = low + widths * rng.random((n, len(factors)))
    if not all(ordered):
        stays = rng.random(found.shape) < 0.5
        found = np.where(stays & ~np.array(ordered), np.array(box.centre), found)
    return np.clip(found, 0.0, _BELOW_ONE)


def coded(points: Floats, factors: Sequence[Factor], category: float) -> Floats:
    """Columns of numbers, where points with the same setting are at the same place.

    Categories become one column each, so that the linear part of a surface has their means.
    """
    if not any(isinstance(factor, Choices | Steps | LogIntegers) for factor in factors):
        return points
    columns = []
    for c, factor in enumerate(factors):
        column = points[:, c]
        if isinstance(factor, LogIntegers):
            columns.append(_places_of_log_integers(factor, column))
            continue
        if not isinstance(factor, Choices | Steps):
            columns.append(column)
            continue
        n_values = factor.n_values
        levels = cell(column, n_values)
        if factor.ordered:
            columns.append(middle(levels, float(n_values)))
        else:
            columns += list(category / np.sqrt(2) * (levels == np.arange(n_values)[:, None]))
    return np.column_stack(columns) if columns else np.empty((len(points), 0))


def _places_of_log_integers(factor: LogIntegers, column: Floats) -> Floats:
    """The places of the integers that points of the unit interval stand for."""
    if factor.high < 2 * factor.low:  # so narrow that logarithms may differ by rounding only
        span = math.log1p((factor.high + 1 - factor.low) / factor.low)
        above = np.floor(factor.low * np.expm1(column * span))
        above = np.clip(above, 0.0, float(factor.high - factor.low))
        logs = np.log1p(above / factor.low)
    else:
        low, span = math.log(factor.low), math.log(factor.high + 1) - math.log(factor.low)
        values = np.floor(np.exp(low + column * span))
        logs = np.log(np.clip(values, float(factor.low), float(factor.high))) - low
    return np.asarray((logs + np.log1p(1 / factor.high) / 2) / span)


def _coded_centre(box: Box, factors: Sequence[Factor]) -> Floats:
    return coded(np.array([box.centre]), factors, _CATEGORY)[0]


def _surface(places: Floats, losses: Floats, centre: Floats) -> Callable[[Floats], Floats]:
    """The surface through the losses at some places, of which the worse half count as equal.

    Else it would be about the worst ones: losses often differ by orders of magnitude.
    """
    near = np.argsort(np.abs(places - centre).max(axis=1), kind="stable")[: 2 * _MAX_FITTED]
    places, losses = places[near], losses[near]
    places, losses = best_of_each_place(places, losses)
    if not np.isfinite(losses).any():
        return lambda z: np.zeros(len(z))
    near = np.argsort(np.abs(places - centre).max(axis=1), kind="stable")[:_MAX_FITTED]
    places, losses = places[near], losses[near]
    finite = losses[np.isfinite(losses)]
    if len(finite) == 0:
        return lambda z: np.zeros(len(z))
    ranked = np.sort(losses)
    bound = float(ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) / 2
    losses = np.minimum(losses, bound if np.isfinite(bound) else finite.max())
    return _spline(places, _marks(losses))


def best_of_each_place(places: Floats, losses: Floats) -> tuple[Floats, Floats]:
    """Each place once, with its smallest loss."""
    order = np.lexsort((losses, *places.T[::-1]))
    places, losses = places[order], losses[order]
    first = np.ones(len(losses), dtype=bool)
    first[1:] = (places[1:] != places[:-1]).any(axis=1)
    return places[first], losses[first]


def _spline(places: Floats, values: Floats) -> Callable[[Floats], Floats]:
    """The cubic radial basis function with a linear part through some values."""
    n = len(places)
    linear = np.column_stack([np.ones(n), places])
    # Columns that those before them add up to, as the last category of each kind, are left out.
    kept = np.flatnonzero(np.abs(np.diag(np.linalg.qr(linear, mode="r"))) > _DEPENDENT)
    linear = linear[:, kept]
    system = np.zeros((n + len(kept), n + len(kept)))
    system[:n, :n] = _cubes(places, places) + _RIDGE * np.eye(n)
    system[:n, n:], system[n:, :n] = linear, linear.T
    solved = np.linalg.solve(system, np.append(values, np.zeros(len(kept))))

    def surface(z: Floats) -> Floats:
        columns = np.column_stack([np.ones(len(z)), z])[:, kept]
        return np.asarray(_cubes(z, places) @ solved[:n] + columns @ solved[n:])

    return surface


def _gaps(candidates: Floats, places: Floats) -> Floats:
    """How far each candidate is from the nearest of some places; 1 where there is none."""
    if not len(places):
        return np.ones(len(candidates))
    if len(places) > _MAX_FITTED:
        # Only places nearer to the candidates' middle than the nearest one, and twice their spread
        # beyond it, can be the nearest to any of them.
        middle = candidates.mean(axis=0, keepdims=True)
        away = np.sqrt(squares(middle, places)[0])
        spread = np.sqrt(squares(middle, candidates).max())
        places = places[away <= away.min() + 2 * spread]
    return np.asarray(np.sqrt(squares(candidates, places).min(axis=1)))


def squares(a: Floats, b: Floats) -> Floats:
    """The squared distances of two sets of points."""
    squares = a @ (-2 * b.T)
    squares += (a**2).sum(axis=1)[:, None]
    squares += (b**2).sum(axis=1)
    return np.maximum(squares, 0.0, out=squares)


def _cubes(a: Floats, b: Floats) -> Floats:
    """The cubed distances of two sets of points."""
    cubes = squares(a, b)
    cubes *= np.sqrt(cubes)
    return cubes


def _marks(values: Floats) -> Floats:
    """The values between 0 for the lowest and 1 for the highest."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros(len(values))

"""Which valley the next round looks at: the best one, and then others.

A zoom whose boxes have become very small starts again in the whole space, and closes in on a
valley that it has not looked at closely, or else goes on filling the space. Each point belongs to
the nearest better one, if that lies within reach, and so in the end to the lowest point of its
valley: nearest-better clustering (Preuss 2012).

References
----------
M. Preuss (2012), "Improved topological niching for real-valued global optimization", Applications
of Evolutionary Computation, LNCS 7248.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from skmixup.design.factors import Factor
from skmixup.design.levels import Floats, cell
from skmixup.tuning.rounds import Box, inside, next_box, whole_cube

#: A box that would be narrower than this has told what it can.
MIN_WIDTH = 1e-4
#: The width of the box around the end of a zoom that counts as looked at.
EXPLORED_WIDTH = 1 / 8


def next_look(
    points: Floats,
    told: Floats,
    cycles: Sequence[Sequence[Box]],
    factors: Sequence[Factor],
    n_spread: int,
) -> tuple[Box, Floats, int]:
    """The box of the next round, the losses that count in it, and the cycle that it belongs to.

    ``told`` are the losses of all points; ``cycles`` holds the boxes from each start in the whole
    space; ``n_spread`` is the number of points that were spread over it. Points within 1.5 times
    their spacing may be in one valley.
    """
    explored = [boxes[-1] for boxes in cycles[:-1]]
    reach = 1.5 * n_spread ** (-1 / max(len(factors), 1))
    losses = unexplored_losses(points, told, factors, explored, reach)
    box = next_box(points, losses, cycles[-1])
    if box.width < MIN_WIDTH:
        explored.append(box)
        losses = unexplored_losses(points, told, factors, explored, reach)
        return whole_cube(len(factors)), losses, len(cycles)
    return box, losses, len(cycles) - 1


def unexplored_losses(
    points: Floats,
    losses: Floats,
    factors: Sequence[Factor],
    explored: Sequence[Box],
    reach: float,
) -> Floats:
    """The losses, infinite for points of the valleys that boxes have closed in on already.

    Points with different categories are never in one valley.
    """
    if not explored:
        return losses
    known = np.zeros(len(points), dtype=bool)
    for box in explored:
        around = replace(box, width=EXPLORED_WIDTH)
        known |= inside(around, points, [factor.ordered for factor in factors])
    order = np.argsort(np.where(np.isnan(losses), np.inf, losses), kind="stable")
    places = np.column_stack([_spaced(points[:, c], f) for c, f in enumerate(factors)])
    known = known[order]
    distances = np.full((len(order), len(order)), 0.0)
    for column in places[order].T:
        np.maximum(distances, np.abs(column[:, None] - column), out=distances)
    distances[np.triu_indices(len(order))] = np.inf
    nearest = distances.argmin(axis=1)  # Of those that are better.
    near = distances.min(axis=1) <= reach
    for k in np.flatnonzero(near):
        known[k] |= known[nearest[k]]
    known[order] = known.copy()
    return np.where(known & ~np.isnan(losses), np.inf, losses)


def _spaced(column: Floats, factor: Factor) -> Floats:
    """Places of numbers as they are; categories out of reach of each other."""
    if factor.ordered or factor.n_values is None:
        return column
    return np.asarray(2.0 * cell(column, factor.n_values))

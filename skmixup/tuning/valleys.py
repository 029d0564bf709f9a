"""Which points lie in valleys that have not been looked at closely.

Each point belongs to the nearest better one, if that lies within reach, and so in the end to the
lowest point of its valley: nearest-better clustering (Preuss 2012).

References
----------
M. Preuss (2012), "Improved topological niching for real-valued global optimization", Applications
of Evolutionary Computation, LNCS 7248.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from skmixup.design.factors import Factor, bin_of
from skmixup.tuning.points import Floats
from skmixup.tuning.rounds import Box, inside

#: The width of the box around the end of a zoom that counts as looked at.
EXPLORED_WIDTH = 1 / 8


def unexplored_losses(
    points: Floats,
    losses: Floats,
    factors: Sequence[Factor],
    explored: Sequence[Box],
    reach: float,
) -> Floats:
    """The losses, NaN for points of the valleys that boxes have closed in on already.

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
    for k, i in enumerate(order[1:], start=1):
        distances = np.abs(places[order[:k]] - places[i]).max(axis=1)
        nearest = int(np.argmin(distances))
        known[i] |= bool(known[order[nearest]] and distances[nearest] <= reach)
    return np.where(known, np.nan, losses)


def _spaced(column: Floats, factor: Factor) -> Floats:
    """Places of numbers as they are; categories out of reach of each other."""
    if factor.ordered or factor.n_values is None:
        return column
    return np.array([2.0 * bin_of(float(u), factor.n_values) for u in column])

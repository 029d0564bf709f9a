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
from numpy.typing import NDArray

from skmixup.design.factors import Factor
from skmixup.design.levels import Floats, Ints, cell
from skmixup.tuning.noise import averaged, noisy
from skmixup.tuning.rounds import Box, inside, next_box, whole_cube
from skmixup.tuning.surface import coded

#: A box that would be narrower than this has told what it can.
MIN_WIDTH = 1e-4
#: The width of the box around the end of a zoom that counts as looked at.
EXPLORED_WIDTH = 1 / 8
#: How far apart two categories are: further than any two numbers.
_CATEGORY = 2.0


class Valleys:
    """Which better point each point is nearest to, from one look at a study to the next.

    Points and losses that are the same as at the last look are not compared again, so that a
    look at a long study costs what is new. Threads may share one.
    """

    def __init__(self) -> None:
        empty = np.empty(0)
        self._known: tuple[Floats, Floats, Floats, Ints] = (
            np.empty((0, 0)),
            empty,
            empty,
            np.empty(0, dtype=np.intp),
        )

    def nearest_better(self, places: Floats, losses: Floats) -> tuple[Floats, Ints]:
        """The distance to the nearest better point of each, infinite for the best, and its index.

        Of equal points the first is the better one. Distances are the largest of all columns.
        """
        known_places, known_losses, distances, nearest = self._known
        n = 0
        if known_places.shape[1:] == places.shape[1:]:
            most = min(len(losses), len(known_losses))
            same = (known_places[:most] == places[:most]).all(axis=1)
            same &= known_losses[:most] == losses[:most]
            n = most if same.all() else int(np.argmin(same))
        # Beside a point that is no more, or has another loss now, others have to be looked for.
        lost = np.flatnonzero(nearest[:n] >= n)
        distances = np.append(distances[:n], np.full(len(losses) - n, np.inf))
        nearest = np.append(nearest[:n], np.zeros(len(losses) - n, dtype=np.intp))
        for k in lost.tolist():
            better = (losses[:n] < losses[k]) | ((losses[:n] == losses[k]) & (np.arange(n) < k))
            distances[k], nearest[k] = _nearest(places[:n], places[k], better)
        for k in range(n, len(losses)):
            distances[k], nearest[k] = _nearest(places[:k], places[k], losses[:k] <= losses[k])
            gaps = np.abs(places[:k] - places[k]).max(axis=1, initial=0.0)
            closer = (losses[:k] > losses[k]) & (gaps < distances[:k])
            distances[:k][closer], nearest[:k][closer] = gaps[closer], k
        self._known = places, losses, distances, nearest
        return distances, nearest


def _nearest(places: Floats, place: Floats, among: NDArray[np.bool_]) -> tuple[float, int]:
    """How far away the nearest of some places is, and which one; infinitely far without any."""
    gaps = np.where(among, np.abs(places - place).max(axis=1, initial=0.0), np.inf)
    return (float(gaps.min()), int(np.argmin(gaps))) if len(gaps) else (np.inf, 0)


def next_look(
    points: Floats,
    told: Floats,
    cycles: Sequence[Sequence[Box]],
    factors: Sequence[Factor],
    n_spread: int,
    valleys: Valleys | None = None,
) -> tuple[Box, Floats, int]:
    """The box of the next round, the losses that count in it, and the cycle that it belongs to.

    ``told`` are the losses of all points; ``cycles`` holds the boxes from each start in the whole
    space; ``n_spread`` is the number of points that were spread over it. Points within 1.5 times
    their spacing may be in one valley. ``valleys`` remembers the last look at the same study.

    Where losses are noisy, the box goes by averages of them.
    """
    valleys = valleys or Valleys()
    explored = [boxes[-1] for boxes in cycles[:-1]]
    reach = 1.5 * n_spread ** (-1 / max(len(factors), 1))
    losses = unexplored_losses(points, told, factors, explored, reach, valleys)
    places = coded(points, factors, _CATEGORY)
    noise = noisy(places, losses)
    counted = averaged(places, losses) if noise else losses
    box = next_box(points, counted, cycles[-1], noise)
    if box.width < MIN_WIDTH:
        explored.append(box)
        losses = unexplored_losses(points, told, factors, explored, reach, valleys)
        return whole_cube(len(factors)), losses, len(cycles)
    return box, losses, len(cycles) - 1


def unexplored_losses(
    points: Floats,
    losses: Floats,
    factors: Sequence[Factor],
    explored: Sequence[Box],
    reach: float,
    valleys: Valleys,
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
    places = np.column_stack([_spaced(points[:, c], f) for c, f in enumerate(factors)])
    distances, nearest = valleys.nearest_better(places, np.where(np.isnan(losses), np.inf, losses))
    # From each point to a better one, and on from there: twice as far each time.
    onward = np.where(distances <= reach, nearest, np.arange(len(points)))
    for _ in range(len(points).bit_length()):
        known = known | known[onward]
        onward = onward[onward]
    return np.where(known & ~np.isnan(losses), np.inf, losses)


def _spaced(column: Floats, factor: Factor) -> Floats:
    """Places of numbers as they are; categories out of reach of each other."""
    if factor.ordered or factor.n_values is None:
        return column
    return np.asarray(2.0 * cell(column, factor.n_values))

"""Sequential uniform design: after a uniform design, rounds of new points in a box that adapts.

Everything happens in the unit cube, with losses to be minimised, and every choice follows from
the points run so far: the scikit-learn search and the Optuna sampler are two drivers of it. Where
in the box the points lie is the matter of :mod:`skmixup.tuning.surface`.

References
----------
Z. Yang, A. Zhang (2021), "Hyperparameter optimization via sequential uniform designs", Journal of
Machine Learning Research 22(149).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from skmixup.design.completion import MAX_SEARCHED_ROWS, complete_rows
from skmixup.design.levels import Floats

#: After so many runs in a row without improvement a box shrinks to half its width.
PATIENCE = 3
#: After an improvement it is this much wider.
GROWTH = 1.5
#: Losses beyond count as this one: sums of them would overflow.
_LARGEST = 1e300


@dataclass(frozen=True)
class Box:
    """A part of the unit cube: its centre, its width, and the best loss before it was entered.

    ``n_told`` says how many of the runs that were laid out in it have ended.

    Factors without an order keep their whole range. A box that would stick out of the cube is
    moved inside.
    """

    centre: tuple[float, ...]
    width: float
    best_before: float
    n_told: int = 0

    def is_like(self, other: "Box", noise: bool) -> bool:
        """Whether nothing has become better between this box and another."""
        same = self.centre == other.centre if noise else self.best_before == other.best_before
        return same and self.width == other.width

    def edges(self, ordered: Sequence[bool]) -> tuple[Floats, Floats]:
        """Where the box begins, and how wide it is, in every factor."""
        widths = np.where(ordered, self.width, 1.0)
        return np.clip(np.array(self.centre) - widths / 2, 0.0, 1.0 - widths), widths


def whole_cube(n_factors: int) -> Box:
    """The box of the first round."""
    return Box((0.5,) * n_factors, 1.0, np.inf)


def round_sizes(n_runs: int, n_rounds: int) -> list[int]:
    """How many new runs each round gets; they add up to the budget exactly.

    The first round, which sees the whole space, gets twice the share of the others.
    """
    share, extra = divmod(n_runs, n_rounds + 1)
    sizes = [2 * share] + [share] * (n_rounds - 1)
    for i in range(extra):
        sizes[i % n_rounds] += 1
    return sizes


def bounded(losses: Floats) -> Floats:
    """Losses that can be added up; NaN and infinity, which stand for no value, stay.

    Minus infinity, as the logarithm of no error, is the best of all.
    """
    return np.where(losses == np.inf, np.inf, np.clip(losses, -_LARGEST, _LARGEST))


def next_box(points: Floats, losses: Floats, boxes: Sequence[Box], noise: bool = False) -> Box:
    """Where the next round looks, given all runs so far and the boxes of the rounds so far.

    Around the best point. The box of the first round after the design is the whole cube; it
    shrinks to half after three runs in a row without improvement, and grows by half after a round
    with one. With ``noise`` losses are averages that change from round to round: then another
    centre is what counts as an improvement.

    Runs without a value have the loss NaN or infinity. While all have, nothing is known and the
    last box stays.
    """
    losses = np.where(np.isfinite(losses), losses, np.inf)
    last = boxes[-1]
    if not np.isfinite(losses).any():
        return replace(last, n_told=0)
    best, width = float(losses.min()), last.width
    centre = tuple(points[int(np.argmin(losses))].tolist())
    if (centre != last.centre) if noise else (best < last.best_before):
        width = min(width * GROWTH, 1.0)
    else:
        alike = Box(centre, width, best)
        since = takewhile(lambda box: box.is_like(alike, noise), boxes[::-1])
        if sum(box.n_told for box in since) >= PATIENCE:
            width /= 2
    return Box(centre, width, best)


def inside(box: Box, points: Floats, ordered: Sequence[bool]) -> NDArray[np.bool_]:
    """Which points lie in a box."""
    low, widths = box.edges(ordered)
    return np.asarray(((points >= low) & (points <= low + widths)).all(axis=1))


def fill_box(
    box: Box, points: Floats, n_new: int, ordered: Sequence[bool], criterion: str, seed: int
) -> Floats:
    """New points (n_new, s) that complete those already in the box to a uniform design of it."""
    low, widths = box.edges(ordered)
    kept = np.clip((points[inside(box, points, ordered)] - low) / widths, 0.0, 1.0)
    kept = kept[-MAX_SEARCHED_ROWS:]
    n = len(kept) + n_new
    rng = np.random.default_rng([seed, len(points)])
    new = complete_rows(kept, n_new, criterion, rng, [n] * points.shape[1])
    return np.asarray(low + new * widths)

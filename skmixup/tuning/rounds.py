"""Sequential uniform design: round after round, a uniform design in a smaller box.

Everything happens in the unit cube, with losses to be minimised, and every choice follows from
the points run so far: the scikit-learn search and the Optuna sampler are two drivers of it.

References
----------
Z. Yang, A. Zhang (2021), "Hyperparameter optimization via sequential uniform designs", Journal of
Machine Learning Research 22(149).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skmixup.design.completion import MAX_SEARCHED_ROWS, complete_rows
from skmixup.design.levels import Floats


@dataclass(frozen=True)
class Box:
    """A part of the unit cube: its centre, its width, and the best loss before it was entered.

    Factors without an order keep their whole range. A box that would stick out of the cube is
    moved inside.
    """

    centre: tuple[float, ...]
    width: float
    best_before: float

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


def next_box(points: Floats, losses: Floats, boxes: Sequence[Box], ordered: Sequence[bool]) -> Box:
    """Where the next round looks, given all runs so far and the boxes of the rounds so far.

    In a box half as wide as the last one, around the best point, drawn towards the mean of the
    three best. After a round without improvement a second centre has its chance, once, before the
    boxes shrink further: the best point outside the last box, in a box as wide as that.

    Failed runs have the loss NaN. While all have failed, nothing is known and the last box stays.
    """
    losses = np.where(np.isfinite(losses), losses, np.inf)
    order = np.argsort(losses, kind="stable")
    last = boxes[-1]
    if not np.isfinite(losses).any():
        return last
    best = float(losses[order[0]])
    stuck = best >= last.best_before
    first_time = len(boxes) < 3 or boxes[-2].best_before > last.best_before
    if stuck and first_time:
        outside = order[~inside(last, points[order], ordered)]
        if len(outside) and np.isfinite(losses[outside[0]]):
            return Box(tuple(points[outside[0]].tolist()), last.width, best)
    width = last.width / 2
    leaders = order[: min(3, np.isfinite(losses).sum())]
    weights = np.log(len(leaders) + 0.5) - np.log(np.arange(1, len(leaders) + 1))
    mean = weights / weights.sum() @ points[leaders]
    centre = points[order[0]] + np.clip((mean - points[order[0]]) / 2, -width / 4, width / 4)
    return Box(tuple(centre.tolist()), width, best)


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

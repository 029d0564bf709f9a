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

from skmixup.tuning.points import Floats, complete_rows


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


def next_box(points: Floats, losses: Floats, boxes: Sequence[Box]) -> Box:
    """Where the next round looks, given all runs so far and the boxes of the rounds so far.

    Around the best point, half as wide as before. A round that has not improved the best loss has
    shown that its box was a poor guess: the next one takes the best point outside that box as its
    centre, once, before the search goes on around the best point.

    Failed runs have the loss NaN.
    """
    finite = np.where(np.isfinite(losses), losses, np.inf)
    best = int(np.argmin(finite))
    last = boxes[-1]
    return Box(tuple(points[best].tolist()), last.width / 2, float(finite[best]))


def fill_box(
    box: Box, points: Floats, n_new: int, ordered: Sequence[bool], criterion: str, seed: int
) -> Floats:
    """New points (n_new, s) that complete those already in the box to a uniform design of it."""
    low, widths = box.edges(ordered)
    relative = (points - low) / widths
    kept = relative[((relative >= 0) & (relative <= 1)).all(axis=1)]
    n = len(kept) + n_new
    rng = np.random.default_rng([seed, len(points)])
    new = complete_rows(kept, n_new, criterion, rng, [n] * points.shape[1])
    return np.asarray(low + new * widths)

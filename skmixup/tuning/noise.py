"""Whether losses are noisy, and what they are about without the noise.

The closer two runs are, the less their losses differ, but for noise. Where the closest ones differ
by much more than that, the run that looks best owes it to luck, and a zoom around it would look
at a place of no merit: there a run counts as the mean of itself and those next to it.
"""

import numpy as np

from skmixup.design.levels import Floats, Ints
from skmixup.tuning.surface import squares

#: How many runs, itself among them, the loss of a run is the mean of.
N_AVERAGED = 5
#: Fewer runs do not tell noise from a rugged function.
_MIN_RUNS = 14
#: Losses are noisy if close runs differ by so many times what their distances explain.
_UNEXPLAINED = 4.0
#: Close runs are no further apart than this share of what others are.
_CLOSE = 0.3
#: Only so many runs are looked at, those nearest to the best one.
_MAX_COMPARED = 80


def noisy(places: Floats, losses: Floats) -> bool:
    """Whether close runs differ by more than a function without noise would have them.

    Each run is compared with the one next to it. The closest fifth of the pairs is held against
    the two fifths that are furthest apart: differences that are in proportion to distances, or
    smaller, are none of noise. The best run is in no pair: one good place alone is none either.
    """
    told = np.flatnonzero(np.isfinite(losses))
    if len(told) < _MIN_RUNS:
        return False
    best = told[np.argmin(losses[told])]
    others = told[told != best]
    if len(others) > _MAX_COMPARED:
        away = ((places[others] - places[best]) ** 2).sum(axis=1)
        others = others[np.argsort(away, kind="stable")[:_MAX_COMPARED]]
    places, losses = places[others], losses[others]
    gaps = squares(places, places)
    np.fill_diagonal(gaps, np.inf)
    nearest = gaps.argmin(axis=1)
    gaps = np.sqrt(gaps[np.arange(len(gaps)), nearest])
    order = np.argsort(gaps, kind="stable")
    fifth = max(3, len(order) // 5)
    close, far = order[:fifth], order[-2 * fifth :]
    apart = gaps[_middle_one(far)]
    share = gaps[_middle_one(close)] / apart if apart > 0 else 1.0
    if share > _CLOSE:
        return False
    differences = np.abs(losses - losses[nearest])
    explained = share * _median(differences[far])
    return bool(_median(differences[close]) > _UNEXPLAINED * explained)


def _middle_one(indices: Ints) -> int:
    return int(indices[len(indices) // 2])


def _median(values: Floats) -> float:
    """The middle value, the upper one of two: much quicker than numpy's median of few values."""
    return float(np.sort(values)[len(values) // 2])


def averaged(places: Floats, losses: Floats) -> Floats:
    """The losses, each the mean of a run's own and those of the runs next to it."""
    told = np.isfinite(losses)
    known, found = losses[told], losses.copy()
    if len(known) > N_AVERAGED:
        from scipy.spatial import KDTree  # takes longer to import than all else of a sampler

        _, nearest = KDTree(places[told]).query(places[told], k=N_AVERAGED)
        found[told] = known[nearest].mean(axis=1)
    return found

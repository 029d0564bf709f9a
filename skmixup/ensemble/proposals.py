"""Which settings are tried next: a uniform design, then a few near the best of what was tried."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skmixup.design.factors import as_factors
from skmixup.ensemble.settings import Setting
from skmixup.tuning.candidates import first_points, settings_at
from skmixup.tuning.distinct import n_different, new_points
from skmixup.tuning.initial import place_of_setting
from skmixup.tuning.plans import check_runs, varying
from skmixup.tuning.rounds import Box

#: What ``n_runs="auto"`` stands for, where there are not nearly as many parameters.
USUAL_RUNS = 20
#: The share of them that the design has.
SPREAD = 0.6
#: Settings in a round: the surface that proposes them takes turns, four times, between where it is
#: low and where little is known.
ROUND = 4
#: How wide a round looks around the best setting, as a share of all ranges: the first one, and
#: each as a share of the one before.
WIDTH, NARROWER = 0.5, 2 / 3


class Proposals:
    """The estimator's own setting, the rows of a uniform design that complete it, and rounds.

    Parameters
    ----------
    space : mapping of str → list or distribution
    own : dict
        The estimator's own setting, which may lie outside the space.
    n_runs : int or "auto"
        How many settings at the most, the own one included.
    seed : int

    Attributes
    ----------
    settings : list of dict
        Those proposed so far, the own one first.
    n_runs : int
        How many there will be at the most.
    n_spread : int
        How many came before the rounds.
    """

    def __init__(self, space: Mapping[str, Any], own: Setting, n_runs: int | str, seed: int):
        self.settings: list[Setting] = [own]
        self.n_runs = self.n_spread = 1
        self._seed = seed
        self._width = WIDTH
        if not space:
            return
        self._factors = as_factors(space, "param_distributions")
        self._vary = vary = varying(self._factors)
        inside = len(own) == len(space) and place_of_setting(own, self._factors) is not None
        point = place_of_setting(own, vary) if inside else None
        self._points = np.array([] if point is None else [point]).reshape(int(inside), len(vary))
        most = n_different(self._factors.values()) + (not inside)
        self.n_runs = int(min(_checked(n_runs, len(vary), most), most))
        n_first = self.n_runs
        if self.n_runs < most:
            n_first = max(math.ceil(SPREAD * self.n_runs), min(len(vary) + 2, self.n_runs))
        self._add(first_points(vary, n_first - 1, self._points, "CD", seed))
        self.n_spread = len(self.settings)

    def _add(self, points: Any) -> list[Setting]:
        new = settings_at(self._factors, self._vary, points)
        self._points = np.vstack([self._points, points])
        self.settings += new
        return new

    def next_round(self, scores: Sequence[float]) -> list[Setting]:
        """Settings near the best so far, given the scores of all so far; NaN: it failed.

        A surface through the scores says where (:mod:`skmixup.tuning.surface`), in a box that
        becomes narrower with each round. None where all runs are used up.
        """
        n_new = min(ROUND, self.n_runs - len(self.settings))
        if n_new < 1:
            return []
        losses = -np.asarray(scores)[len(self.settings) - len(self._points) :]
        losses = np.where(np.isfinite(losses), losses, np.inf)
        best = int(losses.argmin())
        if not np.isfinite(losses[best]):
            return []
        box = Box(tuple(self._points[best].tolist()), self._width, float(losses[best]))
        self._width *= NARROWER
        kinds = [*self._vary.values()]
        return self._add(new_points(box, self._points, n_new, kinds, "CD", self._seed, losses))


def _checked(n_runs: int | str, n_factors: int, most: float) -> int:
    """How many settings are asked for; a warning where there are fewer."""
    if isinstance(n_runs, str):
        return max(USUAL_RUNS, n_factors + 2)
    if n_factors:
        check_runs(n_runs, n_factors)
    if most < n_runs:
        warnings.warn(
            f"n_runs={n_runs} is more than the {int(most)} different settings of "
            "param_distributions: each of them is tried once",
            UserWarning,
            stacklevel=2,
        )
    return n_runs

"""What comes after the design with ``then="zoom"``: sequential uniform design in an Optuna study.

The workers agree on each round as a whole, box and points, before anybody runs one of its rows;
from then on a row is a row, claimed and retried as those of the design.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from skmixup.design.factors import as_factor
from skmixup.tuning import agreement
from skmixup.tuning.plans import Plan
from skmixup.tuning.points import Floats, PointTable
from skmixup.tuning.rounds import Box, fill_box, next_box, whole_cube
from skmixup.tuning.snapshot import Snapshot

#: Study attributes: one round each.
ROUND = "skmixup:round:"


class StudyZoom:
    """The rounds of one study, as this process knows them.

    Parameters
    ----------
    plan : Plan
        The design, which is round 1.
    points : PointTable
        Where the rows of the design lie.
    retries : int
        How often a failed point is run again.
    """

    def __init__(self, plan: Plan, points: PointTable, retries: int):
        self.plan = plan
        self.points = points
        self.retries = retries
        self.round_size = -(-plan.n_runs // 2)
        self.rounds: list[Mapping[str, Any]] = []

    def claim(self, study: Study, trial: FrozenTrial) -> int:
        """A row for this trial alone, from a new round where the last one is all taken."""
        while True:
            self._read(study)
            row = agreement.claim_row(study, trial, self._open_rows)
            if row is not None:
                return row
            agreement.agree(
                study,
                trial,
                ROUND,
                str(len(self.rounds)),
                lambda _: self._next_round(study),
                distinct=False,
            )

    def _open_rows(self, others: Snapshot) -> list[int]:
        first = self.plan.n_runs
        rows = others.open_rows(self._end(), first, self.retries)
        return [row for row in rows if row >= first]

    def at(self, study: Study, row: int, column: int) -> float:
        """The place of a row in a column, on the unit interval."""
        if row < self.plan.n_runs:
            return self.points.at(row, column)
        if row >= self._end():
            self._read(study)
        index, i = divmod(row - self.plan.n_runs, self.round_size)
        places = self.rounds[index]["points"][i]
        # A parameter that first came up after the round was laid out.
        return float(places[column]) if column < len(places) else self.points.at(row, column)

    def _end(self) -> int:
        return self.plan.n_runs + self.round_size * len(self.rounds)

    def _read(self, study: Study) -> None:
        rounds = agreement.decisions(study, ROUND)
        self.rounds = [rounds[str(k)] for k in range(len(rounds))]

    def _boxes(self, n_factors: int) -> list[Box]:
        before = [np.inf if r["best"] is None else r["best"] for r in self.rounds]
        laid_out = [
            Box(tuple(r["centre"]), r["width"], best)
            for r, best in zip(self.rounds, before, strict=True)
        ]
        same_factors = [b for b in laid_out if len(b.centre) == n_factors]
        return [whole_cube(n_factors), *same_factors]

    def _next_round(self, study: Study) -> dict[str, Any]:
        names = dict(enumerate(self.plan.names or ()))
        if self.plan.names is None:
            names = {c: n for n, c in agreement.decisions(study, agreement.COLUMN).items()}
        runs = Snapshot.of(study).runs
        trials = [trial for trial, _ in runs]
        places = np.array([[self.at(study, row, c) for c in range(len(names))] for _, row in runs])
        losses = _losses(study, trials)
        ordered = [_is_ordered(trials, names[c]) for c in range(len(names))]
        boxes = self._boxes(len(names))
        last = [trial for trial, row in runs if row >= self._end() - self.round_size]
        known = sum(t.state.is_finished() for t in last)
        # With more workers than rows the next round is due before this one has told anything:
        # then its box gets more points before it shrinks.
        box = (
            next_box(places, losses, boxes, ordered) if 2 * known >= self.round_size else boxes[-1]
        )
        new = fill_box(box, places, self.round_size, ordered, self.plan.criterion, self.plan.seed)
        return {
            "centre": list(box.centre),
            "width": box.width,
            "best": box.best_before if np.isfinite(box.best_before) else None,
            "points": np.round(new, 6).tolist(),
        }


def _losses(study: Study, trials: list[FrozenTrial]) -> Floats:
    """What is to be minimised; NaN for trials without a final value."""
    sign = -1.0 if study.directions[0] == StudyDirection.MAXIMIZE else 1.0
    return np.array(
        [
            sign * t.values[0] if t.state == TrialState.COMPLETE and t.values else np.nan
            for t in trials
        ]
    )


def _is_ordered(trials: list[FrozenTrial], name: str) -> bool:
    known = (t.distributions[name] for t in trials if name in t.distributions)
    return all(as_factor(name, distribution).ordered for distribution in known)

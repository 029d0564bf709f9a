"""What comes after the design with ``then="zoom"``: sequential uniform design in an Optuna study.

A round is one point. The workers agree on each round, box and point, before anybody runs its row;
from then on a row is a row, claimed and retried as those of the design.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from skmixup.design.factors import Factor
from skmixup.design.levels import Floats
from skmixup.tuning import agreement
from skmixup.tuning.distinct import n_different, n_left, new_points, with_levels
from skmixup.tuning.evidence import Evidence, StudyEvidence
from skmixup.tuning.history import Reader
from skmixup.tuning.plans import Plan
from skmixup.tuning.points import PointTable
from skmixup.tuning.rounds import PATIENCE, Box, whole_cube
from skmixup.tuning.snapshot import Snapshot
from skmixup.tuning.storage import StudyStorage
from skmixup.tuning.valleys import Valleys, next_look

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
    reader : Reader
        Remembers the study's history.
    declared : mapping of str to distribution, or None
        The sampler's search_space.
    """

    def __init__(
        self,
        plan: Plan,
        points: PointTable,
        retries: int,
        reader: Reader,
        declared: Mapping[str, BaseDistribution] | None = None,
    ):
        self.plan = plan
        self.points = points
        self.retries = retries
        self.reader = reader
        self.evidence = StudyEvidence(self.at, declared)
        self.valleys = Valleys()
        self.rounds: list[Mapping[str, Any]] = []
        #: The first row of each round, and where the rows after the design lie.
        self._starts: list[int] = []
        self._places: list[Sequence[float]] = []
        #: The rounds after each start in the whole space.
        self._rounds_of: list[list[int]] = [[]]
        self._lock = Lock()

    def claim(self, study: Study, trial: FrozenTrial) -> int | None:
        """A row for this trial alone, from a new round where the last one is all taken.

        None where all settings have been run: then there is nothing left to look at.
        """
        while True:
            n_rounds = self._read(study)
            row = agreement.claim_row(study, trial, self.open_rows, self.reader)
            if row is not None:
                return row
            goes_on = self._goes_on(study, Snapshot.of(study, self.reader))
            if not goes_on and self._read(study) == n_rounds:
                return None
            # Where another worker has laid this round out meanwhile, nothing happens here.
            agreement.agree(
                study,
                trial,
                ROUND,
                str(n_rounds),
                lambda _: self._next_round(study),
                distinct=False,
            )

    def has_open(self, study: Study, snapshot: Snapshot) -> bool:
        """Whether one more trial would find something to run, now or in another round."""
        self._read(study)
        return bool(self.open_rows(snapshot)) or self._goes_on(study, snapshot)

    def _goes_on(self, study: Study, snapshot: Snapshot) -> bool:
        """Whether there may be another round: settings that are in none so far."""
        if self.rounds and not self.rounds[-1]["points"]:
            return False
        if not self._settled(snapshot):
            return True
        names = self._names(study)
        kinds = self._kinds(names, self.evidence.factors(snapshot, names))
        # Most spaces have more settings than there ever will be points: no need to count.
        if n_different(kinds) > self._end() + len(snapshot.trials):
            return True
        return n_left(self._evidence(study, snapshot, names).points, kinds) > 0

    def _settled(self, snapshot: Snapshot) -> bool:
        """Whether it is known which parameters there are: a trial that met them has ended."""
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        return self.plan.names is not None or any(t.state in ended for t, _ in snapshot.runs)

    def _evidence(self, study: Study, snapshot: Snapshot, names: Sequence[str]) -> Evidence:
        return self.evidence.at(study, snapshot, names, self._end())

    def open_rows(self, others: Snapshot) -> list[int]:
        """The rows of all rounds that a new trial may run now."""
        first = self.plan.n_runs
        rows = others.open_rows(self._end(), first, self.retries)
        return [row for row in rows if row >= first]

    def at(self, study: Study, row: int, column: int) -> float:
        """The place of a row in a column, on the unit interval."""
        if row < self.plan.n_runs:
            return self.points.at(row, column)
        if row >= self._end():
            self._read(study)
        places = self._places[row - self.plan.n_runs]
        # A parameter that first came up after the round was laid out.
        return float(places[column]) if column < len(places) else self.points.at(row, column)

    def _end(self) -> int:
        return self.plan.n_runs + len(self._places)

    def _read(self, study: Study) -> int:
        """Take over what was agreed on; returns how many rounds there are."""
        attrs = StudyStorage(study).attrs()
        with self._lock:
            while (key := ROUND + str(len(self.rounds))) in attrs:
                new = attrs[key]
                if new.get("cycle", 0) == len(self._rounds_of):
                    self._rounds_of.append([])
                else:
                    self._rounds_of[-1].append(len(self.rounds))
                self._starts.append(self._end())
                self._places += new["points"]
                self.rounds.append(new)
            return len(self.rounds)

    def _names(self, study: Study) -> list[str]:
        """The parameters in the order of their columns."""
        if self.plan.names is not None:
            return list(self.plan.names)
        columns = agreement.decisions(study, agreement.COLUMN)
        return sorted(columns, key=lambda name: int(columns[name]))

    def _kinds(self, names: Sequence[str], factors: Sequence[Factor]) -> list[Factor]:
        """The parameters as the zoom varies them: with the levels that were asked for."""
        return [
            factor if (q := self.plan.levels_of.get(name)) is None else with_levels(factor, q)
            for name, factor in zip(names, factors, strict=True)
        ]

    def _next_round(self, study: Study) -> dict[str, Any]:
        snapshot, names = Snapshot.of(study, self.reader), self._names(study)
        known = self._evidence(study, snapshot, names)
        kinds = self._kinds(names, known.factors)
        cycles = self._cycles(snapshot, len(names))
        n_spread = sum(len(r["points"]) for r in self.rounds if r["width"] == 1.0)
        n_spread += self.plan.n_runs
        box, losses, cycle = next_look(
            known.points, known.losses, cycles, kinds, n_spread, self.valleys
        )
        if not known.feasible:  # Any value will be better than a violated constraint.
            box = replace(box, best_before=np.inf)
        if self._settled(snapshot):
            criterion, seed = self.plan.discrepancy, self.plan.seed
            new = new_points(box, known.points, 1, kinds, criterion, seed, losses)
        else:  # The row lies where the table of the design has it.
            new = np.empty((1, 0))
        return {
            "centre": list(box.centre),
            "width": box.width,
            "best": box.best_before if np.isfinite(box.best_before) else None,
            "cycle": cycle,
            "points": _in_few_digits(new, kinds).tolist(),
        }

    def _cycles(self, snapshot: Snapshot, n_factors: int) -> list[list[Box]]:
        """The boxes from each start in the whole cube to its end; a list for each start.

        Only those that still matter: the last one of each start, and those before the very last
        that are like it, which say how many runs have been in vain, until these are enough.
        """
        cycles = []
        for indices in self._rounds_of:
            # Parameters may have come up since.
            own = (k for k in reversed(indices) if len(self.rounds[k]["centre"]) == n_factors)
            boxes: list[Box] = []
            vain = {False: 0, True: 0}  # by losses, and by places where these are noisy
            for k in own:
                r = self.rounds[k]
                best = np.inf if r["best"] is None else r["best"]
                box = Box(tuple(r["centre"]), r["width"], best, self._told(k, snapshot))
                if boxes:
                    vain = {by: n for by, n in vain.items() if box.is_like(boxes[0], by)}
                if all(n >= PATIENCE for n in vain.values()):
                    break
                boxes.insert(0, box)
                vain = {by: n + box.n_told for by, n in vain.items()}
                if indices is not self._rounds_of[-1]:
                    break
            cycles.append(boxes or [whole_cube(n_factors)])
        return cycles

    def _told(self, k: int, snapshot: Snapshot) -> int:
        """How many runs of a round have ended, failed ones among them."""
        rows = range(self._starts[k], self._starts[k] + len(self.rounds[k]["points"]))
        history = snapshot.history
        ended = sum((row in history.closed) + history.failures.get(row, 0) for row in rows)
        return ended + sum(r in rows and t.state.is_finished() for t, r in snapshot.recent_runs)


def _in_few_digits(points: Floats, factors: Sequence[Factor]) -> Floats:
    """The points as they are stored: rounded, but where that would make another value of them.

    Categories of a zoom are those of design points, and these may lie where two shares meet.
    """
    short = np.round(points, 9)
    for column, exact, factor in zip(short.T, points.T, factors, strict=False):
        for i, u in enumerate(exact.tolist()):
            if factor.n_values and factor.at(u) != factor.at(float(column[i])):
                column[i] = u
    return short

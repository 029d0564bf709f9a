"""What the trials of a study say about where the next round of a zoom should look."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from skmixup.design.factors import Continuum, Factor, as_factor, as_factors
from skmixup.design.levels import Floats
from skmixup.design.places import place_of
from skmixup.tuning.rounds import bounded
from skmixup.tuning.snapshot import Snapshot


@dataclass(frozen=True)
class Evidence:
    """Points that have been run or are being run, and what came out.

    Attributes
    ----------
    points : array (n, s)
        In the unit cube, one column per parameter.
    losses : array (n,)
        To be minimised; NaN before a run has ended, infinite where it ended without a value or
        a constraint is violated.
    factors : list of Factor
    feasible : bool
        Whether any trial keeps all constraints. While none does, losses say by how much they are
        violated.
    """

    points: Floats
    losses: Floats
    factors: list[Factor]
    feasible: bool


Distributions = Mapping[str, BaseDistribution]


@dataclass(frozen=True)
class _Read:
    """What some trials say, read with these marks; nothing in it is ever modified.

    ``own`` and ``others`` hold the last distribution of each parameter, of the trials of the
    study's own design and of other trials; ``moving`` the parameters of which the design's trials
    had several.
    """

    marks: frozenset[str] = frozenset()
    n: int = 0
    own: Distributions = field(default_factory=dict)
    others: Distributions = field(default_factory=dict)
    moving: frozenset[str] = frozenset()

    def read_on(self, snapshot: Snapshot, end: int) -> "_Read":
        """The first ``end`` trials."""
        known = self if self.marks == snapshot.marks else _Read(snapshot.marks)
        if end <= known.n:
            return known
        own, others, moving = dict(known.own), dict(known.others), set(known.moving)
        for trial in snapshot.trials[known.n : end]:
            if snapshot.is_own(trial):
                new = trial.distributions
                moving |= {name for name in new if own.get(name, new[name]) != new[name]}
                own.update(new)
            else:
                others.update(trial.distributions)
        return _Read(snapshot.marks, end, own, others, frozenset(moving))

    def factors(self, names: Sequence[str]) -> list[Factor]:
        """What the parameters are, from the last trial of the study's own design that has them.

        Of one whose range moves from trial to trial it is the place in the range.
        """
        known = {**self.others, **self.own}
        anything = Continuum(0.0, 1.0)
        return [
            as_factor(n, known[n]) if n in known and n not in self.moving else anything
            for n in names
        ]


@dataclass(frozen=True)
class _Results:
    """Where some trials lie, and what came out: an entry for each trial that has a point."""

    points: Floats
    values: Floats  # To be minimised; NaN where there is none.
    violations: Floats
    ended: NDArray[np.bool_]

    @classmethod
    def of(
        cls, trials: Sequence[FrozenTrial], points: Sequence[list[float]], sign: float
    ) -> "_Results":
        """What these trials, at these points, say."""
        values = [
            sign * t.values[0] if t.state == TrialState.COMPLETE and t.values else np.nan
            for t in trials
        ]
        return cls(
            np.array(points, dtype=np.float64),
            np.array(values, dtype=np.float64),
            np.array([_violation(t.system_attrs) for t in trials]),
            np.array([t.state.is_finished() for t in trials], dtype=bool),
        )

    def __add__(self, other: "_Results") -> "_Results":
        parts = ("points", "values", "violations", "ended")
        if not len(other.ended):
            return self
        if not len(self.ended):
            return other
        return _Results(*(np.concatenate([getattr(self, p), getattr(other, p)]) for p in parts))

    def losses(self) -> tuple[Floats, bool]:
        """The losses, and whether any trial keeps all constraints."""
        done = ~np.isnan(self.values)
        feasible = bool((done & (self.violations == 0)).any()) or not done.any()
        losses = np.where(self.violations == 0, bounded(self.values), np.nan)
        losses = np.where(done, losses if feasible else bounded(self.violations), np.inf)
        return np.where(self.ended, np.where(np.isnan(losses), np.inf, losses), np.nan), feasible


class StudyEvidence:
    """What a study says at one moment after another; trials that have ended are read once.

    Parameters
    ----------
    place : callable
        Where a row lies in a column, from (study, row, column).
    declared : mapping of str to distribution, or None
        What the parameters are, whatever wider range an objective may suggest them from.
    """

    def __init__(
        self,
        place: Callable[[Study, int, int], float],
        declared: Distributions | None = None,
    ):
        self._place = place
        self._declared = None if declared is None else as_factors(declared, "search_space")
        self._read = _Read()
        #: What the first trials say, how many they are, and what that depends on.
        self._first: tuple[Hashable, int, _Results] = None, 0, _Results.of([], [], 1.0)

    def factors(self, snapshot: Snapshot, names: Sequence[str]) -> list[Factor]:
        """What the parameters are: as they are declared, or as trials had them."""
        if self._declared is not None:
            return [self._declared[name] for name in names]
        return self._read_all(snapshot).factors(names)

    def _read_all(self, snapshot: Snapshot) -> _Read:
        self._read = read = self._read.read_on(snapshot, snapshot.history.n)
        return read.read_on(snapshot, len(snapshot.trials))

    def at(self, study: Study, snapshot: Snapshot, names: Sequence[str], n_rows: int) -> Evidence:
        """Everything that a study knows, rows of the design and other trials alike.

        Rows below ``n_rows`` that no trial has taken yet are points too, without a loss. Enqueued
        and added trials, and those of other samplers, lie where their parameters do; outside the
        ranges they say nothing here.
        """
        factors = self.factors(snapshot, names)
        moving = frozenset() if self._declared is not None else self._read_all(snapshot).moving

        def row_point(row: int) -> list[float]:
            return [self._place(study, row, column) for column in range(len(names))]

        def look(trials: Sequence[FrozenTrial]) -> _Results:
            rows = [snapshot.row(trial) for trial in trials]
            points = [
                _point(trial, names, factors, moving) if row is None else row_point(row)
                for trial, row in zip(trials, rows, strict=True)
            ]
            sign = -1.0 if study.directions[0] == StudyDirection.MAXIMIZE else 1.0
            kept = [t for t, point in zip(trials, points, strict=True) if point is not None]
            return _Results.of(kept, [point for point in points if point is not None], sign)

        end = snapshot.history.n
        basis = snapshot.marks, tuple(names), repr(factors), moving
        known_basis, n_known, results = self._first
        if known_basis != basis or n_known > end:
            n_known, results = 0, look([])
        results += look(snapshot.trials[n_known:end])
        self._first = basis, end, results
        results += look(snapshot.recent)
        taken = {row for _, row in snapshot.runs}
        untaken = [row_point(row) for row in range(n_rows) if row not in taken]
        losses, feasible = results.losses()
        n_points = len(losses) + len(untaken)
        places = np.append(results.points, np.array(untaken, dtype=np.float64))
        return Evidence(
            places.reshape(n_points, len(names)),
            np.append(losses, np.full(len(untaken), np.nan)),
            factors,
            feasible,
        )


def _point(
    trial: FrozenTrial, names: Sequence[str], factors: Sequence[Factor], moving: Collection[str]
) -> list[float] | None:
    """Where the parameters of a trial without a row lie; None for one that says nothing.

    A parameter that the trial did not come to (conditional ones) lies in the middle, one whose
    range moves where it lies in the trial's own.
    """
    if trial.state != TrialState.COMPLETE or not set(names) & set(trial.params):
        return None
    point = []
    for name, factor in zip(names, factors, strict=True):
        if name in moving and name in trial.params:
            factor = as_factor(name, trial.distributions[name])
        u = place_of(factor, trial.params[name]) if name in trial.params else 0.5
        if u is None:
            return None
        point.append(u)
    return point


def _violation(attrs: Mapping[str, Any]) -> float:
    """By how much a trial violates its constraints; those above zero are violated.

    Optuna keeps them as a list (constraints_func) or, from 5.0 on, under names (set_constraint).
    """
    values = [*(attrs.get("constraints") or ())]
    values += [value for key, value in attrs.items() if key.startswith("constraints:")]
    return float(sum(max(value, 0.0) for value in values))

"""What the trials of a study say about where the next round of a zoom should look."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from skmixup.design.factors import Continuum, Factor, as_factor
from skmixup.design.levels import Floats
from skmixup.design.places import place_of
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

    @classmethod
    def of(
        cls,
        study: Study,
        snapshot: Snapshot,
        names: Sequence[str],
        place: Callable[[int, int], float],
        n_rows: int,
    ) -> "Evidence":
        """Everything that a study knows, rows of the design and other trials alike.

        ``place`` tells where a row lies in a column; rows below ``n_rows`` that no trial has
        taken yet are points too, without a loss. Enqueued and added trials, and those of
        other samplers, lie where their parameters do; outside the ranges they say nothing here.
        """
        factors = study_factors(snapshot, names)
        points, trials = [], []
        for trial in snapshot.trials:
            row = snapshot.row(trial)
            point = (
                _point(trial, names, factors)
                if row is None
                else [place(row, column) for column in range(len(names))]
            )
            if point is not None:
                points.append(point)
                trials.append(trial)
        losses, feasible = _losses(study, trials)
        untaken = sorted({*range(n_rows)} - {row for _, row in snapshot.runs})
        points += [[place(row, column) for column in range(len(names))] for row in untaken]
        losses = np.append(losses, np.full(len(untaken), np.nan))
        places = np.array(points, dtype=np.float64).reshape(len(points), len(names))
        return cls(places, losses, factors, feasible)


def study_factors(snapshot: Snapshot, names: Sequence[str]) -> list[Factor]:
    """What the parameters are, from the last trial of the study's own design that knows them."""
    known: dict[str, BaseDistribution] = {}
    for own in (False, True):
        for trial in snapshot.trials:
            if snapshot.is_own(trial) == own:
                known.update(trial.distributions)
    # Declared ones that no objective has asked for may as well be anything.
    return [as_factor(n, known[n]) if n in known else Continuum(0.0, 1.0) for n in names]


def _point(
    trial: FrozenTrial, names: Sequence[str], factors: Sequence[Factor]
) -> list[float] | None:
    """Where the parameters of a trial without a row lie; None for one that says nothing.

    A parameter that the trial did not come to (conditional ones) lies in the middle.
    """
    if trial.state != TrialState.COMPLETE or not set(names) & set(trial.params):
        return None
    point = []
    for name, factor in zip(names, factors, strict=True):
        u = place_of(factor, trial.params[name]) if name in trial.params else 0.5
        if u is None:
            return None
        point.append(u)
    return point


def _losses(study: Study, trials: Sequence[FrozenTrial]) -> tuple[Floats, bool]:
    sign = -1.0 if study.directions[0] == StudyDirection.MAXIMIZE else 1.0
    complete = [t.state == TrialState.COMPLETE and bool(t.values) for t in trials]
    losses = np.array(
        [sign * t.values[0] if ok else np.nan for t, ok in zip(trials, complete, strict=True)]
    )
    violations = np.array([_violation(t.system_attrs) for t in trials])
    done = np.array(complete, dtype=bool)
    ended = np.array([t.state.is_finished() for t in trials], dtype=bool)
    feasible = bool((done & (violations == 0)).any()) or not done.any()
    losses = np.where(violations == 0, losses, np.nan) if feasible else violations
    losses = np.where(done & ~np.isnan(losses), losses, np.inf)
    return np.where(ended, losses, np.nan), feasible


def _violation(attrs: Mapping[str, Any]) -> float:
    """By how much a trial violates its constraints; those above zero are violated.

    Optuna keeps them as a list (constraints_func) or, from 5.0 on, under names (set_constraint).
    """
    values = [*(attrs.get("constraints") or ())]
    values += [value for key, value in attrs.items() if key.startswith("constraints:")]
    return float(sum(max(value, 0.0) for value in values))

"""What is told when a design ends: points left to others, settings and names that do not fit."""

import logging
import time
import warnings
from collections.abc import Collection, Iterable

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from skmixup.design.factors import Factor
from skmixup.design.places import n_different_values
from skmixup.design.settings import level_key
from skmixup.tuning.few_values import number_of_values
from skmixup.tuning.marks import has_heartbeat, start_of
from skmixup.tuning.plans import Plan
from skmixup.tuning.snapshot import Snapshot

logger = logging.getLogger(__name__)


def tell_unnoticed(
    study: Study, plan: Plan, pending: Iterable[FrozenTrial], started: Collection[int]
) -> bool:
    """Say which points are left to other workers whose death nobody would notice; whether any is.

    A warning where one of them runs for longer than any trial did so far. Otherwise, as at the end
    of every healthy run, and for trials that this process has asked for (``started``), a line in
    the log.
    """
    unnoticed = [trial for trial in pending if not has_heartbeat(trial)]
    if not unnoticed:
        return False
    numbers = sorted(trial.number for trial in unnoticed)
    text = (
        f"study {study.study_name!r}: {len(numbers)} of the {plan.n_runs} points of the design "
        f"are still being run, by trials {numbers}. A worker started later runs those that fail "
        "once more; but where a worker has died its trial stays 'running' for ever, as these "
        "trials have no heartbeat. Start a worker with stale_after=seconds (longer than any trial "
        "takes), or call study.tell(number, state=TrialState.FAIL)"
    )
    others = [trial for trial in unnoticed if trial.number not in started]
    longest = _longest(Snapshot.of(study))
    if any(_age(trial) > longest for trial in others):
        warnings.warn(text, UserWarning, stacklevel=2)
    else:
        logger.warning(text)
    return True


def _age(trial: FrozenTrial) -> float:
    start = start_of(trial)
    return float("inf") if start is None else time.time() - start


def _longest(snapshot: Snapshot) -> float:
    """Seconds that the longest of the design's finished trials took."""
    times = [
        (trial.datetime_complete - trial.datetime_start).total_seconds()
        for trial, _ in snapshot.runs
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        and trial.datetime_complete is not None
        and trial.datetime_start is not None
    ]
    return max(times, default=0.0)


def tell_left_out(name: str, factor: Factor, n_levels: int | None, stacklevel: int) -> None:
    """Say that levels leave out values that one would take them for, so that these never run.

    A category has more choices than levels; or logarithmic integers, of which the first have the
    largest shares, have as many levels as values, and several of them are one value.
    """
    if n_levels is None:
        return
    message, n_values = "", n_different_values(factor)
    if not factor.ordered and n_values > n_levels:
        message = (
            f"n_levels={n_levels} is fewer than the {factor.n_values} choices of {name!r}, of "
            f"which the others are never run: give each parameter its own, as n_levels={{{name!r}:"
            f" {factor.n_values}, …}}"
        )
    elif n_levels >= n_values > (n_run := number_of_values(factor, n_levels)):
        message = (
            f"n_levels={n_levels} runs {n_run} of the {n_values} values of {name!r}, as levels "
            "are equal parts of its logarithm: without log=True, or as a category, it "
            "has a level for each"
        )
    if message:
        warnings.warn(message, UserWarning, stacklevel=stacklevel + 1)


def tell_about_names(plan: Plan, snapshot: Snapshot) -> None:
    """Say what could not be known at the start: names that never came up, settings run again."""
    names = {name for trial in snapshot.trials for name in trial.params}
    unused = [name for name in plan.levels_of if name not in names]
    if unused:
        warnings.warn(
            f"n_levels names {unused}, but no trial has suggested a parameter of that name: the "
            f"parameters were {sorted(names)}",
            UserWarning,
            stacklevel=2,
        )
    never = [name for name in plan.names or () if name not in names]
    if never and names:
        logger.warning(
            "search_space declares %s, but no trial has suggested a parameter of that name. The "
            "parameters were %s, and points that differ in nothing of these were the same",
            never,
            sorted(names),
        )
    runs = [
        frozenset((name, level_key(value)) for name, value in trial.params.items())
        for trial, row in snapshot.runs
        if plan.names is None and row < plan.n_runs and trial.state != TrialState.FAIL
    ]
    n_again = len([run for run in runs if run]) - len({run for run in runs if run})
    if n_again:
        logger.warning(
            "%d of the %d points had the setting of another one, as the parameters %s have few "
            "values. With a declared search_space no setting is run again",
            n_again,
            plan.n_runs,
            sorted(names),
        )

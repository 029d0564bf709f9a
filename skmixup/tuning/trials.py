"""How the trials of an Optuna study run the rows of a design."""

import logging
import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from itertools import count
from numbers import Real
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.exceptions import TrialPruned
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from skmixup.design.factors import as_factor
from skmixup.design.levels import cell, middle
from skmixup.design.settings import plain
from skmixup.quiet import ignoring
from skmixup.tuning import agreement, loops, publishing
from skmixup.tuning.notices import tell_left_out
from skmixup.tuning.plans import Plan
from skmixup.tuning.rows import EXTRA, StudyRows
from skmixup.tuning.snapshot import Snapshot, is_enqueued
from skmixup.tuning.storage import StudyStorage
from skmixup.tuning.successors import after_any_trial, join_first_generation, samplers_within

logger = logging.getLogger(__name__)

_DEFAULT_RETRIES = 5


class DesignExhausted(TrialPruned):
    """Every point of the design is run or being run: there is none left for this trial.

    Inside ``study.optimize`` it ends the trial as pruned, and the study stops. ``study.ask()``
    raises it, which is how an ask-and-tell loop learns that the design is finished.
    """


class DesignSampler(BaseSampler):
    """Trials take the rows of a design; subclasses say which design."""

    def __init__(
        self,
        search_space: Mapping[str, BaseDistribution] | None,
        plan: Plan,
        then: str | BaseSampler | None,
        retry_failed: bool | int,
        stale_after: float | None,
    ):
        if then not in (None, "augment", "zoom") and not isinstance(then, BaseSampler):
            raise ValueError(
                f"then={then!r} must be None, 'augment', 'zoom' or an Optuna sampler instance"
            )
        if isinstance(then, BaseSampler) and _has_design(then):
            raise ValueError(
                f"then={then!r} is another design, or is built on one, but a study has one "
                "design: use 'augment' for more points of it, or another study"
            )
        retry_failed = plain(retry_failed)
        if not isinstance(retry_failed, int) or retry_failed < 0:
            raise ValueError(
                f"retry_failed={retry_failed!r} must be True, False or how often a point is run "
                "again"
            )
        seconds = isinstance(stale_after, Real) and not isinstance(stale_after, bool)
        if stale_after is not None and not (seconds and stale_after > 0):
            raise ValueError(f"stale_after={stale_after!r} must be None or seconds, more than 0")
        self._space = None if search_space is None else dict(search_space)
        self._plan = plan
        # Where all settings are run there are no points left that would complete the design.
        self._then = None if then == "augment" and plan.all_settings else then
        self._successor = then if isinstance(then, BaseSampler) else None
        self._retries = _DEFAULT_RETRIES if retry_failed is True else int(retry_failed)
        self._stale_after = stale_after
        self._forget()

    def _forget(self) -> None:
        self._studies: WeakKeyDictionary[Any, dict[Hashable, StudyRows]] = WeakKeyDictionary()
        #: The study objects that have asked for trials here.
        self._clients: WeakSet[Study] = WeakSet()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_studies", "_clients")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def reseed_rng(self) -> None:
        """Reseed the sampler that takes over; a design has no random number generator.

        ``study.optimize(n_jobs=…)`` calls this in each thread of its pool before it makes a trial,
        which is the time to wait for the last points, and not to make one where none is left.
        """
        loops.enter_pool()
        if self._successor is not None:
            self._successor.reseed_rng()
        elif loops.in_pool():
            with loops.LOCK:
                clients = list(self._clients)
            for study in clients:
                if loops.in_optimize(study):
                    self._stop_if_finished(study)
        loops.enter_trial()

    def _stop_if_finished(self, study: Study, wait: bool = True) -> None:
        """Before a trial is made: stop the study where it would find no point."""
        if self._then not in (None, "zoom"):
            return
        known = self._design(study, starting=True)
        if not known.wait_for_work(study) if wait else known.nothing_open(study) == {}:
            study.stop()

    # Which row a trial runs.

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Take a row for the trial."""
        with loops.LOCK:
            self._clients.add(loops.whole_study(study))
        loops.call_at_start(study, _stop_if_finished)
        try:
            self._begin(study, trial, self._design(study, starting=True))
        except BaseException:
            # Optuna has made the trial and would leave it running, its point closed, for ever.
            StudyStorage(study).finish(trial, TrialState.FAIL)
            raise

    def _begin(self, study: Study, trial: FrozenTrial, known: StudyRows) -> None:
        known.pool.begin(trial)
        asked = not loops.in_optimize(study)
        if asked:
            known.batches.ask(study)
        row = known.row(study, trial)
        if self._is_successors(study, trial):
            assert self._successor is not None
            self._successor.before_trial(study, trial)
        elif self._successor is not None:
            join_first_generation(self._successor, study, trial)
        elif row is None and not is_enqueued(trial):
            self._refuse(study, trial, known, asked)
        loops.first_heartbeat(study, trial)

    def _refuse(self, study: Study, trial: FrozenTrial, known: StudyRows, asked: bool) -> None:
        """There is nothing to run: stop the study, or tell whoever asked."""
        if not asked:
            known.refused.add(trial.number)
            if not loops.is_stopped(study):
                known.warn_unnoticed(study, known.nothing_open(study) or {})
                study.stop()
        elif known.batches.amid() and not known.all_run:
            StudyStorage(study).set_trial_attr(trial, EXTRA, True)
            known.remember(trial, trial.number)
        else:  # Nobody else will finish the trial.
            StudyStorage(study).finish(trial, TrialState.PRUNED)
            raise self._exhausted(study)

    def _exhausted(self, study: Study) -> DesignExhausted:
        running = Snapshot.of(study).unfinished(self._plan.n_runs).values()
        numbers = sorted(trial.number for trial in running)
        return DesignExhausted(
            f"all {self._plan.n_runs} points of the design are taken"
            + (
                f", {len(numbers)} of them are still running, in trials {numbers}. Where their "
                "workers have died: study.tell(number, state=TrialState.FAIL), or stale_after"
                if numbers
                else ""
            )
        )

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Stop the study where the design is finished and nothing comes after it."""
        known = self._design(study)
        known.rows.pop(trial.number, None)
        if trial.number in known.refused:
            known.refused.discard(trial.number)
            if state == TrialState.COMPLETE and isinstance(values, list):
                self._make_worst(study, trial, values)
        in_optimize = loops.in_optimize(study)
        if not in_optimize:
            known.batches.tell(study)
        if self._successor is not None:
            after_any_trial(self._successor, study, trial, state, values)
        elif self._then != "augment" and in_optimize and known.ends_with(study, trial, state):
            study.stop()  # In ask-and-tell loops the next ask raises DesignExhausted.

    @staticmethod
    def _make_worst(study: Study, trial: FrozenTrial, values: list[float]) -> None:
        """Keep a trial that had nothing to run from becoming the best one.

        An objective that catches every exception, or suggests nothing, returns a value all the
        same, and Optuna completes the trial with it: with these very numbers.
        """
        worst = [
            -math.inf if direction == StudyDirection.MAXIMIZE else math.inf
            for direction in study.directions
        ]
        logger.warning(
            "study %r: trial %d had no point of the design to run, yet the objective returned %s; "
            "%s is stored instead, so that it is never the best. Let optuna.TrialPruned pass",
            study.study_name,
            trial.number,
            values,
            worst,
        )
        values[:] = worst

    # What a row means for a parameter.

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The declared parameters with more than one value."""
        self._design(study)
        if self._is_successors(study, trial):
            assert self._successor is not None
            return self._successor.infer_relative_search_space(study, trial)
        return {n: d for n, d in (self._space or {}).items() if not d.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The row's values of all parameters of the search space."""
        if self._is_successors(study, trial):
            assert self._successor is not None
            return self._successor.sample_relative(study, trial, search_space)
        return {name: self._value(study, trial, name, d) for name, d in search_space.items()}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The row's value of one parameter, which takes a free column at first sight."""
        if self._is_successors(study, trial):
            assert self._successor is not None
            return self._successor.sample_independent(study, trial, param_name, param_distribution)
        declared = (self._space or {}).get(param_name, param_distribution)
        if param_distribution != declared and param_distribution != _made_again(declared):
            raise ValueError(
                f"parameter {param_name!r} is suggested from {param_distribution}, but the "
                f"sampler's search_space declares {declared}"
            )
        return self._value(study, trial, param_name, param_distribution)

    def _is_successors(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial belongs to the sampler that comes after the design."""
        return (
            self._successor is not None
            and trial.number >= self._plan.n_runs
            and self._design(study).row(study, trial) is None
        )

    def _value(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        factor = as_factor(name, distribution)
        if factor.n_values == 1:
            return factor.at(0.0)
        known = self._design(study)
        row = known.row(study, trial)
        if row is None:
            if not is_enqueued(trial) and self._successor is None:
                raise self._exhausted(study)
            # What the user left open in an enqueued trial: any row will do, it does not count.
            row = trial.number % self._plan.n_runs
        q = self._plan.levels_of.get(name)
        if name not in known.columns:
            check_choices(name, distribution)
            each = self._plan.n_levels
            tell_left_out(name, factor, each if isinstance(each, int) else q, stacklevel=2)
        column = self._column(study, trial, name, known)
        if self._then == "zoom" and row >= self._plan.n_runs:
            u = known.zoom.at(study, row, column)
        else:
            u = known.points.at(row, column)
        return factor.at(u if q is None else middle(cell(u, q), q))

    def _column(self, study: Study, trial: FrozenTrial, name: str, known: StudyRows) -> int:
        if name in known.columns:
            return known.columns[name]
        if self._space is not None:
            raise ValueError(
                f"parameter {name!r} is not in the sampler's search_space, which has "
                f"{list(self._space)}. Declare it there, or leave search_space out: then every "
                "parameter takes a free column of the design when it is first suggested"
            )
        column = int(
            agreement.agree(study, trial, agreement.COLUMN, name, _first_free, distinct=True)
        )
        publishing.share_columns(study, known.points, range(column + 1))
        known.columns[name] = column
        return column

    # The design that all workers of the study share.

    def _design(self, study: Study, starting: bool = False) -> StudyRows:
        """The rows of this study; ``starting`` looks whether it is still the same study."""
        storage, study_id = StudyStorage(study).place
        with loops.LOCK:
            known = self._studies.setdefault(storage, {}).get(study_id)
        # Is it another study by now, which was made under the id of one that was deleted?
        if known is None or (starting and known.mark and not known.belongs_to(study)):
            known = self._new_design(study, known)
        known.join(study)
        return known

    def _new_design(self, study: Study, old: StudyRows | None) -> StudyRows:
        if self._then == "zoom" and len(study.directions) > 1:
            raise ValueError(
                "then='zoom' needs one objective: with several there is no best trial to zoom "
                "in on"
            )
        then = "sampler" if self._successor is not None else self._then
        assert then is None or isinstance(then, str)
        new = StudyRows(self._plan, self._retries, self._stale_after, then, self._space)
        storage, study_id = StudyStorage(study).place
        with loops.LOCK:  # All threads use the same one.
            studies = self._studies[storage]
            if studies.get(study_id) is old:
                studies[study_id] = new
            return studies[study_id]


def check_choices(name: str, distribution: BaseDistribution) -> None:
    """Raise ValueError for choices that Optuna stores as an equal one: of True and 1 the first."""
    for index, choice in enumerate(getattr(distribution, "choices", ())):
        stored = int(distribution.to_internal_repr(choice))
        if stored != index:
            first = distribution.to_external_repr(stored)
            raise ValueError(
                f"parameter {name!r} has the choices {first!r} and {choice!r}, which are equal: "
                f"Optuna would store every trial with the second as one with {first!r}. Write "
                "them as strings, or leave one out"
            )


def _made_again(distribution: BaseDistribution) -> BaseDistribution:
    """What ``suggest_float(name, d.low, d.high, step=d.step)`` makes of a distribution ``d``.

    Of steps of a third it may have one less: Optuna rounds the end down again, by a last digit.
    """
    with ignoring():  # Optuna's, which whoever made it has heard
        return json_to_distribution(distribution_to_json(distribution))


def _first_free(taken: Collection[Any]) -> int:
    return next(column for column in count() if column not in taken)


def _has_design(sampler: BaseSampler) -> bool:
    return any(isinstance(part, DesignSampler) for part in samplers_within(sampler))


def _stop_if_finished(study: Study) -> None:
    """``study.optimize`` begins: one that is finished gains nothing, not even an empty trial."""
    for sampler in samplers_within(study.sampler):
        if isinstance(sampler, DesignSampler):
            # A thread of a pool, which is only known as one later, waits for the others later.
            sampler._stop_if_finished(study, wait=not loops.may_enter_pool())

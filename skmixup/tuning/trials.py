"""How the trials of an Optuna study run the rows of a design."""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from copy import copy
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from optuna.distributions import BaseDistribution
from optuna.exceptions import TrialPruned
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from skmixup.design.factors import as_factor, bin_of
from skmixup.tuning import agreement
from skmixup.tuning.plans import Plan
from skmixup.tuning.zoom import StudyZoom

_MAX_MEMO = 10_000
_DEFAULT_RETRIES = 5


class DesignExhausted(TrialPruned):
    """Every point of the design is run or being run: there is none left for this trial.

    Inside ``study.optimize`` it ends the trial as pruned, and the study stops. ``study.ask()``
    raises it, which is how an ask-and-tell loop learns that the design is through.
    """


class _StudyDesign:
    """What this process knows about one study; all of it can be found again in the storage."""

    def __init__(self, plan: Plan, retries: int):
        self.points = plan.table()
        self.zoom = StudyZoom(plan, self.points, retries)
        self.columns = {name: column for column, name in enumerate(plan.names or ())}
        self.verified = False
        self.through = False
        #: The row of each trial under way, or None for a trial without one.
        self.rows: OrderedDict[int, int | None] = OrderedDict()


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
        if not isinstance(retry_failed, int) or retry_failed < 0:
            raise ValueError(
                f"retry_failed={retry_failed!r} must be True, False or how often a point is run "
                "again"
            )
        if stale_after is not None and not stale_after > 0:
            raise ValueError(f"stale_after={stale_after!r} must be None or seconds, more than 0")
        self._space = None if search_space is None else dict(search_space)
        self._plan = plan
        self._then = then
        self._successor = then if isinstance(then, BaseSampler) else None
        self._retries = _DEFAULT_RETRIES if retry_failed is True else int(retry_failed)
        self._stale_after = stale_after
        self._studies: WeakKeyDictionary[Any, dict[int, _StudyDesign]] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_studies": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._studies = WeakKeyDictionary()

    def reseed_rng(self) -> None:
        """Reseed the sampler that takes over; a design has no random number generator."""
        if self._successor is not None:
            self._successor.reseed_rng()

    # Which row a trial runs.

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Take a row for the trial."""
        if self._is_successors(study, trial):
            assert self._successor is not None
            self._successor.before_trial(study, trial)
        elif self._row(study, trial) is None and not agreement.is_enqueued(trial):
            self._refuse(study, trial)

    def _refuse(self, study: Study, trial: FrozenTrial) -> None:
        try:
            study.stop()
        except RuntimeError:  # Not inside study.optimize: nobody else will finish the trial.
            agreement.finish(study._storage, trial._trial_id, TrialState.PRUNED)
            raise self._exhausted(study) from None

    def _exhausted(self, study: Study) -> DesignExhausted:
        running = len(agreement.unfinished_rows(agreement.all_trials(study), self._plan.n_runs))
        return DesignExhausted(
            f"all {self._plan.n_runs} points of the design are taken"
            + (f", {running} of them are still running" if running else "")
        )

    def _row(self, study: Study, trial: FrozenTrial) -> int | None:
        """The row this trial runs; None for an enqueued trial and after the design."""
        known = self._design(study)
        if trial._trial_id in known.rows:
            return known.rows[trial._trial_id]
        row = self._take_row(study, trial, known)
        known.rows[trial._trial_id] = row
        while len(known.rows) > _MAX_MEMO:
            known.rows.popitem(last=False)
        return row

    def _take_row(self, study: Study, trial: FrozenTrial, known: _StudyDesign) -> int | None:
        storage = study._storage
        if agreement.is_enqueued(trial):
            return None
        row = storage.get_trial_system_attrs(trial._trial_id).get(agreement.ROW)
        if row is not None:  # Set by this sampler, or copied by Optuna's retry callback.
            others = [t for t in agreement.all_trials(study) if t._trial_id != trial._trial_id]
            if not agreement.holders(others, row):
                return int(row)
            storage.set_trial_system_attr(trial._trial_id, agreement.ROW, None)
            return None
        if trial.number < self._plan.n_runs:
            storage.set_trial_system_attr(trial._trial_id, agreement.ROW, trial.number)
            return trial.number
        if not known.through:
            row = self._claim_open_row(study, trial, known)
        if row is None and self._then == "augment":
            # Row k for number k: nothing to agree on, nothing to count.
            row = trial.number
            storage.set_trial_system_attr(trial._trial_id, agreement.ROW, row)
        elif row is None and self._then == "zoom":
            row = known.zoom.claim(study, trial)
        return row

    def _claim_open_row(self, study: Study, trial: FrozenTrial, known: _StudyDesign) -> int | None:
        if self._stale_after is not None:
            # The trial's own start, because it comes from the same clock as the others'.
            agreement.fail_stale(study, trial.datetime_start, self._stale_after)
        n_runs = self._plan.n_runs
        last: list[FrozenTrial] = []

        def choose(trials: list[FrozenTrial]) -> list[int]:
            last[:] = trials
            return agreement.open_rows(trials, n_runs, n_runs, self._retries)

        row = agreement.claim_row(study, trial, choose)
        if row is None:
            known.through = not any(r < n_runs for r in agreement.unfinished_rows(last, n_runs))
        return row

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Stop the study where the design is through and nothing comes after it."""
        known = self._design(study)
        row = known.rows.pop(trial._trial_id, None)
        if self._successor is not None:
            if row is None and trial.number >= self._plan.n_runs:
                self._successor.after_trial(study, trial, state, values)
        elif self._then is None and not self._rows_left(study, trial, state):
            with suppress(RuntimeError):  # Ask-and-tell: the next ask raises DesignExhausted.
                study.stop()

    def _rows_left(self, study: Study, trial: FrozenTrial, state: TrialState) -> bool:
        """Whether one more trial would find a row, once this one has ended in ``state``."""
        n_runs = self._plan.n_runs
        try:
            study._storage.get_trial_id_from_study_id_trial_number(study._study_id, n_runs - 1)
        except KeyError:
            return True
        trials = agreement.all_trials(study)
        if any(t.state == TrialState.WAITING for t in trials):
            return True
        if state == TrialState.FAIL:
            trials = [_as_failed(t) if t._trial_id == trial._trial_id else t for t in trials]
        return bool(agreement.open_rows(trials, n_runs, n_runs, self._retries))

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
        if param_distribution != declared:
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
            and self._row(study, trial) is None
        )

    def _value(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        factor = as_factor(name, distribution)
        if factor.n_values == 1:
            return factor.at(0.0)
        known = self._design(study)
        row = self._row(study, trial)
        if row is None:
            if not agreement.is_enqueued(trial) and self._successor is None:
                raise self._exhausted(study)
            # What the user left open in an enqueued trial: any row will do, it does not count.
            row = trial.number % self._plan.n_runs
        column = self._column(study, trial, name, known)
        if self._then == "zoom" and row >= self._plan.n_runs:
            u = known.zoom.at(study, row, column)
        else:
            u = known.points.at(row, column)
        q = self._plan.coarse.get(name)
        return factor.at(u if q is None else (bin_of(u, q) + 0.5) / q)

    def _column(self, study: Study, trial: FrozenTrial, name: str, known: _StudyDesign) -> int:
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
        agreement.share_columns(study, known.points, range(column + 1))
        known.columns[name] = column
        return column

    # The design that all workers of the study share.

    def _design(self, study: Study) -> _StudyDesign:
        studies = self._studies.setdefault(study._storage, {})
        known = studies.get(study._study_id)
        if known is None or not known.verified:
            if known is None and self._then == "zoom" and len(study.directions) > 1:
                raise ValueError(
                    "then='zoom' needs one objective: with several there is no best trial to zoom "
                    "in on"
                )
            known = known or _StudyDesign(self._plan, self._retries)
            known.verified = agreement.join(study, self._plan, known.points)
            studies[study._study_id] = known
        return known


def _first_free(taken: Collection[Any]) -> int:
    return next(column for column in count() if column not in taken)


def _as_failed(trial: FrozenTrial) -> FrozenTrial:
    failed = copy(trial)
    failed.state = TrialState.FAIL
    return failed

"""What the trials of a study say about the rows of its design, at one moment."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from skmixup.tuning.history import History, Reader
from skmixup.tuning.marks import ROW, has_mark, row_in, study_marks
from skmixup.tuning.storage import StudyStorage


def is_enqueued(trial: FrozenTrial) -> bool:
    """Whether the user fixed the trial's parameters."""
    return "fixed_params" in trial.system_attrs


@dataclass(frozen=True)
class Snapshot:
    """Trials as the storage has them, by number and not to be modified, and the marks that count.

    ``history`` is what the first of them say; it saves reading them again.
    """

    trials: Sequence[FrozenTrial]
    marks: frozenset[str]
    history: History = field(default_factory=History)

    @classmethod
    def of(cls, study: Study, reader: Reader | None = None) -> "Snapshot":
        """The study as it is now."""
        trials = StudyStorage(study).trials()
        # After the trials: the mark of every trial that was read is in the study by now.
        marks = study_marks(study)
        return cls(trials, marks, (reader or Reader()).read(trials, marks))

    def without(self, trial: FrozenTrial) -> "Snapshot":
        """All other trials; this one has not ended."""
        others = [t for t in self.recent if t.number != trial.number]
        return replace(self, trials=[*self.trials[: self.history.n], *others])

    def ended(self, trial: FrozenTrial, state: TrialState) -> "Snapshot":
        """The study once this trial, which has not ended, will have ended in ``state``."""
        final = [_in_state(t, state) if t.number == trial.number else t for t in self.recent]
        return replace(self, trials=[*self.trials[: self.history.n], *final])

    def row(self, trial: FrozenTrial) -> int | None:
        """The row that a trial runs or has run."""
        return row_in(trial.system_attrs, self.marks)

    def is_own(self, trial: FrozenTrial) -> bool:
        """Whether a sampler of this study's design started the trial."""
        return has_mark(trial.system_attrs, self.marks)

    @cached_property
    def recent(self) -> Sequence[FrozenTrial]:
        """The trials after those of the history, the first of which has not ended."""
        return self.trials[self.history.n :]

    @cached_property
    def recent_runs(self) -> list[tuple[FrozenTrial, int]]:
        """The recent trials with a row, and the row."""
        rows = ((trial, self.row(trial)) for trial in self.recent)
        return [(trial, row) for trial, row in rows if row is not None]

    @cached_property
    def runs(self) -> list[tuple[FrozenTrial, int]]:
        """The trials with a row, and the row."""
        return [*self.history.runs, *self.recent_runs]

    def holders(self, row: int) -> list[FrozenTrial]:
        """The trials that run or have finished a row."""
        runs = self.runs if row in self.history.closed else self.recent_runs
        return [t for t, r in runs if r == row and t.state != TrialState.FAIL]

    def open_rows(self, n_rows: int, n_runs: int, retries: int) -> list[int]:
        """The rows that a new trial may run now.

        A row is closed while a trial runs it, when one has finished it (completed or pruned),
        while the trial with the row's number is just starting, and after more than ``retries``
        failures.
        """
        closed = {trial.number for trial in self.starting(n_runs)}
        failures = dict(self.history.failures)
        for trial, row in self.recent_runs:
            if trial.state == TrialState.FAIL:
                failures[row] = failures.get(row, 0) + 1
            else:
                closed.add(row)
        closed |= {row for row, n in failures.items() if n > retries}
        done = self.history.closed
        return [r for r in range(n_rows) if r not in done and r not in closed]

    def skipped(self, n_runs: int) -> list[int]:
        """The rows from ``n_runs`` on that no trial has had, nor will that of their number."""
        had = {row for _, row in self.runs}
        ended = (t.number for t in self.trials if t.number >= n_runs and t.state.is_finished())
        return [number for number in ended if number not in had]

    def skipping(self, n_runs: int) -> bool:
        """Whether a trial that has not ended skips the row of its number, from ``n_runs`` on."""
        going = (t for t in self.recent if t.number >= n_runs and not t.state.is_finished())
        return any(is_enqueued(t) or self.row(t) not in (None, t.number) for t in going)

    def starting(self, n_runs: int) -> list[FrozenTrial]:
        """Trials that have been given the number of a row, and are about to write it down."""
        return [t for t in self.recent if t.number < n_runs and _is_starting(t)]

    def unfinished(self, n_runs: int) -> dict[int, FrozenTrial]:
        """The trials that run a row now, by row; those that are starting among them."""
        starting = {t.number: t for t in self.starting(n_runs)}
        return starting | {r: t for t, r in self.recent_runs if not t.state.is_finished()}


def _is_starting(trial: FrozenTrial) -> bool:
    has_row = trial.system_attrs.get(ROW) is not None
    return not (trial.state.is_finished() or has_row or is_enqueued(trial))


def _in_state(trial: FrozenTrial, state: TrialState) -> FrozenTrial:
    changed = copy(trial)
    changed.state = state
    return changed

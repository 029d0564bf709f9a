"""What the first trials of a study have run, as far as all of them have ended: it never changes.

A look at a study of many trials then costs what is new since the last look.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from optuna.trial import FrozenTrial, TrialState

from skmixup.tuning.marks import row_in


@dataclass(frozen=True)
class History:
    """The first ``n`` trials, all of which have ended, read with the marks that count.

    Nothing in it is ever modified, so that threads may share it.

    Attributes
    ----------
    marks : frozenset of str
    n : int
    runs : list of (FrozenTrial, int)
        The trials with a row, and the row.
    closed : frozenset of int
        The rows that one of them has completed or pruned.
    failures : mapping of int → int
        How often a row has failed.
    """

    marks: frozenset[str] = frozenset()
    n: int = 0
    runs: Sequence[tuple[FrozenTrial, int]] = ()
    closed: frozenset[int] = frozenset()
    failures: Mapping[int, int] = field(default_factory=dict)

    def read_on(self, trials: Sequence[FrozenTrial], marks: frozenset[str]) -> "History":
        """The history of these trials, of which it knows the first ones if marks are the same."""
        known = self if marks == self.marks else History(marks)
        end = known.n
        while end < len(trials) and trials[end].state.is_finished():
            end += 1
        if end == known.n:
            return known
        rows = ((trial, row_in(trial.system_attrs, marks)) for trial in trials[known.n : end])
        new = [(trial, row) for trial, row in rows if row is not None]
        failures = dict(known.failures)
        for trial, row in new:
            if trial.state == TrialState.FAIL:
                failures[row] = failures.get(row, 0) + 1
        closed = {row for trial, row in new if trial.state != TrialState.FAIL}
        return History(marks, end, [*known.runs, *new], known.closed | closed, failures)


class Reader:
    """Remembers the history of one study from one look to the next."""

    def __init__(self) -> None:
        self.history = History()

    def read(self, trials: Sequence[FrozenTrial], marks: frozenset[str]) -> History:
        """The history of the trials as they are now."""
        self.history = history = self.history.read_on(trials, marks)
        return history

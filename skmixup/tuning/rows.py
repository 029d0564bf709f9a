"""The rows of one study's design, as one process hands them out to trials."""

import time
from collections import OrderedDict
from collections.abc import Mapping

from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from skmixup.tuning import agreement, loops, publishing
from skmixup.tuning.batches import AskBatches
from skmixup.tuning.history import Reader
from skmixup.tuning.marks import ROW, counts_in, row_in, set_mark, study_marks
from skmixup.tuning.notices import tell_about_names, tell_unnoticed
from skmixup.tuning.plans import Plan
from skmixup.tuning.snapshot import Snapshot, is_enqueued
from skmixup.tuning.stale import StaleTrials
from skmixup.tuning.storage import StudyStorage
from skmixup.tuning.zoom import StudyZoom

#: Trial attribute: the trial fills up a batch, with a point that completes the design.
EXTRA = "skmixup:extra"
_MAX_MEMO = 10_000
_LONGEST_PAUSE = 5.0  # seconds between two looks at what others run


class StudyRows:
    """What this process knows about one study; all of it can be found again in the storage.

    Parameters
    ----------
    plan : Plan
        The design.
    retries : int
        How often a failed point is run again.
    stale_after : float or None
        Seconds after which a running trial counts as dead.
    then : {None, "augment", "zoom", "sampler"}
        What follows the design.
    declared : mapping of str to distribution, or None
        The sampler's search_space.
    """

    def __init__(
        self,
        plan: Plan,
        retries: int,
        stale_after: float | None,
        then: str | None,
        declared: Mapping[str, BaseDistribution] | None = None,
    ):
        self.plan = plan
        self.retries = retries
        self.then = then
        self.stale = None if stale_after is None else StaleTrials(stale_after)
        self.points = plan.table()
        self.reader = Reader()
        self.zoom = StudyZoom(plan, self.points, retries, self.reader, declared)
        self.columns = {name: column for column, name in enumerate(plan.names or ())}
        self.mark = ""
        self.verified = False
        self.all_done = False
        self.batches = AskBatches()
        self.pool = loops.PoolTrials()
        #: The row of each trial under way, or None for a trial without one.
        self.rows: OrderedDict[int, int | None] = OrderedDict()
        #: The trials that this process has started.
        self.started: OrderedDict[int, None] = OrderedDict()
        #: Trials that found nothing to run.
        self.refused: set[int] = set()
        self._warned = self._told_names = False

    def join(self, study: Study) -> None:
        """Make the study's design, or take over the one it was started with."""
        if not self.verified:
            self.mark, self.verified = publishing.join(study, self.plan, self.points)

    def belongs_to(self, study: Study) -> bool:
        """Whether this is the study known here, not another one made later under its id."""
        return counts_in(study, self.mark)

    # Which row a trial runs.

    def row(self, study: Study, trial: FrozenTrial) -> int | None:
        """The row this trial runs; None for an enqueued trial and after the design."""
        if trial.number in self.rows:
            return self.rows[trial.number]
        # At once: its thread may wait for long after it has taken a row that others see.
        self.started[trial.number] = None
        row = self._take(study, trial)
        self.remember(trial, row)
        return row

    def remember(self, trial: FrozenTrial, row: int | None) -> None:
        """Keep a trial's row at hand."""
        self.rows[trial.number] = row
        self.started[trial.number] = None
        for memo in (self.rows, self.started):
            while len(memo) > _MAX_MEMO:
                memo.popitem(last=False)

    def _take(self, study: Study, trial: FrozenTrial) -> int | None:
        storage, n_runs = StudyStorage(study), self.plan.n_runs
        attrs = storage.trial_attrs(trial)
        if is_enqueued(trial):
            self._mark(study, trial)
            self.all_done &= self.then != "augment"  # It skips the row of its number.
            return None
        if EXTRA in attrs:
            return trial.number
        if attrs.get(ROW) is not None:
            return self._take_again(study, trial, row_in(attrs, study_marks(study)))
        self._mark(study, trial)
        if trial.number < n_runs:
            storage.set_trial_attr(trial, ROW, trial.number)
            return trial.number
        row = None if self.all_done else self._claim(study, trial)
        if row is None and self.then == "augment":
            # Row k for number k: nothing to agree on, nothing to count.
            row = trial.number
            storage.set_trial_attr(trial, ROW, row)
        elif row is None and self.then == "zoom":
            row = self.zoom.claim(study, trial)
        return row

    def _mark(self, study: Study, trial: FrozenTrial) -> None:
        set_mark(study, trial, self.mark, loops.gives_heartbeat(study))

    def _take_again(self, study: Study, trial: FrozenTrial, row: int | None) -> int | None:
        """The row of a trial that has one written down already, of this design or another one.

        Set by this sampler in another process, copied by Optuna's retry callback, or brought along
        from another study. Numbers below n_runs do not own their row here: others may claim it.
        """
        if row is not None and not Snapshot.of(study).without(trial).holders(row):
            self._mark(study, trial)
            return row
        StudyStorage(study).set_trial_attr(trial, ROW, None)
        self._mark(study, trial)
        if row is not None or trial.number >= self.plan.n_runs:
            return None if row is not None else self._claim(study, trial)
        return agreement.claim_row(
            study, trial, lambda others: [r for r in self._open(others) if r == trial.number]
        )

    def _open(self, snapshot: Snapshot) -> list[int]:
        return snapshot.open_rows(self.plan.n_runs, self.plan.n_runs, self.retries)

    def _claim(self, study: Study, trial: FrozenTrial) -> int | None:
        """An open row; where others run the last ones, wait for what may become of them."""
        n_runs, pause = self.plan.n_runs, 0.02
        last: list[Snapshot] = []

        def choose(others: Snapshot) -> list[int]:
            last[:] = [others]
            if (rows := self._open(others)) or self.then != "augment":
                return rows
            return others.skipped(n_runs)[:1]  # The first ones leave the widest holes.

        while True:
            self._give_up_stale(study, n_runs, trial)
            row = agreement.claim_row(study, trial, choose, self.reader)
            if row is not None:
                return row
            pending = self._unfinished(last[0])
            self.all_done = not pending and not last[0].skipping(n_runs)
            # A zoom has other rows to give out meanwhile.
            if self.then is not None or not self._awaits(study, pending):
                return None
            pause = self._pause(pause)
            loops.fail_without_heartbeat(study)
            self._mark(study, trial)  # The trial has not begun yet.

    def _give_up_stale(self, study: Study, n_runs: int, own: FrozenTrial | None = None) -> None:
        if self.stale is not None:
            self.stale.give_up(study, n_runs, None if own is None else own.number)

    # What others run, and whether to wait for it.

    def _awaits(self, study: Study, pending: Mapping[int, FrozenTrial]) -> bool:
        """Whether to wait until the last rows are finished, fail or turn out to be stale.

        With ``stale_after`` every one of them ends some day; without it only those that other
        threads of the same ``study.optimize(n_jobs=…)`` run.
        """
        goes_on = self.then not in (None, "zoom")
        if goes_on or not loops.in_optimize(study) or loops.is_stopped(study):
            return False
        if self.stale is not None:
            return bool(pending)
        if not loops.in_pool():
            return False
        if self.pool.run_any_of(pending.values()):
            return True
        # Whose thread has gone on since the others were looked at: look again.
        storage = StudyStorage(study)
        return any(storage.state(t).is_finished() for t in pending.values())

    def _pause(self, seconds: float) -> float:
        time.sleep(seconds)
        longest = _LONGEST_PAUSE if self.stale is None else self.stale.stale_after / 4
        return min(2 * seconds, longest, _LONGEST_PAUSE)

    def wait_for_work(self, study: Study) -> bool:
        """Before a thread of a pool makes a trial: whether there will be a point for it to run."""
        pause = 0.02
        while True:
            loops.fail_without_heartbeat(study)
            if self._given_out(study):
                self._give_up_stale(study, self.plan.n_runs)
            pending = self.nothing_open(study)
            if pending is None:
                return True
            if not self._awaits(study, pending):
                self.warn_unnoticed(study, pending)
                return False
            pause = self._pause(pause)

    def _given_out(self, study: Study) -> bool:
        """Whether every number of a row has been given to a trial."""
        return StudyStorage(study).has_number(self.plan.n_runs - 1)

    def nothing_open(
        self, study: Study, trial: FrozenTrial | None = None, state: TrialState | None = None
    ) -> dict[int, FrozenTrial] | None:
        """None where one more trial would find something to run, else what is still being run.

        ``trial`` is one that is about to end in ``state``.
        """
        if not self._given_out(study):
            return None
        snapshot = Snapshot.of(study, self.reader)
        if any(t.state == TrialState.WAITING for t in snapshot.recent):
            return None
        if trial is not None and state is not None:
            snapshot = snapshot.ended(trial, state)
        if self._open(snapshot):
            return None
        if self.then == "zoom" and self.zoom.has_open(study, snapshot):
            return None
        return self._unfinished(snapshot)

    @property
    def all_run(self) -> bool:
        """Whether there is no setting left once there is nothing open."""
        return self.plan.all_settings or self.then == "zoom"

    def ends_with(self, study: Study, trial: FrozenTrial, state: TrialState) -> bool:
        """Whether the study is to stop when this trial has ended in ``state``."""
        pending = self.nothing_open(study, trial, state)
        if pending is None or self._awaits(study, pending):
            return False
        self.warn_unnoticed(study, pending)
        return True

    def warn_unnoticed(self, study: Study, pending: Mapping[int, FrozenTrial]) -> None:
        """Say which points are left to other workers, whose death nobody would notice."""
        if self.stale is None and not self._warned:
            self._warned = tell_unnoticed(study, self.plan, pending.values(), self.started)

    def _unfinished(self, snapshot: Snapshot) -> dict[int, FrozenTrial]:
        pending = snapshot.unfinished(self.plan.n_runs)
        if not pending and not self._told_names:
            self._told_names = True
            tell_about_names(self.plan, snapshot)
        return pending

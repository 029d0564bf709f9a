"""Trials whose worker is taken for dead."""

import logging
import time

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from skmixup.tuning.marks import start_of
from skmixup.tuning.snapshot import Snapshot
from skmixup.tuning.storage import StudyStorage

logger = logging.getLogger(__name__)

_MOMENT = 0.1  # seconds


class StaleTrials:
    """Fails the trials of a study's design that run for more than ``stale_after`` seconds.

    The storage lets a trial finish once: a worker that was slow, not dead, finds its result
    refused, and the row it ran is still completed only once.
    """

    def __init__(self, stale_after: float):
        self.stale_after = stale_after
        self._first_seen: dict[int, float] = {}

    def give_up(self, study: Study, n_runs: int, own: int | None = None) -> None:
        """Fail what is stale now, and say so.

        Not the trial with the number `own`, for which this worker looks: a machine that slept, or
        had other things to do, makes it look old.
        """
        if self._find(study, n_runs, own):
            # A trial that is retried has the old one's start for as long as it takes to write.
            time.sleep(min(_MOMENT, self.stale_after / 10))
        for trial, row in self._find(study, n_runs, own):
            age = self._age(trial)
            if StudyStorage(study).finish(trial, TrialState.FAIL):
                logger.warning(
                    "study %r: trial %d%s is given up: it has been running for %.0f s, longer "
                    "than stale_after=%g. Should its worker be alive, its result will be refused",
                    study.study_name,
                    trial.number,
                    "" if row is None else f", which runs point {row},",
                    age,
                    self.stale_after,
                )

    def _find(
        self, study: Study, n_runs: int, own: int | None
    ) -> list[tuple[FrozenTrial, int | None]]:
        snapshot = Snapshot.of(study)
        starting = {t.number for t in snapshot.starting(n_runs)}
        return [
            (trial, snapshot.row(trial))
            for trial in snapshot.trials
            if trial.state == TrialState.RUNNING
            and trial.number != own
            and (snapshot.is_own(trial) or trial.number in starting)
            and self._age(trial) > self.stale_after
        ]

    def _age(self, trial: FrozenTrial) -> float:
        start = start_of(trial)
        if start is not None:
            return time.time() - start
        # Its worker died in its first moment, before it wrote down when that was: the local time
        # that Optuna keeps may be that of another zone, so it counts from when it is seen here.
        first_seen = self._first_seen.setdefault(trial.number, time.monotonic())
        return time.monotonic() - first_seen

"""Ask and tell, several trials at a time."""

from optuna.study import Study

from skmixup.tuning.storage import StudyStorage

#: Study attribute: how many trials the last batch had.
BATCH = "skmixup:batch"


class AskBatches:
    """How many trials ``study.ask()`` is called for at a time: between one ``tell`` and the next.

    A batch that reaches past the end of the design cannot be cut short by an exception, which
    would take the trials asked for before it away from the caller. As batches are all of one size,
    the last one is known to go on until it is as large as the one before it; the study remembers
    that for workers that are started near the end.
    """

    def __init__(self) -> None:
        self._asked = 0
        self._told = False
        self._before: int | None = None

    def ask(self, study: Study) -> None:
        """One more trial is asked for."""
        if self._before is None:
            self._before = int(StudyStorage(study).attrs().get(BATCH, 0))
        if self._told:
            self._before, self._asked, self._told = self._asked, 0, False
        self._asked += 1

    def tell(self, study: Study) -> None:
        """The result of a trial is told: the batch, of which it is the first, is complete."""
        if not self._told and 1 < self._asked != self._before:
            StudyStorage(study).set_attr(BATCH, self._asked)
        self._told = True

    def amid(self) -> bool:
        """Whether the caller holds trials of a batch that is not complete yet."""
        return 1 < self._asked <= (self._before or 0)

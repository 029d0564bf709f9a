"""Which trials run rows of a study's own design, and since when.

Trials travel: ``study.add_trials`` copies them with their attributes into another study. So each
trial carries beside its row a mark of the design that gave it the row, and the study holds the
marks that count in it. Copies of a whole study take both along and go on where it stopped.

Marks are random. A worker takes the one it finds in the study and adds one where there is none;
of workers that start at the same moment each may add its own, and all of them count, so nothing
has to be agreed on.

The mark comes with the moment the trial started, in seconds of UTC: the times that Optuna keeps
are local times, which jump in autumn and, before Optuna 4.9, mean something else in every zone.
"""

import time
from collections.abc import Collection, Mapping
from secrets import token_hex
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from skmixup.tuning.storage import StudyStorage

#: Trial attributes: the row that the trial runs, the mark of its design and when it started.
ROW, MARK = "skmixup:row", "skmixup:mark"
#: Study attributes: the marks that count.
MARKS = "skmixup:mark:"
#: The mark that trials without one are taken to have, in studies begun before there were marks.
_NONE = "none"


def marks_in(attrs: Collection[str]) -> frozenset[str]:
    """The marks that count, from a study's attributes."""
    return frozenset(key.removeprefix(MARKS) for key in attrs if key.startswith(MARKS))


def study_marks(study: Study) -> frozenset[str]:
    """The marks that count in a study now."""
    return marks_in(StudyStorage(study).attrs())


def counts_in(study: Study, mark: str) -> bool:
    """Whether a mark counts in a study now."""
    return MARKS + mark in StudyStorage(study).attrs()


def own_mark(study: Study, attrs: Collection[str], begun: bool) -> str:
    """The mark for this worker's trials; ``begun`` says whether the study has its design."""
    marks = marks_in(attrs) - {_NONE}
    if marks:
        return min(marks)
    mark = token_hex(4)
    storage = StudyStorage(study)
    if begun:
        storage.set_attr(MARKS + _NONE, True)
    storage.set_attr(MARKS + mark, True)
    return mark


def set_mark(study: Study, trial: FrozenTrial, mark: str, heartbeat: bool) -> None:
    """Say whose trial this is, that it starts now, and whether a heartbeat watches over it."""
    value: Any = [mark, round(time.time(), 3), heartbeat]
    StudyStorage(study).set_trial_attr(trial, MARK, value)


def has_mark(attrs: Mapping[str, Any], marks: Collection[str]) -> bool:
    """Whether trial attributes say that a sampler of this study's design started the trial."""
    mark = attrs.get(MARK)
    return (_NONE if mark is None else mark[0]) in marks


def row_in(attrs: Mapping[str, Any], marks: Collection[str]) -> int | None:
    """The row of this study's design in trial attributes; None where there is none."""
    row = attrs.get(ROW)
    return int(row) if row is not None and has_mark(attrs, marks) else None


def start_of(trial: FrozenTrial) -> float | None:
    """When a trial started, in seconds of UTC; None for one that has not said so (yet)."""
    mark = trial.system_attrs.get(MARK)
    return None if mark is None else float(mark[1])


def has_heartbeat(trial: FrozenTrial) -> bool:
    """Whether the trial has a heartbeat, so that the storage notices when its worker dies."""
    mark = trial.system_attrs.get(MARK)
    return mark is not None and bool(mark[2])

"""The design that the workers of a study share: published once, taken over by all others."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from optuna.study import Study

from skmixup.design.levels import Ints
from skmixup.tuning.marks import own_mark
from skmixup.tuning.plans import Plan
from skmixup.tuning.points import PointTable
from skmixup.tuning.storage import StudyStorage

#: Study attributes: the design's settings, one column's levels.
DESIGN, LEVELS = "skmixup:design", "skmixup:levels:"
#: Longer columns are not stored (attributes stay short); every worker computes them.
MAX_STORED_CHARACTERS = 2000


def levels_to_text(levels: Ints, q: int) -> str:
    """Levels 0 … q − 1 as a short text."""
    width = max(1, int(q - 1).bit_length())
    bits = (np.asarray(levels)[:, None] >> np.arange(width)) & 1
    return base64.b85encode(np.packbits(bits.astype(np.uint8)).tobytes()).decode()


def levels_from_text(text: str, n: int, q: int) -> Ints:
    """The n levels that :func:`levels_to_text` wrote."""
    width = max(1, int(q - 1).bit_length())
    bits = np.unpackbits(np.frombuffer(base64.b85decode(text), dtype=np.uint8))[: n * width]
    return np.asarray(bits.reshape(n, width) @ (1 << np.arange(width)), dtype=np.intp)


def digest(text: str) -> str:
    """Eight characters that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def check_settings(study: Study, settings: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    """Refuse to go on with a design that is not the one the study was started with."""
    changes = []
    for key in {**stored, **settings}:
        before, now = stored.get(key), settings.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            names = [repr(n) for n in {**before, **now} if before.get(n) != now.get(n)]
            if names:
                changes.append(f"{key} differs in {', '.join(names)}")
            elif key == "search_space" and [*before] != [*now]:  # The first has the first column.
                changes.append(f"search_space had its parameters in the order {[*before]}")
        elif before == now:
            continue
        elif isinstance(before, dict) or isinstance(now, dict):
            changes.append(f"{key} is now {'given' if now else 'missing'}")
        else:
            changes.append(f"{key} was {before!r} and is now {now!r}")
    if changes:
        raise ValueError(
            f"study {study.study_name!r} was started with another design: {'; '.join(changes)}. "
            "Go on with the settings, or version of skmixup, that it was started with, or start a "
            "new study"
        )


def share_columns(study: Study, points: PointTable, columns: Iterable[int]) -> None:
    """Publish columns of the design, or take over those that the study holds.

    Every worker could compute them, but the last bit of a matrix product differs between types of
    processors, and with it, now and then, the outcome of a search.
    """
    storage = StudyStorage(study)
    attrs = storage.attrs()
    for column in columns:
        key, q = f"{LEVELS}{column}", points.n_levels(column)
        before = points.texts.get(column)
        text = attrs.get(key, before)
        if text is None:
            text = levels_to_text(points.levels(column), q)
            if len(text) <= MAX_STORED_CHARACTERS:
                storage.set_attr(key, text)
        elif text != before:
            points.set_levels(column, levels_from_text(text, points.n_runs, q))
        points.texts[column] = text


def join(study: Study, plan: Plan, points: PointTable) -> tuple[str, bool]:
    """Make the study's design, or take over the one it was started with.

    Returns the mark of this worker's trials, and whether the study held the design already: of two
    workers that start it at the same time with different designs, the one that is overwritten
    notices when it joins once more.
    """
    storage = StudyStorage(study)
    attrs = storage.attrs()
    begun = DESIGN in attrs
    if begun:
        check_settings(study, plan.settings, attrs[DESIGN])
    share_columns(study, points, range(points.n_columns))
    mark = own_mark(study, attrs, begun)
    if not begun:  # Last, so that whoever sees the settings finds the columns.
        storage.set_attr(DESIGN, dict(plan.settings))
    return mark, begun

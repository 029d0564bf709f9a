"""What the workers of one study agree on, with nothing but the study's storage between them.

No storage of Optuna offers a lock or a compare-and-swap on an attribute, and workers may stall or
die at any time. Three facts are enough:

* trial numbers are handed out atomically, so number k of the first n_runs may take row k at once;
* a trial that has failed stays failed: the storage refuses its result;
* *write, read back, give way*: a worker writes its claim to its own trial, then reads everybody
  else's; who sees a rival withdraws. Of two rivals the one that wrote last reads the other's
  claim, so never do both go ahead. Both may withdraw, and try again after a pause that grows with
  their rank.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from skmixup.tuning.marks import ROW, own_mark
from skmixup.tuning.plans import Plan
from skmixup.tuning.points import Ints, PointTable
from skmixup.tuning.snapshot import Snapshot

#: Study attributes: the design's settings, one column's levels, a parameter's column.
DESIGN, LEVELS, COLUMN = "skmixup:design", "skmixup:levels:", "skmixup:column:"
#: Trial attribute: what the trial proposes to the other workers.
PROPOSALS = "skmixup:proposals"
#: Longer columns are not stored (attributes stay short); every worker computes them.
MAX_STORED_CHARACTERS = 2000
_PAUSE, _COURTESY, _PATIENCE = 0.01, 2.0, 10.0  # seconds


def pack(levels: Ints, q: int) -> str:
    """Levels 0 … q − 1 as a short text."""
    width = max(1, int(q - 1).bit_length())
    bits = (np.asarray(levels)[:, None] >> np.arange(width)) & 1
    return base64.b85encode(np.packbits(bits.astype(np.uint8)).tobytes()).decode()


def unpack(text: str, n: int, q: int) -> Ints:
    """The n levels that :func:`pack` wrote."""
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
        if before == now:
            continue
        if isinstance(before, dict) and isinstance(now, dict):
            names = [repr(n) for n in {**before, **now} if before.get(n) != now.get(n)]
            changes.append(f"{key} differs in {', '.join(names)}")
        elif isinstance(before, dict) or isinstance(now, dict):
            changes.append(f"{key} is now {'given' if now else 'missing'}")
        else:
            changes.append(f"{key} was {before!r} and is now {now!r}")
    if changes:
        raise ValueError(
            f"study {study.study_name!r} was started with another design: {'; '.join(changes)}. "
            "Go on with the settings it was started with, or start a new study"
        )


def share_columns(study: Study, points: PointTable, columns: Iterable[int]) -> None:
    """Publish columns of the design, or take over those that the study holds.

    Every worker could compute them, but the last bit of a matrix product differs between types of
    processors, and with it, now and then, the outcome of a search.
    """
    attrs = study._storage.get_study_system_attrs(study._study_id)
    for column in columns:
        key, q = f"{LEVELS}{column}", points.n_levels(column)
        if key in attrs:
            points.set_levels(column, unpack(attrs[key], points.n_runs, q))
            continue
        text = pack(points.levels(column), q)
        if len(text) <= MAX_STORED_CHARACTERS:
            study._storage.set_study_system_attr(study._study_id, key, text)


def join(study: Study, plan: Plan, points: PointTable) -> tuple[str, bool]:
    """Make the study's design, or take over the one it was started with.

    Returns the mark of this worker's trials, and whether the study held the design already: of two
    workers that start it at the same time with different designs, the one that is overwritten
    notices when it joins once more.
    """
    attrs = study._storage.get_study_system_attrs(study._study_id)
    stored = attrs.get(DESIGN)
    columns = range(len(plan.names or ()))
    if stored is not None:
        check_settings(study, plan.settings, stored)
        share_columns(study, points, columns)
        return own_mark(study, attrs, begun=True), True
    design = plan.design()
    if design is not None:
        for column in columns:
            points.set_levels(column, design[:, column])
    share_columns(study, points, columns)
    mark = own_mark(study, attrs, begun=False)
    # Last, so that whoever sees the settings finds the columns.
    study._storage.set_study_system_attr(study._study_id, DESIGN, dict(plan.settings))
    return mark, False


def claim_row(
    study: Study, trial: FrozenTrial, choose: Callable[[Snapshot], list[int]]
) -> int | None:
    """Take one of the open rows for this trial alone; None where there is none.

    ``choose`` lists the open rows, given all other trials.
    """
    storage, attempt = study._storage, 0
    while True:
        rows = choose(Snapshot.of(study).without(trial))
        if not rows:
            return None
        # Neighbouring trials start from different rows, so that they seldom meet.
        row = rows[(trial.number + attempt) % len(rows)]
        storage.set_trial_system_attr(trial._trial_id, ROW, row)
        rivals = Snapshot.of(study).without(trial).holders(row)
        if not rivals:
            return row
        storage.set_trial_system_attr(trial._trial_id, ROW, None)
        _pause(trial, rivals, attempt)
        attempt += 1


def agree(
    study: Study,
    trial: FrozenTrial,
    prefix: str,
    name: str,
    propose: Callable[[Collection[Any]], Any],
    distinct: bool,
) -> Any:
    """One value for ``name`` that all workers of the study use, kept in a study attribute.

    ``propose`` suggests a value, given all values of other names; with ``distinct`` no two names
    get the same. A standing proposal is respected, also when its worker is dead: whoever comes
    next for this name adopts it, everybody else leaves its value alone, and gives it two seconds
    to be decided or withdrawn, so that no value goes unused. Only where two workers died over a
    clash do their proposals lapse, after ten seconds.
    """
    storage, attempt, start = study._storage, 0, time.monotonic()
    abandoned: set[str] = set()
    own = dict(storage.get_trial_system_attrs(trial._trial_id).get(PROPOSALS) or {})
    key = prefix + name
    while True:
        decided = decisions(study, prefix)
        if name in decided:
            return decided[name]
        proposed = _proposals(study, trial, prefix, abandoned)
        if attempt == 0:
            suspects = {_identity(*p) for p in proposed}
        elif time.monotonic() - start > _PATIENCE:
            abandoned = suspects
        standing = [value for k, value, _ in proposed if k == name]
        taken = [*decided.values(), *(value for _, value, _ in proposed)]
        value = standing[0] if standing else propose(taken)
        storage.set_trial_system_attr(trial._trial_id, PROPOSALS, own | {key: value})
        rivals = [
            t
            for k, v, t in _proposals(study, trial, prefix, abandoned)
            if (v != value if k == name else distinct and v == value)
        ]
        decided = decisions(study, prefix)
        clash = decided.get(name, value) != value or (
            distinct and any(v == value for k, v in decided.items() if k != name)
        )
        early = (
            distinct
            and time.monotonic() - start < _COURTESY
            and value != propose([v for k, v in decided.items() if k != name])
        )
        if not rivals and not clash and not early:
            storage.set_study_system_attr(study._study_id, key, value)
            return value
        storage.set_trial_system_attr(trial._trial_id, PROPOSALS, own)
        _pause(trial, rivals, attempt)
        if early:
            time.sleep(_PAUSE)
        attempt += 1


def decisions(study: Study, prefix: str) -> dict[str, Any]:
    """All values agreed on under a prefix."""
    attrs = study._storage.get_study_system_attrs(study._study_id)
    return {k.removeprefix(prefix): v for k, v in attrs.items() if k.startswith(prefix)}


def _proposals(
    study: Study, trial: FrozenTrial, prefix: str, abandoned: Collection[str]
) -> list[tuple[str, Any, FrozenTrial]]:
    """What the running trials other than this one propose: name, value, trial."""
    found = [
        (key.removeprefix(prefix), value, other)
        for other in study._storage.get_all_trials(study._study_id, deepcopy=False)
        if other._trial_id != trial._trial_id and not other.state.is_finished()
        for key, value in (other.system_attrs.get(PROPOSALS) or {}).items()
        if key.startswith(prefix)
    ]
    return [p for p in found if _identity(*p) not in abandoned]


def _identity(name: str, value: Any, trial: FrozenTrial) -> str:
    return f"{trial.number} {name} {value}"


def _pause(trial: FrozenTrial, rivals: Collection[FrozenTrial], attempt: int) -> None:
    """Let the trials with lower numbers go first."""
    rank = sum(r.number < trial.number for r in rivals)
    time.sleep(_PAUSE * rank * (1 + attempt % 5))

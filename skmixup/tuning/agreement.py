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

import time
from collections.abc import Callable, Collection
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from skmixup.tuning.marks import ROW
from skmixup.tuning.snapshot import Snapshot

#: Study attribute: a parameter's column.
COLUMN = "skmixup:column:"
#: Trial attribute: what the trial proposes to the other workers.
PROPOSALS = "skmixup:proposals"
_PAUSE, _COURTESY, _PATIENCE = 0.01, 2.0, 10.0  # seconds


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

"""What the workers of one study agree on, with nothing but the study's storage between them.

No storage of Optuna offers a lock or a compare-and-swap on an attribute, and workers may stall or
die at any time. Three facts are enough:

* trial numbers are handed out atomically, so number k of the first n_runs may take row k at once;
* a trial that has failed stays failed: the storage refuses its result;
* *write, read back, give way*: a worker writes its claim to its own trial, then reads everybody
  else's claims, and withdraws its own where it finds a rival. Of two rivals the one that wrote
  last reads the other's claim, so the two never both go ahead. Both may withdraw; they try again
  after a pause that grows with their rank.

Two protocols that one trial leads, chosen by its number, would be simpler. Both fail:

*The lower number goes ahead, the higher one withdraws.* Trials 3 and 4 want row 7. Trial 4 writes
its claim, reads the others', finds none, and runs the row. Now trial 3 writes its claim and reads
that of trial 4, which has the higher number: it runs the row too. To be told apart from a trial
that would have seen the claim and withdrawn, trial 4 would have to write once more, and the same
happens between its reading and that writing.

*The running trial with the lowest number decides for all.* It comes by here only when its
objective asks for a parameter; else it computes for hours, or its worker is dead. Whoever needs a
decision would have to wait as long, or to take the lead. Say trial 3 leads, reads that column 0 is
free for "x", and stalls before it writes so. Trial 4 takes the lead, gives column 0 to "y", and
runs with it. Trial 3 wakes up and writes its decision: two parameters share a column. Trial 3 can
be shut out before, by failing it, but then a healthy run is lost.
"""

import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from optuna.study import Study
from optuna.trial import FrozenTrial

from skmixup.tuning.history import Reader
from skmixup.tuning.marks import ROW
from skmixup.tuning.snapshot import Snapshot
from skmixup.tuning.storage import StudyStorage

#: Study attribute: a parameter's column.
COLUMN = "skmixup:column:"
#: Trial attribute: what the trial proposes to the other workers.
PROPOSALS = "skmixup:proposals"
#: Seconds: between two attempts; for a proposal to be decided; for a clash of two dead workers.
_PAUSE, _COURTESY, _PATIENCE = 0.01, 2.0, 10.0


class Proposal(NamedTuple):
    """What the running trial of this number proposes as the value of a name."""

    number: int
    name: str
    value: Any


def claim_row(
    study: Study,
    trial: FrozenTrial,
    choose: Callable[[Snapshot], list[int]],
    reader: Reader | None = None,
) -> int | None:
    """Take one of the open rows for this trial alone; None where there is none.

    ``choose`` lists the open rows, given all other trials.
    """
    storage, attempt = StudyStorage(study), 0
    while True:
        rows = choose(Snapshot.of(study, reader).without(trial))
        if not rows:
            return None
        # Neighbouring trials start from different rows, so that they seldom meet.
        row = rows[(trial.number + attempt) % len(rows)]
        storage.set_trial_attr(trial, ROW, row)
        rivals = Snapshot.of(study, reader).without(trial).holders(row)
        if not rivals:
            return row
        storage.set_trial_attr(trial, ROW, None)
        _give_way(trial, [rival.number for rival in rivals], attempt)
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
    storage, attempt, start = StudyStorage(study), 0, time.monotonic()
    own = dict(storage.trial_attrs(trial).get(PROPOSALS) or {})
    at_first: set[str] = set()
    lapsed: set[str] = set()

    def contradicts(other: str, other_value: Any) -> bool:
        """Whether a value that somebody else proposes or decided on rules out this one."""
        return bool(other_value != value if other == name else distinct and other_value == value)

    while True:
        decided = _decided(study, prefix, name, distinct)
        if name in decided:
            return decided[name]
        proposed = _proposals(storage, trial, prefix, lapsed)
        if attempt == 0:
            at_first = set(map(str, proposed))
        elif time.monotonic() - start > _PATIENCE:
            lapsed = at_first
        standing = [p.value for p in proposed if p.name == name]
        taken = [*decided.values(), *(p.value for p in proposed)]
        value = standing[0] if standing else propose(taken)
        storage.set_trial_attr(trial, PROPOSALS, own | {prefix + name: value})
        proposed = _proposals(storage, trial, prefix, lapsed)
        rivals = [p.number for p in proposed if contradicts(p.name, p.value)]
        decided = _decided(study, prefix, name, distinct)
        clash = any(contradicts(*decision) for decision in decided.items())
        others = [v for k, v in decided.items() if k != name]
        early = distinct and time.monotonic() - start < _COURTESY and value != propose(others)
        if not rivals and not clash and not early:
            storage.set_attr(prefix + name, value)
            return value
        storage.set_trial_attr(trial, PROPOSALS, own)
        _give_way(trial, rivals, attempt)
        if early:
            time.sleep(_PAUSE)
        attempt += 1


def decisions(study: Study, prefix: str) -> dict[str, Any]:
    """All values agreed on under a prefix."""
    attrs = StudyStorage(study).attrs()
    return {k.removeprefix(prefix): v for k, v in attrs.items() if k.startswith(prefix)}


def _decided(study: Study, prefix: str, name: str, distinct: bool) -> dict[str, Any]:
    """The values agreed on that matter for a name: its own, and those of others where all differ.

    There may be many others.
    """
    if distinct:
        return decisions(study, prefix)
    attrs = StudyStorage(study).attrs()
    return {name: attrs[prefix + name]} if prefix + name in attrs else {}


def _proposals(
    storage: StudyStorage, trial: FrozenTrial, prefix: str, lapsed: Collection[str]
) -> list[Proposal]:
    """What the running trials other than this one propose."""
    found = [
        Proposal(other.number, key.removeprefix(prefix), value)
        for other in storage.unfinished()
        if other.number != trial.number
        for key, value in (other.system_attrs.get(PROPOSALS) or {}).items()
        if key.startswith(prefix)
    ]
    return [proposal for proposal in found if str(proposal) not in lapsed]


def _give_way(trial: FrozenTrial, rivals: Collection[int], attempt: int) -> None:
    """Pause so that the trials with lower numbers go first."""
    rank = sum(number < trial.number for number in rivals)
    time.sleep(_PAUSE * rank * (1 + attempt % 5))

"""A study's storage, as the workers of one design use it: Optuna's own parts, wrapped once.

Optuna has no public way to do what is done here, so this class calls methods of ``study._storage``
with ``study._study_id`` and ``trial._trial_id``; no other module does.

* *System attributes* of studies and trials. User attributes have a public way, but belong to the
  user: they appear in tables and dashboards. ``Study.set_system_attr`` is deprecated, and what
  Optuna hands to a sampler is a frozen trial, which has no way to write at all.
* *All trials*. Where a pruner divides the study, as Hyperband does, ``study.get_trials`` only has
  the trial's own share of them.
* *A trial's final state*. ``study.tell`` would come back to the sampler that is just ending it.
* *Heartbeats*. Optuna beats only inside ``study.optimize``, and a moment too late.

What Optuna's loop keeps to itself is in :mod:`skmixup.tuning.loops`.
"""

from collections.abc import Hashable
from contextlib import suppress
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState


class StudyStorage:
    """Attributes, trials and heartbeats of one study; nothing is kept here.

    Parameters
    ----------
    study : optuna.Study
    """

    def __init__(self, study: Study):
        self._storage: Any = study._storage
        self._study_id = study._study_id

    @property
    def place(self) -> tuple[Any, Hashable]:
        """The storage itself, and the study's identifier in it."""
        return self._storage, self._study_id

    def attrs(self) -> dict[str, Any]:
        """The study's system attributes as they are now."""
        found: dict[str, Any] = self._storage.get_study_system_attrs(self._study_id)
        return found

    def set_attr(self, key: str, value: Any) -> None:
        """Write a system attribute of the study; the last writer wins."""
        self._storage.set_study_system_attr(self._study_id, key, value)

    def trials(self) -> list[FrozenTrial]:
        """All trials as they are now, by number; not to be modified."""
        found: list[FrozenTrial] = self._storage.get_all_trials(self._study_id, deepcopy=False)
        return found

    def unfinished(self) -> list[FrozenTrial]:
        """The trials that have not ended, by number; not to be modified."""
        states = (TrialState.RUNNING, TrialState.WAITING)
        found: list[FrozenTrial] = self._storage.get_all_trials(
            self._study_id, deepcopy=False, states=states
        )
        return found

    def has_number(self, number: int) -> bool:
        """Whether a trial number has been given out."""
        try:
            self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        except KeyError:
            return False
        return True

    def trial_attrs(self, trial: FrozenTrial) -> dict[str, Any]:
        """A trial's system attributes as they are now."""
        found: dict[str, Any] = self._storage.get_trial_system_attrs(trial._trial_id)
        return found

    def set_trial_attr(self, trial: FrozenTrial, key: str, value: Any) -> None:
        """Write a system attribute of a running trial."""
        self._storage.set_trial_system_attr(trial._trial_id, key, value)

    def state(self, trial: FrozenTrial) -> TrialState:
        """A trial's state now."""
        state: TrialState = self._storage.get_trial(trial._trial_id).state
        return state

    def finish(self, trial: FrozenTrial, state: TrialState) -> bool:
        """Set a trial's final state; False where somebody else has done so before."""
        with suppress(UpdateFinishedTrialError):
            return bool(self._storage.set_trial_state_values(trial._trial_id, state))
        return False

    @property
    def has_heartbeat(self) -> bool:
        """Whether the storage notices by itself when a worker inside ``study.optimize`` dies."""
        interval: Any = getattr(self._storage, "get_heartbeat_interval", None)
        return interval is not None and interval() is not None

    def beat(self, trial: FrozenTrial) -> None:
        """Record a heartbeat of the trial."""
        self._storage.record_heartbeat(trial._trial_id)

"""The loop that asks for trials: whose thread it is, whether it still goes on, who notices deaths.

A sampler is only told of a trial once Optuna has made it. What it has to know of the loop around
it stands in attributes that Optuna keeps to itself; whatever touches them is here.
"""

import threading
from collections.abc import Callable, Iterable
from inspect import unwrap
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, ref

from optuna.storages import fail_stale_trials
from optuna.study import Study
from optuna.trial import FrozenTrial

from skmixup.tuning.storage import StudyStorage

#: For the sets of weak references below, which must not change while they are read.
LOCK = threading.Lock()
#: Threads of ``study.optimize(n_jobs=…)``, which makes one trial after the other in each.
_pool: WeakSet[threading.Thread] = WeakSet()
#: Those of them that are about to make a trial.
_entering: WeakSet[threading.Thread] = WeakSet()


def enter_pool() -> None:
    """Note that this thread belongs to ``study.optimize(n_jobs=…)``, which reseeds samplers."""
    if threading.current_thread() is not threading.main_thread():
        with LOCK:
            _pool.add(threading.current_thread())


def may_enter_pool() -> bool:
    """Whether this thread is one of a pool, or may be one that has just been started."""
    return threading.current_thread() is not threading.main_thread()


def enter_trial() -> None:
    """Note that this thread of a pool goes on to make a trial."""
    if in_pool():
        with LOCK:
            _entering.add(threading.current_thread())


def in_pool() -> bool:
    """Whether this thread belongs to ``study.optimize(n_jobs=…)``."""
    return threading.current_thread() in _pool


def whole_study(study: Study) -> Study:
    """The study itself, where a pruner shows the sampler a part of it (Hyperband's brackets)."""
    whole: Study = getattr(study, "_study", study)
    return whole


def in_optimize(study: Study) -> bool:
    """Whether this thread is inside ``study.optimize``."""
    return bool(whole_study(study)._thread_local.in_optimize_loop)


def is_stopped(study: Study) -> bool:
    """Whether the loop ends with the trials that run now."""
    return bool(whole_study(study)._stop_flag)


def gives_heartbeat(study: Study) -> bool:
    """Whether the trial that is being made will have a heartbeat: not in ask-and-tell loops."""
    return in_optimize(study) and StudyStorage(study).has_heartbeat


def first_heartbeat(study: Study, trial: FrozenTrial) -> None:
    """Write a trial's first heartbeat, since Optuna fails no dead trial that never had one.

    Optuna's own first one comes from a thread, a moment after the trial has taken its row.
    """
    if gives_heartbeat(study):
        StudyStorage(study).beat(trial)


def fail_without_heartbeat(study: Study) -> None:
    """Fail the trials whose heartbeat has stopped, as ``study.optimize`` does at each trial."""
    if StudyStorage(study).has_heartbeat:
        unwrap(fail_stale_trials)(whole_study(study))  # not the one that calls it experimental


class _LoopState:
    """What Optuna keeps about the loops of a study, and a call whenever a loop begins.

    A sampler hears of a loop only when it has made its first trial, which is too late for a study
    that needs none. This stands in the place of ``study._thread_local``, which Optuna makes anew
    in every process: it is neither pickled nor copied.
    """

    def __init__(self, state: Any, at_start: Callable[[], None]):
        object.__setattr__(self, "_state", state)
        object.__setattr__(self, "_at_start", at_start)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._state, name, value)
        if name == "in_optimize_loop" and value is True:
            self._at_start()


def call_at_start(study: Study, at_start: Callable[[Study], None]) -> None:
    """Have ``at_start(study)`` called when ``study.optimize`` begins again, before any trial."""
    study = whole_study(study)
    with LOCK:
        if not isinstance(study._thread_local, _LoopState):
            reference = ref(study)

            def call() -> None:
                alive = reference()
                if alive is not None:
                    at_start(alive)

            watched: Any = _LoopState(study._thread_local, call)
            study._thread_local = watched


class PoolTrials:
    """The trials of a study that threads of ``study.optimize(n_jobs=…)`` of this process run."""

    def __init__(self) -> None:
        self._trials: WeakKeyDictionary[threading.Thread, int] = WeakKeyDictionary()

    def begin(self, trial: FrozenTrial) -> None:
        """Note that the thread runs this trial from now on."""
        if in_pool():
            with LOCK:
                self._trials[threading.current_thread()] = trial.number
                _entering.discard(threading.current_thread())

    def run_any_of(self, trials: Iterable[FrozenTrial]) -> bool:
        """Whether another thread, which is alive, runs one of these trials, or may."""
        own = threading.current_thread()
        numbers = {trial.number for trial in trials}
        with LOCK:
            busy = [thread for thread, number in self._trials.items() if number in numbers]
            entering = list(_entering) if numbers else []
        return any(thread.is_alive() for thread in [*busy, *entering] if thread is not own)

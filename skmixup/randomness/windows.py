"""Windows: contexts in which the process's random states are those of a fit."""

import warnings
from typing import Any, Self

import numpy as np

from skmixup.randomness.explicit import ExplicitGenerator
from skmixup.randomness.states import DEFAULT, RandomStates
from skmixup.randomness.turns import WINDOWS, turns

# Seconds that a window on the states of Python and numpy waits for its turn. Other windows last
# milliseconds; where one lasts longer it may itself wait for this thread.
PATIENCE = 1.0

# The same for a user's data set, whose batches may take long to fetch and draw from these states.
FETCH_PATIENCE = 60.0


class Window:
    """Context in which the process's random states are those of a fit.

    Parameters
    ----------
    randomness : RandomStates
    whole : bool
        Python's and numpy's states too, or torch's only.
    takes_turn : bool, default=True
        False never takes a turn: draws are handed a generator.
    """

    def __init__(self, randomness: RandomStates, *, whole: bool, takes_turn: bool = True):
        self.randomness = randomness
        self.whole = whole
        self.takes_turn = takes_turn
        self.open: list[RandomStates | ExplicitGenerator | None] = []

    def __enter__(self) -> Self:
        entered = self._enter()
        self.open.append(entered)
        if entered is not None:
            WINDOWS.stack.append(entered)
        return self

    def _enter(self) -> RandomStates | ExplicitGenerator | None:
        ours = self.randomness
        if ours.inside or (ours.waits and not self.takes_turn):
            return None
        if self.takes_turn and self._take_turn():
            ours.swap_in(whole=self.whole)
            ours.inside = True
            return ours
        mode = ExplicitGenerator(ours.torch, lambda: _Turn(ours, whole=False))
        mode.__enter__()
        ours.inside = True
        return mode

    def __exit__(self, *exc: object) -> None:
        entered = self.open.pop()
        if entered is None:
            return
        WINDOWS.stack.pop()
        self.randomness.inside = False
        if isinstance(entered, ExplicitGenerator):
            entered.__exit__(*exc)
            return
        try:
            self._leave()
        finally:
            turns.give_back()

    def _leave(self) -> None:
        self.randomness.swap_out(whole=self.whole)

    def _take_turn(self) -> bool:
        ours = self.randomness
        if ours.waits:
            return turns.take(None)
        if not self.whole:
            return turns.take(0.0)
        taken = turns.take(PATIENCE if ours.patient else 0.0)
        ours.patient = ours.patient and taken
        return taken


class StepWindow(Window):
    """The window of a step, as quick as can be where it is this thread's turn at once."""

    def __init__(self, randomness: RandomStates):
        super().__init__(randomness, whole=False)

    def __enter__(self) -> Self:
        ours = self.randomness
        if ours.inside or ours.waits or not turns.take(0.0):
            return super().__enter__()
        ours.theirs = (DEFAULT.get_state(),)
        DEFAULT.set_state(ours.torch.get_state())
        ours.inside = True
        self.open.append(ours)
        WINDOWS.stack.append(ours)
        return self

    def __exit__(self, *exc: object) -> None:
        ours = self.randomness
        if self.open[-1] is not ours or ours.accelerator is not None:
            super().__exit__(*exc)
            return
        self.open.pop()
        WINDOWS.stack.pop()
        ours.inside = False
        try:
            ours.torch.set_state(DEFAULT.get_state())
            DEFAULT.set_state(ours.theirs[0])  # type: ignore[index]
            ours.theirs = None
        finally:
            turns.give_back()


class _Turn(Window):
    """A window within a window of the same fit, for a call that has to wait for its turn."""

    def __enter__(self) -> Self:
        self.randomness.inside = False
        return super().__enter__()

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self.randomness.inside = True

    def _take_turn(self) -> bool:
        return turns.take(None)


class FetchWindow(Window):
    """A whole window whose turn is worth waiting for; a warning tells if it does not come."""

    def _take_turn(self) -> bool:
        taken = turns.take(None if self.randomness.waits else FETCH_PATIENCE)
        if not taken:
            warnings.warn(
                f"another thread has been using the random states for {FETCH_PATIENCE:g} seconds; "
                "what the data set draws from numpy's or Python's generator is not reproducible. "
                "Train in one thread, or in processes",
                RuntimeWarning,
                stacklevel=2,
            )
        return taken


class WatchingWindow(Window):
    """A whole window that takes note of whether Python's or numpy's state was used."""

    def _leave(self) -> None:
        ours = self.randomness
        python, numpy = ours.python_state, ours.numpy_state
        super()._leave()
        same = ours.python_state == python and _same_numpy_state(ours.numpy_state, numpy)
        if not same:
            ours.draws_elsewhere = ours.waits = True


def _same_numpy_state(a: Any, b: Any) -> bool:
    return a[2:] == b[2:] and np.array_equal(a[1], b[1])

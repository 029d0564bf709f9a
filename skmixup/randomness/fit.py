"""The randomness of one fit, and calls that leave the caller's random states as they were."""

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import nn

from skmixup.randomness.states import DEFAULT, RandomStates
from skmixup.randomness.turns import WINDOWS, turns
from skmixup.randomness.unseen import draws_unseen, is_compiled
from skmixup.randomness.windows import FetchWindow, StepWindow, WatchingWindow, Window


def generator_from(random_state: Any) -> np.random.Generator:
    """Make the generator of a fit.

    Parameters
    ----------
    random_state : int, numpy.random.RandomState or None
        None takes fresh entropy from the operating system rather than numpy's global state, which
        a fit must leave as it was.
    """
    if random_state is None:
        return np.random.default_rng()
    seeds = check_random_state(random_state).randint(2**32, size=4, dtype=np.uint64)
    return np.random.default_rng(seeds)


class FitRandomness(RandomStates):
    """The random states of one fit: torch's, the accelerator's, numpy's and Python's.

    Parameters
    ----------
    rng : numpy.random.Generator
        All states are seeded from it.
    device : torch.device
        An accelerator has a state of its own.
    module : nn.Module, optional
        What is to be run; one that draws in ways that cannot be handed a generator has to wait
        for its turn.

    Attributes
    ----------
    torch : torch.Generator
        torch's state on the CPU, for whoever can draw from a generator.
    watches : bool
        Whether every step is looked at as the first is: a user's function may draw now and then.
    step : Window
        For one training or validation step. Costs some three microseconds.
    whole : Window
        For user code that may draw from anywhere.
    fetch : Window
        For a batch of a user's own data set.
    callbacks : Window
        For callbacks, which may take long and start fits: it never takes a turn. Where only a turn
        would do, it changes nothing.
    """

    def __init__(
        self, rng: np.random.Generator, device: torch.device, module: nn.Module | None = None
    ):
        seed = int(rng.integers(2**32))
        super().__init__(torch.Generator().manual_seed(seed), device)
        self.python_state = random.Random(seed).getstate()
        self.numpy_state = np.random.RandomState(seed).get_state()
        if self.accelerator is not None:
            self.accelerator.seed(seed)
        self.waits = self.accelerator is not None or (module is not None and draws_unseen(module))
        self.watches = False
        self.step = StepWindow(self)
        self.whole = Window(self, whole=True)
        self.fetch = FetchWindow(self, whole=True)
        self.callbacks = Window(self, whole=False, takes_turn=False)

    def __enter__(self) -> Self:
        self._depths = turns.held(), len(WINDOWS.stack), torch._C._len_torch_function_stack()
        return self

    def __exit__(self, *exc: object) -> None:
        self.recover()

    def recover(self) -> None:
        """Leave all windows, also one that an interrupt cut off between two statements."""
        interrupt = None
        while True:
            try:
                self._close()
                break
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def _close(self) -> None:
        n_turns, n_windows, n_modes = self._depths
        self.put_back()
        self.inside = False
        while torch._C._len_torch_function_stack() > n_modes:
            torch._C._pop_torch_function_stack()
        del WINDOWS.stack[n_windows:]
        while turns.held() > n_turns:
            turns.give_back()

    def __reduce__(self) -> Any:
        # A net that a callback pickles or copies in training does not take this along.
        return type(None), ()

    def first_step(self) -> Window:
        """Return the window of an epoch's first step.

        It looks whether the module draws from Python's or numpy's state; if so, all later
        steps have windows on these too.
        """
        return self.whole if self.draws_elsewhere else WatchingWindow(self, whole=True)

    def next_step(self) -> Window:
        """Return the window of any further step."""
        if self.watches:
            return self.first_step()
        return self.whole if self.draws_elsewhere else self.step

    def isolate(self, batches: Iterable[Any]) -> Iterable[Any]:
        """Return `batches`, each fetched in a window of its own unless they draw alone."""
        return batches if getattr(batches, "draws_alone", False) else self._isolated(batches)

    def _isolated(self, batches: Iterable[Any]) -> Iterator[Any]:
        with self.fetch:
            iterator = iter(batches)
        while True:
            with self.fetch:
                try:
                    batch = next(iterator)
                except StopIteration:
                    return
            yield batch


class PreservedRandomness(FitRandomness):
    """The caller's own states, which are the same afterwards as before.

    Parameters
    ----------
    device : torch.device
    module : nn.Module, optional
        What is to be run, without gradients.
    whole : bool, default=True
        Whether to look after Python's and numpy's states too.
    """

    def __init__(
        self, device: torch.device, module: nn.Module | None = None, *, whole: bool = True
    ):
        generator = torch.Generator()
        generator.set_state(DEFAULT.get_state())
        RandomStates.__init__(self, generator, device)
        self.waits = self.accelerator is not None or (module is not None and is_compiled(module))
        self.step = StepWindow(self)
        if whole:
            self.python_state, self.numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
            self.whole = Window(self, whole=True)
            self.fetch = FetchWindow(self, whole=True)


@contextmanager
def preserved_randomness(device: torch.device, module: nn.Module | None = None) -> Iterator[None]:
    """Context on the caller's own states, which are as before afterwards."""
    with PreservedRandomness(device, module) as randomness, randomness.whole:
        yield


@contextmanager
def items_looked_at() -> Iterator[None]:
    """Context to look at items of a user's data set in; random states stay as they are."""
    with PreservedRandomness(torch.device("cpu")) as randomness, randomness.fetch:
        yield


@contextmanager
def isolated_randomness(rng: np.random.Generator, device: torch.device) -> Iterator[None]:
    """Context whose states are seeded from `rng`; afterwards the caller's are as before."""
    with FitRandomness(rng, device) as randomness, randomness.whole:
        yield

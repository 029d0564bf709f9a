"""One source of randomness for a fit, apart from everybody else's, also in threads.

Modules draw initial weights and dropout masks from torch's process-wide generator, and a user's
own data set may draw from numpy's or Python's. While user code of a fit runs, these generators
hold the fit's own states; before and after, the caller's. Threads take turns at that. One whose
turn it is not does not wait: its draws are handed a generator of their own
(:mod:`skmixup.training.explicit`), with the same numbers as outcome.
"""

import random
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from skmixup.training.explicit import ExplicitGenerator
from skmixup.training.turns import WINDOWS, turns

# Seconds that a window on the states of Python and numpy waits for its turn. Other windows last
# milliseconds; where one lasts longer it may itself wait for this thread.
PATIENCE = 1.0

# The same for a user's data set, whose batches may take long to fetch and draw from these states.
FETCH_PATIENCE = 60.0

DEFAULT = torch.default_generator


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


class FitRandomness:
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
        self.torch = torch.Generator().manual_seed(seed)
        self.python_state = random.Random(seed).getstate()
        self.numpy_state = np.random.RandomState(seed).get_state()
        self._start(device)
        if self.accelerator is not None:
            self.accelerator.seed(seed)
        self.waits = self.accelerator is not None or (module is not None and draws_unseen(module))
        self.draws_elsewhere = False  # whether a step was seen to use Python's or numpy's state
        self.step = StepWindow(self)
        self.whole = Window(self, whole=True)
        self.fetch = _Fetching(self, whole=True)
        self.callbacks = Window(self, whole=False, takes_turn=False)

    def _start(self, device: torch.device) -> None:
        self.accelerator = None if device.type == "cpu" else _Accelerator(device)
        self.patient = True
        self.inside = False  # windows within its own windows change nothing
        self.theirs: tuple[Any, ...] | None = None  # the caller's states, while ours are in place

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

    def swap_in(self, *, whole: bool) -> None:
        """Put the fit's states in place of the caller's."""
        states: tuple[Any, ...] = (DEFAULT.get_state(),)
        if self.accelerator is not None or whole:
            states += (
                None if self.accelerator is None else self.accelerator.get(),
                *((random.getstate(), np.random.get_state()) if whole else ()),  # noqa: NPY002
            )
        self.theirs = states
        DEFAULT.set_state(self.torch.get_state())
        if self.accelerator is not None:
            self.accelerator.set(self.accelerator.ours)
        if whole:
            random.setstate(self.python_state)
            np.random.set_state(self.numpy_state)  # noqa: NPY002

    def swap_out(self, *, whole: bool) -> None:
        """Keep the fit's states and put the caller's back."""
        self.torch.set_state(DEFAULT.get_state())
        if self.accelerator is not None:
            self.accelerator.ours = self.accelerator.get()
        if whole:
            self.python_state = random.getstate()
            self.numpy_state = np.random.get_state()  # noqa: NPY002
        self.put_back()

    def put_back(self) -> None:
        """Set the caller's states again, if the fit's are in place."""
        if self.theirs is None:
            return
        torch_state, *others = self.theirs
        DEFAULT.set_state(torch_state)
        if others and self.accelerator is not None:
            self.accelerator.set(others[0])
        if len(others) > 1:
            random.setstate(others[1])
            np.random.set_state(others[2])  # noqa: NPY002
        self.theirs = None

    def states(self) -> dict[str, Any]:
        """Return the fit's states, for :meth:`go_on_from` of another one."""
        return {
            "torch": self.torch.get_state().numpy(),
            "python": self.python_state,
            "numpy": self.numpy_state,
            "accelerator": None if self.accelerator is None else self.accelerator.ours.numpy(),
        }

    def go_on_from(self, states: dict[str, Any]) -> None:
        """Take over the states of a fit that was cut off."""
        self.torch.set_state(torch.from_numpy(states["torch"]))
        self.python_state, self.numpy_state = states["python"], states["numpy"]
        if self.accelerator is not None and states["accelerator"] is not None:
            self.accelerator.ours = torch.from_numpy(states["accelerator"])

    def __reduce__(self) -> Any:
        # A net that a callback pickles or copies in training does not take this along.
        return type(None), ()

    def first_step(self) -> "Window":
        """Return the window of an epoch's first step.

        It looks whether the module draws from Python's or numpy's state; if so, all later
        steps have windows on these too.
        """
        return self.whole if self.draws_elsewhere else _Watching(self, whole=True)

    def next_step(self) -> "Window":
        """Return the window of any further step."""
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


class Window:
    """Context in which the process's random states are those of a fit.

    Parameters
    ----------
    randomness : FitRandomness
    whole : bool
        Python's and numpy's states too, or torch's only.
    takes_turn : bool, default=True
        False hands the draws a generator without even trying to be alone.
    """

    def __init__(self, randomness: FitRandomness, *, whole: bool, takes_turn: bool = True):
        self.randomness = randomness
        self.whole = whole
        self.takes_turn = takes_turn
        self.open: list[FitRandomness | ExplicitGenerator | None] = []

    def __enter__(self) -> Self:
        entered = self._enter()
        self.open.append(entered)
        if entered is not None:
            WINDOWS.stack.append(entered)
        return self

    def _enter(self) -> FitRandomness | ExplicitGenerator | None:
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

    def __init__(self, randomness: FitRandomness):
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


class _Fetching(Window):
    """A whole window whose turn is worth waiting for; one that does not come is told."""

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


class _Watching(Window):
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


class _Accelerator:
    """The random state of an accelerator, and the fit's own state for it."""

    def __init__(self, device: torch.device):
        self.device = device
        self.module = torch.get_device_module(device)
        # MPS has one device, and its functions take no argument.
        self.index = () if device.type == "mps" else (device,)
        self.ours = self.get()

    def seed(self, seed: int) -> None:
        self.ours = torch.Generator(self.device).manual_seed(seed).get_state()

    def get(self) -> Tensor:
        state: Tensor = self.module.get_rng_state(*self.index)
        return state

    def set(self, state: Tensor) -> None:
        self.module.set_rng_state(state, *self.index)


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
        self.torch = torch.Generator()
        self.torch.set_state(DEFAULT.get_state())
        self._start(device)
        self.waits = self.accelerator is not None or (module is not None and is_compiled(module))
        self.step = StepWindow(self)
        if whole:
            self.python_state, self.numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
            self.whole = Window(self, whole=True)
            self.fetch = _Fetching(self, whole=True)


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


# ---- modules whose draws cannot be handed a generator


def draws_unseen(module: nn.Module) -> bool:
    """Whether `module` is compiled, or runs parts of itself again in the backward pass.

    Activation checkpoints save and set torch's process-wide state themselves.
    """
    return is_compiled(module) or any(
        map(_names_checkpoints, {type(child) for child in module.modules()})
    )


def is_compiled(module: nn.Module) -> bool:
    """Whether `module` or a part of it is compiled or scripted: its draws go through no Python."""
    return any(
        isinstance(child, torch.jit.ScriptModule)
        or "_orig_mod" in child._modules
        or child.__dict__.get("_compiled_call_impl") is not None
        for child in module.modules()
    )


def _names_checkpoints(kind: type[nn.Module]) -> bool:
    """Whether the code of a module's class, or of functions it names, names a checkpoint."""
    to_read = [
        value
        for base in kind.__mro__
        if not base.__module__.startswith("torch.")
        for value in base.__dict__.values()
        if isinstance(value, FunctionType)
    ]
    read = set()
    while to_read:
        function = to_read.pop()
        read.add(function)
        for name, value in _names_used(function):
            if "checkpoint" in name or value is checkpoint:
                return True
            theirs = isinstance(value, FunctionType) and not value.__module__.startswith("torch")
            if theirs and value not in read:
                to_read.append(value)
    return False


def _names_used(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Names in the code of `function` with what they stand for, where that is known."""
    for name in _names_in(function.__code__):
        yield name, function.__globals__.get(name)
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name, cell in cells:
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            yield name, None


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)

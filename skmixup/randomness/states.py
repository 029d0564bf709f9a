"""The random states of the process, and those of a fit that take their place for a while."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

DEFAULT = torch.default_generator


class RandomStates:
    """Random states of a fit, to be put in place of the caller's and taken out again.

    Parameters
    ----------
    torch_generator : torch.Generator
        torch's state on the CPU.
    device : torch.device
        An accelerator has a state of its own.

    Attributes
    ----------
    accelerator : Accelerator or None
    python_state, numpy_state : object
        Of the modules ``random`` and ``numpy.random``.
    """

    python_state: Any
    numpy_state: Any

    def __init__(self, torch_generator: torch.Generator, device: torch.device):
        self.torch = torch_generator
        self.accelerator = None if device.type == "cpu" else Accelerator(device)
        self.waits = False  # for its turn, however long that takes
        self.patient = True  # waits a little; not again once that was in vain
        self.draws_elsewhere = False  # whether a step was seen to use Python's or numpy's state
        self.inside = False  # windows within its own windows change nothing
        self.theirs: tuple[Any, ...] | None = None  # the caller's states, while ours are in place

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


class Accelerator:
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

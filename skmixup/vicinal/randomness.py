"""One source of randomness for a fit, apart from everybody else's."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state


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


@contextmanager
def preserved_randomness(device: torch.device) -> Iterator[None]:
    """Put the global generators of Python, numpy and torch back at the end as they were."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    accelerators = [] if device.type == "cpu" else [device.index or 0]
    kind = "cuda" if device.type == "cpu" else device.type
    with torch.random.fork_rng(accelerators, device_type=kind):
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


@contextmanager
def isolated_randomness(rng: np.random.Generator, device: torch.device) -> Iterator[None]:
    """Seed the global generators of Python, numpy and torch from `rng`; put them back at the end.

    Modules draw their initial weights and their dropout masks from torch's global state, and a
    user's own data set may draw from numpy's or Python's: inside they are reproducible, outside
    nothing has changed.
    """
    with preserved_randomness(device):
        seed = int(rng.integers(2**32))
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - users' data sets draw from this state
        # Not torch.manual_seed, which seeds every accelerator too: only what is put back.
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        elif device.type != "cpu":
            torch.get_device_module(device).manual_seed(seed)
        yield

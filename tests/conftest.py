"""What tests of several rooms use."""

import random
import signal
import sys
from functools import wraps

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from sklearn.datasets import make_moons

# Property tests judge results, never the speed of the machine, and have the same examples in every
# run; pytest --hypothesis-profile=random looks for new ones.
untimed = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("random", **untimed)
settings.register_profile("untimed", derandomize=True, **untimed)
settings.load_profile("untimed")

_gpus_are_there = []  # torch's own functions, once torch has been imported


def pytest_configure(config):
    """Hear interrupts, which what a shell starts in the background ignores: tests raise some."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Let only tests that are marked with cuda see a GPU: what others expect is of the CPU."""
    torch = sys.modules.get("torch")
    if torch is None:
        return
    kinds = (torch.cuda, torch.backends.mps)
    if not _gpus_are_there:
        _gpus_are_there.extend(kind.is_available for kind in kinds)
    marked = item.get_closest_marker("cuda") is not None
    for kind, is_available in zip(kinds, _gpus_are_there, strict=True):
        # with what torch.compile looks for in them when it is imported
        kind.is_available = is_available if marked else wraps(is_available)(lambda: False)


@pytest.fixture
def global_states():
    """Return a function that returns the process-wide random states, in a form to compare."""
    import torch  # which the tests of designs do without

    def states():
        name, keys, *rest = np.random.get_state()  # noqa: NPY002
        return name, keys.tolist(), rest, random.getstate(), torch.get_rng_state().tolist()

    return states


@pytest.fixture
def moons():
    """Two moons, true labels, and labels of which 4 of each class are left."""
    X, y = make_moons(120, noise=0.1, random_state=0)
    partly = np.full(120, -1)
    for c in (0, 1):
        rows = np.flatnonzero(y == c)[:4]
        partly[rows] = c
    return X, y, partly


@pytest.fixture
def mixed_at(monkeypatch):
    """The input and the layers where each fit could mix, in the order of the fits."""
    from skmixup.training.fit_state import FitState

    found, end_loop = [], FitState.end_loop

    def noting(state):
        found.append(state.sites)
        end_loop(state)

    monkeypatch.setattr(FitState, "end_loop", noting)
    return found

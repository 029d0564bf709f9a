"""What several files of tests of estimators use."""

import random

import numpy as np
import pytest
import torch


@pytest.fixture
def global_states():
    """Return a function that returns the process-wide random states, in a form to compare."""

    def states():
        name, keys, *rest = np.random.get_state()  # noqa: NPY002
        return name, keys.tolist(), rest, random.getstate(), torch.get_rng_state().tolist()

    return states

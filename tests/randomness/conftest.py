"""The random states of a fit, for the tests of this folder."""

import numpy as np
import pytest
import torch

from skmixup.randomness.fit import FitRandomness


@pytest.fixture
def fit_randomness():
    """Make the random states of a fit on the CPU, the same ones each time."""
    return lambda: FitRandomness(np.random.default_rng(5), torch.device("cpu"))

"""Plain skorch nets and a look at the global random states, for the tests of this folder."""

import random

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn


@pytest.fixture
def plain_net():
    """Make an unfitted skorch classifier on logits."""
    return _plain_net


def _plain_net(module, **options):
    defaults = {
        "criterion": nn.CrossEntropyLoss,
        "train_split": None,
        "verbose": 0,
        "lr": 0.1,
        "max_epochs": 10,
    }
    torch.manual_seed(0)
    return NeuralNetClassifier(module, **(defaults | options))


@pytest.fixture
def blobs():
    """Three overlapping classes in five dimensions, in [0, 1]."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, size=300)
    X = 0.25 * rng.normal(size=(300, 5)) + 0.2 * np.eye(3, 5)[y] + 0.4
    return np.clip(X, 0, 1).astype(np.float32), y


@pytest.fixture(autouse=True)
def _keep_torch_seed():
    with torch.random.fork_rng():
        yield


@pytest.fixture
def random_states():
    """Read the global random states, as something that can be compared."""

    def read():
        name, keys, *rest = np.random.get_state()  # noqa: NPY002
        return (name, keys.tolist(), rest, random.getstate(), torch.get_rng_state().tolist())

    return read

"""Plain skorch nets and data for them."""

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

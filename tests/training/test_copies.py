"""Copies and pickles of modules that torch itself does not copy, or not whole."""

import copy
import pickle

import numpy as np
import pytest
from torch import nn

from skmixup import MixupClassifier
from tests.training.steps import X, Y, classifier


class Symmetric(nn.Module):
    def forward(self, weight):
        return weight.triu() + weight.triu(1).T


def parametrized():
    first = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    second = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))
    nn.utils.parametrize.register_parametrization(second, "weight", Symmetric())
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), nn.Linear(4, 3))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_weights_that_are_parametrized(copied):
    net = classifier(MixupClassifier, parametrized, ema_decay=0.5).fit(X, Y)
    twin = copied(net)
    assert nn.utils.parametrize.is_parametrized(twin.module_[2], "weight")
    twin.partial_fit(X, Y)
    np.testing.assert_array_equal(twin.predict_proba(X), net.partial_fit(X, Y).predict_proba(X))

"""Copies and pickles of modules that torch itself does not copy, or not whole."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from skorch.callbacks import LRScheduler, Unfreezer
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


def hold_two(parameter):
    parameter.grad[:2] = 0


class Masked(nn.Module):
    """Weights of one column stay as they are, and so do the first biases of a layer."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 5), nn.Linear(5, 3)
        mask = torch.tensor([1.0, 0.0, 1.0, 1.0])
        self.body.weight.register_hook(lambda gradient: gradient * mask)
        self.body.bias.register_post_accumulate_grad_hook(hold_two)
        for parameter in self.body.parameters():
            nn.init.ones_(parameter)
        self.body.bias.requires_grad_(False)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x)))


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_what_hangs_on_a_parameter_is_copied_with_it(decay):
    params = {"ema_decay": decay, "optimizer__weight_decay": 0.0, "max_epochs": 3}
    thaw = [Unfreezer("body.bias", at=2)]
    net = classifier(MixupClassifier, Masked(), callbacks=thaw, **params).fit(X, Y)
    moved = [parameter.detach() != 1 for parameter in net.module_.body.parameters()]
    assert moved[0].any(dim=0).tolist() == [True, False, True, True]
    assert moved[1].tolist() == [False, False, True, True, True]


class Tempered(nn.CrossEntropyLoss):
    """Learns a temperature."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.ones(()))

    def forward(self, output, target):
        return super().forward(self.slope * output, target)


class Around(nn.Module):
    def __init__(self, first=None, again=None, scale=None):
        super().__init__()
        self.first, self.again = first or nn.Linear(4, 4), again or nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(4) if scale is None else scale)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.again(self.first(x))) * self.scale)


LAYER = nn.Linear(4, 4)
GIVEN = {
    "a criterion": {"criterion": Tempered()},
    "a layer for two places": {"module__first": LAYER, "module__again": LAYER},
    "two places in a partial": {"module": partial(Around, LAYER, again=LAYER)},
    "a tensor": {"module__scale": torch.ones(4)},
    "a rate": {
        "optimizer__lr": torch.tensor(0.1), "callbacks": [LRScheduler("StepLR", step_size=1)],
    },
    "rates of groups": {
        "optimizer__param_groups": [("head*", {"lr": torch.tensor(0.1)})],
        "callbacks": [LRScheduler("StepLR", step_size=1)],
    },
}  # fmt: skip


@pytest.mark.parametrize("what", GIVEN)
def test_what_was_given_stays_as_it_was(what):
    net = classifier(MixupClassifier, **{"module": Around, "max_epochs": 3} | GIVEN[what])
    first = net.fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(net.fit(X, Y).predict_proba(X), first)
    assert (net.module_.first is net.module_.again) is ("two" in what)


class Locked(nn.Linear):
    def __deepcopy__(self, memo):
        raise TypeError("cannot copy a lock")


def test_what_cannot_be_copied_is_told():
    net = classifier(MixupClassifier, Around, module__first=Locked(4, 4))
    with pytest.warns(UserWarning, match=r"'first' cannot be copied \(cannot copy a lock\)"):
        net.fit(X, Y)
    assert net.module_.first is net.module__first

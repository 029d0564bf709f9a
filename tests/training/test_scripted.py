"""Modules of torch.jit: trained where a function makes them, errors that say so where copied."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupRegressor,
    VicinalClassifier,
)

# torch's own, to those who script: a DeprecationWarning until torch 2.13, then a FutureWarning
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:.*torch.jit:{kind}")
    for kind in ("DeprecationWarning", "FutureWarning")
]

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(48, 4)).astype(np.float32), np.arange(48) % 3
FAST = {"max_epochs": 2, "random_state": 0}
REMEDY = r"pass the module as it was before torch\.jit, or a function that makes it"


def network():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def scripted():
    return torch.jit.script(network())


def loaded():
    file = io.BytesIO()
    torch.jit.save(scripted(), file)
    file.seek(0)
    return torch.jit.load(file)


WAYS = {
    "scripted": scripted,
    "traced": lambda: torch.jit.trace(network(), torch.zeros(2, 4)),
    "loaded": loaded,
    "a part": lambda: nn.Sequential(torch.jit.script(network()[:2]), nn.Linear(8, 3)),
}


@pytest.fixture(params=WAYS)
def make(request):
    return WAYS[request.param]


@pytest.mark.parametrize("kind", [VicinalClassifier, ManifoldMixupClassifier, MixupRegressor])
def test_an_instance_is_an_error_that_says_what_to_pass(make, kind):
    net = kind(make(), **FAST)
    for fit in (net.fit, net.partial_fit):
        with pytest.raises(ValueError, match=rf"module holds code of torch\.jit.*{REMEDY}"):
            fit(X, Y)
    assert not hasattr(net, "module_")


def test_what_a_function_makes_is_trained(make):
    net = MixupClassifier(make, **FAST).fit(X, Y)
    before = net.predict_proba(X)
    assert not np.array_equal(net.partial_fit(X, Y).predict_proba(X), before)
    assert len(net.loss_curve_) == 4
    file = io.BytesIO()
    net.save_params(file)
    file.seek(0)
    twin = MixupClassifier(make, classes=[0, 1, 2], **FAST).initialize()
    twin.load_params(file)
    assert np.array_equal(twin.predict_proba(X), net.predict_proba(X))


def test_a_teacher_would_be_a_copy(make):
    for params in (FAST, FAST | {"ema_decay": 0}):
        net = InterpolationConsistencyClassifier(make, **params)
        with pytest.raises(ValueError, match=r"the teacher needs a copy .* before torch\.jit"):
            net.fit(X, np.where(np.arange(48) % 4, Y, -1))
        assert not hasattr(net, "module_")


def test_an_average_would_be_a_copy(make):
    net = MixupClassifier(make, ema_decay=0.9, **FAST)
    with pytest.raises(ValueError, match=r"ema_decay=0\.9 .* torch\.jit.*, or ema_decay=0"):
        net.fit(X, Y)
    assert not hasattr(net, "module_")
    expected = net.set_params(ema_decay=0).fit(X, Y).predict_proba(X)
    net.set_params(ema_decay=0.5)
    with pytest.raises(ValueError, match=r"ema_decay=0\.5 .* torch\.jit"):
        net.partial_fit(X, Y)
    assert np.array_equal(net.predict_proba(X), expected)


@pytest.mark.parametrize("copied", [pickle.dumps, copy.deepcopy])
def test_a_pickle_says_that_there_is_none(make, copied):
    net = MixupClassifier(make, **FAST).fit(X, Y)
    with pytest.raises(pickle.PicklingError, match=r"code of torch\.jit.*save_params") as told:
        copied(net)
    assert "before torch.jit" in str(told.value)


def test_other_errors_of_pickles_stay_what_they_are():
    net = MixupClassifier(network(), **FAST).fit(X, Y)
    net.module_.lock = (i for i in range(3))
    with pytest.raises(TypeError, match="generator"):
        pickle.dumps(net)

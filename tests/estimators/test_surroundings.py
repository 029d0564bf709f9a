"""What others have set in torch, for the thread or the process, does not change what is learnt."""

import copy
import pickle
from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupClassifierCV,
    MixupRegressor,
    VicinalClassifier,
)
from skmixup.training.surroundings import own_surroundings

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4)).astype(np.float32)
Y = np.arange(120) % 3


@contextmanager
def default_type(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def default_device(device):
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


SURROUNDINGS = {
    "inference mode": torch.inference_mode,
    "no grad": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "bfloat16": lambda: default_type(torch.bfloat16),
    "float64": lambda: default_type(torch.float64),
    "meta device": lambda: default_device("meta"),
    "deterministic algorithms": deterministic,
}
FAST = {"module__hidden_sizes": (8,), "max_epochs": 2, "random_state": 0}
NETS = [
    ManifoldMixupClassifier(module__hidden_sizes=(8,), batch_size=64, random_state=0),
    ManifoldMixupClassifier(ema_decay=0.9, precision="bfloat16", **FAST),
    MixupRegressor(pairing="similar", **FAST),
    InterpolationConsistencyClassifier(**FAST),
    MixupClassifierCV(
        MixupClassifier(**FAST), param_distributions={"alpha": [0, 1]}, n_runs=2, cv=2
    ),
    VicinalClassifier(
        nn.Linear, module__in_features=4, module__out_features=3, max_epochs=2, random_state=0
    ),
]


def predicted(net):
    return net.predict_proba(X) if hasattr(net, "predict_proba") else net.predict(X)


@cache
def usual(net):
    return predicted(clone(net).fit(X, Y))


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
@pytest.mark.parametrize("net", NETS, ids=lambda net: type(net).__name__)
def test_a_fit_and_predictions_are_the_same(net, surroundings):
    outside = usual(net)
    with SURROUNDINGS[surroundings]():
        found = clone(net).fit(X, Y)
        inside = predicted(found)
    assert np.array_equal(inside, outside)
    assert np.array_equal(predicted(found), outside)


def test_they_are_put_back():
    net = MixupClassifier(**FAST)
    with (
        torch.inference_mode(),
        torch.autocast("cpu", torch.bfloat16),
        default_device("meta"),
        default_type(torch.float64),
    ):
        net.fit(X, Y).predict(X)
        assert torch.is_inference_mode_enabled()
        assert not torch.is_grad_enabled()
        assert torch.is_autocast_enabled("cpu")
        assert torch.is_autocast_cache_enabled()
        assert torch.get_default_dtype() is torch.float64
        assert torch.zeros(1).device.type == "meta"


def test_the_default_type_is_put_back_by_the_last_thread():
    with default_type(torch.float64):
        first, second = own_surroundings("cpu"), own_surroundings("cpu")
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert torch.get_default_dtype() is torch.float32
        second.__exit__(None, None, None)
        assert torch.get_default_dtype() is torch.float64


def loaded(net, path):
    net.save_params(path / "net.pt", f_optimizer=path / "optimizer.pt")
    new = clone(net).initialize()
    new.load_params(path / "net.pt", f_optimizer=path / "optimizer.pt")
    return new


@pytest.mark.parametrize(
    "make",
    [
        lambda net, path: pickle.loads(pickle.dumps(net)),
        lambda net, path: copy.deepcopy(net),
        lambda net, path: net.set_params(module__hidden_sizes=(4,)),
        loaded,
    ],
    ids=["pickle", "copy", "set_params", "load_params"],
)
def test_what_is_made_in_inference_mode_can_be_trained(make, tmp_path):
    net = MixupClassifier(**FAST).fit(X, Y)
    with torch.inference_mode():
        made = make(net, tmp_path)
    assert made.partial_fit(X, Y).n_iter_ >= 2


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_module_of_another_type_than_its_inputs_is_an_error_that_says_so(dtype):
    net = VicinalClassifier(nn.Linear(4, 3).to(dtype))
    with pytest.raises(ValueError, match=rf"Linear has parameters of {dtype}.*module.float\(\)"):
        net.fit(X, Y)
    assert not hasattr(net, "module_")

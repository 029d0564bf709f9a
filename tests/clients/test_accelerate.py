"""skorch's AccelerateMixin, which brings its own `initialize` and training step."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from sklearn.base import clone
from skorch.hf import AccelerateMixin

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    VicinalClassifier,
)

RNG = np.random.default_rng(0)
CODES = np.arange(60) % 3
X = (RNG.normal(size=(60, 4)) + 2 * np.eye(3, 4)[CODES]).astype(np.float32)
FAST = {"module__hidden_sizes": (8,), "max_epochs": 4, "lr": 0.02, "random_state": 0}


class AcceleratedMixup(AccelerateMixin, MixupClassifier):
    pass


class AcceleratedManifoldMixup(AccelerateMixin, ManifoldMixupClassifier):
    pass


class AcceleratedConsistency(AccelerateMixin, InterpolationConsistencyClassifier):
    pass


def accelerator(**options):
    AcceleratorState._reset_state(reset_partial_state=True)  # one for the whole process
    return Accelerator(cpu=True, **options)


@pytest.mark.parametrize(
    ("accelerated", "plain"),
    [
        (AcceleratedMixup, MixupClassifier),
        (AcceleratedManifoldMixup, ManifoldMixupClassifier),
    ],
)
@pytest.mark.parametrize("options", [{}, {"class_weight": {0: 1, 1: 4, 2: 2}, "alpha": 1.0}])
def test_it_trains_what_is_trained_without_it(accelerated, plain, options):
    state = torch.get_rng_state()
    net = accelerated(accelerator=accelerator(), **FAST, **options).fit(X, CODES)
    assert torch.equal(torch.get_rng_state(), state)
    expected = plain(**FAST, **options).fit(X, CODES)
    assert np.array_equal(net.predict_proba(X), expected.predict_proba(X))
    net.partial_fit(X, CODES)
    expected.partial_fit(X, CODES)
    assert np.array_equal(net.predict_proba(X), expected.predict_proba(X))
    assert np.array_equal(clone(net).fit(X, CODES).predict(X), clone(net).fit(X, CODES).predict(X))


def test_mixed_precision_and_accumulated_gradients():
    half = AcceleratedMixup(accelerator=accelerator(mixed_precision="bf16"), **FAST)
    one = AcceleratedMixup(accelerator=accelerator(), **FAST).fit(X, CODES)
    assert not np.array_equal(half.fit(X, CODES).predict_proba(X), one.predict_proba(X))
    np.testing.assert_allclose(half.predict_proba(X), one.predict_proba(X), atol=0.05)
    params = FAST | {"batch_size": 10, "max_epochs": 1}
    pairs = accelerator(gradient_accumulation_steps=2)
    steps = AcceleratedMixup(accelerator=pairs, **params).fit(X, CODES).optimizer_.state
    assert {int(parameter["step"]) for parameter in steps.values()} == {3}  # of 6 minibatches


def test_interpolation_consistency_says_why_it_cannot():
    net = AcceleratedConsistency(accelerator=accelerator(), **FAST)
    with pytest.raises(RuntimeError, match="moves another, which predicts"):
        net.fit(X, np.where(np.arange(60) % 2, CODES, -1))


class Takeover(VicinalClassifier):
    """Calls the parts of skorch's `initialize`, as AccelerateMixin does."""

    def initialize(self):
        self._initialize_virtual_params()
        self._initialize_callbacks()
        self._initialize_module()
        self._initialize_criterion()
        self._initialize_optimizer()
        self._initialize_history()
        self.initialized_ = True
        return self


class Extension(VicinalClassifier):
    def initialize(self):
        super().initialize()
        self.extended_ = True
        return self


@pytest.mark.parametrize("kind", [Takeover, Extension])
@pytest.mark.parametrize("seed", [0, np.random.RandomState])
def test_initialize_of_a_subclass_has_the_same_randomness(kind, seed):
    def fitted(cls):
        params = FAST | {"random_state": seed if seed == 0 else seed(3)}
        return cls(**params).fit(X, CODES).partial_fit(X, CODES).predict_proba(X)

    state = torch.get_rng_state()
    assert np.array_equal(fitted(kind), fitted(VicinalClassifier))
    assert torch.equal(torch.get_rng_state(), state)


def test_an_initialised_takeover_is_trained_from_its_random_state():
    sizes = {"module__in_features": 4, "module__out_features": 3, "classes": [0, 1, 2]}
    net = Takeover(torch.nn.Linear, random_state=0, max_epochs=1, **sizes).initialize()
    assert net.partial_fit(X, CODES).n_iter_ == 1


def test_two_processes_train_and_predict_as_one(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    file = Path(__file__).with_name("in_two_processes.py")
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    shared |= {"MASTER_PORT": port, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(file)],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        told = [process.communicate(timeout=240)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, text in zip(processes, told, strict=True):
        assert process.returncode == 0, text[-3000:]
        assert text.strip().endswith("all of it")

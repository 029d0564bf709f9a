"""Facts about devices: `device` stays what the user wrote; fitted estimators travel."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.exceptions import DeviceWarning

from skmixup import ManifoldMixupClassifier, MixupClassifier
from skmixup.training.devices import resolve_device

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4)).astype(np.float32)
Y = np.arange(30) % 3
FAST = {"module__hidden_sizes": (8,), "max_epochs": 2, "random_state": 0}
NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="has CUDA")


@pytest.mark.parametrize("device", ["auto", "cpu", torch.device("cpu"), None])
def test_the_parameter_stays_what_it_was(device):
    net = MixupClassifier(device=device, **FAST).fit(X, Y)
    net.predict(X)
    net.partial_fit(X, Y)
    assert net.device == device
    assert clone(net).device == device
    assert pickle.loads(pickle.dumps(net)).device == device


@NO_CUDA
@pytest.mark.parametrize("device", ["cuda", "cuda:3", torch.device("cuda")])
def test_a_missing_device_is_named(device):
    with pytest.raises(
        ValueError, match=r"device is .*cuda.* 0 CUDA devices .* use 'auto' or 'cpu'"
    ):
        MixupClassifier(device=device, **FAST).fit(X, Y)


def test_a_missing_device_costs_a_fitted_estimator_nothing():
    net = MixupClassifier(**FAST).fit(X, Y)
    expected = net.predict_proba(X)
    net.set_params(device="cuda:99")
    with pytest.raises(ValueError, match="cuda:99"):
        net.fit(X, Y)
    assert np.array_equal(net.predict_proba(X), expected)


@NO_CUDA
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_what_was_fitted_on_a_gpu_unpickles_predicts_and_trains_on_the_cpu(device):
    net = MixupClassifier(**FAST).fit(X, Y)
    expected = net.predict_proba(X)
    net.device = device  # as it would have been written on the other machine
    with pytest.warns(DeviceWarning):
        copy = pickle.loads(pickle.dumps(net))
    assert str(copy.device) == "cpu"
    assert np.array_equal(copy.predict_proba(X), expected)
    assert copy.partial_fit(X, Y).n_iter_ == 4
    assert copy.fit(X, Y).n_iter_ == 2


def test_everything_that_may_lie_on_a_gpu_is_pickled_in_a_way_that_can_be_moved():
    state = ManifoldMixupClassifier(**FAST).fit(X, Y).__getstate__()
    moved = state.pop("__cuda_dependent_attributes__")
    assert len(moved) > 1000

    def tensors(value):
        if isinstance(value, torch.Tensor):
            return [value]
        if isinstance(value, dict):
            return [t for v in value.values() for t in tensors(v)]
        if isinstance(value, (list, tuple)):
            return [t for v in value for t in tensors(v)]
        return []

    assert tensors(state) == []


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
class TestCuda:
    def test_auto_trains_there_and_global_states_stay(self):
        before = torch.cuda.get_rng_state(), torch.get_rng_state()
        net = ManifoldMixupClassifier(**FAST).fit(X, Y)
        assert next(net.module_.parameters()).is_cuda
        assert net.device == "auto"
        assert torch.equal(before[0], torch.cuda.get_rng_state())
        assert torch.equal(before[1], torch.get_rng_state())

    def test_it_learns_what_the_cpu_learns(self):
        params = FAST | {"module__dropout": 0.0}
        on_cpu = ManifoldMixupClassifier(device="cpu", **params).fit(X, Y)
        on_gpu = ManifoldMixupClassifier(device="cuda", **params).fit(X, Y)
        assert np.allclose(on_cpu.predict_proba(X), on_gpu.predict_proba(X), atol=1e-3)

    def test_a_cpu_fit_leaves_the_gpu_alone(self):
        before = torch.cuda.get_rng_state()
        MixupClassifier(device="cpu", **FAST).fit(X, Y)
        assert torch.equal(before, torch.cuda.get_rng_state())


def test_overrides_find_a_device_that_torch_takes():
    """As in skorch, where `device` is no "auto"; the parameter stays what the user wrote."""
    seen, copies = set(), []

    class Own(MixupClassifier):
        def initialize_module(self):
            super().initialize_module()
            seen.add(str(torch.zeros(1, device=self.device).device))
            return self

        def get_loss(self, y_pred, y_true, X=None, training=False):
            return super().get_loss(y_pred.to(self.device), y_true.to(self.device), X, training)

        def infer(self, x, **fit_params):
            return super().infer(x.to(self.device), **fit_params)

        def on_epoch_end(self, net, **kwargs):
            super().on_epoch_end(net, **kwargs)
            copies.append(copy.deepcopy(net))

    net = Own(max_epochs=1, random_state=0, callbacks="disable").fit(X, Y)
    net.predict(X)
    assert seen == {str(resolve_device("auto"))}
    assert net.device == "auto"
    assert copies[0].device == "auto"

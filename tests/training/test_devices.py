"""Facts about which device a net is trained on."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupRegressor,
    VicinalClassifier,
)
from skmixup.estimators import looking
from skmixup.robustness import fgsm
from skmixup.training.devices import resolve_device
from skmixup.training.running_net import RunningNet
from skmixup.vicinal import CutMix, Gaussian
from skmixup.vicinal.nested import map_tensors


def test_auto_takes_the_best_device_there_is(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("meta", "tensors have shapes but no values"),
        (torch.device("meta", 0), "tensors have shapes but no values"),
        ("xla", "this torch cannot compute on"),
        ("ipu:1", "this torch cannot compute on"),
        ("privateuseone", "this torch cannot compute on"),
    ],
)
def test_a_device_on_which_nothing_can_be_computed_is_an_error_before_training(device, said):
    clf = MixupClassifier(device=device)
    with pytest.raises(ValueError, match=rf"device is .*{said}.*use 'auto' or 'cpu'"):
        clf.fit([[0.0], [1.0]], [0, 1])
    assert not hasattr(clf, "module_")


class NoDoubles(torch.Tensor):
    """A tensor of a device that, as Apple's MPS, knows no float64, until it is brought back."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is torch.Tensor.cpu:
            return args[0].as_subclass(torch.Tensor)
        found = super().__torch_function__(func, types, args, kwargs or {})
        if isinstance(found, cls) and found.dtype == torch.float64:
            raise TypeError(f"{func.__name__}: this device knows no float64")
        return found


RNG = np.random.default_rng(0)
Y = np.arange(24) % 2
X, IMAGES = RNG.normal(size=(24, 4)), RNG.integers(256, size=(24, 2, 6, 6)).astype(np.uint8)
SMALL = {"max_epochs": 2, "batch_size": 8, "random_state": 0, "device": "cpu"}
TABLE = {"module__hidden_sizes": (8, 8), **SMALL}
RESNET = {"module__width": 4, "module__depths": (1, 1), **SMALL}


@pytest.mark.parametrize(
    ("net", "rows", "y"),
    [
        (ManifoldMixupClassifier(**TABLE), X, Y),
        (MixupClassifier(mix_per="sample", module__embedding="piecewise", **TABLE), X, Y),
        (MixupClassifier(criterion=nn.NLLLoss, **TABLE), X, Y),
        (MixupClassifier(**TABLE), X, np.column_stack([Y, X[:, 0] > 0])),
        (MixupClassifier(**TABLE), X, 0.2 + 0.6 * np.eye(2)[Y]),
        (MixupRegressor(pairing="similar", **TABLE), X, X[:, 0]),
        (MixupRegressor(criterion=nn.GaussianNLLLoss, **TABLE), X, X[:, :2]),
        (InterpolationConsistencyClassifier(**TABLE), X, np.where(Y + X[:, 0] > 1, -1, Y)),
        (MixupClassifier(ema_decay=0.9, train_split=0.3, **RESNET), IMAGES, Y),
        (VicinalClassifier(vicinity=CutMix(1.0), **RESNET), IMAGES.astype(float), Y),
        (VicinalClassifier(vicinity=Gaussian(0.1), **TABLE), X, Y),
    ],
)
def test_nothing_on_the_device_is_float64(net, rows, y, monkeypatch):
    on_device = RunningNet._on_device

    def there(net, x):
        return map_tensors(lambda x: x.as_subclass(NoDoubles), on_device(net, x))

    expected = clone(net).fit(rows, y, sample_weight=np.linspace(0.5, 1, 24))
    monkeypatch.setattr(RunningNet, "_on_device", there)
    monkeypatch.setattr(looking, "shown_on", lambda rows, y, device: (there(net, rows), y))
    net.fit(rows, y, sample_weight=np.linspace(0.5, 1, 24))
    np.testing.assert_allclose(net.predict(rows[:20]), expected.predict(rows[:20]), rtol=1e-5)
    if isinstance(net, VicinalClassifier) and np.ndim(y) == 1 and min(y) == 0:
        fgsm(net, rows, y, eps=1.0)

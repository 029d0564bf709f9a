"""What tests of the user's own losses and steps share: data, vicinities, such methods."""

import numpy as np
import torch
from skorch.utils import to_tensor
from torch import nn
from torch.nn import functional as F

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.vicinal import CutMix, Gaussian
from tests.training.steps import sequential

RNG = np.random.default_rng(0)
CODES = np.arange(48) % 3
X = (RNG.normal(size=(48, 4)) + 2 * np.eye(3, 4)[CODES]).astype(np.float32)
Y = np.array(["ant", "bee", "cow"])[CODES]
WEIGHT = RNG.uniform(0.2, 3, size=48)
IMAGES = RNG.normal(size=(48, 1, 6, 6)).astype(np.float32)
PARAMS = {"max_epochs": 3, "batch_size": 16, "lr": 0.05, "random_state": 0}
HOLD_OUT = {"train_split": lambda dataset, y=None, **kw: (dataset, dataset)}


def convolution():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(64, 3))


MIXED = {
    "none": (VicinalClassifier, {}),
    "noise": (VicinalClassifier, {"vicinity": Gaussian(0.1)}),
    "mixup": (MixupClassifier, {"alpha": 1.0}),
    "manifold": (ManifoldMixupClassifier, {"alpha": 1.0}),
    "below": (ManifoldMixupClassifier, {"alpha": 1.0, "block_gradient": "below"}),
    "rarely": (MixupClassifier, {"alpha": 1.0, "mix_prob": 0.5, "mix_epochs": 2}),
    "cutmix": (VicinalClassifier, {"vicinity": CutMix(1.0)}),
}
SAMPLE = {
    "mixup": (MixupClassifier, {"alpha": 1.0, "mix_per": "sample"}),
    "manifold": (ManifoldMixupClassifier, {"alpha": 1.0, "mix_per": "sample"}),
}


def fitted(base, mixin, params, *, module=sequential, weight=None, **more):
    estimator = base if mixin is None else type("Own", (mixin, base), {})
    images = isinstance(params.get("vicinity"), CutMix)
    module = convolution if images and module is sequential else module
    small = {"module__hidden_sizes": (32,), "module__embedding": None} if module is None else {}
    net = estimator(module, **(PARAMS | small | params | more))
    return net.fit(IMAGES if images else X, Y, sample_weight=weight)


def assert_same(net, expected, tolerance=1e-5):
    for name, value in net.module_.state_dict().items():
        torch.testing.assert_close(
            value, expected.module_.state_dict()[name], atol=tolerance, rtol=tolerance
        )
    assert np.allclose(net.loss_curve_, expected.loss_curve_, atol=tolerance)


class WithPenalty:
    """skorch's documentation, Customization."""

    factor = 0.01

    def get_loss(self, y_pred, y_true, X=None, training=False):
        loss = super().get_loss(y_pred, y_true, X=X, training=training)
        loss += self.factor * sum(w.abs().sum() for w in self.module_.parameters())
        return loss


class CrossEntropy:
    """Never asks super()."""

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        y_true = to_tensor(y_true, device=self.device)
        return F.cross_entropy(y_pred, y_true)


class Single:
    """skorch's own, word for word."""

    def train_step_single(self, batch, **fit_params):
        self._set_training(True)
        Xi, yi = batch
        y_pred = self.infer(Xi, **fit_params)
        loss = self.get_loss(y_pred, yi, X=Xi, training=True)
        loss.backward()
        return {"loss": loss, "y_pred": y_pred}

    def validation_step(self, batch, **fit_params):
        self._set_training(False)
        Xi, yi = batch
        with torch.no_grad():
            y_pred = self.infer(Xi, **fit_params)
            loss = self.get_loss(y_pred, yi, X=Xi, training=False)
        return {"loss": loss, "y_pred": y_pred}


class Stepping:
    """A train_step that calls the plain train_step_single."""

    def train_step(self, batch, **fit_params):
        self.optimizer_.zero_grad()
        step = self.train_step_single(batch, **fit_params)
        self.optimizer_.step()
        return step

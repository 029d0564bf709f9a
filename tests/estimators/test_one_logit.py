"""Facts about a module with one output for two classes: its loss, soft labels, predictions."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.robustness import fgsm

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype(np.float32)
P = 1 / (1 + np.exp(-3 * X[:, 0]))
SOFT = np.c_[1 - P, P]
Y = np.where(P > 0.5, "b", "a")


class Recorded(MixupClassifier):
    """Keeps what a step is given and gives."""

    def step_loss(self, X, y, draw, **params):
        loss, output, mixed = super().step_loss(X, y, draw, **params)
        if self.module_.training:
            self.__dict__.setdefault("steps", []).append((y, draw, output.detach(), loss))
        return loss, output, mixed


def module(*, flat, seed=0):
    torch.manual_seed(seed)
    layers = [nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1), *([nn.Flatten(0)] if flat else [])]
    return nn.Sequential(*layers)


def net(kind=MixupClassifier, *, flat=False, **params):
    params = {"criterion": nn.BCEWithLogitsLoss, "max_epochs": 2, "random_state": 0} | params
    return kind(module(flat=flat), **params)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("labels", ["hard", "soft"])
@pytest.mark.parametrize("mix_per", ["batch", "sample"])
def test_the_loss_is_the_weighted_binary_cross_entropy_of_mixed_labels(flat, labels, mix_per):
    weight = RNG.uniform(0.5, 2, len(X))
    clf = net(Recorded, flat=flat, alpha=1.0, mix_per=mix_per, batch_size=16, max_epochs=1)
    clf.fit(X, Y if labels == "hard" else SOFT, weight)
    for (y, w), draw, output, loss in clf.steps:
        on = (y if labels == "hard" else y[:, 1]).double()
        z, lam = output.flatten().double(), draw.lam.double().expand(len(on))
        own, theirs = lam * w, (1 - lam) * w[draw.partner]
        positive = own * on + theirs * on[draw.partner]
        cost = -positive * F.logsigmoid(z) - (own + theirs - positive) * F.logsigmoid(-z)
        assert float(loss.detach()) == pytest.approx(float(cost.mean()), rel=1e-5)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("kind", [VicinalClassifier, ManifoldMixupClassifier])
def test_predictions_have_the_shapes_of_two_classes(kind, flat):
    layers = {"layers": [0, 1]} if kind is ManifoldMixupClassifier else {}
    clf = net(kind, flat=flat, max_epochs=30, lr=0.05, **layers).fit(X, Y)
    proba, margin = clf.predict_proba(X), clf.decision_function(X)
    assert proba.shape == (40, 2)
    assert margin.shape == (40,)
    np.testing.assert_allclose(proba, np.c_[1 - proba[:, 1], 1 / (1 + np.exp(-margin))])
    assert np.array_equal(clf.predict(X), np.where(margin > 0, "b", "a"))
    assert clf.score(X, Y) > 0.9
    assert (fgsm(clf, X, Y, 0.1) != X).any()


def test_soft_labels_are_learnt_as_probabilities():
    soft = net(alpha=0.0, max_epochs=80, lr=0.05).fit(X, SOFT)
    assert np.abs(soft.predict_proba(X)[:, 1] - P).mean() < 0.05
    named = net(classes=["a", "b"], alpha=0.0, max_epochs=5).fit(X, np.round(SOFT))
    hard = net(alpha=0.0, max_epochs=5).fit(X, Y)
    np.testing.assert_allclose(named.predict_proba(X), hard.predict_proba(X), rtol=1e-5)


def test_one_logit_equals_two_of_which_the_first_is_zero():
    """σ(z) is the softmax of (0, z): the same loss, the same training."""

    class Beside(nn.Module):
        def __init__(self, one):
            super().__init__()
            self.one = one

        def forward(self, x):
            z = self.one(x)
            return torch.cat([torch.zeros_like(z), z], dim=1)

    one = net(alpha=0.5, class_weight={"a": 1, "b": 3}).fit(X, Y)
    two = MixupClassifier(
        Beside(module(flat=False)),
        alpha=0.5, class_weight={"a": 1, "b": 3}, max_epochs=2, random_state=0,
    ).fit(X, Y)  # fmt: skip
    np.testing.assert_allclose(one.predict_proba(X), two.predict_proba(X), rtol=1e-4)

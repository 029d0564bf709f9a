"""Networks of others: their stages, frozen parts, groups of parameters, loaded weights."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skmixup import ManifoldMixupClassifier

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
from pretrained_backbone import PartlyFrozen, SmallResNet

sys.path.pop(0)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 1, 8, 8)).astype(np.float32)
Y = np.arange(24) % 10
STAGES = ("input", "layer1", "layer2")


def classifier(module, **params):
    defaults = {"max_epochs": 2, "batch_size": 8, "random_state": 0, "device": "cpu"}
    return ManifoldMixupClassifier(module, **defaults | params)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (lambda: SmallResNet(10), STAGES),
        (PartlyFrozen, ("input", "backbone.layer1", "backbone.layer2")),
        (lambda: nn.Sequential(nn.Identity(), SmallResNet(10)), ("input", "1.layer1", "1.layer2")),
    ],
)
def test_auto_mixes_between_the_stages_and_not_in_a_deep_stem(module, expected, mixed_at):
    classifier(module, max_epochs=1).fit(X, Y)
    assert mixed_at[-1] == expected


def test_blocks_that_are_all_plain_stacks_stay_blocks(mixed_at):
    def stack(n_in, n_out):
        return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(),
                             nn.Conv2d(n_out, n_out, 3, padding=1))  # fmt: skip

    plain = nn.Sequential(stack(1, 2), stack(2, 2), nn.Flatten(), nn.Linear(128, 10))
    classifier(plain, max_epochs=1).fit(X, Y)
    assert mixed_at[-1] == ("input", "0", "1")


class Rates(Callback):
    """The learning rates of every step."""

    def on_grad_computed(self, net, **kwargs):
        rates = [group["lr"] for group in net.optimizer_.param_groups]
        self.__dict__.setdefault("seen", []).append(rates)


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_frozen_parts_stay_and_groups_have_rates_of_their_own(ema_decay):
    torch.manual_seed(0)
    given = PartlyFrozen()
    groups = [("backbone.fc.*", {"lr": 0.1}), ("*.bias", {"weight_decay": 0.0})]
    rates = Rates()
    clf = classifier(
        given,
        layers=["backbone.layer3"],
        optimizer__param_groups=groups,
        callbacks=[rates],
        ema_decay=ema_decay,
    ).fit(X, Y)
    before = given.state_dict()
    after = clf.module_.state_dict()
    for name, value in before.items():
        frozen = name.startswith(tuple(f"backbone.{part}." for part in given.FROZEN))
        assert torch.equal(value, after[name]) is frozen, name
    seen = np.array(rates.seen)
    np.testing.assert_allclose(seen[:, 0] / seen[:, 2], 0.1 / clf.lr)
    assert [group["weight_decay"] for group in clf.optimizer_.param_groups] == [0.01, 0.0, 0.01]
    n_fc = sum(p.numel() for p in clf.optimizer_.param_groups[0]["params"])
    assert n_fc == 64 * 10 + 10


def test_training_begins_from_weights_that_were_loaded():
    torch.manual_seed(0)
    pretrained = SmallResNet(10)
    clf = classifier(pretrained, layers=["layer1", "layer4"], max_epochs=0).fit(X, Y)
    with torch.no_grad():
        expected = pretrained.eval()(torch.tensor(X)).softmax(dim=1)
    np.testing.assert_allclose(clf.predict_proba(X), expected, atol=1e-6)


def test_networks_of_timm_are_mixed_between_their_stages(mixed_at):
    timm = pytest.importorskip("timm")
    for name, stages in (
        ("resnet10t", STAGES),
        ("convnext_atto", ("input", "stages.0", "stages.1")),
        ("repvgg_a0", ("input", "stages.0", "stages.1")),
    ):
        module = timm.create_model(name, in_chans=1, num_classes=10)
        images = np.zeros((10, 1, 32, 32), dtype=np.float32)
        classifier(module, max_epochs=1).fit(images, Y[:10])
        assert mixed_at[-1] == stages


def test_networks_of_torchvision_are_mixed_between_their_stages(mixed_at):
    models = pytest.importorskip("torchvision.models")
    images = np.zeros((10, 3, 32, 32), dtype=np.float32)
    classifier(models.resnet18(weights=None, num_classes=10), max_epochs=1).fit(images, Y[:10])
    assert mixed_at[-1] == STAGES

"""Facts about mixing inside activation checkpoints: gradients are those without checkpoints."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from skmixup import InterpolationConsistencyClassifier, ManifoldMixupClassifier
from skmixup.vicinal import ManifoldMixup
from tests.training.own_methods import Single, Stepping
from tests.training.steps import gradients

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype(np.float32)
Y = np.arange(24) % 3


class Net(nn.Module):
    """Three layers, of which the middle ones may be checkpointed."""

    def __init__(self, use_reentrant=None, p=0.0, calls=1):
        super().__init__()
        self.stem, self.head = nn.Linear(4, 6), nn.Linear(5, 3)
        self.body = nn.Sequential(
            nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Dropout(p), nn.Tanh()
        )
        self.tail = nn.Linear(6, 5)
        self.use_reentrant, self.calls = use_reentrant, calls

    def forward(self, x):
        h = torch.tanh(self.stem(x))
        for _ in range(self.calls):
            if self.use_reentrant is None or not self.training:
                h = self.body(h)
            else:
                h = checkpoint(self.body, h, use_reentrant=self.use_reentrant)
        return self.head(torch.tanh(self.tail(h)))


def gradients_of(site, block_gradient=None, mix_per="batch", **module):
    net = ManifoldMixupClassifier(
        Net, layers=[site], block_gradient=block_gradient, alpha=1.0, max_epochs=0,
        random_state=0, optimizer=torch.optim.SGD, lr=1e-9, mix_per=mix_per,
        **{f"module__{k}": v for k, v in module.items()},
    ).fit(X, Y)  # fmt: skip
    draw = ManifoldMixup(1.0, block_gradient=block_gradient, mix_per=mix_per).draw(
        torch.zeros(24, 1), np.random.default_rng(3), (site,)
    )
    net.draw_step = lambda X: draw
    torch.manual_seed(0)
    net.train_step((torch.from_numpy(X), torch.from_numpy(Y)))
    assert not any(layer._forward_hooks for layer in net.module_.modules())
    return gradients(net)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    assert sum(g is not None for g in expected.values()) > 1
    for name, gradient in expected.items():
        if gradient is None:
            assert found[name] is None or not found[name].any(), name
        else:
            torch.testing.assert_close(found[name], gradient, rtol=0, atol=0)


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
@pytest.mark.parametrize("site", ["stem", "body.0", "body.2", "body.3", "body", "tail"])
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_gradients_are_those_without_checkpoint(site, use_reentrant, mix_per):
    expected = gradients_of(site, mix_per=mix_per, p=0.5)
    found = gradients_of(site, mix_per=mix_per, p=0.5, use_reentrant=use_reentrant)
    assert_same(found, expected)


@pytest.mark.parametrize("site", ["stem", "body.0", "body.2", "body", "tail"])
@pytest.mark.parametrize("block_gradient", ["below", "above"])
def test_blocked_gradients_too(site, block_gradient):
    assert_same(
        gradients_of(site, block_gradient, use_reentrant=False),
        gradients_of(site, block_gradient),
    )


@pytest.mark.parametrize("site", ["body.0", "body"])
@pytest.mark.parametrize("block_gradient", ["below", "above"])
def test_a_reentrant_checkpoint_refuses_blocked_gradients(site, block_gradient):
    with pytest.raises(RuntimeError, match=rf"'{site}' is inside.*use_reentrant=False"):
        gradients_of(site, block_gradient, use_reentrant=True)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_a_layer_called_twice_in_checkpoints_is_refused(use_reentrant):
    with pytest.raises(RuntimeError, match=r"layer 'body\.0' is called several times"):
        gradients_of("body.0", use_reentrant=use_reentrant, calls=2)
    assert_same(
        gradients_of("stem", use_reentrant=use_reentrant, calls=2), gradients_of("stem", calls=2)
    )


def test_two_forward_passes_in_a_step_are_refused():
    y = np.where(np.arange(24) < 6, Y, -1)
    params = {"alpha": 1.0, "max_epochs": 1, "random_state": 0}
    checkpointed = {"module__use_reentrant": False} | params
    with pytest.raises(RuntimeError, match=r"layer 'body\.0' is called several times"):
        InterpolationConsistencyClassifier(Net, layers=["body.0"], **checkpointed).fit(X, y)
    InterpolationConsistencyClassifier(Net, layers=["stem"], **checkpointed).fit(X, y)


@pytest.mark.parametrize("own", [(Single,), (Stepping,), (Stepping, Single)])
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_steps_of_the_users_own_too(own, use_reentrant):
    params = {"layers": ["body.0"], "alpha": 1.0, "max_epochs": 3, "random_state": 0}
    expected = ManifoldMixupClassifier(Net, **params).fit(X, Y)
    estimator = type("Own", (*own, ManifoldMixupClassifier), {})
    found = estimator(Net, module__use_reentrant=use_reentrant, **params).fit(X, Y)
    np.testing.assert_allclose(found.predict_proba(X), expected.predict_proba(X), atol=1e-6)
    assert not any(layer._forward_hooks for layer in found.module_.modules())


@pytest.mark.parametrize("block_gradient", [None, "below", "above"])
def test_a_part_without_gradients_is_no_checkpoint(block_gradient):
    class Frozen(Net):
        def forward(self, x):
            with torch.no_grad():
                h = self.body(torch.tanh(self.stem(x)))
            return self.head(torch.tanh(self.tail(h)))

    clf = ManifoldMixupClassifier(
        Frozen, layers=["body.0"], block_gradient=block_gradient, alpha=1.0, max_epochs=2,
        optimizer=torch.optim.SGD, lr=0.1, random_state=0,
    ).fit(X, Y)  # fmt: skip
    start = ManifoldMixupClassifier(Frozen, max_epochs=0, random_state=0).fit(X, Y)
    moved = {
        name
        for (name, p), q in zip(
            clf.module_.named_parameters(), start.module_.parameters(), strict=True
        )
        if not torch.equal(p, q)
    }
    learnt = set() if block_gradient == "above" else {"tail", "head"}
    assert {name.split(".")[0] for name in moved} == learnt

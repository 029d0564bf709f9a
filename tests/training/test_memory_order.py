"""Images have their channels innermost in memory where that is faster, with the same results."""

import io

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skmixup import ManifoldMixupClassifier, MixupClassifier
from skmixup.training import running_net
from skmixup.training.memory_order import channels_last, is_quicker_channels_last, order_weights
from skmixup.vicinal.nested import has_channels_last, rows_at

RNG = np.random.default_rng(0)
Y = np.arange(24) % 2
COLOURED = RNG.normal(size=(24, 3, 6, 6)).astype(np.float32)
SMALL = {"module__width": 4, "module__depths": (1, 1)}
FAST = {"max_epochs": 2, "batch_size": 8, "random_state": 0, "alpha": 1.0}


class Network(nn.Module):
    """Notes the order of its input and of what comes after the layer that is mixed at."""

    def __init__(self, flatten=torch.flatten):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4 * 36, 2)
        self.flatten = flatten
        self.seen = []

    def forward(self, x):
        h = self.first(x)
        self.seen.append((is_last(x), is_last(h)))
        return self.head(self.flatten(self.second(h).relu(), 1))


def viewed(x, start):
    return x.view(len(x), -1)


def is_last(x):
    return has_channels_last(x) and not x.is_contiguous()


def test_results_are_the_same(monkeypatch):
    for images in (COLOURED, COLOURED[:, :1]):
        net = ManifoldMixupClassifier(**SMALL, **FAST).fit(images, Y)
        with monkeypatch.context() as patch:
            patch.setattr(running_net, "is_quicker_channels_last", lambda *_: False)
            other = ManifoldMixupClassifier(**SMALL, **FAST).fit(images, Y)
            assert np.allclose(other.predict_proba(images), net.predict_proba(images), atol=1e-3)
        assert np.allclose(other.loss_curve_, net.loss_curve_, atol=1e-4)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_every_layer_of_the_default_network_has_it(n_channels):
    net = ManifoldMixupClassifier(**SMALL, **FAST, layers=[1]).fit(COLOURED[:, :n_channels], Y)
    seen = []
    for layer in net.module_.modules():
        if isinstance(layer, (nn.Conv2d, nn.BatchNorm2d)):
            layer.register_forward_hook(lambda _, args, out: seen.append((args[0], out)))
    net.partial_fit(COLOURED[:, :n_channels], Y, epochs=1).predict(COLOURED[:, :n_channels])
    assert len(seen) > 10
    assert all(is_last(out) for _, out in seen)
    assert all(is_last(x) for x, _ in seen if x.shape[1] > 1)


def test_a_module_of_the_users_has_it_if_it_can():
    net = ManifoldMixupClassifier(Network(), layers=[0, 1], **FAST).fit(COLOURED, Y)
    net.predict(COLOURED)
    assert set(net.module_.seen) == {(True, True)}


def test_a_module_whose_forward_needs_the_usual_order_gets_it():
    net = ManifoldMixupClassifier(Network(viewed), layers=[0, 1], **FAST).fit(COLOURED, Y)
    net.predict(COLOURED)
    assert net.module_.seen.count((True, True)) == 1  # when it was tried
    assert set(net.module_.seen[1:]) == {(False, False)}


def test_what_one_module_takes_says_nothing_of_the_next():
    net = MixupClassifier(Network(), **FAST).fit(COLOURED, Y)
    net.set_params(module=Network(viewed))
    net.load_params(f_params=_saved(Network()))
    assert net.predict(COLOURED).shape == (24,)


def _saved(module):
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    return file


def test_parameters_stay_as_they_are():
    """LBFGS, for one, can only flatten gradients that are contiguous."""
    net = MixupClassifier(**SMALL, **FAST, optimizer=torch.optim.LBFGS, lr=0.1)
    net.fit(COLOURED, Y)
    assert all(p.is_contiguous() for p in net.module_.parameters())


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_weights_change_their_order_between_steps_and_training_goes_on(kind, ema_decay):
    """On a GPU that computes in 16 bits they have the order of the images."""
    params = {"optimizer": kind, "ema_decay": ema_decay, "optimizer__fused": True}
    params |= {"optimizer__momentum": 0.9} if kind is torch.optim.SGD else {}
    nets = [MixupClassifier(**SMALL, **FAST, **params).fit(COLOURED, Y) for _ in range(2)]

    class Reordered(Callback):
        def on_epoch_begin(self, net, **kwargs):
            innermost = len(net.history) % 2 == 1
            for network in net.networks():
                order_weights(network, [net.optimizer_], innermost=innermost)
                weights = [p for p in network.parameters() if p.ndim == 4 and p.shape[2] > 1]
                assert all(p.is_contiguous() is not innermost for p in weights)

    nets[0].set_params(callbacks=[Reordered()])
    for net in nets:
        net.partial_fit(COLOURED, Y, epochs=4)
    np.testing.assert_allclose(*(net.predict_proba(COLOURED) for net in nets), atol=1e-5)


def test_where_it_is_quicker():
    images, network = torch.zeros(2, 3, 4, 4), nn.Sequential(nn.Conv2d(3, 2, 1))
    assert is_quicker_channels_last(images, None, network)
    assert not is_quicker_channels_last(images.long(), None, network)
    assert not is_quicker_channels_last(images[0], None, network)
    assert not is_quicker_channels_last(images.to("meta"), None, network)
    assert not is_quicker_channels_last(images, None, nn.Linear(4, 2))


@pytest.mark.parametrize(
    "shape", [(5, 3, 4, 2), (5, 1, 4, 2), (5, 3, 1, 1), (1, 1, 1, 1), (0, 3, 2, 2)]
)
def test_only_the_order_changes(shape):
    x = torch.rand(shape)
    moved = channels_last(x)
    assert torch.equal(moved, x)
    assert has_channels_last(moved)
    assert channels_last(moved) is moved or shape[1] == 1
    if len(x):
        index = torch.tensor([0, len(x) - 1, 0])
        rows = rows_at(moved, index)
        assert torch.equal(rows, x[index])
        assert has_channels_last(rows)


def test_gradients_go_through():
    x = torch.rand(3, 1, 2, 2, requires_grad=True)
    (channels_last(x) * torch.arange(4.0).view(2, 2)).sum().backward()
    assert torch.equal(x.grad, torch.arange(4.0).view(1, 1, 2, 2).expand(3, 1, 2, 2))

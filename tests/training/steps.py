"""What tests of training steps share: data, nets ready for one step, what a step leaves."""

import numpy as np
import torch
from torch import nn

from skmixup import ManifoldMixupClassifier, VicinalClassifier
from skmixup.vicinal import ManifoldMixup

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype(np.float32)
Y = RNG.integers(0, 3, size=24)
IMAGES = RNG.normal(size=(24, 1, 6, 6)).astype(np.float32)


def sequential():
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))


def classifier(estimator=VicinalClassifier, module=sequential, **params):
    defaults = {"max_epochs": 1, "batch_size": 24, "random_state": 0, "lr": 0.01}
    return estimator(module, **(defaults | params))


def initialised(estimator=ManifoldMixupClassifier, module=sequential, **params):
    """A net that has been fitted for no epoch, ready for single training steps."""
    net = classifier(estimator, module, max_epochs=0, **params)
    net.fit(X, Y)
    return net


def draw_at(site, n=24, seed=3, **params):
    vicinity = ManifoldMixup(1.0, **params)
    return vicinity.draw(torch.zeros(n, 1), np.random.default_rng(seed), (site,))


def step(net, draw, x=X, y=Y):
    net._zero_grad_optimizer()
    batch = torch.from_numpy(x), torch.from_numpy(y)
    return net.train_step_single(batch, draw=draw)


def gradients(net):
    return {
        name: None if p.grad is None else p.grad.clone()
        for name, p in net.module_.named_parameters()
    }


class Shared(nn.Module):
    """Uses the same parameters below and above the layer `first`."""

    def __init__(self):
        super().__init__()
        self.entry, self.shared, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.shared(torch.tanh(self.shared(self.entry(x))))))


def hooks_of(module):
    return [hook for child in module.modules() for hook in child._forward_hooks.values()]

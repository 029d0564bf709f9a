"""What tests of dicts share: numbers and codes under names, modules and data sets of them."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from skmixup import VicinalClassifier

N = 60
RNG = np.random.default_rng(0)
Y = np.arange(N) % 3
LABELS = np.array(["ant", "bee", "cat"])[Y]
FLOATS = {
    "left": (RNG.normal(size=(N, 4)) + Y[:, None]).astype(np.float32),
    "right": RNG.normal(size=(N, 2, 3)).astype(np.float32),
}
CODES = {"numbers": FLOATS["left"], "codes": RNG.integers(0, 5, size=(N, 2))}


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(6, 8)
        self.body, self.head = nn.Linear(8, 8), nn.Linear(8, 3)
        self.seen = []

    def forward(self, left, right):
        self.seen.append((self.training, left.detach().clone(), right.detach().clone()))
        return self.head(torch.relu(self.body(self.a(left) + self.b(right.flatten(1)))))


class Table(nn.Module):
    """Numbers and codes, joined before the first hidden layer."""

    def __init__(self, p=0.0):
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.body, self.head = nn.Linear(10, 8), nn.Linear(8, 3)
        self.dropout = nn.Dropout(p)

    def forward(self, numbers, codes):
        x = torch.cat([numbers, self.embed(codes).flatten(1)], dim=1)
        return self.head(self.dropout(torch.relu(self.body(x))))


class Rows(Dataset):
    """A data set of the user's that yields dicts."""

    def __init__(self, X, y):
        self.X, self.y = X, y

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return {key: value[i] for key, value in self.X.items()}, self.y[i]


def net(estimator=VicinalClassifier, module=Two, **params):
    defaults = {"max_epochs": 8, "lr": 0.02, "batch_size": 16, "random_state": 0}
    return estimator(module, **(defaults | params))

"""What tabular_defaults.py tries: the space of its design, and the changes one by one."""

from functools import partial

import numpy as np
import torch
from optuna.distributions import CategoricalDistribution as Choice
from skorch.callbacks import EarlyStopping
from skorch.dataset import ValidSplit
from torch import nn

from skmixup.networks import MLP
from skmixup.networks.mlp import NARROW

SPACE = {
    "module__n_members": Choice([2, 4, 8]),
    "width": Choice([64, 128, 192]),
    "depth": Choice([2, 3]),
    "module__dropout": Choice([0.0, 0.05, 0.1, 0.15, 0.2, 0.3]),
    "module__activation": Choice(["ReLU", "SiLU"]),
    "module__scale_inputs": Choice([True, False]),
    "alpha": Choice([0.05, 0.1, 0.2, 0.4, 0.8, 1.6]),
    "layers": Choice(["0", "0 1", "1 2", "0 1 2"]),
    "mix_per": Choice(["batch", "sample"]),
    "lr": Choice([1e-3, 1.6e-3, 2.5e-3, 4e-3, 6.3e-3, 1e-2]),
    "lr_schedule": Choice(["none", "cosine", "one_cycle"]),
    "optimizer__weight_decay": Choice([0.003, 0.01, 0.03, 0.1]),
    "max_epochs": Choice([16, 32, 64]),
    "steps": Choice([16, 32, 64]),  # minibatches in an epoch, within 16 … 256 rows
}


class PBLD(nn.Module):
    """RealMLP's embedding of each column: the column beside relu(linear(cos(2π c x + b)))."""

    def __init__(self, n_features, n_frequencies=8, size=4):
        super().__init__()
        shape = (n_features, n_frequencies)
        self.frequency = nn.Parameter(0.1 * torch.randn(shape))
        self.phase = nn.Parameter(np.pi * (2 * torch.rand(shape) - 1))
        self.linear = nn.Linear(n_frequencies, size - 1)

    def forward(self, x):
        """(n, n_features) → (n, n_features, size)."""
        x = x.unsqueeze(2)
        h = self.linear(torch.cos(2 * np.pi * x * self.frequency + self.phase)).relu()
        return torch.cat([x, h], dim=2)


class Initialised(MLP):
    """The default network with other initial weights."""

    def __init__(self, n_features, n_outputs, init):
        super().__init__(n_features, n_outputs, **NARROW)
        if init == "zero head":
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)
            return
        for layer in self.blocks.modules():
            if isinstance(layer, nn.Linear):
                {
                    "He": nn.init.kaiming_normal_,
                    "Glorot": nn.init.xavier_uniform_,
                    "orthogonal": partial(nn.init.orthogonal_, gain=2**0.5),
                }[init](layer.weight)
                nn.init.zeros_(layer.bias)


class OwnMasks(MLP):
    """The default network with a dropout mask for each member."""

    def __init__(self, n_features, n_outputs):
        super().__init__(n_features, n_outputs, **NARROW)
        for block in self.blocks:
            block[-1] = nn.Dropout(block[-1].p)


class Embedded(nn.Module):
    """The default network on embeddings of the columns, two of them from rtdl_num_embeddings."""

    def __init__(self, n_features, n_outputs, kind):
        super().__init__()
        self.kind, self.n_outputs = kind, n_outputs
        self.mixup_layers = ["network.blocks.0", "network.blocks.1"]
        if kind == "periodic":
            from rtdl_num_embeddings import PeriodicEmbeddings

            self.embed = PeriodicEmbeddings(
                n_features, 4, n_frequencies=8, frequency_init_scale=0.1, lite=True
            )
            self.network = MLP(4 * n_features, n_outputs, scale_inputs=False, **NARROW)
        elif kind == "PBLD":
            self.embed = PBLD(n_features)
            self.network = MLP(4 * n_features, n_outputs, scale_inputs=False, **NARROW)
        else:  # sized by the quantiles of the training rows
            self.embed = nn.Identity()
            self.network = MLP(8 * n_features, n_outputs, scale_inputs=False, **NARROW)

    def adapt_to_data(self, X):
        """Fit the bins of piecewise linear embeddings."""
        if self.kind == "piecewise linear":
            from rtdl_num_embeddings import PiecewiseLinearEmbeddings

            bins = []
            for column in X.T:
                edges = torch.unique(torch.quantile(column, torch.linspace(0, 1, 17)))
                bins.append(edges if len(edges) > 1 else torch.stack([edges[0], edges[0] + 1]))
            self.embed = PiecewiseLinearEmbeddings(bins, 8, activation=False, version="B")

    def forward(self, x):
        """Logits."""
        return self.network(self.embed(x).flatten(1))


VARIANTS = {
    "the defaults": {},
    "1 member": {"module__n_members": 1},
    **{f"{n} members": {"module__n_members": n} for n in (2, 8)},
    "1 member, width 256": {"module__n_members": 1, "module__hidden_sizes": (256, 256)},
    "width 256": {"module__hidden_sizes": (256, 256)},
    "3 blocks": {"module__hidden_sizes": (128, 128, 128)},
    "no scaling in the network": {"module__scale_inputs": False},
    "piecewise linear embeddings": {"module": Embedded, "module__kind": "piecewise linear"},
    "periodic embeddings": {"module": Embedded, "module__kind": "periodic"},
    "periodic embeddings, PBLD": {"module": Embedded, "module__kind": "PBLD"},
    "a dropout mask for each member": {"module": OwnMasks},
    **{
        f"initial weights: {init}": {"module": Initialised, "module__init": init}
        for init in ("He", "Glorot", "orthogonal", "zero head")
    },
    "StandardScaler first": {"scaler": "standard"},
    "StandardScaler first, no scaling in the network": {
        "scaler": "standard",
        "module__scale_inputs": False,
    },
    "no scaling first": {"scaler": None},
    "no scaling at all": {"scaler": None, "module__scale_inputs": False},
    "SiLU": {"module__activation": nn.SiLU},
    **{f"dropout {p:g}": {"module__dropout": p} for p in (0.0, 0.25)},
    **{f"alpha {alpha:g}": {"alpha": alpha} for alpha in (0.05, 0.4, 1.0)},
    "ERM": {"alpha": 0},
    "mixed at the input": {"layers": 0},
    "mixed at hidden layers only": {"layers": [1, 2]},
    "one λ for each pair": {"mix_per": "sample"},
    "unmixed in the last quarter": {"mix_epochs": 0.75},
    **{f"learning rate {lr}": {"lr": lr} for lr in (0.0015, 0.006)},
    "constant learning rate": {"lr_schedule": None},
    "one-cycle": {"lr_schedule": "one_cycle"},
    "weight decay 0.1": {"optimizer__weight_decay": 0.1},
    "label smoothing 0.1": {"criterion__label_smoothing": 0.1},
    **{f"{n} epochs": {"max_epochs": n} for n in (16, 64)},
    **{f"{n} steps an epoch": {"steps": n} for n in (16, 64)},
    "best epoch of 64 by a fifth held out": {
        "max_epochs": 64,
        "train_split": ValidSplit(0.2, stratified=True, random_state=0),
        "callbacks": [("stop", EarlyStopping(patience=16, load_best=True))],
        "lr_schedule": "cosine",
    },
}
# Splits 12 and 13: what split 11 left open, and what came later. Members share their dropout mask
# since then; on split 11, defaults included, each had its own.
LATER = (
    *("the defaults", "no scaling in the network", "periodic embeddings"),
    *("periodic embeddings, PBLD", "a dropout mask for each member"),
    *(name for name in VARIANTS if name.startswith("initial weights")),
)
ONLY_LATER = LATER[3:]

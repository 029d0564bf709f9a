"""What trains the same network in `training_speed.py`: ours, loops written by hand, and peers."""

import random
import warnings
from itertools import pairwise

EPOCHS = 3


def make_network(n_features, hidden, n_classes):
    """Plain ReLU network, the same for every contender."""
    from torch import nn

    sizes = [n_features, *hidden]
    layers = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], n_classes))


def hand_written(X, y, hidden, batch_size, *, fused, hidden_too=False):
    """The loop of a mixup tutorial: TensorDataset-free gathers, one λ a batch, AdamW.

    With `hidden_too` it is manifold mixup, at the input or after one of the first two blocks.
    """
    import numpy as np
    import torch
    import torch.nn.functional as F

    X, y = torch.from_numpy(X), torch.from_numpy(y)
    net = make_network(X.shape[1], hidden, int(y.max()) + 1)
    parts = [net[:2], net[2:4], net[4:]]
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, fused=fused)

    def output_of(xb, lam, partner):
        if not hidden_too:
            return net(lam * xb + (1 - lam) * xb[partner])
        layer = random.randrange(3)
        for k, part in enumerate(parts):
            if k == layer:
                xb = lam * xb + (1 - lam) * xb[partner]
            xb = part(xb)
        return xb

    def epochs():
        net.train()
        for _ in range(EPOCHS):
            order = torch.randperm(len(X))
            for start in range(0, len(X), batch_size):
                index = order[start : start + batch_size]
                xb, yb = X[index], y[index]
                lam = float(np.random.beta(1.0, 1.0))  # noqa: NPY002 - as tutorials have it
                partner = torch.randperm(len(xb))
                output = output_of(xb, lam, partner)
                loss = lam * F.cross_entropy(output, yb)
                loss = loss + (1 - lam) * F.cross_entropy(output, yb[partner])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    return epochs


def ours(X, y, hidden, batch_size, estimator):
    """An estimator with its own defaults for all but the network and the batch size."""
    net = estimator(
        make_network(X.shape[1], hidden, int(y.max()) + 1),
        batch_size=batch_size,
        max_epochs=EPOCHS,
        random_state=0,
        device="cpu",
    ).fit(X[:1000], y[:1000])
    return lambda: net.partial_fit(X, y)


def plain_skorch(X, y, hidden, batch_size):
    """Skorch as it comes, without mixup: its DataLoader reads row by row."""
    import torch
    from skorch import NeuralNetClassifier

    net = NeuralNetClassifier(
        make_network(X.shape[1], hidden, int(y.max()) + 1),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        lr=1e-3,
        batch_size=batch_size,
        max_epochs=EPOCHS,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    ).initialize()
    return lambda: net.partial_fit(X, y)


def sklearn_mlp(X, y, hidden, batch_size):
    """scikit-learn's own network, without mixup."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    def epochs():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            MLPClassifier(hidden, batch_size=batch_size, max_iter=EPOCHS).fit(X, y)

    return epochs

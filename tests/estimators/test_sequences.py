"""Random sequences of calls: what is fitted follows from what trained it, and nothing else."""

import pickle
import random
from contextlib import suppress
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback
from torch.utils.data import DataLoader, TensorDataset

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupRegressor,
    VicinalClassifier,
    VicinalRegressor,
)
from skmixup.vicinal import Gaussian

N = 36
CODES = np.arange(N) % 3
FAST = {"module__hidden_sizes": (4,), "max_epochs": 2, "batch_size": 16, "lr": 0.01}
HELD = np.random.default_rng(9).normal(size=(N, 4)).astype(np.float32)


class InjectedError(Exception):
    """What a callback of the user's raises."""


class Fails(Callback):
    """Raises an error at an event, if a test says so."""

    at = ""

    def on_train_begin(self, net, **kwargs):
        self.look("train")

    def on_epoch_begin(self, net, **kwargs):
        self.look("epoch")

    def on_grad_computed(self, net, **kwargs):
        self.look("step")

    def look(self, event):
        if Fails.at == event:
            raise InjectedError


KINDS = {
    MixupClassifier: {"alpha": (0.0, 0.4)},
    ManifoldMixupClassifier: {"layers": ("auto", [0, 1]), "block_gradient": (None, "below")},
    VicinalClassifier: {"vicinity__sigma": (0.1, 0.5), "class_weight": (None, {0: 2, 1: 1, 2: 1})},
    InterpolationConsistencyClassifier: {"unlabeled_weight": (1.0, 10.0)},
    MixupRegressor: {"mix_per": ("batch", "sample")},
    VicinalRegressor: {"vicinity__sigma": (0.1, 0.5)},
}
CHANGES = {
    "lr": (0.01, 0.03),
    "max_epochs": (1, 3),
    "batch_size": (8, -1),
    "random_state": (0, 1),
    "warm_start": (True, False),
    "train_split": (None, 0.25),
    "ema_decay": (0.0, 0.5),
    "lr_schedule": ("auto", None),
    "optimizer": (torch.optim.AdamW, torch.optim.SGD),
    "optimizer__weight_decay": (0.0, 0.1),
    "iterator_train": (DataLoader,),
    "module__dropout": (0.0, 0.3),
    "module__hidden_sizes": ((4,), (6,)),
}


class Sequence:
    """A net, its twin, which is spared what must change nothing, and the parameters of both."""

    def __init__(self, seed):
        self.choose = random.Random(seed)
        self.kind = list(KINDS)[seed % len(KINDS)]
        self.changes = list((CHANGES | KINDS[self.kind]).items())
        self.params = {**FAST, "random_state": seed, "callbacks": [Fails()]}
        if "vicinity__sigma" in KINDS[self.kind]:
            self.params["vicinity"] = Gaussian(0.3)
        self.net, self.twin = self.make(), self.make()
        self.copies = []

    def make(self):
        return self.kind(**deepcopy(self.params))

    def table(self):
        rng = np.random.default_rng(self.choose.randrange(3))
        X = (rng.normal(size=(N, 4)) + 2 * np.eye(3, 4)[CODES]).astype(np.float32)
        if "Regressor" in self.kind.__name__:
            return X, 3 * X[:, 0] + CODES
        unlabeled = self.kind is InterpolationConsistencyClassifier
        return X, np.where(np.arange(N) % 4 < unlabeled, -1, CODES)

    # ---- what changes a net

    def fit(self):
        table = self.table()
        for net in (self.net, self.twin):
            net.fit(*table)
        if not self.params.get("warm_start"):
            assert seen(self.net) == seen(self.make().fit(*table))

    def partial_fit(self):
        table = self.table()
        for net in (self.net, self.twin):
            net.partial_fit(*table)

    def cut_off(self):
        table, method = self.table(), self.choose.choice(["fit", "partial_fit"])
        Fails.at = self.choose.choice(["train", "epoch", "step"])
        for net in (self.net, self.twin):
            with pytest.raises(InjectedError):
                getattr(net, method)(*table)
        Fails.at = ""

    def set_params(self):
        name, values = self.choose.choice(self.changes)
        change = {name: self.choose.choice(values)}
        for net in (self.net, self.twin):
            net.set_params(**change)
        if name == "vicinity__sigma":
            self.params["vicinity"].set_params(sigma=change[name])
        else:
            self.params |= change

    # ---- what does not

    def copy(self):
        other = self.choose.choice([deepcopy, clone, lambda net: pickle.loads(pickle.dumps(net))])
        copy = other(self.net)
        self.copies = [*self.copies[-1:], (copy, seen(copy))]

    def swap(self):
        self.net = pickle.loads(pickle.dumps(self.net))

    def train_a_copy(self):
        getattr(deepcopy(self.net), self.choose.choice(["fit", "partial_fit"]))(*self.table())
        deepcopy(self.net).set_params(lr=0.5, module__dropout=0.5)

    def fail(self):
        X, y = self.table()
        calls = [
            lambda net: net.set_params(lr=0.5, unknown=1),
            lambda net: net.fit(X, y[:-1]),
            lambda net: net.partial_fit(np.where(X > 0, X, np.nan), y),
            lambda net: net.partial_fit(X, y, sample_weight=-np.ones(N)),
            lambda net: net.predict(X[:, :2]),
        ]
        if self.net.__sklearn_is_fitted__():
            calls.append(lambda net: net.set_params(alpha=0.5, lr=0.5, criterion__unknown=1))
            calls.append(lambda net: net.partial_fit(X[:, :2], y))
        with pytest.raises((ValueError, TypeError)):
            self.choose.choice(calls)(self.net)

    def fail_to_begin(self):
        Fails.at = "train"
        with pytest.raises(InjectedError):
            self.net.partial_fit(*self.table())
        Fails.at = ""

    def look(self):
        with suppress(NotFittedError):
            self.net.score(*self.table())
        repr(self.net.get_params())

    def step(self):
        more, less = (self.partial_fit, self.set_params, self.set_params), (self.fit, self.cut_off)
        harmless = (self.swap, self.train_a_copy, self.fail, self.fail_to_begin, self.look)
        self.choose.choice([*more, *less, self.copy, *harmless])()
        assert seen(self.net) == seen(self.twin)
        assert all(seen(copy) == before for copy, before in self.copies)


def seen(net):
    """What a user sees of a net: parameters, history, predictions."""
    params = net.get_params(deep=False)
    plain = {k: repr(v) for k, v in params.items() if k != "callbacks"}
    predict = getattr(net, "predict_proba", net.predict)
    try:
        return plain, predict(HELD).tolist(), net.loss_curve_
    except NotFittedError:
        return plain


@pytest.mark.parametrize("seed", range(12))
def test_what_is_fitted_follows_from_what_trained_it(seed):
    sequence = Sequence(seed)
    for _ in range(20):
        sequence.step()


# ---- a fit on data of another kind


def test_a_data_set_forgets_the_names_of_targets_before_it():
    y = pd.DataFrame({"low": CODES + HELD[:, 0], "high": 100 - 20.0 * CODES})
    data = TensorDataset(torch.from_numpy(HELD), torch.tensor(y[["high", "low"]].to_numpy("f4")))
    net = MixupRegressor(**FAST, random_state=0)
    again, new = clone(net).fit(HELD, y).fit(data), clone(net).fit(data)
    renamed = y[["high", "low"]]  # the order of the data set, which knows no names
    assert again.score(HELD, renamed) == new.score(HELD, renamed)
    named = clone(net).fit(data, renamed)
    assert named.score(HELD, y) == named.score(HELD, renamed)


def test_a_data_set_forgets_the_order_of_soft_labels_before_it():
    soft = 0.8 * np.eye(2)[CODES % 2] + 0.1
    data = TensorDataset(torch.from_numpy(HELD), torch.from_numpy(CODES % 2))
    net = MixupClassifier(**FAST, random_state=0)
    again = clone(net).set_params(classes=[1, 0]).fit(HELD, soft).set_params(classes=None)
    nets = [each.fit(data).partial_fit(HELD, soft) for each in (again, clone(net))]
    assert np.array_equal(*(each.predict_proba(HELD) for each in nets))

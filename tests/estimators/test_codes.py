"""Integer codes that a module looks up in a table: however they come, they stay what they are."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from torch import nn
from torch.utils.data import IterableDataset, TensorDataset

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    VicinalClassifier,
)
from skmixup.vicinal import CutMix, Gaussian

RNG = np.random.default_rng(0)
N = 30
CODES = RNG.integers(0, 50, (N, 4))
Y = np.arange(N) % 2
FAST = {"max_epochs": 2, "batch_size": 16, "random_state": 0}


class LooksUp(nn.Module):
    """Wants codes as integers; `long` makes them of floats."""

    def __init__(self, *, long=False):
        super().__init__()
        self.long = long
        self.table = nn.Embedding(50, 6)
        self.body = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
        self.head = nn.Linear(6, 2)

    def forward(self, codes):
        codes = codes.long() if self.long else codes
        return self.head(self.body(self.table(codes).mean(dim=1)))


@pytest.fixture(scope="module")
def fitted():
    net = ManifoldMixupClassifier(LooksUp, layers=["body"], **FAST)
    return net.fit(TensorDataset(torch.tensor(CODES), torch.tensor(Y)), None)


FORMS = {
    "list": CODES.tolist(),
    "list of arrays": [*CODES],
    "frame": pd.DataFrame(CODES),
    "nullable frame": pd.DataFrame(CODES).astype("Int64"),
    "polars": pl.DataFrame(CODES),
    "uint16": CODES.astype(np.uint16),
    "uint64": CODES.astype(np.uint64),
    "big-endian": CODES.astype(">i8"),
    "objects": CODES.astype(object),
    "floats": CODES.astype(float),
    "tensor": torch.tensor(CODES, dtype=torch.int16),
}


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("form", FORMS)
def test_codes_are_predicted_in_any_form(fitted, form):
    expected = fitted.predict_proba(CODES)
    np.testing.assert_array_equal(fitted.predict_proba(FORMS[form]), expected)


def test_so_they_are_after_a_stream():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(TensorDataset(torch.tensor(CODES), torch.tensor(Y)))

    several = {"layers": ["body"], "classes": [0, 1], "lr_schedule": None, **FAST}
    net = ManifoldMixupClassifier(LooksUp, **several).fit(Stream(), None)
    expected = net.predict_proba(TensorDataset(torch.tensor(CODES), torch.tensor(Y)))
    np.testing.assert_array_equal(net.predict_proba(CODES.tolist()), expected)


# ---- codes that come as floats, since they are in an array


class Mixed(nn.Module):
    """A column of codes beside one of numbers."""

    def __init__(self, *, bins=False):
        super().__init__()
        self.bins = bins
        self.table = nn.Embedding(60, 4)
        self.join = nn.Identity()
        self.body = nn.Sequential(nn.Linear(5, 6), nn.ReLU())
        self.head = nn.Linear(6, 2)
        self.mixup_layers = ["join", "body"]

    def forward(self, x):
        codes = (x[:, 0] / 10 if self.bins else x[:, 0] + 7).long()
        return self.head(self.body(self.join(torch.cat([self.table(codes), x[:, 1:]], dim=1))))


TABLE = np.c_[CODES[:, 0], RNG.normal(size=N)]
MIXING = {
    "mixup": (MixupClassifier, {}),
    "layers": (ManifoldMixupClassifier, {"layers": [0, "body"]}),
    "noise": (VicinalClassifier, {"vicinity": Gaussian(0.1)}),
    "consistency": (InterpolationConsistencyClassifier, {}),
}


@pytest.mark.parametrize("kind", MIXING)
def test_codes_of_an_array_that_would_be_averaged_are_warned_of(kind):
    estimator, params = MIXING[kind]
    net = estimator(Mixed, **params, **FAST)
    with pytest.warns(UserWarning, match="layer 'table' looks its values up in a table: averages"):
        net.fit(TABLE, np.where(np.arange(N) % 3, Y, -1) if kind == "consistency" else Y)


QUIET = {
    "auto": (ManifoldMixupClassifier, Mixed(), {}),
    "behind it": (ManifoldMixupClassifier, Mixed(), {"layers": ["join"]}),
    "columns": (VicinalClassifier, Mixed(), {"vicinity": CutMix()}),
    "bins": (MixupClassifier, Mixed(bins=True), {}),
    "nothing": (MixupClassifier, Mixed(), {"alpha": 0}),
}


@pytest.mark.parametrize("kind", QUIET)
def test_codes_that_are_not_averaged_and_bins_of_numbers_are_not(kind):
    estimator, module, params = QUIET[kind]
    estimator(module, **params, **FAST).fit(TABLE, Y)


def test_codes_of_an_array_are_mixed_where_those_of_a_data_set_are():
    several = {"module__long": True, "iterator_train__shuffle": False, **FAST}
    as_floats = ManifoldMixupClassifier(LooksUp, **several).fit(CODES, Y)
    data = TensorDataset(torch.tensor(CODES), torch.tensor(Y))
    as_integers = ManifoldMixupClassifier(LooksUp, **several).fit(data, None)
    expected = as_integers.predict_proba(CODES)
    np.testing.assert_array_equal(as_floats.predict_proba(CODES), expected)


class TakesBoth(Mixed):
    """Codes and numbers in two inputs."""

    def forward(self, codes, numbers):
        return self.head(self.body(self.join(torch.cat([self.table(codes), numbers], dim=1))))


def test_floats_among_several_inputs_are_told_that_a_table_takes_integers():
    net = ManifoldMixupClassifier(TakesBoth, layers=["body"], **FAST)
    X = {"codes": TABLE[:, 0], "numbers": TABLE[:, 1:]}
    with pytest.raises(TypeError, match=r"X, 'codes'; X, 'numbers'. .*codes.astype\(np.int64"):
        net.fit(X, Y)
    net.fit({**X, "codes": CODES[:, 0]}, Y)

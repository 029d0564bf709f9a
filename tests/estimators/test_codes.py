"""Integer codes that a module looks up in a table: however they come, they stay what they are."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from skmixup import ManifoldMixupClassifier

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

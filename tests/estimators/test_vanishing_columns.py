"""Numbers that float32 cannot tell apart, and arrays that only look like numbers."""

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import TensorDataset

from skmixup import InterpolationConsistencyClassifier, MixupClassifier

RNG = np.random.default_rng(0)
N = 200
Y = np.arange(N) % 2
NOISE = RNG.normal(size=N)
SECONDS = 1.7e9 + 60.0 * Y + RNG.integers(0, 30, N)
FAST = {"module__hidden_sizes": (8,), "max_epochs": 1, "random_state": 0}

VANISHING = {
    "seconds": SECONDS,
    "integer seconds": SECONDS.astype(np.int64),
    "milliseconds of two days": 1.7e12 + 8.64e7 * RNG.random(N).round(4) * 0.01,
    "nanoseconds": 1_700_000_000_000_000_000 + (1000 * RNG.integers(0, 9, N)),
    "identifiers": 10_000_000_000 + np.arange(N),
    "two values": 1e9 + Y,
    "a mark for missing beside times": np.where(np.arange(N) % 5, SECONDS, 0.0),
    "negative": -SECONDS,
    "small numbers": 1e-3 + 1e-12 * np.arange(N),
    "tiny numbers": 1e-60 * np.arange(N),
}
HARMLESS = {
    "noise": NOISE,
    "constant": np.full(N, 1.7e9 + 0.1),
    "constant up to rounding": 0.1 + 1e-17 * RNG.integers(0, 9, N) + (0.2 - 0.2 * (1 + 2e-16)),
    "levels up to rounding": (np.arange(N) % 5 / 3) * (1 + 2.2e-16 * RNG.integers(0, 3, N)),
    "counts": np.arange(N) * 1000,
    "a year in seconds": 1.7e9 + 3.2e7 * np.linspace(0, 1, N),
    "large numbers apart": 10.0 ** RNG.uniform(-20, 20, N),
    "hashes": RNG.integers(0, 2**62, N),
    "years": 2000 + np.arange(N) % 24,
    "booleans": Y == 1,
    "float32": SECONDS.astype(np.float32),
}
KINDS = {
    "array": lambda column: np.column_stack([column.astype(column.dtype), column]),
    "pandas": lambda column: pd.DataFrame({"noise": NOISE, "time": column}),
    "polars": lambda column: pl.DataFrame({"noise": NOISE, "time": column}),
    "list": lambda column: np.column_stack([column, column]).tolist(),
    "tensor": lambda column: torch.tensor(np.column_stack([column, column])),
}


@pytest.mark.parametrize("estimator", [MixupClassifier, InterpolationConsistencyClassifier])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", VANISHING)
def test_differences_that_vanish_in_float32_are_told_of(name, kind, estimator):
    X = KINDS[kind](VANISHING[name])
    column = "'time'" if kind in ("pandas", "polars") else "0"
    with pytest.warns(UserWarning, match=rf"same if .* each other: {column} \(.* to .*float64:"):
        estimator(**FAST).fit(X, Y)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", HARMLESS)
def test_columns_that_float32_holds_are_not_mentioned(name, kind):
    MixupClassifier(**FAST).fit(KINDS[kind](HARMLESS[name]), Y)  # warnings are errors here


def test_the_remedy_works():
    X = np.column_stack([SECONDS, NOISE])
    with pytest.warns(UserWarning, match="Standardise") as caught:
        MixupClassifier(**FAST).fit(X, Y)
    (code,) = re.findall(r"    (make_pipeline.*)", str(caught[0].message))
    clf = eval(code, {"make_pipeline": make_pipeline, "StandardScaler": StandardScaler,
                      "MixupClassifier": lambda: MixupClassifier(max_epochs=32)})  # fmt: skip
    assert clf.fit(X, Y).score(X, Y) == 1.0


def test_a_data_set_of_times_is_told_of_too():
    X = torch.tensor(np.column_stack([NOISE, SECONDS]))
    with pytest.warns(UserWarning, match="each other: 1 "):
        MixupClassifier(**FAST).fit(TensorDataset(X, torch.tensor(Y)), None)


PLACES = {
    "sequences": lambda column: np.stack([NOISE, column], axis=1)[:, :, None],
    "as lists": lambda column: np.stack([NOISE, column], axis=1)[:, None].tolist(),
    "volumes": lambda column: torch.tensor(np.stack([NOISE, column], axis=1)[:, None, None]),
}


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.head = nn.BatchNorm1d(2), nn.Linear(2, 2)

    def forward(self, x):
        return self.head(self.norm(x.reshape(len(x), -1)))


@pytest.mark.parametrize("kind", PLACES)
def test_differences_that_vanish_in_rows_of_more_axes_are_told_of(kind):
    clf = MixupClassifier(Flat, max_epochs=1)
    with pytest.warns(
        UserWarning, match=r"^X is .* of a place are the same .*, as from 17.* mean"
    ):
        clf.fit(PLACES[kind](SECONDS), Y)
    clf.fit(PLACES[kind](HARMLESS["counts"]), Y)  # warnings are errors here


IN_A_DICT = {
    "array": np.stack([SECONDS, NOISE], axis=1),
    "frame": pd.DataFrame({"time": SECONDS, "noise": NOISE}),
    "tensor": torch.tensor(np.stack([SECONDS, NOISE], axis=1), requires_grad=True),
    "column": pd.Series(SECONDS),
    "polars": pl.Series(SECONDS),
}


@pytest.mark.parametrize("kind", IN_A_DICT)
def test_differences_that_vanish_in_a_dict_are_told_of(kind):
    class Two(Flat):
        def forward(self, x):
            return super().forward(x if x.ndim == 2 else torch.stack([x, x], dim=1))

    with pytest.warns(UserWarning, match=r"^X\['x'\] is converted .* the same if .*17.*[^)]$"):
        MixupClassifier(Two, max_epochs=1).fit({"x": IN_A_DICT[kind]}, Y)
    MixupClassifier(Two, max_epochs=1).fit({"x": np.stack([NOISE, NOISE], axis=1)}, Y)


def test_a_rare_value_among_many_rows_is_found():
    X = np.full((20_000, 2), 1e9)
    X[:, 1] = np.arange(20_000)
    X[777, 0] += 1
    with pytest.warns(UserWarning, match=r"each other: 0 \(1000000000 to 1000000001\)"):
        MixupClassifier(**FAST, batch_size=-1).fit(X, np.arange(20_000) % 2)


def test_coordinates_within_a_town_are_fine_enough():
    degrees = -93.7 + (0.05 * np.random.default_rng(0).random(2000)).round(6)
    n_left = len(np.unique(degrees.astype(np.float32)))
    assert 1000 < n_left < 0.9 * len(np.unique(degrees))
    MixupClassifier(**FAST).fit(degrees[:, None], np.arange(2000) % 2)  # warnings are errors


def test_it_is_told_once_when_training_goes_on():
    X = np.column_stack([SECONDS, NOISE])
    with pytest.warns(UserWarning, match="Standardise"):
        net = MixupClassifier(**FAST).partial_fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.partial_fit(X, Y).predict(X)


def test_at_most_ten_columns_are_named():
    with pytest.warns(UserWarning, match=r" and 2 more\. Standardise"):
        MixupClassifier(**FAST).fit(np.tile(SECONDS[:, None], 12), Y)


# ---- arrays that only look like numbers


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ma.masked_array(np.c_[NOISE, NOISE], np.c_[Y, Y] > 0), "masked array, .*X.filled"),
        (np.full((N, 2), np.datetime64("2020-01-01")), r"X holds times \(datetime64\[D\]\)"),
        (np.full((N, 2), np.timedelta64(1, "s")), r"X holds times \(timedelta64\[s\]\)"),
        (np.c_[Y, Y].astype(str), "text that looks like numbers"),
        (np.c_[Y, Y].astype(str).astype(object), "text that looks like numbers"),
        (np.c_[Y, Y].astype(str).tolist(), "text that looks like numbers"),
        (np.c_[Y, Y].astype("S"), "text that looks like numbers"),
        ([["a", "b"]] * N, "could not convert string to float"),
    ],
)
def test_what_is_no_number_is_not_taken_for_one(X, message):
    net = MixupClassifier(**FAST)
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y)
    assert not hasattr(net, "module_")
    with pytest.raises(ValueError, match=message):
        net.fit(np.c_[NOISE, NOISE], Y).predict(X)


@pytest.mark.parametrize(
    "X",
    [
        np.ma.masked_array(np.c_[NOISE, NOISE], False),
        torch._neg_view(-torch.tensor(np.c_[NOISE, NOISE])),
        np.c_[NOISE, NOISE].astype(object),
        np.asfortranarray(np.c_[NOISE, NOISE])[:, ::-1],
        memoryview(np.c_[NOISE, NOISE]),
        [torch.tensor([value, value]) for value in NOISE],
    ],
    ids=["unmasked", "negative view", "objects", "reversed", "memory", "tensors"],
)
def test_numbers_in_unusual_arrays_are_numbers(X):
    plain = np.c_[NOISE, NOISE]
    expected = MixupClassifier(**FAST).fit(plain, Y).predict_proba(plain)
    assert np.array_equal(MixupClassifier(**FAST).fit(X, Y).predict_proba(X), expected)

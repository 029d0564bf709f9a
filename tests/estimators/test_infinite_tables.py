"""Infinity and numbers beyond float32: errors name the columns, and a remedy that works."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmixup import ManifoldMixupClassifier, MixupRegressor

N = 60
Y = np.arange(N) % 2
NOISE = np.random.default_rng(0).normal(size=N)
RATIO = np.where(np.arange(N) % 7, NOISE, np.inf)  # as of a division by zero
FAST = {"module__hidden_sizes": (8,), "max_epochs": 1, "random_state": 0}

INFINITE = {
    "pandas": (pd.DataFrame({"a": RATIO, "b": NOISE, "c": RATIO}), "'a', 'c'"),
    "nullable": (pd.DataFrame({"a": pd.array(RATIO, dtype="Float64"), "b": 1}), "'a'"),
    "polars": (pl.DataFrame({"a": -RATIO, "b": NOISE}), "'a'"),
    "float32": (np.column_stack([NOISE, RATIO]).astype(np.float32), "1"),
    "list": (np.column_stack([NOISE, RATIO]).tolist(), "1"),
}


@pytest.mark.parametrize("estimator", [ManifoldMixupClassifier, MixupRegressor])
@pytest.mark.parametrize("kind", INFINITE)
def test_infinity_is_named(kind, estimator):
    X, names = INFINITE[kind]
    with pytest.raises(ValueError, match=rf"X contains infinity in columns {names}\. .*imputer"):
        estimator(**FAST).fit(X, Y)


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        ("pandas", "X.replace([np.inf, -np.inf], np.nan)"),
        ("float32", "np.where(np.isinf(X), np.nan, X)"),
        ("polars", "np.where(np.isinf(X), np.nan, X)"),
    ],
)
def test_the_remedy_for_infinity_works(kind, remedy):
    X, _ = INFINITE[kind]
    clf = ManifoldMixupClassifier(**FAST)
    with pytest.raises(ValueError, match=re.escape(remedy)):
        clf.fit(X, Y)
    clf = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), clf)
    clf.fit(eval(remedy, {"X": X, "np": np}), Y)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_numbers_beyond_float32_are_named_with_a_scaler(kind):
    X = kind({"a": NOISE, "b": 1e50 * np.abs(NOISE)})
    clf = ManifoldMixupClassifier(**FAST)
    with pytest.raises(
        ValueError, match=r"too large for float32, .* in columns 'b'\. .*standardise"
    ):
        clf.fit(X, Y)
    make_pipeline(StandardScaler(), clf).fit(X, Y)


def test_at_prediction_too():
    X = pd.DataFrame({"a": NOISE, "b": NOISE})
    clf = ManifoldMixupClassifier(**FAST).fit(X, Y)
    with pytest.raises(ValueError, match="infinity in columns 'b'"):
        clf.predict_proba(X.assign(b=RATIO))
    clf.fit(X.to_numpy(), Y)
    with pytest.raises(ValueError, match="infinity in columns 1"):
        clf.predict_proba(X.assign(b=RATIO).to_numpy())

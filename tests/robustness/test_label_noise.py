"""Facts about wrong labels."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from skmixup.robustness import corrupt_labels


@given(
    n=st.integers(2, 60),
    fraction=st.floats(0, 1),
    kind=st.sampled_from(["uniform", "pair"]),
    seed=st.integers(0, 2**31 - 1),
)
def test_exactly_the_fraction_changes(n, fraction, kind, seed):
    y = np.arange(n) % 3
    noisy = corrupt_labels(y, fraction, kind=kind, random_state=seed)
    assert np.sum(noisy != y) == np.floor(fraction * n + 0.5)
    assert set(noisy) <= set(y)


@pytest.mark.parametrize(
    "classes",
    [["a", "bb", "ccc"], [False, True], [-3, 0, 7], [0.0, 1.0]],
    ids=["str", "bool", "gapped", "float"],
)
def test_any_label_type_keeps_its_type(classes):
    y = np.array(classes * 20)
    before = y.copy()
    noisy = corrupt_labels(y, 0.5, random_state=0)
    assert noisy.dtype == y.dtype
    assert np.sum(noisy != y) == len(y) // 2
    np.testing.assert_array_equal(y, before)


def test_object_labels_lists_tensors_and_series():
    y = ["no", "yes"] * 10
    for given_y in (y, np.array(y, dtype=object)):
        assert np.sum(corrupt_labels(given_y, 0.3, random_state=0) != np.array(y)) == 6
    assert np.sum(corrupt_labels(torch.tensor([0, 1] * 10), 0.3) != np.array([0, 1] * 10)) == 6
    series = pd.Series(y, index=range(100, 120), name="answer", dtype="category")
    noisy = corrupt_labels(series, 0.3, random_state=0)
    assert np.sum(noisy != series) == 6
    assert noisy.name == "answer"
    assert noisy.dtype == series.dtype
    assert noisy.index.equals(series.index)
    for index in (pd.Index(y), pd.CategoricalIndex(y)):  # which cannot be written to
        assert np.sum(corrupt_labels(index, 0.3, random_state=0) != np.array(y)) == 6


def test_every_other_class_is_equally_likely_and_rows_are_drawn_evenly():
    y = np.repeat(np.arange(5), 4000)
    noisy = corrupt_labels(y, 0.5, random_state=0)
    for c in range(5):
        counts = np.bincount(noisy[(y == c) & (noisy != c)], minlength=5)
        assert counts[c] == 0
        assert chisquare(np.delete(counts, c)).pvalue > 1e-3
    changed_per_class = np.bincount(y[noisy != y], minlength=5)
    assert chisquare(changed_per_class).pvalue > 1e-3


def test_pairs_go_to_the_next_class_and_the_last_to_the_first():
    y = np.repeat(["a", "c", "z"], 50)
    noisy = corrupt_labels(y, 0.4, kind="pair", random_state=0)
    following = {"a": "c", "c": "z", "z": "a"}
    changed = noisy != y
    assert changed.sum() == 60
    assert [following[label] for label in y[changed]] == noisy[changed].tolist()


def test_seed_decides_and_global_states_stay(global_states):
    y = np.arange(100) % 10
    before = global_states()
    first = corrupt_labels(y, 0.5, random_state=3)
    np.testing.assert_array_equal(first, corrupt_labels(y, 0.5, random_state=3))
    assert np.any(first != corrupt_labels(y, 0.5, random_state=4))
    assert np.any(corrupt_labels(y, 0.5) != corrupt_labels(y, 0.5))
    generator = np.random.RandomState(3)
    np.testing.assert_array_equal(first, corrupt_labels(y, 0.5, random_state=generator))
    assert global_states() == before


@pytest.mark.parametrize(
    ("y", "fraction", "options", "message"),
    [
        ([0, 1], -0.1, {}, r"fraction must be a number in \[0, 1\], got -0\.1"),
        ([0, 1], 1.5, {}, r"fraction must be .* got 1\.5"),
        ([0, 1], float("nan"), {}, "fraction must be .* got nan"),
        ([0, 1], True, {}, "fraction must be .* got True"),
        ([0, 1], "half", {}, "fraction must be .* got 'half'"),
        ([0, 1], 0.5, {"kind": "swap"}, r"kind must be one of \('uniform', 'pair'\), got 'swap'"),
        ([1, 1], 0.5, {}, r"two classes to have wrong labels, got only \[1\]"),
        ([0.1, 0.7], 0.5, {}, "Unknown label type: continuous"),
        ([[0, 1], [1, 0]], 0.5, {}, "1d array"),
    ],
)
def test_bad_input_is_named(y, fraction, options, message):
    with pytest.raises(ValueError, match=message):
        corrupt_labels(y, fraction, **options)


def test_one_class_is_fine_where_nothing_changes():
    assert corrupt_labels(["a", "a"], 0.0).tolist() == ["a", "a"]

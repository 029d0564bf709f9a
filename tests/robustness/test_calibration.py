"""Facts about the expected calibration error."""

from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import make_scorer
from sklearn.model_selection import cross_val_score

from skmixup.robustness import expected_calibration_error


def written_out_ece(y, prob, n_bins):
    """Eq. 3 of Guo et al., row by row."""
    total = 0.0
    for m in range(n_bins):
        rows = [
            (y[i] == prob[i].argmax(), prob[i].max())
            for i in range(len(y))
            if m / n_bins < prob[i].max() <= (m + 1) / n_bins
        ]
        if rows:
            right, confidence = np.mean(rows, axis=0)
            total += len(rows) / len(y) * abs(right - confidence)
    return total


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    prob = rng.dirichlet(np.ones(4), size=237)
    return rng.integers(0, 4, size=237), prob


@pytest.mark.parametrize("n_bins", [1, 2, 7, 10, 15])
def test_equals_the_definition(predictions, n_bins):
    y, prob = predictions
    measured = expected_calibration_error(y, prob, n_bins=n_bins)
    assert measured == pytest.approx(written_out_ece(y, prob, n_bins), abs=1e-12)


def test_one_bin_is_accuracy_against_mean_confidence(predictions):
    y, prob = predictions
    gap = abs(np.mean(y == prob.argmax(1)) - prob.max(1).mean())
    for strategy in ("uniform", "quantile"):
        assert expected_calibration_error(y, prob, n_bins=1, strategy=strategy) == pytest.approx(
            gap
        )


def test_calibrated_by_construction_goes_to_zero_and_overconfident_does_not():
    rng = np.random.default_rng(1)
    prob = rng.dirichlet(np.ones(3), size=200_000)
    y = (prob.cumsum(1) < rng.random((200_000, 1))).sum(1)
    sharper = prob**3 / (prob**3).sum(1, keepdims=True)
    for strategy in ("uniform", "quantile"):
        assert expected_calibration_error(y, prob, strategy=strategy) < 0.01
        assert expected_calibration_error(y, sharper, strategy=strategy) > 0.1


def test_equal_mass_bins_hold_equally_many_rows(predictions):
    y, prob = predictions
    order = np.argsort(prob.max(1))
    correct, confidence = (y == prob.argmax(1))[order], prob.max(1)[order]
    edges = [round(237 * k / 10) for k in range(11)]
    by_hand = sum(abs(np.sum(correct[a:b] - confidence[a:b])) / 237 for a, b in pairwise(edges))
    measured = expected_calibration_error(y, prob, n_bins=10, strategy="quantile")
    assert measured == pytest.approx(by_hand)


def test_rows_of_equal_confidence_share_a_bin_in_any_order():
    y = np.array([0, 0, 1, 1, 0, 1])
    prob = np.tile([0.7, 0.3], (6, 1))
    for rows in (np.arange(6), np.array([2, 3, 5, 0, 1, 4])):
        measured = expected_calibration_error(y[rows], prob[rows], n_bins=3, strategy="quantile")
        assert measured == pytest.approx(0.2)


# numpy 1 says so of quotients of the smallest numbers that are right
@pytest.mark.filterwarnings("ignore:overflow encountered in divide")
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_integer_weights_are_repeated_rows(predictions, strategy):
    y, prob = predictions
    weight = np.random.default_rng(2).integers(0, 4, size=len(y))
    repeated = expected_calibration_error(
        np.repeat(y, weight), np.repeat(prob, weight, axis=0), strategy=strategy
    )
    for scale in (1, 0.1, 5e-324, 5e307):
        weighted = expected_calibration_error(
            y, prob, strategy=strategy, sample_weight=weight * scale
        )
        assert weighted == pytest.approx(repeated)


def test_labels_of_any_type_and_missing_classes():
    prob = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])
    names = np.array(["ant", "bee", "cat"])
    measured = expected_calibration_error(["ant", "bee"], prob, labels=names)
    assert measured == pytest.approx(0.15)
    with pytest.raises(ValueError, match=r"3 columns but y_true has 2.*labels=clf\.classes_"):
        expected_calibration_error(["ant", "bee"], prob)
    with pytest.raises(ValueError, match="labels must differ, one for each column"):
        expected_calibration_error(["ant", "bee"], prob, labels=["ant", "bee", "bee"])
    with pytest.raises(ValueError, match=r"\['dog'\], not in labels"):
        expected_calibration_error(["ant", "dog"], prob, labels=names)


def test_one_dimension_is_the_second_class():
    p = np.array([0.1, 0.7, 0.4, 0.9])
    y = [0, 1, 1, 1]
    assert expected_calibration_error(y, p) == expected_calibration_error(
        y, np.column_stack([1 - p, p])
    )


def test_is_a_scorer_for_two_and_more_classes():
    scoring = make_scorer(
        expected_calibration_error, response_method="predict_proba", greater_is_better=False
    )
    for load in (load_iris, load_breast_cancer):
        X, y = load(return_X_y=True)
        scores = cross_val_score(
            RandomForestClassifier(20, random_state=0), X, y, scoring=scoring, cv=3
        )
        assert ((scores > -0.3) & (scores < 0)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_bins": 0}, "n_bins must be an int >= 1, got 0"),
        ({"n_bins": 2.0}, r"n_bins must be an int >= 1, got 2\.0"),
        ({"strategy": "equal"}, r"strategy must be one of \('uniform', 'quantile'\), got 'equal'"),
        ({"y_prob": [[0.5, 0.6], [0.5, 0.5]]}, r"add up to 1, one is off by 0\.1"),
        ({"y_prob": [[-1.0, 2.0], [3.0, -2.0]]}, r"in \[0, 1\], got values from -2 to 3"),
        ({"y_prob": [[np.nan, 0.5], [0.5, 0.5]]}, "y_prob contains NaN"),
        ({"y_true": [0, 1, 1]}, "inconsistent numbers of samples"),
        ({"sample_weight": [1.0]}, r"sample_weight must have shape \(2,\), got \(1,\)"),
        ({"sample_weight": [1.0, -1.0]}, "sample_weight must be non-negative"),
        ({"sample_weight": [0.0, 0.0]}, "not all zero"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"y_true": [0, 1], "y_prob": [[0.5, 0.5], [0.5, 0.5]]} | change
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(**arguments)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_columns_of_a_frame_are_known_by_the_names_of_classes(frame):
    proba = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    y = np.array(["a", "b", "c"])[np.arange(50) % 3]
    expected = expected_calibration_error(y, proba)
    turned = frame({name: proba[:, k] for k, name in [(2, "c"), (0, "a"), (1, "b")]})
    assert expected_calibration_error(y, turned) == expected
    assert expected_calibration_error(y, turned, labels=["b", "a", "c"]) == expected
    other = frame({name: proba[:, k] for k, name in enumerate("xyz")})
    assert expected_calibration_error(y, other) == expected


def test_tensors_are_taken_with_gradients_and_in_16_bits():
    weight = torch.rand(60, generator=torch.Generator().manual_seed(0))
    y = torch.arange(60) % 2
    logits = torch.stack([weight, 1 - weight], dim=1).mul(4).requires_grad_()
    prob = logits.softmax(1)
    expected = expected_calibration_error(
        y.numpy(), prob.detach().numpy(), sample_weight=weight.numpy()
    )
    assert expected_calibration_error(y, prob, sample_weight=weight) == expected
    halves = torch.tensor([[0.75, 0.25], [0.25, 0.75]], dtype=torch.bfloat16)
    assert expected_calibration_error([0, 1], halves) == 0.25


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_bins", range(2, 61))
def test_a_confidence_on_an_edge_belongs_to_the_bin_below(n_bins, dtype):
    """Bin k is ((k − 1)/n, k/n]: beside its middle, right, its end, wrong, makes one mean."""
    k = np.arange(n_bins // 2 + 1, n_bins + 1)
    ends, inside = k / n_bins, (k - 0.25) / n_bins
    confidence = np.concatenate([ends, inside]).astype(dtype)
    prob = np.column_stack([1 - confidence, confidence])
    y = np.repeat([0, 1], len(k))
    expected = np.mean(np.abs(0.5 - (ends + inside) / 2))
    found = expected_calibration_error(y, prob, n_bins=n_bins, labels=[0, 1])
    assert found == pytest.approx(expected, abs=1e-6)

"""The temperature against brute force, and where log-loss alone has no minimum."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from skmixup.estimators.temperature import PRIOR_ROWS, fit_temperature, with_temperature


def rows(n, n_classes, true_beta, seed=0):
    """Probabilities whose logits have to be multiplied by ``true_beta`` to be right."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, n_classes))
    codes = np.array([rng.choice(n_classes, p=p) for p in softmax(true_beta * logits, axis=1)])
    return softmax(logits, axis=1), codes


@pytest.mark.parametrize(("n_classes", "true_beta"), [(2, 0.3), (3, 1.0), (5, 4.0)])
def test_it_has_the_smallest_log_loss_of_a_fine_grid(n_classes, true_beta):
    proba, codes = rows(2000, n_classes, true_beta)
    temperature = fit_temperature(proba, codes, np.ones(2000))
    grid = np.exp(np.linspace(-3, 3, 601))
    logs = [log_softmax(np.log(proba) / t, axis=1) for t in grid]
    losses = [-log[np.arange(2000), codes].mean() for log in logs]
    assert temperature == pytest.approx(grid[np.argmin(losses)], rel=0.02)
    assert temperature == pytest.approx(1 / true_beta, rel=0.15)


def test_it_minimises_log_loss_and_a_prior_that_weighs_one_row():
    proba, codes = rows(30, 3, 3.0)
    weight = np.random.default_rng(1).random(30)
    temperature = fit_temperature(proba, codes, weight)

    def loss(beta):
        logs = log_softmax(beta * np.log(proba), axis=1)[np.arange(30), codes]
        return -30 * np.average(logs, weights=weight) + PRIOR_ROWS * (beta - np.log(beta))

    at_minimum = loss(1 / temperature)
    assert all(loss((1 + step) / temperature) > at_minimum for step in (-1e-4, 1e-4, -0.3, 0.3))


def test_weights_count_as_repeated_rows():
    proba, codes = rows(40, 3, 2.0)
    weight = np.tile([1.0, 3.0], 20)
    repeated = np.repeat(np.arange(40), weight.astype(int))
    weighted = fit_temperature(proba, codes, weight)
    # The prior weighs one row of 40 here, of 80 there.
    assert weighted == pytest.approx(
        fit_temperature(proba[repeated], codes[repeated], np.ones(80)), rel=0.05
    )
    assert weighted == pytest.approx(fit_temperature(proba, codes, 1000 * weight), rel=1e-6)


def test_rows_without_weight_say_nothing():
    proba, codes = rows(40, 3, 2.0)
    assert fit_temperature(proba, codes, np.zeros(40)) == 1.0


def test_rows_that_are_all_right_do_not_become_certain():
    proba = np.tile([[0.9, 0.1], [0.1, 0.9]], (10, 1))
    codes = np.tile([0, 1], 10)
    temperature = fit_temperature(proba, codes, np.ones(20))
    assert 0.3 < temperature < 1
    assert fit_temperature(proba, 1 - codes, np.ones(20)) > 5  # all wrong: nearly even


def test_classes_of_probability_zero():
    certain = np.tile([[1.0, 0.0], [0.0, 1.0]], (10, 1))
    codes = np.tile([0, 1], 10)
    for labels in (codes, 1 - codes, np.where(np.arange(20) == 0, 1, codes)):
        temperature = fit_temperature(certain, labels, np.ones(20))
        assert np.isfinite(temperature)
        assert temperature > 0
        proba = with_temperature(certain, temperature)
        assert np.isfinite(proba).all()
        np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert fit_temperature(certain, codes, np.ones(20)) == pytest.approx(1, rel=1e-6)


def test_probabilities_at_a_temperature():
    proba = np.array([[0.5, 0.25, 0.25], [0.8, 0.1, 0.1]])
    powers = proba**0.5
    np.testing.assert_allclose(
        with_temperature(proba, 2.0), powers / powers.sum(axis=1, keepdims=True)
    )
    np.testing.assert_array_equal(with_temperature(proba, 1.0), proba)
    assert (with_temperature(proba, 0.3).argmax(axis=1) == proba.argmax(axis=1)).all()

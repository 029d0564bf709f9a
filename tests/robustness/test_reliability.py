"""Facts about the diagram of the expected calibration error."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.calibration import CalibrationDisplay, calibration_curve
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from skmixup.robustness import ReliabilityDisplay, expected_calibration_error

mpl.use("Agg")


@pytest.fixture
def iris_model():
    X, y = load_iris(return_X_y=True, as_frame=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    return LogisticRegression(C=0.05).fit(X, names), X, names


def test_display_draws_the_bins_of_the_error(iris_model):
    model, X, y = iris_model
    display = ReliabilityDisplay.from_estimator(model, X, y, n_bins=10)
    correct = model.predict(X) == y
    confidence = model.predict_proba(X).max(1)
    prob_true, prob_pred = calibration_curve(correct, confidence, n_bins=10)
    np.testing.assert_allclose(display.line_.get_ydata(), prob_true)
    np.testing.assert_allclose(display.line_.get_xdata(), prob_pred)
    error = expected_calibration_error(y, model.predict_proba(X), n_bins=10)
    assert display.calibration_error == error
    assert isinstance(display, CalibrationDisplay)
    labels = display.ax_.get_legend_handles_labels()[1]
    assert labels == ["Perfectly calibrated", f"LogisticRegression (ECE = {error:.3f})"]
    assert display.ax_.get_xlabel().startswith("Confidence")


def test_display_plots_again_on_given_axes_with_style(iris_model):
    model, X, y = iris_model
    first = ReliabilityDisplay.from_predictions(
        y, model.predict_proba(X), strategy="quantile", name="LR", color="red"
    )
    assert first.line_.get_color() == "red"
    second = first.plot(ax=first.ax_, name="again")
    assert second.ax_ is first.ax_
    assert len(second.ax_.lines) == 3  # two curves, one diagonal


def test_display_needs_a_fitted_classifier():
    with pytest.raises(TypeError, match="has no classes_"):
        ReliabilityDisplay.from_estimator(LogisticRegression(), [[0.0]], [0])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")

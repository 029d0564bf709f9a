"""Reliability diagrams: confidence against the share of rows predicted right."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.calibration import CalibrationDisplay

from skmixup.robustness.calibration import bin_rows, top_label


class ReliabilityDisplay(CalibrationDisplay):
    """Reliability diagram of the predicted class, for any number of classes.

    scikit-learn's :class:`~sklearn.calibration.CalibrationDisplay` shows the probability of one
    of two classes. This display shows, in its style, the largest probability of each row against
    the share of such rows that is predicted right. Create it with `from_estimator` or
    `from_predictions`; all parameters become attributes.

    Parameters
    ----------
    prob_true : ndarray of shape (n_bins,)
        Share of rows predicted right, in each bin that is not empty.
    prob_pred : ndarray of shape (n_bins,)
        Mean confidence in each of these bins.
    y_prob : ndarray of shape (n_samples,)
        Confidence of each row.
    calibration_error : float, default=None
        `expected_calibration_error` over these bins; shown in the legend unless None.
    estimator_name : str, default=None
        Shown in the legend unless None.

    Attributes
    ----------
    line_, ax_, figure_ : matplotlib artists
        As in ``CalibrationDisplay``.

    See Also
    --------
    expected_calibration_error : The diagram in one number.

    Examples
    --------
    >>> from skmixup.robustness import ReliabilityDisplay
    >>> y_prob = [[0.8, 0.2], [0.8, 0.2], [0.2, 0.8], [0.4, 0.6]]
    >>> display = ReliabilityDisplay.from_predictions([0, 0, 1, 0], y_prob, n_bins=5)
    >>> display.prob_pred, display.prob_true
    (array([0.6, 0.8]), array([0., 1.]))
    """

    def __init__(
        self,
        prob_true: NDArray[np.float64],
        prob_pred: NDArray[np.float64],
        y_prob: NDArray[np.float64],
        *,
        calibration_error: float | None = None,
        estimator_name: str | None = None,
    ) -> None:
        super().__init__(prob_true, prob_pred, y_prob, estimator_name=estimator_name)
        self.calibration_error = calibration_error

    def plot(
        self, *, ax: Any = None, name: str | None = None, ref_line: bool = True, **kwargs: Any
    ) -> "ReliabilityDisplay":
        """Draw the diagram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure.
        name : str, default=None
            Name in the legend. None: `estimator_name`.
        ref_line : bool, default=True
            Draw the diagonal of perfect calibration.
        **kwargs : dict
            Passed to :func:`matplotlib.pyplot.plot`.

        Returns
        -------
        ReliabilityDisplay
        """
        name = self.estimator_name if name is None else name
        if self.calibration_error is not None:
            error = f"ECE = {self.calibration_error:.3f}"
            name = error if name is None else f"{name} ({error})"
        super().plot(ax=ax, name=name, ref_line=ref_line, **kwargs)
        self.ax_.set(xlabel="Confidence (largest probability)", ylabel="Share predicted right")
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        n_bins: int = 15,
        strategy: str = "uniform",
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        ref_line: bool = True,
        **kwargs: Any,
    ) -> "ReliabilityDisplay":
        """Draw the diagram of a fitted classifier on held-out rows.

        Parameters
        ----------
        estimator : object
            A fitted classifier with ``predict_proba`` and ``classes_``, or a pipeline of one.
        X : array-like
            What the estimator predicts on.
        y : array-like of shape (n_samples,)
            True labels.
        n_bins, strategy, sample_weight
            As in `expected_calibration_error`.
        name : str, default=None
            None: the name of the estimator's class.
        ax, ref_line, **kwargs
            As in `plot`.

        Returns
        -------
        ReliabilityDisplay
        """
        missing = [a for a in ("predict_proba", "classes_") if not hasattr(estimator, a)]
        if missing:
            raise TypeError(
                f"estimator must be a fitted classifier with predict_proba, got {estimator!r}, "
                f"which has no {' and no '.join(missing)}"
            )
        return cls.from_predictions(
            y,
            estimator.predict_proba(X),
            n_bins=n_bins,
            strategy=strategy,
            labels=estimator.classes_,
            sample_weight=sample_weight,
            name=type(estimator).__name__ if name is None else name,
            ax=ax,
            ref_line=ref_line,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_prob: ArrayLike,
        *,
        n_bins: int = 15,
        strategy: str = "uniform",
        labels: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        ref_line: bool = True,
        **kwargs: Any,
    ) -> "ReliabilityDisplay":
        """Draw the diagram of given probabilities.

        Parameters
        ----------
        y_true, y_prob, n_bins, strategy, labels, sample_weight
            As in `expected_calibration_error`.
        name : str, default=None
            Name in the legend.
        ax, ref_line, **kwargs
            As in `plot`.

        Returns
        -------
        ReliabilityDisplay
        """
        correct, confidence, weight = top_label(y_true, y_prob, labels, sample_weight)
        bins = bin_rows(correct, confidence, weight, n_bins, strategy)
        display = cls(
            bins.accuracy,
            bins.confidence,
            confidence,
            calibration_error=bins.calibration_error(),
            estimator_name=name,
        )
        return display.plot(ax=ax, ref_line=ref_line, **kwargs)

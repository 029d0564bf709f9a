"""What probabilities of several labels per row are worth: each label is a decision of its own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import get_scorer

from skmixup.ensemble.class_judging import ClassJudge, PredictedClasses
from skmixup.ensemble.judging import Floats
from skmixup.ensemble.rows import Ints
from skmixup.estimators.several_labels import densified
from skmixup.estimators.temperature import decisions, labels_with_temperature, mean_log_loss


class PredictedLabels(PredictedClasses):
    """Stands before a scorer for a classifier whose probabilities of labels are known already."""

    def predict(self, X: Any) -> NDArray[Any]:
        """The labels of each row, as zeros and ones."""
        return np.asarray(self.known_for(X) > 0.5, dtype=np.int64)


def neg_label_log_loss(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    """Minus the binary log-loss, the mean over all rows and labels: a scorer.

    scikit-learn's log-loss divides the probabilities of a row by their sum.
    """
    weight = np.ones(np.shape(y)[0]) if sample_weight is None else sample_weight
    return -mean_log_loss(*_decided(estimator.predict_proba(X), densified(y)[0], weight))


def label_scorer(scoring: Any) -> Any:
    """The scorer for `scoring`; None is the share of rows with all labels right."""
    if scoring == "neg_log_loss":
        return neg_label_log_loss
    return get_scorer("accuracy" if scoring is None else scoring)


class LabelJudge(ClassJudge):
    """Scores probabilities of several labels, each setting's with a temperature of its own."""

    @staticmethod
    def scorer_for(scoring: Any, classes: NDArray[Any]) -> Any:
        """The scorer for `scoring`."""
        return label_scorer(scoring)

    def guess(self) -> Floats:
        """The share of rows that have each label."""
        return np.asarray(self.rows.y.mean(axis=0))

    def stand_in(self, prediction: Floats) -> PredictedLabels:
        """The object that a scorer is given in a classifier's place."""
        return PredictedLabels(prediction, self.rows.classes)

    def tempered(self, proba: Floats, temperature: float) -> Floats:
        """Probabilities at a temperature."""
        return labels_with_temperature(proba, temperature)

    def decided(self, stacked: Floats) -> tuple[Floats, Ints, Floats]:
        """Predictions of each label of held-out rows, whether it is on, and weights."""
        rows, weight = self.held_out(len(stacked))
        return _decided(stacked, self.rows.y[rows], weight)


def _decided(proba: Any, y: Any, weight: Any) -> tuple[Floats, Ints, Floats]:
    y = np.asarray(y)
    return decisions(proba), y.astype(np.int64).ravel(), np.repeat(weight, y.shape[1])

"""What probabilities of classes are worth, once their temperature is right."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import get_scorer, log_loss, make_scorer

from skmixup.ensemble.folds import Fold
from skmixup.ensemble.judging import Floats, Judge, Judgement, Predicted
from skmixup.ensemble.rows import IndicatorRows, Ints, LabeledRows
from skmixup.estimators.temperature import fit_temperature, mean_log_loss, with_temperature


class PredictedClasses(ClassifierMixin, Predicted):
    """Stands before a scorer for a classifier whose probabilities are known already."""

    def __init__(self, known: Any, classes: Any):
        super().__init__(known)
        self.classes = classes
        self.classes_ = classes

    def predict_proba(self, X: Any) -> Floats:
        """The probabilities."""
        return self.known_for(X)

    def predict_log_proba(self, X: Any) -> Floats:
        """Logarithms of the probabilities."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.known_for(X)))

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable label of each row."""
        return np.asarray(self.classes_[self.known_for(X).argmax(axis=1)])


def class_scorer(scoring: Any, classes: NDArray[Any] | None) -> Any:
    """The scorer for `scoring`; log-loss also where rows of some class are missing."""
    if scoring == "neg_log_loss":
        return make_scorer(
            log_loss, greater_is_better=False, response_method="predict_proba", labels=classes
        )
    return get_scorer("accuracy" if scoring is None else scoring)


@dataclass(frozen=True)
class TemperedJudgement(Judgement):
    """The temperature of a setting's predictions, and their scores with it."""

    temperature: float


class ClassJudge(Judge[Any]):
    """Scores probabilities, each setting's with a temperature of its own.

    Parameters
    ----------
    scoring : str, callable or None
        As the user wrote it.
    calibrate : bool
        Whether predictions get a temperature before they are scored.
    rows, folds, params
        As :class:`Judge` takes them.
    """

    offers = "classes_, predict, predict_proba and predict_log_proba"

    def __init__(
        self,
        scoring: Any,
        calibrate: bool,
        rows: LabeledRows | IndicatorRows,
        folds: Sequence[Fold],
        params: Mapping[str, Any],
    ):
        super().__init__(scoring, self.scorer_for(scoring, rows.classes), rows, folds, params)
        self.calibrate = calibrate

    @staticmethod
    def scorer_for(scoring: Any, classes: NDArray[Any]) -> Any:
        """The scorer for `scoring`."""
        return class_scorer(scoring, classes)

    def guess(self) -> Floats:
        """The classes' shares of the rows."""
        codes = self.rows.codes
        shares = np.bincount(codes, minlength=len(self.rows.classes)) / len(codes)
        return np.asarray(shares)

    def stand_in(self, prediction: Floats) -> PredictedClasses:
        """The object that a scorer is given in a classifier's place."""
        return PredictedClasses(prediction, self.rows.classes)

    def judge(self, predictions: Sequence[Floats]) -> TemperedJudgement:
        """Judge predictions for the first folds, or for all of them."""
        temperature = self.temperature(np.concatenate(predictions))
        scores = self.scores([self.tempered(proba, temperature) for proba in predictions])
        return TemperedJudgement(scores, temperature)

    def corrected(self, prediction: Floats, judgement: Judgement) -> Floats:
        """Probabilities of a setting with its temperature."""
        return self.tempered(prediction, temperature_of(judgement))

    def tempered(self, proba: Floats, temperature: float) -> Floats:
        """Probabilities at a temperature."""
        return with_temperature(proba, temperature)

    def temperature(self, stacked: Floats) -> float:
        """The temperature of predictions for the held-out rows, fold under fold."""
        if not self.calibrate:
            return 1.0
        return fit_temperature(*self.decided(stacked))

    def decided(self, stacked: Floats) -> tuple[Floats, Ints, Floats]:
        """Predictions for held-out rows, the positions of what is true, and weights."""
        rows, weight = self.held_out(len(stacked))
        return stacked, self.rows.codes[rows], weight

    def preference(self) -> Callable[[Floats], Any]:
        """What tells better from worse predictions for all held-out rows, fold under fold.

        The mean score of the folds; log-loss tells apart what other scores find equal. The
        settings have their temperatures already, and their mean gets its own only when it is
        chosen: with one for each mean that is looked at, the choice was the same in trials, and
        took a hundred times as long.
        """

        def preferred(stacked: Floats) -> Any:
            log_loss = mean_log_loss(*self.decided(stacked))
            if self.scoring == "neg_log_loss":
                return -log_loss
            return self.mean_score(stacked), -log_loss

        return preferred


def temperature_of(judgement: Judgement | None) -> float:
    """A setting's temperature; NaN where it has none."""
    return judgement.temperature if isinstance(judgement, TemperedJudgement) else np.nan

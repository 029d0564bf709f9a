"""What predicted numbers are worth."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import get_scorer

from skmixup.ensemble.folds import Fold
from skmixup.ensemble.judging import Floats, Judge, Judgement, Predicted
from skmixup.ensemble.rows import NumericRows
from skmixup.estimators.targets import Standardization


class PredictedTargets(RegressorMixin, Predicted):
    """Stands before a scorer for a regressor whose predictions are known already."""

    def predict(self, X: Any) -> Floats:
        """The numbers."""
        return self.known_for(X)


def target_scorer(scoring: Any) -> Any:
    """The scorer for `scoring`; None is the regressors' usual one."""
    return get_scorer("r2" if scoring is None else scoring)


class TargetJudge(Judge[NumericRows]):
    """Scores predicted numbers.

    Parameters
    ----------
    scoring : str, callable or None
        As the user wrote it.
    rows, folds, params
        As :class:`Judge` takes them.
    """

    offers = "predict"

    def __init__(
        self, scoring: Any, rows: NumericRows, folds: Sequence[Fold], params: Mapping[str, Any]
    ):
        super().__init__(scoring, target_scorer(scoring), rows, folds, params)

    def guess(self) -> Floats:
        """The mean of the targets."""
        return np.asarray(self.rows.y.mean(axis=0))

    def stand_in(self, prediction: Floats) -> PredictedTargets:
        """The object that a scorer is given in a regressor's place."""
        return PredictedTargets(prediction)

    def judge(self, predictions: Sequence[Floats]) -> Judgement:
        """Judge predictions for the first folds, or for all of them."""
        return Judgement(self.scores(predictions))

    def corrected(self, prediction: Floats, judgement: Judgement) -> Floats:
        """Predicted numbers as they are."""
        return prediction

    def preference(self) -> Callable[[Floats], Any]:
        """What tells better from worse predictions for all held-out rows, fold under fold.

        The mean score of the folds; squared error, in variances of the targets, tells apart what
        other scores find equal.
        """
        y = self.rows.y
        scale = Standardization.of(y.reshape(len(y), -1), self.rows.weight).scale

        def preferred(stacked: Floats) -> Any:
            rows, weight = self.held_out(len(stacked))
            errors = (stacked - self.rows.y[rows]).reshape(len(rows), -1) / scale
            error = np.average((errors**2).mean(axis=1), weights=weight)
            return self.mean_score(stacked), -error

        return preferred

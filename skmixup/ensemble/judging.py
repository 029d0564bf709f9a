"""What predictions for rows that were held out are worth, once their temperature is right."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer, log_loss, make_scorer
from sklearn.metrics._scorer import _BaseScorer
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_method_params

from skmixup.ensemble.folds import Fold, Ints, Rows
from skmixup.ensemble.temperature import fit_temperature, mean_log_loss, with_temperature

Floats = NDArray[np.float64]


class Predicted(ClassifierMixin, BaseEstimator):
    """Stands before a scorer for a classifier whose predictions are known already."""

    def __init__(self, classes: Any, proba: Any):
        self.classes = classes
        self.proba = proba
        self.classes_ = classes

    def fit(self, X: Any, y: Any) -> "Predicted":
        """Nothing is left to do."""
        return self

    def predict_proba(self, X: Any) -> Floats:
        """The probabilities; for the rows that they belong to only."""
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        if n_rows != len(self.proba):
            raise ValueError(
                f"a scorer may predict the {len(self.proba)} rows that it is given only; got "
                f"{n_rows}"
            )
        return np.asarray(self.proba)

    def predict_log_proba(self, X: Any) -> Floats:
        """Logarithms of the probabilities."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable label of each row."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


def scorer_of(scoring: Any, classes: NDArray[Any]) -> Any:
    """The scorer for `scoring`; log-loss also where rows of some class are missing."""
    if scoring == "neg_log_loss":
        return make_scorer(
            log_loss, greater_is_better=False, response_method="predict_proba", labels=classes
        )
    return get_scorer("accuracy" if scoring is None else scoring)


def takes_weights(scorer: Any) -> bool:
    """Whether a scorer has an argument ``sample_weight``."""
    if isinstance(scorer, _BaseScorer):
        scorer = scorer._score_func
    try:
        return "sample_weight" in signature(scorer).parameters
    except (TypeError, ValueError):
        return False


@dataclass(frozen=True)
class Judgement:
    """The temperature of a setting's predictions, and their score with it in each fold."""

    temperature: float
    scores: list[float]


class Judge:
    """Scores predictions for the folds' held-out rows.

    Parameters
    ----------
    scoring, scorer
        As the user wrote it, and what it stands for.
    calibrate : bool
        Whether predictions get a temperature before they are scored.
    rows : Rows
    folds : list of Fold
    params : mapping
        More arguments of the scorer; those as long as the rows are split with them.
    """

    def __init__(
        self,
        scoring: Any,
        scorer: Any,
        calibrate: bool,
        rows: Rows,
        folds: Sequence[Fold],
        params: Mapping[str, Any],
    ):
        self.scoring = scoring
        self.scorer = scorer
        self.calibrate = calibrate
        self.rows = rows
        self.folds = folds
        self.params = dict(params)
        if rows.weight is not None and takes_weights(scorer):
            self.params.setdefault("sample_weight", rows.weight)

    def check(self) -> None:
        """Score what everybody would guess, so that a scorer that cannot says so at once."""
        codes, classes = self.rows.codes, self.rows.classes
        shares = np.bincount(codes, minlength=len(classes)) / len(codes)
        for number, fold in enumerate(self.folds):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of undefined precision and the like
                    score = self.score_fold(fold, np.tile(shares, (len(fold.test), 1)))
            except Exception as error:
                raise ValueError(
                    f"scoring={self.scoring!r} cannot score predictions for the rows held out of "
                    f"fold {number}: {type(error).__name__}: {error}. It gets an object with "
                    "classes_, predict, predict_proba and predict_log_proba for these rows"
                ) from error
            if not isinstance(score, Real) or not np.isfinite(float(score)):
                raise ValueError(
                    f"scoring={self.scoring!r} must give one finite number for the rows held out "
                    f"of every fold; for fold {number} it gives {score!r}"
                )

    def judge(self, probas: Sequence[Floats]) -> Judgement:
        """Judge predictions for the first folds, or for all of them."""
        temperature = self.temperature(np.vstack(probas))
        scores = [
            float(self.score_fold(fold, with_temperature(proba, temperature)))
            for fold, proba in zip(self.folds, probas, strict=False)
        ]
        return Judgement(temperature, scores)

    def temperature(self, stacked: Floats) -> float:
        """The temperature of predictions for the held-out rows, fold under fold."""
        if not self.calibrate:
            return 1.0
        codes, weight = self._held_out(len(stacked))
        return fit_temperature(stacked, codes, weight)

    def preference(self) -> Callable[[Floats], Any]:
        """What tells better from worse predictions for all held-out rows, fold under fold.

        The mean score of the folds after a temperature; log-loss tells apart what other scores
        find equal.
        """
        ends = np.cumsum([len(fold.test) for fold in self.folds])[:-1]

        def preferred(stacked: Floats) -> Any:
            codes, weight = self._held_out(len(stacked))
            proba = with_temperature(stacked, self.temperature(stacked))
            log_loss = mean_log_loss(proba, codes, weight)
            if self.scoring == "neg_log_loss":
                return -log_loss
            parts = zip(self.folds, np.split(proba, ends), strict=True)
            return np.mean([self.score_fold(fold, part) for fold, part in parts]), -log_loss

        return preferred

    def score_fold(self, fold: Fold, proba: Floats) -> Any:
        """The scorer's word on predictions for the held-out rows of one fold."""
        rows = self.rows
        params = _check_method_params(rows.X, self.params, fold.test)
        # Metrics see labels and predictions only: their rows need not be gathered.
        metric = isinstance(self.scorer, _BaseScorer)
        X = fold.test[:, None] if metric else _safe_indexing(rows.X, fold.test)
        return self.scorer(Predicted(rows.classes, proba), X, rows.y[fold.test], **params)

    def by_rows(self, stacked: Floats) -> Floats:
        """Predictions in the order of all rows: NaN for rows never held out, means for others."""
        total, count = np.zeros((len(self.rows.y), stacked.shape[1])), np.zeros(len(self.rows.y))
        held_out = np.concatenate([fold.test for fold in self.folds])
        np.add.at(total, held_out, stacked)
        np.add.at(count, held_out, 1)
        total[count == 0] = np.nan
        return np.asarray(total / np.maximum(count, 1)[:, None])

    def _held_out(self, n_rows: int) -> tuple[Ints, Floats]:
        """Classes and weights of the first so many held-out rows."""
        rows = np.concatenate([fold.test for fold in self.folds])[:n_rows]
        weight = self.rows.weight
        return self.rows.codes[rows], np.ones(len(rows)) if weight is None else weight[rows]

"""What predictions for rows that were held out are worth."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import FitFailedWarning

from skmixup.ensemble.folds import Fold
from skmixup.ensemble.rows import Ints, Rows
from skmixup.ensemble.sklearn_internals import (
    asked_for_weights,
    is_made_of_a_metric,
    params_at,
    rows_at,
    takes_weights,
)
from skmixup.quiet import ignoring

Floats = NDArray[np.float64]
AnyRows = TypeVar("AnyRows", bound=Rows)


class Predicted(BaseEstimator):
    """Stands before a scorer for an estimator whose predictions are known already."""

    def __init__(self, known: Any):
        self.known = known

    def fit(self, X: Any, y: Any) -> "Predicted":
        """Nothing is left to do."""
        return self

    def known_for(self, X: Any) -> Floats:
        """The predictions; for the rows that they belong to only."""
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        if n_rows != len(self.known):
            raise ValueError(
                f"a scorer may predict the {len(self.known)} rows that it is given only; got "
                f"{n_rows}"
            )
        return np.asarray(self.known)


@dataclass(frozen=True)
class Judgement:
    """The scores of a setting's predictions, in each fold."""

    scores: list[float]


class Judge(ABC, Generic[AnyRows]):
    """Scores predictions for the folds' held-out rows.

    Parameters
    ----------
    scoring, scorer
        As the user wrote it, and what it stands for.
    rows : Rows
    folds : list of Fold
    params : mapping
        More arguments of the scorer; those as long as the rows are split with them.
    """

    #: What a scorer finds in the object that it is given.
    offers: ClassVar[str]

    def __init__(
        self,
        scoring: Any,
        scorer: Any,
        rows: AnyRows,
        folds: Sequence[Fold],
        params: Mapping[str, Any],
    ):
        self.scoring = scoring
        self.scorer = scorer
        self.rows = rows
        self.folds = folds
        self.params = dict(params)
        asked = asked_for_weights(scorer, "score") is True
        if rows.weight is not None and takes_weights(scorer) and asked:
            self.params.setdefault("sample_weight", rows.weight)

    # ---- what depends on the kind of predictions

    @abstractmethod
    def guess(self) -> Floats:
        """What everybody would predict for a row without a look at it."""

    @abstractmethod
    def stand_in(self, prediction: Floats) -> Predicted:
        """The object that a scorer is given in an estimator's place."""

    @abstractmethod
    def judge(self, predictions: Sequence[Floats]) -> Judgement:
        """Judge predictions for the first folds, or for all of them."""

    @abstractmethod
    def corrected(self, prediction: Floats, judgement: Judgement) -> Floats:
        """Predictions of a setting as they were scored."""

    @abstractmethod
    def preference(self) -> Callable[[Floats], Any]:
        """What tells better from worse predictions for all held-out rows, fold under fold."""

    # ---- what does not

    def check(self) -> None:
        """Score what everybody would guess, so that a scorer that cannot says so at once."""
        guess = self.guess()
        for number, fold in enumerate(self.folds):
            try:
                with ignoring():  # of undefined precision and the like
                    score = self.score_fold(fold, np.array([guess] * len(fold.test)))
            except Exception as error:
                raise ValueError(
                    f"scoring={self.scoring!r} cannot score predictions for the rows held out of "
                    f"fold {number}: {type(error).__name__}: {error}. It gets an object with "
                    f"{self.offers} for these rows"
                ) from error
            if not _is_finite(score):
                raise ValueError(
                    f"scoring={self.scoring!r} must give one finite number for the rows held out "
                    f"of every fold; for fold {number} it gives {score!r}"
                )

    def scores(self, predictions: Sequence[Floats]) -> list[float]:
        """Scores of predictions for the first folds, or for all of them; ValueError for NaN."""
        pairs = zip(self.folds, predictions, strict=False)
        scores = [self.score_fold(fold, prediction) for fold, prediction in pairs]
        if not all(map(_is_finite, scores)):
            raise ValueError(f"scoring={self.scoring!r} gives {scores} instead of finite numbers")
        return [*map(float, scores)]

    def score_fold(self, fold: Fold, prediction: Floats) -> Any:
        """The scorer's word on predictions for the held-out rows of one fold."""
        rows = self.rows
        params = params_at(rows.X, self.params, fold.test)
        # Metrics see y and predictions only: their rows need not be gathered.
        metric = is_made_of_a_metric(self.scorer)
        X = fold.test[:, None] if metric else rows_at(rows.X, fold.test)
        score = self.scorer(self.stand_in(prediction), X, rows.y[fold.test], **params)
        if hasattr(score, "item"):  # numbers of numpy and torch, as in scikit-learn's searches
            with suppress(ValueError, RuntimeError):
                return score.item()
        return score

    def mean_score(self, stacked: Floats) -> Any:
        """The mean score of the folds, of predictions fold under fold; −∞ where there is none."""
        ends = np.cumsum([len(fold.test) for fold in self.folds])
        try:
            return np.mean(self.scores(np.split(stacked, ends[ends < len(stacked)])))
        except Exception as error:
            warnings.warn(
                f"a mean of settings could not be scored, and is left out: "
                f"{type(error).__name__}: {error}",
                FitFailedWarning,
                stacklevel=2,
            )
            return -np.inf

    def by_rows(self, stacked: Floats) -> Floats:
        """Predictions in the order of all rows: NaN for rows never held out, means for others."""
        n_rows = len(self.rows.y)
        total, count = np.zeros((n_rows, *stacked.shape[1:])), np.zeros(n_rows)
        held_out = np.concatenate([fold.test for fold in self.folds])
        np.add.at(total, held_out, stacked)
        np.add.at(count, held_out, 1)
        total[count == 0] = np.nan
        return np.asarray((total.T / np.maximum(count, 1)).T)

    def held_out(self, n_rows: int) -> tuple[Ints, Floats]:
        """The first so many held-out rows, and their weights; all the same where none has one."""
        rows = np.concatenate([fold.test for fold in self.folds])[:n_rows]
        weight = None if self.rows.weight is None else self.rows.weight[rows]
        return rows, np.ones(len(rows)) if weight is None or not weight.any() else weight


def _is_finite(score: Any) -> bool:
    return isinstance(score, Real) and bool(np.isfinite(float(score)))

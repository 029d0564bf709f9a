"""One fit: a setting on the rows of a fold, or on all of them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import clone
from sklearn.utils import check_random_state

from skmixup.ensemble.folds import Fold
from skmixup.ensemble.groups import without_useless_groups
from skmixup.ensemble.net import Net
from skmixup.ensemble.rows import Rows
from skmixup.ensemble.sklearn_internals import asked_for_weights, params_at, rows_at
from skmixup.training.divergence import DivergenceError


@dataclass
class Fit:
    """What came of one fit.

    Attributes
    ----------
    setting, fold : int
    estimator : estimator object or None
    prediction : ndarray of shape (n_test, …) or None
        For the fold's held-out rows: probabilities of classes, or numbers in the shape of y.
    fit_seconds, score_seconds : float
        To fit, and to predict.
    error : Exception or None
    """

    setting: int
    fold: int
    estimator: Any = None
    prediction: NDArray[np.float64] | None = None
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    error: Exception | None = None

    @property
    def seconds(self) -> float:
        """Seconds in all."""
        return self.fit_seconds + self.score_seconds

    @property
    def is_fatal(self) -> bool:
        """Whether the error is one of the data or the estimator, not of the setting.

        What fails with the estimator's own setting at once would fail with the others too.
        """
        own = self.setting == 0 and self.fold == 0
        return own and not isinstance(self.error, DivergenceError)


def own_generator(random_state: Any) -> np.random.RandomState:
    """The generator for a ``random_state``; for None one that leaves numpy's global one alone."""
    fresh = np.random.SeedSequence().generate_state(4) if random_state is None else random_state
    return np.random.RandomState(fresh) if random_state is None else check_random_state(fresh)


def seeded_clone(estimator: Any, setting: Mapping[str, Any], seed: int) -> Any:
    """A clone with this setting; each ``random_state`` that is None gets a number."""
    new = clone(estimator).set_params(**clone(dict(setting), safe=False))
    free = [
        name
        for name, value in new.get_params(deep=True).items()
        if value is None and name.split("__")[-1] == "random_state"
    ]
    numbers = check_random_state(seed).randint(2**31 - 1, size=len(free))
    new.set_params(**dict(zip(sorted(free), map(int, numbers), strict=True)))
    return new


def fit_params_of(estimator: Any, weight: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``estimator.fit``: a pipeline hands weights to its last step by that name."""
    if weight is None or asked_for_weights(estimator, "fit") is not True:
        return dict(params)
    prefix = "" if get_config()["enable_metadata_routing"] else Net(estimator).prefix
    return {**params, f"{prefix}sample_weight": weight}


def fit_on(estimator: Any, rows: Rows, chosen: NDArray[Any], fit_params: Mapping[str, Any]) -> Any:
    """Fit an estimator on some of the rows."""
    fit_params = without_useless_groups(estimator, fit_params, rows)
    params = params_at(rows.X, fit_params, chosen)
    return estimator.fit(rows_at(rows.X, chosen), rows.y[chosen], **params)


def fit_fold(
    estimator: Any,
    setting: Mapping[str, Any],
    seed: int,
    rows: Rows,
    fold: Fold,
    fit_params: Mapping[str, Any],
    place: tuple[int, int],
) -> Fit:
    """Fit a setting on a fold's rows and predict those held out; an error is kept, not raised."""
    fit, start = Fit(*place), time.monotonic()
    try:
        new = seeded_clone(estimator, setting, seed)
        fit_on(new, rows, fold.train, fit_params)
        fit.fit_seconds = time.monotonic() - start
        prediction = rows.predicted(new, rows_at(rows.X, fold.test))
    except Exception as error:
        fit.error = error
        return fit
    fit.score_seconds = time.monotonic() - start - fit.fit_seconds
    forget_moments(new)
    fit.estimator, fit.prediction = new, prediction
    return fit


def forget_moments(estimator: Any) -> None:
    """Drop the optimizer's moments, which are twice as large as the network itself."""
    state = getattr(getattr(Net(estimator).estimator, "optimizer_", None), "state", None)
    if isinstance(state, dict):
        state.clear()

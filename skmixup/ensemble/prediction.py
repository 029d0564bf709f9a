"""What several networks predict together."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skmixup.ensemble.temperature import with_temperature
from skmixup.estimators.inputs import as_array

Floats = NDArray[np.float64]


class WeightedNetworks(ClassifierMixin, BaseEstimator):
    """The weighted mean of networks' probabilities, with temperatures.

    Probabilities are averaged, not their logarithms: in trials on 18 tables the latter was better
    on some and much worse on others, and one probability of 0 would decide alone. Each network
    has the temperature of its setting before that, which was better than one for all.

    Attributes
    ----------
    estimators_ : list of estimators
        One, or those of all folds of the settings with a weight, setting by setting.
    weights_ : ndarray of shape (n_settings,)
    cv_results_ : dict
        Its column ``temperature`` has the temperatures of the settings.
    temperature_ : float
        Of the mean.
    classes_ : ndarray of shape (n_classes,)
    """

    estimators_: list[Any]
    weights_: Floats
    cv_results_: dict[str, Any]
    temperature_: float
    classes_: NDArray[Any]

    def __sklearn_is_fitted__(self) -> bool:
        return "estimators_" in self.__dict__

    def predict_proba(self, X: Any) -> Floats:
        """Probabilities of the classes, in the order of ``classes_``.

        Parameters
        ----------
        X : array-like of shape (n, …)

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        check_is_fitted(self)
        X = as_array(X)
        if getattr(X, "ndim", 2) > 1:  # else the networks say what to do about it
            validate_data(self, X, reset=False, skip_check_array=True)
        mean = sum(
            share * with_temperature(network.predict_proba(X), own)
            for network, share, own in self._members()
        )
        return with_temperature(mean, self.temperature_)

    def _members(self) -> Iterator[tuple[Any, float, float]]:
        """The networks, each with its share of the mean and the temperature of its setting."""
        n = len(self.estimators_) // np.count_nonzero(self.weights_)  # 1 after a refit
        for i, setting in enumerate(np.flatnonzero(self.weights_)):
            own = float(self.cv_results_["temperature"][setting])
            for network in self.estimators_[i * n : i * n + n]:
                yield network, float(self.weights_[setting]) / n, own

    def predict_log_proba(self, X: Any) -> Floats:
        """Logarithms of :meth:`predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n, …)

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))

    def predict(self, X: Any) -> NDArray[Any]:
        """Most probable label of each row.

        Parameters
        ----------
        X : array-like of shape (n, …)

        Returns
        -------
        ndarray of shape (n,)
        """
        proba = self.predict_proba(X)
        return np.asarray(self.classes_[proba.argmax(axis=1)])

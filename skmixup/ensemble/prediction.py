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
    """The weighted mean of networks' probabilities, each setting with its own temperature.

    Attributes
    ----------
    estimators_ : list of estimators
        One, or those of all folds of the settings with a weight, setting by setting.
    weights_ : ndarray of shape (n_settings,)
    cv_results_ : dict
        Its column ``temperature`` has those of the settings.
    temperature_ : float
        Of the mean.
    n_splits_ : int
    classes_ : ndarray of shape (n_classes,)
    """

    estimators_: list[Any]
    weights_: Floats
    cv_results_: dict[str, Any]
    temperature_: float
    n_splits_: int
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
            share * with_temperature(network.predict_proba(X), temperature)
            for network, share, temperature in self._members()
        )
        return with_temperature(mean, self.temperature_)

    def _members(self) -> Iterator[tuple[Any, float, float]]:
        """The networks, each with its share of the mean and its own temperature."""
        if len(self.estimators_) == 1:
            yield self.estimators_[0], 1.0, 1.0
            return
        chosen = np.flatnonzero(self.weights_)
        for i, network in enumerate(self.estimators_):
            setting = chosen[i // self.n_splits_]
            own = float(self.cv_results_["temperature"][setting]) if len(chosen) > 1 else 1.0
            yield network, float(self.weights_[setting]) / self.n_splits_, own

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

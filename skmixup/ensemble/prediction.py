"""What several networks predict together."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skmixup.ensemble.temperature import with_temperature
from skmixup.estimators.inputs import as_array

Floats = NDArray[np.float64]


class WeightedNetworks(ClassifierMixin, BaseEstimator):
    """The weighted mean of networks' probabilities, with a temperature.

    Attributes
    ----------
    estimators_ : list of estimators
        One, or those of all folds of the settings with a weight, setting by setting.
    weights_ : ndarray of shape (n_settings,)
    temperature_ : float
    n_splits_ : int
    classes_ : ndarray of shape (n_classes,)
    """

    estimators_: list[Any]
    weights_: Floats
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
            share * np.asarray(network.predict_proba(X), dtype=np.float64)
            for network, share in zip(self.estimators_, self._shares(), strict=True)
        )
        return with_temperature(mean, self.temperature_)

    def _shares(self) -> Floats:
        """The weight of each network in the mean."""
        if len(self.estimators_) == 1:
            return np.ones(1)
        return np.repeat(self.weights_[self.weights_ > 0] / self.n_splits_, self.n_splits_)

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

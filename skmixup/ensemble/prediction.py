"""What several networks predict together."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from skmixup.ensemble.rows import label_probabilities
from skmixup.estimators.columns import refuse_unread_table
from skmixup.estimators.inputs import as_array
from skmixup.estimators.several_labels import as_matrix
from skmixup.estimators.temperature import labels_with_temperature, with_temperature
from skmixup.labels import column_names
from skmixup.quiet import ignoring

Floats = NDArray[np.float64]


class WeightedNetworks(BaseEstimator):
    """Networks with weights, whose predictions are averaged.

    Attributes
    ----------
    estimators_ : list of estimators
        One, or those of all folds of the settings with a weight, setting by setting.
    weights_ : ndarray of shape (n_settings,)
    """

    estimators_: list[Any]
    weights_: Floats

    def __sklearn_is_fitted__(self) -> bool:
        return "estimators_" in self.__dict__

    def _checked(self, X: Any) -> Any:
        """X as the networks take it, once it has the columns that were seen in ``fit``."""
        check_is_fitted(self)
        refuse_unread_table(X)
        X = as_array(X)
        is_dict = isinstance(X, dict) and not hasattr(X, "shape")
        if getattr(X, "ndim", 2) > 1 and not is_dict:  # else the networks say what to do about it
            validate_data(self, X, reset=False, skip_check_array=True)
        return X

    @contextmanager
    def _told_once(self, X: Any) -> Iterator[None]:
        """Keep each network from repeating the warning that X has no names of columns."""
        if not hasattr(self, "feature_names_in_") or column_names(X, "X"):
            yield
            return
        with ignoring("X does not have valid feature names"):
            yield

    def _members(self) -> Iterator[tuple[Any, float, int]]:
        """The networks, each with its share of the mean and its setting."""
        n = len(self.estimators_) // np.count_nonzero(self.weights_)  # 1 after a refit
        for i, setting in enumerate(np.flatnonzero(self.weights_)):
            for network in self.estimators_[i * n : i * n + n]:
                yield network, float(self.weights_[setting]) / n, int(setting)


class WeightedClassifiers(WeightedNetworks):
    """The weighted mean of networks' probabilities, with temperatures.

    Probabilities are averaged, not their logarithms: in trials on 18 tables the latter was better
    on some and much worse on others, and one probability of 0 would decide alone. Each network
    has the temperature of its setting before that, which was better than one for all.

    Attributes
    ----------
    cv_results_ : dict
        Its column ``temperature`` has the temperatures of the settings.
    temperature_ : float
        Of the mean.
    classes_ : ndarray of shape (n_classes,)
    multilabel_ : bool
        Whether rows have several labels; each has a probability of its own then.
    """

    cv_results_: dict[str, Any]
    temperature_: float
    classes_: NDArray[Any]
    multilabel_: bool = False  # of objects that an earlier version has pickled
    _sparse_kind: str | None = None

    def _tempered(self, proba: Any, temperature: float) -> Floats:
        function = labels_with_temperature if self.multilabel_ else with_temperature
        return function(proba, temperature)

    def predict_proba(self, X: Any) -> Floats:
        """Probabilities of the classes, in the order of ``classes_``.

        Parameters
        ----------
        X : array-like of shape (n, …)

        Returns
        -------
        ndarray of shape (n, n_classes), or (n, n_labels)
        """
        X = self._checked(X)
        own = self.cv_results_["temperature"]
        with self._told_once(X):
            mean = sum(
                share * self._tempered(label_probabilities(network, X), float(own[setting]))
                for network, share, setting in self._members()
            )
        return self._tempered(mean, self.temperature_)

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

    def predict(self, X: Any) -> Any:
        """Most probable label of each row; of several labels those above one half.

        Parameters
        ----------
        X : array-like of shape (n, …)

        Returns
        -------
        ndarray of shape (n,), or ndarray or sparse matrix of shape (n, n_labels) as y was
        """
        proba = self.predict_proba(X)
        if self.multilabel_:
            return as_matrix((proba > 0.5).astype(np.int64), self._sparse_kind)
        return np.asarray(self.classes_[proba.argmax(axis=1)])


class WeightedRegressors(WeightedNetworks):
    """The weighted mean of networks' predicted numbers."""

    #: The axes of a row of y; None of objects that an earlier version has pickled.
    _target_axes: tuple[int, ...] | None = None

    def predict(self, X: Any) -> Floats:
        """Predicted targets, in the units of y.

        Parameters
        ----------
        X : array-like of shape (n, …)

        Returns
        -------
        ndarray of shape (n,), or (n, n_targets) where y had two axes
        """
        X = self._checked(X)
        with self._told_once(X):
            mean = np.asarray(sum(share * net.predict(X) for net, share, _ in self._members()))
        # Forests and others give a column of targets without its second axis.
        axes = mean.shape[1:] if self._target_axes is None else self._target_axes
        return mean.reshape(len(mean), *axes)

"""Logits, probabilities and labels for rows: what a classifier predicts."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.utils import to_numpy
from torch import Tensor, nn

from skmixup.estimators.classifier_fit import FittingNet
from skmixup.estimators.criteria import (
    criterion_of,
    is_binary_output,
    returns_logits,
    to_probabilities,
)


class PredictingNet(FittingNet):
    """A classifier that predicts."""

    predict_nonlinearity: Any

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Logits; for two classes the difference of the second to the first.

        Parameters
        ----------
        X : array-like of shape (n, …)

        Returns
        -------
        ndarray of shape (n, n_classes), or (n,) for two classes
        """
        logits = self._raw_outputs(X)
        if is_binary_output(criterion_of(self), logits, len(self.classes_)):
            if isinstance(criterion_of(self), nn.BCELoss):
                logits = torch.logit(logits, eps=torch.finfo(logits.dtype).eps)
            return logits.flatten().numpy()
        two_classes = len(self.classes_) == 2
        return (logits[:, 1] - logits[:, 0] if two_classes else logits).numpy()

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Logarithms of :meth:`predict_proba`; finite where the criterion is cross-entropy.

        Parameters
        ----------
        X : array-like of shape (n, …)

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        outputs = self._raw_outputs(X)
        if self._predicts_softmax():
            return torch.log_softmax(outputs, dim=1).numpy()
        with np.errstate(divide="ignore"):
            return np.log(self._probabilities(outputs))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of the classes, in the order of ``classes_``.

        Parameters
        ----------
        X : array-like of shape (n, …)

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        return self._probabilities(self._raw_outputs(X))

    def _probabilities(self, outputs: Tensor) -> NDArray[np.float64]:
        return to_numpy(self._get_predict_nonlinearity()(outputs))

    def _predicts_softmax(self) -> bool:
        return self.predict_nonlinearity == "auto" and isinstance(
            criterion_of(self), nn.CrossEntropyLoss
        )

    def _get_predict_nonlinearity(self) -> Callable[[Tensor], Tensor]:
        """Return what makes probabilities of the module's outputs; "auto" asks the criterion.

        Overrides a private method of skorch's, which asks there and nowhere else.
        """
        if self.predict_nonlinearity != "auto":
            return super()._get_predict_nonlinearity()
        criterion = criterion_of(self) if len(self._criteria) <= 1 else None
        return partial(
            to_probabilities, criterion=criterion, are_logits=returns_logits(self.module_)
        )

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
        self._check_n_classes(proba.shape[1])
        return self.classes_[proba.argmax(axis=1)]

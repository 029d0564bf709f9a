"""Logits, probabilities and labels for rows: what a classifier predicts."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score
from skorch.utils import to_numpy
from torch import Tensor, nn

from skmixup.estimators.classifier_fit import FittingNet
from skmixup.estimators.criteria import (
    criterion_of,
    is_binary_output,
    returns_logits,
    to_probabilities,
)
from skmixup.estimators.inputs import as_array
from skmixup.estimators.several_labels import (
    as_matrix,
    check_indicators,
    check_label_outputs,
    densified,
    label_probabilities,
)
from skmixup.labels import label_column, of_one_type


class PredictingNet(FittingNet):
    """A classifier that predicts."""

    predict_nonlinearity: Any

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Logits; for two classes the difference of the second to the first.

        For several labels per row always one logit for each.

        Parameters
        ----------
        X : array-like of shape (n, …)

        Returns
        -------
        ndarray of shape (n, n_classes), or (n,) for two classes; (n, n_labels)
        """
        logits = self._raw_outputs(X)
        if self.multilabel_:
            likelihood = isinstance(criterion_of(self), nn.BCELoss)
            return (_logit(logits) if likelihood else logits).numpy()
        if is_binary_output(criterion_of(self), logits, len(self.classes_)):
            if isinstance(criterion_of(self), nn.BCELoss):
                logits = _logit(logits)
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
        ndarray of shape (n, n_classes), or (n, n_labels)
        """
        outputs = self._raw_outputs(X)
        if self._predicts_likelihoods():
            if self.multilabel_:
                return nn.functional.logsigmoid(outputs).numpy()
            return torch.log_softmax(outputs, dim=1).numpy()
        with np.errstate(divide="ignore"):
            return np.log(self._probabilities(outputs))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of the classes, in the order of ``classes_``, or of each label.

        Parameters
        ----------
        X : array-like of shape (n, …)

        Returns
        -------
        ndarray of shape (n, n_classes), or (n, n_labels)
        """
        return self._probabilities(self._raw_outputs(X))

    def _probabilities(self, outputs: Tensor) -> NDArray[np.float64]:
        return to_numpy(self._get_predict_nonlinearity()(outputs))

    def _predicts_likelihoods(self) -> bool:
        likelihood = nn.BCEWithLogitsLoss if self.multilabel_ else nn.CrossEntropyLoss
        return self.predict_nonlinearity == "auto" and isinstance(criterion_of(self), likelihood)

    def _get_predict_nonlinearity(self) -> Callable[[Tensor], Tensor]:
        """Return what makes probabilities of the module's outputs; "auto" asks the criterion.

        Overrides a private method of skorch's, which asks there and nowhere else.
        """
        if self.predict_nonlinearity != "auto":
            return super()._get_predict_nonlinearity()
        criterion = criterion_of(self) if len(self._criteria) <= 1 else None
        if self.multilabel_:
            return partial(label_probabilities, criterion=criterion)
        return partial(
            to_probabilities, criterion=criterion, are_logits=returns_logits(self.module_)
        )

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
            check_label_outputs(torch.from_numpy(proba), len(self.classes_))
            return as_matrix((proba > 0.5).astype(np.int64), self.__dict__.get("_sparse_kind_"))
        self._check_n_classes(proba.shape[1])
        return self.classes_[proba.argmax(axis=1)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Mean accuracy; of several labels per row all must be right.

        Parameters
        ----------
        X : array-like of shape (n, …)
        y : array-like of shape (n,) or (n, n_labels)
            Labels of any kind that `fit` takes, but for soft labels. Columns of a frame are taken
            by the names that they had there.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        predicted = self.predict(X)
        sample_weight = as_array(sample_weight)
        if self.multilabel_:
            y = densified(self.in_known_order(y, first=False))[0]
            y = check_indicators(y, len(self.classes_)).astype(np.int64)
        else:
            y = of_one_type(label_column(y))
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))


def _logit(p: Tensor) -> Tensor:
    return torch.logit(p, eps=torch.finfo(p.dtype).eps)

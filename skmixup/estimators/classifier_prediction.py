"""Logits, probabilities and labels for rows: what a classifier predicts."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.utils import is_dataset, to_device, to_numpy
from torch import Tensor, nn

from skmixup.estimators.classifier_fit import FittingNet
from skmixup.estimators.criteria import (
    criterion_of,
    is_binary_output,
    returns_logits,
    to_probabilities,
)
from skmixup.estimators.dataset_batches import DatasetBatches
from skmixup.estimators.datasets import refuse_loader
from skmixup.estimators.inputs import check_inputs
from skmixup.randomness.fit import PreservedRandomness
from skmixup.randomness.unseen import draws_nothing
from skmixup.training.batches import ArrayDataset, TensorBatches
from skmixup.training.divergence import check_outputs
from skmixup.vicinal.loss import first_output


class PredictingNet(FittingNet):
    """A classifier that predicts."""

    predict_nonlinearity: Any

    def forward_iter(self, X: Any, training: bool = False, device: Any = "cpu") -> Any:
        """Yield the module's outputs batch by batch; labels of a data set are not looked at."""
        iterator = self.get_iterator(self.get_dataset(X), training=training)
        for batch in iterator.inputs() if isinstance(iterator, DatasetBatches) else iterator:
            yield to_device(self.evaluation_step(batch, training=training), device=device)

    def _raw_outputs(self, X: Any) -> Tensor:
        """The module's outputs for all rows (the first of several), as float64 on the CPU."""
        self.check_trained()
        refuse_loader(X)
        data = X if is_dataset(X) else ArrayDataset(check_inputs(self, X, reset=False))
        # skorch's scoring callbacks put a cached forward_iter in the place of this one, whose
        # default for device is the parameter, which may be "auto".
        with self._device_for_users_code(), self._prediction_window(X):
            parts = map(first_output, self.forward_iter(data, device="cpu"))
            if is_dataset(X):
                outputs = torch.cat(list(parts)).double()
            else:
                outputs = _stacked(parts, len(data))
        check_outputs(self, outputs)
        if not is_dataset(X) and len(outputs) < len(data):
            raise ValueError(
                f"only {len(outputs)} of {len(data)} rows were predicted: "
                "iterator_valid__drop_last=True leaves out what does not fill a batch; set it to "
                "False"
            )
        return outputs

    @contextmanager
    def _prediction_window(self, X: Any) -> Iterator[None]:
        """Leave random states as they are; nothing to do where nothing is drawn.

        A DataLoader draws its seed from torch's state, and a user's data set may draw from any.
        """
        own_rows = is_dataset(X)
        if not own_rows and self.iterator_valid is TensorBatches and draws_nothing(self.module_):
            yield
            return
        randomness = PreservedRandomness(self._device_, self.module_, whole=own_rows)
        with randomness, randomness.fetch if own_rows else randomness.step:
            yield

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


def _stacked(parts: Iterable[Tensor], n_rows: int) -> Tensor:
    """All outputs as one float64 tensor, into which each batch is copied as it comes.

    Outputs kept until the end would lie in memory between the activations of their batches, and
    the allocator could not use that memory again: at a million rows of 30 columns it took 8 times
    the size of X.
    """
    rows = torch.empty(0)
    filled = 0
    for part in parts:
        if filled == 0:
            rows = torch.empty((n_rows, *part.shape[1:]), dtype=torch.float64)
        rows[filled : filled + len(part)] = part
        filled += len(part)
    return rows[:filled]

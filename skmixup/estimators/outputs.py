"""The outputs of a fitted module for rows, from which all predictions are made."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.utils import is_dataset, to_device
from torch import Tensor

from skmixup.estimators.base import VicinalEstimator
from skmixup.estimators.criteria import averaged, criterion_of
from skmixup.estimators.dataset_batches import DatasetBatches
from skmixup.estimators.datasets import refuse_loader
from skmixup.estimators.inputs import check_inputs
from skmixup.networks import MLP
from skmixup.randomness.fit import PreservedRandomness
from skmixup.randomness.unseen import draws_nothing
from skmixup.training.batches import ArrayDataset, TensorBatches, as_tensor, in_memory
from skmixup.training.divergence import check_outputs
from skmixup.training.own_loss import is_users
from skmixup.training.surroundings import own_surroundings
from skmixup.training.tensor_net import MIN_PREDICTION_ROWS
from skmixup.vicinal.loss import first_output

_THEIR_OPTIONS = ("iterator_valid__", "dataset__")


class OutputNet(VicinalEstimator):
    """An estimator that runs its module on rows to predict."""

    def forward_iter(self, X: Any, training: bool = False, device: Any = "cpu") -> Any:
        """Yield the module's outputs batch by batch; labels of a data set are not looked at."""
        iterator = self.get_iterator(self.get_dataset(X), training=training)
        for batch in iterator.inputs() if isinstance(iterator, DatasetBatches) else iterator:
            output = self.evaluation_step(batch, training=training)
            if isinstance(output, tuple):
                output = tuple(output)  # skorch cannot make a namedtuple anew
            yield to_device(output, device=device)

    def output_for_callbacks(self, output: Any) -> Any:
        """Return outputs of shape (n, n_outputs), also of a network with members."""
        outputs = first_output(output)
        if not isinstance(outputs, Tensor) or outputs.ndim != 3:
            return outputs
        return averaged(outputs.detach(), criterion_of(self))

    def _raw_outputs(self, X: Any) -> Tensor:
        """The module's outputs for all rows (the first of several), as float64 on the CPU."""
        self.check_trained()
        refuse_loader(X)
        rows = X if is_dataset(X) else check_inputs(self, X, reset=False)
        small = self._are_a_small_batch(rows)
        data = rows if small or is_dataset(X) else ArrayDataset(rows)
        surroundings = own_surroundings(self._device_.type)
        window = self._prediction_window(X, small)
        with surroundings, self._device_for_users_code(), window:
            if small:
                outputs = first_output(self.evaluation_step((as_tensor(rows), None)))
            else:
                outputs = self._batch_by_batch(data, keeps_all=is_dataset(X))
        outputs = outputs.cpu().double()
        if outputs.is_inference():  # and could not be changed in place by a predict_nonlinearity
            outputs = outputs.clone()
        check_outputs(self, outputs)
        if not is_dataset(X) and len(outputs) < len(data):
            raise ValueError(
                f"only {len(outputs)} of {len(data)} rows were predicted: "
                "iterator_valid__drop_last=True leaves out what does not fill a batch; set it to "
                "False"
            )
        return outputs

    def _batch_by_batch(self, data: Any, *, keeps_all: bool) -> Tensor:
        """Outputs for all rows of a data set, of which maybe only the batches tell the number."""
        # skorch's scoring callbacks put a cached forward_iter in the place of this one, whose
        # default for device is the parameter, which may be "auto". None leaves outputs where they
        # are: skorch cannot move a second output that is no tensor.
        with _quick(self, data):
            parts = (first_output(part).cpu() for part in self.forward_iter(data, device=None))
            return torch.cat(list(parts)).double() if keeps_all else _stacked(parts, len(data))

    def _are_a_small_batch(self, rows: Any) -> bool:
        """Whether few rows need no iterator, which takes as long as some layers do for them.

        Nobody else takes part in how rows become batches, and :meth:`evaluation_step` copies them.
        """
        return (
            type(rows) is np.ndarray
            and rows.dtype.kind == "f"
            and 0 < len(rows) < MIN_PREDICTION_ROWS
            and self.iterator_valid is TensorBatches
            and self.dataset is ArrayDataset
            and not is_users(self, "forward_iter")
            and not is_users(self, "get_iterator")
            and type(self).get_dataset is NeuralNet.get_dataset
            # looked for in all names together, of which there are some sixty
            and not any(map(" ".join(self.__dict__).__contains__, _THEIR_OPTIONS))
            and not self._is_one_of_several_processes()
        )

    def _prediction_window(self, X: Any, small: bool) -> AbstractContextManager[None]:
        """Leave random states as they are; nothing to do where nothing is drawn.

        A DataLoader draws its seed from torch's state, and a user's data set may draw from any.
        """
        own_rows = is_dataset(X)
        if not own_rows and self.iterator_valid is TensorBatches and draws_nothing(self.module_):
            # of a module that keeps nothing; each of torch's calls then takes less than in no_grad
            keeps_nothing = isinstance(self.module_, MLP) and not is_users(self, "infer")
            return torch.inference_mode() if small and keeps_nothing else nullcontext()
        return self._kept_randomness(own_rows)

    @contextmanager
    def _kept_randomness(self, own_rows: bool) -> Iterator[None]:
        randomness = PreservedRandomness(self._device_, self.module_, whole=own_rows)
        with randomness, randomness.fetch if own_rows else randomness.step:
            yield


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


@contextmanager
def _quick(net: Any, data: Any) -> Iterator[None]:
    """Let the default network for tables save memory, and with it time."""
    module = net.module_
    few = in_memory(data) is not None and len(data) <= MIN_PREDICTION_ROWS
    if few or not isinstance(module, MLP):  # a compiled one would be compiled once more
        yield
        return
    module.overwrite_sums(True)
    try:
        yield
    finally:
        module.overwrite_sums(False)

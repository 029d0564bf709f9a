"""All training rows, from which partners are drawn that are not in the minibatch."""

from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from skmixup.training.batches import in_memory, split_targets, targets_at
from skmixup.vicinal.all_rows import similar_rows
from skmixup.vicinal.draw import PartnerRows


class PartnerPool:
    """The rows that a net is trained on, without those held out.

    Parameters
    ----------
    net : VicinalNet
        Whose device the partners are brought to, and which augments them.
    dataset : Dataset
        Arrays in memory.

    Raises
    ------
    TypeError
        For any other data set.
    """

    def __init__(self, net: Any, dataset: Any):
        found = in_memory(dataset)
        if found is None:
            raise TypeError(
                "partners='all' looks up any of the training rows at every step and needs X and y "
                f"as arrays; got a {type(dataset).__name__}: use partners='batch'"
            )
        self.net = net
        self.data, self.rows = found
        self.n_rows = len(self.data) if self.rows is None else len(self.rows)
        self._similar: dict[float, Any] = {}  # by bandwidth: vicinities by turns have their own

    def uniform(self, n: int, rng: Generator) -> PartnerRows:
        """Draw n rows, all alike."""
        return self._at(rng.integers(self.n_rows, size=n))

    def similar(self, target: Tensor, bandwidth: float, rng: Generator) -> PartnerRows:
        """Draw a row for each of `target`, more likely one with a similar target."""
        if bandwidth not in self._similar:
            self._similar[bandwidth] = similar_rows(self._targets(), bandwidth)
        return self._at(self._similar[bandwidth].draw(target.cpu().numpy(), rng))

    def _targets(self) -> NDArray[Any]:
        assert self.data.target is not None
        target = self.data.target.numpy()
        return target if self.rows is None else target[self.rows]

    def _at(self, positions: NDArray[np.int64]) -> PartnerRows:
        index = torch.from_numpy(positions if self.rows is None else self.rows[positions])
        net, augmentation = self.net, self.net._fit_state_.augmentation
        inputs = net._on_device(self.data.inputs_at(index))
        if augmentation is not None:
            inputs = augmentation(inputs)
        target, weight = split_targets(net._on_device(targets_at(self.data, index)))
        return PartnerRows(inputs, target, weight)

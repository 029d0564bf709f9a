"""Losses of an epoch's minibatches, fetched from the device together unless somebody looks."""

from typing import Any

import torch
from torch import Tensor


class Losses:
    """Write losses into rows of the history.

    A loss that is fetched makes the program wait for the device, which then waits for it.

    Parameters
    ----------
    key : str
        Key in the rows, such as "train_loss".
    at_once : bool
        Whether a callback may look at the row as soon as its minibatch is over.
    """

    def __init__(self, key: str, *, at_once: bool):
        self.key = key
        self.at_once = at_once
        self._pending: list[tuple[dict[str, Any], Tensor]] = []

    def note(self, row: dict[str, Any], loss: Any) -> None:
        """Take the loss of a minibatch, a tensor of one number."""
        if self.at_once or not isinstance(loss, Tensor):
            row[self.key] = loss.item()
        else:
            self._pending.append((row, loss.detach()))

    def fetch(self) -> None:
        """Write what has been taken, as Python's numbers."""
        if not self._pending:
            return
        rows, losses = zip(*self._pending, strict=True)
        self._pending.clear()
        for row, loss in zip(
            rows, torch.stack([x.reshape(()) for x in losses]).tolist(), strict=True
        ):
            row[self.key] = loss

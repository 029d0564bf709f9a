"""Losses of an epoch's minibatches, fetched from the device together unless somebody looks."""

from itertools import chain
from typing import Any

import torch
from torch import Tensor

# Each tensor that stays among those of a step that are freed keeps the allocator from using their
# memory for the next step: of a million rows, a whole epoch's took as much as the rows.
_TOGETHER = 64


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
        self._joined: list[tuple[tuple[dict[str, Any], ...], Tensor]] = []

    def note(self, row: dict[str, Any], loss: Any) -> None:
        """Take the loss of a minibatch, a tensor of one number."""
        if self.at_once or not isinstance(loss, Tensor):
            row[self.key] = loss.item()
        else:
            self._pending.append((row, loss.detach()))
            if len(self._pending) == _TOGETHER:
                self._join()

    def _join(self) -> None:
        rows, losses = zip(*self._pending, strict=True)
        self._joined.append((rows, torch.stack([x.reshape(()) for x in losses])))
        self._pending.clear()

    def fetch(self) -> None:
        """Write what has been taken, as Python's numbers."""
        if self._pending:
            self._join()
        if not self._joined:
            return
        parts, losses = zip(*self._joined, strict=True)
        self._joined.clear()
        for row, loss in zip(chain(*parts), torch.cat(losses).tolist(), strict=True):
            row[self.key] = loss

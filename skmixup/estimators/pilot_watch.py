"""What is seen of a pilot: what it predicts for rows held out, and when it does so best."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.callbacks import Callback
from torch import Tensor

from skmixup.training.fit_state import USUAL_EPOCHS
from skmixup.training.tensor_net import MAX_PREDICTION_ROWS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
#: The loss of a row in nats, the temperature that it has it at, and the loss of each row then.
Judgement = tuple[float, float, Floats]

#: So many candidates in turn that are no better end a pilot. One may be clearly worse by chance.
PATIENCE = 2


@dataclass(frozen=True)
class Length:
    """What a pilot found.

    Attributes
    ----------
    n_epochs : int
        Epochs to train.
    temperature : float
        Of the network's logits.
    column_weights : str or None
        What the default network for tables is made with; None also where it is given.
    """

    n_epochs: int
    temperature: float
    column_weights: str | None = None


class Judge(Protocol):
    """Says how good a pilot's outputs for rows held out are."""

    #: The stratum of each row; rows of a stratum are dealt evenly.
    strata: Ints
    #: What each row counts.
    weights: Floats

    def judged(self, train: Ints, held_out: Ints) -> Ints:
        """Those of the rows held out that can be judged by; none: `train` cannot be trained on."""

    def judgement(self, pilot: Any, outputs: Tensor, held_out: Ints) -> Judgement:
        """What the outputs are worth."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a pilot's predictions for the rows held out are worth, after some epochs."""

    n_epochs: int
    temperature: float
    loss: float
    #: Of each row.
    losses: Floats
    #: What each row counts.
    weights: Floats

    @property
    def surprise(self) -> float:
        """The loss; an octave away from the usual epochs counts as half a row's bit of it."""
        octaves = np.log2(self.n_epochs / USUAL_EPOCHS)
        return float(self.loss + 0.5 * octaves**2 / len(self.losses))

    def is_worse(self, other: "Found") -> bool:
        """Whether its loss is larger by more than a standard error."""
        more = self.losses - other.losses
        mean = np.average(more, weights=self.weights)
        error = np.sqrt(np.square(self.weights * (more - mean)).sum()) / self.weights.sum()
        return bool(mean > error)


class Enough(Exception):
    """Ends a pilot's training."""


@dataclass(eq=False)
class Watch(Callback):
    """Predicts a pilot's held-out rows after each of the `candidates`, numbers of epochs.

    Of a pilot with `weighted` columns also by those of its members alone that do not weigh them.
    The pilot ends after the last, or where more does not look better.
    """

    X: Any
    judge: Judge
    held_out: Ints
    candidates: tuple[int, ...]
    weighted: bool
    found: list[Found] = field(default_factory=list)
    found_plain: list[Found] = field(default_factory=list)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Predict, and end the training if that is enough."""
        if len(net.history) not in self.candidates:
            return
        X = torch.as_tensor(self.X[self.held_out], dtype=torch.float32)
        net.set_training(False)
        with torch.no_grad(), self._of_plain_members(net.module_) as plain:
            batches = X.split(MAX_PREDICTION_ROWS)
            outputs = torch.cat([net.infer(batch).cpu().double() for batch in batches])
        if not bool(torch.isfinite(outputs).all()):  # by the epoch's last step
            raise Enough
        self.found.append(self._judged(net, outputs))
        if plain:
            self.found_plain.append(self._judged(net, torch.cat(plain)))
        if _is_over(self.found) and (not plain or _is_over(self.found_plain)):
            raise Enough

    def _judged(self, net: Any, outputs: Tensor) -> Found:
        loss, temperature, losses = self.judge.judgement(net, outputs, self.held_out)
        weights = self.judge.weights[self.held_out]
        return Found(len(net.history), temperature, loss, losses, weights)

    @contextmanager
    def _of_plain_members(self, module: Any) -> Iterator[list[Tensor]]:
        """Context that fills a list with the outputs of the members that do not weigh columns."""
        kept: list[Tensor] = []
        if not self.weighted or module.n_members == 1:
            yield kept
            return

        def keep(head: Any, inputs: Any, logits: Tensor) -> None:
            plain = module.averaged(logits[..., : module.n_members // 2])
            kept.append(plain.cpu().double())

        hook = module.head.register_forward_hook(keep)
        try:
            yield kept
        finally:
            hook.remove()


def best(found: list[Found]) -> Found:
    """The first with the least surprise."""
    return min(found, key=lambda each: each.surprise)


def _is_over(found: list[Found]) -> bool:
    """Whether enough of the last are no better."""
    return len(found) - 1 - found.index(best(found)) >= PATIENCE

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

#: So many candidates in turn that are no better end a pilot.
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

    def judged(self, train: Ints, held_out: Ints) -> Ints:
        """Those of the rows held out that can be judged by; none: `train` cannot be trained on."""

    def seen(self, pilot: Any, outputs: Tensor, held_out: Ints) -> Floats:
        """What is kept of the outputs for these rows, row by row."""

    def loss(self, seen: Floats, held_out: Ints) -> tuple[float, float]:
        """The loss of a row in nats, and the temperature that it has it at."""

    def losses(self, seen: Floats, held_out: Ints, temperature: float) -> Floats:
        """The loss of each row."""


class Enough(Exception):
    """Ends a pilot's training."""


@dataclass(eq=False)
class Watch(Callback):
    """Predicts a pilot's held-out rows after each of the `candidates`, numbers of epochs.

    Of a pilot with `weighted` columns also by those of its members alone that do not weigh them.
    The pilot ends after the last, or unless it is `patient` where more does not look better.
    """

    X: Any
    judge: Judge
    held_out: Ints
    candidates: tuple[int, ...]
    patient: bool
    weighted: bool
    seen: list[Floats] = field(default_factory=list)
    seen_plain: list[Floats] = field(default_factory=list)

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
        self.seen.append(self.judge.seen(net, outputs, self.held_out))
        last_better = best([self]).place
        if plain:
            self.seen_plain.append(self.judge.seen(net, torch.cat(plain), self.held_out))
            last_better = max(last_better, best([self], plain=True).place)
        if len(self.seen) - 1 - last_better >= PATIENCE and not self.patient:
            raise Enough

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


@dataclass(frozen=True)
class Found:
    """What pilots found."""

    length: Length
    #: Of the candidate.
    place: int
    held_out: Ints
    #: Of each row held out.
    losses: Floats


def best(watches: list[Watch], *, plain: bool = False) -> Found:
    """The best candidate, by the loss of all held-out rows together.

    An octave away from the usual number counts as half a row's bit of surprise. With `plain` by
    those members alone that do not weigh columns.
    """
    held_out = np.concatenate([watch.held_out for watch in watches])
    found = []
    kept = [watch.seen_plain if plain else watch.seen for watch in watches]
    candidates = watches[-1].candidates[: len(kept[-1])]
    for place, n_epochs in enumerate(candidates):
        seen = np.concatenate([each[place] for each in kept])
        loss, temperature = watches[0].judge.loss(seen, held_out)
        prior = 0.5 * np.log2(n_epochs / USUAL_EPOCHS) ** 2 / len(held_out)
        found.append((loss + prior, place, temperature))
    _, place, temperature = min(found)
    seen = np.concatenate([each[place] for each in kept])
    losses = watches[0].judge.losses(seen, held_out, temperature)
    return Found(Length(candidates[place], temperature), place, held_out, losses)

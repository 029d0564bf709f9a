"""What a net knows while it is fitted: made at the start of a fit, gone at its end."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from skmixup.randomness.fit import FitRandomness
from skmixup.training.precision import LossScale
from skmixup.training.schedule import LearningRate
from skmixup.training.undoing import Undoing

#: Epochs that ``max_epochs="auto"`` stands for, unless rows held out say otherwise.
USUAL_EPOCHS = 32


@dataclass(slots=True)
class FitState:
    """The state of one call of `fit` or `partial_fit`.

    Attributes
    ----------
    epochs : int or None
        Epochs of this call; None: `max_epochs`.
    temperature : float
        Of the logits of the default network for tables, which is made with it.
    column_weights : str or None
        Of the columns of the default network for tables.
    groups : array-like of shape (n,), or None
        Rows of a group are held out together.
    whole : bool
        Whether the call brings all rows, as `fit` does and `partial_fit` does not.
    randomness : FitRandomness or None
        There as soon as the module is made.
    split : tuple (key, (train, valid)), or None
        A split that was needed before the first epoch; it may be random and is not drawn again.
    has_begun : bool
        Whether the optimizer has made a step.
    undoing : Undoing or None
        Of a network that was there before the call: what it was like.
    n_complete_epochs : int
        Rows of the history whose end all callbacks have heard of.
    rate : LearningRate or None
        There while the epochs run, as are all the following.
    device : torch.device or None
        The module's; looked up once instead of at every step.
    listeners : dict of lists of functions, or None
        For what happens in every minibatch, who does anything about it. None: nobody has looked,
        and everybody is told.
    first_epoch : int
        Rows of the history before the fit, also where that was cut off and goes on.
    n_epochs : int or None
        Epochs of the whole fit.
    random_states : dict or None
        Of a fit that was cut off: what its next epoch starts from.
    augmentation : Augmentation or None
        What is done to the rows of each minibatch before they are mixed.
    loss_scale : LossScale or None
        Of gradients in float16.
    shows_outputs : bool
        Whether anybody is shown the module's output of a step in training.
    shows_clean : bool
        Whether callbacks are shown the module's output in evaluation mode, since the output in
        training belongs to other rows.
    """

    epochs: int | None = None
    temperature: float = 1.0
    column_weights: str | None = None
    groups: Any = None
    whole: bool = True
    randomness: FitRandomness | None = None
    split: tuple[Any, Any] | None = None
    has_begun: bool = False
    undoing: Undoing | None = None
    n_complete_epochs: int = 0
    rate: LearningRate | None = None
    device: torch.device | None = None
    listeners: dict[str, list[Callable[..., Any]]] | None = None
    first_epoch: int = 0
    n_epochs: int | None = None
    random_states: dict[str, Any] | None = None
    augmentation: Any = None
    loss_scale: LossScale | None = None
    shows_outputs: bool = True
    shows_clean: bool = False

    def hears(self, event: str) -> bool:
        """Whether anybody does anything about an event of every minibatch."""
        return self.listeners is None or bool(self.listeners[event])

    def end_loop(self) -> None:
        """Forget what holds while the epochs run; learning rates are at their peaks again."""
        if self.rate is not None:
            self.rate.restore()
        if self.loss_scale is not None:
            self.loss_scale.save()
        self.rate = self.device = self.listeners = self.random_states = self.loss_scale = None

    def __reduce__(self) -> Any:
        # A net that a callback pickles or copies in training does not take this along.
        return type(None), ()

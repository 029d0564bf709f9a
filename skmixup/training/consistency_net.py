"""The training step of interpolation consistency: a student, and the teacher that follows it."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from skmixup.networks.members import members_as_rows
from skmixup.training.fit_state import FitState
from skmixup.training.own_steps import OwnStep
from skmixup.training.scripted import check_averaged
from skmixup.training.vicinal_net import VicinalNet, VicinalState
from skmixup.vicinal.batch_norm import batch_statistics, single_row_statistics
from skmixup.vicinal.consistency import (
    ConsistencyDraw,
    consistency_loss,
    ramp_up,
)
from skmixup.vicinal.draw import Draw
from skmixup.vicinal.loss import first_output
from skmixup.vicinal.nested import cloned, n_rows
from skmixup.vicinal.vicinity import Vicinity


@dataclass(slots=True)
class ConsistencyState(VicinalState):
    """The state of a fit on rows with and without labels.

    Attributes
    ----------
    labeled_vicinity : Vicinity or None
        Of the labelled rows; `vicinity` is that of the others.
    step : int
        Steps of the epoch so far.
    n_steps : int
        Steps in an epoch.
    n_checked : int
        How many of these are known to have been whole.
    """

    labeled_vicinity: Vicinity | None = None
    step: int = 0
    n_steps: int = 1
    n_checked: int = 0


class ConsistencyNet(VicinalNet):
    """A net that learns from minibatches (X, y, u), where u are rows without a label.

    The average of the weights is the teacher, which predicts; the optimizer moves ``student_``.
    """

    fit_state: ClassVar[type[FitState]] = ConsistencyState

    unlabeled_weight: float
    ramp_up: float
    ema_decay: float

    def get_labeled_vicinity(self) -> Vicinity:
        """Return the vicinity of labelled rows."""
        raise NotImplementedError

    # ---- student and teacher

    def averages(self) -> bool:
        """True: the average is the teacher, also where it forgets at once."""
        return True

    def check_copies(self, module: nn.Module) -> None:
        """Raise ValueError for a module of which there can be no teacher."""
        check_averaged(module, "the teacher")

    # ---- the training step

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """One optimizer step of the student; the teacher follows it."""
        step = super().train_step(batch, **fit_params)
        state = self._fit_state_
        if state is not None:
            state.step += 1
        return step

    def draw_step(self, X: Any, unlabeled: Any = None, *, target: Tensor | None = None) -> Draw:
        """Draw for the labelled and the unlabelled rows; ask the teacher for targets."""
        state = self._fit_state_
        of_labeled, of_unlabeled = Draw(), Draw()
        if state.mixing:
            of_labeled = state.labeled_vicinity.draw(X, self._rng_, state.sites)
        if unlabeled is None:
            return of_labeled
        if state.mixing:
            of_unlabeled = state.vicinity.draw(unlabeled, self._rng_, state.sites)
        return ConsistencyDraw(
            labeled=of_labeled,
            unlabeled=of_unlabeled,
            rows=unlabeled,
            target=of_unlabeled.apply(self._teacher_probabilities(unlabeled)),
            weight=self._consistency_weight(state),
        )

    def _teacher_probabilities(self, rows: Any) -> Tensor:
        """Return q, without gradients and without dropout."""
        if not self.student_.training:
            self.student_.train()
        with self.average_shown(), torch.no_grad():
            if self.module_.training:
                self.module_.eval()
            with batch_statistics(self.module_, self.student_, n_rows(rows)):
                return self._class_probabilities(self.infer(cloned(rows)))

    def _class_probabilities(self, output: Any) -> Tensor:
        probabilities: Tensor = self._get_predict_nonlinearity()(first_output(output))
        return probabilities

    def _consistency_weight(self, state: Any) -> float:
        """Return w(t): how much the consistency loss counts in the step that begins."""
        length = self.ramp_up
        if isinstance(length, float):
            length *= self.epochs_of_call() if state.n_epochs is None else state.n_epochs
        epochs = len(self.history) - 1 + state.step / state.n_steps
        return self.unlabeled_weight * ramp_up(epochs / length if length > 0 else 1.0)

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Loss and gradients of the student."""
        if len(batch) != 2:  # with unlabelled rows, which only train_step takes
            raise self._incomplete_step()
        return super().train_step_single(batch, **fit_params)

    def step_loss(
        self, X: Any, y: Any, draw: Draw, **fit_params: Any
    ) -> tuple[Tensor, Any, Tensor | None]:
        """Vicinal loss of the labelled rows plus the weighted consistency of the unlabelled."""
        if not isinstance(draw, ConsistencyDraw):
            return super().step_loss(X, y, draw, **fit_params)
        loss, output, mixed = super().step_loss(X, y, draw.labeled, **fit_params)
        with single_row_statistics(self.module_, n_rows(draw.rows)):
            predicted, _ = self.forward_mixed(draw.rows, draw.unlabeled, **fit_params)
        p = self._class_probabilities(members_as_rows(first_output(predicted)))
        return loss + draw.weight * consistency_loss(p, draw.target), output, mixed

    # ---- the loop

    def resolve_vicinity(self) -> None:
        """Once in a fit, build both vicinities."""
        super().resolve_vicinity()
        state = self._fit_state_
        if state.labeled_vicinity is None:
            state.labeled_vicinity = self.get_labeled_vicinity().validate()

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Start counting the steps of the epoch."""
        super().on_epoch_begin(net, **kwargs)
        self._fit_state_.step = self._fit_state_.n_checked = 0

    def mixes(self) -> bool:
        """Whether training changes any row, labelled or not."""
        return self.mixes_training_rows() or super().mixes()

    def mixes_training_rows(self) -> bool:
        """Whether labelled rows, which callbacks see, are mixed in some epoch."""
        labeled = self._fit_state_.labeled_vicinity
        return not labeled.changes_nothing and self.n_mixed_epochs() > 0

    # ---- steps of the user's own

    def check_own_step(self, step: OwnStep) -> None:
        """Raise RuntimeError where a step of the user's own left out what happens here."""
        state = self._fit_state_
        if not step.whole or state.step == state.n_checked:
            raise self._incomplete_step()
        state.n_checked = state.step

    def _incomplete_step(self) -> RuntimeError:
        return RuntimeError(
            f"{type(self).__name__}.train_step trains one network on rows with and without "
            "labels, and then moves another, which predicts; a train_step or train_step_single of "
            "your own must call that of super()"
        )

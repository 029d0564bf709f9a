r"""One training step that minimises the vicinal risk.

.. math::  R_\mathrm{vic}(f) = \frac1m \sum_i ℓ(f(\tilde x_i), \tilde y_i),
           \qquad (\tilde x_i, \tilde y_i) \sim \text{vicinity of } (x_i, y_i)

(Chapelle et al. 2000, equation (5); Zhang et al. 2018, equation (1); Verma et al. 2019, equation
(1) and section 2). The random choices of a step are drawn once, then the optimizer may ask for
the loss and its gradients as often as it likes.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any, ClassVar

import torch
from skorch.utils import TeeGenerator
from torch import Tensor, nn

from skmixup.training.augmentation import AugmentingNet
from skmixup.training.batches import split_targets
from skmixup.training.clean_outputs import hands_on_outputs, look_at_outputs
from skmixup.training.fit_state import FitState
from skmixup.training.own_loss import is_users, joined_loss, plain_loss
from skmixup.training.own_steps import OwnStep, has_own_step
from skmixup.training.partner_pool import PartnerPool
from skmixup.training.precision import LossScale
from skmixup.training.several_outputs import WholeOutput, takes_all_outputs, warn_of_untrained
from skmixup.vicinal.batch_norm import single_row_statistics
from skmixup.vicinal.blocks import INPUT
from skmixup.vicinal.draw import Draw
from skmixup.vicinal.layers import (
    backward,
    mixing_at,
    prepare_for_compilation,
)
from skmixup.vicinal.loss import first_output, vicinal_loss
from skmixup.vicinal.nested import cloned, leading, n_rows
from skmixup.vicinal.recomputation import GradientsPending
from skmixup.vicinal.vicinity import Dirac, Vicinity


@dataclass(slots=True)
class VicinalState(FitState):
    """The state of a fit, with what is drawn from.

    Attributes
    ----------
    vicinity : Vicinity or None
        Built from the parameters and checked, once for the whole fit.
    sites : tuple of str, or None
        The input and the layers of the module where it may mix.
    mixing : bool
        Whether the epoch is mixed.
    pending : GradientsPending or None
        While loss and gradients are computed.
    own_step : OwnStep or None
        While a step of the user's own has a minibatch.
    loss_call : object or None
        While a `get_loss` of the user's own runs, what the plain loss needs to know.
    takes_all_outputs : bool or None
        Of a module with several outputs, whether the criterion takes all; None: not known yet.
    pool : PartnerPool or None
        The rows that are trained on, where partners come from all of them.
    told_of_outputs : bool
        Whether the user knows by now which of them are not trained.
    """

    vicinity: Vicinity | None = None
    sites: tuple[str, ...] | None = None
    mixing: bool = False
    pending: GradientsPending | None = None
    own_step: OwnStep | None = None
    loss_call: Any = None
    takes_all_outputs: bool | None = None
    pool: PartnerPool | None = None
    told_of_outputs: bool = False


class VicinalNet(AugmentingNet):
    """A skorch net whose training step draws virtual pairs from a vicinity.

    Subclasses say which vicinity with :meth:`get_vicinity`. Estimators with a richer objective
    override :meth:`draw_step` and :meth:`step_loss`.
    """

    fit_state: ClassVar[type[FitState]] = VicinalState

    def get_vicinity(self) -> Vicinity:
        """Return the vicinity to draw from, built from the parameters."""
        raise NotImplementedError

    # ---- the training step: draw, mix, loss, gradients

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Draw once, then let the optimizer run the closure as often as it likes."""
        state = self._fit_state_
        if state is None:  # a step that is taken by hand
            with self.fitting(), self.step_by_hand():
                return VicinalNet.train_step(self, batch, **fit_params)
        X, y, *others = (self._on_device(part) for part in batch)
        own = state.own_step
        if own is None:
            fit_params["draw"] = self.draw_for(X, y, *others)
        else:
            own.draw_for(X, *others)
            y = own.without_weights(y)
        accumulator = self.get_train_step_accumulator()

        def closure() -> Tensor:
            self._zero_grad_optimizer()
            # While gradients are computed, checkpointed layers are run and mixed once more.
            before, state.pending = state.pending, GradientsPending()
            try:
                step = self.train_step_single((X, y), **fit_params)
            finally:
                pending, state.pending = state.pending, before
                pending.end()
            accumulator.store_step(step)
            if state.hears("on_grad_computed"):
                with nullcontext() if own is None else own.paused():
                    self.notify(
                        "on_grad_computed",
                        named_parameters=TeeGenerator(self.get_all_learnable_params()),
                        batch=self.batch_for_callbacks(batch),
                        training=True,
                    )
            return step["loss"]

        self._step_optimizer(closure)
        return accumulator.get_step()

    def draw_for(self, X: Any, y: Any, *others: Any) -> Draw:
        """Call :meth:`draw_step`, with the targets where pairs are chosen by them."""
        state = self._fit_state_
        if state.mixing and state.vicinity.pairs_by_target:
            return self.draw_step(X, *others, target=split_targets(y)[0])
        return self.draw_step(X, *others)

    def draw_step(self, X: Any, *, target: Tensor | None = None) -> Draw:
        """Draw every random choice of one optimizer step; :meth:`step_loss` gets them."""
        state = self._fit_state_
        if not state.mixing:
            return Draw()
        given = {} if target is None else {"target": target}
        if state.vicinity.pairs_with_all:
            given["pool"] = state.pool
        draw: Draw = state.vicinity.draw(X, self._rng_, state.sites, **given)
        return draw

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Batches; what is trained on is kept in mind where partners come from all of it."""
        state = self._fit_state_
        vicinity = None if state is None else state.vicinity
        if training and vicinity is not None and vicinity.pairs_with_all:
            state.pool = PartnerPool(self, dataset)
        return super().get_iterator(dataset, training=training)

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Loss and gradients of one run of the closure."""
        if self._fit_state_ is None:  # a step that is taken by hand
            batch = [self._on_device(part) for part in batch]
            with self.fitting(), self.student_shown():
                return VicinalNet.train_step_single(self, batch, **fit_params)
        X, y = batch
        own = self._own_step()
        if own is not None:  # called by a step of the user's own, which knows of no draw
            X, own.whole = self._on_device(X), True
            with own.paused():
                return self._loss_and_gradients(
                    X, own.with_weights(y), own.draw_for(X), **fit_params
                )
        return self._loss_and_gradients(X, y, **fit_params)

    def _loss_and_gradients(
        self, X: Any, y: Any, draw: Draw | None = None, **fit_params: Any
    ) -> dict[str, Any]:
        draw = Draw() if draw is None else draw
        if not self.module_.training:
            self.set_training(True)
        loss, output, mixed = self.step_loss(X, y, draw, **fit_params)
        state = self._fit_state_
        scale = None if state is None else state.loss_scale
        (backward if scale is None else scale.backward)(loss, mixed, draw.block_gradient)
        # Averaging members costs as much as a layer; most fits have nobody who looks at it.
        looked_at = state is None or state.shows_outputs
        seen = self.output_for_callbacks(output) if looked_at else None
        return {"loss": loss.detach(), "y_pred": seen}

    def step_loss(
        self, X: Any, y: Any, draw: Any, **fit_params: Any
    ) -> tuple[Tensor, Any, Tensor | None]:
        """Return the loss of one minibatch, the module's output, and the mixed tensor.

        Parameters
        ----------
        X : Tensor of shape (n, …)
        y : Tensor, or pair of targets and weights
        draw : Draw
            What :meth:`draw_step` returned.
        """
        with single_row_statistics(self.module_, n_rows(X)):
            target, weight = split_targets(y)
            output, mixed = self.forward_mixed(X, draw, **fit_params)
            if is_users(self, "get_loss"):
                loss = joined_loss(self, self.get_loss, output, target, weight, X, draw)
                return loss, output, mixed
            criterion = self.criterion_
            if isinstance(output, tuple):
                criterion = self._criterion_for(output, target, draw)
            checked = self.check_output(output, target)
            draw = draw.converted(partial(self.loss_target, checked))
            target = self.loss_target(checked, target)
            return self.pair_loss(criterion, checked, target, draw, weight), output, mixed

    def forward_mixed(self, X: Any, draw: Draw, **fit_params: Any) -> tuple[Any, Tensor | None]:
        """Run the module on the virtual inputs; also return the mixed tensor (None: not mixed)."""
        state = self._fit_state_
        pending = None if state is None else state.pending
        if pending is not None:
            pending.n_forwards += 1
            pending.block_gradient = draw.block_gradient
        if draw.is_identity:
            return self.infer(cloned(X), **fit_params), None
        detach = draw.block_gradient == "below"
        X = draw.inputs(X)
        if draw.site == INPUT:
            if isinstance(X, Tensor):
                draw.check_input(X)
                virtual = draw.apply(X)
                return self.infer(virtual, **fit_params), virtual
            virtual = draw.apply_to_each(X)
            return self.infer(virtual, **fit_params), leading(virtual)
        with mixing_at(self.module_, draw.site, draw.apply, detach=detach, until=pending) as hook:
            output = draw.outputs(self.infer(cloned(X), **fit_params))
        mixed, hook.mixed = hook.mixed, None  # a hook that stays must not hold on to the graph
        return output, mixed

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Loss on clean rows, with the module in evaluation mode."""
        if self.module_.training:
            self.set_training(False)
        X, y = batch
        X, y = self._on_device(X), self._on_device(y)
        own = self._own_step()
        with torch.no_grad(), nullcontext() if own is None else own.paused():
            y = y if own is None else own.with_weights(y)
            loss, output, _ = self.step_loss(X, y, Draw(), **fit_params)
        return {"loss": loss, "y_pred": output}

    # ---- the loss

    def pair_loss(
        self, criterion: Any, output: Any, target: Tensor, draw: Draw, weight: Tensor | None
    ) -> Tensor:
        """Mean loss of virtual pairs."""
        return vicinal_loss(criterion, output, target, draw, weight)

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        """Loss of outputs of the module and targets; what a subclass overrides for one of its own.

        Parameters
        ----------
        y_pred : Tensor or tuple
            What the module returned. A subclass gets logits of members, (n, n_classes, k), as
            n · k rows.
        y_true : Tensor of shape (n,)
            Class codes; of mixed rows those of the row and then those of its partner.
        X : Tensor
            The rows that belong to `y_true`, before they are mixed.
        training : bool

        Returns
        -------
        Tensor of shape (), or (n,) with ``criterion__reduction="none"``
            With the weights of the minibatch inside, where it is called in training.
        """
        return plain_loss(self, y_pred, y_true)

    def check_output(self, output: Any, target: Tensor | None) -> Any:
        """Check, and where a criterion needs it convert, the module's output before the loss."""
        return output

    def loss_target(self, output: Any, target: Tensor) -> Tensor:
        """Bring targets into the form that the criterion takes."""
        return target

    def output_for_callbacks(self, output: Any) -> Any:
        """Return what callbacks see of the module's output in training."""
        return first_output(output)

    def _criterion_for(self, output: tuple[Any, ...], target: Tensor, draw: Any) -> Any:
        """Return the criterion for a module with several outputs; what is not trained is told."""
        state = self._fit_state_ or VicinalState(told_of_outputs=True)
        if state.takes_all_outputs is None:
            state.takes_all_outputs = takes_all_outputs(self.criterion_, output, target)
        if state.takes_all_outputs:
            return WholeOutput(self.criterion_, output)
        if torch.is_grad_enabled() and draw.block_gradient is None:
            if not state.told_of_outputs:
                warn_of_untrained(self.module_, output)
            state.told_of_outputs = True
        return self.criterion_

    def loss_scale(self) -> LossScale | None:
        """Return the scale of the loss; steps of the user's own do not know of it."""
        scale = super().loss_scale()
        if scale is not None and has_own_step(self, training=True):
            raise ValueError(
                f"precision={self.precision!r} is float16 on this device, whose gradients are of "
                f"a scaled loss, which the training step of {type(self).__name__} does not know; "
                "use precision='float32'"
            )
        return scale

    # ---- when to mix

    def _begin_loop(self, state: Any, epochs: int | None) -> int:
        """Resolve the vicinity and where it mixes, unless a look at the rows has done so."""
        self.resolve_vicinity()
        epochs = super()._begin_loop(state, epochs)
        changes = self.mixes_training_rows() or state.augmentation is not None
        looks = look_at_outputs(self, state.listeners["on_batch_end"])
        state.shows_clean = changes and looks
        state.shows_outputs = looks or hands_on_outputs(self)
        return epochs

    def resolve_vicinity(self) -> None:
        """Once in a fit, build the vicinity and find in the module where it mixes."""
        state = self._fit_state_
        if state.vicinity is None:
            state.vicinity = self.get_vicinity().validate()
            state.sites = state.vicinity.sites(self.module_)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Decide whether this epoch is still mixed."""
        super().on_epoch_begin(net, **kwargs)
        state = self._fit_state_
        epoch = len(self.history) - 1 - state.first_epoch
        state.mixing = epoch < self.n_mixed_epochs() and not isinstance(state.vicinity, Dirac)

    def mixes(self) -> bool:
        """Whether training changes any row, in some epoch at least."""
        return not self._fit_state_.vicinity.changes_nothing and self.n_mixed_epochs() > 0

    def mixes_training_rows(self) -> bool:
        """Whether the rows that callbacks see are among those that training changes."""
        return self.mixes()

    def n_mixed_epochs(self) -> float:
        """Return the number of epochs, from the first, that are mixed."""
        mix_epochs = getattr(self, "mix_epochs", None)
        if mix_epochs is None:
            return float("inf")
        if isinstance(mix_epochs, Integral):
            return int(mix_epochs)
        state = self._fit_state_
        n_epochs = None if state is None else state.n_epochs
        return round(mix_epochs * (self.epochs_of_call() if n_epochs is None else n_epochs))

    # ---- steps of the user's own

    def step_of(self, step_fn: Any, training: bool) -> Any:
        """Return what takes the steps of an epoch; one of the user's own is looked after."""
        if not has_own_step(self, training):
            return super().step_of(step_fn, training)

        def step(batch: Any, **fit_params: Any) -> Any:
            return OwnStep(self, batch, training).run(step_fn, fit_params)

        return super().step_of(step, training)

    def _own_step(self) -> OwnStep | None:
        state = self._fit_state_
        return None if state is None else state.own_step

    def check_own_step(self, step: OwnStep) -> None:
        """Raise RuntimeError where a step of the user's own went past the vicinity."""
        step.check()

    # ---- compiled modules

    def torch_compile(self, module: nn.Module, name: str) -> Any:
        """Compile where ``compile=True``, with the hooks that mix at hidden layers in place."""
        if self.compile and name in ("module", "student"):
            vicinity = self.get_vicinity()
            if any(getattr(v, "block_gradient", None) == "above" for v in vicinity.members()):
                raise ValueError(
                    "block_gradient='above' needs the gradient at the mixed layer, which compiled "
                    "code does not give; got compile=True; use compile=False, or block_gradient "
                    "None or 'below'"
                )
            prepare_for_compilation(module, vicinity.sites(module))
        return super().torch_compile(module, name)

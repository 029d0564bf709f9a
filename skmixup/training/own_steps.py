"""Training steps of the user's own: skorch's methods, overridden, on rows that are mixed.

skorch documents `train_step`, `train_step_single` and `validation_step` as what a subclass may
override with calls of `infer` and `get_loss`. These know of no draw. So while a step of the user's
own runs, ``self.infer`` mixes the rows it is given and ``self.get_loss`` joins the losses of both
labels; the methods of this package in turn find the draw that belongs to their rows.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from skmixup.training.own_loss import LossCall, is_users, joined_loss, plain_loss
from skmixup.vicinal.batch_norm import single_row_statistics
from skmixup.vicinal.draw import Draw
from skmixup.vicinal.nested import n_rows
from skmixup.vicinal.recomputation import GradientsPending


def has_own_step(net: Any, training: bool) -> bool:
    """Whether a step is the user's own; asked once an epoch."""
    names = ("train_step", "train_step_single") if training else ("validation_step",)
    return any(is_users(net, name) for name in names)


class OwnStep:
    """One minibatch in the hands of a step of the user's own.

    Parameters
    ----------
    net : VicinalNet
    batch : tuple
        As it comes; weights are kept here, the step sees inputs and targets only.
    training : bool

    Attributes
    ----------
    whole : bool
        Whether a step of this package has had the rows.
    """

    def __init__(self, net: Any, batch: Any, training: bool):
        self.net = net
        self.training = training
        self.weight: Tensor | None = None
        self.batch = batch
        if isinstance(batch, (tuple, list)) and len(batch) == 2:
            self.batch = batch[0], self.without_weights(batch[1])
        self.draws: dict[int, Any] = {}
        self.inferred = self.asked_for_loss = False
        self.whole = False
        self._shadowed: dict[str, Any] | None = None

    def without_weights(self, y: Any) -> Any:
        """Keep the weights that `y` may bring; return the targets."""
        target, weight = self.net.split_on_device(y)
        self.weight = self.weight if weight is None else weight
        return target

    def with_weights(self, y: Any) -> Any:
        """Put the weights back beside targets."""
        target, weight = self.net.split_on_device(y)
        weight = self.weight if weight is None else weight
        if weight is None:
            return target
        if len(weight) != len(target):
            raise ValueError(
                f"a step with {len(target)} of the {len(weight)} rows of a minibatch does not say "
                "which weights are theirs; pass on all rows, or do without sample_weight and "
                "class_weight"
            )
        return target, weight

    def run(self, step: Any, fit_params: dict[str, Any]) -> Any:
        """Let the user's step have the batch."""
        if self.net.module_.training != self.training:
            self.net.set_training(self.training)
        state = self.net._fit_state_
        state.own_step, state.pending = self, GradientsPending()
        pending = state.pending
        try:
            with self._armed():
                result = step(self.batch, **fit_params)
        finally:
            state.own_step = state.pending = None
            pending.end()
        if self.training:
            self.net.check_own_step(self)
        return result

    # ---- infer and get_loss, while the step runs

    @contextmanager
    def _armed(self) -> Iterator[None]:
        """Put this object's methods in front of the net's."""
        attributes = self.net.__dict__
        self._shadowed = {n: attributes[n] for n in ("infer", "get_loss") if n in attributes}
        attributes.update(infer=self.infer, get_loss=self.get_loss)
        try:
            yield
        finally:
            for name in ("infer", "get_loss"):
                attributes.pop(name, None)
            attributes.update(self._shadowed)
            self._shadowed = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The net's own methods again, for what knows of draws and for callbacks."""
        if self._shadowed is None:
            yield
            return
        attributes, shadowed = self.net.__dict__, self._shadowed
        for name in ("infer", "get_loss"):
            del attributes[name]
        attributes.update(shadowed)
        self._shadowed = None
        try:
            yield
        finally:
            attributes.update(infer=self.infer, get_loss=self.get_loss)
            self._shadowed = shadowed

    def draw_for(self, X: Any, *others: Any) -> Any:
        """Return the draw of the step for rows `X`: one for all inputs of as many rows."""
        n = n_rows(X)
        if n not in self.draws:
            self.draws[n] = self.net.draw_for(X, self.batch[1], *others)
        return self.draws[n]

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Run the module on virtual rows in training, on the rows themselves elsewhere."""
        net = self.net
        with self.paused():
            if not (self.training and torch.is_grad_enabled() and net.module_.training):
                return net.infer(x, **fit_params)
            x = net._on_device(x)
            draw = self.draw_for(x)
            if getattr(draw, "block_gradient", None) == "above":
                raise ValueError(
                    "block_gradient='above' needs to compute the gradients itself, which "
                    f"train_step_single of {type(net).__name__} does; call "
                    "super().train_step_single, or use block_gradient None or 'below'"
                )
            with single_row_statistics(net.module_, n_rows(x)):
                output, _ = net.forward_mixed(x, draw, **fit_params)
            self.inferred = True
            return output

    def get_loss(
        self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False, **kwargs: Any
    ) -> Tensor:
        """Loss of what :meth:`infer` returned; of mixed rows, with both labels."""
        net = self.net
        with self.paused():
            self.asked_for_loss = True
            y_true = self.with_weights(y_true)
            target, weight = net.split_on_device(y_true)
            draw = Draw()
            if self.training and torch.is_grad_enabled():
                draw = self.draws.get(len(target), draw)
            if is_users(net, "get_loss"):
                X = None if X is None else net._on_device(X)
                theirs = partial(net.get_loss, **kwargs)
                return joined_loss(net, theirs, y_pred, target, weight, X, draw, training)
            state = net._fit_state_
            state.loss_call = LossCall(weight, draw)
            try:
                return plain_loss(net, y_pred, target)
            finally:
                state.loss_call = None

    def check(self) -> None:
        """Raise RuntimeError where rows or labels have not been mixed although they should be."""
        if not self.net._fit_state_.mixing or self.whole:
            return
        name = type(self.net).__name__
        if not self.inferred:
            raise RuntimeError(
                f"the training step of {name} runs the module without self.infer, so that its "
                "rows are not mixed; call self.infer(X), or turn mixing off with mix_epochs=0"
            )
        if any(draw.lam is not None for draw in self.draws.values()) and not self.asked_for_loss:
            raise RuntimeError(
                f"the training step of {name} computes its loss without self.get_loss: rows are "
                "mixed and their labels would not be. Call self.get_loss(y_pred, y_true, X=X, "
                "training=True), or turn mixing off with mix_epochs=0"
            )

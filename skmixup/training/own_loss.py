"""A `get_loss` of the user's own, on rows that are mixed: called for both labels of the pairs."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from skmixup.networks.members import members_as_rows
from skmixup.vicinal.draw import Draw, PartnerRows
from skmixup.vicinal.loss import vicinal_loss, vicinal_losses
from skmixup.vicinal.nested import n_rows, take


def is_users(net: Any, name: str) -> bool:
    """Whether a method is the user's own: set on `net`, or defined outside of this package."""
    return name in net.__dict__ or _is_from_outside(getattr(type(net), name))


def _is_from_outside(function: Any) -> bool:
    module = getattr(function, "__module__", None) or ""
    return hasattr(function, "__wrapped__") or not f"{module}.".startswith("skmixup.")


@dataclass
class LossCall:
    """What the plain loss needs to know while a `get_loss` runs: weights, and maybe pairs."""

    weight: Tensor | None
    draw: Draw = field(default_factory=Draw)
    used: bool = False
    losses: list[Tensor] = field(default_factory=list)
    repeated: bool = False

    def loss(self, net: Any, output: Any, target: Tensor) -> Tensor:
        if self.repeated:  # the values of the first time, in the same order
            nothing = torch.tensor(torch.nan, device=target.device)
            return self.losses.pop(0) if self.losses else nothing
        self.used = True
        expected = self.draw.partner if self.weight is None else self.weight
        if expected is not None and len(expected) != len(target):
            raise ValueError(
                f"get_loss was called with {len(target)} targets in a minibatch of "
                f"{len(expected)} rows that has weights or is mixed; pass all of them"
            )
        draw = self.draw.converted(partial(net.loss_target, output))
        loss = _reduced(net, output, target, draw, self.weight)
        self.losses.append(loss.detach().clone())  # get_loss may add to it in place
        return loss


def plain_loss(net: Any, y_pred: Any, y_true: Any) -> Tensor:
    """What ``NeuralNet.get_loss`` returns: the criterion, with the weights of the minibatch."""
    target, weight = net.split_on_device(y_true)
    output = net.check_output(y_pred, target)
    target = net.loss_target(output, target)
    state = net._fit_state_
    call = None if state is None else state.loss_call
    if call is None:
        return _reduced(net, output, target, Draw(), weight)
    return call.loss(net, output, target)


def _reduced(net: Any, output: Any, target: Tensor, draw: Draw, weight: Tensor | None) -> Tensor:
    if getattr(net.criterion_, "reduction", None) == "none":
        return vicinal_losses(net.criterion_, output, target, draw, weight)
    return vicinal_loss(net.criterion_, output, target, draw, weight)


def joined_loss(
    net: Any,
    get_loss: Callable[..., Tensor],
    output: Any,
    target: Tensor,
    weight: Tensor | None,
    X: Any,
    draw: Draw,
    training: bool | None = None,
) -> Tensor:
    r"""Loss of a minibatch from a `get_loss` that knows nothing of mixing.

    .. math::  λ\, L(z, y_i, x_i) + (1 − λ)\, L(z, y_j, x_j)

    where z is the output for the mixed rows, in which the plain loss weighs y_i by w_i and y_j by
    w_j. What does not depend on the label, such as a penalty, counts once. With a λ for each pair
    this needs losses of shape (n,), or a `get_loss` that leaves all of y_true to the plain loss,
    which knows the pairs.

    Parameters
    ----------
    net : VicinalNet
    get_loss : callable
        ``get_loss(y_pred, y_true, X=X, training=training)``, as skorch calls it.
    output : Tensor or tuple
        The module's. Logits of members, shape (n, C, k), become n · k rows.
    target, weight, X
        Of the rows before mixing.
    draw : Draw
    training : bool, optional
        Default: whether gradients are computed.
    """
    if isinstance(output, Tensor) and output.ndim == 3 and target.ndim < 3:
        k = output.shape[2]
        output = members_as_rows(output)
        target, weight, X, draw = _repeated(target, weight, X, draw, k)
    training = torch.is_grad_enabled() if training is None else training
    rows = _Rows(net, get_loss, output, target, weight, X, training)
    lam = draw.lam
    if lam is None or draw.partner is None:
        return rows.loss().mean()
    if lam.ndim == 0:
        # y_j first: what get_loss writes into the history is then of the rows' own labels.
        other = rows.loss(draw)
        return torch.lerp(other, loss := rows.loss(), lam.to(loss.dtype)).mean()
    call = LossCall(weight, draw)
    loss = rows.loss(call=call)
    if loss.ndim and loss.numel() == len(target) and not call.used:
        return torch.lerp(rows.loss(draw), loss, lam.to(loss.dtype)).mean()
    again = rows.loss(draw, replace(call, losses=list(call.losses), repeated=True))
    if not call.used or not torch.equal(loss.nan_to_num(), again.nan_to_num()):
        raise ValueError(_own_use_of_labels(net))
    return loss.mean()


@dataclass
class _Rows:
    """A minibatch whose loss a `get_loss` of the user's own computes."""

    net: Any
    get_loss: Callable[..., Tensor]
    output: Any
    target: Tensor
    weight: Tensor | None
    X: Any
    training: bool

    def loss(self, draw: Draw | None = None, call: LossCall | None = None) -> Tensor:
        """Loss of the outputs with the targets of the rows, or with those of their partners."""
        y, x, weight = self.target, self.X, self.weight
        if draw is not None:
            y, weight = draw.theirs(y, "target"), draw.theirs(weight, "weight")
            if x is not None and n_rows(x) == len(self.target):
                x = draw.theirs(x, "inputs")
        call = LossCall(weight) if call is None else call
        with self.net.fitting() as state:  # a step taken by hand has none
            state.loss_call = call
            try:
                loss = self.get_loss(self.output, y, X=x, training=self.training)
            finally:
                state.loss_call = None
        return loss if call.used or call.repeated else _weighted(self.net, loss, call.weight)


def _repeated(
    target: Tensor, weight: Tensor | None, X: Any, draw: Draw, k: int
) -> tuple[Tensor, Tensor | None, Any, Draw]:
    """Rows as often as there are members, those of one row after another."""
    outside = draw.outside
    if outside is not None:
        target_, weight_, inputs_, _ = _repeated(
            outside.target, outside.weight, outside.inputs, Draw(), k
        )
        outside = PartnerRows(inputs_, target_, weight_)
    rows = torch.arange(len(target), device=target.device).repeat_interleave(k)
    lam, partner = draw.lam, draw.partner
    if partner is not None:
        member = torch.arange(k, device=target.device).repeat(len(target))
        partner = partner[rows] * k + member
    lam = lam[rows] if lam is not None and lam.ndim else lam
    weight = None if weight is None else weight[rows]
    X = take(X, rows) if X is not None and n_rows(X) == len(target) else X
    return target[rows], weight, X, Draw(lam=lam, partner=partner, outside=outside)


def _weighted(net: Any, loss: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return loss
    if loss.ndim == 0 or loss.numel() != len(weight):
        raise TypeError(
            f"get_loss of {type(net).__name__} returns one number and does not call "
            "super().get_loss, so that sample_weight and class_weight would have no effect; call "
            "super().get_loss, or return the loss of each row, of shape (n,)"
        )
    return weight * loss.flatten()


def _own_use_of_labels(net: Any) -> str:
    return (
        f"get_loss of {type(net).__name__} uses y_true itself and returns one number, but with "
        "mix_per='sample' each pair has its own λ. Use mix_per='batch'; or call "
        "super().get_loss(output, y_true) for each part that depends on y_true; or return the "
        "loss of each row, of shape (n,)"
    )

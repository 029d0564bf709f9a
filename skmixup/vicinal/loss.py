"""The vicinal loss: the criterion on mixed labels, with weights inside the sum."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from skmixup.networks.members import member_log_probabilities, members_as_rows
from skmixup.vicinal.blocks import unwrap
from skmixup.vicinal.draw import Draw


def vicinal_loss(
    criterion: Any,
    output: Any,
    target: Tensor,
    draw: Draw,
    weight: Tensor | None = None,
) -> Tensor:
    r"""Mean loss of the virtual pairs of one minibatch.

    .. math::  \frac1n \sum_i λ_i w_i\, ℓ(z_i, y_i) + (1 − λ_i)\, w_j\, ℓ(z_i, y_j)

    For cross-entropy, which is linear in the label, this is the cross-entropy of the mixed label
    λ y_i + (1 − λ) y_j, also with class weights and label smoothing. The shortcut
    λ·CE(y_i) + (1 − λ)·CE(y_j) on averaged losses is not, because each average is divided by its
    own sum of weights.

    Parameters
    ----------
    criterion : callable
        Loss of torch's form ``criterion(output, target)``. If it has an attribute ``reduction``,
        that is set to "none" to get the losses ℓ of the rows; then "mean" divides their sum by n,
        "sum" does not divide. A criterion without it, which returns one number, is called for the
        labels y_i and for y_j, and λ joins the two numbers; that needs one λ for the minibatch and
        no weights.
    output : Tensor of shape (n, …) or tuple
        What the module returned; of a tuple, the first element counts (skorch's convention).
        Logits of shape (n, C, k) are those of k networks that are trained at once: the loss is the
        mean of theirs. The criterion sees them as n · k rows of C logits.
    target : Tensor of shape (n,) or (n, …)
        Unmixed targets: class codes, for cross-entropy also probabilities (n, C), or real values.
    draw : Draw
    weight : Tensor of shape (n,), optional
        Weight of each row.

    Returns
    -------
    Tensor of shape ()

    Raises
    ------
    TypeError
        If losses of rows are needed and the criterion returns one number, or if its losses have
        another shape than the rows.

    Notes
    -----
    A label that is the criterion's ``ignore_index`` adds nothing to the sum, and the mean is over
    the rows with another label, as in torch.

    References
    ----------
    Chapelle, Weston, Bottou, Vapnik: Vicinal risk minimization. NIPS 13 (2000). Zhang, Cissé,
    Dauphin, Lopez-Paz: mixup. ICLR 2018, arXiv:1710.09412, section 2: the empirical vicinal risk,
    here of one minibatch.
    """
    output = first_output(output)
    criterion = unwrap(criterion) if isinstance(criterion, nn.Module) else criterion
    if type(criterion) is nn.CrossEntropyLoss and output.ndim in (2, 3):
        soft = target.ndim == 2 and target.is_floating_point()
        if target.ndim == 1 or (soft and target.shape == output.shape[:2]):
            return _cross_entropy(criterion, output, target, draw, weight)
    loss = vicinal_losses(criterion, output, target, draw, weight)
    if getattr(criterion, "reduction", None) == "sum" or loss.ndim == 0:
        return loss.sum()
    ignored = _ignored_class(criterion, target)
    return loss.mean() if ignored is None else loss.sum() / _n_kept(target, ignored)


def vicinal_losses(
    criterion: Any,
    output: Tensor,
    target: Tensor,
    draw: Draw,
    weight: Tensor | None = None,
) -> Tensor:
    """Loss of each virtual pair, shape (n,): what :func:`vicinal_loss` is the mean of.

    Shape () for a criterion that returns one number.
    """
    loss = row_losses(criterion, output, target)
    pairs = draw.lam is not None and draw.partner is not None
    if loss.ndim == 0 and (weight is not None or (pairs and draw.lam.ndim)):  # type: ignore[union-attr]
        raise TypeError(needs_row_losses(criterion))
    if weight is not None:
        loss = weight * loss
    if pairs:
        other = row_losses(criterion, output, draw.theirs(target, "target"))
        if weight is not None:
            other = draw.theirs(weight, "weight") * other
        # other + λ·(loss − other): the sum above, in one operation.
        loss = torch.lerp(other, loss, draw.lam.to(loss.dtype))  # type: ignore[union-attr]
    return loss


def mixed_target_loss(
    criterion: Any,
    output: Any,
    target: Tensor,
    draw: Draw,
    weight: Tensor | None = None,
) -> Tensor:
    r"""Mean loss of virtual pairs whose targets are real values: the targets are mixed.

    .. math::  \frac1n \sum_i \tilde w_i\, ℓ(z_i, \tilde y_i), \quad
               \tilde w_i = λ w_i + (1 − λ) w_j, \quad
               \tilde y_i = \frac{λ w_i y_i + (1 − λ) w_j y_j}{\tilde w_i}

    Without weights that is the mixed target λ y_i + (1 − λ) y_j of the papers. With them, and for
    squared error, it has the gradient of λ w_i ℓ(z_i, y_i) + (1 − λ) w_j ℓ(z_i, y_j).

    Parameters
    ----------
    criterion, output, target, draw, weight
        As in :func:`vicinal_loss`; `target` of shape (n, n_targets).
    """
    if draw.lam is not None and draw.partner is not None:
        lam = draw.lam.to(target.dtype)
        other = draw.theirs(target, "target")
        if weight is not None:
            own, theirs = lam * weight, (1 - lam) * draw.theirs(weight, "weight")
            weight = own + theirs
            # of two rows without weight neither counts
            lam = torch.where(weight > 0, own / weight.clamp(min=torch.finfo(own.dtype).tiny), 1.0)
        target = torch.lerp(other, target, lam.unsqueeze(1) if lam.ndim else lam)
    return vicinal_loss(criterion, output, target, Draw(), weight)


def needs_row_losses(criterion: Any) -> str:
    """Say why a criterion that returns one number will not do."""
    return (
        f"criterion {name_of(criterion)} returns one number for a minibatch, but weights and "
        "mix_per='sample' need the loss of each row. Give it an attribute `reduction` that, set "
        "to 'none', makes it return a loss of shape (n,), as torch's losses do; or use "
        "mix_per='batch' without sample_weight and class_weight"
    )


def name_of(criterion: Any) -> str:
    """Name of a criterion, which may be a function, for messages."""
    return getattr(criterion, "__name__", None) or type(criterion).__name__


def _cross_entropy(
    criterion: nn.CrossEntropyLoss,
    logits: Tensor,
    target: Tensor,
    draw: Draw,
    weight: Tensor | None,
) -> Tensor:
    """:func:`vicinal_loss` from one logarithm of the softmax, the weights within the targets."""
    n_rows, n_classes = logits.shape[:2]
    # The factor −1 or −1/n of the sum is in the targets already, where it costs nothing.
    factor = -1.0 if criterion.reduction == "sum" else -1 / n_rows
    dtype = torch.promote_types(logits.dtype, torch.float32)
    ignored = criterion.ignore_index if target.ndim == 1 else -1

    def weighted(target: Tensor, weight: Tensor | None) -> Tensor:
        if target.ndim == 1:
            identity = _scaled_identity(n_classes, factor, dtype, logits.device, ignored)
            soft = identity.index_select(0, target)
        else:
            soft = factor * target.to(dtype)
        return soft if weight is None else weight.to(dtype).unsqueeze(1) * soft

    soft = weighted(target, weight)
    if draw.lam is not None and draw.partner is not None:
        lam = draw.lam.to(dtype)
        if draw.outside is None:
            other = soft.index_select(0, draw.partner)
        else:
            other = weighted(draw.outside.target, draw.outside.weight)
        soft = torch.lerp(other, soft, lam.unsqueeze(1) if lam.ndim else lam)
    smoothing = criterion.label_smoothing
    if smoothing > 0:
        # Linear in the weighted label, as the rest is: (1 − ε) y + ε/C for each label.
        spread = smoothing / n_classes * soft.sum(dim=1, keepdim=True)
        soft = (1 - smoothing) * soft + spread
    if criterion.weight is not None:
        soft = soft * criterion.weight.to(dtype)
    if logits.ndim == 3:
        of_members, axis = member_log_probabilities(logits, dtype)
        log_probabilities = of_members.mean(dim=axis)
    else:
        log_probabilities = torch.log_softmax(logits, dim=1, dtype=dtype)
    loss = torch.dot(soft.flatten(), log_probabilities.flatten())
    if 0 <= ignored < n_classes and criterion.reduction != "sum":
        loss = loss * (n_rows / _n_kept(target, ignored))
    return loss


@lru_cache(maxsize=8)
def _scaled_identity(
    n: int, factor: float, dtype: torch.dtype, device: torch.device, ignored: int
) -> Tensor:
    labels = factor * torch.eye(n, dtype=dtype, device=device)
    if 0 <= ignored < n:
        labels[ignored] = 0
    return labels


def _ignored_class(criterion: Any, target: Tensor) -> int | None:
    """Return the class code that the criterion leaves out, if it has one."""
    ignored = getattr(criterion, "ignore_index", None)
    codes = target.ndim == 1 and not target.is_floating_point()
    return ignored if codes and isinstance(ignored, int) and ignored >= 0 else None


def _n_kept(target: Tensor, ignored: int) -> Tensor:
    """Count the rows whose label is not ignored; at least 1, so that no loss is 0/0."""
    return (target != ignored).sum().clamp(min=1)


def row_losses(criterion: Any, output: Tensor, target: Tensor) -> Tensor:
    """Loss of each row, shape (n,), whatever reduction `criterion` is set to.

    Shape () for a criterion that returns one number, reduced in the criterion's own way.

    Raises
    ------
    TypeError
        If the loss has another shape.
    """
    n_rows, n_members = len(output), 1
    if output.ndim == 3 and target.ndim < 3:
        n_members = output.shape[2]
        output, target = members_as_rows(output), target.repeat_interleave(n_members, dim=0)
    reduction = getattr(criterion, "reduction", None)
    if isinstance(reduction, str):
        criterion.reduction = "none"
    try:
        loss = criterion(output, target)
    finally:
        if isinstance(reduction, str):
            criterion.reduction = reduction
    if loss.ndim > 1:
        inner = loss.flatten(1)
        loss = inner.sum(dim=1) if reduction == "sum" else inner.mean(dim=1)
    if loss.ndim == 0 and len(output) > 1:
        return loss
    if loss.numel() != len(output):
        raise TypeError(
            f"criterion {name_of(criterion)} returned a loss of shape {tuple(loss.shape)} "
            f"with reduction='none'; {len(output)} rows need shape ({len(output)},)"
        )
    return loss.view(n_rows, n_members).mean(dim=1) if n_members > 1 else loss.view(n_rows)


def first_output(output: Any) -> Any:
    """Return the first element where a module returns a tuple, as skorch does."""
    return output[0] if isinstance(output, tuple) else output

"""The vicinal loss: the criterion on mixed labels, with weights inside the sum."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from skmixup.vicinal.blocks import unwrap
from skmixup.vicinal.draw import Draw


def vicinal_loss(
    criterion: nn.Module,
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
    criterion : nn.Module
        Loss of torch's form ``criterion(output, target)`` whose attribute ``reduction`` can be set
        to "none"; "mean" divides the sum by n, "sum" does not divide.
    output : Tensor of shape (n, …) or tuple
        What the module returned; of a tuple, the first element counts (skorch's convention).
        Logits of shape (n, C, k), with targets of shape (n,), are those of k networks that are
        trained at once: the loss is the mean of theirs.
    target : Tensor of shape (n,) or (n, …)
        Unmixed targets: class codes, or real values.
    draw : Draw
    weight : Tensor of shape (n,), optional
        Weight of each row.

    Returns
    -------
    Tensor of shape ()
    """
    output = first_output(output)
    criterion = unwrap(criterion)
    if type(criterion) is nn.CrossEntropyLoss and output.ndim in (2, 3) and target.ndim == 1:
        return _cross_entropy(criterion, output, target, draw, weight)
    loss = row_losses(criterion, output, target)
    if weight is not None:
        loss = weight * loss
    if draw.lam is not None and draw.partner is not None:
        other = row_losses(criterion, output, target[draw.partner])
        if weight is not None:
            other = weight[draw.partner] * other
        # other + λ·(loss − other): the sum above, in one operation.
        loss = torch.lerp(other, loss, draw.lam.to(loss.dtype))
    return loss.sum() if criterion.reduction == "sum" else loss.mean()


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
    soft = _scaled_identity(n_classes, factor, dtype, logits.device).index_select(0, target)
    if weight is not None:
        soft = weight.to(dtype).unsqueeze(1) * soft
    if draw.lam is not None and draw.partner is not None:
        lam = draw.lam.to(dtype)
        other = soft.index_select(0, draw.partner)
        soft = torch.lerp(other, soft, lam.unsqueeze(1) if lam.ndim else lam)
    smoothing = criterion.label_smoothing
    if smoothing > 0:
        # Linear in the weighted label, as the rest is: (1 − ε) y + ε/C for each label.
        spread = smoothing / n_classes * soft.sum(dim=1, keepdim=True)
        soft = (1 - smoothing) * soft + spread
    if criterion.weight is not None:
        soft = soft * criterion.weight.to(dtype)
    log_probabilities = torch.log_softmax(logits, dim=1, dtype=dtype)
    if logits.ndim == 3:
        log_probabilities = log_probabilities.mean(dim=2)
    return torch.dot(soft.view(-1), log_probabilities.flatten())


@lru_cache(maxsize=8)
def _scaled_identity(n: int, factor: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    return factor * torch.eye(n, dtype=dtype, device=device)


def row_losses(criterion: Any, output: Tensor, target: Tensor) -> Tensor:
    """Loss of each row, shape (n,), whatever reduction `criterion` is set to.

    Raises
    ------
    TypeError
        If the criterion cannot return one loss per row.
    """
    reduction = getattr(criterion, "reduction", None)
    if reduction is None:
        raise TypeError(
            f"criterion {type(criterion).__name__} has no attribute `reduction`, so it cannot "
            "return one loss per row, which mixing and weights need; use a torch loss such as "
            "torch.nn.CrossEntropyLoss"
        )
    if output.ndim == 3 and target.ndim == 1:  # k networks: each has the same target
        target = target.unsqueeze(1).expand(-1, output.shape[2])
    criterion.reduction = "none"
    try:
        loss = criterion(output, target)
    finally:
        criterion.reduction = reduction
    if loss.ndim > 1:
        loss = loss.flatten(1).mean(dim=1)
    if loss.shape != output.shape[:1]:
        raise TypeError(
            f"criterion {type(criterion).__name__} returned a loss of shape {tuple(loss.shape)} "
            f"with reduction='none'; {len(output)} rows need shape ({len(output)},)"
        )
    return loss


def first_output(output: Any) -> Any:
    """Return the first element where a module returns a tuple, as skorch does."""
    return output[0] if isinstance(output, tuple) else output

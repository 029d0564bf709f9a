"""Training that diverges: losses or weights that are no longer finite end it with an error."""

from collections.abc import Iterator
from math import isfinite
from typing import Any

import torch
from torch import nn


class DivergenceError(ValueError):
    """Training has run into losses or weights that are infinite or not a number.

    A ValueError, as scikit-learn's MLPClassifier raises: a search scores the setting as
    `error_score` and goes on.
    """


def check_losses(net: Any, batches: list[dict[str, Any]]) -> None:
    """Raise DivergenceError unless all training losses of an epoch are finite."""
    losses = [batch.get("train_loss", 0.0) for batch in batches]
    if isfinite(sum(losses)):
        return
    number, loss = next(
        ((i, loss) for i, loss in enumerate(losses, 1) if not isfinite(loss)),
        (len(losses), sum(losses)),
    )
    what = f"the loss of minibatch {number} of {len(losses)} is {loss}"
    raise DivergenceError(_message(net, what))


def check_weights(net: Any) -> None:
    """Raise DivergenceError unless all trained parameters are finite, after the last step.

    So are the statistics of normalisations, which one wild row makes infinite while the losses
    stay finite: every prediction would then be the same.
    """
    for name, parameter in net.get_all_learnable_params():
        if parameter.requires_grad and not bool(torch.isfinite(parameter.detach()).all()):
            raise DivergenceError(_message(net, f"the parameter {name} is no longer finite"))
    for network in net.networks():
        for name, value in _statistics(network):
            if not bool(torch.isfinite(value).all()):
                raise DivergenceError(_message(net, f"the statistic {name} is no longer finite"))


def _statistics(network: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Running means and variances, with their names."""
    for name, value in network.named_buffers():
        if name.endswith(("running_mean", "running_var")):  # torch's name in all normalisations
            yield name, value


def check_outputs(net: Any, outputs: torch.Tensor) -> None:
    """Raise ValueError where the module's outputs are not numbers."""
    missing = torch.isnan(outputs)
    if bool(missing.any()):
        n_missing = int(missing.flatten(1).any(dim=1).sum()) if outputs.ndim > 1 else missing.sum()
        raise ValueError(
            f"the module returns nan for {n_missing} of {len(outputs)} rows: training has "
            "diverged, or a data set holds nan. Fit again, with a smaller lr for instance "
            f"(lr={net.lr!r})"
        )


def _message(net: Any, what: str) -> str:
    return (
        f"training diverged in epoch {len(net.history)}: {what}. The learning rate may be too "
        f"large (lr={net.lr!r}), the inputs far from a scale of 1, or NaN in a data set of yours, "
        "or the criterion may take another kind of output than the module returns; gradients can "
        "be clipped with the callback skorch.callbacks.GradientNormClipping"
    )

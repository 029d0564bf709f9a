"""The Gaussian likelihood of targets: a network gives a mean and a variance for each."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def as_columns(part: Any) -> Any:
    """Give means or variances of one target, shape (n,), their second axis."""
    return part.unsqueeze(1) if isinstance(part, Tensor) and part.ndim == 1 else part


class GaussianLikelihood(nn.GaussianNLLLoss):
    """torch's GaussianNLLLoss as a criterion of output and target.

    The output is a tuple of means and variances, each of shape (n, n_targets), or one tensor of
    shape (n, 2 · n_targets): the means, then what the softplus makes variances of.
    """

    def forward(self, output: Any, target: Tensor) -> Tensor:  # type: ignore[override]
        """Return the negative log-likelihood, reduced as `reduction` says."""
        if isinstance(output, tuple):
            mean, variance = map(as_columns, output[:2])
        else:
            mean, rest = output.split(target.shape[1], dim=1)
            variance = F.softplus(rest)
        return super().forward(mean, target, variance)


def is_gaussian(criterion: Any) -> bool:
    """Whether the parameter `criterion`, a class, an instance or a function, is torch's."""
    return (
        criterion in (nn.GaussianNLLLoss, F.gaussian_nll_loss)
        or type(criterion) is nn.GaussianNLLLoss
    )


def of_output(criterion: Any) -> Any:
    """Return torch's GaussianNLLLoss as one of output and target; any other criterion as it is."""
    if type(criterion) is not nn.GaussianNLLLoss:
        return criterion
    options = {name: getattr(criterion, name) for name in ("full", "eps", "reduction")}
    return GaussianLikelihood(**options)


def means(outputs: Tensor, n_targets: int) -> Tensor:
    """Return the means among outputs of shape (n, n_targets) or (n, 2 · n_targets)."""
    return outputs if outputs.ndim == 1 else outputs[:, :n_targets]


def check_gaussian_output(output: Any, n_targets: int) -> None:
    """Raise ValueError unless a module returns means and variances."""
    if isinstance(output, tuple):
        parts = [part for part in output[:2] if isinstance(part, torch.Tensor)]
        if len(parts) == 2 and all(part.shape[1:2] == (n_targets,) for part in parts):
            return
        got = ", ".join(str(tuple(part.shape)) for part in parts) or "no tensors"
        got = f"a tuple of {got}"
    else:
        if isinstance(output, Tensor) and output.shape[1:2] == (2 * n_targets,):
            return
        got = str(tuple(getattr(output, "shape", ()))) or type(output).__name__
    raise ValueError(
        "criterion GaussianNLLLoss needs a mean and a variance for each target: the module must "
        f"return shape (n, {2 * n_targets}), of which the softplus makes the second half "
        f"variances, or a tuple of means and variances, (n, {n_targets}) each; got {got}"
    )

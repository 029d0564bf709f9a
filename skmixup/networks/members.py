"""Many networks in one: members share all weights but two small sets, and predict together."""

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MemberInputs(nn.Module):
    """Give each member its own view of the input: columns times weights of the member's own.

    Parameters
    ----------
    n_features, n_members : int

    Shape
    -----
    Input (n, n_features), output (n, n_members, n_features).

    Attributes
    ----------
    weight : Parameter of shape (n_members, n_features)
        Random signs at the start, so that members begin as different functions.
    """

    def __init__(self, n_features: int, n_members: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randint(0, 2, (n_members, n_features)) * 2.0 - 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """One copy of the rows for each member."""
        return x.unsqueeze(1) * self.weight


class MemberDropout(nn.Dropout):
    """Dropout that drops the same units of a row in all members.

    So it draws as many random numbers as for one network: drawing them for each of four members
    took a tenth of the time of a training step, and predictions were no better.

    Shape
    -----
    Input and output (n, n_members, n_features).
    """

    def forward(self, h: Tensor) -> Tensor:
        """Drop and rescale units while training."""
        if not self.training:
            return h
        return h * F.dropout(h.new_ones(h.shape[0], 1, h.shape[2]), self.p)


class MemberHeads(nn.Module):
    """A linear layer for each member.

    Shape
    -----
    Input (n, n_members, n_features), output (n, n_outputs, n_members): classes come second, as
    in torch's losses.
    """

    def __init__(self, n_features: int, n_outputs: int, n_members: int):
        super().__init__()
        bound = n_features**-0.5  # as nn.Linear
        self.weight = nn.Parameter(
            torch.empty(n_members, n_features, n_outputs).uniform_(-bound, bound)
        )
        self.bias = nn.Parameter(torch.empty(n_members, 1, n_outputs).uniform_(-bound, bound))

    def forward(self, h: Tensor) -> Tensor:
        """Logits of every member."""
        return torch.baddbmm(self.bias, h.transpose(0, 1), self.weight).permute(1, 2, 0)


def average_members(
    logits: Tensor, n_members: int | None = None, n_outputs: int | None = None
) -> Tensor:
    """Logarithm of the members' mean probability: (n, n_outputs, n_members) → (n, n_outputs).

    Given as numbers, `n_members` and `n_outputs` stay some where a shape does not: in a module
    that is traced.
    """
    n_members = logits.shape[2] if n_members is None else n_members
    dtype = torch.promote_types(logits.dtype, torch.float32)  # 16 bits add up badly
    log_probabilities, members = member_log_probabilities(logits, dtype, n_outputs)
    return torch.logsumexp(log_probabilities, dim=members) - log(n_members)


def member_log_probabilities(
    logits: Tensor, dtype: torch.dtype, n_outputs: int | None = None
) -> tuple[Tensor, int]:
    """Log-softmax over the classes of (n, n_outputs, n_members), and the axis of the members.

    Many classes are taken as they lie in memory after `MemberHeads`, side by side: for a hundred
    of them that is eight times as fast, while for ten it is slower.
    """
    if (logits.shape[1] if n_outputs is None else n_outputs) >= 32:
        return torch.log_softmax(logits.permute(2, 0, 1), dim=2, dtype=dtype), 0
    return torch.log_softmax(logits, dim=1, dtype=dtype), 2


def members_as_rows(logits: Tensor) -> Tensor:
    """Members as rows of their own: (n, n_outputs, k) → (n · k, n_outputs), k rows after another.

    Logits of a network without members, of shape (n, n_outputs) or (n,), stay as they are.
    """
    return logits if logits.ndim < 3 else logits.movedim(2, 1).flatten(0, 1)

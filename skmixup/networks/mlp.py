"""The default network for tables."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class MLP(nn.Module):
    """Multilayer perceptron with blocks Linear, activation, dropout and a linear head.

    Parameters
    ----------
    n_features : int
    n_outputs : int
        Number of logits.
    hidden_sizes : sequence of int, default=(256, 256)
        Width of each block; an empty sequence gives a linear model.
    dropout : float, default=0.1
        Probability of dropping a unit after each block.
    activation : nn.Module class, default=nn.ReLU
    batch_norm : bool, default=False
        Normalise before the activation.

    Shape
    -----
    Input (n, n_features), output (n, n_outputs).

    Attributes
    ----------
    blocks : nn.Sequential
        Layer k of manifold mixup is the output of the k-th block.

    Examples
    --------
    >>> import torch
    >>> from skmixup.networks import MLP
    >>> MLP(20, 3, hidden_sizes=(32, 16))(torch.zeros(5, 20)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        n_features: int,
        n_outputs: int,
        *,
        hidden_sizes: Sequence[int] = (256, 256),
        dropout: float = 0.1,
        activation: type[nn.Module] = nn.ReLU,
        batch_norm: bool = False,
    ):
        super().__init__()
        sizes = [n_features, *hidden_sizes]
        self.blocks = nn.Sequential()
        for fan_in, fan_out in pairwise(sizes):
            block = nn.Sequential(nn.Linear(fan_in, fan_out))
            if batch_norm:
                block.append(nn.BatchNorm1d(fan_out))
            block.append(activation())
            if dropout > 0:
                block.append(nn.Dropout(dropout))
            self.blocks.append(block)
        self.head = nn.Linear(sizes[-1], n_outputs)
        self.mixup_layers = [f"blocks.{i}" for i in range(len(self.blocks))]

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (n, n_outputs)."""
        return self.head(self.blocks(x))

"""Periodic embeddings of numeric columns: each column becomes itself and a few curves of it."""

from math import pi

import torch
from torch import Tensor, nn

# Frequencies and phases are stored so many times as large: Adam moves every parameter by about one
# learning rate a step, so that these two move by a tenth of it, as RealMLP has it.
STORED = 10.0


class PeriodicEmbeddings(nn.Module):
    r"""Each column beside a few smooth functions of it, whose shapes are learnt (PBLD).

    .. math::  x_i \mapsto (x_i, \; W_i \cos(2π f_i x_i + b_i) + c_i)

    A network of plain layers finds it hard to bend sharply along one column, as trees do; with
    these it does.

    Parameters
    ----------
    n_features : int
        Columns.
    n_frequencies : int, default=16
        Length of f, b: waves that the functions of a column are made of.
    n_curves : int, default=3
        Functions of each column.
    spread : float, default=0.1
        Standard deviation of the frequencies at the start, in waves per unit of the column;
        columns should be scaled to a standard deviation of about 1.

    Shape
    -----
    Input (n, n_features), output (n, n_features · (1 + n_curves)), column by column.

    Attributes
    ----------
    frequency, phase : Parameter of shape (n_features, n_frequencies)
        f and b, both times ten: with one learning rate for all they move ten times as slowly.
    weight : Parameter of shape (n_features, n_frequencies, n_curves)
    bias : Parameter of shape (n_features, 1, n_curves)

    References
    ----------
    Holzmüller, Grinsztajn, Steinwart: Better by Default. NeurIPS 2024, arXiv:2407.04491 (PBLD).
    Gorishniy, Rubachev, Babenko: On Embeddings for Numerical Features in Tabular Deep Learning.
    NeurIPS 2022, arXiv:2203.05556.

    Examples
    --------
    >>> from skmixup.networks.embeddings import PeriodicEmbeddings
    >>> PeriodicEmbeddings(5)(torch.zeros(2, 5)).shape
    torch.Size([2, 20])
    """

    def __init__(
        self, n_features: int, n_frequencies: int = 16, n_curves: int = 3, spread: float = 0.1
    ):
        super().__init__()
        self.stored, self.turn = STORED, 2 * pi / STORED  # TorchScript reads no globals
        self.n_outputs = n_features * (1 + n_curves)
        waves, bound = (n_features, n_frequencies), n_frequencies**-0.5  # as nn.Linear
        self.frequency = nn.Parameter(torch.randn(waves) * (spread * STORED))
        self.phase = nn.Parameter(torch.empty(waves).uniform_(-pi, pi) * STORED)
        self.weight = nn.Parameter(torch.empty(*waves, n_curves).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_features, 1, n_curves).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """The columns and their curves."""
        columns = x.t().unsqueeze(2)  # (n_features, n, 1)
        angles = columns * (self.frequency * self.turn).unsqueeze(1)
        waves = torch.cos(angles + (self.phase / self.stored).unsqueeze(1))
        curves = torch.baddbmm(self.bias, waves, self.weight)
        return torch.cat([columns, curves], dim=2).transpose(0, 1).flatten(1)

"""Embeddings of numeric columns: each column becomes itself and a few curves of it."""

from math import pi

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skmixup.networks.scaling import some_rows
from skmixup.networks.sizes import check_each

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
        check_each(n_features=n_features, n_frequencies=n_frequencies, n_curves=n_curves)
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


class PiecewiseLinearEmbeddings(nn.Module):
    r"""Each column beside a few broken lines of it, whose slopes in each bin are learnt.

    .. math::  x_i \mapsto (x_i, \; W_i e(x_i) + c_i), \qquad
        e_t(x) = \min(\max((x - b_t) / (b_{t+1} - b_t), 0), 1)

    Thresholds of a column are near its own values, wherever those lie: where periodic functions
    are smooth, these bend, as trees do. An ensemble gains from having both.

    Parameters
    ----------
    n_features : int
        Columns.
    n_bins : int, default=16
        Bins of a column, T; a column of fewer values has fewer.
    n_curves : int, default=3
        Functions of each column.

    Shape
    -----
    Input (n, n_features), output (n, n_features · (1 + n_curves)), column by column.

    Attributes
    ----------
    start, slope : Tensor of shape (n_features, n_bins)
        b, where bins begin, and 1 over their widths; 0 for bins that a column does not have. From
        :meth:`adapt_to_data`; before, even ones from -3 to 3. Buffers, so that they are saved with
        the weights.
    weight : Parameter of shape (n_features, n_bins, n_curves)
    bias : Parameter of shape (n_features, 1, n_curves)

    References
    ----------
    Gorishniy, Rubachev, Babenko: On Embeddings for Numerical Features in Tabular Deep Learning.
    NeurIPS 2022, arXiv:2203.05556 (bins of quantiles).

    Examples
    --------
    >>> from skmixup.networks.embeddings import PiecewiseLinearEmbeddings
    >>> PiecewiseLinearEmbeddings(5)(torch.zeros(2, 5)).shape
    torch.Size([2, 20])
    """

    start: Tensor
    slope: Tensor

    def __init__(self, n_features: int, n_bins: int = 16, n_curves: int = 3):
        super().__init__()
        check_each(n_features=n_features, n_bins=n_bins, n_curves=n_curves)
        self.n_outputs = n_features * (1 + n_curves)
        bins, bound = (n_features, n_bins), n_bins**-0.5  # as nn.Linear
        even = torch.linspace(-3, 3, n_bins + 1)[:-1]
        self.register_buffer("start", even.repeat(n_features, 1))
        self.register_buffer("slope", torch.full(bins, n_bins / 6))
        self.weight = nn.Parameter(torch.empty(*bins, n_curves).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_features, 1, n_curves).uniform_(-bound, bound))

    def adapt_to_data(self, X: Tensor) -> None:
        """Set the bins by the training rows `X`, scaled columns; of many, by 16 384 of them."""
        n_bins = self.start.shape[1]
        self.start.zero_()
        self.slope.zero_()
        for number, column in enumerate(some_rows(X).T):
            edges = bin_edges(column, n_bins)
            used = len(edges) - 1
            self.start[number, :used] = torch.from_numpy(edges[:-1])
            self.slope[number, :used] = torch.from_numpy(1 / np.diff(edges))

    def forward(self, x: Tensor) -> Tensor:
        """The columns and their curves."""
        columns = x.t().unsqueeze(2)  # (n_features, n, 1)
        bins = (columns - self.start.unsqueeze(1)) * self.slope.unsqueeze(1)
        curves = torch.baddbmm(self.bias, bins.clamp(0.0, 1.0), self.weight)
        return torch.cat([columns, curves], dim=2).transpose(0, 1).flatten(1)


def bin_edges(column: NDArray[np.float64], n_bins: int) -> NDArray[np.float64]:
    """Edges of at most `n_bins` bins of the values, one more than there are bins.

    The values themselves where they are few, else quantiles; where those are mostly the same
    value, also quantiles of the values that differ from it, half as many.
    """
    values, counts = np.unique(column, return_counts=True)
    if len(values) > n_bins + 1:
        edges = np.quantile(column, np.linspace(0, 1, n_bins + 1))
        if len(np.unique(edges)) <= n_bins // 2:
            others = column[column != values[counts.argmax()]]
            edges = np.append(edges, np.quantile(others, np.linspace(0, 1, n_bins // 2 + 1)))
        values = np.unique(edges)
    if len(values) > n_bins + 1:
        values = values[np.linspace(0, len(values) - 1, n_bins + 1).round().astype(int)]
    narrow = np.diff(values) <= max(1e-6 * float(np.abs(values).max()), 1e-30)  # of float32
    return np.delete(values, np.flatnonzero(narrow) + 1)

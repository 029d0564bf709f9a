"""First layers that bring inputs to a common scale: columns of tables, channels of images."""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

# At most so many rows: quantiles cost a sort of each column.
MAX_ROWS = 16_384
# Pixels of images that are looked at together
CHUNK_ELEMENTS = 2**21
NORMAL_IQR = 1.349  # interquartile range of the standard normal distribution


def some_rows(X: Tensor) -> NDArray[np.float64]:
    """All rows, or of many 16 384 drawn at random: the first ones of sorted rows would mislead."""
    if len(X) > MAX_ROWS:
        generator = torch.Generator().manual_seed(0)
        X = X[torch.randint(len(X), (MAX_ROWS,), generator=generator).to(X.device)]
    return X.cpu().numpy().astype(np.float64)


class RobustScaling(nn.Module):
    r"""Centre each column, divide by its spread, and bend outliers towards ± `limit`.

    .. math::  z = (x - m) / s, \qquad f(x) = z / \sqrt{1 + (z / \mathrm{limit})^2}

    Parameters
    ----------
    n_features : int
    limit : float, default=3.0
        No output is beyond it; values within ± 1 stay almost as they are (f(1) = 0.95).

    Shape
    -----
    Input and output (n, n_features).

    Attributes
    ----------
    center, scale : Tensor of shape (n_features,)
        m, the median, and s, the interquartile range divided by 1.349 (that of the normal
        distribution), both from :meth:`adapt_to_data`; 0 and 1 before. Where the interquartile
        range is 0, s is half of the median distance from m of the values that differ from it,
        and for a constant column 1. Buffers, so that they are saved with the weights.

    Notes
    -----
    Robust scaling and smooth clipping are those of RealMLP (Holzmüller, Grinsztajn, Steinwart:
    Better by Default. NeurIPS 2024, arXiv:2407.04491, section 3), but where most values are the
    same. RealMLP then takes half of the column's range. For a column of two values that is s too;
    in a column of zeros and a few amounts the largest would make all others as good as zero.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, n_features: int, limit: float = 3.0):
        super().__init__()
        self.limit = limit
        self.register_buffer("center", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))

    def adapt_to_data(self, X: Tensor) -> None:
        """Set center and scale from the training rows `X`; of many, from 16 384 of them."""
        if len(X) == 1:
            warnings.warn(
                "columns are scaled by the rows that the network is shown first, and one row has "
                "no spread: begin with some hundred rows in the first call of partial_fit, or "
                "scale them before",
                UserWarning,
                stacklevel=2,
            )
        rows = some_rows(X)
        low, center, high = np.quantile(rows, [0.25, 0.5, 0.75], axis=0)
        scale = (high - low) / NORMAL_IQR
        for column in np.flatnonzero(scale == 0):
            distances = np.abs(rows[:, column] - center[column])
            if distances.any():
                scale[column] = np.median(distances[distances > 0]) / 2
        self.center.copy_(torch.from_numpy(center))
        self.scale.copy_(torch.from_numpy(scale))
        self.scale[self.scale == 0] = 1.0  # also what is too small for the type

    def forward(self, x: Tensor) -> Tensor:
        """Scaled and clipped columns."""
        z = (x - self.center) / self.scale
        # sin(arctan(u)) = u / √(1 + u²): no square that overflows, and ONNX has both operators,
        # as it has none for torch.hypot.
        return self.limit * torch.sin(torch.atan(z / self.limit))


class ChannelScaling(nn.Module):
    r"""Subtract the mean of each channel of images and divide by its standard deviation.

    Whether pixels come as 0 … 255 or as 0 … 1 then makes no difference to what follows.

    Parameters
    ----------
    n_channels : int

    Shape
    -----
    Input and output (n, n_channels, height, width).

    Attributes
    ----------
    mean, std : Tensor of shape (n_channels,)
        Over all pixels of the training images, from :meth:`adapt_to_data`; 0 and 1 before, and 1
        for a channel that is constant. Buffers, so that they are saved with the weights.

    Examples
    --------
    Before a network of others:

    >>> import torch
    >>> from skmixup.networks import ChannelScaling
    >>> net = nn.Sequential(ChannelScaling(3), nn.Flatten(), nn.Linear(3 * 8 * 8, 10))
    >>> images = torch.randint(256, (50, 3, 8, 8), dtype=torch.uint8)
    >>> net[0].adapt_to_data(images)
    >>> net[0](images).std().round(decimals=2)
    tensor(1.)
    """

    mean: Tensor
    std: Tensor

    def __init__(self, n_channels: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_channels))
        self.register_buffer("std", torch.ones(n_channels))

    def adapt_to_data(self, X: Tensor) -> None:
        """Set mean and std from training images `X`, a few at a time; uint8 or floats.

        On the CPU, since some devices know no float64.
        """
        n_rows = max(1, CHUNK_ELEMENTS // max(1, X[:1].numel()))
        first = X[:n_rows].cpu().double()
        origin = first.mean(dim=(0, 2, 3), keepdim=True)  # else squares lose digits
        n = X.numel() / X.shape[1]
        total, squares = torch.zeros_like(origin), torch.zeros_like(origin)
        for chunk in X.split(n_rows):
            part = chunk.cpu().double() - origin
            total += part.sum(dim=(0, 2, 3), keepdim=True)
            squares += part.square().sum(dim=(0, 2, 3), keepdim=True)
        std = (squares / n - (total / n).square()).clamp(min=0).sqrt().flatten()
        mean = (origin + total / n).flatten()
        is_constant = std <= mean.abs() * torch.finfo(torch.float32).eps
        self.mean.copy_(mean)
        self.std.copy_(torch.where(is_constant, 1.0, std))

    def forward(self, x: Tensor) -> Tensor:
        """Scaled channels."""
        return (x - self.mean[:, None, None]) / self.std[:, None, None]

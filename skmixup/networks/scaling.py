"""Robust scaling of a table's columns with outliers clipped smoothly, as the first layer."""

import numpy as np
import torch
from torch import Tensor, nn

# At most so many rows: quantiles cost a sort of each column.
MAX_ROWS = 16_384
NORMAL_IQR = 1.349  # interquartile range of the standard normal distribution


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
        range is 0, s is half of the column's range, and for a constant column 1. Buffers, so that
        they are saved with the weights.

    Notes
    -----
    Robust scaling and smooth clipping are those of RealMLP (Holzmüller, Grinsztajn, Steinwart:
    Better by Default. NeurIPS 2024, arXiv:2407.04491, section 3).
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
        if len(X) > MAX_ROWS:
            # drawn at random: the first ones of sorted rows would mislead it
            generator = torch.Generator().manual_seed(0)
            X = X[torch.randint(len(X), (MAX_ROWS,), generator=generator).to(X.device)]
        rows = X.cpu().numpy().astype(np.float64)
        low, center, high = np.quantile(rows, [0.25, 0.5, 0.75], axis=0)
        scale = (high - low) / NORMAL_IQR
        scale = np.where(scale > 0, scale, np.ptp(rows, axis=0) / 2)
        self.center.copy_(torch.from_numpy(center))
        self.scale.copy_(torch.from_numpy(np.where(scale > 0, scale, 1.0)))

    def forward(self, x: Tensor) -> Tensor:
        """Scaled and clipped columns."""
        z = (x - self.center) / self.scale
        # sin(arctan(u)) = u / √(1 + u²): no square that overflows, and ONNX has both operators,
        # as it has none for torch.hypot.
        return self.limit * torch.sin(torch.atan(z / self.limit))

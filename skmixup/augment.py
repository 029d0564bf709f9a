"""Augmentations of images, each row by itself: vicinities made by people who know the data.

They are for the parameter `augment` of the estimators, alone or one after the other in an
:class:`torch.nn.Sequential`, and draw from torch's generator, which in `fit` is the fit's.
"""

from numbers import Integral, Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Cutout", "RandomCrop", "RandomHorizontalFlip"]


class RandomHorizontalFlip(nn.Module):
    """Turn left and right round in each image with probability `p`.

    Parameters
    ----------
    p : float in [0, 1], default=0.5

    Examples
    --------
    >>> import torch
    >>> from skmixup.augment import RandomHorizontalFlip
    >>> RandomHorizontalFlip(p=1.0)(torch.arange(4.0).view(1, 1, 2, 2))
    tensor([[[[1., 0.],
              [3., 2.]]]])
    """

    p: float

    def __init__(self, p: float = 0.5):
        super().__init__()
        self.p = _probability(p)

    def forward(self, x: Tensor) -> Tensor:
        """Return images of shape (n, channels, height, width), some of them turned round."""
        _check_images(self, x)
        turned = _chosen(self.p, x)
        return torch.where(turned, x.flip(-1), x)

    def extra_repr(self) -> str:
        """Return the parameter as it is written."""
        return f"p={self.p}"


class RandomCrop(nn.Module):
    """Add a border and cut an image of the same size out of it, each at a place of its own.

    Parameters
    ----------
    padding : int, default=4
        Width of the border. The offsets, −padding … padding on each axis, are equally likely; 4
        is usual for 32 × 32 pixels.
    padding_mode : {"constant", "reflect", "replicate"}, default="constant"
        What the border is made of, as in ``torch.nn.functional.pad``.
    fill : float, default=0.0
        Value of a constant border, in the units of X.

    Notes
    -----
    The border comes first, so that corners are seen as often as elsewhere. Of images that are
    standardised before, 0 is the mean; of raw pixels it is black.

    References
    ----------
    He, Zhang, Ren, Sun: Deep residual learning for image recognition. CVPR 2016,
    arXiv:1512.03385, section 4.2 (4 pixels on each side, and the horizontal flip).

    Examples
    --------
    >>> import torch
    >>> from skmixup.augment import RandomCrop
    >>> RandomCrop(padding=1)(torch.ones(8, 3, 32, 32)).shape
    torch.Size([8, 3, 32, 32])
    """

    padding: int
    padding_mode: str
    fill: float

    def __init__(self, padding: int = 4, *, padding_mode: str = "constant", fill: float = 0.0):
        super().__init__()
        if not isinstance(padding, Integral) or isinstance(padding, bool) or padding < 0:
            raise ValueError(f"padding must be an int of at least 0; got {padding!r}")
        modes = ("constant", "reflect", "replicate")
        if padding_mode not in modes:
            raise ValueError(f"padding_mode must be one of {modes}; got {padding_mode!r}")
        self.padding = int(padding)
        self.padding_mode = padding_mode
        self.fill = _number("fill", fill)

    def forward(self, x: Tensor) -> Tensor:
        """Return images of shape (n, channels, height, width), each moved by its own offset."""
        _check_images(self, x)
        n, _, height, width = x.shape
        if self.padding_mode == "reflect" and self.padding >= min(height, width):
            raise ValueError(
                f"padding={self.padding} is too wide a border to be reflected by images of "
                f"{height} × {width} pixels: at most {min(height, width) - 1}, or another "
                "padding_mode"
            )
        value = self.fill if self.padding_mode == "constant" else None
        padded = F.pad(x, (self.padding,) * 4, self.padding_mode, value)
        n_offsets = 2 * self.padding + 1
        top, left = torch.randint(n_offsets, (2, n), device=x.device)
        # a view of all crops of each image; only those that are taken are copied
        crops = padded.unfold(2, height, 1).unfold(3, width, 1)
        return crops[torch.arange(n, device=x.device), :, top, left]

    def extra_repr(self) -> str:
        """Return the parameters as they are written."""
        return f"padding={self.padding}, padding_mode={self.padding_mode!r}, fill={self.fill}"


class Cutout(nn.Module):
    """Cover a square of each image, its centre a pixel that is drawn for it.

    Parameters
    ----------
    size : int, default=8
        Side of the square in pixels; at the border a part of it is cut off. 16 is the paper's
        choice for CIFAR-10, 8 for CIFAR-100.
    p : float in [0, 1], default=1.0
        Probability that an image is covered at all.
    fill : float, default=0.0
        What the square is filled with, in the units of X.

    References
    ----------
    DeVries, Taylor: Improved Regularization of Convolutional Neural Networks with Cutout. 2017,
    arXiv:1708.04552, section 3.1.

    Examples
    --------
    >>> import torch
    >>> from skmixup.augment import Cutout
    >>> covered = Cutout(size=4)(torch.ones(8, 1, 32, 32)) == 0
    >>> bool((covered.sum(dim=(1, 2, 3)) <= 16).all())
    True
    """

    size: int
    p: float
    fill: float

    def __init__(self, size: int = 8, *, p: float = 1.0, fill: float = 0.0):
        super().__init__()
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise ValueError(f"size must be an int of at least 1; got {size!r}")
        self.size = int(size)
        self.p = _probability(p)
        self.fill = _number("fill", fill)

    def forward(self, x: Tensor) -> Tensor:
        """Return images of shape (n, channels, height, width), each with its square covered."""
        _check_images(self, x)
        n, _, *lengths = x.shape
        covered = _chosen(self.p, x)
        for axis, length in enumerate(lengths, start=2):
            first = torch.randint(length, (n, 1), device=x.device) - self.size // 2
            pixel = torch.arange(length, device=x.device)
            within = (pixel >= first) & (pixel < first + self.size)
            covered = covered & within.view(n, *[length if k == axis else 1 for k in (1, 2, 3)])
        fill = torch.full((), self.fill, dtype=x.dtype, device=x.device)
        return torch.where(covered, fill, x)  # masked_fill would not keep channels last

    def extra_repr(self) -> str:
        """Return the parameters as they are written."""
        return f"size={self.size}, p={self.p}, fill={self.fill}"


def _chosen(p: float, x: Tensor) -> Tensor:
    """Return for each image whether it is changed, of shape (n, 1, 1, 1)."""
    return (torch.rand(len(x), device=x.device) < p).view(-1, 1, 1, 1)


def _check_images(augmentation: nn.Module, x: Tensor) -> None:
    if not isinstance(x, Tensor) or x.ndim != 4:
        shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(
            f"{type(augmentation).__name__} takes images of shape (n, channels, height, width); "
            f"got {shape}"
        )


def _probability(p: float) -> float:
    if isinstance(p, bool) or not isinstance(p, Real) or not 0 <= float(p) <= 1:
        raise ValueError(f"p must be a number from 0 to 1; got {p!r}")
    return float(p)


def _number(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number; got {value!r}")
    return float(value)

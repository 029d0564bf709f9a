"""The order of the axes of images in memory, on which the speed of convolutions depends.

Kernels for convolutions, also those of CPUs, want the channels of a pixel side by side, as in (n,
height, width, channels), and copy images that come otherwise. The shape stays (n, channels,
height, width), and so all that a module computes stays the same up to rounding.
"""

import torch
from torch import Tensor, nn

from skmixup.vicinal.nested import has_channels_last


def is_quicker_channels_last(x: Tensor, dtype: torch.dtype | None, module: nn.Module) -> bool:
    """Whether `module` runs faster on a minibatch whose channels are innermost in memory.

    On a CPU every module with two-dimensional convolutions does (measured on the default network:
    by a quarter, in float32 and in bfloat16); on a GPU those that compute in 16 bits, for which
    its units are made.

    Parameters
    ----------
    x : Tensor of shape (n, …)
    dtype : torch.dtype or None
        The type of 16 bits that the module computes in, or None.
    """
    return (
        x.ndim == 4
        and x.is_floating_point()
        and (x.device.type == "cpu" or (x.device.type == "cuda" and dtype is not None))
        and any(isinstance(part, nn.Conv2d) for part in module.modules())
    )


def channels_last(x: Tensor) -> Tensor:
    """Images of shape (n, channels, height, width) with the channels innermost in memory."""
    if x.shape[1] > 1:
        return x if has_channels_last(x) else x.contiguous(memory_format=torch.channels_last)
    # With one channel nothing need be moved, but torch takes the order from the strides.
    n, _, height, width = x.shape
    return x.contiguous().as_strided((n, 1, height, width), (height * width, 1, width, 1))

"""The order of the axes of images in memory, on which the speed of convolutions depends.

Kernels for convolutions, also those of CPUs, want the channels of a pixel side by side, as in (n,
height, width, channels), and copy images that come otherwise. The shape stays (n, channels,
height, width), and so all that a module computes stays the same up to rounding.
"""

from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

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


def order_weights(
    module: nn.Module, optimizers: Collection[Optimizer], *, innermost: bool
) -> None:
    """Put weights of convolutions, and what optimizers keep of them, into one order in memory.

    With the channels innermost in images and not in weights, every convolution on a GPU brings its
    weight, and the gradient of it, from one order into the other. Fused optimizers need one order
    in a weight and in what they keep of it, which has that of the file where it was loaded.

    Parameters
    ----------
    module : nn.Module
    optimizers : collection of Optimizer
    innermost : bool
        Whether the channels are to be innermost; not for LBFGS, which calls ``view`` on gradients.
    """
    innermost = innermost and not any(isinstance(x, LBFGS) for x in optimizers)
    order = torch.channels_last if innermost else torch.contiguous_format
    for part in module.modules():
        if type(part) is not nn.Conv2d:
            continue
        weight = part.weight
        weight.data = weight.data.contiguous(memory_format=order)
        if weight.grad is not None:
            weight.grad = weight.grad.contiguous(memory_format=order)
        for optimizer in optimizers:
            kept = getattr(optimizer, "state", {}).get(weight, {})
            for name, value in kept.items():
                if isinstance(value, Tensor) and value.shape == weight.shape:
                    kept[name] = value.contiguous(memory_format=order)


def channels_last(x: Tensor) -> Tensor:
    """Images of shape (n, channels, height, width) with the channels innermost in memory."""
    if x.shape[1] > 1:
        return x if has_channels_last(x) else x.contiguous(memory_format=torch.channels_last)
    # With one channel nothing need be moved, but torch takes the order from the strides.
    n, _, height, width = x.shape
    return x.contiguous().as_strided((n, 1, height, width), (height * width, 1, width, 1))

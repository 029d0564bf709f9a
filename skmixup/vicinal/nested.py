"""Inputs of a module: one tensor, or several in a dict, list or tuple, with equal first axes."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def tensors_in(X: Any, what: str = "the input") -> Iterator[tuple[str, Any]]:
    """All tensors of `X`, each with words that say which it is."""
    if isinstance(X, Tensor):
        yield what, X
    elif isinstance(X, Mapping):
        for key, value in X.items():
            yield from tensors_in(value, f"{what}, {key!r},")
    elif isinstance(X, (list, tuple)):
        for i, value in enumerate(X):
            yield from tensors_in(value, f"{what}, number {i},")
    else:
        yield what, X


def map_tensors(function: Callable[[Any], Any], X: Any) -> Any:
    """Apply `function` to every tensor of `X`; the container stays of its kind."""
    if isinstance(X, Tensor):
        return function(X)
    if isinstance(X, Mapping):
        return {key: map_tensors(function, value) for key, value in X.items()}
    if isinstance(X, (list, tuple)):
        values = [map_tensors(function, value) for value in X]
        return type(X)(*values) if hasattr(X, "_fields") else type(X)(values)
    return function(X)


def cloned(X: Any) -> Any:
    """Return a copy of rows, for a module that may work in place on what it is given."""
    if isinstance(X, Tensor):
        return X.clone()
    if isinstance(X, Mapping) and not isinstance(X, dict):
        return X  # a class of the user's
    return map_tensors(lambda part: part.clone() if isinstance(part, Tensor) else part, X)


def take(X: Any, index: Any) -> Any:
    """Rows `index` of every tensor of `X`: a number, a slice, an array or a tensor."""
    if isinstance(X, Tensor):
        return X[index]
    return map_tensors(lambda tensor: tensor[index], X)


def rows_at(x: Tensor, index: Tensor) -> Tensor:
    """Rows of `x` at the positions `index`, with the axes in memory as they are in `x`.

    ``index_select`` alone would put images whose channels are last in memory into another order,
    which takes time, and after which every layer takes longer.
    """
    if x.ndim == 4 and not x.is_contiguous() and has_channels_last(x):
        return x.permute(0, 2, 3, 1).index_select(0, index).permute(0, 3, 1, 2)
    return x.index_select(0, index)


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the CPU on `device`, for whose copy to a GPU the program does not wait.

    An ordinary copy makes it wait until the GPU has done all that it was asked before, so that
    the GPU then has nothing to do until the next step is asked of it.
    """
    if values.device == device:
        return values
    waits = values.layout is not torch.strided or values.requires_grad
    if device.type == "cuda" and values.device.type == "cpu" and not waits:
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def has_channels_last(x: Tensor) -> bool:
    """Whether the channels of images (n, channels, height, width) are innermost in memory."""
    return x.is_contiguous(memory_format=torch.channels_last)


def n_rows(X: Any) -> int:
    """Length of the first axis."""
    return len(X) if isinstance(X, Tensor) else len(next(tensors_in(X))[1])


def leading(X: Any) -> Tensor:
    """The tensor that numbers drawn for all of `X` take dtype and device from: floats, if any."""
    if isinstance(X, Tensor):
        return X
    tensors = [tensor for _, tensor in tensors_in(X)]
    return next((tensor for tensor in tensors if tensor.is_floating_point()), tensors[0])

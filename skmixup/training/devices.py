"""The device a net is trained on."""

from typing import Any

import torch
from torch import Tensor, nn


def resolve_device(device: Any) -> torch.device:
    """Turn the parameter `device` into a device that is present.

    Raises
    ------
    ValueError
        If it is no device, or one that this machine does not have.
    """
    if device is None:
        return torch.device("cpu")
    if isinstance(device, str) and device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device must be 'auto', None or a torch device such as 'cpu' or 'cuda:0'; "
            f"got {device!r}"
        ) from error
    present = {
        "cuda": torch.cuda.is_available() and (resolved.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if resolved.type not in ("cpu", *present):
        _check_other(resolved)
    if not present.get(resolved.type, True):
        raise ValueError(
            f"device is {device!r}, but this machine has "
            f"{torch.cuda.device_count()} CUDA devices and "
            f"{'an' if present['mps'] else 'no'} MPS device; use 'auto' or 'cpu'"
        )
    return resolved


def _check_other(device: torch.device) -> None:
    """Raise ValueError unless something can be computed on a device of a rarer kind."""
    if device.type == "meta":
        raise ValueError(
            f"device is '{device}', on which tensors have shapes but no values, so that "
            "nothing can be learnt; use 'auto' or 'cpu'"
        )
    try:
        torch.empty(0, device=device)
    except Exception as error:  # torch raises many kinds
        raise ValueError(
            f"device is '{device}', which this torch cannot compute on; use 'auto' or 'cpu'"
        ) from error


def device_of(net: Any) -> torch.device:
    """Return where the module of a net is, or will be once it is made."""
    module = net.__dict__.get("module_")
    parameter = _first_parameter(module) if isinstance(module, nn.Module) else None
    return resolve_device(net.device) if parameter is None else parameter.device


def _first_parameter(module: nn.Module) -> Tensor | None:
    """The first of ``module.parameters()``, in a fifth of the time: it is asked for very often."""
    parts = [module]
    while parts:
        part = parts.pop()
        for parameter in part._parameters.values():
            if parameter is not None:
                return parameter
        parts.extend(child for child in reversed(part._modules.values()) if child is not None)
    return None

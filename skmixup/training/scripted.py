"""Modules that hold code of torch.jit: torch trains them, and cannot copy them for training."""

import torch
from torch import nn


def holds_scripts(module: nn.Module) -> bool:
    """Whether a module or a part of it was scripted, traced or loaded by torch.jit."""
    return any(isinstance(part, torch.jit.ScriptModule) for part in module.modules())


def check_instance(module: nn.Module) -> None:
    """Raise ValueError for a module whose copy, which is what is trained, could not be."""
    if holds_scripts(module):
        raise ValueError(
            "module holds code of torch.jit, and of an instance a copy is trained, which torch "
            "cannot do then: pass the module as it was before torch.jit, or a function that makes "
            "it, such as lambda: torch.jit.load(file)"
        )


def check_averaged(module: nn.Module, why: str, *, otherwise: str = "") -> None:
    """Raise ValueError where an average would be a copy that cannot be made."""
    if holds_scripts(module):
        raise ValueError(
            f"{why} needs a copy of the module, and torch cannot train copies of code of "
            f"torch.jit: pass the module as it was before torch.jit{otherwise}"
        )

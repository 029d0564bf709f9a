"""Modules whose draws cannot be handed a generator: what runs them has to wait for its turn."""

from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

# Modules in evaluation mode that draw nothing, by where their classes come from, and exceptions.
_QUIET = ("torch.nn.", "skmixup.networks.")
_ALWAYS_RANDOM = (nn.FractionalMaxPool2d, nn.FractionalMaxPool3d)


def draws_nothing(module: nn.Module) -> bool:
    """Whether it is known that `module` draws nothing: all of it is torch's or this package's own.

    In evaluation mode, and without hooks of a user's.
    """
    for child in parts_of(module):
        if (
            child.training
            or child._forward_hooks
            or child._forward_pre_hooks
            or not type(child).__module__.startswith(_QUIET)
            or isinstance(child, _ALWAYS_RANDOM)
        ):
            return False
    return True


def parts_of(module: nn.Module) -> list[nn.Module]:
    """The module and all within it, in less time than ``modules()``, which makes up names."""
    parts = [module]
    for part in parts:  # which grows meanwhile
        if part._modules:
            parts.extend([child for child in part._modules.values() if child is not None])
    return parts


def draws_unseen(module: nn.Module) -> bool:
    """Whether `module` is compiled, or runs parts of itself again in the backward pass.

    Activation checkpoints save and set torch's process-wide state themselves.
    """
    return is_compiled(module) or any(
        map(_names_checkpoints, {type(child) for child in module.modules()})
    )


def is_compiled(module: nn.Module) -> bool:
    """Whether `module` or a part of it is compiled or scripted: its draws go through no Python."""
    return any(
        isinstance(child, torch.jit.ScriptModule)
        or "_orig_mod" in child._modules
        or child.__dict__.get("_compiled_call_impl") is not None
        for child in module.modules()
    )


def _names_checkpoints(kind: type[nn.Module]) -> bool:
    """Whether the code of a module's class, or of functions it names, names a checkpoint."""
    to_read = [
        value
        for base in kind.__mro__
        if not base.__module__.startswith("torch.")
        for value in base.__dict__.values()
        if isinstance(value, FunctionType)
    ]
    read = set()
    while to_read:
        function = to_read.pop()
        read.add(function)
        for name, value in _names_used(function):
            if "checkpoint" in name or value is checkpoint:
                return True
            theirs = isinstance(value, FunctionType) and not value.__module__.startswith("torch")
            if theirs and value not in read:
                to_read.append(value)
    return False


def _names_used(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Names in the code of `function` with what they stand for, where that is known."""
    for name in _names_in(function.__code__):
        yield name, function.__globals__.get(name)
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name, cell in cells:
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            yield name, None


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)

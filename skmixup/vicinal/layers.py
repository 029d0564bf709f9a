"""Names of a module's layers, and mixing at one of them during a forward pass."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

INPUT = "input"

# Input and the outputs of the first two blocks, the set S of Verma et al. (arXiv 1806.05236).
N_AUTO_BLOCKS = 2


def unwrap(module: nn.Module) -> nn.Module:
    """Return the module behind ``torch.compile``'s wrapper, whose names are the user's own."""
    return module._modules.get("_orig_mod", module)  # type: ignore[return-value]


def block_names(module: nn.Module) -> list[str]:
    """Names of the blocks of `module`, in order, without its head.

    Parameters
    ----------
    module : nn.Module

    Returns
    -------
    list of str
        The attribute ``mixup_layers`` of the module where it has one. Otherwise its direct
        children that have parameters, minus the last (the head). A lone child that has
        children of its own is a wrapper, and its children are taken.
    """
    module = unwrap(module)
    declared = getattr(module, "mixup_layers", None)
    if declared is not None:
        known = dict(module.named_modules())
        for name in declared:
            if name not in known or name == "":
                raise ValueError(
                    f"{type(module).__name__}.mixup_layers names {name!r}, which is not one of "
                    f"its submodules: {_names(module)}"
                )
        return list(declared)
    children = _children_with_parameters(module)
    prefix = ""
    while len(children) == 1:
        name, child = children[0]
        inner = _children_with_parameters(child)
        if not inner:
            return []
        prefix, children = f"{prefix}{name}.", inner
    return [prefix + name for name, _ in children[:-1]]


def resolve_layers(module: nn.Module, layers: str | int | Sequence[str | int]) -> tuple[str, ...]:
    """Turn the set S of layers, as a user writes it, into names.

    Parameters
    ----------
    module : nn.Module
    layers : "auto", int, str, or a sequence of int and str
        ``0`` and ``"input"`` are the input; an integer k ≥ 1 is the output of the k-th block
        (see :func:`block_names`); any other string is a name of ``module.named_modules()``.
        ``"auto"`` is the input and the first two blocks.

    Returns
    -------
    tuple of str
        ``"input"`` or names of submodules, without repetitions, in the order given.

    Raises
    ------
    ValueError
        For a name or an index that the module does not have; the message lists those it has.
    """
    module = unwrap(module)
    blocks = block_names(module)
    if isinstance(layers, str) and layers == "auto":
        return (INPUT, *blocks[:N_AUTO_BLOCKS])
    several = isinstance(layers, Iterable) and not isinstance(layers, str)
    wanted: list[Any] = list(layers) if several else [layers]  # type: ignore[arg-type]
    if not wanted:
        raise ValueError("layers is empty; give at least one, for instance [0] for the input")
    return tuple(dict.fromkeys(_resolve_one(module, layer, blocks) for layer in wanted))


def _resolve_one(module: nn.Module, layer: Any, blocks: list[str]) -> str:
    if isinstance(layer, str):
        if layer == INPUT:
            return INPUT
        if layer and layer in dict(module.named_modules()):
            return layer
    elif isinstance(layer, Integral) and not isinstance(layer, bool):
        index = int(layer)
        if index == 0:
            return INPUT
        if 1 <= index <= len(blocks):
            return blocks[index - 1]
    numbered = ", ".join(f"{k} ({name!r})" for k, name in enumerate([INPUT, *blocks]))
    raise ValueError(
        f"layers has {layer!r}, which {type(module).__name__} does not have. "
        f"Valid integers: {numbered}. Valid names: 'input', {_names(module)}"
    )


def _names(module: nn.Module) -> str:
    return ", ".join(repr(name) for name, _ in module.named_modules() if name)


def _children_with_parameters(module: nn.Module) -> list[tuple[str, nn.Module]]:
    return [
        (name, child)
        for name, child in module.named_children()
        if next(child.parameters(), None) is not None
    ]


class MixingHook:
    """Forward hook that mixes the output of its layer once when it has been armed.

    Attributes
    ----------
    mix : callable or None
        What the next call of the layer applies to its output; None: nothing.
    detach : bool
        Whether the mixed tensor is cut off from what it was computed from.
    mixed : Tensor or None
        The mixed tensor, from the call on.
    """

    def __init__(self, site: str):
        self.site = site
        self.mix: Callable[[Tensor], Tensor] | None = None
        self.detach = False
        self.mixed: Tensor | None = None

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        mix = self.mix
        if mix is None:
            return None
        self.mix = None  # the first call only
        check_mixable(output, f"the output of layer {self.site!r}")
        mixed = mix(output)
        if self.detach:
            mixed = mixed.detach()
        self.mixed = mixed
        return mixed


def prepare_for_compilation(module: nn.Module, sites: Sequence[str]) -> None:
    """Give the layers at `sites` hooks that stay, since compiled code runs no later ones.

    ``torch.compile`` traces the hooks that a module has when it is first called. These read what
    they are to do from their attributes, which are inputs of the compiled code.
    """
    for site in sites:
        if site != INPUT:
            module.get_submodule(site).register_forward_hook(MixingHook(site))


@contextmanager
def _hook_at(module: nn.Module, site: str) -> Iterator[MixingHook]:
    layer = unwrap(module).get_submodule(site)
    if unwrap(module) is not module:
        for hook in layer._forward_hooks.values():
            if isinstance(hook, MixingHook):
                yield hook
                return
        raise RuntimeError(
            f"layer {site!r} was not among `layers` when the module was compiled, so it cannot be "
            "mixed at; fit again from the start, or use compile=False"
        )
    hook = MixingHook(site)
    handle = layer.register_forward_hook(hook)
    try:
        yield hook
    finally:
        handle.remove()


@contextmanager
def mixing_at(
    module: nn.Module, site: str, mix: Callable[[Tensor], Tensor], *, detach: bool = False
) -> Iterator[MixingHook]:
    """Apply `mix` to the output of one submodule, at its first call inside the context.

    Parameters
    ----------
    module : nn.Module
    site : str
        Name of a submodule, as in ``named_modules()``.
    mix : callable
        Takes and returns a tensor of the same shape.
    detach : bool, default=False
        Let no gradient flow through the mixed tensor.

    Yields
    ------
    MixingHook
        Its ``mixed`` is the mixed tensor, once the submodule has been called.

    Raises
    ------
    TypeError
        If the submodule returns anything but one floating-point tensor.
    RuntimeError
        If the forward pass went by without calling the submodule: its labels would be mixed
        and its inputs would not.
    """
    with _hook_at(module, site) as hook:
        hook.mix, hook.detach, hook.mixed = mix, detach, None
        try:
            yield hook
            called = hook.mix is None
        finally:
            hook.mix = None
    if not called:
        raise RuntimeError(
            f"layer {site!r} was drawn for mixing but the module's forward did not call it; "
            "leave it out of `layers`"
        )


def check_mixable(value: Any, what: str) -> None:
    """Raise TypeError unless `value` is a tensor whose averages make sense."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{what} is a {type(value).__name__}, not a tensor, and cannot be mixed; "
            "choose a layer that returns one tensor"
        )
    if not value.is_floating_point():
        raise TypeError(
            f"{what} has dtype {value.dtype}: integer codes cannot be averaged. Mix after the "
            "embedding instead, with ManifoldMixup and `layers` that leave the input out"
        )


def backward_below(loss: Tensor, mixed: Tensor | None) -> None:
    """Gradients for the parameters that `mixed` was computed from, and for no other.

    Going through dL/d(mixed) gives a parameter that is used on both sides only the share that
    comes from below.
    """
    if mixed is None:
        loss.backward()
    elif mixed.requires_grad:
        (gradient,) = torch.autograd.grad(loss, mixed)
        mixed.backward(gradient)

"""Names of a module's layers: its blocks, and the set S of layers that a user writes."""

from collections.abc import Iterable, Iterator, Sequence
from inspect import getattr_static
from numbers import Integral
from typing import Any

from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils.parametrize import ParametrizationList

INPUT = "input"

# Input and the outputs of the first two blocks, the set S of Verma et al. (arXiv 1806.05236).
N_AUTO_BLOCKS = 2


def unwrap(module: nn.Module) -> nn.Module:
    """Return the module that torch has compiled or distributed; names in it are the user's own."""
    while (inner := _wrapped(module)) is not None:
        module = inner
    return module


def is_wrapped_by_compiler(module: nn.Module) -> bool:
    """Whether ``torch.compile`` is among what :func:`unwrap` takes off."""
    while (inner := _wrapped(module)) is not None:
        if "_orig_mod" in module._modules:
            return True
        module = inner
    return False


def _wrapped(module: nn.Module) -> nn.Module | None:
    inside = module._modules
    if "_orig_mod" in inside:  # of a scripted module it is no dict and has no get
        return inside["_orig_mod"]
    if isinstance(module, DistributedDataParallel):
        return module.module
    return None


def layer_at(module: nn.Module, name: str) -> nn.Module:
    """Return a submodule, also of a scripted module, which has no get_submodule."""
    for part in name.split("."):
        module = getattr(module, part)
    return module


def block_names(module: nn.Module) -> list[str]:
    """Names of the blocks of `module`, in order, without its head.

    Parameters
    ----------
    module : nn.Module

    Returns
    -------
    list of str
        What the module, or modules inside it, declare in an attribute ``mixup_layers``, a list of
        submodule names. Without one, the direct children that have parameters, minus the last
        (the head). A lone child is entered, and so is a ``ModuleList``, which has no forward.

    Raises
    ------
    ValueError
        For a declared name that is not one of a submodule.

    Notes
    -----
    Of these children, some may be made of several layers with weights. If two or more are, as the
    stages of a ResNet, only they are the blocks, and not the single layers beside them (the stem),
    nor a first one of several bare convolutions before stages that are made of blocks.
    If one is, as the encoder of a transformer, the same is asked of its children. If none is, but
    a normalisation layer stands by itself among the children, those that hold several layers with
    parameters (one convolution and its normalisation) are the blocks.
    """
    module = unwrap(module)
    declared = _declared_blocks(module)
    if declared is not None:
        return declared
    children = parts(module)
    while len(children) == 1:
        inner = parts(children[0][1], children[0][0])
        if not inner:
            return []
        children = inner
    candidates = children[:-1]
    chosen = _composite_blocks(candidates) or _stages_after_a_stem(candidates) or candidates
    return [name for name, _ in chosen]


def _declared_blocks(module: nn.Module, prefix: str = "") -> list[str] | None:
    """Read ``mixup_layers`` of the outermost modules that have it; None where there is none."""
    # A compiled module answers for the one that it holds, whose names are longer.
    declared = None if "_orig_mod" in module._modules else getattr(module, "mixup_layers", None)
    if declared is None:
        found = [
            _declared_blocks(child, f"{prefix}{name}.") for name, child in module.named_children()
        ]
        known = [names for names in found if names is not None]
        return [name for names in known for name in names] if known else None
    inside = dict(module.named_modules())
    declared = [declared] if isinstance(declared, str) else declared
    for name in declared:
        if name not in inside or name == "":
            raise ValueError(
                f"{type(module).__name__}.mixup_layers names {name!r}, which is not one of "
                f"its submodules: {_names(module)}"
            )
    return [prefix + name for name in declared]


def parts(module: nn.Module, name: str = "") -> list[tuple[str, nn.Module]]:
    """List the children with parameters; of those without a forward, what they hold instead."""
    prefix = f"{name}." if name else ""
    found: list[tuple[str, nn.Module]] = []
    for own_name, child in module.named_children():
        if own_name == "parametrizations" or next(child.parameters(), None) is None:
            continue  # weights that are computed from others belong to the layer that has them
        if has_forward(child):
            found.append((prefix + own_name, child))
        else:
            found += parts(child, prefix + own_name)
    return found


def _composite_blocks(among: list[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    """Those of `among` that are made of several layers; of a lone one, such parts inside it."""
    while True:
        composite = [(name, part) for name, part in among if _n_weighted_layers(part) > 1]
        if len(composite) > 1 and _is_stem(composite[0][1], composite[1:]):
            composite = composite[1:]
        if len(composite) != 1:
            return composite
        name, trunk = composite[0]
        among = parts(trunk, name)


def _is_stem(first: nn.Module, others: list[tuple[str, nn.Module]]) -> bool:
    """Whether the first is several bare convolutions, and all the others are made of blocks."""
    convolutions = any(p.ndim > 2 for p in first.parameters())
    return convolutions and not _has_blocks(first) and all(_has_blocks(p) for _, p in others)


def _has_blocks(module: nn.Module) -> bool:
    """Whether a part of the module is itself made of several layers with weights."""
    return any(_n_weighted_layers(part) > 1 for _, part in parts(module))


def _stages_after_a_stem(among: list[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    """Those of `among` that hold several layers, if a normalisation layer stands beside them.

    As in ``conv1, bn1, layer1, layer2, …`` with one convolution and its norm in each stage: the
    first two are parts of one block, not blocks.
    """
    bare_norm = any(
        not list(part.children()) and all(p.ndim == 1 for p in _own_parameters(part))
        for _, part in among
    )
    stages = [
        (name, part)
        for name, part in among
        if sum(any(True for _ in _own_parameters(layer)) for layer in part.modules()) > 1
    ]
    return stages if bare_norm and len(stages) > 1 else []


def _n_weighted_layers(module: nn.Module) -> int:
    return sum(
        any(parameter.ndim > 1 for parameter in _own_parameters(layer))
        for layer in module.modules()
        if not isinstance(layer, (nn.Embedding, nn.EmbeddingBag, ParametrizationList))
    )


def _own_parameters(layer: nn.Module) -> Iterator[nn.Parameter]:
    for parameter in layer.parameters(recurse=False):
        if not isinstance(parameter, UninitializedParameter):
            yield parameter
    for name, computed in layer.named_children():
        if name == "parametrizations":
            yield from computed.parameters()


def has_forward(module: nn.Module) -> bool:
    """Whether `module` can be called; a ``ModuleList``, for instance, cannot."""
    inherited = getattr_static(type(module), "forward", None) is nn.Module.forward
    return not inherited or "forward" in vars(module)


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
            return _with_output(module, layer)
    elif isinstance(layer, Integral) and not isinstance(layer, bool):
        index = int(layer)
        if index == 0:
            return INPUT
        if 1 <= index <= len(blocks):
            return _with_output(module, blocks[index - 1])
    numbered = ", ".join(f"{k} ({name!r})" for k, name in enumerate([INPUT, *blocks]))
    raise ValueError(
        f"layers has {layer!r}, which {type(module).__name__} does not have. "
        f"Valid integers: {numbered}. Valid names: 'input', {_names(module)}"
    )


def _with_output(module: nn.Module, name: str) -> str:
    """Return `name`; ValueError where that submodule is never called and so returns nothing."""
    layer = layer_at(module, name)
    if has_forward(layer):
        return name
    inside = [f"{name}.{child}" for child, _ in layer.named_children()]
    raise ValueError(
        f"layers has {name!r}, a {type(layer).__name__}, which has no forward and so no output to "
        f"mix; name what it holds: {', '.join(map(repr, inside))}"
    )


def _names(module: nn.Module) -> str:
    named = ((name, layer) for name, layer in module.named_modules() if name)
    return ", ".join(repr(name) for name, layer in named if has_forward(layer))

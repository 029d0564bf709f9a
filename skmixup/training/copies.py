"""Copies and pickles of modules, also of some that torch cannot copy or pickle."""

import warnings
from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from io import BytesIO
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer
from torch.nn.utils import parametrize

from skmixup.training.scripted import holds_scripts
from skmixup.vicinal.nested import tensors_in

try:  # the one that joblib's workers use: it knows again the classes that it has sent
    from joblib.externals import cloudpickle
except ImportError:  # since joblib 1.6 on its own
    import cloudpickle  # type: ignore[import-untyped]


def copied(module: nn.Module) -> nn.Module:
    """Return a deep copy of a module.

    torch copies no tensor that was computed from parameters, such as the weights of the older
    ``torch.nn.utils.weight_norm`` or an output that forward keeps; their copies are values. Nor
    does it copy the buffers of lazy normalisations, or what users have hung on a parameter to
    change its gradients.
    """
    made = deepcopy(module, {id(tensor): copy for tensor, copy in _copies(module)})
    for parameter, copy in zip(module.parameters(), made.parameters(), strict=True):
        _copy_hooks(parameter, copy)
    return made


def own_values(given: dict[str, Any]) -> dict[str, Any]:
    """Return arguments with modules and tensors copied, as training would change them.

    What two arguments share, their copies share. Of what cannot be copied a warning tells.
    """
    modules = {k: v for k, v in given.items() if isinstance(v, nn.Module) and not holds_scripts(v)}
    tensors = {k: v for k, v in given.items() if isinstance(v, Tensor)}
    if not modules and not tensors:
        return given
    together: Any = nn.Module()
    together.parts, together.tensors = nn.ModuleList(modules.values()), tensors
    try:
        made: Any = copied(together)
    except Exception as error:
        warnings.warn(
            f"{', '.join(map(repr, [*modules, *tensors]))} cannot be copied ({error}): training "
            "changes what you have given, and the next fit begins there; give a class or a "
            "function that makes it",
            UserWarning,
            stacklevel=2,
        )
        return given
    return {**given, **dict(zip(modules, made.parts, strict=True)), **made.tensors}


def own_arguments(maker: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return what makes a module, and its arguments, with :func:`own_values` also in a partial."""
    if not isinstance(maker, partial):
        return maker, own_values(given)
    positional = {f"{i}": value for i, value in enumerate(maker.args)}
    own = own_values({**positional, **maker.keywords, **given})
    return partial(maker.func, *(own.pop(i) for i in positional)), own


def _copies(module: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    for part in module.modules():
        for _, value in tensors_in(list(vars(part).values())):
            if isinstance(value, UninitializedBuffer):
                kind: Any = UninitializedBuffer  # whose types are wrong
                yield value, kind(value.requires_grad, value.device, value.dtype)
            elif isinstance(value, Tensor) and not value.is_leaf:
                yield value, value.detach().clone()


def _copy_hooks(parameter: Any, copy: Any) -> None:
    for name, register in (
        ("_backward_hooks", copy.register_hook),
        ("_post_accumulate_grad_hooks", copy.register_post_accumulate_grad_hook),
    ):
        for hook in (getattr(parameter, name) or {}).values():
            copy.requires_grad_()  # a frozen one takes no hook
            register(hook)
            copy.requires_grad_(parameter.requires_grad)


def pickled(value: Any) -> bytes:
    """Return the pickle of something with modules within.

    Not pickle's own: a module's class may be a notebook's, which no other process can import.
    """
    file = BytesIO()
    _Pickler(file).dump(value)
    return file.getvalue()


class _Pickler(cloudpickle.Pickler):
    """Pickles modules with parametrizations, as ``spectral_norm``, which torch refuses to."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, nn.Module) and parametrize.is_parametrized(obj):
            kind = parametrize.type_before_parametrizations(obj)
            return kind.__new__, (kind,), vars(obj), None, None, _parametrize
        return super().reducer_override(obj)


def _parametrize(module: nn.Module, attributes: dict[str, Any]) -> None:
    """Make the module one with parametrizations: one whose class computes its weights."""
    vars(module).update(attributes)
    parametrize._inject_new_class(module)
    for name in attributes["_modules"]["parametrizations"]:
        parametrize._inject_property(module, name)

"""Copies of modules, also of some that ``copy.deepcopy`` cannot copy."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer

from skmixup.vicinal.nested import tensors_in


def copied(module: nn.Module) -> nn.Module:
    """Return a deep copy of a module.

    torch copies no tensor that was computed from parameters, such as the weights of the older
    ``torch.nn.utils.weight_norm`` or an output that forward keeps; their copies are values. Nor
    does it copy the buffers of lazy normalisations.
    """
    return deepcopy(module, {id(tensor): copy for tensor, copy in _copies(module)})


def _copies(module: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    for part in module.modules():
        for _, value in tensors_in(list(vars(part).values())):
            if isinstance(value, UninitializedBuffer):
                kind: Any = UninitializedBuffer  # whose types are wrong
                yield value, kind(value.requires_grad, value.device, value.dtype)
            elif isinstance(value, Tensor) and not value.is_leaf:
                yield value, value.detach().clone()

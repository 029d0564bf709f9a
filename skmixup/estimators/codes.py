"""Codes that come as floats, since arrays become float32, and that a module looks up."""

import warnings
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from skmixup.randomness.fit import preserved_randomness
from skmixup.vicinal.blocks import unwrap
from skmixup.vicinal.nested import n_rows, tensors_in

LOOKUPS = (nn.Embedding, nn.EmbeddingBag)


class LookedUp(NamedTuple):
    """A part of the input whose values a layer looks up in a table.

    Attributes
    ----------
    what : str
        Which part it is.
    layer : str
        Name of the layer, as in ``named_modules()``.
    values : Tensor
        The part, as integers.
    """

    what: str
    layer: str
    values: Tensor

    def cannot_be_made_virtual(self, vicinity: Any) -> bool:
        """Whether a vicinity refuses these values where they come as integers."""
        try:
            vicinity.check_rows(self.values)
        except TypeError:
            return True
        return False

    def warn(self) -> None:
        """Warn that they are averaged as floats."""
        warnings.warn(
            f"{self.what} comes as floating numbers and is mixed, and layer {self.layer!r} looks "
            "its values up in a table: averages of codes are other codes. Mix behind the layer, "
            "with ManifoldMixup and `layers` that leave the input out, or choose among values by "
            "CutMix",
            UserWarning,
            stacklevel=2,
        )


def looked_up(net: Any, rows: Any) -> LookedUp | None:
    """Find a floating-point part of the input whose columns reach a table as they are.

    Parameters
    ----------
    net : VicinalNet
        With its module made.
    rows : Tensor, or dict or list of tensors, of some rows
        The more, the fewer columns have one value only, which tell nothing.

    Returns
    -------
    LookedUp or None
        None where nothing is looked up, or what is has been computed, as the number of a bin is.
    """
    module = unwrap(net.module_)
    tables = {name: m for name, m in module.named_modules() if isinstance(m, LOOKUPS)}
    floats = [(what, x) for what, x in tensors_in(rows, _WHAT) if x.is_floating_point()]
    if net.module is None or not tables or not floats:
        return None
    indices: list[tuple[str, Tensor]] = []
    net.set_training(False)
    with ExitStack() as stack:
        for context in (net.uncompiled(), preserved_randomness(net._device_), torch.no_grad()):
            stack.enter_context(context)
        for name, table in tables.items():

            def keep(_table: Any, args: Any, name: str = name) -> None:
                indices.extend((name, x.detach()) for x in args[:1] if isinstance(x, Tensor))

            stack.callback(table.register_forward_pre_hook(keep).remove)
        net.infer(rows)
    n = n_rows(rows)
    for name, index in indices:
        varying = _differences(index, n)
        for what, x in floats:
            if varying and varying <= _differences(x, n):
                return LookedUp(what, name, x.long())
    return None


_WHAT = "the input of the module"


def _differences(values: Tensor, n: int) -> set[bytes]:
    """How each column of n rows differs from its first row; columns that do not are left out.

    An offset, as where several columns share a table, makes no difference.
    """
    if values.numel() % n:
        return set()
    columns = values.reshape(n, -1).double().cpu()
    columns = columns[:, (columns == columns.round()).all(dim=0)]
    columns = (columns - columns[:1]).T
    return {column.tobytes() for column in columns.contiguous().numpy() if column.any()}

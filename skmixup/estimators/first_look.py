"""Rows that a module is run on before it is trained, and what that tells."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, default_collate

from skmixup.estimators.codes import LookedUp
from skmixup.estimators.input_types import input_cast
from skmixup.estimators.inputs import as_array
from skmixup.estimators.vanishing_columns import warn_of_vanishing_columns
from skmixup.randomness.fit import items_looked_at, preserved_randomness
from skmixup.training.batches import ArrayDataset, has_room, in_memory, is_pixels
from skmixup.vicinal.adaptation import MAX_ROWS
from skmixup.vicinal.blocks import INPUT, block_names, unwrap
from skmixup.vicinal.layer_checks import N_ROWS, LayerCheck
from skmixup.vicinal.layers import standing_hook
from skmixup.vicinal.loss import first_output
from skmixup.vicinal.nested import map_tensors, take, tensors_in
from skmixup.vicinal.random_choice import SitesOfSeveral

# About how many rows of a user's own data set a module is shown before training.
SHOWN_ROWS = 1000
# About how many numbers of images in memory: their copy takes 256 MB.
SHOWN_NUMBERS = 2**26


def rows_to_show(net: Any, dataset: Any) -> tuple[Any, Tensor | None] | None:
    """Return rows for `adapt_to_data` and their targets, or None for a stream.

    All rows of arrays, but of many images a sample, as floats; some thousand rows of a user's data
    set, which may be slow to read, without their targets.
    """
    found = in_memory(dataset)
    if found is not None:
        data, rows = found
        chosen = _sample_of_images(data.inputs, len(dataset))
        if chosen is not None:
            rows = chosen if rows is None else rows[chosen]
            return data.inputs_at(torch.from_numpy(rows)), _targets(data, rows)
        inputs = data.inputs if rows is None else take(data.inputs, torch.from_numpy(rows))
        return inputs, _targets(data, rows)
    if not is_by_position(dataset):
        return None
    step = max(1, len(dataset) // SHOWN_ROWS)
    return _collated(net, dataset, range(0, len(dataset), step), warn=True), None


def _targets(data: ArrayDataset, rows: NDArray[np.int64] | None) -> Tensor | None:
    target = data.target if isinstance(data.target, Tensor) else None
    return target if target is None or rows is None else target[torch.from_numpy(rows)]


def shown_on(rows: Any, y: Tensor | None, device: torch.device) -> tuple[Any, Tensor | None]:
    """Return `rows` on the device of the module; a sample where a GPU has no room for all."""
    if device.type == "cuda" and not has_room(rows, device):
        n = len(next(tensors_in(rows))[1])
        chosen = np.random.default_rng(0).choice(n, min(n, MAX_ROWS), replace=False)
        index = torch.from_numpy(np.sort(chosen))
        rows, y = take(rows, index), None if y is None else y[index]
    return map_tensors(lambda x: x.to(device) if isinstance(x, Tensor) else x, rows), y


def _sample_of_images(inputs: Any, n_rows: int) -> NDArray[np.int64] | None:
    """Return positions drawn at random: the first ones of sorted rows would mislead. Or None."""
    tensors = [tensor for _, tensor in tensors_in(inputs)]
    if all(tensor.ndim < 4 for tensor in tensors):
        return None
    n_shown = min(MAX_ROWS, max(16, SHOWN_NUMBERS // sum(tensor[0].numel() for tensor in tensors)))
    if n_rows > n_shown:
        return np.sort(np.random.default_rng(0).choice(n_rows, n_shown, replace=False))
    return np.arange(n_rows) if any(map(is_pixels, tensors)) else None


def three_rows(net: Any, dataset: Any) -> Any:
    """Return the first row, one in the middle and the last as a batch, or None for a stream."""
    found = in_memory(dataset)
    if found is None and not is_by_position(dataset):
        return None
    chosen = np.linspace(0, len(dataset) - 1, N_ROWS).astype(int)
    if found is None:
        return _collated(net, dataset, chosen.tolist())
    return _inputs_at(found, chosen)


def many_rows(dataset: Any) -> Any:
    """Return some rows from all over a data set in memory as a batch; None: it is not."""
    found = in_memory(dataset)
    if found is None:
        return None
    return _inputs_at(found, np.linspace(0, len(dataset) - 1, 64).astype(int))


def two_rows(net: Any, dataset: Any) -> Any:
    """Return a small batch to try the module on, or None for a stream.

    The first and the last row of arrays. Of a data set zeros of the shape of its rows, or three
    rows where the shape is not known or a row is several tensors.
    """
    found = in_memory(dataset)
    if found is not None:
        return _inputs_at(found, np.array([0, len(dataset) - 1]))
    shape = getattr(net, "input_shape_", None)
    if shape is None or isinstance(shape, dict):
        return three_rows(net, dataset)
    name = net.__dict__.get("_yielded_dtype_") or "float32"
    return torch.zeros((2, *shape), dtype=getattr(torch, name))


def _inputs_at(found: Any, chosen: NDArray[np.int64]) -> Any:
    """Inputs at positions of a data set in memory, as :func:`in_memory` found it."""
    data, rows = found
    return data.inputs_at(torch.from_numpy(chosen if rows is None else rows[chosen]))


def warn_of_other_rows(module: Any, run: Callable[[Any], Any], rows: Any, output: Any) -> None:
    """Warn where the output for a row depends on the rows beside it, and so do predictions.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    run : callable
        Returns its output.
    rows : Tensor, or several
        Two rows or more.
    output : Tensor or tuple
        For these.
    """
    found = first_output(output)
    if not isinstance(found, Tensor) or found.ndim == 0 or not is_made_of_tensors(rows):
        return
    n = len(found)
    if any(tensor.ndim == 0 or len(tensor) != n for _, tensor in tensors_in(rows)):
        return  # as of sequences that are packed
    # the last one, which in a recurrent layer sees all that come before
    alone = first_output(run(take(rows, torch.full((n,), n - 1))))
    if _alike(alone[-1], found[-1]) or not _alike(first_output(run(rows))[-1], found[-1]):
        return  # no difference, or one that comes by chance
    warnings.warn(
        f"the output of {type(module).__name__} for a row changes with the rows beside it, also "
        "in evaluation mode, and so will predictions. The first axis of a layer may be another "
        "than the rows (a recurrent layer or a transformer without batch_first=True), or a "
        "normalisation be one over the minibatch",
        UserWarning,
        stacklevel=2,
    )


def _alike(a: Tensor, b: Tensor) -> bool:
    scale = float(b.abs().nan_to_num(0.0, 0.0, 0.0).max()) if b.numel() else 0.0
    return a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=1e-3 * scale, equal_nan=True)


def usable_sites(
    net: Any, vicinity: Any, sites: tuple[str, ...], rows: Any, codes: LookedUp | None = None
) -> tuple[str, ...]:
    """Return where rows can be mixed; errors name a layer, or an input, where they cannot.

    Parameters
    ----------
    net : VicinalNet
        With its module made.
    vicinity : Vicinity
    sites : tuple of str
        What it found in the module.
    rows : Tensor, or dict or list of tensors, of three rows
    codes : LookedUp or None
        What is looked up in a table though it comes as floats: "auto" leaves the input out.
    """
    if isinstance(sites, SitesOfSeveral):
        each = zip(vicinity.vicinities, sites.members, strict=True)
        return SitesOfSeveral([usable_sites(net, v, names, rows, codes) for v, names in each])
    choose, found = vicinity.chooses_layers, []
    module = unwrap(net.module_)
    hidden = [site for site in sites if site != INPUT]
    if net.compile:  # compiled code mixes at the layers it was made with
        for site in hidden:
            standing_hook(net.module_, site)
    elif choose:
        hidden = block_names(module)
    averaged = codes is not None and INPUT in sites and codes.cannot_be_made_virtual(vicinity)
    if INPUT in sites:
        try:
            vicinity.check_rows(rows)
            if not averaged or not choose or not hidden:
                found.append(INPUT)
        except TypeError:
            if not choose or not hidden:
                raise
    if hidden and _is_default(net) and set(hidden) <= set(block_names(module)):
        found += hidden  # known to work; a check would cost milliseconds
    elif hidden and vicinity.pairs_rows:
        compiled = net.module_
        net.set_training(False)
        with net.uncompiled(), preserved_randomness(net._device_), net.full_precision():
            check = LayerCheck(compiled, net.infer, rows)
            found += check.usable(hidden, choose=choose, input_too=bool(found))
    if not found:
        vicinity.check_rows(rows)
    chosen = tuple(found or [INPUT]) if choose else tuple(sites)
    if codes is not None and averaged and INPUT in chosen:
        codes.warn()
    return chosen


def _is_default(net: Any) -> bool:
    return net.module is None and "activation" not in net.get_params_for("module")


def is_by_position(dataset: Any) -> bool:
    """Whether single rows can be looked at; a stream has no positions."""
    return (
        hasattr(dataset, "__getitem__")
        and hasattr(dataset, "__len__")
        and not isinstance(dataset, IterableDataset)
    )


def is_made_of_tensors(X: Any) -> bool:
    """Whether all of a batch is tensors; texts, for instance, are not."""
    return all(isinstance(part, torch.Tensor) for _, part in tensors_in(X))


def advice_on_type(module: torch.nn.Module, rows: Any) -> str | None:
    """Return a message if a module has failed whose parameters are of another type than X."""
    found = {p.dtype for p in module.parameters() if p.is_floating_point()} - {torch.float32}
    if not found or not isinstance(rows, torch.Tensor) or rows.dtype != torch.float32:
        return None
    return (
        f"{type(module).__name__} has parameters of {', '.join(sorted(map(str, found)))}, and X "
        "is float32: pass module.float(); for layers that compute in 16 bits there is "
        "precision='bfloat16'"
    )


class FirstBatchChecked:
    """Batches whose first inputs are checked, before the first step of the first epoch.

    Parameters
    ----------
    batches : iterable of (X, y)
    check : callable
        Gets X.
    """

    def __init__(self, batches: Any, check: Callable[[Any], None]):
        self.batches = batches
        self.check: Callable[[Any], None] | None = check

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.batches:
            if self.check is not None:
                self.check(batch[0])
                self.check = None
            yield batch


def _collated(net: Any, dataset: Any, chosen: Any, *, warn: bool = False) -> Any:
    """Inputs of a user's data set at the positions `chosen`, as one batch.

    With `warn`, warn of columns whose values become equal in float32.
    """
    collate = net.get_params_for("iterator_train").get("collate_fn")
    with items_looked_at():  # a transform may be random
        rows = [dataset[i] for i in chosen]
    inputs = default_collate([row[0] for row in rows]) if collate is None else collate(rows)[0]
    converted = input_cast(net)(inputs)
    if warn and isinstance(converted, torch.Tensor) and converted.dtype == torch.float32:
        warn_of_vanishing_columns(as_array(inputs), as_array(converted), type(net).__name__)
    return converted

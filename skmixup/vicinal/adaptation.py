"""Showing training rows to the modules that want to see some before they are trained."""

import inspect
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from skmixup.vicinal.batch_norm import statistics_of_rows
from skmixup.vicinal.nested import map_tensors, n_rows, take, tensors_in

# At most so many rows are sent through a module to see what arrives at one deep inside, so many of
# them at a time.
MAX_ROWS = 16_384
CHUNK = 1024


class _Seen(Exception):
    """Ends a forward pass once the input of a module is known."""


def adaptable_modules(module: nn.Module, prefix: str = "") -> list[tuple[str, nn.Module]]:
    """Name the outermost modules with a method ``adapt_to_data``; "" is `module` itself."""
    if callable(getattr(module, "adapt_to_data", None)):
        return [(prefix, module)]
    found = []
    for name, child in module.named_children():
        found += adaptable_modules(child, f"{prefix}.{name}" if prefix else name)
    return found


def adapt_to_rows(
    module: nn.Module, run: Callable[[Any], Any], rows: Any, y: Tensor | None = None
) -> None:
    """Show each module that has ``adapt_to_data`` what it will see of the training rows.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    run : callable
        Runs it on a batch.
    rows : Tensor, or dict or list of tensors
        The training rows. A module that gets them as they are is shown them as they are; one that
        gets what others make of them is shown that, of at most 16 384 rows. A module inside one
        that has the method is left to that one.
    y : Tensor of shape (n, …), optional
        Targets of the rows, for those that have a parameter `y`.

    Warns
    -----
    UserWarning
        If such a module is not called in evaluation mode.
    """
    targets = [target for _, target in adaptable_modules(module)]
    if targets and targets[0] is module:
        _show(targets[0], ((), rows) if isinstance(rows, dict) else ((rows,), {}), y)
        return
    if not targets:
        return
    few = take(rows, torch.arange(min(3, n_rows(rows))))
    given, calls = _first_calls(module, run, few, targets)
    for name, target in adaptable_modules(module):
        if target not in calls:
            warnings.warn(
                f"module {name!r} has a method adapt_to_data but is not called in evaluation "
                "mode, so it is shown no training rows",
                UserWarning,
                stacklevel=2,
            )
    whole = {
        id(tensor): all_of_it
        for tensor, part, all_of_it in zip(
            _tensors(given), _tensors(few), _tensors(rows), strict=False
        )
        if torch.equal(tensor.cpu(), part.cpu())  # else they were changed on their way
    }
    for target, arguments in calls.items():  # in the order of the calls: each changes the next
        if all(id(tensor) in whole for tensor in _tensors(arguments)):
            _show(target, _replaced(arguments, lambda tensor: whole[id(tensor)]), y)
        else:
            chosen = _chosen(n_rows(rows))
            some, of_some = (rows, y) if chosen is None else (take(rows, chosen), _at(y, chosen))
            _show(target, _inputs_of(target, module, run, some), of_some)


def _inputs_of(target: nn.Module, module: nn.Module, run: Callable[[Any], Any], rows: Any) -> Any:
    """Arguments of the first call of `target`, for all rows."""
    total = n_rows(rows)
    parts = [
        _first_calls(module, run, take(rows, index), [target])[1][target]
        for index in torch.arange(total).tensor_split(-(-total // CHUNK))
    ]
    joined = iter([torch.cat(column) for column in zip(*map(_tensors, parts), strict=True)])
    return _replaced(parts[0], lambda _: next(joined))


def _chosen(total: int) -> Tensor | None:
    """Rows drawn at random, since the first ones of sorted rows would mislead; None: all."""
    if total <= MAX_ROWS:
        return None
    return torch.randperm(total, generator=torch.Generator().manual_seed(0))[:MAX_ROWS]


def _at(y: Tensor | None, chosen: Tensor) -> Tensor | None:
    return None if y is None else y[chosen]


def _first_calls(
    module: nn.Module, run: Callable[[Any], Any], rows: Any, targets: list[nn.Module]
) -> tuple[Any, dict[nn.Module, Any]]:
    """Arguments that `module` gets, and those of the first call of each target, in order."""
    given: list[Any] = []
    calls: dict[nn.Module, Any] = {}

    def note_given(_module: nn.Module, args: Any, kwargs: Any) -> None:
        given.append((args, kwargs))

    def note(target: nn.Module, args: Any, kwargs: Any) -> None:
        calls.setdefault(target, (args, kwargs))
        if len(calls) == len(targets):
            raise _Seen

    with ExitStack() as stack:
        stack.enter_context(statistics_of_rows(module, n_rows(rows)))
        for hooked, hook in [(module, note_given), *((target, note) for target in targets)]:
            stack.callback(hooked.register_forward_pre_hook(hook, with_kwargs=True).remove)
        try:
            with torch.no_grad():
                run(rows)
        except _Seen:
            pass  # every target has been called: what comes after it need not run
    return given[0], calls


def _tensors(arguments: Any) -> list[Any]:
    return [tensor for _, tensor in tensors_in(arguments) if isinstance(tensor, Tensor)]


def _replaced(arguments: Any, function: Callable[[Tensor], Any]) -> Any:
    return map_tensors(lambda x: function(x) if isinstance(x, Tensor) else x, arguments)


def _show(
    target: nn.Module, arguments: tuple[tuple[Any, ...], dict[str, Any]], y: Tensor | None
) -> None:
    """Call ``adapt_to_data`` with what forward gets; with the first tensor if it takes but one.

    And with the targets if it has a parameter `y` which forward has not.
    """
    adapt: Any = target.adapt_to_data
    args, kwargs = arguments
    signature = inspect.signature(adapt)
    of_forward = {*inspect.signature(target.forward).parameters, *kwargs}
    targets = {"y": y} if "y" in signature.parameters and "y" not in of_forward else {}
    try:
        signature.bind(*args, **kwargs, **targets)
    except TypeError:
        args, kwargs = (_tensors(arguments)[0],), {}
    adapt(*args, **kwargs, **targets)

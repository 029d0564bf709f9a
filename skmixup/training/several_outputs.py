"""Modules that return several outputs: which of them a criterion is given, which are trained."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from skmixup.vicinal.blocks import unwrap
from skmixup.vicinal.nested import map_tensors, tensors_in


class WholeOutput:
    """A criterion of the user's that takes all outputs of the module, as skorch hands them over.

    It looks like one that takes the first.
    """

    def __init__(self, criterion: Any, output: tuple[Any, ...]):
        object.__setattr__(self, "criterion", criterion)
        object.__setattr__(self, "output", output)

    def __call__(self, first: Tensor, target: Tensor) -> Tensor:
        loss: Tensor = self.criterion(self.output, target)
        return loss

    def __getattr__(self, name: str) -> Any:
        return getattr(self.criterion, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.criterion, name, value)


def takes_all_outputs(criterion: Any, output: tuple[Any, ...], target: Tensor) -> bool:
    """Whether a criterion is the user's own and can be computed on all outputs together."""
    criterion = unwrap(criterion) if isinstance(criterion, nn.Module) else criterion
    if type(criterion).__module__.split(".")[0] == "torch":
        return False
    if getattr(criterion, "__module__", "").split(".")[0] == "torch":  # a function
        return False
    try:
        with torch.no_grad():
            rehearse(lambda own, *given: own(*given), criterion, output, target)
    except Exception:
        return False
    return True


def rehearse(function: Callable[..., Any], criterion: Any, *tensors: Any) -> Any:
    """Call `function` with a copy of a criterion, which may keep count of what it sees.

    Parameters
    ----------
    function : callable
        Of the criterion and `tensors`, which may fail.
    criterion : callable
    *tensors : Tensor, or several in a tuple
        What the criterion is tried on.

    Notes
    -----
    On a GPU it is tried on the CPU first: an assertion that fails in a kernel, such as that of
    torch.nn.BCELoss, makes the device useless to the process until its end.
    """
    given = [tensor for _, tensor in tensors_in(tensors) if isinstance(tensor, Tensor)]
    if any(tensor.device.type != "cpu" for tensor in given):
        copied, moved = deepcopy(criterion), map_tensors(_on_cpu, tensors)
        try:
            function(copied.cpu() if isinstance(copied, nn.Module) else copied, *moved)
        except RuntimeError as error:
            if "device" not in str(error):  # else it has tensors of its own on the GPU
                raise
    return function(deepcopy(criterion), *tensors)


def _on_cpu(value: Any) -> Any:
    return value.cpu() if isinstance(value, Tensor) else value


def warn_of_untrained(module: nn.Module, output: tuple[Any, ...]) -> None:
    """Warn where a further output has parameters of its own, or is a loss: nothing trains it.

    Hidden states and attention weights, which the first output is computed with, raise no alarm.
    """
    first, *further = output
    further = list(_tensors(further))
    trained = _leaves(_tensors([first]))
    missing = _leaves(further) - trained
    names = [name for name, p in unwrap(module).named_parameters() if id(p) in missing]
    single = any(t.ndim == 0 and t.requires_grad for t in further)
    if not names and not single:
        return
    what = (
        f"parameters that only the others depend on are never trained: {', '.join(names[:6])}"
        if names
        else "one of the others, a single number that may be meant as a loss, is not"
    )
    warnings.warn(
        f"{type(unwrap(module)).__name__} returns {len(output)} outputs, of which the first is "
        f"trained; {what}. Override get_loss, which gets all outputs, or return the first only",
        UserWarning,
        stacklevel=2,
    )


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Mapping):
            yield from _tensors(value.values())
        elif isinstance(value, (tuple, list)):
            yield from _tensors(value)


def _leaves(tensors: Iterable[Tensor]) -> set[int]:
    """Identities of the parameters that gradients of `tensors` reach."""
    found, seen, waiting = set(), set(), []
    for tensor in tensors:
        if tensor.grad_fn is not None:
            waiting.append(tensor.grad_fn)
        elif tensor.requires_grad:
            found.add(id(tensor))
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None:
            found.add(id(variable))
        waiting += [following for following, _ in node.next_functions if following is not None]
    return found

"""Undoing training that has diverged: a network that was good before a call is so after it."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

# Numbers that are copied before a call: a gigabyte of float32. The copies lie where the network
# lies, which a larger one may fill.
MOST_NUMBERS = 2**28

#: What the error is to say.
UNDONE = "The network, its optimizer and its history are as they were before this call"
LOST = "The network is too large for a copy of it to be kept, and can no longer be used: fit again"


class Undoing:
    """What training changes in a net that is there already, as it was before.

    Parameters
    ----------
    net : net
        With its module and optimizer.
    """

    def __init__(self, net: Any):
        self.net = net
        self.n_epochs = len(net.history)
        optimizers = list(_optimizers(net))
        tensors = [*_tensors(net), *(t for o in optimizers for t in _tensors_in(dict(o.state)))]
        self.possible = sum(tensor.numel() for tensor in tensors) <= MOST_NUMBERS
        if self.possible:
            self.values = [(tensor, tensor.detach().clone()) for tensor in tensors]
            kept: list[Any] = [kept for o in optimizers for kept in (o.state, *o.param_groups)]
            self.layouts: list[tuple[Any, Any]] = [(one, _layout(dict(one))) for one in kept]

    def undo(self) -> bool:
        """Put all back, if there are copies; return whether there were."""
        if not self.possible:
            return False
        with torch.no_grad():
            for tensor, value in self.values:
                tensor.copy_(value)
        for one, layout in self.layouts:
            one.clear()
            one.update(layout)
        del self.net.history[self.n_epochs :]
        return True


def _tensors(net: Any) -> Iterator[Tensor]:
    """All parameters and buffers of a net, each once."""
    names = (*net._modules, *net._criteria)
    parts = [*net.networks(), *(net.__dict__.get(f"{name}_") for name in names)]
    seen: set[int] = set()
    for part in parts:
        if isinstance(part, nn.Module):
            for tensor in (*part.parameters(), *part.buffers()):
                if id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield tensor


def _optimizers(net: Any) -> Iterator[Optimizer]:
    for name in net._optimizers:
        optimizer = net.__dict__.get(f"{name}_")
        if isinstance(optimizer, Optimizer):
            yield optimizer


def _layout(value: Any) -> Any:
    """The same tensors in dictionaries and lists of their own."""
    if isinstance(value, dict):
        return {key: _layout(part) for key, part in value.items()}
    return [_layout(part) for part in value] if isinstance(value, list) else value


def _tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors_in(part)

"""Facts about mixing at a layer by hooks."""

import pytest
import torch
from torch import nn

from skmixup.vicinal.layers import mixing_at
from skmixup.vicinal.recomputation import GradientsPending


def sequential():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))


class Twice(nn.Module):
    """Calls `body` two times."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3, 3)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.body(self.body(x)))


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used = nn.Linear(3, 3)
        self.unused = nn.Linear(3, 3)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.used(x))


def double(h):
    return 2 * h


def test_the_output_of_the_layer_is_replaced_for_all_that_follows():
    net, x = sequential(), torch.randn(5, 4)
    with mixing_at(net, "2", double):
        mixed = net(x)
    torch.testing.assert_close(mixed, net[4](net[3](2 * net[2](net[1](net[0](x))))))


def test_a_layer_called_twice_is_mixed_at_its_first_call_only():
    net, x = Twice(), torch.randn(5, 3)
    with mixing_at(net, "body", double):
        mixed = net(x)
    torch.testing.assert_close(mixed, net.head(net.body(2 * net.body(x))))


def hooks_of(net):
    return [hook for child in net.modules() for hook in child._forward_hooks.values()]


def test_hooks_are_removed_where_an_interrupt_skips_the_end_of_the_context():
    net, pending = sequential(), GradientsPending()
    context = mixing_at(net, "2", double, until=pending)
    context.__enter__()  # kept, as a traceback keeps it, and never left
    pending.end()
    assert not hooks_of(net)


def test_hooks_are_removed_afterwards():
    net, x = sequential(), torch.randn(5, 4)
    clean = net(x)
    with mixing_at(net, "2", double):
        net(x)
    assert hooks_of(net) == []
    assert torch.equal(net(x), clean)


def test_hooks_are_removed_when_forward_raises():
    net = sequential()
    message = "shapes cannot be multiplied"
    with pytest.raises(RuntimeError, match=message), mixing_at(net, "2", double):
        net(torch.randn(5, 3))
    assert hooks_of(net) == []


def test_hooks_are_removed_when_mixing_raises():
    net = sequential()

    def broken(h):
        raise ArithmeticError

    with pytest.raises(ArithmeticError), mixing_at(net, "2", broken):
        net(torch.randn(5, 4))
    assert hooks_of(net) == []


def test_hooks_of_the_user_stay():
    net, seen = sequential(), []
    net[2].register_forward_hook(lambda _module, _args, output: seen.append(output))
    with mixing_at(net, "2", double):
        net(torch.randn(5, 4))
    net(torch.randn(5, 4))
    assert len(hooks_of(net)) == 1
    assert len(seen) == 2


def test_a_layer_that_is_not_called_is_an_error():
    net = Unused()
    message = r"'unused' was drawn .* did not call it"
    with pytest.raises(RuntimeError, match=message), mixing_at(net, "unused", double):
        net(torch.randn(5, 3))
    assert hooks_of(net) == []


def test_a_layer_that_returns_several_tensors_cannot_be_mixed():
    net = nn.Sequential(nn.LSTM(3, 4), nn.Identity())
    message = r"the output of layer '0' is a tuple"
    with pytest.raises(TypeError, match=message), mixing_at(net, "0", double):
        net(torch.randn(5, 3))


def test_a_layer_that_returns_integers_cannot_be_mixed():
    class Codes(nn.Module):
        def forward(self, x):
            return x.long()

    net = nn.Sequential(Codes(), nn.Embedding(3, 2))
    message = r"layer '0' has dtype torch.int64.*cannot be averaged"
    with pytest.raises(TypeError, match=message), mixing_at(net, "0", double):
        net(torch.zeros(5, 3))

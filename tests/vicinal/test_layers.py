"""Facts about layer names and about mixing at a layer by hooks."""

import numpy as np
import pytest
import torch
from torch import nn

from skmixup.networks import MLP, PreActResNet
from skmixup.vicinal.blocks import block_names, resolve_layers
from skmixup.vicinal.layers import mixing_at


def sequential():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))


class Wrapper(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.net = inner

    def forward(self, x):
        return self.net(x)


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


# ---- names


def test_blocks_are_the_children_with_parameters_without_the_head():
    assert block_names(sequential()) == ["0", "2"]


def test_a_lone_wrapper_is_entered_as_deep_as_it_goes():
    assert block_names(Wrapper(sequential())) == ["net.0", "net.2"]
    assert block_names(Wrapper(Wrapper(sequential()))) == ["net.net.0", "net.net.2"]


def test_a_linear_model_has_no_blocks():
    assert block_names(nn.Linear(3, 2)) == []
    assert block_names(Wrapper(nn.Linear(3, 2))) == []
    assert resolve_layers(nn.Linear(3, 2), "auto") == ("input",)


def test_the_default_networks_name_their_blocks():
    assert block_names(MLP(3, 2, hidden_sizes=(4, 4, 4))) == ["blocks.0", "blocks.1", "blocks.2"]
    assert block_names(PreActResNet(1, 2, width=4)) == ["stages.0", "stages.1", "stages.2"]


def test_mixup_layers_names_the_blocks():
    net = sequential()
    net.mixup_layers = ["3", "0"]
    assert block_names(net) == ["3", "0"]
    assert resolve_layers(net, [1, 2]) == ("3", "0")


@pytest.mark.parametrize("declared", [["9"], [""], ["0", "body"]])
def test_mixup_layers_that_do_not_exist_are_named(declared):
    net = sequential()
    net.mixup_layers = declared
    with pytest.raises(ValueError, match=rf"mixup_layers names '{declared[-1]}'.*'0', '1', '2'"):
        block_names(net)


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        ("auto", ("input", "0", "2")),
        (0, ("input",)),
        ("input", ("input",)),
        (2, ("2",)),
        ([0, 1, 2], ("input", "0", "2")),
        ([2, 0], ("2", "input")),
        (["1", 1], ("1", "0")),  # the name "1" is the ReLU, the integer 1 the first block
        ([1, "0", 1], ("0",)),
        ((0,), ("input",)),
        (np.int64(1), ("0",)),
        (np.array([0, 2]), ("input", "2")),
    ],
)
def test_integers_count_blocks_and_strings_are_names(layers, names):
    assert resolve_layers(sequential(), layers) == names


def test_nested_names_are_dotted():
    net = nn.Sequential(Wrapper(sequential()), nn.Linear(2, 2))
    assert resolve_layers(net, ["0.net.3", "0"]) == ("0.net.3", "0")


def test_names_are_those_of_the_module_behind_torch_compile():
    compiled = torch.compile(sequential(), backend="eager")
    assert resolve_layers(compiled, "auto") == ("input", "0", "2")


@pytest.mark.parametrize(
    "bad", [3, -1, "body", "", [0, 7], ["0", "9"], True, 1.5, [1.0], None, [[0]]]
)
def test_unknown_layers_are_named_with_those_that_exist(bad):
    valid = (
        r"layers has .*Valid integers: 0 \('input'\), 1 \('0'\), 2 \('2'\)\. "
        r"Valid names: 'input', '0', '1', '2', '3', '4'"
    )
    with pytest.raises(ValueError, match=valid):
        resolve_layers(sequential(), bad)


def test_an_empty_set_of_layers_is_refused():
    with pytest.raises(ValueError, match="layers is empty"):
        resolve_layers(sequential(), [])


# ---- mixing


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

"""Facts about the default network for tables."""

import pytest
import torch
from torch import nn

from skmixup import MixupClassifier
from skmixup.networks import MLP, PreActResNet
from skmixup.networks.embeddings import PeriodicEmbeddings, PiecewiseLinearEmbeddings
from skmixup.networks.members import MemberDropout


@pytest.mark.parametrize("sizes", [(), (5,), (5, 6, 7)])
def test_the_mlp_is_its_blocks_and_a_linear_head(sizes):
    net = MLP(4, 3, hidden_sizes=sizes, n_members=1, dropout=0.2, batch_norm=True).eval()
    x = torch.randn(6, 4)
    h = net.embedding(net.scaling(x))
    for name in net.mixup_layers:
        h = net.get_submodule(name)(h)
    assert len(net.mixup_layers) == len(sizes)
    torch.testing.assert_close(net(x), net.head(h))
    widths = [m.out_features for m in net.modules() if isinstance(m, nn.Linear)]
    assert widths == [*sizes, 3]


def test_options_of_the_mlp_choose_its_layers():
    def kinds(**options):
        return [type(m) for m in MLP(4, 2, hidden_sizes=(3,), **options).blocks[0]]

    assert kinds(dropout=0) == [nn.Linear, nn.ReLU]
    assert kinds() == [nn.Linear, nn.ReLU, MemberDropout]
    assert kinds(n_members=1) == [nn.Linear, nn.ReLU, nn.Dropout]
    assert kinds(n_members=1, batch_norm=True, activation=nn.SiLU, dropout=0.0) == [
        nn.Linear, nn.BatchNorm1d, nn.SiLU,
    ]  # fmt: skip


def test_columns_are_embedded_up_to_some_number_of_them():
    def kind(n_features, **options):
        return type(MLP(n_features, 2, hidden_sizes=(3,), **options).embedding)

    assert kind(256) is kind(257, embedding="periodic") is PeriodicEmbeddings
    assert kind(257) is kind(4, embedding=None) is nn.Identity


@pytest.mark.parametrize("n_members", [1, 3])
def test_a_temperature_divides_logits_in_evaluation_only(n_members):
    net = MLP(4, 3, n_members=n_members, dropout=0.0)
    x = torch.randn(6, 4)
    training, logits = net(x), net.eval()(x)
    net.temperature.fill_(0.5)
    torch.testing.assert_close(net(x), 2 * logits)
    assert torch.equal(net.train()(x), training)


def test_files_without_a_temperature_load():
    net, other = MLP(4, 3), MLP(4, 3)
    state = net.state_dict()
    assert state.pop("temperature") == 1
    other.load_state_dict(state)
    x = torch.randn(6, 4)
    assert torch.equal(other.eval()(x), net.eval()(x))


@pytest.mark.parametrize("value", ["16", (0,), (8, -3), (2.5,), (True,), True, 2.5, None])
def test_sizes_are_named_where_they_are_none(value):
    with pytest.raises(ValueError, match="hidden_sizes must be ints of at least 1"):
        MLP(4, 2, hidden_sizes=value)
    with pytest.raises(ValueError, match="depths must be ints of at least 1"):
        PreActResNet(1, 2, depths=value)
    with pytest.raises(ValueError, match="width must be an int, at least 1"):
        PreActResNet(1, 2, width=value)
    for name in ("n_features", "n_outputs", "n_members"):
        with pytest.raises(ValueError, match=f"{name} must be an int, at least 1"):
            MLP(**{"n_features": 4, "n_outputs": 2, name: value})
    for kind, name in (
        (PeriodicEmbeddings, "n_frequencies"),
        (PiecewiseLinearEmbeddings, "n_bins"),
        (PiecewiseLinearEmbeddings, "n_curves"),
    ):
        with pytest.raises(ValueError, match=f"{name} must be an int, at least 1"):
            kind(4, **{name: value})


@pytest.mark.parametrize("value", [-0.1, 1.0, 2, float("nan"), None, "0.1"])
def test_a_dropout_leaves_some_units(value):
    with pytest.raises(ValueError, match="dropout must be at least 0 and less than 1"):
        MLP(4, 2, dropout=value)


@pytest.mark.parametrize("value", ["relu", None, nn.GELU(), torch.relu, nn.Linear, dict])
def test_activations_are_classes_of_modules(value):
    with pytest.raises(TypeError, match=r"activation must be .* such as torch\.nn\.ReLU"):
        MLP(4, 2, activation=value)
    with pytest.raises(TypeError, match="activation must be a class of modules"):
        MixupClassifier(module__activation=value).fit(torch.randn(8, 4), [0, 1] * 4)
    assert isinstance(MLP(4, 2, activation=lambda: nn.LeakyReLU(0.2)).blocks[0][1], nn.LeakyReLU)

"""Facts about the default network for tables."""

import pytest
import torch
from torch import nn

from skmixup.networks import MLP
from skmixup.networks.members import MemberDropout


@pytest.mark.parametrize("sizes", [(), (5,), (5, 6, 7)])
def test_the_mlp_is_its_blocks_and_a_linear_head(sizes):
    net = MLP(4, 3, hidden_sizes=sizes, n_members=1, dropout=0.2, batch_norm=True).eval()
    x = torch.randn(6, 4)
    h = net.scaling(x)
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

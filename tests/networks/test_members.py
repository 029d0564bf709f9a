"""Facts about networks with members."""

import pytest
import torch
from torch import nn

from skmixup.networks import MLP
from skmixup.networks.members import (
    MemberDropout,
    MemberHeads,
    MemberInputs,
    average_members,
    members_as_rows,
)


def test_each_member_is_the_network_with_its_own_inputs_and_head():
    net = MLP(4, 3, hidden_sizes=(6, 5), n_members=7, dropout=0.0, embedding=None)
    net.members.weight.data = torch.randn(7, 4)
    x = torch.randn(10, 4)
    together = net(x)
    assert together.shape == (10, 3, 7)
    for k in range(7):
        h = net.blocks(net.scaling(x) * net.members.weight[k])
        logits = h @ net.head.weight[k] + net.head.bias[k]
        torch.testing.assert_close(together[:, :, k], logits)


@pytest.mark.parametrize("n_outputs", [3, 40])
def test_the_prediction_is_the_mean_of_the_members_probabilities(n_outputs):
    net = MLP(4, n_outputs, n_members=5, dropout=0.0)
    x = torch.randn(10, 4)
    members = net(x)
    torch.testing.assert_close(
        net.eval()(x).softmax(dim=1), members.softmax(dim=1).mean(dim=2), rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(net(x), average_members(members))


def test_members_begin_as_random_signs_and_heads_as_linear_layers():
    torch.manual_seed(0)
    weight = MemberInputs(50, 40).weight
    assert set(weight.unique().tolist()) == {-1.0, 1.0}
    assert abs(weight.mean().item()) < 0.1
    heads, linear = MemberHeads(64, 30, 8), nn.Linear(64, 30)
    for ours, theirs in ((heads.weight, linear.weight), (heads.bias, linear.bias)):
        assert ours.abs().max().item() <= 1 / 8
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.3)


def test_dropout_drops_the_same_units_of_a_row_in_all_members():
    torch.manual_seed(0)
    dropout = MemberDropout(0.3)
    h = torch.randn(200, 4, 50)
    dropped = dropout(h)
    kept = dropped != 0
    assert torch.equal(kept, kept[:, :1].expand_as(kept))
    assert 0.68 < kept.float().mean().item() < 0.72
    assert not torch.equal(kept[0], kept[1])
    torch.testing.assert_close(dropped[kept], h[kept] / 0.7)
    assert torch.equal(dropout.eval()(h), h)


def test_members_as_rows_keeps_a_rows_members_together():
    logits = torch.randn(4, 3, 2)
    rows = members_as_rows(logits)
    for i in range(4):
        for k in range(2):
            assert torch.equal(rows[2 * i + k], logits[i, :, k])
    assert members_as_rows(logits[:, :, 0]) is not None
    assert torch.equal(members_as_rows(logits[:, :, 0]), logits[:, :, 0])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"n_members": 0}, "n_members must be"), ({"batch_norm": True}, "needs n_members=1")],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        MLP(4, 3, **options)

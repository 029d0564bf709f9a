"""Which parameters a step with blocked gradients leaves as they are."""

import pytest
import torch
from torch.nn import functional as F

from skmixup import ManifoldMixupClassifier
from tests.training.steps import (
    Shared,
    X,
    Y,
    classifier,
    draw_at,
    gradients,
    initialised,
    sequential,
    step,
)

BELOW = ["0.weight", "0.bias", "2.weight", "2.bias"]
ABOVE = ["4.weight", "4.bias"]


def plain_gradients(net, site):
    step(net, draw_at(site))
    return gradients(net)


def test_below_blocks_the_gradient_of_the_parameters_below_only():
    net = initialised()
    expected = plain_gradients(net, "2")
    step(net, draw_at("2", block_gradient="below"))
    actual = gradients(net)
    for name in BELOW:
        assert actual[name] is None, name
    for name in ABOVE:
        assert torch.equal(actual[name], expected[name]), name


def test_above_blocks_the_gradient_of_the_parameters_above_only():
    net = initialised()
    expected = plain_gradients(net, "2")
    step(net, draw_at("2", block_gradient="above"))
    actual = gradients(net)
    for name in BELOW:
        torch.testing.assert_close(actual[name], expected[name])
    for name in ABOVE:
        assert actual[name] is None, name


def test_at_the_input_below_blocks_nothing_and_above_everything():
    net = initialised()
    expected = plain_gradients(net, "input")
    step(net, draw_at("input", block_gradient="below"))
    assert all(torch.equal(expected[name], g) for name, g in gradients(net).items())
    step(net, draw_at("input", block_gradient="above"))
    assert all(g is None for g in gradients(net).values())


def test_parameters_on_both_sides_get_the_share_from_below():
    net = initialised(module=Shared)
    draw = draw_at("shared", block_gradient="above")
    step(net, draw)
    actual = gradients(net)
    m, x = net.module_, torch.from_numpy(X)
    mixed = draw.apply(F.linear(m.entry(x), m.shared.weight, m.shared.bias))
    frozen = m.shared.weight.detach(), m.shared.bias.detach()
    logits = (
        F.linear(torch.tanh(F.linear(torch.tanh(mixed), *frozen)), m.head.weight.detach(), None)
        + m.head.bias.detach()
    )
    one_hot = F.one_hot(torch.from_numpy(Y), 3).float()
    target = draw.lam * one_hot + (1 - draw.lam) * one_hot[draw.partner]
    m.zero_grad()
    (-(target * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()).backward()
    for name in ["entry.weight", "entry.bias", "shared.weight", "shared.bias"]:
        torch.testing.assert_close(actual[name], gradients(net)[name], atol=1e-6, rtol=1e-4)
    assert actual["head.weight"] is None


def test_where_what_may_learn_is_frozen_nothing_does():
    for block, frozen in (("below", slice(2, None)), ("above", slice(0, 2))):
        module = sequential()
        module[frozen].requires_grad_(False)
        net = initialised(module=module, block_gradient=block)
        step(net, draw_at("1", block_gradient=block))
        assert all(gradient is None for gradient in gradients(net).values())


@pytest.mark.parametrize("block", ["below", "above"])
def test_fit_moves_only_what_block_gradient_leaves(block):
    net = classifier(
        ManifoldMixupClassifier, alpha=1.0, layers=[2], block_gradient=block,
        optimizer=torch.optim.SGD,
    )  # fmt: skip
    start = classifier(ManifoldMixupClassifier, max_epochs=0).fit(X, Y).module_.state_dict()
    end = net.fit(X, Y).module_.state_dict()
    moved = {name for name in start if not torch.equal(start[name], end[name])}
    assert moved == set(ABOVE if block == "below" else BELOW)


@pytest.mark.parametrize("block", ["below", "above"])
def test_momentum_of_parameters_that_learn_in_some_steps_only(block):
    params = {"alpha": 1.0, "layers": [1, 2], "block_gradient": block, "max_epochs": 3}
    params |= {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "batch_size": 4}
    net, plain = (
        classifier(ManifoldMixupClassifier, **params, **chosen).fit(X, Y)
        for chosen in ({}, {"optimizer__fused": False})
    )
    assert net.loss_curve_ == plain.loss_curve_

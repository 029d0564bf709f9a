"""Facts about the default network for images."""

import pytest
import torch
from torch import nn

from skmixup.networks import PreActResNet
from skmixup.networks.resnet import PreActBlock


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (17, 9)])
def test_the_resnet_takes_images_of_any_size(size):
    net = PreActResNet(2, 3, width=4)
    assert net(torch.randn(5, 2, *size)).shape == (5, 3)


def test_each_stage_halves_the_image_and_doubles_the_channels():
    net = PreActResNet(1, 3, width=4, depths=(1, 2, 1)).eval()
    h, shapes = net.stem(torch.randn(2, 1, 16, 16)), []
    for name in net.mixup_layers:
        h = net.get_submodule(name)(h)
        shapes.append(tuple(h.shape[1:]))
    assert shapes == [(4, 16, 16), (8, 8, 8), (16, 4, 4)]


def test_a_residual_block_with_its_branch_at_zero_is_the_identity():
    block = PreActBlock(3, 3, 1)
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 3, 5, 5)
    assert torch.equal(block(x), x)


def test_blocks_named_for_mixing_are_whole_stages_after_the_sum():
    net = PreActResNet(1, 3, width=4, depths=(2, 1))
    assert net.mixup_layers == ["stages.0", "stages.1"]
    assert all(isinstance(net.get_submodule(n)[-1], PreActBlock) for n in net.mixup_layers)

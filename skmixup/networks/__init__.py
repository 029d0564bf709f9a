"""The default networks, and what others may begin with."""

from skmixup.networks.mlp import MLP
from skmixup.networks.resnet import PreActResNet
from skmixup.networks.scaling import ChannelScaling

__all__ = ["MLP", "ChannelScaling", "PreActResNet"]

"""The default networks."""

from skmixup.networks.mlp import MLP
from skmixup.networks.resnet import PreActResNet

__all__ = ["MLP", "PreActResNet"]

"""Vicinal risk minimisation in torch: vicinities, mixing at a layer, the loss."""

from skmixup.vicinal.random_choice import RandomChoice
from skmixup.vicinal.vicinity import CutMix, Dirac, Gaussian, ManifoldMixup, Mixup, Vicinity

__all__ = ["CutMix", "Dirac", "Gaussian", "ManifoldMixup", "Mixup", "RandomChoice", "Vicinity"]

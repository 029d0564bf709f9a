"""Vicinal risk minimisation in torch: vicinities, mixing at a layer, loss, training step."""

from skmixup.vicinal.vicinity import CutMix, Dirac, Gaussian, ManifoldMixup, Mixup, Vicinity

__all__ = ["CutMix", "Dirac", "Gaussian", "ManifoldMixup", "Mixup", "Vicinity"]

"""Vicinities: the distributions around the training pairs that virtual pairs are drawn from.

A vicinity is drawn from once per optimizer step. What it draws, a :class:`Draw`, holds every
random choice of that step, so that it can be applied any number of times (LBFGS runs its closure
repeatedly), to the input or to a hidden layer, and to the labels, always with the same outcome.
"""

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from skmixup.vicinal.base import Vicinity
from skmixup.vicinal.blocks import INPUT
from skmixup.vicinal.cutmix import CutMix
from skmixup.vicinal.draw import Draw, Noise
from skmixup.vicinal.layers import check_mixable
from skmixup.vicinal.mixup import ManifoldMixup, Mixup
from skmixup.vicinal.nested import map_tensors, tensors_in
from skmixup.vicinal.parameters import Alpha

__all__ = ["Alpha", "CutMix", "Dirac", "Gaussian", "ManifoldMixup", "Mixup", "Vicinity"]


class Dirac(Vicinity):
    """A point mass on every training pair: empirical risk minimisation.

    Examples
    --------
    >>> from skmixup.vicinal import Dirac
    >>> Dirac()
    Dirac()
    """

    def draw(self, x: Tensor, rng: Generator, sites: Sequence[str] = (INPUT,)) -> Draw:
        """Return the draw that changes nothing, without using `rng`."""
        return Draw()

    @property
    def changes_nothing(self) -> bool:
        """True."""
        return True


class Gaussian(Vicinity):
    """Additive Gaussian noise: (x_i + ε, y_i) with ε ~ N(0, σ² I).

    Parameters
    ----------
    sigma : float, default=0.1
        Standard deviation of the noise, in the units of the inputs. The default suits inputs
        scaled to unit variance; 0 is empirical risk minimisation.

    References
    ----------
    Chapelle, Weston, Bottou, Vapnik: Vicinal risk minimization. NIPS 13 (2000), section 3.

    Examples
    --------
    >>> from skmixup.vicinal import Gaussian
    >>> Gaussian(0.3).get_params()
    {'sigma': 0.3}
    """

    def __init__(self, sigma: float = 0.1):
        self.sigma = sigma

    def validate(self) -> Self:
        """Check that `sigma` is a finite number ≥ 0."""
        sigma = self.sigma
        if isinstance(sigma, bool) or not isinstance(sigma, Real):
            raise TypeError(f"sigma must be a finite number ≥ 0; got {sigma!r}")
        if not np.isfinite(float(sigma)) or sigma < 0:
            raise ValueError(f"sigma must be a finite number ≥ 0; got {sigma!r}")
        return self

    def draw(self, x: Tensor, rng: Generator, sites: Sequence[str] = (INPUT,)) -> Draw:
        """Draw one noise vector per row of `x`."""
        if self.sigma == 0:
            return Draw()
        self.check_rows(x)
        first = next(tensor for _, tensor in tensors_in(x) if tensor.is_floating_point())
        # Drawn on the device of x: noise has as many numbers as the minibatch.
        generator = torch.Generator(first.device).manual_seed(int(rng.integers(2**63)))

        def noise_like(tensor: Tensor) -> Tensor | None:
            if not tensor.is_floating_point():
                return None
            # In the order of the axes, whatever the memory's: equal rows get equal noise.
            noise = torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device)
            return noise.normal_(std=float(self.sigma), generator=generator)

        return Noise(noise=map_tensors(noise_like, x))

    @property
    def changes_nothing(self) -> bool:
        """Whether there is no noise."""
        return self.sigma == 0

    def check_rows(self, x: Any) -> None:
        """Check that there are floating-point values; integer codes beside them get no noise."""
        tensors = list(tensors_in(x, "the input of the module"))
        if not any(tensor.is_floating_point() for _, tensor in tensors):
            check_mixable(tensors[0][1], tensors[0][0])

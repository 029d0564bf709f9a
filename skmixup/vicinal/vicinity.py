"""Vicinities: the distributions around the training pairs that virtual pairs are drawn from.

A vicinity is drawn from once per optimizer step. What it draws, a :class:`Draw`, holds every
random choice of that step, so that it can be applied any number of times (LBFGS runs its closure
repeatedly), to the input or to a hidden layer, and to the labels, always with the same outcome.
"""

from collections.abc import Sequence
from math import prod
from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from skmixup.vicinal.base import Vicinity
from skmixup.vicinal.blocks import INPUT, resolve_layers
from skmixup.vicinal.draw import Draw, Interpolation, Noise, Paste, Swap
from skmixup.vicinal.layers import check_mixable
from skmixup.vicinal.nested import leading, map_tensors, tensors_in
from skmixup.vicinal.parameters import Alpha, beta_parameters, check_choice, check_probability


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
            return torch.empty_like(tensor).normal_(std=float(self.sigma), generator=generator)

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


class Mixup(Vicinity):
    r"""Convex combinations of pairs of rows and of their labels.

    .. math::  \tilde x = λ x_i + (1 − λ) x_j, \quad \tilde y = λ y_i + (1 − λ) y_j, \quad
               λ \sim \mathrm{Beta}(α, α)

    with the partners j a random permutation of the minibatch.

    Parameters
    ----------
    alpha : float or pair of float, default=1.0
        Strength: λ ~ Beta(α, α), or Beta(a, b) for a pair. 0 is empirical risk minimisation,
        exactly; the larger, the closer λ is to ½. 1, the paper's choice for CIFAR, makes λ
        uniform.
    mix_per : {"batch", "sample"}, default="batch"
        One λ for the whole minibatch, as in the papers, or one for each pair.
    mix_prob : float in [0, 1], default=1.0
        Probability that a minibatch, or with ``mix_per="sample"`` a row, is mixed at all. A row
        that is not has λ = 1.

    References
    ----------
    Zhang, Cissé, Dauphin, Lopez-Paz: mixup: Beyond Empirical Risk Minimization. ICLR 2018,
    arXiv:1710.09412, equation (1) and figure 1a.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skmixup.vicinal import Mixup
    >>> x = torch.eye(3)
    >>> draw = Mixup(alpha=1.0).draw(x, np.random.default_rng(0))
    >>> mixed = draw.apply(x)
    >>> torch.allclose(mixed, draw.lam * x + (1 - draw.lam) * x[draw.partner])
    True
    """

    def __init__(self, alpha: Alpha = 1.0, *, mix_per: str = "batch", mix_prob: float = 1.0):
        self.alpha = alpha
        self.mix_per = mix_per
        self.mix_prob = mix_prob

    def validate(self) -> Self:
        """Check `alpha`, `mix_per` and `mix_prob`."""
        beta_parameters(self.alpha)
        check_choice("mix_per", self.mix_per, ["batch", "sample"])
        check_probability("mix_prob", self.mix_prob)
        return self

    @property
    def pairs_rows(self) -> bool:
        """True."""
        return True

    def check_rows(self, x: Any) -> None:
        """Check that all of `x` is floating-point values: integer codes have no averages."""
        for what, tensor in tensors_in(x, "the input of the module"):
            check_mixable(tensor, what)

    @property
    def changes_nothing(self) -> bool:
        """Whether `alpha` or `mix_prob` is 0."""
        return beta_parameters(self.alpha)[0] == 0 or self.mix_prob == 0

    def draw(self, x: Tensor, rng: Generator, sites: Sequence[str] = (INPUT,)) -> Draw:
        """Draw λ, the partners and, among several, the site."""
        a, b = beta_parameters(self.alpha)
        per_sample = self.mix_per == "sample"
        if a == 0 or self.mix_prob == 0:
            return Draw()
        if self.mix_prob < 1 and not per_sample and rng.random() >= self.mix_prob:
            return Draw()
        first = leading(x)
        lam = rng.beta(a, b, size=len(first) if per_sample else None)
        if self.mix_prob < 1 and per_sample:
            lam[rng.random(len(first)) >= self.mix_prob] = 1.0
        partner = torch.from_numpy(rng.permutation(len(first))).to(first.device)
        return self._pair(x, lam, partner, rng, sites)

    def _pair(
        self, x: Any, lam: Any, partner: Tensor, rng: Generator, sites: Sequence[str]
    ) -> Draw:
        return Interpolation(lam=_like(lam, x), partner=partner)


def _like(lam: Any, x: Any) -> Tensor:
    """λ as a tensor for `x`: of its floating type, on its device."""
    first = leading(x)
    dtype = first.dtype if first.is_floating_point() else torch.get_default_dtype()
    return torch.as_tensor(lam, dtype=dtype, device=first.device)


class ManifoldMixup(Mixup):
    r"""Mixup at a layer drawn at random for each minibatch.

    .. math::  f_k(λ g_k(x_i) + (1 − λ) g_k(x_j)), \quad
               \tilde y = λ y_i + (1 − λ) y_j, \quad k \sim \mathrm{Uniform}(S)

    where f = f_k ∘ g_k splits the network at layer k.

    Parameters
    ----------
    alpha : float or pair of float, default=2.0
        As in :class:`Mixup`; 2 is the paper's choice for images.
    layers : "auto", int, str or sequence of these, default="auto"
        The set S: ``0`` or ``"input"`` is the input, k ≥ 1 the output of the k-th block, any other
        string a name from ``module.named_modules()``. ``"auto"`` is the input and the first two
        blocks.
    block_gradient : {None, "below", "above"}, default=None
        ``"below"``: no gradient flows below the mixed layer in that step; ``"above"``: the
        parameters above it get none (at the input, then, none at all do).
    mix_per, mix_prob
        As in :class:`Mixup`.

    References
    ----------
    Verma, Lamb, Beckham, Najafi, Mitliagkas, Lopez-Paz, Bengio: Manifold Mixup: Better
    Representations by Interpolating Hidden States. ICML 2019, arXiv:1806.05236, equation (1).

    Examples
    --------
    >>> from torch import nn
    >>> from skmixup.vicinal import ManifoldMixup
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 2))
    >>> ManifoldMixup(layers=[0, 2]).sites(net)
    ('input', '2')
    """

    def __init__(
        self,
        alpha: Alpha = 2.0,
        layers: str | int | Sequence[str | int] = "auto",
        *,
        block_gradient: str | None = None,
        mix_per: str = "batch",
        mix_prob: float = 1.0,
    ):
        super().__init__(alpha, mix_per=mix_per, mix_prob=mix_prob)
        self.layers = layers
        self.block_gradient = block_gradient

    def validate(self) -> Self:
        """Check the parameters of :class:`Mixup` and `block_gradient`."""
        super().validate()
        check_choice("block_gradient", self.block_gradient, [None, "below", "above"])
        return self

    def sites(self, module: nn.Module) -> tuple[str, ...]:
        """Names of the layers in S; ValueError for one that `module` does not have."""
        return resolve_layers(module, self.layers)

    @property
    def chooses_layers(self) -> bool:
        """Whether `layers` is "auto"."""
        return isinstance(self.layers, str) and self.layers == "auto"

    def _pair(
        self, x: Any, lam: Any, partner: Tensor, rng: Generator, sites: Sequence[str]
    ) -> Draw:
        site = sites[int(rng.integers(len(sites)))]
        return Interpolation(
            site=site, lam=_like(lam, x), partner=partner, block_gradient=self.block_gradient
        )


class CutMix(Mixup):
    r"""Parts of x_j in place of those of x_i; labels mixed by their share. Nothing is averaged.

    In images the part is a box with the centre of a uniformly drawn pixel and sides
    :math:`W\sqrt{1−λ}` and :math:`H\sqrt{1−λ}` with λ ~ Beta(α, α), clipped at the border. In
    tables each column is taken from x_i with probability λ and from x_j otherwise, so that
    integer codes of categories, which have no averages, are mixed too. λ is then set to the share
    of pixels, or of columns, that are those of x_i.

    Parameters
    ----------
    alpha : float or pair of float, default=1.0
        As in :class:`Mixup`; 1, the paper's choice, makes λ uniform.
    mix_per : {"batch", "sample"}, default="batch"
        One box, or one choice of columns, for the whole minibatch or one for each pair.
    mix_prob : float in [0, 1], default=1.0
        As in :class:`Mixup`.

    Notes
    -----
    The inputs are images, (n, channels, height, width), or tables, (n, n_features); a dict or list
    of tables, (n,) being one column, is one table with all their columns. One-hot encoded
    categories are several columns, which would be torn apart: give codes to a module with an
    embedding instead.

    References
    ----------
    Yun, Han, Oh, Chun, Choe, Yoo: CutMix: Regularization Strategy to Train Strong Classifiers with
    Localizable Features. ICCV 2019, arXiv:1905.04899, equations (1) and (2).

    Somepalli, Goldblum, Schwarzschild, Bruss, Goldstein: SAINT: Improved Neural Networks for
    Tabular Data via Row Attention and Contrastive Pre-Training. 2021, arXiv:2106.01342 (columns).

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skmixup.vicinal import CutMix
    >>> x = torch.arange(2.0).view(2, 1, 1, 1).expand(2, 1, 8, 8)
    >>> draw = CutMix(alpha=1.0).draw(x, np.random.default_rng(3))
    >>> pasted = (draw.apply(x) != x).float().mean(dim=(1, 2, 3))
    >>> torch.allclose(pasted[draw.partner != torch.arange(2)], 1 - draw.lam)
    True

    Codes of categories stay codes:

    >>> codes = torch.tensor([[0, 0, 0, 0], [7, 7, 7, 7]])
    >>> draw = CutMix(alpha=1.0).draw(codes, np.random.default_rng(3))
    >>> draw.lam, draw.apply(codes)
    (tensor(0.2500), tensor([[7, 0, 7, 7],
            [0, 7, 0, 0]]))
    """

    def draw(self, x: Tensor, rng: Generator, sites: Sequence[str] = (INPUT,)) -> Draw:
        """Draw λ, the partners, and the box or the columns."""
        self.check_rows(x)
        return super().draw(x, rng, sites)

    def check_rows(self, x: Any) -> None:
        """Check that `x` is images, several with one height and width, or tables."""
        shapes = [tuple(tensor.shape) for _, tensor in tensors_in(x)]
        images = all(len(shape) == 4 for shape in shapes) and len({s[2:] for s in shapes}) == 1
        if not images and not all(len(shape) in (1, 2) for shape in shapes):
            raise ValueError(
                "CutMix needs images of shape (n, channels, height, width), and several of one "
                "size, or tables of shape (n, n_features); got a minibatch of shape "
                f"{', '.join(map(str, shapes))}"
            )

    def _pair(
        self, x: Any, lam: Any, partner: Tensor, rng: Generator, sites: Sequence[str]
    ) -> Draw:
        lam = np.atleast_1d(lam)
        pair = self._box if leading(x).ndim == 4 else self._columns
        return pair(x, lam, partner, rng)

    def _box(self, x: Any, lam: NDArray[Any], partner: Tensor, rng: Generator) -> Draw:
        first = leading(x)
        size = tuple(first.shape[2:])
        inside = np.ones((len(lam), *size), dtype=bool)
        for axis, length in enumerate(size, start=1):
            half = (length * np.sqrt(1 - lam)).astype(int) // 2
            centre = rng.integers(length, size=len(lam))
            pixel = np.arange(length)
            within = (pixel >= (centre - half)[:, None]) & (pixel < (centre + half)[:, None])
            inside &= np.expand_dims(within, 3 - axis)
        share = 1 - inside.reshape(len(lam), -1).sum(axis=1) / prod(size)
        return Paste(
            lam=self._share(share, x),
            partner=partner,
            inside=torch.from_numpy(inside).unsqueeze(1).to(first.device),
        )

    def _columns(self, x: Any, lam: NDArray[Any], partner: Tensor, rng: Generator) -> Draw:
        tensors = [tensor for _, tensor in tensors_in(x)]
        widths = [tensor[0].numel() for tensor in tensors]
        kept = rng.random((len(lam), sum(widths))) < lam[:, None]
        parts = np.split(kept, np.cumsum(widths)[:-1], axis=1)
        return Swap(
            lam=self._share(kept.mean(axis=1), x),
            partner=partner,
            kept=tuple(
                torch.from_numpy(part[:, 0] if tensor.ndim == 1 else part).to(tensor.device)
                for part, tensor in zip(parts, tensors, strict=True)
            ),
        )

    def _share(self, share: NDArray[Any], x: Any) -> Tensor:
        return _like(share if self.mix_per == "sample" else share[0], x)

"""Vicinities that interpolate between two rows: at the input, or at a hidden layer."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from numpy.random import Generator
from torch import Tensor, nn

from skmixup.vicinal.base import Vicinity
from skmixup.vicinal.blocks import INPUT, resolve_layers
from skmixup.vicinal.draw import Draw, Interpolation, PartnerRows
from skmixup.vicinal.layers import check_mixable
from skmixup.vicinal.nested import leading, sent, tensors_in
from skmixup.vicinal.pairing import similar_partners
from skmixup.vicinal.parameters import (
    Alpha,
    beta_parameters,
    check_choice,
    check_positive,
    check_probability,
)


class Mixup(Vicinity):
    r"""Convex combinations of pairs of rows and of their labels.

    .. math::  \tilde x = λ x_i + (1 − λ) x_j, \quad \tilde y = λ y_i + (1 − λ) y_j, \quad
               λ \sim \mathrm{Beta}(α, α)

    with the partners j a random permutation of the minibatch, unless `pairing` says otherwise.

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
    pairing : {"uniform", "similar"}, default="uniform"
        Partners are a random permutation of the minibatch, or (C-Mixup) each is drawn with
        probability :math:`∝ \exp(−\|y_i − y_j\|^2 / (2σ^2))`, so that rows mix with rows of
        similar targets.
    bandwidth : float, default=1.0
        σ, where ``pairing="similar"``: of regressors in standard deviations of the targets; two
        different classes are :math:`\sqrt 2` apart.
    partners : {"batch", "all"}, default="batch"
        Where partners are drawn from: the minibatch, or all training rows, as in C-Mixup's paper.
        "all" needs X and y as arrays; where it mixes at a hidden layer, the module runs on the
        partners too, and a step costs about twice as much.

    References
    ----------
    Zhang, Cissé, Dauphin, Lopez-Paz: mixup: Beyond Empirical Risk Minimization. ICLR 2018,
    arXiv:1710.09412, equation (1) and figure 1a.

    Yao, Wang, Zhang, Zou, Finn: C-Mixup: Improving Generalization in Regression. NeurIPS 2022,
    arXiv:2210.05775, equation (6).

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

    # of objects that an earlier version has pickled
    pairing: str = "uniform"
    bandwidth: float = 1.0
    partners: str = "batch"

    def __init__(
        self,
        alpha: Alpha = 1.0,
        *,
        mix_per: str = "batch",
        mix_prob: float = 1.0,
        pairing: str = "uniform",
        bandwidth: float = 1.0,
        partners: str = "batch",
    ):
        self.alpha = alpha
        self.mix_per = mix_per
        self.mix_prob = mix_prob
        self.pairing = pairing
        self.bandwidth = bandwidth
        self.partners = partners

    def validate(self) -> Self:
        """Check every parameter."""
        beta_parameters(self.alpha)
        check_choice("mix_per", self.mix_per, ["batch", "sample"])
        check_probability("mix_prob", self.mix_prob)
        check_choice("pairing", self.pairing, ["uniform", "similar"])
        check_positive("bandwidth", self.bandwidth)
        check_choice("partners", self.partners, ["batch", "all"])
        return self

    @property
    def pairs_by_target(self) -> bool:
        """Whether `pairing` is "similar"."""
        return self.pairing == "similar"

    @property
    def pairs_with_all(self) -> bool:
        """Whether `partners` is "all"."""
        return self.partners == "all"

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

    def draw(
        self,
        x: Tensor,
        rng: Generator,
        sites: Sequence[str] = (INPUT,),
        *,
        target: Tensor | None = None,
        pool: Any = None,
    ) -> Draw:
        """Draw λ, the partners and, among several, the site.

        Parameters
        ----------
        x, rng, sites
            As in :meth:`Vicinity.draw`.
        target : Tensor of shape (n,) or (n, n_targets), optional
            What ``pairing="similar"`` compares.
        pool : PartnerPool, optional
            All training rows, for ``partners="all"``.
        """
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
        partner, outside = self._partners(len(first), target, pool, rng)
        draw = self._pair(x, lam, sent(partner, first.device), rng, sites)
        return draw if outside is None else replace(draw, outside=outside)

    def _partners(
        self, n: int, target: Tensor | None, pool: Any, rng: Generator
    ) -> tuple[Tensor, PartnerRows | None]:
        """Return which rows are partners, and these rows where they are not in the minibatch."""
        if self.pairs_by_target and target is None:
            raise ValueError("pairing='similar' compares targets, of which draw(…) was given none")
        if self.pairs_with_all:
            if pool is None:
                raise ValueError(
                    "partners='all' draws from all training rows, of which draw(…) was given none"
                )
            if self.pairs_by_target:
                return torch.arange(n, 2 * n), pool.similar(target, float(self.bandwidth), rng)
            return torch.arange(n, 2 * n), pool.uniform(n, rng)
        if target is not None and self.pairs_by_target:
            return similar_partners(target, float(self.bandwidth), rng), None
        return torch.from_numpy(rng.permutation(n)), None

    def _pair(
        self, x: Any, lam: Any, partner: Tensor, rng: Generator, sites: Sequence[str]
    ) -> Draw:
        return Interpolation(lam=like_inputs(lam, x), partner=partner)


def like_inputs(lam: Any, x: Any) -> Tensor:
    """λ as a tensor for `x`: of its floating type, on its device."""
    first = leading(x)
    dtype = first.dtype if first.is_floating_point() else torch.get_default_dtype()
    if isinstance(lam, float):  # nothing is copied
        return torch.full((), lam, dtype=dtype, device=first.device)
    return sent(torch.as_tensor(lam, dtype=dtype), first.device)


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
    mix_per, mix_prob, pairing, bandwidth, partners
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
        pairing: str = "uniform",
        bandwidth: float = 1.0,
        partners: str = "batch",
    ):
        super().__init__(
            alpha,
            mix_per=mix_per,
            mix_prob=mix_prob,
            pairing=pairing,
            bandwidth=bandwidth,
            partners=partners,
        )
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
            site=site, lam=like_inputs(lam, x), partner=partner, block_gradient=self.block_gradient
        )

"""The vicinity that puts parts of one row in place of those of another."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from skmixup.vicinal.blocks import INPUT
from skmixup.vicinal.draw import Draw, Paste, Swap
from skmixup.vicinal.mixup import Mixup, like_inputs
from skmixup.vicinal.nested import leading, sent, tensors_in


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
    mix_prob, pairing, bandwidth, partners
        As in :class:`Mixup`.

    Notes
    -----
    The inputs are images, (n, channels, height, width), or tables, (n, n_features); a dict or list
    of tables, (n,) being one column, is one table with all their columns. One-hot encoded
    categories are several columns, which would be torn apart: give codes to a module with an
    embedding instead. So would tokens and a mask of padding beside them: let the module see by the
    tokens what is padding.

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

    def draw(
        self,
        x: Tensor,
        rng: Generator,
        sites: Sequence[str] = (INPUT,),
        *,
        target: Tensor | None = None,
        pool: Any = None,
    ) -> Draw:
        """Draw λ, the partners, and the box or the columns."""
        self.check_rows(x)
        return super().draw(x, rng, sites, target=target, pool=pool)

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
            inside=sent(torch.from_numpy(inside).unsqueeze(1), first.device),
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
                sent(torch.from_numpy(part[:, 0] if tensor.ndim == 1 else part), tensor.device)
                for part, tensor in zip(parts, tensors, strict=True)
            ),
        )

    def _share(self, share: NDArray[Any], x: Any) -> Tensor:
        return like_inputs(share if self.mix_per == "sample" else share[0], x)

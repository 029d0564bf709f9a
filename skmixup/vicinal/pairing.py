r"""Partners with similar targets, as C-Mixup draws them.

.. math::  P(j \mid i) \propto \exp\left(-\frac{\|y_i - y_j\|^2}{2σ^2}\right)

Yao, Wang, Zhang, Zou, Finn: C-Mixup: Improving Generalization in Regression. NeurIPS 2022,
arXiv:2210.05775, equation (6).
"""

from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from skmixup.vicinal.nested import sent

# Numbers in one block of the matrix of pairs.
_BLOCK = 2**22


def similar_partners(target: Tensor, bandwidth: float, rng: Generator) -> Tensor:
    """Draw a partner for each row of a minibatch, more likely one with a similar target.

    Parameters
    ----------
    target : Tensor of shape (n,) or (n, n_targets)
        Real values, or class codes, of which two are at a squared distance of 2 (that of one-hot
        labels) where they differ.
    bandwidth : float
        σ, in the units of the targets.
    rng : numpy.random.Generator

    Returns
    -------
    LongTensor of shape (n,)
        Maybe the row itself: the law counts it among the others.
    """
    y = target.detach().cpu().numpy()
    codes = y.dtype.kind in "iub"
    y = y.reshape(len(y), -1)
    partner = np.empty(len(y), dtype=np.int64)
    height = max(1, _BLOCK // max(1, len(y)))
    for start in range(0, len(y), height):
        rows = slice(start, start + height)
        weight = np.exp(-_squared_distances(y[rows], y, codes=codes) / (2 * bandwidth**2))
        shares = np.cumsum(weight, axis=1)
        u = rng.random(len(shares)) * shares[:, -1]
        partner[rows] = (shares <= u[:, None]).sum(axis=1)
    return sent(torch.from_numpy(np.minimum(partner, len(y) - 1)), target.device)


def _squared_distances(a: NDArray[Any], b: NDArray[Any], *, codes: bool) -> NDArray[np.float64]:
    """‖a_i − b_j‖², column by column: no array of three dimensions."""
    total = np.zeros((len(a), len(b)))
    for left, right in zip(a.T, b.T, strict=True):
        if codes:
            total += 2.0 * (left[:, None] != right)
        else:
            total += np.square(left[:, None].astype(np.float64) - right)
    return total

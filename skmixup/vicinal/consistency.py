r"""Interpolation consistency: what is asked of rows without a label.

.. math::  L = L_\mathrm{vic} + w(t)\,\frac1n \sum_i \big\| \mathrm{Mix}_λ(q_i, q_j)
               − p(\mathrm{Mix}_λ(u_i, u_j)) \big\|^2

where q are the probabilities of a teacher, whose weights are a moving average of the student's.
Verma et al. 2019, arXiv:1903.03825, equation (1) and algorithm 1; the ramp is that of Laine & Aila
2017, arXiv:1610.02242, section 2.1; the average that of Tarvainen & Valpola 2017,
arXiv:1703.01780, equation (1).
"""

from dataclasses import dataclass, field
from math import exp
from typing import Any

from torch import Tensor

from skmixup.vicinal.draw import Draw


@dataclass(frozen=True)
class ConsistencyDraw(Draw):
    """The random choices of a step on labelled and on unlabelled rows, and its targets.

    Attributes
    ----------
    labeled, unlabeled : Draw
    rows : Tensor of shape (n, …), or several
        The unlabelled rows u.
    target : Tensor of shape (n, n_classes)
        Mix(q_i, q_j), with the λ and the partners of `unlabeled`.
    weight : float
        w(t).
    """

    labeled: Draw = field(default_factory=Draw)
    unlabeled: Draw = field(default_factory=Draw)
    rows: Any = None
    target: Any = None
    weight: float = 0.0


def ramp_up(t: float) -> float:
    """Share of its final weight that the consistency loss has: e^{−5 (1 − t)²}, 1 from t = 1 on.

    Parameters
    ----------
    t : float
        Epochs so far divided by those of the ramp, at least 0.
    """
    return exp(-5 * (1 - min(t, 1.0)) ** 2)


def consistency_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean over the rows of the squared distance of probabilities: 1/n · Σ ‖q_i − p_i‖².

    Parameters
    ----------
    predicted : Tensor of shape (n · k, n_classes)
        p at the mixed rows; of a network with k members those of one row after another.
    target : Tensor of shape (n, n_classes)
        The mixed q.
    """
    n_members = len(predicted) // len(target)
    if n_members > 1:
        target = target.repeat_interleave(n_members, dim=0)
    return (predicted - target).square().sum(dim=1).mean()

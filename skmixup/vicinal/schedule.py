"""How the learning rate moves in the course of a fit."""

from math import cos, pi

from torch.optim import Optimizer

# Fraction of the steps in which the one-cycle schedule rises, and where it starts, as in torch.
RISE = 0.3
START = 1 / 25


def cosine(t: float) -> float:
    """From 1 to 0 along half a cosine."""
    return 0.5 * (1 + cos(pi * t))


def one_cycle(t: float) -> float:
    """From 1/25 up to 1 during the first 0.3 of the steps, then down to 0, along cosines."""
    if t < RISE:
        return START + (1 - START) * (1 - cosine(t / RISE))
    return cosine((t - RISE) / (1 - RISE))


SHAPES = {"cosine": cosine, "one_cycle": one_cycle}


class LearningRate:
    """Moves an optimizer's learning rates, each a factor times its peak.

    Parameters
    ----------
    optimizer : Optimizer
        Its learning rates are the peaks; one that is set by somebody else in the course of the fit
        is the peak from there on.
    shape : {"cosine", "one_cycle"}
    """

    def __init__(self, optimizer: Optimizer, shape: str):
        self.groups = optimizer.param_groups
        self.factor = SHAPES[shape]
        self.peaks = [group["lr"] for group in self.groups]
        self.last = list(self.peaks)

    def move(self, t: float) -> None:
        """Set the learning rates for the step at the fraction `t` of the fit, 0 ≤ t < 1."""
        factor = self.factor(t)
        for i, group in enumerate(self.groups):
            if group["lr"] != self.last[i]:
                self.peaks[i] = group["lr"]
            group["lr"] = self.last[i] = factor * self.peaks[i]

    def restore(self) -> None:
        """Put the peaks back, for the next fit to start from."""
        for group, last, peak in zip(self.groups, self.last, self.peaks, strict=True):
            if group["lr"] == last:
                group["lr"] = peak

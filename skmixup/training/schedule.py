"""How the learning rate moves in the course of a fit, and where in it an optimizer is."""

import warnings
from collections.abc import Callable, Sequence
from math import ceil, cos, floor, inf, nan, pi
from typing import Any

import numpy as np
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler as TorchScheduler

# Fraction of the steps in which the one-cycle schedule rises, and where it starts, as in torch.
RISE = 0.3
START = 1 / 25

# Fraction of the steps in which a warm-up rises.
WARM_UP = 0.05

# Key in a parameter group of (declared, peak, last, epoch, n_epochs): the rate that the parameters
# gave the group, the peak it has by now, the rate that the schedule set last, and after how many
# epochs of how many. Optimizers leave alone what they do not know. A plain tuple, so that files of
# optimizers load with ``weights_only=True``.
MARK = "skmixup_schedule"


def cosine(t: float) -> float:
    """From 1 to 0 along half a cosine."""
    return 0.5 * (1 + cos(pi * t))


def one_cycle(t: float) -> float:
    """From 1/25 up to 1 during the first 0.3 of the steps, then down to 0, along cosines."""
    if t < RISE:
        return START + (1 - START) * (1 - cosine(t / RISE))
    return cosine((t - RISE) / (1 - RISE))


def warmup_cosine(t: float) -> float:
    """From 1/25 up to 1 along a line during the first twentieth of the steps, then a cosine."""
    if t < WARM_UP:
        return START + (1 - START) * t / WARM_UP
    return cosine((t - WARM_UP) / (1 - WARM_UP))


def steps(t: float) -> float:
    """1, a tenth from half of the steps on, a hundredth from three quarters on."""
    return 1.0 if t < 0.5 else 0.1 if t < 0.75 else 0.01


SHAPES = {
    "cosine": cosine,
    "one_cycle": one_cycle,
    "warmup_cosine": warmup_cosine,
    "steps": steps,
}

Shape = str | Callable[[float], float]

#: Shares of the steps at which a function is tried before training.
_TRIED = [k / 10 for k in range(10)]


def check_schedule(schedule: Any) -> None:
    """Raise ValueError where a function that is to move the learning rate cannot do so."""
    if callable(schedule):
        for share in _TRIED:
            factor_at(schedule, share)


def factor_at(schedule: Callable[[float], Any], share: float) -> float:
    """Return what `lr` is multiplied by when this share of the steps is over.

    Raises
    ------
    ValueError
        Unless the function returns a finite number ≥ 0.
    """
    try:
        value = schedule(share)
    except Exception as error:
        raise ValueError(_is_no_schedule(schedule, f"raised {error!r}", share)) from error
    try:
        factor = nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError, RuntimeError):
        factor = nan
    if not 0 <= factor < inf:
        raise ValueError(_is_no_schedule(schedule, f"returned {value!r}", share))
    return factor


def _is_no_schedule(schedule: Any, what: str, share: float) -> str:
    theirs = isinstance(schedule, type) and issubclass(schedule, TorchScheduler)
    return (
        "a function as lr_schedule must return a finite number ≥ 0, which lr is multiplied by, "
        f"for the share of the steps that are over, in [0, 1); it {what} for {share}"
        + ("; torch's schedulers go into skorch's callback LRScheduler" if theirs else "")
    )


class LearningRate:
    """Moves an optimizer's learning rates, each a factor times its peak.

    Where a group is in the schedule is kept in the group itself: it is saved and loaded with the
    optimizer, so that a decayed rate is never taken for a peak, and a fit that was cut off can be
    gone on with.

    Parameters
    ----------
    optimizer : Optimizer
        Its learning rates are the peaks; one that is set by somebody else in the course of the fit
        is the peak from there on.
    shape : one of SHAPES, function or None
        What a rate is of its peak, as a function of the share of the steps that are over. None
        leaves the rates alone.
    n_epochs : int, default=1
        Epochs of the whole fit.
    """

    def __init__(self, optimizer: Optimizer | None, shape: Shape | None, n_epochs: int = 1):
        self.optimizer = optimizer
        self.factor = SHAPES[shape] if isinstance(shape, str) else shape
        self.n_epochs = n_epochs

    def moves(self, n_batches: float) -> bool:
        """Whether there is anything to move in an epoch of `n_batches`; infinity: nobody knows."""
        if self.factor is not None and n_batches == inf and self.n_epochs == 1:
            warnings.warn(
                "X does not say how long it is, so that the learning rate can move from epoch to "
                "epoch only, and there is one: it stays at its peak. Give the data set a __len__, "
                "train for more than one epoch, or pass lr_schedule=None",
                UserWarning,
                stacklevel=2,
            )
            return False
        return self.factor is not None

    def move(self, epoch: float) -> None:
        """Set the learning rates for the step after `epoch` epochs, 0 ≤ epoch < n_epochs."""
        assert self.factor is not None
        factor = factor_at(self.factor, epoch / self.n_epochs)
        for group in groups_of(self.optimizer):
            declared, peak, last, *_ = group.get(MARK) or _as_is(group)
            rate = group["lr"]
            if rate != last:
                peak = rate
            group["lr"] = rate = factor * peak
            group[MARK] = (declared, peak, rate, epoch, self.n_epochs)

    def end_epoch(self, epoch: int) -> None:
        """Note that `epoch` epochs are over."""
        for group in groups_of(self.optimizer):
            group[MARK] = (*(group.get(MARK) or _as_is(group))[:3], epoch, self.n_epochs)

    def restore(self) -> None:
        """Put the peaks back, for the next fit to start from."""
        for group in groups_of(self.optimizer):
            declared, peak, last, *position = group.get(MARK) or _as_is(group)
            if group["lr"] == last:
                group["lr"] = peak
                group[MARK] = (declared, peak, peak, *position)


def groups_of(optimizer: Any) -> list[dict[str, Any]]:
    """Return the groups of parameters; none of a stand-in for an optimizer that has no list."""
    groups = getattr(optimizer, "param_groups", None)
    return groups if isinstance(groups, list) else []


def declare(optimizer: Optimizer | None) -> list[Any]:
    """Take the rates that somebody has set since the last look for those of the parameters."""
    for group in groups_of(optimizer):
        # Plain numbers: files with numpy's do not load with weights_only=True.
        group.update({k: v.item() for k, v in group.items() if isinstance(v, np.generic)})
        mark = group.get(MARK)
        if mark is None or group["lr"] != mark[2]:
            group[MARK] = _as_is(group)
    return [group[MARK][0] for group in groups_of(optimizer)]


def put_back(optimizer: Optimizer | None, declared: Sequence[Any], *, scheduled: bool) -> None:
    """Set the learning rates to their peaks.

    Parameters
    ----------
    optimizer : Optimizer
        Maybe with the state of another one, saved in the middle of its training.
    declared : sequence of float
        The rate that the parameters give to each group. Where the group comes from an optimizer
        with another, it is the peak.
    scheduled : bool
        Whether the rates are those of a :class:`LearningRate`. Then what a scheduler of torch's
        has left is no peak.
    """
    groups = groups_of(optimizer)
    # A group that was added since then has the rate that it was added with.
    rates = [*declared, *(group["lr"] for group in groups[len(declared) :])]
    for group, own in zip(groups, rates, strict=False):
        unmarked = (own, own if scheduled else group["lr"], group["lr"], 0, 0)
        theirs, peak, last, *position = group.get(MARK) or unmarked
        if theirs != own:
            peak = own
        elif group["lr"] != last:
            peak = own if scheduled and "initial_lr" in group else group["lr"]
        group["lr"] = peak
        group[MARK] = (own, peak, peak, *position)


def going_on(optimizer: Optimizer | None, n_epochs: int) -> tuple[int, int]:
    """Return the epochs that a fit of `n_epochs` more has behind it, and those of the whole.

    (0, n_epochs), unless `n_epochs` is what is left of a fit that was cut off.
    """
    groups = groups_of(optimizer)
    *_, epoch, whole = (groups[0].get(MARK) if groups else None) or (0, 0)
    start = whole - n_epochs
    if start > 0 and floor(epoch) <= start <= ceil(epoch):
        return start, whole
    return 0, n_epochs


def cut_short(optimizer: Optimizer | None, epoch: int) -> None:
    """Note that the fit was cut off in the epoch after `epoch`, also where its steps are over."""
    for group in groups_of(optimizer):
        if MARK in group:
            *rates, reached, n_epochs = group[MARK]
            group[MARK] = (*rates, min(reached, epoch + 0.5), n_epochs)


def finish(optimizer: Optimizer | None) -> None:
    """Note that the fit is over, also where its best epoch was loaded at the end."""
    for group in groups_of(optimizer):
        if MARK in group:
            *rates, _, n_epochs = group[MARK]
            group[MARK] = (*rates, n_epochs, n_epochs)


def _as_is(group: dict[str, Any]) -> tuple[Any, ...]:
    return (group["lr"], group["lr"], group["lr"], 0, 0)

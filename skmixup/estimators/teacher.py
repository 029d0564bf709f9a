"""The teacher of interpolation consistency: a moving average of the network in training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from skmixup.vicinal.blocks import unwrap


def move_average(teacher: nn.Module, student: nn.Module, decay: float) -> None:
    """θ' ← d θ' + (1 − d) θ, for buffers too: BatchNorm's statistics belong to the weights."""
    with torch.no_grad():
        for averaged, current in zip(_tensors(teacher), _tensors(student), strict=True):
            if averaged.is_floating_point():
                averaged.lerp_(current, 1 - decay)
            else:
                averaged.copy_(current)


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


@contextmanager
def batch_statistics(teacher: nn.Module, student: nn.Module, n_rows: int) -> Iterator[None]:
    """Let the teacher's BatchNorm normalise by the batch where the student's does.

    It learns nothing from it. Elsewhere the teacher would be another function of the rows than
    the student, and a deep network that is to agree with it goes astray. A single row is no batch.
    """
    norms = [
        child
        for child, twin in zip(unwrap(teacher).modules(), unwrap(student).modules(), strict=True)
        if isinstance(child, nn.modules.batchnorm._BatchNorm) and twin.training and n_rows > 1
    ]
    before = [(norm.training, norm.track_running_stats) for norm in norms]
    for norm in norms:
        norm.training, norm.track_running_stats = True, False
    try:
        yield
    finally:
        for norm, (training, tracks) in zip(norms, before, strict=True):
            norm.training, norm.track_running_stats = training, tracks

"""BatchNorm, where a minibatch has no statistics of its own or must use them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import Tensor, nn

from skmixup.vicinal.blocks import unwrap

_BatchNorm = nn.modules.batchnorm._BatchNorm
_Norm = nn.modules.batchnorm._NormBase  # with torch's InstanceNorm


def single_row_statistics(module: nn.Module, n_rows: int) -> AbstractContextManager[None]:
    """For a minibatch of one row, let BatchNorm use its running statistics: it has no variance."""
    return _running_statistics(module) if n_rows == 1 else nullcontext()


@contextmanager
def _running_statistics(module: nn.Module) -> Iterator[None]:
    frozen = [
        child
        for child in unwrap(module).modules()
        if isinstance(child, _BatchNorm) and child.training
    ]
    for child in frozen:
        child.eval()
    try:
        yield
    finally:
        for child in frozen:
            child.train()


@contextmanager
def batch_statistics(teacher: nn.Module, student: nn.Module, n_rows: int) -> Iterator[None]:
    """Let the teacher's BatchNorm normalise by the batch where the student's does.

    It learns nothing from it. Elsewhere the teacher would be another function of the rows than
    the student, and a deep network that is to agree with it goes astray. A single row is no batch.
    """
    norms = [
        child
        for child, twin in zip(unwrap(teacher).modules(), unwrap(student).modules(), strict=True)
        if isinstance(child, _BatchNorm) and twin.training and n_rows > 1
    ]
    before = [(norm.training, norm.track_running_stats) for norm in norms]
    for norm in norms:
        norm.training, norm.track_running_stats = True, False
    try:
        yield
    finally:
        for norm, (training, tracks) in zip(norms, before, strict=True):
            norm.training, norm.track_running_stats = training, tracks


@contextmanager
def statistics_of_rows(module: nn.Module, n_rows: int) -> Iterator[None]:
    """In evaluation mode, normalise by the rows at hand and put running statistics back."""
    norms = [
        norm
        for norm in module.modules()
        if isinstance(norm, _Norm) and not norm.training and n_rows > 1
    ]
    before = [{k: v.clone() for k, v in norm.named_buffers()} for norm in norms]
    for norm in norms:
        norm.train()
    try:
        yield
    finally:
        for norm, buffers in zip(norms, before, strict=True):
            norm.eval()
            for name, value in buffers.items():
                buffer: Tensor = norm.get_buffer(name)
                buffer.copy_(value)

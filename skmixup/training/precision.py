"""The precision that a module computes in: float32, or 16 bits where the device has units for it.

torch's autocast runs what multiplies matrices (layers, convolutions, attention) in 16 bits and
what sums many numbers in float32; parameters, gradients and the optimizer stay in float32.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import lru_cache
from inspect import Parameter, signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode

from skmixup.training.schedule import groups_of
from skmixup.vicinal.layers import backward
from skmixup.vicinal.nested import map_tensors

PRECISIONS = ("float32", "bfloat16", "auto")

# CUDA devices of this compute capability (A100, RTX 30) and later compute in bfloat16.
AMPERE = 8

# Key in a parameter group of (scale, growth tracker): a scale is saved and loaded with the
# optimizer whose gradients it belongs to. Plain numbers load with ``weights_only=True``.
SCALE = "skmixup_loss_scale"

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_CONVOLVE = (torch.conv1d, torch.conv2d, torch.conv3d)
_FULL = ContextVar("full_precision", default=False)


def check_precision(precision: str, device: torch.device) -> None:
    """Raise ValueError for 16 bits on a device that torch's autocast is not used on here."""
    if precision == "bfloat16" and device.type not in ("cpu", "cuda"):
        raise ValueError(
            f"precision='bfloat16' is there on CPU and CUDA, not on {device.type}; use "
            "precision='float32', or 'auto', which is float32 there"
        )


def autocast_dtype(precision: str, device: torch.device, module: Any) -> torch.dtype | None:
    """Return the type that layers compute in, or None for the module's own.

    Parameters
    ----------
    precision : {"float32", "bfloat16", "auto"}
        "bfloat16" on a CUDA device that does not compute in it is float16. "auto" is bfloat16 for
        a module with convolutions where the device computes in it, and the module's own otherwise.
    device : torch.device
    module : nn.Module
    """
    if precision == "float32" or _FULL.get():
        return None
    if precision == "bfloat16":
        return torch.bfloat16 if device.type == "cpu" or is_native(device) else torch.float16
    if is_native(device) and any(isinstance(part, _CONVOLUTIONS) for part in module.modules()):
        return torch.bfloat16
    return None


@lru_cache(maxsize=64)
def is_native(device: torch.device) -> bool:
    """Whether a device has units that compute in bfloat16; others only emulate it, slowly."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= AMPERE
    # torch says so of x86 processors only (AVX512_BF16, AMX), in private functions until 2.9
    return device.type == "cpu" and any(
        getattr(torch.cpu, name, bool)()
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )


@contextmanager
def full_precision() -> Iterator[None]:
    """Context in which modules compute in their own type, whatever `precision` says."""
    token = _FULL.set(True)
    try:
        yield
    finally:
        _FULL.reset(token)


@contextmanager
def autocast(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Context in which a module's layers compute in 16 bits."""
    with (
        torch.autocast(device.type, dtype),
        TwoColumns() if device.type == "cpu" else nullcontext(),
    ):
        yield


class TwoColumns(TorchFunctionMode):
    """Convolutions with a stride that give one column give two, of which the first is taken.

    For one column oneDNN (of torch 2.13, on processors with AMX) leaves parts of outputs and of
    gradients in bfloat16 unset.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Call `func`, or let it convolve more columns."""
        kwargs = kwargs or {}
        return _convolved(func, *args, **kwargs) if func in _CONVOLVE else func(*args, **kwargs)


def _convolved(
    convolution: Callable[..., Tensor],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    step, gap = _of_columns(stride), _of_columns(dilation)
    beside = 0 if isinstance(padding, str) else _of_columns(padding)  # "same" is without a stride
    left = input.shape[-1] + 2 * beside - gap * (weight.shape[-1] - 1) - 1
    if step == 1 or not 0 <= left < step:
        return convolution(input, weight, bias, stride, padding, dilation, groups)
    wider = F.pad(input, (0, step))
    return convolution(wider, weight, bias, stride, padding, dilation, groups)[..., :1]


def _of_columns(sizes: Any) -> int:
    """Of a number for all axes, or one for each, that of the last."""
    return int(sizes[-1] if isinstance(sizes, Sequence) else sizes)


def in_float32(output: Any) -> Any:
    """Outputs of a module as float32, where they have 16 bits: losses and targets are float32."""
    if isinstance(output, Tensor):  # the usual case
        return output.float() if output.dtype in (torch.bfloat16, torch.float16) else output
    if isinstance(output, (tuple, list, dict)):
        return map_tensors(lambda x: in_float32(x) if isinstance(x, Tensor) else x, output)
    return output


class LossScale:
    """Gradients of float16, which has few exponents: computed of a scaled loss, scaled back.

    A step whose gradients overflow is left out and the scale is halved, as torch's GradScaler
    does, which this is around.

    Parameters
    ----------
    device : torch.device
    optimizer : Optimizer
        Its groups keep the scale.
    """

    def __init__(self, device: torch.device, optimizer: Optimizer):
        closure = signature(optimizer.step).parameters.get("closure")
        if closure is not None and closure.default is Parameter.empty:
            raise ValueError(
                f"precision='bfloat16' is float16 on {device}, whose gradients are of a scaled "
                f"loss, which {type(optimizer).__name__} cannot compute anew within a step; use "
                "precision='float32', or another optimizer"
            )
        self.optimizer = optimizer
        self.scaler = GradScaler(device.type)
        self.is_scaled = False
        scale, tracker = groups_of(optimizer)[0].get(SCALE) or (None, 0)
        if scale is not None:
            state = self.scaler.state_dict() | {"scale": scale, "_growth_tracker": tracker}
            self.scaler.load_state_dict(state)

    def backward(self, loss: Tensor, mixed: Tensor | None, block_gradient: str | None) -> None:
        """Compute gradients as :func:`skmixup.vicinal.layers.backward` does."""
        backward(self.scaler.scale(loss), mixed, block_gradient)
        groups = groups_of(self.optimizer)
        self.is_scaled = any(p.grad is not None for group in groups for p in group["params"])
        if self.is_scaled:  # else `block_gradient` has let no parameter learn
            self.scaler.unscale_(self.optimizer)

    def step(self) -> None:
        """Let the optimizer step, unless a gradient has overflowed."""
        if self.is_scaled:
            self.scaler.step(self.optimizer)
            self.scaler.update()

    def save(self) -> None:
        """Note the scale in the optimizer."""
        state = self.scaler.state_dict()
        groups_of(self.optimizer)[0][SCALE] = (state["scale"], state["_growth_tracker"])

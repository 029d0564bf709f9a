"""How a net runs its module on a batch: on which device, in which precision and memory order."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from skorch.utils import to_tensor
from torch import Tensor

from skmixup.training.batches import is_pixels
from skmixup.training.devices import device_of
from skmixup.training.memory_order import channels_last, is_quicker_channels_last
from skmixup.training.optimizing_net import OptimizingNet
from skmixup.training.precision import (
    LossScale,
    autocast,
    autocast_dtype,
    full_precision,
    in_float32,
)
from skmixup.vicinal.blocks import unwrap
from skmixup.vicinal.nested import sent


class RunningNet(OptimizingNet):
    """A net whose module runs in `precision`, and returns float32."""

    precision: str = "float32"  # of nets that were pickled before there was the parameter

    _takes_channels_last_: bool = False  # of the user's modules
    _fit_state_: Any = None  # there while the net is fitted

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Run the module on one batch, on the device the module is on."""
        x = self._on_device(x)
        dtype = self.autocast_dtype()
        if isinstance(x, dict):
            x = {key: self._images(value, dtype) for key, value in x.items()}
        else:
            x = self._images(x, dtype)
        if dtype is None:
            return self._run(x, fit_params)
        with autocast(self._device_now(), dtype):
            output = self._run(x, fit_params)
        return in_float32(output)

    def _run(self, x: Any, fit_params: dict[str, Any]) -> Any:
        if isinstance(x, dict):
            return self.module_(**x, **fit_params)
        return self.module_(x, **fit_params)

    # ---- images

    def _images(self, x: Any, dtype: torch.dtype | None) -> Any:
        """Images as the module takes them: float32, the channels innermost where that helps."""
        if not isinstance(x, Tensor) or x.ndim < 4:
            return x
        x = x.float() if is_pixels(x) else x
        if (self.module is None or self._takes_channels_last_) and is_quicker_channels_last(
            x, dtype, self.module_
        ):
            return channels_last(x)
        return x

    def find_memory_order(self, run: Callable[[], Any]) -> Any:
        """Run the module, to see whether it takes images with their channels innermost in memory.

        A module of the user's whose forward calls ``view`` does not: it gets them as they come.
        """
        if self.module is None:
            return run()
        self._takes_channels_last_ = True
        try:
            return run()
        except RuntimeError:
            self._takes_channels_last_ = False
            return run()

    # ---- precision

    def autocast_dtype(self) -> torch.dtype | None:
        """Return the type of 16 bits that the module's layers compute in, or None."""
        if self.precision == "float32":
            return None
        return autocast_dtype(self.precision, self._device_now(), self.module_)

    def full_precision(self) -> AbstractContextManager[None]:
        """Context in which the module computes in its own type, whatever `precision` says."""
        return full_precision()

    @contextmanager
    def uncompiled(self) -> Iterator[None]:
        """Context in which ``module_`` is what it was before ``torch.compile``."""
        compiled = self.module_
        self.__dict__["module_"] = unwrap(compiled)
        try:
            yield
        finally:
            self.__dict__["module_"] = compiled

    # ---- float16, whose gradients are computed of a scaled loss

    def loss_scale(self) -> LossScale | None:
        """Return the scale of the loss, or None where no gradient is computed in float16."""
        if self.autocast_dtype() is not torch.float16:
            return None
        return LossScale(self._device_now(), self.optimizer_)

    def _step_optimizer(self, step_fn: Any) -> None:
        """Let the optimizers step, of gradients in float16 only if none has overflowed."""
        state = self._fit_state_
        scale = None if state is None else state.loss_scale
        if scale is None:
            super()._step_optimizer(step_fn)
        else:
            step_fn()
            scale.step()

    # ---- the device

    def _device_now(self) -> torch.device:
        """Device of the module; while the net is fitted it has been looked up."""
        state = self._fit_state_
        return (None if state is None else state.device) or self._device_

    def _on_device(self, x: Any) -> Any:
        """Move a batch to the module; one made by :class:`TensorBatches` is there already."""
        device = self._device_now()
        if isinstance(x, Tensor):
            return x if x.device == device else sent(x, device)
        return to_tensor(x, device=device)

    @property
    def _device_(self) -> torch.device:
        """Where the module is, or will be once it is made."""
        return device_of(self)

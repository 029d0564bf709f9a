"""A skorch net's optimizer: its learning rate moves by itself, and its steps are quick."""

from typing import Any

from skorch import NeuralNet
from skorch.callbacks import EarlyStopping, LRScheduler

from skmixup.training.copies import own_values
from skmixup.training.devices import device_of
from skmixup.training.optimizers import (
    drop_gradients,
    has_fused_kernel,
    has_sparse_gradients,
    plain_step,
)
from skmixup.training.schedule import Shape, declare, put_back


class OptimizingNet(NeuralNet):
    """A net whose `lr_schedule` moves the learning rate, and whose optimizer takes quick steps."""

    def lr_shape(self) -> Shape | None:
        """Return how the learning rate moves: `lr_schedule`, or for "auto" what suits."""
        schedule: Shape | None = getattr(self, "lr_schedule", None)
        theirs = self._has_scheduler()
        if schedule == "auto":
            # A fit that may stop at any epoch has no last one for the rate to fall towards.
            stops = any(isinstance(callback, EarlyStopping) for _, callback in self.callbacks_)
            return None if theirs or stops else "cosine"
        if schedule is not None and theirs:
            raise ValueError(
                f"lr_schedule={schedule!r} and the callback LRScheduler would both set the "
                "learning rate; use lr_schedule=None with the callback"
            )
        return schedule

    def put_peaks_back(self) -> None:
        """Set the learning rates to their peaks, for a fit to start from."""
        scheduled = getattr(self, "lr_schedule", None) is not None and not self._has_scheduler()
        optimizer = self.__dict__.get("optimizer_")
        if "_declared_rates_" not in self.__dict__:  # a pickle of an earlier version
            self._declared_rates_ = declare(optimizer)
        put_back(optimizer, self._declared_rates_, scheduled=scheduled)

    def _has_scheduler(self) -> bool:
        return any(isinstance(callback, LRScheduler) for _, callback in self.callbacks_)

    def _initialize_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        super()._initialize_optimizer(*args, **kwargs)
        self._declared_rates_ = declare(self.__dict__.get("optimizer_"))
        return self

    def get_params_for_optimizer(self, prefix: str, named_parameters: Any) -> Any:
        """Use the optimizer's fused kernel where it has one for the device, unless told not to."""
        args, kwargs = super().get_params_for_optimizer(prefix, named_parameters)
        kwargs = own_values(kwargs)  # torch's schedulers write into a tensor as lr
        args = ([own_values(group) for group in args[0]], *args[1:])
        parameters = [p for group in args[0] for p in group["params"]]
        modules = [getattr(self, name + "_") for name in (*self._modules, *self._criteria)]
        fused = has_fused_kernel(self.optimizer, device_of(self), parameters, kwargs)
        if fused and not any(map(has_sparse_gradients, modules)):
            kwargs["fused"] = True
        return args, kwargs

    # skorch's mixins, such as AccelerateMixin, take part in a step by these two methods.

    def _zero_grad_optimizer(self, set_to_none: bool | None = None) -> None:
        """Drop all gradients, without what torch's profiling of that costs."""
        optimizers = [getattr(self, name + "_") for name in self._optimizers]
        if set_to_none is False or not all(map(drop_gradients, optimizers)):
            super()._zero_grad_optimizer(set_to_none)

    def _step_optimizer(self, step_fn: Any) -> None:
        """Let the optimizers step, without what torch's profiling of them costs."""
        for name in self._optimizers:
            step = plain_step(getattr(self, name + "_"))
            step() if step_fn is None else step(step_fn)

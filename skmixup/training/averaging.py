"""A moving average of the weights: the network that is trained, and the one that predicts.

While steps are taken, ``module_`` is the network in training, which is ``student_``: callbacks and
steps of the user's own that look for gradients, or freeze a part, find what they are after.
Everywhere else, in validation, at the end of an epoch and when all is over, ``module_`` is the
average: what is scored is what a checkpoint saves and what predicts.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from skmixup.training.copies import copied
from skmixup.training.memory_order import order_weights
from skmixup.training.scripted import check_averaged
from skmixup.training.tensor_net import TensorNet
from skmixup.vicinal.blocks import unwrap

# Values that an attribute of a module may be set to: those of all others are parts or tensors.
_PLAIN = (bool, int, float, str)
_OF_TORCH = frozenset(vars(nn.Module()))  # such as `training`


def decay_at(step: int, decay: float) -> float:
    """Decay of the moving average after `step` steps: at most (1 + t)/(10 + t).

    A short training is then not averaged with its own beginning.
    """
    return min(decay, (1 + step) / (10 + step))


class MovingAverage:
    """θ' ← d θ' + (1 − d) θ, for buffers too: BatchNorm's statistics belong to the weights.

    Parameters
    ----------
    averaged, current : nn.Module
        θ' and θ: networks with the same parameters and buffers. Integers are copied.
    """

    def __init__(self, averaged: nn.Module, current: nn.Module):
        if _names(averaged) != _names(current):
            raise RuntimeError(
                "the network in training has other parameters or buffers than the average of its "
                "weights, since a callback or a step has pruned, parametrized or replaced some; "
                "do so in the module before fit, or use ema_decay=0"
            )
        pairs = list(zip(_tensors(averaged), _tensors(current), strict=True))
        self.moved = [pair for pair in pairs if _is_fractional(pair[0])]
        self.copied = [pair for pair in pairs if not _is_fractional(pair[0])]
        self.targets, self.sources = [t for t, _ in self.moved], [s for _, s in self.moved]

    def move(self, decay: float) -> None:
        """Take one step towards the current values."""
        if self.moved:  # one call for all tensors takes a quarter of the time of one for each
            get_ema_multi_avg_fn(decay)(self.targets, self.sources, 0)
        for target, source in self.copied:
            target.copy_(source)


class AveragingNet(TensorNet):
    """A net whose predictions are those of a moving average of its weights, if it is told so.

    Subclasses have the parameter `ema_decay`, the decay of the average.
    """

    ema_decay: float = 0.0
    module_: Any
    student_: Any
    _n_averaged_: int = 0

    def averages(self) -> bool:
        """Whether an average is wanted."""
        return self.ema_decay > 0

    def check_copies(self, module: nn.Module) -> None:
        """Raise ValueError for a module of which there can be no average."""
        check_averaged(module, f"ema_decay={self.ema_decay!r}", otherwise=", or ema_decay=0")

    # ---- the two networks

    @property
    def _has_student(self) -> bool:
        return "student_" in self.__dict__

    def make_student(self) -> None:
        """Beside a module that was just made, have the copy of it that the optimizer moves."""
        self._n_averaged_ = 0
        if self._has_student and not self.averages():
            self._drop_student()
        elif self.averages():
            self.check_copies(self.module_)
            self.student_ = copied(self.module_)
            self._average_begins_ = True

    def _follow_ema_decay(self) -> None:
        """Begin an average in a net that was made without, since `ema_decay` was set later."""
        if not self.averages() or self._has_student:
            return
        trained = self.module_
        self.check_copies(trained)
        with self._current_init_context("module"):
            self.student_ = trained  # what the optimizer has
            average = copied(unwrap(trained))
            self.module_ = self.torch_compile(average, "module")
        self._n_averaged_ = 0

    def go_on_from_loaded(self, files: set[str]) -> None:
        """Let the student go on from an average that was loaded, if it was not loaded itself."""
        if not self._has_student:
            return
        self.__dict__.pop("_average_begins_", None)
        if "f_params" in files and "f_student" not in files:
            self.student_.load_state_dict(self.average_network().state_dict())
        self._n_averaged_ = sum(epoch.get("train_batch_count", 0) for epoch in self.history or [])

    def networks(self) -> list[Any]:
        """Return the module that there is, or the average and the student."""
        names = ("_average_", "module_", "student_")
        return [self.__dict__[name] for name in names if self.__dict__.get(name) is not None]

    def average_network(self) -> Any:
        """Return the network that predicts, also while ``module_`` is the one in training."""
        return self.__dict__.get("_average_", self.module_)

    def trim_for_prediction(self) -> None:
        """Drop what only training needs, as in skorch; the student, too."""
        super().trim_for_prediction()
        if self._has_student:
            self._drop_student()

    def _drop_student(self) -> None:
        self._unregister_attribute("student_")
        del self.__dict__["student_"]

    def get_all_learnable_params(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Leave out the average: the optimizer moves the student."""
        if not self._has_student:
            yield from super().get_all_learnable_params()
            return
        known = {id(parameter) for parameter in self.average_network().parameters()}
        for name, parameter in super().get_all_learnable_params():
            if id(parameter) not in known:
                known.add(id(parameter))  # while it is trained, the student has two names
                yield name, parameter

    def _initialize_module(self, *args: Any, **kwargs: Any) -> Any:
        shown = self.__dict__.pop("_average_", None) is not None  # a callback makes it anew
        super()._initialize_module(*args, **kwargs)
        if shown:
            self.show_student()
        return self

    def _initialize_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        with self.student_shown():  # a subclass may take the parameters of `module_`
            return super()._initialize_optimizer(*args, **kwargs)

    # ---- which of them is `module_`

    def show_student(self) -> None:
        """Let ``module_`` be the network in training."""
        if self._has_student and "_average_" not in self.__dict__:
            average = self.module_
            _make_alike(self.student_, average)
            self.__dict__["_average_"] = average
            self.__dict__["module_"] = self.student_

    def show_average(self) -> None:
        """Let ``module_`` be the average again."""
        average = self.__dict__.get("_average_")
        if average is not None:
            _make_alike(average, self.student_)
            self.__dict__["module_"] = average
            del self.__dict__["_average_"]

    @contextmanager
    def _showing_average(self) -> Iterator[None]:
        average = self.__dict__.pop("_average_")
        self.__dict__["module_"] = average
        try:
            yield
        finally:
            self.__dict__["_average_"] = average
            self.__dict__["module_"] = self.student_

    @contextmanager
    def student_shown(self) -> Iterator[None]:
        """Context in which ``module_`` is what is trained, for steps outside of `fit`."""
        shown = "_average_" in self.__dict__
        self.show_student()
        try:
            yield
        finally:
            if not shown:
                self.show_average()

    def average_shown(self) -> AbstractContextManager[None]:
        """Context in which ``module_`` is what predicts."""
        return self._showing_average() if "_average_" in self.__dict__ else nullcontext()

    def attributes_at_rest(self) -> dict[str, Any]:
        """Return the attributes as they are outside of training; for copies made within."""
        attributes = dict(self.__dict__)
        average = attributes.pop("_average_", None)
        return attributes if average is None else {**attributes, "module_": average}

    def _get_module(self, name: str, msg: str) -> Any:
        if name == "module_" and "_average_" in self.__dict__:
            return self.average_network()
        return super()._get_module(name, msg)

    # ---- training

    def _begin_loop(self, state: Any, epochs: int | None) -> int:
        self._follow_ema_decay()
        self.show_student()
        if self._has_student:
            _check_precision(self.module_, self.ema_decay)
        if self.module is None:  # a user's network may call ``view`` on its weights
            optimizers = [getattr(self, name + "_") for name in self._optimizers]
            innermost = self._device_.type == "cuda" and self.autocast_dtype() is not None
            for network in self.networks():
                order_weights(network, optimizers, innermost=innermost)
        return super()._begin_loop(state, epochs)

    def fit_loop(self, X: Any, y: Any = None, epochs: Any = None, **fit_params: Any) -> Any:
        """Train; ``module_`` is then the average."""
        try:
            return super().fit_loop(X, y, epochs=epochs, **fit_params)
        finally:
            self.show_average()

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Tell the callbacks; where one of them ends a fit with another average, go on from it.

        As skorch's EarlyStopping does, which loads the best epoch. A callback that loads the
        student as well, as a checkpoint may, has its way.
        """
        if method_name != "on_train_end" or not self._has_student:
            super().notify(method_name, **kwargs)
            return
        average, student = _versions(self.average_network()), _versions(self.student_)
        super().notify(method_name, **kwargs)
        if not self._has_student or _are_now(average, self.average_network()):
            return
        if _are_now(student, self.student_):
            self.student_.load_state_dict(self.average_network().state_dict())

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Show callbacks the network in training."""
        self.show_student()
        super().on_epoch_begin(net, **kwargs)

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Run one epoch; after its training steps ``module_`` is the average."""
        try:
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        finally:
            if training:
                self.show_average()

    def step_of(self, step_fn: Any, training: bool) -> Any:
        """Let the average follow each step."""
        step = super().step_of(step_fn, training)
        if not training or not self._has_student:
            return step
        if self.__dict__.pop("_average_begins_", False):  # from what callbacks have made of it
            self.average_network().load_state_dict(self.student_.state_dict())
        average = MovingAverage(self.average_network(), self.student_)

        def step_and_follow(batch: Any, **fit_params: Any) -> Any:
            result = step(batch, **fit_params)
            self._follow(average)
            return result

        return step_and_follow

    def _follow(self, average: MovingAverage) -> None:
        average.move(decay_at(self._n_averaged_, self.ema_decay))
        self._n_averaged_ += 1

    @contextmanager
    def step_by_hand(self) -> Iterator[None]:
        """Context of a step that is taken outside of `fit`: the student's, then followed."""
        with self.student_shown():
            yield
            if self._has_student:
                self._follow(MovingAverage(self.average_network(), self.student_))

    def evaluation_step(self, batch: Any, training: bool = False) -> Any:
        """Output for one batch, of the average."""
        if training or "_average_" not in self.__dict__:
            return super().evaluation_step(batch, training=training)
        with self.average_shown():
            return super().evaluation_step(batch, training=training)


def _is_fractional(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _names(module: nn.Module) -> list[str]:
    module = unwrap(module)
    named = *module.named_parameters(), *module.named_buffers()
    return [name for name, _ in named]


def _versions(module: nn.Module) -> list[tuple[Tensor, int]]:
    """Each tensor, and how often it has been written to: copies of all would take memory."""
    return [(tensor, tensor._version) for tensor in _tensors(module)]


def _are_now(versions: list[tuple[Tensor, int]], module: nn.Module) -> bool:
    """Whether no tensor has been written to or replaced since."""
    now = _versions(module)
    return len(versions) == len(now) and all(
        one is other and version == latest
        for (one, version), (other, latest) in zip(versions, now, strict=True)
    )


def _make_alike(module: nn.Module, as_in: nn.Module) -> None:
    """Let what was frozen or set in one network, as a rate of dropout, be so in the other."""
    module, as_in = unwrap(module), unwrap(as_in)
    parameters, parts = dict(as_in.named_parameters()), dict(as_in.named_modules())
    for name, own in module.named_parameters():
        other = parameters.get(name, own)
        if own.requires_grad != other.requires_grad:
            own.requires_grad_(other.requires_grad)
    for name, part in module.named_modules():
        for attribute, value in vars(parts.get(name, part)).items():
            if type(value) in _PLAIN and attribute not in _OF_TORCH:
                vars(part)[attribute] = value


def _check_precision(module: nn.Module, decay: float) -> None:
    """Raise ValueError for weights so coarse that an average would not move."""
    for name, parameter in module.named_parameters():
        if parameter.is_floating_point() and torch.finfo(parameter.dtype).bits < 32:
            raise ValueError(
                f"ema_decay={decay!r} adds small parts of the weights to their average, which "
                f"rounding would lose in {parameter.dtype} ({name}); keep weights in float32, or "
                "use ema_decay=0"
            )

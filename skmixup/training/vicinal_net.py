"""The skorch training step that minimises the vicinal risk, shared by every estimator."""

import inspect
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import inf
from numbers import Integral
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, EpochScoring, LRScheduler
from skorch.utils import TeeGenerator, to_tensor
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset, IterableDataset

from skmixup.randomness.fit import FitRandomness
from skmixup.training.batches import TensorBatches, auto_batch_size, in_memory, split_targets
from skmixup.training.clean_outputs import look_at_outputs
from skmixup.training.devices import resolve_device
from skmixup.training.divergence import check_losses, check_weights
from skmixup.training.optimizers import plain_step
from skmixup.training.own_loss import is_users, joined_loss, plain_loss
from skmixup.training.own_steps import OwnStep, has_own_step
from skmixup.training.schedule import LearningRate, declare, going_on, put_back
from skmixup.training.several_outputs import WholeOutput, takes_all_outputs, warn_of_untrained
from skmixup.vicinal.blocks import INPUT, unwrap
from skmixup.vicinal.draw import Draw
from skmixup.vicinal.layers import (
    backward,
    check_mixable,
    mixing_at,
    prepare_for_compilation,
)
from skmixup.vicinal.loss import first_output, vicinal_loss
from skmixup.vicinal.nested import leading, n_rows, take, tensors_in
from skmixup.vicinal.recomputation import GradientsPending
from skmixup.vicinal.vicinity import Dirac, Vicinity

# Inputs in one batch of prediction: large enough to be fast, small enough for images.
PREDICTION_ELEMENTS = 2**18
MIN_PREDICTION_ROWS = 16

# Without a fit nobody has found out who listens: everybody is told.
_BY_HAND = {"on_grad_computed": True}


class VicinalNet(NeuralNet):
    """A skorch net whose training step draws virtual pairs from a vicinity.

    Subclasses say which vicinity with :meth:`get_vicinity`. Estimators with a richer objective
    override :meth:`draw_step` and :meth:`step_loss`.
    """

    batch_size: Any  # skorch's parameters are not typed

    def get_vicinity(self) -> Vicinity:
        """Return the vicinity to draw from, built from the parameters."""
        raise NotImplementedError

    # ---- the training step

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Draw once, then let the optimizer run the closure as often as it likes."""
        X, y = batch
        X, y = self._on_device(X), self._on_device(y)
        own = self.__dict__.get("_own_step_")
        if own is None:
            draw = self.draw_step(X)
            fit_params["draw"] = draw
        else:
            draw, y = own.draw_for(X), own.without_weights(y)
        accumulator = self.get_train_step_accumulator()

        def closure() -> Tensor:
            self._zero_grad_optimizer()
            # While gradients are computed, checkpointed layers are run and mixed once more.
            before = self.__dict__.get("_pending_")
            self.__dict__["_pending_"] = pending = GradientsPending()
            try:
                step = self.train_step_single((X, y), **fit_params)
            finally:
                self.__dict__["_pending_"] = before
                pending.end()
            accumulator.store_step(step)
            if self.__dict__.get("_listeners_", _BY_HAND)["on_grad_computed"]:
                with nullcontext() if own is None else own.paused():
                    self.notify(
                        "on_grad_computed",
                        named_parameters=TeeGenerator(self.get_all_learnable_params()),
                        batch=self.batch_for_callbacks(batch),
                        training=True,
                    )
            return step["loss"]

        self._step_optimizer(closure)
        return accumulator.get_step()

    def draw_step(self, X: Any) -> Any:
        """Draw every random choice of one optimizer step; :meth:`step_loss` gets them."""
        mixing = self.__dict__.get("_mixing_")  # not known to a step that is taken by hand
        return self._vicinity_.draw(X, self._rng_, self._sites_) if mixing else Draw()

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Loss and gradients of one run of the closure."""
        X, y = batch
        own = self.__dict__.get("_own_step_")
        if own is not None:  # called by a step of the user's own, which knows of no draw
            X, own.whole = self._on_device(X), True
            with own.paused():
                return self._loss_and_gradients(
                    X, own.with_weights(y), own.draw_for(X), **fit_params
                )
        return self._loss_and_gradients(X, y, **fit_params)

    def _loss_and_gradients(
        self, X: Any, y: Any, draw: Draw | None = None, **fit_params: Any
    ) -> dict[str, Any]:
        draw = Draw() if draw is None else draw
        if not self.module_.training:
            self._set_training(True)
        with self.single_row_statistics(n_rows(X)):
            loss, output, mixed = self.step_loss(X, y, draw, **fit_params)
        backward(loss, mixed, draw.block_gradient)
        return {"loss": loss.detach(), "y_pred": self.output_for_callbacks(output)}

    def single_row_statistics(self, n: int) -> AbstractContextManager[None]:
        """For a minibatch of one row, let BatchNorm use its running statistics."""
        return single_row_statistics(self.module_, n)

    def check_own_step(self, step: OwnStep) -> None:
        """Raise RuntimeError where a step of the user's own went past the vicinity."""
        step.check()

    def output_for_callbacks(self, output: Any) -> Any:
        """Return what callbacks see of the module's output in training."""
        return first_output(output)

    def step_loss(
        self, X: Any, y: Any, draw: Any, **fit_params: Any
    ) -> tuple[Tensor, Any, Tensor | None]:
        """Return the loss of one minibatch, the module's output, and the mixed tensor.

        Parameters
        ----------
        X : Tensor of shape (n, …)
        y : Tensor, or pair of targets and weights
        draw : Draw
            What :meth:`draw_step` returned.
        """
        target, weight = split_targets(y)
        output, mixed = self.forward_mixed(X, draw, **fit_params)
        if is_users(self, "get_loss"):
            loss = joined_loss(self, self.get_loss, output, target, weight, X, draw)
            return loss, output, mixed
        criterion = self.criterion_
        if isinstance(output, tuple):
            criterion = self._criterion_for(output, target, draw)
        checked = self.check_output(output, target)
        target = self.loss_target(checked, target)
        return vicinal_loss(criterion, checked, target, draw, weight), output, mixed

    def _criterion_for(self, output: tuple[Any, ...], target: Tensor, draw: Any) -> Any:
        """Return the criterion for a module with several outputs; what is not trained is told."""
        takes_all = self.__dict__.get("_takes_all_outputs_")
        if takes_all is None:
            takes_all = takes_all_outputs(self.criterion_, output, target)
            self.__dict__["_takes_all_outputs_"] = takes_all
        if takes_all:
            return WholeOutput(self.criterion_, output)
        if torch.is_grad_enabled() and draw.block_gradient is None:
            if self.__dict__.get("_told_of_outputs_") is False:
                warn_of_untrained(self.module_, output)
            self.__dict__["_told_of_outputs_"] = True
        return self.criterion_

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        """Loss of outputs of the module and targets; what a subclass overrides for one of its own.

        Parameters
        ----------
        y_pred : Tensor or tuple
            What the module returned. A subclass gets logits of members, (n, n_classes, k), as
            n · k rows.
        y_true : Tensor of shape (n,)
            Class codes; of mixed rows those of the row and then those of its partner.
        X : Tensor
            The rows that belong to `y_true`, before they are mixed.
        training : bool

        Returns
        -------
        Tensor of shape (), or (n,) with ``criterion__reduction="none"``
            With the weights of the minibatch inside, where it is called in training.
        """
        return plain_loss(self, y_pred, y_true)

    def forward_mixed(self, X: Any, draw: Draw, **fit_params: Any) -> tuple[Any, Tensor | None]:
        """Run the module on the virtual inputs; also return the mixed tensor (None: not mixed)."""
        pending = self.__dict__.get("_pending_")
        if pending is not None:
            pending.n_forwards += 1
            pending.block_gradient = draw.block_gradient
        if draw.is_identity:
            return self.infer(X, **fit_params), None
        detach = draw.block_gradient == "below"
        if draw.site == INPUT:
            if isinstance(X, Tensor):
                if draw.lam is not None:
                    check_mixable(X, "the input of the module")
                virtual = draw.apply(X)
                return self.infer(virtual, **fit_params), virtual
            virtual = draw.apply_to_each(X)
            return self.infer(virtual, **fit_params), leading(virtual)
        with mixing_at(self.module_, draw.site, draw.apply, detach=detach, until=pending) as hook:
            output = self.infer(X, **fit_params)
        mixed, hook.mixed = hook.mixed, None  # a hook that stays must not hold on to the graph
        return output, mixed

    def check_output(self, output: Any, target: Tensor | None) -> Any:
        """Check, and where a criterion needs it convert, the module's output before the loss."""
        return output

    def loss_target(self, output: Any, target: Tensor) -> Tensor:
        """Bring targets into the form that the criterion takes."""
        return target

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Loss on clean rows, with the module in evaluation mode."""
        if self.module_.training:
            self._set_training(False)
        X, y = batch
        X, y = self._on_device(X), self._on_device(y)
        own = self.__dict__.get("_own_step_")
        with torch.no_grad(), nullcontext() if own is None else own.paused():
            y = y if own is None else own.with_weights(y)
            loss, output, _ = self.step_loss(X, y, Draw(), **fit_params)
        return {"loss": loss, "y_pred": output}

    def evaluation_step(self, batch: Any, training: bool = False) -> Any:
        """Output for one batch; a row's output does not depend on how many rows come with it.

        Matrix products of a few rows take other kernels than those of many and round differently;
        small batches are filled up with copies of their rows.
        """
        X, y = batch
        n = n_rows(X)
        if training or n >= MIN_PREDICTION_ROWS or not _all_tensors(X):
            return super().evaluation_step(batch, training=training)
        filled = take(X, torch.arange(MIN_PREDICTION_ROWS) % n)
        output = super().evaluation_step((filled, y), training=training)
        if isinstance(output, tuple):
            return tuple(part[:n] for part in output)
        return output[:n]

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Run the module on one batch, on the device the module is on."""
        x = self._on_device(x)
        if isinstance(x, dict):
            return self.module_(**self._merge_x_and_fit_params(x, fit_params))
        return self.module_(x, **fit_params)

    # ---- the epoch

    def fit_loop(self, X: Any, y: Any = None, epochs: Any = None, **fit_params: Any) -> Any:
        """Resolve the vicinity once for the module, then run skorch's loop."""
        self._vicinity_ = self.get_vicinity().validate()
        self._sites_ = self.__dict__.pop("_usable_sites_", None) or self._vicinity_.sites(
            self.module_
        )
        self._listeners_ = {
            event: [
                getattr(who, event)
                for who in (self, *(callback for _, callback in self.callbacks_))
                if _listens(who, event)
            ]
            for event in ("on_batch_begin", "on_batch_end", "on_grad_computed")
        }
        self._shows_clean_ = self.mixes_training_rows() and look_at_outputs(
            self, self._listeners_["on_batch_end"]
        )
        self._takes_all_outputs_, self._told_of_outputs_ = None, False
        self._training_device_ = self._device_  # looked up once instead of at every step
        if epochs is None:
            epochs = self.__dict__.get("_epochs_", self.max_epochs)
        optimizer = self.__dict__.get("optimizer_")
        start, self._n_epochs_ = going_on(optimizer, epochs)
        self._first_epoch_ = len(self.history) - start
        cut_off = self.__dict__.pop("_random_states_", None)
        self._go_on_from_ = cut_off if start > 0 else None
        self.put_peaks_back()
        self._learning_rate_ = LearningRate(optimizer, self.lr_shape(), self._n_epochs_)
        batch_size = self.batch_size
        try:
            with self.own_randomness():
                try:
                    super().fit_loop(X, y, epochs=epochs, **fit_params)
                except BaseException:
                    self._randomness_.recover()
                    self._random_states_ = self.random_states()
                    raise
            check_weights(self)
            return self
        finally:
            self.batch_size = batch_size
            self._learning_rate_.restore()
            del self._training_device_, self._listeners_, self._learning_rate_, self._n_epochs_
            del self._go_on_from_

    @contextmanager
    def own_randomness(self) -> Iterator[None]:
        """Make the random states of a fit, unless it has them already."""
        if "_randomness_" in self.__dict__:
            yield
            return
        try:
            with FitRandomness(self._rng_, self._device_, self.module_) as self._randomness_:
                yield
        finally:
            self.__dict__.pop("_randomness_", None)

    def random_states(self) -> dict[str, Any] | None:
        """Return all that a fit going on needs to draw what this one would, or None outside."""
        randomness = self.__dict__.get("_randomness_")
        if randomness is None:
            return None
        return {**randomness.states(), "rng": self._rng_.bit_generator.state}

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

    def lr_shape(self) -> str | None:
        """Return how the learning rate moves: `lr_schedule`, or for "auto" what suits."""
        schedule: str | None = getattr(self, "lr_schedule", None)
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

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Split as skorch does; until the end of training, `batch_size` is then a number.

        Callbacks such as skorch's ProgressBar compute with it, which they cannot with "auto".
        """
        randomness = self.__dict__.get("_randomness_")
        with nullcontext() if randomness is None else randomness.whole:
            train, valid = self._split_once(X, y, **fit_params)
        if hasattr(train, "__len__"):
            size = self.rows_per_batch(train, training=True)
            self.batch_size = len(train) if size == -1 else size
        return train, valid

    def _split_once(self, X: Any, y: Any, **fit_params: Any) -> Any:
        """Split, or return the split that a look at the rows in training needed before."""
        key, split = self.__dict__.pop("_split_", (None, None))
        if key != (id(X), id(self.train_split)):
            with self.split_as_callable():
                split = self.weigh_split(*super().get_split_datasets(X, y, **fit_params))
        return split

    def weigh_split(self, train: Any, valid: Any) -> tuple[Any, Any]:
        """Return what is trained on and what is held out, with the weights that rows then have."""
        return train, valid

    def split_as_callable(self) -> AbstractContextManager[None]:
        """Let `train_split` be the function that skorch takes it for."""
        return nullcontext()

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Decide whether this epoch is still mixed."""
        super().on_epoch_begin(net, **kwargs)
        if self._go_on_from_ is not None:  # now that all is ready: the next draws are its first
            self._randomness_.go_on_from(self._go_on_from_)
            self._rng_.bit_generator.state = self._go_on_from_["rng"]
            self._go_on_from_ = None
        epoch = len(self.history) - 1 - self._first_epoch_
        self._mixing_ = epoch < self.n_mixed_epochs() and not isinstance(self._vicinity_, Dirac)

    def mixes_training_rows(self) -> bool:
        """Whether training sees other rows than it is given, in some epoch at least."""
        return not self._vicinity_.changes_nothing and self.n_mixed_epochs() > 0

    def n_mixed_epochs(self) -> float:
        """Return the number of epochs, from the first, that are mixed."""
        mix_epochs = getattr(self, "mix_epochs", None)
        if mix_epochs is None:
            return float("inf")
        if isinstance(mix_epochs, Integral):
            return int(mix_epochs)
        return round(mix_epochs * self.__dict__.get("_n_epochs_", self.max_epochs))

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Run one epoch as skorch does; callbacks see labels as the user wrote them."""
        if iterator is None:
            return
        count = 0
        rows = self.history[-1, "batches"]
        listened = any(
            not _is_idle(listener, training)
            for event in ("on_batch_begin", "on_batch_end")
            for listener in self._listeners_[event]
        )
        rate = self._learning_rate_
        rate.optimizer = self.__dict__.get("optimizer_")  # which a callback may have made anew
        epoch = len(self.history) - 1 - self._first_epoch_
        n_batches = _length(iterator)
        own, clean = has_own_step(self, training), training and self._shows_clean_
        moving = training and rate.moves(n_batches)
        randomness = self._randomness_
        window = randomness.first_step()
        for batch in randomness.isolate(iterator):
            if moving:
                rate.move(epoch + min(count / n_batches, 1.0))
            row: dict[str, Any] = {}
            rows.append(row)
            if listened:
                seen = self.batch_for_callbacks(batch)
                self.notify("on_batch_begin", batch=seen, training=training)
            if clean:  # before the step, as the outputs that callbacks get elsewhere are
                with randomness.callbacks:
                    output = self.evaluation_step(seen, training=False)
            with window:
                if own:
                    step = OwnStep(self, batch, training).run(step_fn, fit_params)
                else:
                    step = step_fn(batch, **fit_params)
            row[prefix + "_loss"] = step["loss"].item()
            row[prefix + "_batch_size"] = n_rows(batch[0])
            if clean:
                step = {**step, "y_pred": self.output_for_callbacks(output)}
            if listened:
                self.notify("on_batch_end", batch=seen, training=training, **step)
            count += 1
            window = randomness.next_step()
        if training and count == 0:
            raise ValueError(
                f"epoch {epoch + 1} has no batch to train on: the data set or its sampler yields "
                "no row. A stream (IterableDataset) must start again in each epoch"
            )
        self.history.record(prefix + "_batch_count", count)
        if training:
            check_losses(self, rows)
            rate.end_epoch(epoch + 1)

    def on_batch_begin(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: :meth:`run_single_epoch` begins the batch's row of the history."""

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Tell the callbacks; of what happens in every batch, only those that listen."""
        listeners = self.__dict__.get("_listeners_", {}).get(method_name)
        randomness = self.__dict__.get("_randomness_")
        with nullcontext() if randomness is None else randomness.callbacks:
            if listeners is None:
                super().notify(method_name, **kwargs)
                return
            for listener in listeners:
                listener(self, **kwargs)

    def batch_for_callbacks(self, batch: Any) -> Any:
        """Return the batch with its targets as callbacks expect them, without weights."""
        X, y = batch
        return X, split_targets(y)[0]

    # ---- what skorch asks for

    def torch_compile(self, module: nn.Module, name: str) -> Any:
        """Compile where ``compile=True``, with the hooks that mix at hidden layers in place."""
        if self.compile and name == "module":
            vicinity = self.get_vicinity()
            if getattr(vicinity, "block_gradient", None) == "above":
                raise ValueError(
                    "block_gradient='above' needs the gradient at the mixed layer, which compiled "
                    "code does not give; got compile=True; use compile=False, or block_gradient "
                    "None or 'below'"
                )
            prepare_for_compilation(module, vicinity.sites(module))
        return super().torch_compile(module, name)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Whole-tensor batches for arrays in memory, a DataLoader for all else.

        ``iterator_train__…`` arguments that only a DataLoader has (``num_workers``, ``sampler``,
        ``collate_fn``, …) select it. Training rows are shuffled unless the arguments say
        otherwise.
        """
        prefix = "iterator_train" if training else "iterator_valid"
        iterator = getattr(self, prefix)
        kwargs = self.get_params_for(prefix)
        own = set(inspect.signature(TensorBatches).parameters) - {"dataset", "device"}
        if iterator is TensorBatches and (in_memory(dataset) is None or not set(kwargs) <= own):
            iterator = DataLoader
        ordered = isinstance(dataset, IterableDataset) or (
            {"shuffle", "sampler", "batch_sampler"} & set(kwargs)
        )
        if training and not ordered:
            kwargs["shuffle"] = True
        if iterator is TensorBatches:
            kwargs["device"] = self._device_
            if training and "_randomness_" in self.__dict__:
                kwargs.setdefault("generator", self._randomness_.torch)
        if "batch_size" not in kwargs and "batch_sampler" not in kwargs:
            kwargs["batch_size"] = self.rows_per_batch(dataset, training)
        if kwargs.get("batch_size") == -1:
            kwargs["batch_size"] = len(dataset)
        batches = iterator(dataset, **kwargs)
        if training and kwargs.get("drop_last") and _length(batches) == 0:
            raise ValueError(
                f"{prefix}__drop_last=True leaves no batch to train on: {len(dataset)} rows do "
                f"not fill one of batch_size={kwargs.get('batch_size')}; lower that, or set "
                "drop_last to False"
            )
        return batches

    def rows_per_batch(self, dataset: Dataset[Any], training: bool) -> int:
        """Return the batch size: the user's, or for ``"auto"`` one from the number of rows."""
        size = self.batch_size
        if size == "auto":
            size = auto_batch_size(len(dataset)) if hasattr(dataset, "__len__") else 128
        found = None if training else in_memory(dataset)
        if found is not None and size > 0:
            row = max(1, sum(x[:1].numel() for _, x in tensors_in(found[0].inputs)))
            size = max(size, min(4096, PREDICTION_ELEMENTS // row))
        return size

    def get_params_for_optimizer(self, prefix: str, named_parameters: Any) -> Any:
        """Use the optimizer's fused kernel where it has one for the device, unless told not to."""
        args, kwargs = super().get_params_for_optimizer(prefix, named_parameters)
        chosen = {"fused", "foreach", "capturable", "differentiable"} & set(kwargs)
        parameters = [p for group in args[0] for p in group["params"]]
        if (
            not chosen
            and parameters
            and self._device_.type in ("cpu", "cuda")
            and "fused" in inspect.signature(self.optimizer).parameters
            and all(p.is_floating_point() for p in parameters)
        ):
            kwargs["fused"] = True
        return args, kwargs

    def _zero_grad_optimizer(self, set_to_none: bool | None = None) -> None:
        """Drop all gradients, as torch's ``zero_grad`` does, without what its profiling costs.

        On a small network that is a twelfth of a step.
        """
        for name in self._optimizers:
            optimizer = getattr(self, name + "_")
            own = getattr(optimizer.zero_grad, "__func__", None) is not Optimizer.zero_grad
            if own or set_to_none is False:
                super()._zero_grad_optimizer(set_to_none)
                return
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad = None

    def split_on_device(self, y: Any) -> tuple[Any, Any]:
        """Targets, and weights or None, on the device of the module."""
        target, weight = split_targets(y)
        return self._on_device(target), None if weight is None else self._on_device(weight)

    def _step_optimizer(self, step_fn: Any) -> None:
        """Let the optimizers step, without what torch's profiling of them costs."""
        for name in self._optimizers:
            optimizer = getattr(self, name + "_")
            step = plain_step(optimizer)
            step() if step_fn is None else step(step_fn)

    def _on_device(self, x: Any) -> Any:
        """Move a batch to the module; one made by :class:`TensorBatches` is there already."""
        device = self.__dict__.get("_training_device_") or self._device_
        if isinstance(x, Tensor) and x.device == device:
            return x
        return to_tensor(x, device=device)

    @property
    def _device_(self) -> torch.device:
        """Where the module is, or will be once it is made."""
        module = self.__dict__.get("module_")
        if not isinstance(module, nn.Module):
            return resolve_device(self.device)
        parameter = next(module.parameters(), None)
        return resolve_device(self.device) if parameter is None else parameter.device


def single_row_statistics(module: nn.Module, n_rows: int) -> AbstractContextManager[None]:
    """For a minibatch of one row, let BatchNorm use its running statistics: it has no variance."""
    return _running_statistics(module) if n_rows == 1 else nullcontext()


@contextmanager
def _running_statistics(module: nn.Module) -> Iterator[None]:
    frozen = [
        child
        for child in unwrap(module).modules()
        if isinstance(child, nn.modules.batchnorm._BatchNorm) and child.training
    ]
    for child in frozen:
        child.eval()
    try:
        yield
    finally:
        for child in frozen:
            child.train()


def _listens(listener: Any, event: str) -> bool:
    method = getattr(listener, event)
    inherited = (getattr(Callback, event), getattr(VicinalNet, event))
    return getattr(method, "__func__", method) not in inherited


def _is_idle(listener: Any, training: bool) -> bool:
    """Whether it is a score's that looks at the other kind of rows only."""
    score = getattr(listener, "__self__", None)
    if not isinstance(score, EpochScoring):
        return False
    inherited = type(score).on_batch_end is EpochScoring.on_batch_end
    return inherited and bool(score.on_train) != training


def _length(iterator: Any) -> float:
    """Return the number of batches; infinity where a stream of rows does not tell."""
    try:
        return len(iterator)
    except TypeError:
        return inf


def _all_tensors(X: Any) -> bool:
    return all(isinstance(x, Tensor) for _, x in tensors_in(X))

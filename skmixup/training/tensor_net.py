"""skorch's training loop, made fast: batches, epochs, listeners, optimizers, random states."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from skmixup.randomness.fit import FitRandomness
from skmixup.randomness.unseen import parts_of
from skmixup.training.batches import (
    TensorBatches,
    auto_batch_size,
    in_memory,
    n_batches,
    split_targets,
)
from skmixup.training.divergence import check_losses, check_weights
from skmixup.training.fit_state import USUAL_EPOCHS, FitState
from skmixup.training.listeners import is_idle, listeners_of
from skmixup.training.losses import Losses
from skmixup.training.running_net import RunningNet
from skmixup.training.schedule import LearningRate, going_on
from skmixup.vicinal.nested import cloned, map_tensors, n_rows, take, tensors_in

# Inputs in one batch of prediction: large enough to be fast, small enough for images.
PREDICTION_ELEMENTS = 2**18
MIN_PREDICTION_ROWS = 16
MAX_PREDICTION_ROWS = 1024  # more lie in no cache

#: The positions of few rows, again and again: of n rows at n.
_ROWS = torch.arange(MIN_PREDICTION_ROWS, device="cpu")
_REPEATED = [_ROWS % max(n, 1) for n in range(MIN_PREDICTION_ROWS)]

# Arguments that need no DataLoader.
_BATCH_OPTIONS = frozenset(inspect.signature(TensorBatches).parameters) - {"dataset", "device"}


class TensorNet(RunningNet):
    """A skorch net with a quick loop over whole-tensor minibatches; it knows nothing of mixing."""

    batch_size: Any  # skorch's parameters are not typed
    max_epochs: Any

    fit_state: ClassVar[type[FitState]] = FitState

    # ---- the state of a fit

    @contextmanager
    def fitting(self, **given: Any) -> Iterator[Any]:
        """Context with the state of a fit: the one there is, or one for as long as it lasts.

        Parameters
        ----------
        **given
            What a call of `fit` or `partial_fit` was given; it then has a state of its own.

        Yields
        ------
        FitState
        """
        before = self.__dict__.get("_fit_state_")
        if before is not None and not given:
            yield before
            return
        self.__dict__["_fit_state_"] = state = self.fit_state(**given)
        try:
            yield state
        finally:
            if before is None:
                self.__dict__.pop("_fit_state_", None)
            else:
                self.__dict__["_fit_state_"] = before

    @contextmanager
    def own_randomness(self) -> Iterator[None]:
        """Make the random states of a fit, unless it has them already."""
        state = self._fit_state_
        if state.randomness is not None:
            yield
            return
        try:
            with FitRandomness(self._rng_, self._device_, self.module_) as state.randomness:
                yield
        finally:
            state.randomness = None

    def random_states(self) -> dict[str, Any] | None:
        """Return all that a fit going on needs to draw what this one would, or None outside."""
        state = self._fit_state_
        if state is None or state.randomness is None:
            return None
        return {**state.randomness.states(), "rng": self._rng_.bit_generator.state}

    # ---- the epochs

    def fit_loop(self, X: Any, y: Any = None, epochs: Any = None, **fit_params: Any) -> Any:
        """Run skorch's loop with a state of the fit; one that was cut off goes on."""
        with self.fitting() as state:
            batch_size, automatic = self.batch_size, self.max_epochs == "auto"
            epochs = self._begin_loop(state, epochs)
            try:
                with self.own_randomness():
                    try:
                        super().fit_loop(X, y, epochs=epochs, **fit_params)
                    except BaseException:
                        state.randomness.recover()
                        self._random_states_ = self.random_states()
                        raise
                check_weights(self)
            finally:
                self.batch_size = batch_size
                if automatic:
                    self.max_epochs = "auto"
                state.end_loop()
        return self

    def _begin_loop(self, state: Any, epochs: int | None) -> int:
        """Look up once what every step needs; return how many epochs there are to run."""
        epochs = self.epochs_of_call() if epochs is None else epochs
        optimizer = self.__dict__.get("optimizer_")
        start, state.n_epochs = going_on(optimizer, epochs)
        state.first_epoch = len(self.history) - start
        cut_off = self.__dict__.pop("_random_states_", None)
        state.random_states = cut_off if start > 0 else None
        state.device = self._device_
        state.listeners = listeners_of(self, TensorNet)
        state.loss_scale = self.loss_scale()
        self.put_peaks_back()
        state.rate = LearningRate(optimizer, self.lr_shape(), state.n_epochs)
        if self.max_epochs == "auto":  # callbacks compute with it, as with batch_size
            self.max_epochs = epochs
        return epochs

    def epochs_of_call(self) -> int:
        """Return the epochs that a call was asked for, or those of `max_epochs`."""
        state = self._fit_state_
        if state is not None and state.epochs is not None:
            return int(state.epochs)
        return USUAL_EPOCHS if self.max_epochs == "auto" else int(self.max_epochs)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Go on from the random states of a fit that was cut off, now that all is ready."""
        super().on_epoch_begin(net, **kwargs)
        state = self._fit_state_
        if state.random_states is not None:
            state.randomness.go_on_from(state.random_states)
            self._rng_.bit_generator.state = state.random_states["rng"]
            state.random_states = None

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Run one epoch as skorch does; callbacks see labels as the user wrote them."""
        if iterator is None:
            return
        state = self._fit_state_
        rate, randomness = state.rate, state.randomness
        rate.optimizer = self.__dict__.get("optimizer_")  # which a callback may have made anew
        length = n_batches(iterator)
        moving = training and rate.moves(length)
        epoch = len(self.history) - 1 - state.first_epoch
        listened = any(
            not is_idle(listener, training)
            for event in ("on_batch_begin", "on_batch_end")
            for listener in state.listeners[event]
        )
        clean = training and state.shows_clean
        step_of = self.step_of(step_fn, training)
        rows, count = self.history[-1, "batches"], 0
        losses = Losses(prefix + "_loss", at_once=listened)
        window = randomness.first_step()
        try:
            for batch in randomness.isolate(iterator):
                if moving:
                    rate.move(epoch + min(count / length, 1.0))
                row: dict[str, Any] = {}
                rows.append(row)
                if listened:
                    seen = self.batch_for_callbacks(batch)
                    self.notify("on_batch_begin", batch=seen, training=training)
                if clean:  # before the step, as the outputs that callbacks get elsewhere are
                    with randomness.callbacks:
                        output = self.evaluation_step(cloned(seen), training=False)
                with window:
                    step = step_of(batch, **fit_params)
                losses.note(row, step["loss"])
                row[prefix + "_batch_size"] = n_rows(batch[0])
                if clean:
                    step = {**step, "y_pred": self.output_for_callbacks(output)}
                if listened:
                    self.notify("on_batch_end", batch=seen, training=training, **step)
                count += 1
                window = randomness.next_step()
        finally:
            losses.fetch()
        if training and count == 0:
            raise ValueError(
                f"epoch {epoch + 1} has no batch to train on: the data set or its sampler yields "
                "no row. A stream (IterableDataset) must start again in each epoch"
            )
        self.history.record(prefix + "_batch_count", count)
        if training:
            check_losses(self, rows)
            rate.end_epoch(epoch + 1)
            if state.loss_scale is not None:
                state.loss_scale.save()

    def step_of(self, step_fn: Callable[..., Any], training: bool) -> Callable[..., Any]:
        """Return what takes the steps of an epoch: skorch's choice."""
        return step_fn

    def set_training(self, training: bool) -> None:
        """Set all modules and criteria to training or to evaluation mode."""
        for name in (*self._modules, *self._criteria):
            part = getattr(self, name + "_")
            if isinstance(part, nn.Module):
                part.train(training)

    def evaluation_step(self, batch: Any, training: bool = False) -> Any:
        """Output for one batch; a row's output does not depend on how many rows come with it.

        Matrix products of a few rows take other kernels than those of many and round differently;
        small batches are filled up with copies of their rows, 16 together or as many as a module
        says by `min_prediction_rows`.
        """
        X, _ = batch
        n = n_rows(X)
        if training:
            return super().evaluation_step(batch, training=True)
        module = getattr(self, "module_", None)  # which subclasses may call by another name
        if module is None or any(part.training for part in parts_of(module)):
            self.set_training(False)
        if n >= MIN_PREDICTION_ROWS or not _all_tensors(X):
            with torch.no_grad():
                return self.infer(X)
        n_filled = max(n, getattr(module, "min_prediction_rows", MIN_PREDICTION_ROWS))
        with torch.no_grad():
            output = self.infer(take(X, _REPEATED[n][:n_filled]))
        if isinstance(output, Tensor):
            return output[:n]

        def is_repeated(part: Any) -> bool:
            return isinstance(part, Tensor) and part.ndim > 0 and len(part) == n_filled

        own = map_tensors(lambda part: part[:n] if is_repeated(part) else part, output)
        others = [part for _, part in tensors_in(output) if isinstance(part, Tensor)]
        if isinstance(own, tuple) and not all(map(is_repeated, others)):
            with torch.no_grad():  # a mean over the rows is to be that of these
                return own[0], *self.infer(X)[1:]
        return own

    # ---- callbacks

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Tell the callbacks; of what happens in every batch, only those that listen."""
        state = self._fit_state_
        if state is None:
            super().notify(method_name, **kwargs)
            return
        listeners = None if state.listeners is None else state.listeners.get(method_name)
        randomness = state.randomness
        with nullcontext() if randomness is None else randomness.callbacks:
            if listeners is None:
                super().notify(method_name, **kwargs)
                return
            for listener in listeners:
                listener(self, **kwargs)

    def on_batch_begin(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: :meth:`run_single_epoch` begins the batch's row of the history."""

    def batch_for_callbacks(self, batch: Any) -> Any:
        """Return the batch with its targets as callbacks expect them, without weights."""
        X, y, *_ = batch
        return X, split_targets(y)[0]

    def output_for_callbacks(self, output: Any) -> Any:
        """Return what callbacks see of the module's output in training."""
        return output

    # ---- batches

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Split as skorch does; until the end of training, `batch_size` is then a number.

        Callbacks such as skorch's ProgressBar compute with it, which they cannot with "auto".
        """
        state = self._fit_state_
        randomness = None if state is None else state.randomness
        with nullcontext() if randomness is None else randomness.whole:
            train, valid = self._split_once(X, y, **fit_params)
        if hasattr(train, "__len__"):
            size = self.rows_per_batch(train, training=True)
            self.batch_size = len(train) if size == -1 else size
        return train, valid

    def _split_once(self, X: Any, y: Any, **fit_params: Any) -> Any:
        """Split, or return the split that a look at the rows in training needed before."""
        state = self._fit_state_
        if state is not None and state.split is not None:
            (key, split), state.split = state.split, None
            if key == (id(X), id(self.train_split)):
                return split
        with self.split_as_callable():
            split = super().get_split_datasets(X, y, **fit_params)
        self.check_split(split)
        return self.weigh_split(*split)

    def check_split(self, split: Any) -> None:
        """Raise an error unless `split` is a data set to train on and one held out, or None."""

    def weigh_split(self, train: Any, valid: Any) -> tuple[Any, Any]:
        """Return what is trained on and what is held out, with the weights that rows then have."""
        return train, valid

    def split_as_callable(self) -> AbstractContextManager[None]:
        """Let `train_split` be the function that skorch takes it for."""
        return nullcontext()

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Whole-tensor batches for arrays in memory, a DataLoader for all else.

        ``iterator_train__…`` arguments that only a DataLoader has (``num_workers``, ``sampler``,
        ``collate_fn``, …) select it. Training rows are shuffled unless the arguments say
        otherwise.
        """
        prefix = "iterator_train" if training else "iterator_valid"
        iterator = getattr(self, prefix)
        kwargs = self.get_params_for(prefix)
        if iterator is TensorBatches and (
            in_memory(dataset) is None
            or not _BATCH_OPTIONS.issuperset(kwargs)
            or self._is_one_of_several_processes()
        ):
            iterator = DataLoader
        ordered = isinstance(dataset, IterableDataset) or (
            {"shuffle", "sampler", "batch_sampler"} & set(kwargs)
        )
        if training and not ordered:
            kwargs["shuffle"] = True
        if iterator is TensorBatches:
            kwargs["device"] = self._device_
            state = self._fit_state_
            if training and state is not None and state.randomness is not None:
                kwargs.setdefault("generator", state.randomness.torch)
        if "batch_size" not in kwargs and "batch_sampler" not in kwargs:
            kwargs["batch_size"] = self.rows_per_batch(dataset, training)
        if kwargs.get("batch_size") == -1:
            kwargs["batch_size"] = len(dataset)
        batches = iterator(dataset, **kwargs)
        if self._is_one_of_several_processes() and isinstance(batches, DataLoader):
            batches = self.accelerator.prepare(batches)  # before others are wrapped around it
        if training and kwargs.get("drop_last") and n_batches(batches) == 0:
            raise ValueError(
                f"{prefix}__drop_last=True leaves no batch to train on: {len(dataset)} rows do "
                f"not fill one of batch_size={kwargs.get('batch_size')}; lower that, or set "
                "drop_last to False"
            )
        return batches

    def _is_one_of_several_processes(self) -> bool:
        """Whether skorch's AccelerateMixin parts the batches: accelerate parts a loader's."""
        return getattr(self.__dict__.get("accelerator"), "num_processes", 1) > 1

    def rows_per_batch(self, dataset: Dataset[Any], training: bool) -> int:
        """Return the batch size: the user's, or for ``"auto"`` one from the number of rows."""
        size, least = self.batch_size, 0
        found = None if training else in_memory(dataset)
        if found is not None:
            row = max(1, sum(x[:1].numel() for _, x in tensors_in(found[0].inputs)))
            least = min(MAX_PREDICTION_ROWS, PREDICTION_ELEMENTS // row)
        if size == "auto":
            size = auto_batch_size(len(dataset)) if hasattr(dataset, "__len__") else 128
        return max(size, least) if size > 0 else size

    def split_on_device(self, y: Any) -> tuple[Any, Any]:
        """Targets, and weights or None, on the device of the module."""
        target, weight = split_targets(y)
        return self._on_device(target), None if weight is None else self._on_device(weight)


def _all_tensors(X: Any) -> bool:
    return all(isinstance(x, Tensor) for _, x in tensors_in(X))

"""What all estimators share: checks of parameters, making the module, training, fitted state."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from numbers import Integral, Real
from typing import Any, ClassVar, Self

from sklearn.utils.validation import check_is_fitted
from skorch.history import History
from torch import nn

from skmixup.constraints import (
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from skmixup.estimators.criteria import criterion_of, let_average
from skmixup.estimators.functions import as_criterion
from skmixup.estimators.images import check_default_shape
from skmixup.estimators.inputs import group_column
from skmixup.estimators.interrupts import has_seen_enough
from skmixup.estimators.looking import LookingNet
from skmixup.estimators.monitors import check_callbacks
from skmixup.estimators.seeding import initialize_seeded, seed
from skmixup.networks.default import NETWORKS
from skmixup.randomness.fit import isolated_randomness
from skmixup.training.augmentation import check_augment
from skmixup.training.copies import copied, own_arguments, own_values
from skmixup.training.devices import resolve_device
from skmixup.training.divergence import DivergenceError
from skmixup.training.precision import PRECISIONS, check_precision
from skmixup.training.schedule import SHAPES, check_schedule, cut_short, finish
from skmixup.training.scripted import check_instance
from skmixup.training.surroundings import own_surroundings
from skmixup.training.undoing import LOST, UNDONE, Undoing


class VicinalEstimator(LookingNet):
    """Base of all estimators: a skorch net that keeps scikit-learn's contract."""

    #: Arguments of the default network for tables that are not its own defaults.
    table_network: ClassVar[dict[str, Any]] = {}

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "criterion": [callable],
        "optimizer": [callable],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "lr_schedule": [None, callable, StrOptions({"auto", *SHAPES})],
        "max_epochs": [Interval(Integral, 0, None, closed="left")],
        "batch_size": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
            Options(Integral, {-1}),
        ],
        "ema_decay": [Interval(Real, 0, 1, closed="left")],
        "mix_epochs": [
            None,
            Interval(Integral, 0, None, closed="left"),
            Interval(Real, 0, 1, closed="both"),
        ],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "compile": ["boolean"],
        "precision": [StrOptions(set(PRECISIONS))],
        "random_state": ["random_state"],
        "train_split": [
            None,
            callable,
            Options(bool, {False}),
            Interval(Real, 0, 1, closed="neither"),
        ],
        "callbacks": [None, list, StrOptions({"disable"})],
        "dataset": [callable],
        "iterator_train": [callable],
        "iterator_valid": [callable],
    }

    def check_parameters(self) -> None:
        """Raise an error for a bad parameter, which names it, its value and what is valid."""
        self.check_training_readiness()
        params = self.get_params(deep=False)
        known = {k: v for k, v in params.items() if k in self._parameter_constraints}
        validate_parameter_constraints(self._parameter_constraints, known, type(self).__name__)
        check_precision(self.precision, resolve_device(self.device))
        check_schedule(self.lr_schedule)
        check_augment(self.augment)
        check_callbacks(self.callbacks)
        self.get_vicinity().validate()

    # ---- the module

    def initialize(self) -> Self:
        """Make module, criterion, optimizer and callbacks anew, from `random_state`.

        A default network whose sizes are not known yet is made later, by `fit` or `load_params`.
        """
        if self.module is None and not self._knows_sizes():
            self.make_callbacks()
            self.initialize_history()
            return self
        seed(self)
        device = resolve_device(self.device)
        randomness = isolated_randomness(self._rng_, device)
        with own_surroundings(device.type), self._device_for_users_code(), randomness:
            super().initialize()
        return self

    def initialize_module(self) -> Self:
        """Make the module; a given instance is copied, so that the parameter stays untrained."""
        kwargs = self.get_params_for("module")
        if self.module is None:
            module = self._default_module(**own_values(kwargs))
        elif isinstance(self.module, nn.Module) and not kwargs:
            check_instance(self.module)
            module = copied(self.module)
        elif isinstance(self.module, nn.Module) or callable(self.module):
            module = self.initialized_instance(*own_arguments(self.module, kwargs))
        else:
            raise TypeError(
                "module must be None, a torch.nn.Module class or an instance of one; "
                f"got {self.module!r}"
            )
        self.module_ = module
        self.make_student()
        return self

    def _knows_sizes(self) -> bool:
        return "input_shape_" in self.__dict__ or "_network_" in self.__dict__

    def _default_module(self, **kwargs: Any) -> nn.Module:
        shape = self.__dict__.get("input_shape_")
        if shape is None and self._knows_sizes():  # those of a file
            network, n_inputs, n_outputs = self._network_
        else:
            check_default_shape(shape)
            assert shape is not None
            network = "MLP" if len(shape) == 1 else "PreActResNet"
            n_inputs, n_outputs = shape[0], self._n_outputs()
        if network == "MLP":
            kwargs = {**self.table_network, **kwargs}
        return NETWORKS[network](n_inputs, n_outputs, **kwargs)

    def use_network(self, network: str, n_inputs: int, n_outputs: int) -> None:
        """Say which default network to make, and its sizes, before there are data to tell them."""
        self._network_ = network, n_inputs, n_outputs
        self.n_features_in_ = n_inputs

    def _n_outputs(self) -> int:
        raise NotImplementedError

    # skorch moves a part to the device after it has called initialize_module or _criterion, in
    # these methods, which set_params and AccelerateMixin call by themselves.

    def _initialize_module(self, *args: Any, **kwargs: Any) -> Self:
        with self._resolved_device():
            self.__dict__.pop("module_", None)
            self.__dict__.pop("_takes_channels_last_", None)  # of another module, maybe
            self._module_ready_ = False
            return super()._initialize_module(*args, **kwargs)

    def _initialize_criterion(self, *args: Any, **kwargs: Any) -> Self:
        with self._resolved_device():
            return super()._initialize_criterion(*args, **kwargs)

    def initialize_criterion(self, *args: Any, **kwargs: Any) -> Self:
        """Make the criterion, and let the default network average its members to suit it."""
        given = self.criterion_to_make()
        criterion = as_criterion(given, self.get_params_for("criterion"))
        if criterion is None and given is not self.criterion:
            criterion = given(**self.get_params_for("criterion"))
        if criterion is None:
            super().initialize_criterion(*args, **kwargs)
            made = self.__dict__.get("criterion_")
            criterion = as_criterion(made, {})
            if made is self.criterion and isinstance(made, nn.Module):
                criterion = own_values({"criterion": made})["criterion"]
        if criterion is not None:
            self.criterion_ = criterion
        for network in self.networks():
            let_average(network, criterion_of(self))
        return self

    def criterion_to_make(self) -> Any:
        """Return what the parameter `criterion` stands for."""
        return self.criterion

    # ---- training

    @contextmanager
    def _call(self, *, epochs: int | None, groups: Any, whole: bool) -> Iterator[None]:
        """Context of one call of `fit` or `partial_fit`.

        The estimator is put back as it was before where an error ends the call before its first
        step, and where the training diverges.
        """
        if epochs is not None and (
            not isinstance(epochs, Integral) or isinstance(epochs, bool) or epochs < 0
        ):
            raise ValueError(f"epochs must be an int of at least 0, or None; got {epochs!r}")
        self.check_groups(groups)
        if groups is not None and not callable(self.train_split):  # which may take any
            groups = group_column(groups)
        before, rng = dict(self.__dict__), self.__dict__.get("_rng_")
        seed_before = None if rng is None else rng.bit_generator.state
        surroundings = own_surroundings(self._device_.type)
        with surroundings, self.fitting(epochs=epochs, groups=groups, whole=whole) as state:
            try:
                yield
            except BaseException as error:
                if isinstance(error, DivergenceError) and state.undoing is not None:
                    if not state.undoing.undo():
                        error.add_note(LOST)
                        raise
                    error.add_note(UNDONE)
                if not state.has_begun or isinstance(error, DivergenceError):
                    self._put_back(before)
                    if rng is not None:
                        rng.bit_generator.state = seed_before
                raise

    def _train(self, X: Any, y: Any, *, fresh: bool, seen: Any) -> Self:
        """Initialise if `fresh`, then train; global random states are as before afterwards.

        Callbacks get the inputs `seen` before the module is checked, since they may change it to
        suit them, as skorch's InputShapeSetter does.
        """
        if fresh:
            initialize_seeded(self)
            if "module_" not in self.__dict__:
                self._default_module()  # raises the error that says why it could not be made
        elif "_rng_" not in self.__dict__:
            seed(self)
        self.check_callbacks()
        if self.__dict__.pop("_untrained_after_", None):
            self.initialize_history()
        try:
            with self._device_for_users_code(), self.own_randomness():
                self.show_student()
                self.notify("on_train_begin", X=seen, y=y)
                with self._fit_state_.randomness.whole:
                    # A module that is ready was trained before, or its weights were loaded.
                    if not self.__dict__.get("_module_ready_", True):
                        self._adapt_module(X, y)
                    self.resolve_vicinity()  # names of layers are checked, also without mixing
                    self.check_module(X)
                    self._check_layers(X)
                    self._check_augment(X)
                    self._check_batches(X, y)
                self._module_ready_ = True
                self._run_epochs(X, y, seen, fresh=fresh)
                self.notify("on_train_end", X=seen, y=y)
        finally:
            self.show_average()
            self.set_training(False)
        finish(self.__dict__.get("optimizer_"))
        self.__dict__.pop("_random_states_", None)
        return self

    def _run_epochs(self, X: Any, y: Any, seen: Any, *, fresh: bool) -> None:
        """Train; Ctrl-C keeps what has been learnt, and is raised again.

        The epoch that it cuts off is removed from the history, so that every row there has all
        scores.
        """
        n_before = len(self.history)
        if not fresh:
            self._fit_state_.undoing = Undoing(self)
        try:
            self.fit_loop(X, y)
        except BaseException as error:
            state = self._fit_state_
            state.randomness.recover()
            batches = [batch for row in self.history[n_before:] for batch in row["batches"]]
            state.has_begun = not fresh or any("train_loss" in batch for batch in batches)
            if has_seen_enough(error):
                return
            if isinstance(error, KeyboardInterrupt) and state.has_begun:
                self._drop_incomplete_epoch()
                if self.history:  # callbacks look at its last row
                    try:
                        self.notify("on_train_end", X=seen, y=y)
                    except Exception as failure:  # as of a best epoch that was never saved
                        error.add_note(f"on_train_end of a callback raised {failure!r}")
            raise
        self._fit_state_.has_begun = True

    def _drop_incomplete_epoch(self) -> None:
        """Remove a last row of the history that lacks scores that the other rows have."""
        *before, last = self.history or [{}]
        if len(self.history) > self._fit_state_.n_complete_epochs and not (
            before and before[-1].keys() <= last.keys()
        ):
            del self.history[-1]
            n_complete = len(self.history) - self._fit_state_.first_epoch
            cut_short(self.__dict__.get("optimizer_"), n_complete)

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Tell the callbacks, and count the epochs whose end all callbacks have been told."""
        state = self._fit_state_
        if method_name == "on_train_begin" and state is not None:
            state.n_complete_epochs = len(self.history)
        super().notify(method_name, **kwargs)
        if method_name == "on_epoch_end" and state is not None:
            state.n_complete_epochs = len(self.history)

    def initialize_history(self) -> Self:
        """Start a new history, of the same class as the last; the last one itself stays as it is.

        skorch would empty it, also where the user has kept a reference to it.
        """
        given = self.__dict__.get("history_")
        if type(given) in (type(None), History):
            self.history_ = History()
        else:
            self.history_ = copy(given)
            self.history_.clear()
        return self

    def __sklearn_is_fitted__(self) -> bool:
        made = isinstance(self.__dict__.get("module_"), nn.Module)
        return made and "_untrained_after_" not in self.__dict__

    def saw_no_data(self) -> bool:
        """Whether neither `fit` nor `partial_fit` was called: the net is initialised or loaded."""
        return "classes_inferred_" not in self.__dict__

    def check_trained(self) -> None:
        """Raise NotFittedError if the module is not trained."""
        if self.__sklearn_is_fitted__():
            return
        changed = self.__dict__.get("_untrained_after_")
        reason = f"set_params({', '.join(f'{name}=…' for name in changed)})" if changed else ""
        message = (
            f"This %(name)s has a new module since {reason}, which is not trained. Call 'fit' or "
            "'partial_fit' with appropriate arguments before using this estimator."
        )
        check_is_fitted(self, msg=message if changed else None)

    @property
    def n_iter_(self) -> int:
        """Number of epochs run since the module was made."""
        return len(self._history())

    @property
    def loss_curve_(self) -> list[float]:
        """Mean training loss of each epoch, on the virtual pairs; shape (`n_iter_`,)."""
        return [epoch["train_loss"] for epoch in self._history() if "train_loss" in epoch]

    def _history(self) -> Any:
        history = self.__dict__.get("history_")
        if history is None:
            raise AttributeError(f"this {type(self).__name__} is not fitted yet")
        return history

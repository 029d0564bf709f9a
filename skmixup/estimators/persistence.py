"""Saving and loading: pickles that open anywhere, and files of parameters without a fit before."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pickle import PicklingError
from typing import Any, ClassVar

import torch
from skorch.callbacks import TrainEndCheckpoint
from skorch.exceptions import NotInitializedError
from skorch.history import History
from torch import Tensor, nn
from torch.optim import Optimizer

from skmixup.estimators import safetensors_files
from skmixup.estimators.parameters import ParametrizedNet
from skmixup.networks.default import default_network_in, difference
from skmixup.training.copies import pickled
from skmixup.training.devices import resolve_device
from skmixup.training.optimizers import complete_copy
from skmixup.training.scripted import holds_scripts
from skmixup.training.surroundings import own_surroundings
from skmixup.training.undoing import Undoing

# What is there while it trains, and in no copy that a callback makes.
_TRAINING_STATE = ("_fit_state_", "_given_device_")

# Classes of these are no user's.
_LIBRARIES = ("skmixup.", "skorch.", "sklearn.", "builtins")

# skorch's name for what may lie on a device that another machine has not got
_MOVABLE = "__cuda_dependent_attributes__"

# Key of the notes in the metadata of a state dict
_NOTES = "skmixup"


class PersistentNet(ParametrizedNet):
    """A net that can be saved and loaded, whole or its parameters, also without its device."""

    _users_classes: ClassVar[list[type]]

    # ---- the whole net

    def __getstate__(self) -> dict[str, Any]:
        """Return the state, with all that may hold tensors as bytes that skorch can map."""
        attributes = self.attributes_at_rest()
        state = {k: v for k, v in attributes.items() if k not in _TRAINING_STATE}
        fit = self._fit_state_
        if fit is not None and fit.rate is not None:  # in training
            state["_random_states_"] = self.random_states()
        state["device"] = self.__dict__.get("_given_device_", self.device)
        # "callbacks" too, given and initialised: schedulers hold optimizers
        prefixes = (*self.cuda_dependent_attributes_, "callbacks")
        movable = {
            name: value
            for name, value in state.items()
            if name.startswith(prefixes) or isinstance(value, (Tensor, nn.Module, Optimizer))
        }
        state = {name: value for name, value in state.items() if name not in movable}
        try:
            state[_MOVABLE] = pickled(movable)
        except RuntimeError as error:
            if any(map(holds_scripts, self.networks())):
                raise PicklingError(
                    "the module holds code of torch.jit, which cannot be pickled or copied: train "
                    "the module as it was before torch.jit, or keep its weights with save_params"
                ) from error
            raise
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        given = state["device"]
        as_written = given is None or given == "auto"
        device = resolve_device(given) if as_written else given
        with torch.inference_mode(False):  # tensors made there cannot be trained
            super().__setstate__({**state, "device": device})
        for value in self.__dict__.values():
            complete_copy(value)
        if as_written:
            object.__setattr__(self, "device", given)

    # ---- `device` stays what the user wrote, "auto" included

    @contextmanager
    def _resolved_device(self) -> Iterator[None]:
        if "_given_device_" in self.__dict__:
            yield
            return
        self._given_device_ = self.device
        device = resolve_device(self.device)
        # as a string, which is all that safetensors understands
        object.__setattr__(self, "device", str(device))
        try:
            with own_surroundings(device.type):
                yield
        finally:
            object.__setattr__(self, "device", self.__dict__.pop("_given_device_"))

    def _device_for_users_code(self) -> AbstractContextManager[None]:
        """Let a subclass of the user's find in `device` what it can pass to torch."""
        return self._resolved_device() if self.users_classes() else nullcontext()

    def users_classes(self) -> list[type]:
        """Return the classes of this net that are no library's."""
        kind = type(self)
        classes = kind.__dict__.get("_users_classes")
        if classes is None:
            classes = [c for c in kind.__mro__ if not c.__module__.startswith(_LIBRARIES)]
            kind._users_classes = classes
        return classes

    # ---- files of parameters

    def save_params(
        self,
        f_params: Any = None,
        f_optimizer: Any = None,
        f_criterion: Any = None,
        f_history: Any = None,
        use_safetensors: bool = False,
        **kwargs: Any,
    ) -> None:
        """Save parameters, optimizer and history as skorch does, and the labels beside them."""
        if f_params is None:
            f_params = kwargs.pop("f_module", None)  # the name that checkpoints use
        others = {"f_optimizer": f_optimizer, "f_criterion": f_criterion, "f_history": f_history}
        others |= kwargs
        self._untie_ = use_safetensors
        try:
            if use_safetensors and f_params and self.initialized_:
                state = self._get_module("module_", "").state_dict()
                # what is no tensor safetensors cannot hold: skorch's error says so
                if all(isinstance(value, Tensor) for value in state.values()):
                    safetensors_files.write(state, f_params, self.get_notes())
                    f_params = None
                    if not any(others.values()):
                        return
            super().save_params(f_params, use_safetensors=use_safetensors, **others)
        finally:
            del self._untie_

    def _get_module(self, name: str, msg: str) -> Any:
        module = super()._get_module(name, msg)
        if name == "module_" or self.__dict__.get("_untie_"):
            return _StateOf(module, self, untie=self.__dict__.get("_untie_", False))
        return module

    def get_notes(self) -> dict[str, Any]:
        """Return what files of the module's parameters say beside them, in plain values."""
        pixels = self.__dict__.get("_pixel_range_")
        return {"pixel_range": list(pixels)} if isinstance(pixels, tuple) else {}

    def check_notes(self, notes: dict[str, Any]) -> None:
        """Raise ValueError if weights with these notes are of no use here, before they load."""

    def set_notes(self, notes: dict[str, Any]) -> None:
        """Take over what :meth:`get_notes` of the net that was saved returned."""
        if "pixel_range" in notes and self._fit_state_ is None:
            self._pixel_range_ = tuple(notes["pixel_range"])

    def load_params(
        self,
        f_params: Any = None,
        f_optimizer: Any = None,
        f_criterion: Any = None,
        f_history: Any = None,
        checkpoint: Any = None,
        use_safetensors: bool = False,
        **kwargs: Any,
    ) -> None:
        """Load what ``save_params`` or a checkpoint saved.

        The weights are then ready: neither is the module shown data again before it is trained,
        nor is the optimizer's decayed learning rate taken for a peak. A default network
        (``module=None``) is made with the sizes that the file has. The labels of the classes come
        from the parameter `classes`, or from the file, if a fitted net wrote it.

        Parameters
        ----------
        f_params, f_optimizer, f_criterion, f_history, **kwargs : path or file, optional
            As in skorch.
        checkpoint : skorch.callbacks.Checkpoint or TrainEndCheckpoint, optional
            Where to find the files.
        use_safetensors : bool, default=False
            Whether they were saved so.
        """
        if isinstance(checkpoint, TrainEndCheckpoint):
            checkpoint = getattr(checkpoint, "checkpoint_", None) or checkpoint.initialize()
            checkpoint = getattr(checkpoint, "checkpoint_", checkpoint)
        f_params = f_params or kwargs.pop("f_module", None)
        before = dict(self.__dict__)
        made = isinstance(before.get("module_"), nn.Module)
        undoing = Undoing(self) if made and before.get("history_") is not None else None
        try:
            with self._resolved_device():
                file = self._params_file(f_params, checkpoint)
                notes = safetensors_files.notes_in(file) if use_safetensors and file else {}
                self.check_notes(notes)
                if self.module is None and self.__dict__.get("module_") is None:
                    self._make_network_for(file, notes, use_safetensors)
                super().load_params(
                    f_params=f_params,
                    f_optimizer=f_optimizer,
                    f_criterion=f_criterion,
                    f_history=f_history,
                    checkpoint=checkpoint,
                    use_safetensors=use_safetensors,
                    **kwargs,
                )
            self.set_notes(notes)
        except BaseException:  # maybe of the second file, when the first is loaded
            if undoing is not None:
                undoing.undo()
            self._put_back(before)
            raise
        files = {"f_params": f_params, **kwargs}
        if checkpoint is not None:
            files |= {name: file for name, file in vars(checkpoint).items() if file}
        self._were_loaded({name for name, file in files.items() if file})

    def _were_loaded(self, files: set[str]) -> None:
        """Take note of what `files`, such as "f_params", has been loaded."""
        if "f_params" in files:
            self._module_ready_ = True
            self.__dict__.pop("_untrained_after_", None)
        self.go_on_from_loaded(files)
        if isinstance(self.__dict__.get("optimizer_"), Optimizer):
            self.put_peaks_back()

    @contextmanager
    def _history_of(self, checkpoint: Any) -> Iterator[None]:
        """Show the checkpoint its own history, which file names may be made of."""
        before = self.history_
        if checkpoint.f_history is not None:
            self.history_ = History.from_file(checkpoint.f_history_)
        elif before is None:
            self.history_ = History()
        try:
            yield
        finally:
            self.history_ = before

    def _params_file(self, f_params: Any, checkpoint: Any) -> Any:
        if f_params is not None or checkpoint is None or checkpoint.f_params is None:
            return f_params
        with self._history_of(checkpoint):
            return checkpoint.get_formatted_files(self)["f_params"]

    def _make_network_for(self, file: Any, notes: dict[str, Any], use_safetensors: bool) -> None:
        """Make the default network with the sizes of one that was saved."""
        if file is None:
            raise NotInitializedError(
                "this default network (module=None) is not made yet, and only f_params tells its "
                "sizes: load that too, or call fit before"
            )
        if use_safetensors:
            state = safetensors_files.read(file)
        else:
            state = _read(file, self.torch_load_kwargs)
            notes = _notes_in(state)
        self.check_notes(notes)
        found = default_network_in(state)
        if found is None:
            raise ValueError(
                "module=None is the default network, but the file holds the parameters of another "
                f"module ({', '.join(list(state)[:4])}, …); pass that module"
            )
        self.set_notes(notes)
        self.use_network(*found)
        self.initialize()

    def use_network(self, network: str, n_inputs: int, n_outputs: int) -> None:
        """Note which default network is to be made, before any data are known."""
        raise NotImplementedError


class _StateOf:
    """Stands for a module while its state is saved or loaded.

    Notes, such as the labels of the classes, are kept in the metadata of the state dict, where
    torch keeps the versions of modules: names and tensors are those of any other program's file.
    For safetensors, which take no tensors that share memory, they are saved one by one.
    """

    def __init__(self, module: Any, net: PersistentNet, *, untie: bool):
        self.module = module
        self.net = net
        self.untie = untie

    def _current(self) -> Any:
        return self.module.state_dict()

    def state_dict(self) -> Any:
        state = self._current()
        if self.untie:
            return {
                name: value.detach().clone(memory_format=torch.contiguous_format)
                if isinstance(value, Tensor)
                else value
                for name, value in state.items()
            }
        if hasattr(state, "_metadata"):
            state._metadata.setdefault("", {})[_NOTES] = self.net.get_notes()
        return state

    def load_state_dict(self, state: Any) -> Any:
        notes = _notes_in(state)
        self.net.check_notes(notes)
        before = {k: v.clone() if isinstance(v, Tensor) else v for k, v in self._current().items()}
        try:
            loaded = self.module.load_state_dict(state)
        except RuntimeError as error:  # of some tensors; torch has copied those that fit
            self.module.load_state_dict(before)
            remedy = difference(state, before)
            if remedy is None:
                raise
            raise RuntimeError(f"{remedy}.\n{error}") from None
        self.net.set_notes(notes)
        return loaded


def _notes_in(state: Any) -> dict[str, Any]:
    """Return the notes that a state dict carries, if any."""
    notes: dict[str, Any] = getattr(state, "_metadata", {}).get("", {}).get(_NOTES, {})
    return notes


def _read(file: Any, torch_load_kwargs: Any) -> Any:
    """Read a state dict, and leave an open file where it was."""
    position = file.tell() if hasattr(file, "seek") else None
    kwargs = {"weights_only": True} if torch_load_kwargs is None else torch_load_kwargs
    state = torch.load(file, map_location="cpu", **kwargs)
    if position is not None:
        file.seek(position)
    return state

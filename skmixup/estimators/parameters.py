"""The parameters of a skorch net, kept as scikit-learn keeps those of its estimators."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from inspect import signature
from types import MappingProxyType
from typing import Any, ClassVar, Self

from sklearn.base import BaseEstimator
from skorch import NeuralNet
from torch import nn

from skmixup.randomness.fit import isolated_randomness
from skmixup.training.schedule import declare, groups_of
from skmixup.training.vicinal_net import VicinalNet

# Parts that a fit makes anew, so that their parameters need only be kept until then.
_MADE_IN_FIT = ("dataset", "iterator_train", "iterator_valid")


def passed_on(scope: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a constructor by name, given its ``locals()``.

    A constructor that writes out all parameters passes them on to its parent in this way, instead
    of writing them a second time. At the end :class:`ParametrizedNet` stores all of them.
    """
    named = {k: v for k, v in scope.items() if k not in ("self", "__class__", "kwargs")}
    return named | scope["kwargs"]


class ParametrizedNet(VicinalNet):
    """A :class:`VicinalNet` whose constructor stores its parameters and nothing else."""

    def __init__(self, module: Any, **params: Any):
        given = params.get("history")  # skorch takes one of another class, for many processes
        super().__init__(module, **params)
        for name in ("history_", "initialized_", "virtual_params_"):
            del self.__dict__[name]
        if given is not None:
            self.history_ = given
        unknown = tuple(n for n in params if not self._is_parameter(n) and n != "history")
        if unknown:  # skorch names them when it initialises the net
            self._unknown_params = unknown

    # ---- what scikit-learn and skorch check of an estimator

    # scikit-learn's check_no_attributes_set_in_init: an estimator that is not fitted has no
    # attributes but its parameters. skorch's constructor sets three more; __init__ deletes them
    # from the instance, and these are found in their place.
    history_: Any = None
    initialized_: bool = False
    virtual_params_: Any = MappingProxyType({})

    def _get_param_names(self) -> list[str]:
        # BaseEstimator.get_params calls it, and with it clone, set_params and every check. skorch
        # returns all attributes of the instance, also private ones and what a callback put there.
        return sorted(filter(self._is_parameter, self.__dict__))

    @property
    def _params_to_validate(self) -> set[str]:
        # NeuralNet._validate_params raises an error for names among these that belong to no part,
        # such as misspelt ones. skorch keeps a set of them; here they follow from the instance.
        return set(self._get_param_names()) - self._own_names()

    @_params_to_validate.setter
    def _params_to_validate(self, value: set[str]) -> None:
        pass

    # ---- which of the attributes are parameters

    _names_of_init: ClassVar[set[str]]

    def _is_parameter(self, name: str) -> bool:
        """Whether an attribute is a parameter, not what a user or a callback put on the net."""
        if name.startswith("_") or name.endswith("_"):
            return False
        unknown = self.__dict__.get("_unknown_params", ())
        return name in self._own_names() or "__" in name or name in unknown

    @classmethod
    def _own_names(cls) -> set[str]:
        """Names in the signatures of the constructors of this class and of its bases.

        The signature of the class alone is not enough: a subclass of the user's may name its own
        parameters and pass on the others by ``**kwargs``.
        """
        names: set[str] | None = cls.__dict__.get("_names_of_init")
        if names is None:
            classes = cls.__mro__[: cls.__mro__.index(NeuralNet) + 1]
            inits = [vars(c)["__init__"] for c in classes if "__init__" in vars(c)]
            given = [p for init in inits for p in list(signature(init).parameters.values())[1:]]
            names = {p.name for p in given if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
            # in the class: a cache would keep it alive, and what its methods have in their scope
            cls._names_of_init = names
        return names

    def __setattr__(self, name: str, value: Any) -> None:
        own = name in self._own_names()
        registered = name in self.prefixes_ or name.rstrip("_") in self.prefixes_
        made = self.__dict__.get("module_") is not None and not self.__dict__.get("init_context_")
        if own or (made and not registered and isinstance(value, nn.Module)):
            # a module that a callback keeps on the net is no part that skorch should train
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def __repr__(self, **kwargs: Any) -> str:
        # scikit-learn's repr, the parameters that differ from their defaults; not skorch's.
        return str(BaseEstimator.__repr__(self, **kwargs))

    # ---- changing them

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``vicinity__…`` are those of the vicinity.

        As in skorch, changing an argument of a part makes that part anew in a net that is
        initialised: ``module__…`` the module, with it criterion and optimizer. The estimator is
        then not fitted any more, and `partial_fit` starts from the beginning. After an error
        everything is as it was.
        """
        before = dict(self.__dict__)
        in_place = [(values, dict(values)) for values in self._changed_in_place()]
        rng = before.get("_rng_")
        seed_before = None if rng is None else rng.bit_generator.state
        if self.initialized_:
            params = {k: v for k, v in params.items() if not self._is_there_already(k, v)}
        try:
            with self._isolated_if_made_anew(params):
                self._set_params(params)
        except BaseException:
            self._put_back(before)
            for values, old in in_place:
                _make_equal(values, old)
            if rng is not None:
                rng.bit_generator.state = seed_before
            raise
        if self.__dict__.get("module_") is not before.get("module_"):
            changed = [name for name in params if self._part(name) not in _MADE_IN_FIT]
            if before.get("_module_ready_"):
                self._untrained_after_ = sorted(changed)
        return self

    def _put_back(self, before: dict[str, Any]) -> None:
        """Undo all changes of attributes since the copy `before` was made."""
        _make_equal(self.__dict__, before)

    def _changed_in_place(self) -> Iterator[dict[str, Any]]:
        """Parameters that `set_params` changes where they are: of the parts, not of the net."""
        for name in self._optimizers:
            yield from groups_of(self.__dict__.get(f"{name}_"))
        given = self.callbacks if isinstance(self.callbacks, list) else ()
        for part in (self.__dict__.get("vicinity"), *given, *self.__dict__.get("callbacks_", ())):
            yield getattr(part[1] if isinstance(part, tuple) else part, "__dict__", {})

    def _set_params(self, params: dict[str, Any]) -> None:
        vicinity = {k: v for k, v in params.items() if k.startswith("vicinity__")}
        plain = {k: v for k, v in params.items() if k not in vicinity and self._is_plain(k)}
        rest = {k: v for k, v in params.items() if k not in vicinity and k not in plain}
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        if "callbacks" in plain and self.initialized_ and self._are_callbacks(self.callbacks):
            self.make_callbacks()
        if "lr" in rest:  # first, since it changes all groups; skorch would do so last
            super().set_params(lr=rest["lr"])
        super().set_params(**{k: v for k, v in rest.items() if k != "lr"})
        self._set_optimizer_params(rest | plain)
        if vicinity:
            self._set_vicinity_params(vicinity)

    def make_callbacks(self) -> None:
        """Make the callbacks anew, as `callbacks` says."""
        if self.callbacks == "disable":
            self.callbacks_: list[Any] = []
        else:
            self.initialize_callbacks()

    def _made_at_once(self) -> set[str]:
        """Parts that skorch makes anew as soon as one of their parameters is set."""
        # skorch keeps the names of its modules and criteria in private lists only
        return {*self._modules, *self._criteria, "compile"}

    def _is_there_already(self, name: str, value: Any) -> bool:
        """Whether the parameter of a part has this value already, so that the part can stay."""
        if self._part(name) not in self._made_at_once():
            return False
        given = self.__dict__.get(name, self)  # self: equal to no value
        plain = isinstance(value, (str, bool, int, float, tuple)) and type(value) is type(given)
        return given is value or (plain and given == value)

    def _is_plain(self, name: str) -> bool:
        """Whether the value is only stored; skorch would make a part anew, or raise an error."""
        of_optimizer = name in self._optimizers or name.endswith("__param_groups")
        return name == "callbacks" or self._part(name) in _MADE_IN_FIT or of_optimizer

    @staticmethod
    def _are_callbacks(value: Any) -> bool:
        return value is None or isinstance(value, list) or value == "disable"

    @staticmethod
    def _part(name: str) -> str:
        return name.split("__", 1)[0]

    def _set_optimizer_params(self, params: dict[str, Any]) -> None:
        """Store options of the optimizer for the next fit; skorch only sets them in this one."""
        anew = False
        for name, value in params.items():
            if self._part(name) not in self._optimizers or not self.initialized_:
                continue
            part, *path = name.split("__")
            if self._fit_state_ is not None and self._fit_state_.rate is not None:
                continue  # a callback has set it, for this fit only
            if len(path) == 1 and path[0] != "param_groups":
                object.__setattr__(self, name, value)
                # a new optimizer raises its own error for an option that it does not have
                anew |= path[0] not in getattr(self, part + "_").defaults
            elif len(path) == 3:
                self._set_group_param(part + "__param_groups", int(path[1]), path[2], value)
            else:
                anew = True
        if anew:  # the public initialize_optimizer does not register the names for set_params
            self._initialize_optimizer()
        elif self.initialized_ and any(n == "lr" or n.endswith("__lr") for n in params):
            self._declared_rates_ = declare(self.__dict__.get("optimizer_"))

    def _set_group_param(self, name: str, index: int, key: str, value: Any) -> None:
        groups = list(self.__dict__.get(name, []))
        if index < len(groups):  # one more group has the parameters that no pattern matches
            pattern, options = groups[index]
            groups[index] = (pattern, {**options, key: value})
            object.__setattr__(self, name, groups)

    def _set_vicinity_params(self, params: dict[str, Any]) -> None:
        vicinity = self.__dict__.get("vicinity")
        if vicinity is None:
            raise ValueError(
                f"{', '.join(sorted(params))}: {type(self).__name__} has no vicinity "
                "whose parameters could be changed; pass one with vicinity="
            )
        vicinity.set_params(**{k.split("__", 1)[1]: v for k, v in params.items()})

    @contextmanager
    def _isolated_if_made_anew(self, params: dict[str, Any]) -> Iterator[None]:
        """Let a module that is made anew draw its weights from the net's generator."""
        anew = self._made_at_once().intersection(map(self._part, params))
        rng = self.__dict__.get("_rng_")
        with isolated_randomness(rng, self._device_) if anew and rng else nullcontext():
            yield


def _make_equal(values: dict[str, Any], old: dict[str, Any]) -> None:
    """Give a dictionary its old contents; at no time does it lack any, as other threads look."""
    values.update(old)
    for name in [*values]:
        if name not in old:
            values.pop(name, None)

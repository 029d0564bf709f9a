"""The parameters of a skorch net, kept as scikit-learn keeps those of its estimators."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from inspect import signature
from types import MappingProxyType
from typing import Any, Self

from sklearn.base import BaseEstimator
from skorch import NeuralNet
from torch import nn

from skmixup.randomness.fit import isolated_randomness
from skmixup.training.schedule import declare
from skmixup.training.vicinal_net import VicinalNet

# Parts that a fit makes anew, so that their parameters need only be kept until then.
_MADE_IN_FIT = ("dataset", "iterator_train", "iterator_valid")


def passed_on(scope: dict[str, Any]) -> dict[str, Any]:
    """Return what a constructor hands on by name, parameters and ``**kwargs``, from its locals().

    The net stores every one of them, so that a constructor that writes out what it inherits need
    not write all of it once more to pass it on.
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

    # check_no_attributes_set_in_init of scikit-learn wants an unfitted estimator to have no
    # attributes but parameters. skorch sets three more, which __init__ moves from there to here.
    history_: Any = None
    initialized_: bool = False
    virtual_params_: Any = MappingProxyType({})

    def _get_param_names(self) -> list[str]:
        # BaseEstimator asks for them in get_params and so in clone. skorch's answer is all that is
        # in the instance, which check_dont_overwrite_attributes and users' callbacks add to.
        return sorted(filter(self._is_parameter, self.__dict__))

    @property
    def _params_to_validate(self) -> set[str]:
        # NeuralNet._validate_params refuses those that belong to no part. skorch collects them in
        # the constructor and in set_params; here they follow from the parameters that are there.
        return set(self._get_param_names()) - self._own_names()

    @_params_to_validate.setter
    def _params_to_validate(self, value: set[str]) -> None:
        pass

    # ---- which of the attributes are parameters

    def _is_parameter(self, name: str) -> bool:
        """Whether an attribute is a parameter, not what a user or a callback put on the net."""
        if name.startswith("_") or name.endswith("_"):
            return False
        unknown = self.__dict__.get("_unknown_params", ())
        return name in self._own_names() or "__" in name or name in unknown

    @classmethod
    @cache
    def _own_names(cls) -> set[str]:
        """Names that constructors write out, from this class up to skorch's.

        The signature of the class alone does not do: one of the user's own may take ``**kwargs``.
        """
        classes = cls.__mro__[: cls.__mro__.index(NeuralNet) + 1]
        inits = [vars(c)["__init__"] for c in classes if "__init__" in vars(c)]
        parameters = (p for init in inits for p in list(signature(init).parameters.values())[1:])
        return {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}

    def __setattr__(self, name: str, value: Any) -> None:
        own = name in self._own_names()
        registered = name in self.prefixes_ or name.rstrip("_") in self.prefixes_
        made = self.__dict__.get("module_") is not None and not self.__dict__.get("init_context_")
        if own or (made and not registered and isinstance(value, nn.Module)):
            object.__setattr__(self, name, value)  # also a module that a callback keeps here
        else:
            super().__setattr__(name, value)

    def __repr__(self, **kwargs: Any) -> str:
        # As scikit-learn, not as skorch: parameters that differ from their defaults.
        return str(BaseEstimator.__repr__(self, **kwargs))

    # ---- changing them

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``vicinity__…`` reach into the vicinity, as in any nested estimator.

        In a net that is initialised, those of a part make it anew, as in skorch: ``module__…`` the
        module, criterion and optimizer, if any of these changes. A module that was trained is then
        not fitted any more, and `partial_fit` starts from the beginning. An error leaves
        everything as it was.
        """
        before = dict(self.__dict__)
        if self.initialized_:
            params = {k: v for k, v in params.items() if not self._is_there_already(k, v)}
        try:
            with self._isolated_if_made_anew(params):
                self._set_params(params)
        except BaseException:
            self._put_back(before)
            raise
        if self.__dict__.get("module_") is not before.get("module_"):
            changed = [name for name in params if self._part(name) not in _MADE_IN_FIT]
            if before.get("_module_ready_"):
                self._untrained_after_ = sorted(changed)
        return self

    def _put_back(self, before: dict[str, Any]) -> None:
        """Take all attributes from a copy of them that was made before."""
        self.__dict__.clear()
        self.__dict__.update(before)

    def _set_params(self, params: dict[str, Any]) -> None:
        vicinity = {k: v for k, v in params.items() if k.startswith("vicinity__")}
        plain = {k: v for k, v in params.items() if k not in vicinity and self._is_plain(k)}
        rest = {k: v for k, v in params.items() if k not in vicinity and k not in plain}
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        if "callbacks" in plain and self.initialized_ and self._are_callbacks(self.callbacks):
            self.make_callbacks()
        super().set_params(**rest)
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
        """Whether a part would be made anew for a parameter that stays what it is."""
        if self._part(name) not in self._made_at_once():
            return False
        given = self.__dict__.get(name, self)  # the net itself is no parameter of its own
        plain = isinstance(value, (str, bool, int, float, tuple)) and type(value) is type(given)
        return given is value or (plain and given == value)

    def _is_plain(self, name: str) -> bool:
        """Whether it is enough to store the value: skorch would do too much, or knows no way."""
        of_optimizer = name in self._optimizers or name.endswith("__param_groups")
        return name == "callbacks" or self._part(name) in _MADE_IN_FIT or of_optimizer

    @staticmethod
    def _are_callbacks(value: Any) -> bool:
        return value is None or isinstance(value, list) or value == "disable"

    @staticmethod
    def _part(name: str) -> str:
        return name.split("__", 1)[0]

    def _set_optimizer_params(self, params: dict[str, Any]) -> None:
        """Keep for the next fit what skorch sets in the optimizer only."""
        anew = False
        for name, value in params.items():
            if self._part(name) not in self._optimizers or not self.initialized_:
                continue
            part, *path = name.split("__")
            if self._fit_state_ is not None and self._fit_state_.rate is not None:
                continue  # a callback's doing, for this fit
            if len(path) == 1 and path[0] != "param_groups":
                object.__setattr__(self, name, value)
                # an option that the optimizer has not got: its constructor says so
                anew |= path[0] not in getattr(self, part + "_").defaults
            elif len(path) == 3:
                self._set_group_param(part + "__param_groups", int(path[1]), path[2], value)
            else:
                anew = True
        if anew:  # not initialize_optimizer, which leaves out what set_params is to hand to it
            self._initialize_optimizer()
        elif self.initialized_ and any(n == "lr" or n.endswith("__lr") for n in params):
            self._declared_rates_ = declare(self.__dict__.get("optimizer_"))

    def _set_group_param(self, name: str, index: int, key: str, value: Any) -> None:
        groups = list(self.__dict__.get(name, []))
        if index < len(groups):  # the last group of the optimizer holds what no pattern matches
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
        """Let a module that is made anew draw its weights from the net's own randomness."""
        anew = self._made_at_once().intersection(map(self._part, params))
        rng = self.__dict__.get("_rng_")
        with isolated_randomness(rng, self._device_) if anew and rng else nullcontext():
            yield

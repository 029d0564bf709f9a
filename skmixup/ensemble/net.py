"""The network's estimator inside an estimator, and the parameters that it has."""

from inspect import Parameter, signature
from typing import Any

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skmixup.estimators.base import VicinalEstimator
from skmixup.networks import MLP, PreActResNet


class Net:
    """The network's estimator inside an estimator, which may be a pipeline that ends with it.

    Attributes
    ----------
    estimator : estimator object
        The last step of all.
    prefix : str
        What its parameters' names begin with, in the whole: "" or such as "mlp__".
    """

    def __init__(self, estimator: Any):
        self.whole = estimator
        self.prefix = ""
        while isinstance(estimator, Pipeline):
            name, estimator = estimator.steps[-1]
            self.prefix += f"{name}__"
        self.estimator = estimator

    @property
    def is_vicinal(self) -> bool:
        """Whether it is one of this library's estimators."""
        return isinstance(self.estimator, VicinalEstimator)

    def value(self, name: str) -> Any:
        """The value that a parameter has now; ``Parameter.empty`` where nobody knows.

        skorch knows values of ``module__…`` only if they were set: the others are those of the
        module's constructor.
        """
        params = self.whole.get_params(deep=True)
        if name in params:
            return params[name]
        found = self._constructor_parameter(name)
        return Parameter.empty if found is None else found.default

    def takes(self, name: str) -> bool:
        """Whether there is such a parameter."""
        if name in self.whole.get_params(deep=True):
            return True
        if not self.is_vicinal:
            return self._can_set(name)
        part, _, rest = name.removeprefix(self.prefix).partition("__")
        if not (name.startswith(self.prefix) and rest):
            return False
        if part in ("module", "optimizer", "criterion"):
            return self._constructor_parameter(name) is not None
        return part in self.estimator.prefixes_  # skorch checks the others when it begins

    def _can_set(self, name: str) -> bool:
        """Whether ``set_params`` takes it: CatBoost's and skorch's estimators list what is set."""
        try:
            clone(self.whole).set_params(**{name: None})
        except Exception:
            return False
        return True

    def _constructor_parameter(self, name: str) -> Parameter | None:
        """A parameter such as ``module__dropout`` in the signature of the module's class."""
        part, _, rest = name.removeprefix(self.prefix).partition("__")
        if not (self.is_vicinal and name.startswith(self.prefix) and rest):
            return None
        made = getattr(self.estimator, part, None)
        if part == "module":
            made = MLP if made is None else made
        elif part == "criterion":  # "auto" stands for one
            made = self.estimator.criterion_to_make()
        try:
            known = signature(made if callable(made) and isinstance(made, type) else type(made))
        except (TypeError, ValueError):
            return None
        if rest in known.parameters:
            return known.parameters[rest]
        if part == "module" and self.estimator.module is None:  # or else the one for images
            return signature(PreActResNet).parameters.get(rest)
        anything = [p for p in known.parameters.values() if p.kind is Parameter.VAR_KEYWORD]
        return Parameter(rest, Parameter.KEYWORD_ONLY) if anything else None

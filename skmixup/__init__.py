"""Vicinal training of neural networks inside scikit-learn."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skmixup.ensemble import MixupClassifierCV, MixupRegressorCV
    from skmixup.estimators import (
        InterpolationConsistencyClassifier,
        LabeledStratifiedKFold,
        ManifoldMixupClassifier,
        ManifoldMixupRegressor,
        MixupClassifier,
        MixupRegressor,
        VicinalClassifier,
        VicinalRegressor,
    )

__version__ = "0.2.0"

__all__ = [
    "InterpolationConsistencyClassifier",
    "LabeledStratifiedKFold",
    "ManifoldMixupClassifier",
    "ManifoldMixupRegressor",
    "MixupClassifier",
    "MixupClassifierCV",
    "MixupRegressor",
    "MixupRegressorCV",
    "VicinalClassifier",
    "VicinalRegressor",
]


def __getattr__(name: str) -> Any:
    # Estimators load when used, so that skmixup.design and skmixup.tuning come without torch.
    if name in __all__:
        home = "ensemble" if name in ("MixupClassifierCV", "MixupRegressorCV") else "estimators"
        return getattr(import_module(f"skmixup.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

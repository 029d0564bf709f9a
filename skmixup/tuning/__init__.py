"""Hyper-parameter searches driven from designs: Optuna samplers and scikit-learn searches."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skmixup.tuning.samplers import (
        OrthogonalDesignSampler,
        UniformDesignSampler,
    )
    from skmixup.tuning.search import OrthogonalDesignSearchCV, UniformDesignSearchCV
    from skmixup.tuning.trials import DesignExhausted

__all__ = [
    "DesignExhausted",
    "OrthogonalDesignSampler",
    "OrthogonalDesignSearchCV",
    "UniformDesignSampler",
    "UniformDesignSearchCV",
]

_HOMES = {
    "DesignExhausted": "trials",
    "OrthogonalDesignSampler": "samplers",
    "OrthogonalDesignSearchCV": "search",
    "UniformDesignSampler": "samplers",
    "UniformDesignSearchCV": "search",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: the searches do without Optuna."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

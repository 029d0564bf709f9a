"""Settings as levels: which of them are the same one, and how they are shown."""

import pickle
from collections.abc import Hashable, Mapping
from numbers import Real
from typing import Any

import numpy as np

#: One value for each name.
Setting = dict[str, Any]


def plain(value: Any) -> Any:
    """A Python scalar for a numpy one; everything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def is_number(value: Any) -> bool:
    """Whether it is a number that may be ordered; truth values are not."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def level_key(value: Any) -> Hashable:
    """What tells one setting from another: its type and its value.

    1, 1.0 and True are equal in Python, but as a number of features, a share of them and a switch
    they are three settings. Lists, tables and their like, which cannot be dictionary keys, count
    by what they hold, and estimators, of which searches make copies, by their parameters, but for
    those whose copies keep what they have learnt.
    """
    value = plain(value)
    kind = type(value)
    if isinstance(value, float) and value != value:
        return kind, "nan"
    if isinstance(value, np.ndarray):
        return kind, value.dtype.str, value.shape, tuple(map(level_key, value.ravel().tolist()))
    if isinstance(value, Mapping):
        return kind, frozenset((level_key(k), level_key(v)) for k, v in value.items())
    if isinstance(value, set | frozenset):
        return kind, frozenset(map(level_key, value))
    if isinstance(value, list | tuple):
        return kind, tuple(map(level_key, value))
    if hasattr(value, "get_params") and not isinstance(value, type) and not _is_frozen(kind):
        return kind, level_key(value.get_params(deep=False))
    try:
        hash(value)
    except TypeError:
        return kind, _content(value)
    return kind, value


def _is_frozen(kind: type) -> bool:
    """Whether an estimator says itself how it is cloned, as scikit-learn's `FrozenEstimator`."""
    clone = getattr(kind, "__sklearn_clone__", None)
    return clone is not None and getattr(clone, "__module__", None) != "sklearn.base"


def _content(value: Any) -> Hashable:
    """All that a value without a hash holds: a long table prints its first and last rows only."""
    try:
        return pickle.dumps(value)
    except Exception:  # whatever a class of somebody else's does
        return repr(value)


def shown(value: Any) -> str:
    """A setting on one line: functions and classes by their name."""
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    return " ".join(str(value).split())


def labels(values: tuple[Any, ...]) -> list[str]:
    """One label for each level, all different: 1 and "1" are shown as such.

    Those that look alike all the same, as estimators with other weights, are numbered.
    """
    texts = [shown(value) for value in values]
    if len(set(texts)) < len(texts):
        texts = [" ".join(repr(value).split()) for value in values]
    if len(set(texts)) < len(texts):
        texts = [f"{k}: {text}" for k, text in enumerate(texts, start=1)]
    return texts

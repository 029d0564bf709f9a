"""Settings as levels: which of them are the same one, and how they are shown."""

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
    they are three settings. Lists and their like, which cannot be dictionary keys, count by what
    they hold, and estimators, of which searches make copies, by their parameters.
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
    if hasattr(value, "get_params") and not isinstance(value, type):
        return kind, level_key(value.get_params(deep=False))
    try:
        hash(value)
    except TypeError:
        return kind, repr(value)
    return kind, value


def shown(value: Any) -> str:
    """A setting on one line: functions and classes by their name."""
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    return " ".join(str(value).split())


def labels(values: tuple[Any, ...]) -> list[str]:
    """One label for each level, all different where that can be: 1 and "1" are shown as such."""
    texts = [shown(value) for value in values]
    if len(set(texts)) < len(texts):
        texts = [" ".join(repr(value).split()) for value in values]
    return texts

"""Errors for sizes of networks, which name the parameter."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any


def check_sizes(name: str, values: Any) -> None:
    """Raise ValueError unless these are as many ints of at least 1 as you like."""
    sequence = isinstance(values, Sequence) or hasattr(values, "__array__")
    if isinstance(values, str) or not sequence or not all(map(_is_size, values)):
        raise ValueError(f"{name} must be ints of at least 1, such as (64, 32); got {values!r}")


def check_size(name: str, value: Any) -> None:
    """Raise ValueError unless it is an int of at least 1."""
    if not _is_size(value):
        raise ValueError(f"{name} must be an int, at least 1; got {value!r}")


def check_each(**values: Any) -> None:
    """Raise ValueError unless all of these parameters are ints of at least 1."""
    for name, value in values.items():
        check_size(name, value)


def check_dropout(value: Any) -> None:
    """Raise ValueError unless it is a share of the units that leaves some."""
    try:
        fits = 0 <= value < 1
    except TypeError:
        fits = False
    if not fits:
        raise ValueError(f"dropout must be at least 0 and less than 1; got {value!r}")


def _is_size(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1

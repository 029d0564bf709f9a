"""Checks of numbers that several functions take."""

from numbers import Integral, Real

from numpy import inf


def check_at_least_0(name: str, value: float) -> None:
    """Raise ValueError unless `value` is a finite number of at least 0."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value < inf:
        raise ValueError(f"{name} must be a finite number >= 0, got {value!r}")


def check_at_least_1(name: str, value: int) -> None:
    """Raise ValueError unless `value` is an integer of at least 1."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be an int >= 1, got {value!r}")

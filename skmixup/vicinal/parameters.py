"""Checks of the parameters of vicinities."""

from collections.abc import Sequence
from math import inf
from numbers import Real
from typing import Any

import numpy as np

Alpha = float | tuple[float, float]


def beta_parameters(alpha: Any) -> tuple[float, float]:
    """Check `alpha` and return the two parameters of the Beta distribution of λ.

    Parameters
    ----------
    alpha : float or pair of float
        α of Beta(α, α), or (a, b) of Beta(a, b); 0 is the Dirac vicinity.

    Raises
    ------
    ValueError or TypeError
        Unless every value is a finite number ≥ 0, and both or neither of a pair are 0.
    """
    if type(alpha) is float and 0 <= alpha < inf:
        return alpha, alpha
    several = isinstance(alpha, (tuple, list, np.ndarray)) and np.ndim(alpha) > 0
    pair = tuple(alpha) if several else (alpha, alpha)
    valid = "a finite number ≥ 0 (0 turns mixing off) or a pair (a, b) of numbers > 0"
    if len(pair) != 2 or any(isinstance(v, bool) or not isinstance(v, Real) for v in pair):
        raise TypeError(f"alpha must be {valid}; got {alpha!r}")
    a, b = (float(v) for v in pair)
    if not (np.isfinite(a) and np.isfinite(b)) or a < 0 or b < 0 or (a == 0) != (b == 0):
        raise ValueError(f"alpha must be {valid}; got {alpha!r}")
    return a, b


def check_choice(name: str, value: Any, valid: Sequence[Any]) -> None:
    """Raise ValueError unless `value` is one of `valid`; an equal of another type is not."""
    if not any(value is v or (isinstance(value, str) and value == v) for v in valid):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, valid))}; got {value!r}")


def check_probability(name: str, value: Any) -> None:
    """Raise ValueError unless `value` is a number in [0, 1]."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise ValueError(f"{name} must be a number in [0, 1]; got {value!r}")


def check_positive(name: str, value: Any) -> None:
    """Raise ValueError unless `value` is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < inf:
        raise ValueError(f"{name} must be a finite number above 0; got {value!r}")

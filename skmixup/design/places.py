"""The way back from values to the unit interval, and how many different values there are."""

import math
from numbers import Integral, Real
from typing import Any

import numpy as np

from skmixup.design.factors import Choices, Continuum, Factor, LogIntegers, Quantiles, Steps
from skmixup.design.levels import middle
from skmixup.design.settings import level_key


def n_different_values(factor: Factor) -> float:
    """How many different values a factor has; infinity for a continuum."""
    if isinstance(factor, Choices):
        return len({level_key(value) for value in factor.values})
    if isinstance(factor, Quantiles):
        support = factor.listed or _integers(factor)
        if isinstance(support, range):  # len() knows no more than sys.maxsize
            return support.stop - support.start
        return math.inf if support is None else len(support)
    return math.inf if factor.n_values is None else factor.n_values


def places_of_values(factor: Factor) -> list[float]:
    """One place for each different value of a factor that has finitely many."""
    if isinstance(factor, Choices):
        first = {level_key(v): i for i, v in reversed([*enumerate(factor.values)])}
        return [middle(i, len(factor.values)) for i in sorted(first.values())]
    if isinstance(factor, Quantiles) and (listed := factor.listed) is not None:
        return list(listed.values())
    values = _integers(factor) if isinstance(factor, Quantiles) else None
    if values is None:
        values = range(factor.n_values or 0)
        if not isinstance(factor, LogIntegers):
            return [middle(k, len(values)) for k in values]
        values = range(factor.low, factor.high + 1)
    places = (place_of(factor, value) for value in values)
    return [place for place in places if place is not None]


def place_of(factor: Factor, value: Any) -> float | None:
    """Where a value lies on the unit interval, or its nearest step; None outside the range."""
    if isinstance(factor, Choices):
        return _place_in_list(factor.values, value)
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real) or value != value:
        return None
    number = int(value) if isinstance(value, Integral) else float(value)
    if isinstance(factor, Quantiles):
        if not math.isfinite(number):
            return None
        return _probability_below(factor, number)
    if not isinstance(factor, Continuum | LogIntegers | Steps):
        return None
    if not factor.low <= number <= factor.high:
        return None
    if isinstance(factor, LogIntegers):
        number = round(number)
    elif isinstance(factor, Steps):
        k = min(round((number - factor.low) / factor.step), factor.n_values - 1)
        number = factor.low + k * factor.step
    elif factor.low == factor.high:
        return 0.5
    return min(max(factor.place(number), 0.0), 1.0)


def _place_in_list(values: tuple[Any, ...], value: Any) -> float | None:
    """The middle of the value's share: the same value, or else an equal number."""
    value = value.item() if isinstance(value, np.generic) else value
    key = level_key(value)
    found = [i for i, v in enumerate(values) if v is value or level_key(v) == key]
    if not found and isinstance(value, int | float) and not isinstance(value, bool):
        numbers = (int, float)
        found = [i for i, v in enumerate(values) if type(v) in numbers and v == value]
    return middle(found[0], len(values)) if found else None


def _probability_below(factor: Quantiles, value: float) -> float | None:
    """The quantile of a value; for integers and listed values the middle of its share."""
    distribution = factor.distribution
    if (listed := factor.listed) is not None:
        return listed.get(value)
    if not hasattr(distribution, "cdf"):
        return None
    if factor.discrete:
        if (last := factor.last_summed(value)) is not None:
            beyond = float(distribution.cdf(last))
            return (beyond + 1) / 2 if beyond < 1 else None
        below, above = (float(distribution.cdf(round(value) - k)) for k in (1, 0))
        return (below + above) / 2 if above > below else None
    above = float(distribution.cdf(value))
    inside = 0 < above < 1 or value in (distribution.ppf(0.0), distribution.ppf(1.0))
    return above if inside else None


def _integers(factor: Quantiles) -> range | None:
    """The values of a discrete distribution between two ends."""
    if not factor.discrete:
        return None
    low, high = factor.distribution.support()
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    return range(int(low), int(high) + 1)

"""Unit cube → parameter values, for Optuna distributions, scipy distributions and lists.

Every number of values is spread over the unit interval in bins of equal width, so a design whose
levels are balanced gives balanced values: nothing is rounded, which would halve the bins at both
ends. Values are plain Python objects, never numpy scalars. The way back, from numbers to places
on the unit interval, is what the analysis of effects codes its factors by.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from skmixup.design.levels import EDGE, Floats, cell
from skmixup.design.log_scale import log_ratio, on_log_scale

#: A value that is less than this share of a step away from one of the steps is it, as in Optuna.
_SAME_STEP = Decimal("1e-8")
#: scipy's distributions that spread their values evenly over the logarithm.
_LOG_FAMILIES = ("loguniform", "reciprocal")
#: Whose quantiles scipy finds by adding up all probabilities below, until memory ends.
_SUMMED = ("zipf",)
#: So many are added up here.
_N_SUMMED = 2**20


class Factor(Protocol):
    """One parameter of a search: what lies at each point of the unit interval."""

    @property
    def n_values(self) -> int | None:
        """How many different values there are; None for a continuum."""

    @property
    def ordered(self) -> bool:
        """Whether neighbours on the unit interval are neighbours in meaning."""

    def at(self, u: float) -> Any:
        """The value at ``u``, 0 ≤ u < 1."""


class Scale(Factor, Protocol):
    """Numbers between two ends, whose places on the unit interval are known both ways."""

    @property
    def low(self) -> float:
        """The smallest value."""

    @property
    def high(self) -> float:
        """The largest value."""

    def place(self, value: float) -> float:
        """Where a value lies: ``at(place(value))`` is the value.

        Linear in the value, or in its logarithm where the scale is logarithmic.
        """


@dataclass(frozen=True)
class Choices:
    """Some values, each with an equal share of the interval."""

    values: tuple[Any, ...]

    @property
    def n_values(self) -> int:
        return len(self.values)

    @property
    def ordered(self) -> bool:
        """True for numbers that only rise or only fall; everything else is a category."""
        numbers = [v for v in self.values if isinstance(v, int | float)]
        if len(numbers) < len(self.values) or any(isinstance(v, bool) for v in numbers):
            return False
        steps = [b - a for a, b in pairwise(numbers)]
        return all(s > 0 for s in steps) or all(s < 0 for s in steps)

    def at(self, u: float) -> Any:
        return self.values[cell(u, len(self.values))]


@dataclass(frozen=True)
class Category(Choices):
    """Values without an order, whatever they look like."""

    @property
    def ordered(self) -> bool:
        return False


@dataclass(frozen=True)
class Continuum:
    """A continuum from ``low`` to ``high``, on a logarithmic scale where ``log``."""

    low: float
    high: float
    log: bool = False

    ordered = True

    @property
    def n_values(self) -> int | None:
        return 1 if self.low == self.high else None

    def at(self, u: float) -> float:
        if self.log:
            value = on_log_scale(self.low, self.high, u)
        else:
            # Not low + u · (high − low): the difference of two large numbers may overflow.
            value = self.low * (1 - u) + self.high * u
        return float(min(max(value, self.low), self.high))

    def place(self, value: float) -> float:
        if self.log:
            return log_ratio(value, self.low) / log_ratio(self.high, self.low)
        # Halves, because the difference of two large numbers may overflow.
        return (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)


@dataclass(frozen=True)
class Steps:
    """The numbers low, low + step, … up to ``high``; integers where all three are."""

    low: float
    high: float
    step: float

    ordered = True

    @property
    def n_values(self) -> int:
        if self._whole:
            return int((self.high - self.low) // self.step) + 1
        low, high, step = (Decimal(str(v)) for v in (self.low, self.high, self.step))
        # Optuna's ends of steps that are no decimals, as thirds, may lie a last digit too low.
        return int((high - low) / step + _SAME_STEP) + 1

    @property
    def _whole(self) -> bool:
        return all(isinstance(v, int) for v in (self.low, self.high, self.step))

    def at(self, u: float) -> float | int:
        k = cell(u, self.n_values)
        if all(isinstance(v, int) for v in (self.low, self.step)):
            return int(self.low + k * self.step)
        # In decimals, as they were written: −10.2 + 3 · 0.1 is −9.9 and not −9.899999999999999.
        value = float(Decimal(str(self.low)) + k * Decimal(str(self.step)))
        return min(value, float(self.high))

    def place(self, value: float) -> float:
        """The middle of the value's bin."""
        return float(((value - self.low) / self.step + 0.5) / self.n_values)


@dataclass(frozen=True)
class LogIntegers:
    """The integers from ``low`` to ``high``; k holds the share log(k + 1) − log(k)."""

    low: int
    high: int

    ordered = True

    @property
    def n_values(self) -> int:
        return self.high - self.low + 1

    def at(self, u: float) -> int:
        value = int(on_log_scale(self.low, self.high + 1, u, self.low)) + self.low
        return min(max(value, self.low), self.high)

    def place(self, value: float) -> float:
        """In the value's share, half the narrowest share above its start.

        The middle of each share would not be linear in the logarithm.
        """
        above = log_ratio(value, self.low) + math.log1p(1 / self.high) / 2
        return above / log_ratio(self.high + 1, self.low)


@dataclass(frozen=True)
class Quantiles:
    """A frozen scipy distribution: ``u`` is the probability below the value."""

    distribution: Any

    n_values = None
    ordered = True

    @property
    def discrete(self) -> bool:
        """Whether the values are integers."""
        listed = self.listed
        if listed is not None:
            return all(isinstance(value, int) for value in listed)
        return hasattr(self._family, "pmf")

    @property
    def listed(self) -> dict[float | int, float] | None:
        """The values of ``rv_discrete(values=…)``, and the middle of the share of each.

        Any numbers, with gaps between them. None for other distributions.
        """
        values, shares = (getattr(self._family, name, None) for name in ("xk", "pk"))
        if values is None or shares is None:
            return None
        shares = np.asarray(shares)[np.asarray(shares) > 0]
        places = np.cumsum(shares) - shares / 2
        found = np.asarray(self.distribution.ppf(places)).tolist()  # with what they are moved by
        if np.asarray(values).dtype.kind in "iu" and all(v.is_integer() for v in found):
            found = [int(v) for v in found]
        return dict(zip(found, places.tolist(), strict=True))

    @property
    def log(self) -> bool:
        """Whether the values are spread evenly over their logarithm."""
        return getattr(self._family, "name", None) in _LOG_FAMILIES

    @property
    def _family(self) -> Any:
        """What was frozen; scipy's `rv_discrete` need not be, where it has no parameters."""
        return getattr(self.distribution, "dist", self.distribution)

    def at(self, u: float) -> float | int:
        if not self.discrete:
            return float(self.quantile(u))
        # On an edge the upper value, as in a list: scipy has the lower one, or what rounding says.
        return int(self.quantile(u + EDGE if u + EDGE < 1 else u))  # scipy's integers are floats

    def quantile(self, u: float) -> NDArray[Any]:
        """The quantile as scipy gives it, but for integers where its search fails."""
        if getattr(self._family, "name", None) in _SUMMED:
            return np.asarray(self._summed_quantile(u))
        try:
            return np.asarray(self.distribution.ppf(u))
        except RuntimeError:  # the search begins at a fraction, and may go round in a circle
            if not self.discrete:
                raise
            return np.asarray(self._summed_quantile(u))

    def _summed_quantile(self, u: float) -> int:
        """The quantile of integers, the last one that is looked at for what is beyond it."""
        k = int(np.searchsorted(self._probabilities_up_to, u))
        return int(self.distribution.support()[0]) + min(k, _N_SUMMED - 1)

    def last_summed(self, value: float) -> int | None:
        """The last integer that is looked at, where `value` lies beyond it.

        None where it does not, or where scipy knows the probability below `value` without adding
        up all probabilities, which takes a minute and all memory at a thousand million.
        """
        start = self.distribution.support()[0]
        kinds = (kind for kind in type(self._family).__mro__ if "_cdf" in vars(kind))
        if next(kinds).__name__ != "rv_discrete" or not value - start >= _N_SUMMED:
            return None
        return int(start) + _N_SUMMED - 1

    @cached_property
    def _probabilities_up_to(self) -> Floats:
        """The probability up to each of the first integers."""
        start = self.distribution.support()[0]
        values = start + np.arange(_N_SUMMED if math.isfinite(start) else 0)
        found = np.cumsum(self.distribution.pmf(values))
        if not len(found) or found[-1] < 0.99:
            raise _no_quantile(self.distribution, 0.99)
        return found


def _no_quantile(distribution: Any, u: float) -> ValueError:
    arguments = [*getattr(distribution, "args", ()), *getattr(distribution, "kwds", {}).values()]
    name = getattr(getattr(distribution, "dist", distribution), "name", distribution)
    return ValueError(
        f"scipy does not find the quantile {u:.6g} of {name}({', '.join(map(str, arguments))}), "
        "where a design has a run: take a distribution that ends, as scipy.stats.zipfian(a, n) "
        "for zipf, or a list of values"
    )


def nearest_value(scale: Scale, u: float) -> float | int:
    """The value whose place is nearest to ``u``; ``at`` gives the one whose share holds ``u``."""
    value: float | int = scale.at(min(max(u, 0.0), 1.0))
    if isinstance(scale, LogIntegers) and value < scale.high:
        return min((value, value + 1), key=lambda v: abs(scale.place(v) - u))
    return value


def as_factor(name: str, distribution: Any) -> Factor:
    """The factor for a list, a frozen scipy distribution or an Optuna distribution.

    Raises
    ------
    TypeError
        For anything else, with the parameter's name and what would be valid.
    ValueError
        For an empty list, or a distribution without finite quantiles.
    """
    if is_optuna_distribution(distribution):
        return _optuna_factor(name, distribution)
    if hasattr(distribution, "rvs") or hasattr(distribution, "ppf"):
        return _scipy_factor(name, distribution)
    if isinstance(distribution, np.ndarray) and distribution.ndim != 1:
        raise ValueError(
            f"parameter {name!r}: a list of values must have one dimension, "
            f"not shape {distribution.shape}"
        )
    if isinstance(distribution, str | bytes) or not isinstance(
        distribution, Sequence | np.ndarray
    ):
        raise TypeError(
            f"parameter {name!r}: {distribution!r} must be a list of values, a frozen scipy "
            "distribution with ppf (as scipy.stats.loguniform(1e-4, 1)) or an Optuna distribution"
        )
    if np.ma.is_masked(distribution):
        raise ValueError(f"parameter {name!r}: the list has masked values: leave them out")
    if len(distribution) == 0:
        raise ValueError(f"parameter {name!r}: the list of values is empty")
    return Choices(tuple(v.item() if isinstance(v, np.generic) else v for v in distribution))


def as_factors(space: Mapping[str, Any], parameter: str) -> dict[str, Factor]:
    """One factor per parameter; ``parameter`` is the argument's name for the error messages."""
    if isinstance(space, Sequence) and not isinstance(space, str | bytes):
        raise TypeError(
            f"{parameter} is a list of {len(space)} spaces: a design spreads its runs over one "
            "space. Search each space with its own design, or put the choice between them into "
            "one space as a category"
        )
    if not isinstance(space, Mapping):
        raise TypeError(f"{parameter}={space!r} must be a dict of parameter name → distribution")
    if not space:
        raise ValueError(f"{parameter} is empty: give at least one parameter")
    for name in space:
        if not isinstance(name, str):
            raise TypeError(f"{parameter} has the key {name!r}: parameter names are strings")
    return {name: as_factor(name, distribution) for name, distribution in space.items()}


def is_optuna_distribution(distribution: Any) -> bool:
    """Whether it is an Optuna distribution, without importing Optuna."""
    distributions = sys.modules.get("optuna.distributions")
    return distributions is not None and isinstance(distribution, distributions.BaseDistribution)


def _optuna_factor(name: str, distribution: Any) -> Factor:
    kind = type(distribution).__name__
    if kind == "CategoricalDistribution":
        return Category(tuple(distribution.choices))
    if kind == "IntDistribution":
        if distribution.log:
            return LogIntegers(distribution.low, distribution.high)
        return Steps(distribution.low, distribution.high, distribution.step)
    if kind == "FloatDistribution":
        if distribution.step is not None:
            return Steps(
                float(distribution.low), float(distribution.high), float(distribution.step)
            )
        return Continuum(distribution.low, distribution.high, distribution.log)
    raise TypeError(
        f"parameter {name!r}: {kind} is not supported; use FloatDistribution, IntDistribution or "
        "CategoricalDistribution"
    )


def _scipy_factor(name: str, distribution: Any) -> Factor:
    if not hasattr(distribution, "ppf"):
        raise TypeError(
            f"parameter {name!r}: {distribution!r} has no ppf method. A design places its points "
            "by quantiles, random draws (rvs) are not enough: give a frozen scipy distribution "
            "or a list of values"
        )
    try:
        middle = Quantiles(distribution).quantile(0.5)
    except ValueError as error:
        raise ValueError(f"parameter {name!r}: {error}") from error
    except (TypeError, RuntimeError, MemoryError) as error:
        if hasattr(distribution, "dist"):
            raise ValueError(f"parameter {name!r}: {_no_quantile(distribution, 0.5)}") from error
        raise TypeError(
            f"parameter {name!r}: {distribution!r} must be frozen, that is called with its "
            "parameters, as scipy.stats.loguniform(1e-4, 1)"
        ) from error
    if middle.shape != () or not np.isfinite(middle):
        raise ValueError(f"parameter {name!r}: the median of {distribution!r} is {middle}")
    return Quantiles(distribution)

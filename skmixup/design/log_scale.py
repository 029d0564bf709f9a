"""Logarithmic scales, also of large numbers so close that their logarithms differ by rounding."""

import math


def log_ratio(high: float, low: float) -> float:
    """The logarithm of high / low."""
    if high > 2 * low:
        return math.log(high) - math.log(low)
    return math.log1p((high - low) / low)


def on_log_scale(low: float, high: float, u: float, origin: float = 0) -> float:
    """How far above ``origin`` the place ``u`` lies between ``low`` and ``high``."""
    if high > 2 * low:
        start = math.log(low)
        return math.exp(start + u * (math.log(high) - start)) - origin
    return low * math.expm1(u * log_ratio(high, low)) + (low - origin)

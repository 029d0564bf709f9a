"""Which factors stand out from noise: F tests, or Lenth's method without error estimate."""

from collections.abc import Mapping, Sequence

import numpy as np

from skmixup.design.levels import Floats
from skmixup.effects.anova import AnovaRow
from skmixup.effects.response_model import Fit, ResponseModel, rounding

#: The chance that any factor is named although none has an effect.
LEVEL = 0.05
#: So many responses of pure noise tell how large Lenth's ratios get by chance.
_DRAWS = 10_000
_MOST_NUMBERS = 2_000_000


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """P values adjusted for their number (Holm 1979); those that are nan count as no test."""
    tested = sorted((p, name) for name, p in p_values.items() if not np.isnan(p))
    adjusted, largest = {}, 0.0
    for place, (p, name) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - place) * p))
        adjusted[name] = largest
    return adjusted


def pseudo_standard_error(contrasts: Floats) -> Floats:
    """Lenth's (1989) robust standard error of contrasts, along the last axis.

    1.5 times the median of those that are below 2.5 times 1.5 times the median of all.
    """
    size = np.abs(contrasts)
    first = 1.5 * np.median(size, axis=-1, keepdims=True)
    small = np.where(size <= 2.5 * first, size, np.nan)
    return np.asarray(1.5 * np.nanmedian(small, axis=-1))


def orthogonal_contrasts(fit: Fit, y: Floats) -> Floats:
    """One contrast per term, of equal variance and uncorrelated, whatever the design.

    The terms are made orthogonal in their order; in an orthogonal array this leaves those of a
    factor among themselves. In units of the fit, and 0 where it is no more than rounding.
    """
    columns = [np.ones(len(y)), *(term.column for term in fit.terms)]
    q, _ = np.linalg.qr(np.column_stack(columns))
    scaled = np.ldexp(y, -fit.unit)
    contrasts = q[:, 1:].T @ (scaled - scaled.mean())
    return np.asarray(np.where(contrasts**2 > rounding(len(y)), contrasts, 0.0))


def _mean_squares(contrasts: Floats, owners: Sequence[int], n_factors: int) -> Floats:
    """The mean of the squared contrasts of each factor over Lenth's squared error."""
    belongs = np.eye(n_factors)[np.asarray(owners)]
    mean = contrasts**2 @ belongs / belongs.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = mean / pseudo_standard_error(contrasts)[..., None] ** 2
    return np.asarray(np.where(mean > 0, ratio, 0.0))


def lenth_p_values(model: ResponseModel, y: Floats) -> dict[str, float]:
    """For every factor how often noise alone makes Lenth's ratio as large, by simulation."""
    owners = [term.factors[0] for term in model.fit.terms]
    n_factors = len(model.factors)
    observed = _mean_squares(orthogonal_contrasts(model.fit, y), owners, n_factors)
    draws = int(np.clip(_MOST_NUMBERS // len(owners), 100, _DRAWS))
    noise = np.random.default_rng(0).normal(size=(draws, len(owners)))
    by_chance = _mean_squares(noise, owners, n_factors)
    p = (1 + (by_chance >= observed).sum(axis=0)) / (1 + draws)
    return {factor.name: float(p[i]) for i, factor in enumerate(model.factors)}


def active_factors(
    model: ResponseModel, y: Floats, anova: Sequence[AnovaRow], pool: Sequence[str] | str
) -> tuple[tuple[str, ...], str]:
    """The factors that stand out from noise, and the test that says so.

    F tests where runs or the caller's pooled factors tell the error. Where the runs are only just
    as many as the effects, the smallest factor's mean square is no honest error: Lenth's method
    takes most effects for noise instead. All p values are adjusted for their number.
    """
    if model.fit.residual_df or not isinstance(pool, str):
        test, p_values = "F tests", {row.name: row.p for row in anova}
    else:
        test, p_values = "Lenth's method", lenth_p_values(model, y)
    adjusted = holm(p_values)
    return tuple(row.name for row in anova if adjusted.get(row.name, 1.0) <= LEVEL), test

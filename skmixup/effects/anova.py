"""Analysis of variance: how much of the responses' variation each factor accounts for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc

from skmixup.design.levels import Floats
from skmixup.effects.response_model import (
    Fit,
    ResponseModel,
    in_units,
    least_squares,
    rounding,
)


@dataclass(frozen=True)
class AnovaRow:
    """One factor's line of the analysis of variance; F and p are nan without an error estimate."""

    name: str
    ss: float
    df: int
    f: float
    p: float
    pooled: bool


def factor_sum_of_squares(fit: Fit, y: Floats, factor: int) -> tuple[float, int]:
    """What the model loses, in sum of squares and degrees of freedom, without the factor.

    The sum of squares is in the fit's units, and 0 where it is no more than rounding makes.
    In an orthogonal array this is the classical sum of squares between the level means.
    """
    others = [term for term in fit.terms if factor not in term.factors]
    reduced = least_squares(others, y)
    ss = reduced.residual_ss - fit.residual_ss
    nothing = rounding(len(y)) + 1e-14 * reduced.residual_ss
    return ss if ss > nothing else 0.0, reduced.residual_df - fit.residual_df


def check_pool(pool: Sequence[str] | str, names: Sequence[str]) -> None:
    """Raise an error where ``pool`` is neither "auto" nor a list of factors."""
    if isinstance(pool, str):
        if pool != "auto":
            raise ValueError(f"pool={pool!r} must be 'auto' or a list of factors from {names}")
        return
    if not isinstance(pool, Iterable):
        raise TypeError(f"pool={pool!r} must be 'auto' or a list of factors from {names}")
    unknown = [name for name in pool if name not in names]
    if unknown:
        raise ValueError(f"pool={unknown!r} are no factors: choose from {names}")


def _pooled(rows: list[tuple[str, float, int]], fit: Fit, pool: Sequence[str] | str) -> set[str]:
    """The factors whose sum of squares counts as error."""
    if not isinstance(pool, str):
        return set(pool)
    if fit.residual_df or len(rows) < 2:
        return set()
    return {min(rows, key=lambda row: row[1] / max(row[2], 1))[0]}


def anova_table(
    model: ResponseModel, y: Floats, pool: Sequence[str] | str
) -> tuple[tuple[AnovaRow, ...], float, int]:
    """One row per factor; the error's sum of squares, in the fit's units; its degrees of freedom.

    The F test compares a factor's mean square with the error's; p is its upper tail. Without any
    error the factors that explain something have an infinite F, the others none.
    """
    rows = [
        (factor.name, *factor_sum_of_squares(model.fit, y, i))
        for i, factor in enumerate(model.factors)
    ]
    pooled = _pooled(rows, model.fit, pool)
    error_ss = model.fit.residual_ss + sum(ss for name, ss, _ in rows if name in pooled)
    error_df = model.fit.residual_df + sum(df for name, _, df in rows if name in pooled)
    table = []
    for name, ss, df in rows:
        f = p = np.nan
        if name not in pooled and error_df and df:
            if error_ss > 0:
                f = (ss / df) / (error_ss / error_df)
                p = float(fdtrc(df, error_df, f))
            elif ss > 0:
                f, p = np.inf, 0.0
        ss = in_units(ss, 2 * model.fit.unit)
        table.append(AnovaRow(name, ss, df, float(f), p, name in pooled))
    return tuple(table), error_ss, error_df

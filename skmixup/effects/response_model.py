"""The linear model behind the effects: terms, least squares, and what it says of each factor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from skmixup.design.levels import Floats
from skmixup.design.settings import labels
from skmixup.effects.responses import ObservedFactor

#: From the richest to the plainest treatment of continuous factors.
SURFACES = ("full quadratic", "quadratic", "linear")


@dataclass(frozen=True)
class Term:
    """One column of the model matrix: its label, the factors it involves, its values per run.

    A product names its factors, a square one factor twice.
    """

    label: str
    factors: tuple[int, ...]
    column: Floats


def model_terms(
    factors: Sequence[ObservedFactor], continuous: Sequence[int], surface: str
) -> list[Term]:
    """Effects of levels (coded to sum to zero) and polynomials of the continuous factors.

    A continuous factor is coded −1 … 1 over its scale; a factor with two settings has no square.
    """
    terms = []
    coded = {i: factors[i].coded() for i in continuous}
    for i, factor in enumerate(factors):
        if i in coded:
            terms.append(Term(factor.name, (i,), coded[i]))
            if surface != "linear" and len(factor.levels) > 2:
                terms.append(Term(f"{factor.name}²", (i, i), coded[i] ** 2))
            continue
        index = factor.indices()
        last = len(factor.levels) - 1
        for level, text in enumerate(labels(factor.levels)[:last]):
            column = (index == level).astype(float) - (index == last)
            terms.append(Term(f"{factor.name}={text}", (i,), column))
    if surface == "full quadratic":
        for i, j in combinations(continuous, 2):
            label = f"{factors[i].name}·{factors[j].name}"
            terms.append(Term(label, (i, j), coded[i] * coded[j]))
    return terms


@dataclass(frozen=True)
class Fit:
    """Least squares: intercept first, then one coefficient for each term.

    ``residual_ss`` is in units of (2^unit)², in which the squares of any responses can be had.
    """

    terms: tuple[Term, ...]
    coefficients: Floats
    unscaled_covariance: Floats
    unit: int
    residual_ss: float
    residual_df: int
    full_rank: bool


def in_units(value: float, unit: int) -> float:
    """Value · 2^unit; infinite or zero where no number is that large or small."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.ldexp(value, unit))


def rounding(n_runs: int) -> float:
    """The sum of squares, in units of a :class:`Fit`, that rounding alone may make of nothing.

    Responses of size 1 are known to their last binary digits only.
    """
    return n_runs * (64 * float(np.finfo(float).eps)) ** 2


def least_squares(terms: Sequence[Term], y: Floats) -> Fit:
    """Fit the terms and an intercept.

    The responses are divided by a power of two, which costs no digit, and their mean is taken
    away: squares of 1e300 overflow and those of 1e-300 vanish, and equal responses must leave
    nothing to explain.
    """
    unit = int(np.frexp(np.abs(y).max())[1])
    scaled = np.ldexp(y, -unit)
    first = scaled[0]
    mean = (scaled - first).mean()
    centred = scaled - first - mean
    matrix = np.column_stack([np.ones(len(y)), *(term.column for term in terms)])
    coefficients, _, rank, _ = np.linalg.lstsq(matrix, centred)
    residual = centred - matrix @ coefficients
    residual_ss = float(residual @ residual)
    coefficients[0] += first + mean
    inverse = np.linalg.pinv(matrix)
    return Fit(
        terms=tuple(terms),
        coefficients=np.array([in_units(float(b), unit) for b in coefficients]),
        unscaled_covariance=np.asarray(inverse @ inverse.T, dtype=np.float64),
        unit=unit,
        residual_ss=residual_ss if residual_ss > rounding(len(y)) else 0.0,
        residual_df=len(y) - int(rank),
        full_rank=int(rank) == matrix.shape[1],
    )


@dataclass(frozen=True)
class ResponseModel:
    """Fitted effects: the ``continuous`` factors by a surface, the others by their levels."""

    factors: tuple[ObservedFactor, ...]
    continuous: tuple[int, ...]
    surface: str
    fit: Fit

    def __str__(self) -> str:
        parts = [f"{self.surface} surface"] if self.continuous else []
        parts += ["level means"] if len(self.continuous) < len(self.factors) else []
        return " and ".join(parts)

    def rows(self, settings: Mapping[str, Sequence[Any]]) -> Floats:
        """The model matrix at other settings, one sequence per factor."""
        there = [replace(f, settings=tuple(settings[f.name])) for f in self.factors]
        terms = model_terms(there, self.continuous, self.surface)
        ones = np.ones(len(there[0].settings))
        return np.column_stack([ones, *(term.column for term in terms)])

    def coefficients_of(self, factor: int) -> Floats:
        """The coefficients of the terms that involve this factor alone."""
        pairs = zip(self.fit.terms, self.fit.coefficients[1:], strict=True)
        return np.array([value for term, value in pairs if set(term.factors) == {factor}])

    def level_effects(self, factor: int) -> Floats:
        """A factor's fitted effects per level, which sum to zero."""
        effects = self.coefficients_of(factor)
        return np.append(effects, -effects.sum())

    def curve(self, factor: int, z: Floats) -> Floats:
        """A continuous factor's own effect at coded values, b z + c z²."""
        effects = self.coefficients_of(factor)
        powers = np.stack([z**k for k in range(1, len(effects) + 1)])
        return np.asarray(effects @ powers)

    def surface_coefficients(self) -> tuple[Floats, Floats]:
        """The linear part b and the symmetric quadratic part Q in the continuous factors."""
        place = {i: c for c, i in enumerate(self.continuous)}
        linear, quadratic = np.zeros(len(place)), np.zeros((len(place), len(place)))
        for term, value in zip(self.fit.terms, self.fit.coefficients[1:], strict=True):
            at = [place[i] for i in term.factors if i in place]
            if len(at) == 1:
                linear[at[0]] = value
            elif len(at) == 2:
                quadratic[at[0], at[1]] += value / 2
                quadratic[at[1], at[0]] += value / 2
        return linear, quadratic


def fit_model(factors: tuple[ObservedFactor, ...], y: Floats, kind: str) -> ResponseModel:
    """Level means where levels repeat and can be estimated, else the richest surface that can be.

    ``kind`` "levels" treats every factor by its levels, "quadratic" every number as continuous.
    """
    n = len(y)
    numeric = [i for i, factor in enumerate(factors) if factor.numeric]
    seldom = [i for i in numeric if 2 * len(factors[i].levels) > n]
    needed = sum(2 if i in seldom else len(f.levels) - 1 for i, f in enumerate(factors))
    if kind == "levels":
        choices: list[list[int]] = [[]]
    elif kind == "auto" and needed < n:
        choices = [seldom, numeric]
    else:
        choices = [numeric]
    for continuous in choices:
        for surface in SURFACES if continuous else ("",):
            fit = least_squares(model_terms(factors, continuous, surface), y)
            if fit.full_rank and (fit.residual_df > 0 or not continuous):
                return ResponseModel(factors, tuple(continuous), surface, fit)
    raise ValueError(
        f"result: {n} runs cannot tell the effects of {len(factors)} factors with "
        f"{[len(f.levels) for f in factors]} settings apart: use more runs or fewer factors"
        + (", or kind='quadratic' for numbers" if kind == "levels" and numeric else "")
    )

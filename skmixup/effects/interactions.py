"""Interactions of two factors, and which of them the runs can tell from what else."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import fdtrc

from skmixup.design.levels import Floats
from skmixup.effects.noise import LEVEL, holm
from skmixup.effects.response_model import ResponseModel, Term, in_units, rounding

#: What is left of a column of length 1 below this is rounding.
_NOTHING = 1e-7
#: Numbers in the columns of all interactions, up to which printing effects looks at them.
_QUICK = 1_000_000


@dataclass(frozen=True)
class Interaction:
    """What two factors do beyond the sum of their effects.

    Attributes
    ----------
    factors : tuple of str
        The two factors.
    ss, df, f, p : float, int, float, float
        Sum of squares, degrees of freedom and F test beside all main effects, and beside all other
        interactions where the runs can tell these as well. nan and 0 where main effects cannot be
        told from it; f and p are nan without an error estimate.
    main_effects : tuple of str
        The factors whose main effects the runs cannot tell from it.
    interactions : tuple of str
        The other interactions that the runs cannot tell from it, or from parts of it.
    """

    factors: tuple[str, str]
    ss: float
    df: int
    f: float
    p: float
    main_effects: tuple[str, ...] = ()
    interactions: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Both factors in one word."""
        return " × ".join(self.factors)


def _products(main: Sequence[Term], i: int, j: int) -> Floats:
    """An interaction's columns, of length 1: levels by levels, numbers of a surface by slope."""
    one, two = ([t.column for t in main if t.factors == (factor,)] for factor in (i, j))
    columns = np.stack([a * b for a in one for b in two], axis=1)
    length = np.linalg.norm(columns, axis=0)
    return np.asarray(columns / np.where(length > 0, length, 1))


def _beyond(basis: Floats, columns: Floats) -> Floats:
    """What of columns of length 1 an orthonormal basis does not span; 0 where it is rounding."""
    rest = columns - basis @ (basis.T @ columns)
    rest -= basis @ (basis.T @ rest)
    return np.asarray(np.where(np.linalg.norm(rest, axis=0) > _NOTHING, rest, 0.0))


def _has_full_rank(columns: Floats) -> bool:
    return int(np.linalg.matrix_rank(columns, tol=_NOTHING)) == columns.shape[1]


def _confounded_factors(main: Sequence[Term], columns: Floats, beyond: Floats) -> list[int]:
    """The factors whose main effects make up what of the columns the main effects span."""
    _, sizes, directions = np.linalg.svd(beyond, full_matrices=True)
    spanned = directions[int((sizes > _NOTHING).sum()) :].T
    matrix = np.column_stack([np.ones(len(columns)), *(term.column for term in main)])
    weights = np.linalg.lstsq(matrix, columns @ spanned)[0][1:]
    return sorted(
        {
            term.factors[0]
            for term, row in zip(main, weights, strict=True)
            if np.linalg.norm(row) * np.linalg.norm(term.column) > 1e-6
        }
    )


def _partners(blocks: Sequence[Floats]) -> list[list[int]]:
    """For each block of columns the other blocks that share a direction with it, most first.

    The projection onto the rows of all columns is the identity for a column that is independent
    of the others.
    """
    owner = np.repeat(np.arange(len(blocks)), [block.shape[1] for block in blocks])
    _, sizes, rows = np.linalg.svd(np.concatenate(blocks, axis=1), full_matrices=False)
    rows = rows[sizes > _NOTHING]
    member = np.eye(len(blocks))[owner]
    common = np.sqrt(member.T @ (rows.T @ rows) ** 2 @ member)
    np.fill_diagonal(common, 0)
    return [
        [int(o) for o in np.argsort(-row, kind="stable") if row[o] > _NOTHING] for row in common
    ]


def _f_and_p(ss: float, df: int, error_ss: float, error_df: int) -> tuple[float, float]:
    if error_df < 1 or (ss == 0 and error_ss == 0):
        return np.nan, np.nan
    if error_ss == 0:
        return np.inf, 0.0
    f = (ss / df) / (error_ss / error_df)
    return f, float(fdtrc(df, error_df, f))


class _Tests:
    """Sums of squares of interactions beside the main effects, by the residual of these."""

    def __init__(self, residual: Floats, residual_df: int):
        self.residual = residual
        self.residual_df = residual_df
        self._nothing = rounding(len(residual))

    def _something(self, ss: float) -> float:
        return ss if ss > self._nothing else 0.0

    def alone(self, block: Floats) -> tuple[float, float, float]:
        """Sum of squares, F and p of one interaction, where the others count as error."""
        basis, _ = np.linalg.qr(block)
        explained = basis.T @ self.residual
        ss = self._something(float(explained @ explained))
        rest = self.residual - basis @ explained
        error_ss = self._something(float(rest @ rest))
        df = block.shape[1]
        return ss, *_f_and_p(ss, df, error_ss, self.residual_df - df)

    def together(self, blocks: Sequence[Floats]) -> list[tuple[float, float, float]]:
        """The same of independent interactions, each beside all the others."""
        matrix = np.concatenate(blocks, axis=1)
        inverse = np.linalg.pinv(matrix)
        weights, covariance = inverse @ self.residual, inverse @ inverse.T
        rest = self.residual - matrix @ weights
        error_ss = self._something(float(rest @ rest))
        found, start = [], 0
        for block in blocks:
            own = slice(start, start := start + block.shape[1])
            ss = float(weights[own] @ np.linalg.solve(covariance[own, own], weights[own]))
            ss = self._something(ss)
            error_df = self.residual_df - matrix.shape[1]
            found.append((ss, *_f_and_p(ss, block.shape[1], error_ss, error_df)))
        return found


def find_interactions(model: ResponseModel, y: Floats) -> tuple[Interaction, ...]:
    """Every pair of factors, the smallest p first and those that cannot be told last."""
    names = [factor.name for factor in model.factors]
    pairs = list(combinations(range(len(names)), 2))
    if not pairs:
        return ()
    main = [term for term in model.fit.terms if len(set(term.factors)) == 1]
    basis, _ = np.linalg.qr(np.column_stack([np.ones(len(y)), *(t.column for t in main)]))
    columns = [_products(main, i, j) for i, j in pairs]
    beyond = [_beyond(basis, block) for block in columns]
    told = [_has_full_rank(block) for block in beyond]
    partners = _partners(beyond)
    scaled = np.ldexp(y, -model.fit.unit)
    centred = scaled - scaled.mean()
    tests = _Tests(centred - basis @ (basis.T @ centred), len(y) - basis.shape[1])
    n_columns = sum(block.shape[1] for block in beyond)
    results: list[tuple[float, float, float]]
    if all(told) and not any(partners) and n_columns < tests.residual_df:
        results = tests.together(beyond)
    else:
        nothing = (np.nan, np.nan, np.nan)
        results = [tests.alone(b) if t else nothing for b, t in zip(beyond, told, strict=True)]
    found = []
    for k, (i, j) in enumerate(pairs):
        ss, f, p = results[k]
        factors = [] if told[k] else _confounded_factors(main, columns[k], beyond[k])
        others = [pairs[m] for m in partners[k]]
        found.append(
            Interaction(
                factors=(names[i], names[j]),
                ss=in_units(ss, 2 * model.fit.unit),
                df=columns[k].shape[1] if told[k] else 0,
                f=f,
                p=p,
                main_effects=tuple(names[factor] for factor in factors),
                interactions=tuple(f"{names[a]} × {names[b]}" for a, b in others),
            )
        )
    return tuple(sorted(found, key=lambda x: (x.df == 0, np.isnan(x.p), x.p)))


def quickly_found(model: ResponseModel) -> bool:
    """Whether looking at all interactions takes well under a second."""
    degrees = [sum(t.factors == (i,) for t in model.fit.terms) for i in range(len(model.factors))]
    n_columns = (sum(degrees) ** 2 - sum(d**2 for d in degrees)) // 2
    return len(model.factors[0].settings) * n_columns <= _QUICK


def _several(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:2])
    return shown + (f" and {len(labels) - 2} others" if len(labels) > 2 else "")


def in_words(found: Sequence[Interaction], model: ResponseModel, prefix: str = "") -> list[str]:
    """Which interactions stand out from noise, one line each, or that none does or can.

    Names are shown without the prefix that all have.
    """
    names = [factor.name for factor in model.factors]
    products = {tuple(names[i] for i in t.factors) for t in model.fit.terms}
    told = [x for x in found if not np.isnan(x.p)]
    if not found:
        return []
    if not told:
        return ["interactions: these runs cannot tell them from main effects and noise"]
    shown = {x.label: " × ".join(name.removeprefix(prefix) for name in x.factors) for x in found}
    adjusted = holm({x.label: x.p for x in told})
    lines: list[str] = []
    named: set[str] = set()
    for x in told:
        if adjusted[x.label] <= LEVEL and x.label not in named:
            named |= {x.label, *x.interactions}
            others = _several([shown[label] for label in x.interactions])
            shared = f", not told apart from {others}" if x.interactions else ""
            apart = "" if x.factors in products else "; the best setting takes no account of it"
            lines.append(f"interaction: {shown[x.label]} (p = {x.p:.2g}){shared}{apart}")
    looked = f"{len(told)} of {len(found)} pairs can be told" if len(told) < len(found) else ""
    return lines or ["no interaction stands out from noise" + (f" ({looked})" if looked else "")]

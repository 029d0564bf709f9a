"""The best setting by the fitted effects, where runs have a response."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from skmixup.design.factors import LogIntegers, Steps
from skmixup.design.levels import Floats
from skmixup.design.settings import Setting, level_key, shown
from skmixup.effects.best_levels import best_levels
from skmixup.effects.response_model import ResponseModel
from skmixup.effects.responses import ObservedFactor, Responses

#: From so many of the best runs, and in so many steps, a way back from failures is sought.
_RUNS, _STEPS = 50, 20
#: Combinations of integers: whose values are compared, and beside which other numbers are sought.
_COMPARED, _SEARCHED = 20_000, 32


def best_in_box(
    linear: Floats, quadratic: Floats, starts: Floats, box: Sequence[tuple[float, float]]
) -> Floats:
    """The point of the box where bᵀz + zᵀQz is largest, from several starts."""
    # The search stops at small slopes, and what is small depends on the responses' size.
    size = max(float(np.abs(linear).max()), float(np.abs(quadratic).max()))
    exponent = -int(np.frexp(size)[1])
    linear, quadratic = np.ldexp(linear, exponent), np.ldexp(quadratic, exponent)

    def negative(z: Floats) -> tuple[float, Floats]:
        return -float(linear @ z + z @ quadratic @ z), -(linear + 2 * quadratic @ z)

    found = [minimize(negative, z, jac=True, method="L-BFGS-B", bounds=box) for z in starts]
    return np.asarray(min(found, key=lambda result: float(result.fun)).x)


def _best_numbers(model: ResponseModel, sign: float) -> Setting:
    """The surface's optimum in the range of the runs that have a response."""
    factors = [model.factors[i] for i in model.continuous]
    if not factors:
        return {}
    linear, quadratic = model.surface_coefficients()
    linear, quadratic = sign * linear, sign * quadratic
    coded = np.column_stack([factor.coded() for factor in factors])
    box = [factor.box() for factor in factors]
    starts = np.concatenate([np.mean(box, axis=1)[None], coded])[:50]
    z = best_in_box(linear, quadratic, starts, box)
    if any(map(_has_gaps, factors)):
        z = _best_between_gaps(linear, quadratic, factors, z)
    return {f.name: f.decoded(float(at)) for f, at in zip(factors, z, strict=True)}


def _has_gaps(factor: ObservedFactor) -> bool:
    return isinstance(factor.scale, Steps | LogIntegers)


def _best_between_gaps(
    linear: Floats, quadratic: Floats, factors: Sequence[ObservedFactor], z: Floats
) -> Floats:
    """The best point near ``z`` where integers and steps have values.

    The nearest value of each may be off the ridge that two of them make.
    """
    gaps = [c for c, factor in enumerate(factors) if _has_gaps(factor)]
    others = len(gaps) < len(factors)  # which are sought anew for each combination
    most = _SEARCHED if others else _COMPARED
    width = int(most ** (1 / len(gaps)))
    widths = [max(width, 1 + (2 ** (k + 1) <= most)) for k in range(len(gaps))]
    near = [_values_near(factors[c], float(z[c]), w) for c, w in zip(gaps, widths, strict=True)]
    points = np.repeat(z[None], math.prod(map(len, near)), axis=0)
    points[:, gaps] = [*product(*near)]
    if others:
        for point in points:
            box = [f.box() for f in factors]
            for c in gaps:
                box[c] = (point[c], point[c])
            point[:] = best_in_box(linear, quadratic, point[None], box)
    values = points @ linear + np.einsum("ij,jk,ik->i", points, quadratic, points)
    return np.asarray(points[int(np.argmax(values))])


def _values_near(factor: ObservedFactor, z: float, most: int) -> Floats:
    """The coded values that a factor has nearest to ``z``, at most so many, inside its range."""
    step = getattr(factor.scale, "step", 1)
    middle = factor.decoded(z)
    values = [middle + k * step for k in range(-most, most + 1)]
    low, high = factor.levels[0] - step / 2, factor.levels[-1] + step / 2
    coded = np.clip(factor.coded([v for v in values if low <= v <= high]), *factor.box())
    return np.asarray(coded[np.argsort(np.abs(coded - z), kind="stable")[:most]])


def _best_levels(model: ResponseModel, sign: float, lost: Sequence[Mapping[str, Any]]) -> Setting:
    """The levels with the largest effects that no failure speaks against."""
    places = [i for i in range(len(model.factors)) if i not in model.continuous]
    factors = [model.factors[i] for i in places]
    if not factors:
        return {}
    chosen = best_levels(
        [sign * model.level_effects(i) for i in places],
        np.stack([f.indices() for f in factors], axis=1),
        np.stack([f.indices([row[f.name] for row in lost]) for f in factors], axis=1),
    )
    return {f.name: f.levels[k] for f, k in zip(factors, chosen, strict=True)}


def _differences(
    factor: ObservedFactor, here: Sequence[Any], there: Sequence[Any]
) -> NDArray[Any]:
    """Squared differences of one factor's settings, (here, there).

    A number counts by its distance on the scale −1 … 1, a category as 1 where it differs.
    """
    if factor.numeric:
        return np.asarray((factor.coded(here)[:, None] - factor.coded(there)) ** 2)
    return np.asarray((factor.indices(here)[:, None] != factor.indices(there)) * 1.0)


def _failures_speak_against(
    factors: Sequence[ObservedFactor],
    settings: Mapping[str, Sequence[Any]],
    lost: Sequence[Mapping[str, Any]],
) -> NDArray[np.bool_]:
    """For several settings: whether they lie among failures.

    They do where no run with a response is nearer than one without, or, since failures tend to
    come from two factors, where the two nearest by some pair of factors have none.
    """
    done = [_differences(f, settings[f.name], f.settings) for f in factors]
    failed = [_differences(f, settings[f.name], [row[f.name] for row in lost]) for f in factors]

    def nearer(lost_distance: Floats, distance: Floats) -> NDArray[np.bool_]:
        return np.asarray((lost_distance <= distance * (1 + 1e-9)) & (distance > 0))

    against = nearer(np.sum(failed, axis=0).min(axis=1), np.sum(done, axis=0).min(axis=1))
    if len(lost) > 1:
        for a, b in combinations(range(len(factors)), 2):
            second = np.partition(failed[a] + failed[b], 1, axis=1)[:, 1]
            against |= nearer(second, (done[a] + done[b]).min(axis=1))
    return against


def _retreat(
    model: ResponseModel, responses: Responses, best: Setting, sign: float
) -> Setting | None:
    """The best point on the ways from the optimum to runs that no failures speak against."""
    factors = [model.factors[i] for i in model.continuous]
    if not factors:
        return None
    runs = np.argsort(-sign * responses.y, kind="stable")[:_RUNS]
    coded = np.column_stack([factor.coded() for factor in factors])[runs]
    start = np.concatenate([factor.coded([best[factor.name]]) for factor in factors])
    share = np.linspace(0, 1, _STEPS + 1)[1:, None, None]
    ways = (start + share * (coded - start)).reshape(-1, len(factors))
    settings = {name: [value] * len(ways) for name, value in best.items()}
    for factor, z in zip(factors, ways.T, strict=True):
        settings[factor.name] = [factor.decoded(float(at)) for at in z]
    safe = np.flatnonzero(~_failures_speak_against(model.factors, settings, responses.lost))
    if not len(safe):
        return None
    at = int(safe[np.argmax(sign * (model.rows(settings) @ model.fit.coefficients)[safe])])
    return {name: values[at] for name, values in settings.items()}


def best_setting(model: ResponseModel, responses: Responses) -> tuple[Setting, list[str]]:
    """The best setting, and what the runs without response have to say about it.

    Levels, ranges and combinations whose runs all failed are kept out of.
    """
    sign = 1.0 if responses.maximize else -1.0
    lost = responses.lost
    numbers = _best_numbers(model, sign)
    found = {**numbers, **_best_levels(model, sign, [])}
    if not lost:
        return {factor.name: found[factor.name] for factor in model.factors}, []
    allowed = {**numbers, **_best_levels(model, sign, lost)}
    notes = []
    if _failures_speak_against(model.factors, {k: [v] for k, v in allowed.items()}, lost)[0]:
        retreat = _retreat(model, responses, allowed, sign)
        if retreat is None:
            notes.append("runs near the best setting have no response: it may fail there too")
        allowed = retreat or allowed
    passed = {
        name: value
        for name, value in found.items()
        if level_key(value) != level_key(allowed[name])
    }
    if passed:
        words = ", ".join(
            f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={shown(value)}"
            for name, value in passed.items()
        )
        notes.append(f"{words} would be better yet by the effects, but such runs have no response")
    return {factor.name: allowed[factor.name] for factor in model.factors}, notes

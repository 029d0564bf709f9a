"""The candidates of a search: the points of its design, and the settings at them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skmixup.design import orthogonal_array, prefix_uniform_order
from skmixup.design.central import central_runs, pulled_inside
from skmixup.design.factors import Factor
from skmixup.design.galois import prime_power
from skmixup.design.levels import Floats, cell, middle
from skmixup.tuning.criteria import MIDDLE, discrepancy_of
from skmixup.tuning.distinct import n_left, new_points, without_repeats
from skmixup.tuning.plans import uniform_plan, varying
from skmixup.tuning.rounds import fill_box, whole_cube


def settings_at(
    factors: Mapping[str, Factor], vary: Mapping[str, Factor], points: Floats
) -> list[dict[str, Any]]:
    """The parameter settings of points, which have one column per varying factor."""
    columns = {name: column for column, name in enumerate(vary)}
    return [
        {
            name: factor.at(float(point[columns[name]]) if name in columns else 0.5)
            for name, factor in factors.items()
        }
        for point in points
    ]


def levels_of_lists(factors: Mapping[str, Factor], strength: int) -> int | dict[str, int]:
    """How many values every parameter that varies has, as an orthogonal array needs them.

    One number where they are equal. Raises an error where no array is known.
    """
    continua = [name for name, factor in factors.items() if factor.n_values is None]
    if continua:
        raise TypeError(
            f"param_grid has distributions for {continua}: an orthogonal array runs given "
            "levels, so every parameter needs a list of values"
        )
    vary = varying(factors)
    if not vary:
        raise ValueError("param_grid has one value of every parameter: nothing to search")
    lengths = {name: factor.n_values or 0 for name, factor in vary.items()}
    n_levels = max(lengths.values())
    if min(lengths.values()) < n_levels:
        try:
            orthogonal_array(tuple(lengths.values()), strength=strength)
        except ValueError as error:
            raise ValueError(
                f"param_grid has lists of different lengths, {lengths}: {error}. "
                "UniformDesignSearchCV takes lists of any lengths"
            ) from error
        return lengths
    if prime_power(n_levels) is None:
        raise ValueError(
            f"param_grid has {n_levels} values of every parameter: an orthogonal array needs "
            "a prime power of them, 2, 3, 4, 5, 7, 8, 9, … UniformDesignSearchCV takes any "
            "number"
        )
    return n_levels


def first_points(
    factors: Mapping[str, Factor], n_new: int, initial: Floats, criterion: str, seed: int
) -> Floats:
    """At most ``n_new`` points after the initial ones, all with different settings.

    They come in an order in which every beginning is spread evenly. There are fewer only where
    there are no more settings.
    """
    vary = list(factors.values())
    n_new = int(min(n_new, n_left(initial, vary)))
    if n_new < 1 or not factors:
        return np.empty((max(n_new, 0), len(factors)))
    if len(initial) or n_new <= len(factors):  # With settings outside the space there are fewer.
        new = _completed(initial, n_new, [factor.ordered for factor in vary], criterion, seed)
    else:
        new = uniform_plan(factors, n_new, None, criterion, seed, {}).table().design_points()
    new = without_repeats(vary, new, initial)
    missing = n_new - len(new)
    if missing > 0:
        box, known = whole_cube(len(factors)), np.vstack([initial, new])
        others = new_points(box, known, missing, vary, discrepancy_of(criterion), seed)
        new = np.vstack([new, others])
    return new


def _completed(
    initial: Floats, n_new: int, ordered: Sequence[bool], criterion: str, seed: int
) -> Floats:
    """Points that complete the initial ones, in prefix order; by default the middle comes first.

    Those beside it are as many as among as many runs as are new. No level is run twice: of these
    runs those that share one with an initial run are left out.
    """
    s, n, discrepancy = len(ordered), len(initial) + n_new, discrepancy_of(criterion)
    rows = np.empty((0, s), dtype=int)
    if criterion == MIDDLE:
        rows = np.vstack([np.full((1, s), n // 2), central_runs(n, [n] * s)[1:]])
        rows = rows[: max(1, len(central_runs(n_new, [n_new] * s)))]
    shared = rows[:, None] == cell(initial, n)
    shared[:1] |= np.abs(initial - 0.5) < 0.5 / n  # between two levels, where they are even
    free = ~shared.any(axis=(1, 2))
    central, first = middle(rows[free], n), int(free[:1].sum())  # the middle is the first
    others = np.empty((0, s))
    if n_new > len(central):
        box, known = whole_cube(s), np.vstack([initial, central])
        others = fill_box(box, known, n_new - len(central), ordered, discrepancy, seed)
    kept, new = np.vstack([initial, central[:first]]), np.vstack([central[first:], others])
    new = _in_prefix_order(kept, new, discrepancy)
    if criterion == MIDDLE:
        new = pulled_inside(new, n)
    return np.vstack([np.full((first, s), 0.5), new])


def _in_prefix_order(kept: Floats, new: Floats, criterion: str) -> Floats:
    points = np.vstack([kept, new])
    n, n_factors = points.shape
    if n_factors == 0 or n < 2:
        return new
    levels = np.column_stack([cell(points[:, c], n) for c in range(n_factors)])
    order = prefix_uniform_order(levels, n, criterion=criterion, n_fixed=len(kept))
    return points[order[len(kept) :]]

"""Which design a study runs, described so that another process makes the same one."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from skmixup.design import orthogonal_array, uniform_design
from skmixup.design.central import central_design, places_of_levels
from skmixup.design.factors import Factor
from skmixup.design.galois import prime_power
from skmixup.design.levels import Floats, Ints, check_count, level_numbers, middle
from skmixup.design.places import n_different_values
from skmixup.tuning.criteria import MIDDLE, check_tuning_criterion, discrepancy_of
from skmixup.tuning.distinct import with_levels
from skmixup.tuning.few_values import (
    Column,
    all_settings,
    distinct_settings,
    number_of_settings,
    tells_runs_apart,
    value_levels,
)
from skmixup.tuning.points import PointTable

#: Larger uniform designs come from a Sobol' sequence: their search would take minutes.
MAX_SEARCHED_RUNS = 1000

Levels = int | Mapping[str, int] | None


def search_effort(n_runs: int, few_levels: bool = False) -> float:
    """How hard to search: fully up to 60 runs, then about the same time for every size.

    Where some parameter has fewer levels than runs, a small part of that search finds designs that
    are as even within one percent or two.
    """
    effort = min(1.0, (60 / n_runs) ** 2)
    return effort / n_runs if few_levels else effort


def check_runs(n_runs: Any, n_factors: int | None) -> int:
    """A design needs more runs than factors: fewer cannot tell the factors apart.

    None stands for factors that come up later. Where there is none to vary one run is enough.
    """
    n_runs = check_count("n_runs", n_runs, 1 if n_factors == 0 else 2)
    if n_factors is not None and n_runs <= n_factors:
        raise ValueError(
            f"n_runs={n_runs} is too few for {n_factors} parameters: use at least "
            f"{n_factors + 1}, better {3 * n_factors}"
        )
    return n_runs


def check_seed(seed: Any) -> int:
    """The design's seed; None is seed 0, so that workers need not agree on one."""
    return 0 if seed is None else check_count("seed", seed, 0)


def levels_by_name(n_levels: Levels, n_runs: int, names: tuple[str, ...] | None) -> dict[str, int]:
    """The levels asked for parameter by parameter."""
    if not isinstance(n_levels, Mapping):
        return {}
    unknown = [n for n in n_levels if names is not None and n not in names]
    if unknown:
        raise ValueError(f"n_levels names {unknown}, which is not among the parameters {names}")
    return {name: check_levels(f"n_levels[{name!r}]", q, n_runs) for name, q in n_levels.items()}


def check_levels(name: str, n_levels: Any, n_runs: int) -> int:
    """A number of levels from 2 to the number of runs."""
    n_levels = check_count(name, n_levels, 2)
    if n_levels > n_runs:
        raise ValueError(f"{name}={n_levels} must be at most n_runs={n_runs}")
    return n_levels


def varying(factors: Mapping[str, Factor]) -> dict[str, Factor]:
    """The factors with more than one value: only they need a column of the design."""
    return {name: f for name, f in factors.items() if n_different_values(f) != 1}


@dataclass(frozen=True)
class Plan:
    """A design by its settings: enough to make it again in another process.

    Attributes
    ----------
    n_runs : int
        Runs of the design.
    criterion : {"CD+middle", "CD", "WD", "MD"}
        The discrepancy that the design makes small, and whether a run is in the middle.
    seed : int
    names : tuple of str or None
        The parameters that have a column from the start; None where a name takes the next column
        when it first comes up.
    n_levels : int, tuple of int, or None
        Levels of every column, or of each; None: as many as runs.
    settings : mapping
        What all workers of a study must have in common, as it is stored in the study.
    strength : int or None
        The strength of an orthogonal array; None for a uniform design.
    shuffled : bool
        Whether the seed shuffles the runs and levels of an orthogonal array.
    levels_of : mapping of str to int
        Numbers of levels asked for by name, of parameters that have no column from the start.
    columns : tuple of Column, or None
        The levels that stand for the values of parameters that have few.
    all_settings : bool
        Whether the runs are all the settings there are.
    n_left_out : int
        How many more runs were asked for than there are settings.
    factors : tuple of Factor
        The parameters with the levels that they have, where there are finitely many settings.
    """

    n_runs: int
    criterion: str
    seed: int
    names: tuple[str, ...] | None
    n_levels: int | tuple[int, ...] | None
    settings: Mapping[str, Any] = field(repr=False)
    strength: int | None = None
    shuffled: bool = False
    levels_of: Mapping[str, int] = field(default_factory=dict)
    columns: tuple[Column, ...] | None = None
    all_settings: bool = False
    n_left_out: int = 0
    factors: tuple[Factor, ...] = field(default=(), repr=False)

    def table(self) -> PointTable:
        """The points of the design and those that complete it; nothing is searched yet."""
        n_columns = len(self.names or ())
        return PointTable(
            self.n_runs,
            self.n_levels,
            self.discrepancy,
            self.seed,
            n_columns,
            self.design,
            # The levels of parameters that have few values stand where these are.
            central=self.criterion == MIDDLE and self.columns is None,
            factors=self.factors,
        )

    def places(self) -> Floats:
        """Where as many levels as runs lie."""
        levels, n = np.arange(self.n_runs), self.n_runs
        return places_of_levels(levels, n, n) if self.criterion == MIDDLE else middle(levels, n)

    @property
    def discrepancy(self) -> str:
        """The discrepancy that completes the design."""
        return discrepancy_of(self.criterion)

    def design(self) -> Ints | None:
        """The design's levels; None where its columns are made one by one."""
        if not self.names:
            return None
        if self.columns is not None:
            if self.all_settings:
                return all_settings(self.columns, self.discrepancy, self.seed)
            return distinct_settings(self.columns, self._searched)
        if self.strength is not None:
            assert self.n_levels is not None
            return orthogonal_rows(
                self.n_levels, len(self.names), self.strength, self.seed if self.shuffled else None
            )
        if self.n_runs > MAX_SEARCHED_RUNS:
            return None
        return self._searched(len(self.names), self.n_levels)

    def _searched(self, n_factors: int, n_levels: int | Sequence[int] | None) -> Ints:
        n_runs, seed = self.n_runs, self.seed
        few = self.criterion == MIDDLE and min(level_numbers(n_levels, n_factors, n_runs)) < n_runs
        effort = search_effort(n_runs, few)
        if self.criterion == MIDDLE:
            return central_design(n_runs, n_factors, n_levels, random_state=seed, effort=effort)
        return uniform_design(
            n_runs,
            n_factors,
            n_levels,
            criterion=self.criterion,
            random_state=seed,
            effort=effort,
        )


def uniform_plan(
    factors: Mapping[str, Factor] | None,
    n_runs: Any,
    n_levels: Levels,
    criterion: str,
    seed: Any,
    description: Mapping[str, Any],
) -> Plan:
    """A uniform design for these factors, or for names that come up later."""
    check_tuning_criterion(criterion)
    names = None if factors is None else tuple(varying(factors))
    n_runs = check_runs(n_runs, None if names is None else len(names))
    by_name = levels_by_name(n_levels, n_runs, None if factors is None else tuple(factors))
    columns: int | tuple[int, ...] | None = None
    if isinstance(n_levels, Mapping):
        if names is not None:
            columns = tuple(by_name.get(name, n_runs) for name in names)
    elif n_levels is not None:
        columns = check_levels("n_levels", n_levels, n_runs)
    seed = check_seed(seed)
    settings = {
        "design": "uniform",
        "n_runs": n_runs,
        "n_levels": by_name or (list(columns) if isinstance(columns, tuple) else columns),
        "criterion": criterion,
        "seed": seed,
        **description,
    }
    plan = Plan(
        n_runs, criterion, seed, names, columns, settings, levels_of={} if names else by_name
    )
    if factors is None:
        return plan
    asked = by_name if isinstance(n_levels, Mapping) else dict.fromkeys(factors, n_levels)
    # As many levels as runs are no limit to what completes the design.
    fewer = {name: q for name, q in asked.items() if q is not None and q < n_runs}
    return _each_setting_once(plan, varying(factors), fewer)


def _each_setting_once(
    plan: Plan, factors: Mapping[str, Factor], asked: Mapping[str, int | None]
) -> Plan:
    """The plan for parameters of few values, whose levels would give a setting more than once."""
    n_settings = number_of_settings(factors, asked)
    if n_settings < math.inf:
        kinds = ((f, asked.get(name)) for name, f in factors.items())
        plan = replace(plan, factors=tuple(with_levels(f, q) if q else f for f, q in kinds))
    # An array of as many runs as there are settings has each of them once already.
    everything = n_settings < plan.n_runs + (plan.strength is None)
    places = plan.places()
    apart = any(tells_runs_apart(f, asked.get(n), places) for n, f in factors.items())
    if not everything and (apart or plan.strength is not None or plan.n_runs > MAX_SEARCHED_RUNS):
        return plan
    columns = tuple(value_levels(f, asked.get(n), plan.n_runs) for n, f in factors.items())
    if math.prod(len(levels) for levels, _ in columns) < min(n_settings, plan.n_runs):
        return plan
    n_runs = int(n_settings) if everything else plan.n_runs
    settings = {
        **plan.settings,
        "n_runs": n_runs,
        "values": [len(levels) for levels, _ in columns],
    }
    return replace(
        plan,
        n_runs=n_runs,
        n_levels=tuple(q for _, q in columns),
        settings=settings,
        columns=columns,
        all_settings=everything,
        n_left_out=plan.n_runs - n_runs,
    )


def orthogonal_plan(
    factors: Mapping[str, Factor],
    n_levels: Levels,
    strength: Any,
    seed: Any,
    description: Mapping[str, Any],
) -> Plan:
    """An orthogonal array for these factors; a mapping gives each its own number of levels."""
    names = tuple(varying(factors))
    if not names:
        raise ValueError("every parameter has one value only: there is nothing to search")
    strength = check_count("strength", strength, 1)
    by_name = levels_of_each(factors, n_levels)
    different = len(set(by_name.values())) > 1
    q = tuple(by_name.values()) if different else by_name[names[0]]
    n_runs = len(orthogonal_array(q, len(names), strength=strength))
    if different and len(names) > 2 and n_runs == math.prod(by_name.values()):
        warnings.warn(
            f"parameters with {by_name} levels: the smallest orthogonal array for them is the "
            f"whole grid of {n_runs} runs. A uniform design takes any numbers of levels in fewer",
            UserWarning,
            stacklevel=3,
        )
    settings = {
        "design": "orthogonal",
        "n_runs": n_runs,
        "n_levels": list(q) if isinstance(q, tuple) else q,
        "strength": strength,
        "seed": None if seed is None else check_seed(seed),
        **description,
    }
    plan = Plan(
        n_runs,
        "CD",
        check_seed(seed),
        names,
        q,
        settings,
        strength=strength,
        shuffled=seed is not None,
    )
    return _each_setting_once(plan, varying(factors), by_name)


def levels_of_each(factors: Mapping[str, Factor], n_levels: Levels) -> dict[str, int]:
    """The levels of every factor that varies, in an orthogonal array.

    Those that a mapping leaves out have one level for each category, and numbers have three.
    """
    vary = varying(factors)
    if not isinstance(n_levels, Mapping):
        q = default_levels(factors) if n_levels is None else check_count("n_levels", n_levels, 2)
        return dict.fromkeys(vary, q)
    unknown = [name for name in n_levels if name not in vary]
    if unknown:
        raise ValueError(
            f"n_levels names {unknown}, which are not among the parameters that vary: {[*vary]}"
        )
    own = {
        name: min(3, factor.n_values or 3) if factor.ordered else factor.n_values or 3
        for name, factor in vary.items()
    }
    asked = {name: check_count(f"n_levels[{name!r}]", q, 2) for name, q in n_levels.items()}
    return own | asked


def default_levels(factors: Mapping[str, Factor]) -> int:
    """Three levels, or the next prime power that gives every category a level of its own."""
    most = max((f.n_values or 0 for f in factors.values() if not f.ordered), default=0)
    q = max(3, most)
    while prime_power(q) is None:
        q += 1
    return q


def orthogonal_rows(
    n_levels: int | tuple[int, ...], n_factors: int, strength: int, seed: int | None
) -> Ints:
    """An orthogonal array; a seed shuffles its runs and the levels of each factor."""
    rows = orthogonal_array(n_levels, n_factors, strength=strength)
    if seed is None:
        return rows
    rng = np.random.default_rng(seed)
    counts = (n_levels,) * n_factors if isinstance(n_levels, int) else n_levels
    shuffled = [rng.permutation(q)[column] for q, column in zip(counts, rows.T, strict=True)]
    return rng.permutation(np.column_stack(shuffled))

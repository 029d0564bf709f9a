"""What was run and what came out: factors and responses from arrays, a study or a search."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmixup.design.discrepancy import Floats


@dataclass(frozen=True)
class Factor:
    """One factor's settings over the runs.

    ``numeric`` factors are ordered numbers between ``low`` and ``high``, on a logarithmic scale
    where ``log``, and in steps from ``low`` on where ``step`` is given; the others are categories,
    whose ``levels`` have no order.
    """

    name: str
    settings: tuple[Any, ...]
    numeric: bool
    levels: tuple[Any, ...]
    log: bool = False
    low: float = 0.0
    high: float = 1.0
    integer: bool = False
    step: float | None = None

    def indices(self) -> NDArray[np.intp]:
        """The level index of every run."""
        position = {level: i for i, level in enumerate(self.levels)}
        return np.array([position[setting] for setting in self.settings], dtype=np.intp)

    def coded(self, values: Iterable[Any] | None = None) -> Floats:
        """Numbers as −1 … 1 between low and high, after the logarithm where it applies."""
        x = np.asarray(list(self.settings if values is None else values), dtype=float)
        low, high = self._ends()
        return np.asarray(2 * ((np.log(x) if self.log else x) - low) / (high - low) - 1)

    def decoded(self, z: float) -> float | int:
        """The setting at a coded value, inside the factor's range and on its nearest step."""
        low, high = self._ends()
        x = low + (z + 1) / 2 * (high - low)
        value = float(np.clip(np.exp(x) if self.log else x, self.low, self.high))
        if self.step:
            value = self.low + self.step * round((value - self.low) / self.step)
            value -= self.step * (value > self.high * (1 + 1e-12))
        return round(value) if self.integer else value

    def _ends(self) -> tuple[float, float]:
        if self.log:
            return float(np.log(self.low)), float(np.log(self.high))
        return self.low, self.high


@dataclass(frozen=True)
class Responses:
    """The runs that count: their factors, responses, and whether larger is better."""

    factors: tuple[Factor, ...]
    y: Floats
    maximize: bool
    notes: tuple[str, ...] = ()


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def _plain(value: Any) -> Any:
    """A Python scalar for a numpy one, a hashable stand-in for what cannot be a dictionary key."""
    if isinstance(value, np.generic):
        value = value.item()
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


def _factor(name: str, settings: Sequence[Any], scale: Mapping[str, Any]) -> Factor:
    """A factor from its settings and what is known of its scale."""
    values = tuple(_plain(value) for value in settings)
    numeric = all(_is_number(v) for v in values) and not scale.get("category", False)
    if not numeric:
        known = [_plain(level) for level in scale.get("levels", ())]
        return Factor(name, values, False, tuple(dict.fromkeys([*known, *values])))
    log = bool(scale.get("log", False))
    low, high = float(scale.get("low", min(values))), float(scale.get("high", max(values)))
    if log and low <= 0:
        raise ValueError(f"log: factor {name!r} goes down to {low}, which has no logarithm")
    whole = all(isinstance(v, Integral) for v in values)
    low, high = min(low, *map(float, values)), max(high, *map(float, values))
    step = scale.get("step") or (1.0 if whole else None)
    return Factor(name, values, True, tuple(sorted(set(values))), log, low, high, whole, step)


def _collect(
    settings: Mapping[str, Sequence[Any]],
    y: Floats,
    scales: Mapping[str, Mapping[str, Any]],
    maximize: bool,
    notes: list[str],
) -> Responses:
    """Leave out runs without response and factors that never vary, and say so."""
    done = np.isfinite(y)
    if not done.all():
        notes.append(f"{int((~done).sum())} of {len(y)} runs have no finite response: left out")
    factors = []
    for name, column in settings.items():
        kept = [value for value, keep in zip(column, done, strict=True) if keep]
        if len({_plain(value) for value in kept}) < 2:
            notes.append(f"{name} never varies: left out")
        else:
            factors.append(_factor(name, kept, scales.get(name, {})))
    if done.sum() < 3 or not factors:
        raise ValueError(
            f"result has {int(done.sum())} runs with a finite response and {len(factors)} factors "
            "that vary: effects need at least 3 runs and 1 factor"
        )
    return Responses(tuple(factors), y[done], maximize, tuple(notes))


def _from_arrays(
    result: Any, y: ArrayLike, names: Sequence[str] | None, log: Sequence[Any], maximize: bool
) -> Responses:
    columns = getattr(result, "columns", None)
    if columns is not None:  # a DataFrame: each column keeps its own type
        table = {str(name): list(result[name]) for name in columns}
    else:
        rows = np.asarray(result)
        if rows.ndim != 2:
            raise ValueError(
                f"result has shape {rows.shape}: arrays must be (n_runs, n_factors), with y="
            )
        table = {f"x{c}": list(column) for c, column in enumerate(rows.T)}
    if names is not None:
        if len(names) != len(table):
            raise ValueError(f"names={list(names)!r} must name {len(table)} factors")
        table = dict(zip(map(str, names), table.values(), strict=True))
    response = np.asarray(y, dtype=float)
    n_runs = len(next(iter(table.values())))
    if response.shape != (n_runs,):
        raise ValueError(f"y has shape {response.shape}: it must be ({n_runs},), one per run")
    unknown = [name for name in log if name not in table]
    if unknown:
        raise ValueError(f"log={unknown!r} are no factors: choose from {list(table)}")
    return _collect(table, response, {name: {"log": True} for name in log}, maximize, [])


def _from_study(study: Any, maximize: bool | None) -> Responses:
    if len(study.directions) != 1:
        raise ValueError(
            f"result is a study of {len(study.directions)} objectives: pass arrays, with the "
            "objective to explain as y="
        )
    trials = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    notes = []
    if len(trials) < len(study.trials):
        notes.append(f"{len(study.trials) - len(trials)} trials are not complete: left out")
    names = dict.fromkeys(name for trial in trials for name in trial.params)
    shared = [name for name in names if all(name in trial.params for trial in trials)]
    notes += [f"{name} is not in every trial: left out" for name in names if name not in shared]
    scales: dict[str, dict[str, Any]] = {}
    for name in shared:
        distribution = trials[0].distributions[name]
        if hasattr(distribution, "choices"):
            scales[name] = {"category": True, "levels": distribution.choices}
        else:
            scales[name] = {k: getattr(distribution, k) for k in ("low", "high", "log", "step")}
    y = np.array([trial.value for trial in trials], dtype=float)
    upward = study.directions[0].name == "MAXIMIZE" if maximize is None else maximize
    settings = {name: [trial.params[name] for trial in trials] for name in shared}
    return _collect(settings, y, scales, upward, notes)


def _from_search(search: Any, maximize: bool | None) -> Responses:
    table = search.cv_results_
    refit = getattr(search, "refit", None)
    key = f"mean_test_{refit}" if isinstance(refit, str) else "mean_test_score"
    if key not in table:
        scores = [name for name in table if name.startswith("mean_test_")]
        raise ValueError(f"result has several scores {scores}: set refit= to the one to explain")
    runs = list(table["params"])
    names = dict.fromkeys(name for run in runs for name in run)
    notes = [f"{x} is not in every run: left out" for x in names if any(x not in r for r in runs)]
    settings = {x: [run[x] for run in runs] for x in names if all(x in run for run in runs)}
    space = getattr(search, "param_distributions", None)
    scales = {}
    for name, spec in space.items() if isinstance(space, Mapping) else ():
        family = getattr(getattr(spec, "dist", None), "name", None)
        if hasattr(spec, "support"):
            low, high = map(float, spec.support())
            bounded = {"low": low, "high": high} if np.isfinite([low, high]).all() else {}
            scales[name] = {**bounded, "log": family in ("loguniform", "reciprocal")}
    y = np.asarray(table[key], dtype=float)
    return _collect(settings, y, scales, True if maximize is None else maximize, notes)


def read_responses(
    result: Any,
    y: ArrayLike | None,
    names: Sequence[str] | None,
    log: Sequence[str],
    maximize: bool | None,
) -> Responses:
    """Factors and responses of an Optuna study, a fitted search, or arrays."""
    is_study = hasattr(result, "trials") and hasattr(result, "directions")
    if is_study or hasattr(result, "cv_results_"):
        if y is not None or names is not None or log:
            raise ValueError("y, names and log go with arrays: a study or search brings its own")
        return _from_study(result, maximize) if is_study else _from_search(result, maximize)
    if y is not None:
        return _from_arrays(result, y, names, log, True if maximize is None else maximize)
    if hasattr(result, "get_params"):
        raise ValueError("result is a search that has not been fitted: call fit first")
    raise TypeError(
        f"result is {type(result).__name__}: pass an Optuna study, a fitted search, or the runs "
        "as an array or DataFrame together with y="
    )

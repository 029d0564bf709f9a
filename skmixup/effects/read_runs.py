"""What was run and what came out, from an Optuna study, a fitted search or arrays."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skmixup.design.factors import Quantiles, as_factor, is_optuna_distribution
from skmixup.design.places import place_of
from skmixup.design.settings import is_number
from skmixup.effects.read_arrays import read_arrays
from skmixup.effects.responses import Declared, Responses, Runs, collect

Objective = int | str | Callable[[Any], float] | None


def _shared(runs: Sequence[Mapping[str, Any]], what: str, notes: list[str]) -> list[str]:
    """The parameters of every run; a note for each that some lack."""
    names = dict.fromkeys(name for run in runs for name in run)
    shared = [name for name in names if all(name in run for run in runs)]
    notes += [f"{name} is not in every {what}: left out" for name in names if name not in shared]
    return shared


def _declared_range(spec: Any) -> Declared:
    """The range of numbers that a scipy distribution or Optuna's for numbers declares."""
    if is_optuna_distribution(spec):
        number = type(spec.low)
        return Declared(low=spec.low, high=spec.high, log=spec.log, step=spec.step, number=number)
    factor = Quantiles(spec)
    low, high = (float(end) if np.isfinite(end) else None for end in spec.support())
    log = factor.log and low is not None and low > 0
    return Declared(low=low, high=high, log=log, number=int if factor.discrete else float)


def _declared(specs: Iterable[Any]) -> Declared:
    """What one or more lists, scipy or Optuna distributions declare of one factor."""
    levels: list[Any] = []
    ranges: list[Declared] = []
    category = False
    for spec in specs:
        if is_optuna_distribution(spec) and hasattr(spec, "choices"):
            category = True
            levels += spec.choices
        elif is_optuna_distribution(spec) or hasattr(spec, "support"):
            ranges.append(_declared_range(spec))
        elif isinstance(spec, Sequence | np.ndarray) and not isinstance(spec, str | bytes):
            levels += list(spec)
    if not ranges:
        return Declared(levels=tuple(levels), category=category)
    steps, numbers = ({getattr(r, name) for r in ranges} for name in ("step", "number"))
    positive = all(is_number(v) and v > 0 for v in levels)
    return Declared(
        levels=tuple(levels),
        category=category,
        low=min((r.low for r in ranges if r.low is not None), default=None),
        high=max((r.high for r in ranges if r.high is not None), default=None),
        log=positive and all(r.log for r in ranges),
        step=steps.pop() if len(steps) == 1 else None,
        number=numbers.pop() if len(numbers) == 1 and not levels else None,
    )


def _which_objective(study: Any, objective: Objective) -> int | None:
    """The index of the objective to explain; None where a function of the trial gives it."""
    count = len(study.directions)
    if callable(objective):
        return None
    if objective is None:
        if count == 1:
            return 0
        raise ValueError(
            f"result is a study of {count} objectives: choose the one to explain, objective=0 … "
            f"{count - 1}"
        )
    names = list(getattr(study, "metric_names", None) or ())
    if isinstance(objective, str) and objective in names:
        return names.index(objective)
    is_index = isinstance(objective, Integral) and not isinstance(objective, bool)
    if is_index and 0 <= int(objective) < count:
        return int(objective)
    valid = f"0 … {count - 1}" + (f" or one of {names}" if names else "")
    raise ValueError(f"objective={objective!r}: choose {valid}, or a function of the trial")


def _constraints(trial: Any) -> Iterable[float]:
    """How far a trial breaks the study's constraints, one number each, as every Optuna has it."""
    values = getattr(trial, "constraints", None) or trial.system_attrs.get("constraints") or ()
    return values.values() if isinstance(values, Mapping) else values


def _state_notes(trials: Sequence[Any], complete: Sequence[Any]) -> list[str]:
    """How many trials do not count, by what became of them."""
    states = [trial.state.name for trial in trials if trial.state.name != "COMPLETE"]
    words = {"FAIL": "failed"}
    each = (
        f"{states.count(state)} {words.get(state, state.lower())}"
        for state in dict.fromkeys(states)
    )
    notes = []
    if states:
        notes.append(f"{len(states)} trials are not complete: left out ({', '.join(each)})")
    broken = sum(any(c > 0 for c in _constraints(trial)) for trial in complete)
    if broken:
        notes.append(
            f"{broken} trials break a constraint: they count, and so may the best setting"
        )
    return notes


def read_study(study: Any, objective: Objective, maximize: bool | None) -> Runs:
    """The complete trials of an Optuna study."""
    index = _which_objective(study, objective)
    if maximize is None:
        if index is None:
            raise ValueError(
                "objective is a function: say with maximize=True or False which values are better"
            )
        maximize = study.directions[index].name == "MAXIMIZE"
    everything = study.get_trials(deepcopy=False)
    trials = [trial for trial in everything if trial.state.name == "COMPLETE"]
    lost = [trial.params for trial in everything if trial.state.name in ("FAIL", "PRUNED")]
    notes = _state_notes(everything, trials)
    names = _shared([trial.params for trial in trials], "trial", notes)
    # A dynamic range may differ between trials: the widest one counts.
    ranges = {name: [trial.distributions[name] for trial in trials] for name in names}
    declared = {name: _declared(ranges[name]) for name in names}
    notes += [
        f"{name} had other ranges in other trials: the best setting need not lie in any of them"
        for name in names
        if any(other != ranges[name][0] for other in ranges[name])
    ]
    if callable(objective):
        y = [objective(trial) for trial in trials]
    else:
        y = [trial.values[index] for trial in trials]
    return Runs(
        settings={name: [trial.params[name] for trial in trials] for name in names},
        y=np.array(y, dtype=float),
        maximize=maximize,
        declared=declared,
        notes=notes,
        lost=lost,
    )


def _score_column(search: Any, objective: Objective) -> str:
    """The column of ``cv_results_`` that holds the responses."""
    scores = [name for name in search.cv_results_ if name.startswith("mean_test_")]
    valid = [name.removeprefix("mean_test_") for name in scores]
    if objective is not None:
        if not isinstance(objective, str) or objective.removeprefix("mean_test_") not in valid:
            raise ValueError(f"objective={objective!r} is no score of the search: choose {valid}")
        return "mean_test_" + objective.removeprefix("mean_test_")
    # A search with a single score calls it "score", whatever refit says.
    for name in (getattr(search, "refit", None), "score", *(valid if len(valid) == 1 else [])):
        if isinstance(name, str) and name in valid:
            return f"mean_test_{name}"
    raise ValueError(
        f"result has several scores {scores}: choose the one to explain, objective= one of {valid}"
    )


def _inside(search: Any, notes: list[str]) -> list[int]:
    """The candidates that lie in the search's space; ``initial_params`` need not."""
    params = search.cv_results_["params"]
    if getattr(search, "initial_params", None) is None:
        return [*range(len(params))]
    factors = {name: as_factor(name, d) for name, d in search.param_distributions.items()}
    inside = [
        i
        for i, run in enumerate(params)
        if all(place_of(factor, run[name]) is not None for name, factor in factors.items())
    ]
    if len(inside) < len(params):
        notes.append(
            f"{len(params) - len(inside)} of initial_params lie outside the space: left out"
        )
    return inside


def read_search(search: Any, objective: Objective, maximize: bool | None) -> Runs:
    """The candidates of a fitted search."""
    table = search.cv_results_
    column = _score_column(search, objective)
    notes: list[str] = []
    inside = _inside(search, notes)
    params = [table["params"][i] for i in inside]
    names = _shared(params, "run", notes)
    resources = np.unique(np.asarray(table.get("n_resources", [0])))
    if len(resources) > 1:
        notes.append(
            f"runs had from {resources[0]} to {resources[-1]} resources: their scores are "
            "compared as if they had the same"
        )
    space = getattr(search, "param_distributions", getattr(search, "param_grid", None))
    space = getattr(search, "param_distributions_", space)  # what "auto" stood for
    spaces = space if isinstance(space, list | tuple) else [space]
    declared = {
        name: _declared(s[name] for s in spaces if isinstance(s, Mapping) and name in s)
        for name in names
    }
    return Runs(
        settings={name: [run[name] for run in params] for name in names},
        y=np.ma.filled(np.ma.asarray(table[column], dtype=float), np.nan)[inside],
        maximize=True if maximize is None else maximize,
        declared=declared,
        notes=notes,
    )


def _with_log(runs: Runs, log: Sequence[str]) -> Runs:
    """The runs, with factors that the caller says are on a logarithmic scale."""
    if not isinstance(log, Iterable):
        raise TypeError(f"log={log!r} must be a list of factors from {list(runs.settings)}")
    names = [log] if isinstance(log, str) else list(log)
    unknown = [name for name in names if name not in runs.settings]
    if unknown:
        raise ValueError(f"log={unknown!r} are no factors: choose from {list(runs.settings)}")
    known = {name: runs.declared.get(name, Declared()) for name in names}
    wanted = {name: replace(found, log=True, category=False) for name, found in known.items()}
    return replace(runs, declared={**runs.declared, **wanted})


def read_responses(
    result: Any,
    y: ArrayLike | None,
    names: Sequence[str] | None,
    log: Sequence[str],
    maximize: bool | None,
    objective: Objective,
) -> Responses:
    """Factors and responses of an Optuna study, a fitted search, or arrays."""
    if not (maximize is None or isinstance(maximize, bool | np.bool_)):
        raise TypeError(f"maximize={maximize!r} must be True, False or None")
    result = getattr(result, "study_", result)  # Optuna's own search keeps its study there
    is_study = hasattr(result, "get_trials") and hasattr(result, "directions")
    if is_study or hasattr(result, "cv_results_"):
        if y is not None or names is not None:
            raise ValueError("y and names go with arrays: a study or search brings its own")
        read = read_study if is_study else read_search
        return collect(_with_log(read(result, objective, maximize), log))
    if objective is not None:
        raise ValueError(
            f"objective={objective!r} goes with a study or a search: arrays have the responses y="
        )
    if y is not None:
        return collect(_with_log(read_arrays(result, y, names, maximize), log))
    if hasattr(result, "get_params"):
        raise ValueError("result is a search that has not been fitted: call fit first")
    raise TypeError(
        f"result is {type(result).__name__}: pass an Optuna study, a fitted search, or the runs "
        "as an array or DataFrame together with y="
    )

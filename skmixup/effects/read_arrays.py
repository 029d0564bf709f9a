"""Runs from arrays, lists of rows and DataFrames."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skmixup.design.levels import Floats
from skmixup.design.settings import is_number, plain
from skmixup.effects.responses import Declared, Runs, unfinished
from skmixup.lazy_frames import refuse_lazy_frame


def _is_missing(value: Any) -> bool:
    """Whether a table has no value there: nan, or pandas' NA and NaT, or masked."""
    if value is np.ma.masked or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return is_number(value) and not -np.inf < value < np.inf


def _columns(result: Any) -> tuple[list[str], list[list[Any]], dict[int, Declared]]:
    """Names, columns and what a DataFrame declares of them; each value keeps its own type."""
    if isinstance(result, Mapping):
        return [str(name) for name in result], [list(column) for column in result.values()], {}
    if hasattr(result, "columns"):
        names = list(result.columns)
        # By position: two columns may have one name.
        pick = result.iloc if hasattr(result, "iloc") else result
        series = [pick[:, c] for c in range(len(names))]
        declared = {
            c: Declared(levels=tuple(column.cat.categories), category=True)
            for c, column in enumerate(series)
            if str(column.dtype) == "category"
        }
        return (
            [str(name) for name in names],
            [_series_values(column) for column in series],
            declared,
        )
    if isinstance(result, Sequence) and not isinstance(result, str | bytes):
        rows = [list(row) if isinstance(row, Sequence | np.ndarray) else None for row in result]
        if rows and None not in rows and not any(isinstance(row, str | bytes) for row in result):
            widths = {len(row) for row in rows if row is not None}
            if len(widths) > 1:
                raise ValueError(f"result has rows of different lengths: {sorted(widths)}")
            table = [[row[c] for row in rows if row is not None] for c in range(widths.pop())]
            return [f"x{c}" for c in range(len(table))], table, {}
    array = result if isinstance(result, np.ma.MaskedArray) else np.asarray(result)
    if array.ndim != 2:
        raise ValueError(
            f"result has shape {array.shape}: arrays must be (n_runs, n_factors), with y="
        )
    return [f"x{c}" for c in range(array.shape[1])], [list(column) for column in array.T], {}


def _series_values(column: Any) -> list[Any]:
    """A DataFrame's column; what a typed column has no value for is missing, not None."""
    values = list(column)
    if str(column.dtype) in ("object", "Object"):
        return values
    return [np.nan if value is None else value for value in values]


def _response(y: Any, n_runs: int) -> Floats:
    """The responses, nan where one is missing or masked."""
    try:
        if isinstance(y, np.ma.MaskedArray):
            response = np.ma.filled(y.astype(float), np.nan)
        elif hasattr(y, "isna") and getattr(y, "ndim", 0) == 1:  # pandas 2 keeps NA out of floats
            response = np.asarray(y.to_numpy(dtype=float, na_value=np.nan))
        else:
            response = np.asarray(y, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"y must hold one number per run: {error}") from error
    if response.shape == (n_runs, 1):  # a DataFrame's only column
        response = response[:, 0]
    if response.shape != (n_runs,):
        raise ValueError(f"y has shape {response.shape}: it must be ({n_runs},), one per run")
    return np.asarray(response, dtype=float)


def _check_order(result: Any, y: Any) -> None:
    """Raise ValueError where pandas' labels say that the responses are in another order."""
    runs: Any = getattr(result, "index", None)
    responses: Any = getattr(y, "index", None)
    if not (hasattr(runs, "equals") and hasattr(responses, "equals")):
        return
    same = runs.is_unique and len(runs) == len(responses) and runs.isin(responses).all()
    if same and not runs.equals(responses):
        raise ValueError(
            "y has the index of result in another order: pass y.reindex(result.index), or, where "
            "the responses are in the order of the runs, y.to_numpy()"
        )


def read_arrays(
    result: Any, y: ArrayLike, names: Sequence[str] | None, maximize: bool | None
) -> Runs:
    """Runs from a table and its responses."""
    refuse_lazy_frame(result, "result")
    refuse_lazy_frame(y, "y")
    _check_order(result, y)
    found, table, positions = _columns(result)
    if names is not None:
        if isinstance(names, str) or not hasattr(names, "__len__") or len(names) != len(table):
            raise ValueError(f"names={names!r} must name {len(table)} factors")
        found = [str(name) for name in names]
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        where = "names" if names is not None else "result: columns"
        raise ValueError(
            f"{where} {twice} occur more than once: give every factor its own name, as with names="
        )
    response = _response(y, len(table[0]) if table else 0)
    done = np.isfinite(response)
    settings: dict[str, list[Any]] = {}
    lost: list[dict[str, Any]] = [{} for _ in np.flatnonzero(~done)]
    for name, column in zip(found, table, strict=True):
        if len(column) != len(response):
            raise ValueError(f"result: factor {name!r} has {len(column)} of {len(response)} runs")
        missing = np.array([_is_missing(plain(value)) for value in column], dtype=bool)
        for run in np.flatnonzero(done & missing)[:1]:
            raise ValueError(
                f"result: factor {name!r} is {column[run]} in run {run}. Leave such runs out, or, "
                "where it is a setting, give it a name, as fillna('none') does"
            )
        settings[name] = [value for value, keep in zip(column, done, strict=True) if keep]
        for row, run in zip(lost, np.flatnonzero(~done), strict=True):
            row |= {} if missing[run] else {name: column[run]}
    return Runs(
        settings=settings,
        y=response[done],
        maximize=True if maximize is None else maximize,
        declared={found[c]: declared for c, declared in positions.items()},
        notes=[] if done.all() else [unfinished(done)],
        lost=lost,
    )

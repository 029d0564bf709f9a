"""The runs themselves, for every pair of factors, coloured by their responses."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmixup.design.levels import Floats, check_count
from skmixup.effects.axes import PLAIN, characters, level_ticks, number_scale
from skmixup.effects.names import common_prefix, wrapped
from skmixup.effects.plot import effects_of, write_above, write_below
from skmixup.effects.responses import ObservedFactor
from skmixup.effects.tables import DesignEffects

#: How far runs at the same two levels are moved apart, in levels: at most so far.
_SPREAD = 0.3
_GOLDEN_ANGLE = np.pi * (3 - 5**0.5)


def plot_runs(
    result: Any,
    y: Any = None,
    *,
    max_factors: int = 5,
    figsize: tuple[float, float] | None = None,
    **options: Any,
) -> Any:
    """A scatter-plot matrix: where the runs lie in every two factors, and what came out.

    Each dot is a run, and the lighter it is, the better its response; the circle is round the best
    run, the star is the best setting by the effects, and crosses are runs without a response. Runs
    at the same two levels are drawn side by side. A region that is light in one panel shows an
    interaction of its two factors where no row or column of the panel is light as a whole.

    Parameters
    ----------
    result : DesignEffects, Optuna study, fitted search, or table
        Effects that are computed already, or what :func:`design_effects` computes them from.
    y : array of shape (n_runs,), only with tables
        The responses.
    max_factors : int, default 5
        So many factors at most, those with the largest effects; two at least.
    figsize : tuple of float, optional
        Width and height of the whole figure in inches; by default 2.3 by 2.1 for each panel.
    **options
        Passed on to :func:`design_effects`.

    Returns
    -------
    matplotlib Figure
        It is pyplot's current figure, as that of :func:`plot_effects`.

    Raises
    ------
    ImportError
        matplotlib is not installed (``pip install skmixup[plot]``).
    TypeError, ValueError
        As :func:`design_effects`; ``max_factors`` below 2.

    See Also
    --------
    plot_effects : The effect of each factor alone.
    DesignEffects.interactions : What pairs of factors do, as numbers.

    Notes
    -----
    Colours end where a response is further from the median than three times the best one is, so
    that a few runs that went wrong do not make all others look alike.

    Examples
    --------
    >>> from skmixup.design import orthogonal_array
    >>> from skmixup.effects import plot_runs
    >>> figure = plot_runs(orthogonal_array(3, 3), y=range(9), names=["alpha", "width", "lr"])
    >>> import matplotlib.pyplot as plt
    >>> plt.close(figure)
    """
    import matplotlib.pyplot as plt

    max_factors = check_count("max_factors", max_factors, 2)
    effects = effects_of(result, y, options)
    names = list(effects.ranges)[:max_factors]
    factors = {factor.name: factor for factor in effects.model.factors}
    shown = [factors[name] for name in names]
    size = max(len(shown) - 1, 1)
    figure = plt.figure(figsize=figsize or (2.3 * size + 1.4, 2.1 * size + 0.6))
    figure.set_layout_engine("constrained")
    grid = figure.subplots(size, size, squeeze=False, sharex="col", sharey="row")
    prefix = common_prefix(effects.ranges)
    colours = _colours(effects)
    dots: Any = None
    for row in range(size):
        for column in range(size):
            axes = grid[row, column]
            if column > row:
                axes.remove()
                continue
            across = shown[column]
            up = shown[row + 1] if len(shown) > 1 else None
            dots = _panel(axes, effects, across, up, colours)
            if row == size - 1:
                axes.set_xlabel(wrapped(across.name.removeprefix(prefix), characters(22)), **PLAIN)
            if column == 0:
                name = up.name.removeprefix(prefix) if up else "response"
                axes.set_ylabel(wrapped(name, characters(22)), **PLAIN)
            if column == 0 or row == size - 1:
                axes.tick_params(labelsize="small")
    left = list(grid[np.tril_indices(size)])
    figure.colorbar(dots, ax=left, extend=colours["extend"], label="response", aspect=30)
    if len(shown) < len(effects.ranges):
        text = f"The {len(shown)} of {len(effects.ranges)} factors with the largest effects"
        write_above(figure, text)
    write_below(figure, prefix)
    if size > 1:
        marks = {line.get_label(): line for line in left[-1].lines}
        marks = {label: line for label, line in marks.items() if not label.startswith("_")}
        figure.legend(marks.values(), marks.keys(), loc="upper right", bbox_to_anchor=(0.86, 0.97))
    return figure


def _colours(effects: DesignEffects) -> dict[str, Any]:
    """Colour map and its ends: light is better; the worse end is cut where runs went wrong."""
    y, maximize = effects.responses.y, effects.responses.maximize
    best, worst = (y.max(), y.min()) if maximize else (y.min(), y.max())
    reach = 3 * abs(best - np.median(y))
    cut = reach > 0 and abs(worst - np.median(y)) > reach
    if cut:
        worst = np.median(y) - reach if maximize else np.median(y) + reach
    extend = "neither" if not cut else "min" if maximize else "max"
    ends = sorted((float(best), float(worst)))
    return {"cmap": "viridis" if maximize else "viridis_r", "ends": ends, "extend": extend}


def _is_level(effects: DesignEffects, factor: ObservedFactor) -> bool:
    return effects.model.factors.index(factor) not in effects.model.continuous


def _places(
    effects: DesignEffects, factor: ObservedFactor, settings: Iterable[Any] | None = None
) -> Floats:
    """Where settings lie on an axis: levels at 0, 1, …, nan where one is no level."""
    if _is_level(effects, factor):
        index = factor.indices(settings).astype(float)
        return np.where(index < 0, np.nan, index)
    wanted = factor.settings if settings is None else tuple(settings)
    return np.array([float(value) for value in wanted])


def _side_by_side(x: Floats, y: Floats, moved: tuple[bool, bool]) -> tuple[Floats, Floats]:
    """Runs at one place moved apart on a spiral, along the axes of levels only."""
    x, y = x.copy(), y.copy()
    where: dict[tuple[float, float], list[int]] = {}
    for run, place in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
        where.setdefault(place, []).append(run)
    most = max(map(len, where.values()))
    for runs in where.values():
        k = np.arange(len(runs))
        if len(runs) == 1:
            continue
        radius = _SPREAD * np.sqrt((k + 0.5) / most)
        x[runs] += moved[0] * radius * np.cos(k * _GOLDEN_ANGLE)
        y[runs] += moved[1] * radius * np.sin(k * _GOLDEN_ANGLE)
    return x, y


def _panel(
    axes: Any,
    effects: DesignEffects,
    across: ObservedFactor,
    up: ObservedFactor | None,
    colours: Mapping[str, Any],
) -> Any:
    """One pair of factors, or one factor and the response."""
    responses = effects.responses.y
    x = _places(effects, across)
    y = responses if up is None else _places(effects, up)
    levels = (_is_level(effects, across), up is not None and _is_level(effects, up))
    x, y = _side_by_side(x, y, levels)
    low, high = colours["ends"]
    # The best runs are drawn last, over the others.
    order = np.argsort(responses if effects.responses.maximize else -responses, kind="stable")
    dots = axes.scatter(
        x[order],
        y[order],
        c=responses[order],
        cmap=colours["cmap"],
        vmin=low,
        vmax=high,
        s=28,
        edgecolors="0.3",
        linewidths=0.4,
        zorder=2,
    )
    top = order[-1]
    ring = {"mfc": "none", "mec": "black", "ms": 10, "mew": 1.3, "ls": "none"}
    axes.plot(x[top], y[top], "o", **ring, zorder=3, label="best run")
    _mark_best_and_lost(axes, effects, across, up)
    for axis, factor, is_level in zip((axes.xaxis, axes.yaxis), (across, up), levels, strict=True):
        if factor is not None and is_level:
            level_ticks(axis, factor, room=20)
            set_ends = axes.set_xlim if axis is axes.xaxis else axes.set_ylim
            set_ends(-0.6, len(factor.levels) - 0.4)
        elif factor is not None:
            number_scale(axis, factor)
    return dots


def _mark_best_and_lost(
    axes: Any, effects: DesignEffects, across: ObservedFactor, up: ObservedFactor | None
) -> None:
    """A star at the best setting, crosses where runs have no response."""
    if up is None:
        return
    best = [_places(effects, factor, [effects.best[factor.name]]) for factor in (across, up)]
    star = {"color": "tab:orange", "mec": "white", "mew": 0.6, "ms": 13, "ls": "none"}
    axes.plot(*best, "*", **star, zorder=4, label="best by the effects")
    lost: list[NDArray[Any]] = [
        _places(effects, factor, [row[factor.name] for row in effects.responses.lost])
        for factor in (across, up)
    ]
    if len(lost[0]):
        axes.plot(*lost, "x", color="0.45", ms=5, zorder=1, label="no response")

"""Main-effect plots of a design's effects, with matplotlib."""

import textwrap
from typing import Any

import numpy as np

from skmixup.design.factors import Continuum
from skmixup.effects.axes import PLAIN, characters, level_ticks, number_scale
from skmixup.effects.effects import design_effects
from skmixup.effects.names import common_prefix, wrapped
from skmixup.effects.tables import DesignEffects

_DOTS, _LINE = "0.6", "tab:blue"


def plot_effects(
    result: Any, y: Any = None, *, figsize: tuple[float, float] | None = None, **options: Any
) -> Any:
    """One panel per factor, the most influential first, all on the same response scale.

    Grey dots are the runs. Factors explained by their levels show the level means, joined where
    the levels are numbers. Continuous factors show the fitted curve, moved up or down until its
    mean over the runs is the mean response, and a band of two standard errors on either side. A
    dashed line marks the mean of all runs, a star the best setting. Titles of factors that stand
    out from noise are bold, and a line above the panels says so where none does.

    What all names begin with, as ``pipeline__mlp__``, is written once below the panels.

    Parameters
    ----------
    result : DesignEffects, Optuna study, fitted search, or table
        Effects that are computed already, or what :func:`design_effects` computes them from.
    y : array of shape (n_runs,), only with tables
        The responses.
    figsize : tuple of float, optional
        Width and height of the whole figure in inches; by default 3 by 2.8 for each panel, four
        panels in a row.
    **options
        Passed on to :func:`design_effects`.

    Returns
    -------
    matplotlib Figure
        It is pyplot's current figure: ``plt.savefig`` and ``plt.show`` take it, ``plt.close``
        forgets it.

    Raises
    ------
    ImportError
        matplotlib is not installed (``pip install skmixup[plot]``).
    TypeError, ValueError
        As :func:`design_effects`.

    Examples
    --------
    >>> from skmixup.design import orthogonal_array
    >>> from skmixup.effects import plot_effects
    >>> figure = plot_effects(orthogonal_array(3, 3), y=range(9), names=["alpha", "width", "lr"])
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['alpha', 'width', 'lr']
    >>> import matplotlib.pyplot as plt
    >>> plt.close(figure)
    """
    import matplotlib.pyplot as plt

    effects = effects_of(result, y, options)
    n_panels = len(effects.ranges)
    columns = min(n_panels, 4)
    rows = -(-n_panels // columns)
    figure = plt.figure(figsize=figsize or (3 * columns, 2.8 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    places = {factor.name: i for i, factor in enumerate(effects.model.factors)}
    prefix = common_prefix(effects.ranges)
    for rank, (axes, name) in enumerate(zip(grid.flat, effects.ranges, strict=False), start=1):
        _panel(axes, effects, places[name])
        active = name in effects.active
        axes.set_title(
            _title(effects, name, rank),
            fontsize="medium",
            color="black" if active else "0.4",
            weight="bold" if active else "normal",
        )
        axes.set_xlabel(wrapped(name.removeprefix(prefix), characters(26)), **PLAIN)
    for axes in grid.flat[n_panels:]:
        axes.remove()
    for row in grid:
        row[0].set_ylabel("response")
    if not effects.active:
        text = effects.noise_text()
        write_above(figure, text[0].upper() + text[1:], color="tab:red")
    write_below(figure, prefix)
    return figure


def effects_of(result: Any, y: Any, options: dict[str, Any]) -> DesignEffects:
    """Effects that are computed already, or those of a study, a search or a table."""
    if not isinstance(result, DesignEffects):
        return design_effects(result, y, **options)
    if y is not None or options:
        raise ValueError("y and options go with raw results: these effects are already computed")
    return result


def write_above(figure: Any, text: str, **style: Any) -> None:
    """A line above all panels, or several where one is too short."""
    lines = "\n".join(textwrap.wrap(text, _characters(figure)))
    figure.suptitle(lines, fontsize="medium", **style, **PLAIN)


def write_below(figure: Any, prefix: str) -> None:
    """What all names begin with, below all panels."""
    if prefix:
        foot = wrapped(f"all names begin with {prefix}", _characters(figure))
        figure.supxlabel(foot, fontsize="small", color="0.4", **PLAIN)


def _characters(figure: Any) -> int:
    return round(13 * float(figure.get_figwidth()))


def _title(effects: DesignEffects, name: str, rank: int) -> str:
    row = next(row for row in effects.anova if row.name == name)
    if row.pooled:
        return f"{rank}. pooled as error"
    return f"{rank}. p = {row.p:.2g}" if np.isfinite(row.p) else f"{rank}."


def _panel(axes: Any, effects: DesignEffects, factor_index: int) -> None:
    factor = effects.model.factors[factor_index]
    responses = effects.responses.y
    mean = float(responses.mean())
    axes.axhline(mean, color="0.8", linestyle="--", linewidth=1, zorder=0)
    best = effects.best[factor.name]
    if factor_index in effects.model.continuous:
        axes.plot(factor.settings, responses, "o", color=_DOTS, markersize=3)
        x, curve, band = _curve(effects, factor_index)
        axes.fill_between(x, curve - 2 * band, curve + 2 * band, color=_LINE, alpha=0.15, lw=0)
        axes.plot(x, curve, color=_LINE)
        axes.plot(best, np.interp(best, x, curve), "*", color="tab:orange", markersize=12)
        number_scale(axes.xaxis, factor)
        return
    index = factor.indices()
    axes.plot(index, responses, "o", color=_DOTS, markersize=3)
    means = [m.mean for m in effects.level_means if m.factor == factor.name]
    axes.plot(range(len(means)), means, "o-" if factor.numeric else "o", color=_LINE, markersize=6)
    star = int(factor.indices([best])[0])
    axes.plot(star, means[star], "*", color="tab:orange", ms=12)
    level_ticks(axes.xaxis, factor)
    axes.margins(x=0.12)


def _curve(effects: DesignEffects, factor_index: int) -> tuple[Any, Any, Any]:
    """A continuous factor's fitted effect around the mean response, and its standard error."""
    model = effects.model
    factor = model.factors[factor_index]
    z = np.linspace(*factor.box(), 101)
    own = [k for k, t in enumerate(model.fit.terms, start=1) if set(t.factors) == {factor_index}]
    powers = np.stack([z**k for k in range(1, len(own) + 1)], axis=1)
    coded = factor.coded()
    centre = np.array([(coded**k).mean() for k in range(1, len(own) + 1)])
    curve = effects.responses.y.mean() + (powers - centre) @ model.fit.coefficients[own]
    covariance = model.fit.unscaled_covariance[np.ix_(own, own)]
    spread = np.einsum("ij,jk,ik->i", powers - centre, covariance, powers - centre)
    band = effects.error_sd * np.sqrt(np.maximum(spread, 0))
    scale = Continuum(factor.low, factor.high, factor.log)
    return np.array([scale.at((at + 1) / 2) for at in z]), curve, band

"""Main-effect plots of a design's effects, with matplotlib."""

from typing import Any

import numpy as np

from skmixup.design.factors import Continuum
from skmixup.design.settings import labels
from skmixup.effects.effects import design_effects
from skmixup.effects.responses import ObservedFactor
from skmixup.effects.tables import DesignEffects

_DOTS, _LINE = "0.6", "tab:blue"


def plot_effects(
    result: Any, y: Any = None, *, figsize: tuple[float, float] | None = None, **options: Any
) -> Any:
    """One panel per factor, the most influential first, all on the same response scale.

    Grey dots are the runs. Factors explained by their levels show the level means, joined where
    the levels are numbers. Continuous factors show the fitted curve, moved up or down until its
    mean over the runs is the mean response, and a band of two standard errors on either side. A
    dashed line marks the mean of all runs, a star the best setting.

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
    """
    from matplotlib.figure import Figure

    effects = result
    if not isinstance(result, DesignEffects):
        effects = design_effects(result, y, **options)
    elif y is not None or options:
        raise ValueError("y and options go with raw results: these effects are already computed")
    n_panels = len(effects.ranges)
    columns = min(n_panels, 4)
    rows = -(-n_panels // columns)
    figure = Figure(figsize=figsize or (3 * columns, 2.8 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    places = {factor.name: i for i, factor in enumerate(effects.model.factors)}
    for rank, (axes, name) in enumerate(zip(grid.flat, effects.ranges, strict=False), start=1):
        _panel(axes, effects, places[name])
        axes.set_title(_title(effects, name, rank), fontsize="medium")
        axes.set_xlabel(name)
    for axes in grid.flat[n_panels:]:
        axes.remove()
    for row in grid:
        row[0].set_ylabel("response")
    return figure


def _title(effects: DesignEffects, name: str, rank: int) -> str:
    row = next(row for row in effects.anova if row.name == name)
    if row.pooled:
        return f"{rank}. pooled as error"
    return f"{rank}. p = {row.p:.2g}" if np.isfinite(row.p) else f"{rank}."


def _panel(axes: Any, effects: DesignEffects, factor_index: int) -> None:
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

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
        if factor.log:
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(NullFormatter())
            if factor.high < 100 * factor.low:  # too few decades to be labelled alone
                axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        return
    index = factor.indices()
    axes.plot(index, responses, "o", color=_DOTS, markersize=3)
    means = [m.mean for m in effects.level_means if m.factor == factor.name]
    axes.plot(range(len(means)), means, "o-" if factor.numeric else "o", color=_LINE, markersize=6)
    star = int(factor.indices([best])[0])
    axes.plot(star, means[star], "*", color="tab:orange", ms=12)
    texts = _tick_labels(factor)
    crowded = sum(map(len, texts)) > 24
    axes.set_xticks(
        range(len(texts)),
        texts,
        rotation=30 if crowded else 0,
        ha="right" if crowded else "center",
        parse_math=False,
    )
    axes.margins(x=0.12)


def _tick_labels(factor: ObservedFactor) -> list[str]:
    """One short label for each level."""
    if factor.numeric:
        texts = [f"{v:.3g}" if isinstance(v, float) else str(v) for v in factor.levels]
        if len(set(texts)) == len(texts):
            return texts
    return [text if len(text) <= 24 else text[:23] + "…" for text in labels(factor.levels)]


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

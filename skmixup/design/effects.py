"""Effects: which factors matter, and which setting is best, once a design has been run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from skmixup.design.anova import AnovaRow, anova_table, check_pool
from skmixup.design.response_model import ResponseModel, fit_model
from skmixup.design.responses import Responses, read_responses


@dataclass(frozen=True)
class LevelMean:
    """The mean response of the runs at one level of a factor."""

    factor: str
    level: Any
    runs: int
    mean: float


@dataclass(frozen=True)
class DesignEffects:
    """What :func:`design_effects` finds; ``print`` it, or take :meth:`to_frame`.

    Attributes
    ----------
    model : ResponseModel
        How the responses were explained: ``str(model)`` says it in words.
    ranges : dict of str to float
        Each factor's range: the largest minus the smallest mean over its levels, or, for a factor
        whose levels do not repeat, of its fitted curve. Largest first, which is the factors' rank.
    level_means : tuple of LevelMean
        Range analysis, for the factors whose levels repeat.
    anova : tuple of AnovaRow
        One row per factor: ss, df, f, p, pooled.
    error_ss, error_df : float, int
        The residual together with the pooled factors.
    best : dict of str to setting
        The best level combination or the fitted optimum inside the box.
    best_predicted, best_se : float
        The model's response there, and its standard error (nan without an error estimate).
    best_was_run : bool
        Whether that very combination is among the runs.
    responses : Responses
        Factors and responses as they were read; ``notes`` says what was left out.
    """

    model: ResponseModel
    responses: Responses
    ranges: dict[str, float]
    level_means: tuple[LevelMean, ...]
    anova: tuple[AnovaRow, ...]
    error_ss: float
    error_df: int
    best: dict[str, Any]
    best_predicted: float
    best_se: float
    best_was_run: bool

    @property
    def error_variance(self) -> float:
        """The error mean square; nan where no degree of freedom is left for it."""
        return self.error_ss / self.error_df if self.error_df else np.nan

    def coefficients(self) -> list[tuple[str, float, float, float]]:
        """Term, estimate, standard error and p of each coefficient; factors coded −1 … 1."""
        se = np.sqrt(np.diag(self.model.fit.unscaled_covariance) * self.error_variance)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.model.fit.coefficients / se)
        p = 2 * stdtr(self.error_df, -t) if self.error_df else np.full(len(t), np.nan)
        labels = ["intercept", *(term.label for term in self.model.fit.terms)]
        values = zip(labels, self.model.fit.coefficients, se, p, strict=True)
        return [(label, float(b), float(e), float(q)) for label, b, e, q in values]

    def to_frame(self, table: str = "anova") -> Any:
        """A pandas DataFrame of one table: "anova", "levels" or "coefficients".

        Raises
        ------
        ValueError
            Another name of a table.
        """
        import pandas as pd

        if table == "anova":
            rows: list[Any] = [
                (r.name, self.ranges[r.name], r.ss, r.df, r.ss / r.df, r.f, r.p, r.pooled)
                for r in self.anova
            ]
            rows.append(
                ("error", None, self.error_ss, self.error_df, self.error_variance, *[None] * 3)
            )
            columns = ["factor", "range", "ss", "df", "ms", "F", "p", "pooled"]
        elif table == "levels":
            rows = [(m.factor, m.level, m.runs, m.mean) for m in self.level_means]
            columns = ["factor", "level", "runs", "mean"]
        elif table == "coefficients":
            rows, columns = self.coefficients(), ["term", "estimate", "se", "p"]
        else:
            raise ValueError(
                f"table={table!r} is unknown: choose 'anova', 'levels' or 'coefficients'"
            )
        return pd.DataFrame(rows, columns=columns)

    def __str__(self) -> str:
        lines = [f"{self.model}, {len(self.responses.y)} runs"]
        lines += [f"note: {note}" for note in self.responses.notes]
        width = max(len("factor"), *(len(name) for name in self.ranges))
        lines.append("")
        lines.append(f"{'factor':<{width}}  {'range':>9} {'SS':>10} {'df':>3} {'F':>8} {'p':>7}")
        rows = {row.name: row for row in self.anova}
        for name, spread in self.ranges.items():
            row = rows[name]
            test = "  pooled" if row.pooled else f"{row.f:8.2f} {row.p:7.4f}"
            lines.append(f"{name:<{width}}  {spread:9.4g} {row.ss:10.4g} {row.df:3d} {test}")
        lines.append(f"{'error':<{width}}  {'':9} {self.error_ss:10.4g} {self.error_df:3d}")
        for name in dict.fromkeys(m.factor for m in self.level_means):
            means = [f"{m.level}: {m.mean:.4g}" for m in self.level_means if m.factor == name]
            lines.append(f"mean by {name}: " + ", ".join(means))
        settings = ", ".join(
            f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.best.items()
        )
        known = "among the runs" if self.best_was_run else "not among the runs"
        lines.append(f"best: {settings} ({known})")
        error = f" ± {self.best_se:.2g}" if np.isfinite(self.best_se) else ""
        lines.append(f"predicted there: {self.best_predicted:.4g}{error}")
        return "\n".join(lines)


def _ranges(model: ResponseModel, means: Sequence[LevelMean]) -> dict[str, float]:
    """Each factor's range over its level means or its fitted curve, largest first."""
    ranges = {}
    for i, factor in enumerate(model.factors):
        if i in model.continuous:
            values = model.curve(i, np.linspace(-1, 1, 201))
        else:
            values = np.array([m.mean for m in means if m.factor == factor.name])
        ranges[factor.name] = float(np.ptp(values))
    return dict(sorted(ranges.items(), key=lambda item: -item[1]))


def design_effects(
    result: Any,
    y: ArrayLike | None = None,
    *,
    names: Sequence[str] | None = None,
    log: Sequence[str] = (),
    maximize: bool | None = None,
    kind: str = "auto",
    pool: Sequence[str] | str = "auto",
) -> DesignEffects:
    """Which factors mattered in a design that has been run, and which setting is best.

    Factors whose levels repeat (orthogonal arrays, q < n, categories) are explained by their
    level means: range analysis (mean response per level, range, rank, best combination, also one
    that was never run) and analysis of variance. Numbers whose levels do not repeat are explained
    by a response surface: a quadratic regression with all two-factor products where the runs
    suffice, without products or squares where they do not, and its optimum inside the box. Both
    kinds may be mixed; numbers on a logarithmic scale enter by their logarithm.

    Parameters
    ----------
    result : Optuna study, fitted search, or array or DataFrame of shape (n_runs, n_factors)
        A study brings its distributions (scale, range, categories) and its direction; a search
        (anything with ``cv_results_``) its mean test scores. Arrays need ``y``.
    y : array of shape (n_runs,), only with arrays
        Responses. Runs whose response is not finite are left out, and a note says so.
    names : list of str, only with arrays
        Factor names; by default a DataFrame's columns, or x0, x1, ….
    log : list of str, only with arrays
        Factors on a logarithmic scale.
    maximize : bool, optional
        Whether larger responses are better. None: a study's own direction; True otherwise, as for
        scores.
    kind : {"auto", "levels", "quadratic"}, default "auto"
        "levels" explains every factor by its levels, "quadratic" every number by the surface.
        "auto" takes levels where each occurs twice on average and their effects can be estimated.
    pool : "auto" or list of factor names, default "auto"
        Factors whose variation counts as error in the analysis of variance. "auto" pools the one
        with the smallest mean square if there would be no error estimate otherwise (a saturated
        array), and none if there is.

    Returns
    -------
    DesignEffects

    Raises
    ------
    TypeError, ValueError
        Something else than runs and responses, too few runs, runs that cannot tell the factors'
        effects apart, a study of several objectives, an unknown kind or factor.

    Notes
    -----
    A factor's sum of squares is what the model loses without it: in an orthogonal array the
    classical sum of squares between level means, in an unbalanced design adjusted for the others.
    Level means are those of the runs as they are; the best levels go by the fitted effects, which
    are the same thing in an orthogonal array and adjusted for the other factors elsewhere.
    Interactions are not part of level means: repeat the best combination before believing it.

    References
    ----------
    D. C. Montgomery, *Design and Analysis of Experiments*, chapters 3, 10 and 11.

    Examples
    --------
    >>> from skmixup.design import design_effects, orthogonal_array
    >>> array = orthogonal_array(3, 3)
    >>> a, b, c = array.T
    >>> effects = design_effects(array, 10 * (a == 2) + 2 * b + 0.5 * (c == 1) * b)
    >>> effects.best
    {'x0': 2, 'x1': 2, 'x2': 1}
    >>> print(effects)
    level means, 9 runs
    <BLANKLINE>
    factor      range         SS  df        F       p
    x0          10.33      210.2   2  1261.00  0.0008
    x1          4.333      28.17   2   169.00  0.0059
    x2            0.5        0.5   2     3.00  0.2500
    error                 0.1667   2
    mean by x0: 0: 2.167, 1: 2, 2: 12.33
    mean by x1: 0: 3.333, 1: 5.5, 2: 7.667
    mean by x2: 0: 5.333, 1: 5.833, 2: 5.333
    best: x0=2, x1=2, x2=1 (among the runs)
    predicted there: 14.83 ± 0.25
    """
    if kind not in ("auto", "levels", "quadratic"):
        raise ValueError(f"kind={kind!r} is unknown: choose 'auto', 'levels' or 'quadratic'")
    responses = read_responses(result, y, names, log, maximize)
    check_pool(pool, [factor.name for factor in responses.factors])
    y = responses.y
    model = fit_model(responses.factors, y, kind)
    anova, error_ss, error_df = anova_table(model, y, pool)
    means = tuple(
        LevelMean(factor.name, level, int(at.sum()), float(y[at].mean()))
        for i, factor in enumerate(responses.factors)
        if i not in model.continuous
        for k, level in enumerate(factor.levels)
        if (at := factor.indices() == k).any()
    )
    best = model.best(1.0 if responses.maximize else -1.0)
    row = model.rows({name: [value] for name, value in best.items()})[0]
    variance = error_ss / error_df if error_df else np.nan
    runs = zip(*(factor.settings for factor in responses.factors), strict=True)
    return DesignEffects(
        model=model,
        responses=responses,
        ranges=_ranges(model, means),
        level_means=means,
        anova=anova,
        error_ss=error_ss,
        error_df=error_df,
        best=best,
        best_predicted=float(row @ model.fit.coefficients),
        best_se=float(np.sqrt(variance * (row @ model.fit.unscaled_covariance @ row))),
        best_was_run=tuple(best.values()) in set(runs),
    )

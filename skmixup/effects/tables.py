"""The effects that were found: tables, and what they say in words."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtr

from skmixup.design.settings import labels, shown
from skmixup.effects.anova import AnovaRow
from skmixup.effects.interactions import (
    Interaction,
    find_interactions,
    in_words,
    quickly_found,
)
from skmixup.effects.names import common_prefix
from skmixup.effects.response_model import ResponseModel
from skmixup.effects.responses import ObservedFactor, Responses


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
    error_ss, error_df, error_sd : float, int, float
        The residual together with the pooled factors: sum of squares, degrees of freedom, and the
        standard deviation of a run, nan where no degree of freedom is left for it.
    best : dict of str to setting
        The best level combination or the fitted optimum inside the range that has responses, with
        the settings that never varied: ``estimator.set_params(**effects.best)`` takes it as it is
        where the parameters are an estimator's.
    best_predicted, best_se : float
        The model's response there, and its standard error (nan without an error estimate).
    best_was_run : bool
        Whether that very combination is among the runs.
    active : tuple of str
        The factors whose effects stand out from noise, at 5 % over all factors together.
    noise_test : str
        What says so: "F tests" or "Lenth's method".
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
    error_sd: float
    best: dict[str, Any]
    best_predicted: float
    best_se: float
    best_was_run: bool
    active: tuple[str, ...]
    noise_test: str

    def interactions(self) -> tuple[Interaction, ...]:
        """What any two factors do beyond the sum of their effects, as far as the runs can tell.

        The smallest p comes first, and last come those that the runs cannot tell from main
        effects. Each has its sum of squares, degrees of freedom and F test, and names what the
        runs cannot tell it from: in L8(2⁷) the interaction of two columns is a third column, in
        L27 and in a full factorial of three factors all are clear.
        """
        return find_interactions(self.model, self.responses.y)

    @property
    def error_variance(self) -> float:
        """The error mean square; nan where no degree of freedom is left for it."""
        return self.error_ss / self.error_df if self.error_df else np.nan

    def coefficients(self) -> list[tuple[str, float, float, float]]:
        """Term, estimate, standard error and p of each coefficient.

        Numbers of a surface are coded −1 … 1 over their declared range, or over that of the runs.
        """
        se = np.sqrt(np.diag(self.model.fit.unscaled_covariance)) * self.error_sd
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.model.fit.coefficients / se)
        p = 2 * stdtr(self.error_df, -t) if self.error_df else np.full(len(t), np.nan)
        labels = ["intercept", *(term.label for term in self.model.fit.terms)]
        values = zip(labels, self.model.fit.coefficients, se, p, strict=True)
        return [(label, float(b), float(e), float(q)) for label, b, e, q in values]

    def to_frame(self, table: str = "anova") -> Any:
        """A pandas DataFrame: "anova", "levels", "coefficients" or "interactions".

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
            if len({type(m.level) for m in self.level_means}) > 1:  # 1 and 1.0 stay apart
                levels = pd.Series([m.level for m in self.level_means], dtype=object)
                return pd.DataFrame(rows, columns=columns).assign(level=levels)
        elif table == "coefficients":
            rows, columns = self.coefficients(), ["term", "estimate", "se", "p"]
        elif table == "interactions":
            rows = [
                (x.label, x.ss, x.df, x.f, x.p, ", ".join((*x.main_effects, *x.interactions)))
                for x in self.interactions()
            ]
            columns = ["interaction", "ss", "df", "F", "p", "confounded with"]
        else:
            raise ValueError(
                f"table={table!r} is unknown: choose 'anova', 'levels', 'coefficients' or "
                "'interactions'"
            )
        return pd.DataFrame(rows, columns=columns)

    def _best_text(self, factor: ObservedFactor) -> str:
        """The best setting, as its level is labelled elsewhere; a number to four digits."""
        value = self.best[factor.name]
        if any(m.factor == factor.name for m in self.level_means):
            return labels(factor.levels)[int(factor.indices([value])[0])]
        return f"{value:.4g}" if isinstance(value, float) else shown(value)

    def noise_text(self) -> str:
        """Which factors stand out from noise, in words."""
        by = f"({self.noise_test}, 5 % over all factors)"
        if not self.active:
            return f"no factor stands out from noise {by}"
        prefix = common_prefix(self.ranges)
        names = ", ".join(name.removeprefix(prefix) for name in self.active)
        return f"active, standing out from noise: {names} {by}"

    def __str__(self) -> str:
        prefix = common_prefix(self.ranges)
        lines = [f"{self.model}, {len(self.responses.y)} runs"]
        lines += [f"all names begin with {prefix}"] if prefix else []
        lines += [f"note: {note}" for note in self.responses.notes]
        lines += ["", *self._anova_text(prefix), self.noise_text()]
        if quickly_found(self.model):
            lines += in_words(self.interactions(), self.model, prefix)
        for name in dict.fromkeys(m.factor for m in self.level_means):
            rows_of = [m for m in self.level_means if m.factor == name]
            texts = labels(tuple(m.level for m in rows_of))
            means = [f"{text}: {m.mean:.4g}" for text, m in zip(texts, rows_of, strict=True)]
            lines.append(f"mean by {name.removeprefix(prefix)}: " + ", ".join(means))
        settings = ", ".join(
            f"{f.name.removeprefix(prefix)}={self._best_text(f)}" for f in self.model.factors
        )
        known = "among the runs" if self.best_was_run else "not among the runs"
        lines.append(f"best: {settings} ({known})")
        lines += self._adjusted_text(prefix)
        error = f" ± {self.best_se:.2g}" if np.isfinite(self.best_se) else ""
        lines.append(f"predicted there: {self.best_predicted:.4g}{error}")
        return "\n".join(lines)

    def _adjusted_text(self, prefix: str) -> list[str]:
        """Which levels are best only once the other factors are taken account of."""
        sign = 1 if self.responses.maximize else -1
        lines = []
        for i, factor in enumerate(self.model.factors):
            means = [sign * m.mean for m in self.level_means if m.factor == factor.name]
            if not means:
                continue
            gains = sign * self.model.level_effects(i)
            chosen, first = int(factor.indices([self.best[factor.name]])[0]), int(np.argmax(means))
            if means[chosen] < means[first] and gains[chosen] > gains[first]:
                name, texts = factor.name.removeprefix(prefix), labels(factor.levels)
                lines.append(
                    f"{name}: {texts[first]} has the better mean, {texts[chosen]} the better "
                    "effect: the runs of the two differ in other factors"
                )
        return lines

    def _anova_text(self, prefix: str) -> list[str]:
        """The table of ranges and F tests, the largest range first."""
        names = {name: name.removeprefix(prefix) for name in self.ranges}
        width = max(len("factor"), *map(len, names.values()))
        lines = [f"{'factor':<{width}}  {'range':>9} {'SS':>10} {'df':>3} {'F':>8} {'p':>7}"]
        rows = {row.name: row for row in self.anova}
        for name, spread in self.ranges.items():
            row = rows[name]
            test = "  pooled" if row.pooled else f"{row.f:8.2f} {row.p:7.4f}"
            lines.append(
                f"{names[name]:<{width}}  {spread:9.4g} {row.ss:10.4g} {row.df:3d} {test}"
            )
        lines.append(f"{'error':<{width}}  {'':9} {self.error_ss:10.4g} {self.error_df:3d}")
        return lines

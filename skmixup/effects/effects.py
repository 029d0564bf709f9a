"""Effects: which factors matter, and which setting is best, once a design has been run."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skmixup.design.levels import Floats
from skmixup.design.settings import level_key
from skmixup.effects.anova import anova_table, check_pool
from skmixup.effects.best_setting import best_setting
from skmixup.effects.noise import active_factors
from skmixup.effects.read_runs import Objective, read_responses
from skmixup.effects.response_model import ResponseModel, fit_model, in_units, least_squares
from skmixup.effects.tables import DesignEffects, LevelMean


def _mean(y: Floats) -> float:
    """The mean, also of numbers whose sum overflows."""
    unit = int(np.frexp(np.abs(y).max())[1])
    return in_units(float(np.ldexp(y, -unit).mean()), unit)


def _ranges(model: ResponseModel, means: Sequence[LevelMean]) -> dict[str, float]:
    """Each factor's range over its level means or its fitted curve, largest first."""
    ranges = {}
    for i, factor in enumerate(model.factors):
        if i in model.continuous:
            values = model.curve(i, np.linspace(*factor.box(), 201))
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
    objective: Objective = None,
    kind: str = "auto",
    pool: Sequence[str] | str = "auto",
) -> DesignEffects:
    """Which factors mattered in a design that has been run, and which setting is best.

    Factors whose levels repeat (orthogonal arrays, q < n, categories) are explained by their
    level means: range analysis (mean response per level, range, rank, best combination, also one
    that was never run) and analysis of variance. Numbers whose levels do not repeat are explained
    by a response surface: a quadratic regression with all two-factor products where the runs
    suffice, without products or squares where they do not, and its optimum inside the range that
    has responses. Both kinds may be mixed; numbers on a logarithmic scale enter by their
    logarithm.

    Parameters
    ----------
    result : Optuna study, fitted search, or table of shape (n_runs, n_factors)
        A study brings its distributions (scale, range, categories) and its direction; a search
        (anything with ``cv_results_``) its mean test scores and its space. A table is an array, a
        list of rows, a DataFrame or a dict of columns, and needs ``y``; its settings are of any
        type, and 1, 1.0 and True are three levels.
    y : array of shape (n_runs,), only with tables
        Responses, in the order of the runs: a Series that has a frame's index in another order is
        an error. Runs whose response is missing, masked or infinite are left out, and a note says
        so, as for trials that failed, were pruned or still run.
    names : list of str, only with tables
        Factor names; by default a DataFrame's columns, or x0, x1, ….
    log : list of str
        Factors on a logarithmic scale, beside those whose distribution in a study or a search has
        one. Numbers that a study has as choices count as numbers then.
    maximize : bool, optional
        Whether larger responses are better. None: a study's own direction; True otherwise, as for
        scores.
    objective : int, str or function, optional
        The objective to explain where there are several: of a study its index, its metric name or
        a function of the trial (as Optuna's ``target``, with ``maximize``); of a search the name
        of its scorer, by default the one of ``refit``.
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
        effects apart, a setting that is missing, two factors of one name, several objectives
        without a choice, an unknown kind or factor.

    Notes
    -----
    A factor's sum of squares is what the model loses without it: in an orthogonal array the
    classical sum of squares between level means, in an unbalanced design adjusted for the others.
    Level means are those of the runs as they are; the best levels go by the fitted effects, which
    are the same thing in an orthogonal array and adjusted for the other factors elsewhere.
    Interactions are not part of level means: repeat the best combination before believing it, and
    see :meth:`DesignEffects.interactions` for those that the runs can tell.

    A factor is *active* where its effect stands out from noise, with a chance of 5 % that any is
    named when none has an effect (Holm 1979): by its F test where runs are left for an error
    estimate or ``pool`` names factors, else by Lenth's (1989) pseudo standard error, for which
    most effects are noise. With a handful of runs few effects stand out; that none does is no
    proof that there is none.

    Where runs failed nothing is known. Levels without a response are not judged, a surface is not
    followed beyond the runs that have one nor to where the nearest runs failed, and a combination
    of levels whose runs all failed is passed over; ``responses.notes`` says so.

    References
    ----------
    D. C. Montgomery, *Design and Analysis of Experiments*, chapters 3, 10 and 11. R. V. Lenth
    (1989), "Quick and easy analysis of unreplicated factorials", Technometrics 31(4). S. Holm
    (1979), Scand. J. Statist. 6(2).

    Examples
    --------
    >>> from skmixup.design import orthogonal_array
    >>> from skmixup.effects import design_effects
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
    active, standing out from noise: x0, x1 (F tests, 5 % over all factors)
    interactions: these runs cannot tell them from main effects and noise
    mean by x0: 0: 2.167, 1: 2, 2: 12.33
    mean by x1: 0: 3.333, 1: 5.5, 2: 7.667
    mean by x2: 0: 5.333, 1: 5.833, 2: 5.333
    best: x0=2, x1=2, x2=1 (among the runs)
    predicted there: 14.83 ± 0.25
    """
    if kind not in ("auto", "levels", "quadratic"):
        raise ValueError(f"kind={kind!r} is unknown: choose 'auto', 'levels' or 'quadratic'")
    responses = read_responses(result, y, names, log, maximize, objective)
    if least_squares([], responses.y).residual_ss == 0:
        note = "the response never varies: no factor has an effect, no setting is best"
        responses = replace(responses, notes=(*responses.notes, note))
    check_pool(pool, [factor.name for factor in responses.factors])
    y = responses.y
    model = fit_model(responses.factors, y, kind)
    anova, error_ss, error_df = anova_table(model, y, pool)
    active, noise_test = active_factors(model, y, anova, pool)
    means = tuple(
        LevelMean(factor.name, level, int(at.sum()), _mean(y[at]))
        for i, factor in enumerate(responses.factors)
        if i not in model.continuous
        for k, level in enumerate(factor.levels)
        if (at := factor.indices() == k).any()
    )
    best, notes = best_setting(model, responses)
    responses = replace(responses, notes=(*responses.notes, *notes))
    row = model.rows({name: [value] for name, value in best.items()})[0]
    unit = model.fit.unit
    error_sd = in_units(np.sqrt(error_ss / error_df), unit) if error_df else np.nan
    runs = zip(*(map(level_key, factor.settings) for factor in responses.factors), strict=True)
    return DesignEffects(
        model=model,
        responses=responses,
        ranges=_ranges(model, means),
        level_means=means,
        anova=anova,
        error_ss=in_units(error_ss, 2 * unit),
        error_df=error_df,
        error_sd=error_sd,
        best={**best, **responses.constants},
        best_predicted=float(row @ model.fit.coefficients),
        best_se=error_sd * float(np.sqrt(row @ model.fit.unscaled_covariance @ row)),
        best_was_run=tuple(map(level_key, best.values())) in set(runs),
        active=active,
        noise_test=noise_test,
    )

"""Optuna samplers that run a design, on one core or on a cluster."""

import warnings
from collections.abc import Mapping
from typing import Any, Literal

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.samplers import BaseSampler

from skmixup.design.factors import Factor, as_factors
from skmixup.tuning.criteria import MIDDLE
from skmixup.tuning.distinct import without_repeats
from skmixup.tuning.few_values import number_of_values
from skmixup.tuning.notices import tell_left_out
from skmixup.tuning.plans import (
    Levels,
    Plan,
    levels_of_each,
    orthogonal_plan,
    uniform_plan,
    varying,
)
from skmixup.tuning.publishing import digest
from skmixup.tuning.runs import resolve_n_runs
from skmixup.tuning.trials import DesignSampler, check_choices


class UniformDesignSampler(DesignSampler):
    """Optuna sampler that spreads few trials evenly: the points of a uniform design.

    A uniform design U_n(q^s) (Fang & Wang) places n runs over s parameters so that their
    discrepancy, the distance from a perfectly even spread, is as small as can be found. It is
    meant for budgets of about 9 to 50 trials, where a grid is too coarse and random draws leave
    holes; with hundreds of trials let another sampler take over (``then``).

    Trial number k runs row k, so any number of threads, processes and machines share a study
    through any storage without talking to each other, and no point is run twice.

    Parameters
    ----------
    search_space : dict of str → Optuna distribution, optional
        Declared parameters: the trials are exactly the design. Without it a parameter takes a free
        column of the design when it is first suggested, and the study remembers which. So
        objectives that suggest other parameters in every trial (define-by-run) work from the first
        trial on; the columns form a uniform design in the order in which they came up.
    n_runs : int or "auto"
        Points of the design; more than there are parameters, better three times as many. "auto"
        needs a ``search_space``: about ten per parameter up to about 50, a number that lets every
        category come equally often (:func:`skmixup.tuning.runs.auto_n_runs`).
    n_levels : int or dict of str → int, optional
        Different values per parameter. Default: as many as runs, and others after the design.
    criterion : {"CD+middle", "CD", "WD", "MD"}, default "CD+middle"
        Which runs, and where the levels lie. The default finds better values in the same number
        of runs: the first run is the middle of all ranges, two or three lie beside it, and the
        others make the centred discrepancy small. n levels part a range in n + 1 equal parts, as
        0.1, 0.2, … 0.9 in nine runs. "CD", "WD" and "MD" are the designs of
        :func:`skmixup.design.uniform_design`, which spread runs evenly and nothing else, with
        levels in the middle of their cells.
    then : None, "augment", "zoom" or an Optuna sampler, default None
        What follows the design.

        * None: nothing, ``study.optimize(f)`` ends by itself.
        * "augment": points that complete the design, ever finer; of a declared space settings
          that have not been run, as long as there are any.
        * "zoom": sequential uniform design (after Yang & Zhang): one point after the other, in a
          box around the best trial that shrinks while nothing better is found, where a surface
          through all results is low or little is known; one objective only. Give it an ``n_runs``
          of about 10, or two per parameter: the design is where it starts from. Enqueued and
          added trials count, trials that fail, are pruned or violate constraints count as bad
          ones. When a box would be narrower than 1e-4 of the ranges, the next points look at
          another valley of the objective; when every setting has been run, the study ends.
        * A sampler that is not itself a design: it takes over. TPE and Gaussian processes learn
          from the design's trials, genetic algorithms have them as their first generation (give a
          ``population_size`` of at most n_runs), CMA-ES only counts them. Its constraints are
          computed for the design's trials too.
    retry_failed : bool or int, default True
        How often a failed point is run again, once all points have had their turn. True is 5.
    seed : int, optional
        Another design of the same size. None is seed 0, the same on every worker.
    stale_after : float, optional
        Seconds after which a running trial counts as dead and is failed, so that its point is run
        again; the log (``skmixup.tuning.stale``) says which. Choose more than the longest trial
        takes. None: never. Storages without heartbeat (journal files, the gRPC proxy, Dask) and
        ask-and-tell loops need it; with a heartbeat it still notices a worker that died before
        the first one. With it, the last worker waits for the points that others run. Clocks are
        compared in UTC, so machines need the same time, not the same time zone.

    Raises
    ------
    TypeError, ValueError
        Bad arguments, at construction. In a study: a design other than the one that the study was
        started with; a parameter that is not declared, or declared otherwise.
    DesignExhausted
        From ``study.ask()`` outside ``optimize``, when no point is left.

    Warns
    -----
    UserWarning
        ``n_runs`` is more than there are different settings: each is run once. ``n_levels`` is
        fewer than a category has choices, of which the others are never run. A name in
        ``n_levels`` that no trial has suggested. A worker ends while another one has been running
        a point for longer than any trial took so far, and neither a heartbeat nor ``stale_after``
        would notice its death (while it is not that late, a line in the log says the same).

    Notes
    -----
    **Trials that do not count.** Enqueued trials, trials added by hand or from other studies, and
    those of other samplers take trial numbers but no row: their rows are run at the end by trials
    with numbers from n_runs on. What an enqueued trial leaves open is filled from the row of its
    number. A row counts with its own design's mark only; ``optuna.copy_study`` copies design and
    marks, so that the copy goes on where the study stopped.

    **Failures.** A point counts as run when its trial is complete or pruned. When its trial has
    failed, the point is run again, after all trials with numbers below n_runs have been started.
    The trial that runs it writes its claim to an attribute, then reads the claims of all others,
    and withdraws its own where another trial claims the same point; so of two trials at most one
    goes ahead. Storages refuse the result of a trial that has been failed, so each point is
    finished at most once. Killed workers leave running trials, which an
    :class:`optuna.storages.RDBStorage` with ``heartbeat_interval`` fails by itself and
    ``stale_after`` or ``study.tell(number, state=TrialState.FAIL)`` elsewhere. A worker that was
    slow, not dead, finds its trial failed when it comes to an end: ``study.tell`` raises
    ValueError, and ``study.optimize`` ends with Optuna's ``AssertionError: Should not reach.``; it
    may be started again. With Optuna's own ``RetryHeartbeatStaleTrialCallback`` use
    ``retry_failed=False``, or a point may be run twice.

    **The end.** A worker stops when there is no point left for it to run. Threads of one
    ``optimize(n_jobs=…)`` wait for each other's last trials, which may fail and be run again;
    workers with ``stale_after`` wait for those of all others. Points that are lost after that are
    run by any worker started later. ``optimize`` on a study that is finished makes no trial. But
    Optuna asks a sampler only after it has made a trial. So a worker that comes too late, and one
    of two that ask for the last point at the same moment, leave a trial without parameters, marked
    as pruned; should the objective return a value for it all the same, the worst value is
    stored instead, plus or minus infinity.

    **Ask and tell.** Trials that are asked for before the first ``tell`` are a batch. Where the
    last batch has more trials than there are points left, the others get points that complete the
    design, until the batch is as large as the one before; after that ``ask`` raises.

    **What is stored.** In study attributes the settings and the design's columns, so that workers
    on different processors, and later versions, run the same points; in each trial its row.

    **Sizes.** A declared design of more than 1000 runs, and one of more than 400 whose columns are
    made as names come up, but for 500 and 1000, is a Sobol' sequence instead of a search; so are
    the points of "augment" beyond row 400. A setting of parameters that have few values may then
    be run more than once.
    Attributes hold columns of up to about 1100 runs; longer ones are computed by every worker.

    References
    ----------
    K.-T. Fang, D. K. J. Lin, P. Winker, Y. Zhang (2000), "Uniform design: theory and
    application", Technometrics 42(3). Z. Yang, A. Zhang (2021), "Hyperparameter optimization via
    sequential uniform designs", Journal of Machine Learning Research 22(149).

    Examples
    --------
    >>> import optuna
    >>> from skmixup.tuning import UniformDesignSampler
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> def objective(trial):
    ...     x = trial.suggest_float("x", 0, 1)
    ...     return (x - 0.3) ** 2 + abs(trial.suggest_int("k", 1, 5) - 2)
    >>> study = optuna.create_study(sampler=UniformDesignSampler(n_runs=15))
    >>> study.optimize(objective)  # ends by itself
    >>> len(study.trials), study.best_params["k"]
    (15, 2)
    """

    def __init__(
        self,
        search_space: Mapping[str, BaseDistribution] | None = None,
        *,
        n_runs: int | Literal["auto"],
        n_levels: Levels = None,
        criterion: str = MIDDLE,
        then: str | BaseSampler | None = None,
        retry_failed: bool | int = True,
        seed: int | None = None,
        stale_after: float | None = None,
    ):
        factors = None if search_space is None else _check_space(search_space)
        if isinstance(n_runs, str):
            n_runs = resolve_n_runs(n_runs, factors)
        plan = uniform_plan(factors, n_runs, n_levels, criterion, seed, _describe(search_space))
        if plan.n_left_out:
            _tell_fewer(f"n_runs={n_runs} is", plan.n_runs)
        _tell_left_out(factors or {}, n_levels)
        super().__init__(search_space, plan, then, retry_failed, stale_after)


class OrthogonalDesignSampler(DesignSampler):
    """Optuna sampler that runs an orthogonal array: every pair of levels equally often.

    An orthogonal array L_{q²}(q^{q+1}) tries q levels of up to q + 1 parameters in q² trials so
    that in any two parameters each pair of levels occurs equally often; more parameters need q^k
    trials. The effect of each parameter can then be read off level by level
    (:func:`skmixup.effects.design_effects`). Where the levels do not matter as such,
    :class:`UniformDesignSampler` sees more of each parameter in the same number of trials.

    The number of trials follows from the parameters and ``n_levels``. How trials get their rows,
    and what happens to failed ones, is described at :class:`UniformDesignSampler`.

    Parameters
    ----------
    search_space : dict of str → Optuna distribution
        Every parameter is cut into its ``n_levels`` equal parts, whose middles are run; categories
        are dealt out over the levels. Of a category with more choices than levels only some run.
    n_levels : int or dict of str → int, optional
        Levels q of every parameter, a prime power. Default: 3, or the first prime power that gives
        every category its own level. A dict gives each parameter its own number; those that it
        leaves out have a level for each category, and numbers three. Then it is the smallest mixed
        array that is known, as L8(4 2⁴), L18(2 3⁷) or L36(2¹¹ 3¹²); ``n_levels={}`` is a mixed
        array with every category's own levels.
    strength : int, default 2
        3 also has every triple of levels equally often, in many more trials; equal levels only.
    then, retry_failed, stale_after
        As in :class:`UniformDesignSampler`.
    seed : int, optional
        Shuffles runs and levels. None: the array as constructed.

    Raises
    ------
    TypeError, ValueError, DesignExhausted
        As :class:`UniformDesignSampler`; ``n_levels`` that is no prime power; different levels
        that no known array takes.

    Warns
    -----
    UserWarning
        The array has more runs than there are different settings, each of which is run once; it
        is the whole grid of levels that differ; a category has more choices than levels; so many
        parameters have fewer values than levels that runs repeat one another.

    References
    ----------
    A. S. Hedayat, N. J. A. Sloane, J. Stufken (1999), "Orthogonal Arrays", Springer.

    Examples
    --------
    >>> import optuna
    >>> from optuna.distributions import FloatDistribution
    >>> from skmixup.tuning import OrthogonalDesignSampler
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> space = {name: FloatDistribution(0, 3) for name in "abcd"}
    >>> study = optuna.create_study(sampler=OrthogonalDesignSampler(space))
    >>> study.optimize(lambda t: sum(t.suggest_float(name, 0, 3) for name in "abcd"))
    >>> len(study.trials), study.best_params
    (9, {'a': 0.5, 'b': 0.5, 'c': 0.5, 'd': 0.5})
    """

    def __init__(
        self,
        search_space: Mapping[str, BaseDistribution],
        *,
        n_levels: Levels = None,
        strength: int = 2,
        then: str | BaseSampler | None = None,
        retry_failed: bool | int = True,
        seed: int | None = None,
        stale_after: float | None = None,
    ):
        factors = _check_space(search_space)
        plan = orthogonal_plan(factors, n_levels, strength, seed, _describe(search_space))
        if plan.n_left_out:
            n_array = plan.n_runs + plan.n_left_out
            _tell_fewer(f"an orthogonal array has {n_array} runs,", plan.n_runs)
        _tell_left_out(factors, levels_of_each(factors, n_levels))
        _tell_repeats(plan, varying(factors))
        super().__init__(search_space, plan, then, retry_failed, stale_after)


def _tell_fewer(runs: str, n_settings: int) -> None:
    warnings.warn(
        f"{runs} more than the {n_settings} different settings of search_space: each of them is "
        f"run once, in {n_settings} trials",
        UserWarning,
        stacklevel=3,
    )


def _tell_left_out(factors: Mapping[str, Factor], n_levels: Levels) -> None:
    for name, factor in factors.items():
        asked = n_levels.get(name) if isinstance(n_levels, Mapping) else n_levels
        tell_left_out(name, factor, asked, stacklevel=3)


def _tell_repeats(plan: Plan, factors: Mapping[str, Factor]) -> None:
    """Warn of runs that levels with one and the same value make the same."""
    q = plan.n_levels
    counts = q if isinstance(q, tuple) else (q,) * len(factors)
    few = [
        name
        for (name, factor), q in zip(factors.items(), counts, strict=True)
        if q is not None and number_of_values(factor, q) < q
    ]
    if not few or plan.all_settings:
        return
    points = plan.table().design_points()
    n_different = len(without_repeats([*factors.values()], points, points[:0]))
    if n_different < plan.n_runs:
        warnings.warn(
            f"the {plan.n_runs} runs of the orthogonal array have {n_different} different "
            f"settings only, as {few} have fewer values than levels: n_levels={{}} gives "
            "each parameter its own, and UniformDesignSampler runs no setting again",
            UserWarning,
            stacklevel=3,
        )


def _describe(search_space: Mapping[str, BaseDistribution] | None) -> dict[str, Any]:
    """The space in a few characters per parameter, to notice when it changes."""
    if search_space is None:
        return {"search_space": None}
    texts = {name: distribution_to_json(d) for name, d in search_space.items()}
    return {"search_space": {name: digest(text) for name, text in texts.items()}}


def _check_space(search_space: Any) -> dict[str, Factor]:
    """The factors of a search space of Optuna distributions."""
    if isinstance(search_space, Mapping):
        for name, distribution in search_space.items():
            if not isinstance(distribution, BaseDistribution):
                raise TypeError(
                    f"search_space[{name!r}]={distribution!r} must be an Optuna distribution, as "
                    "optuna.distributions.FloatDistribution(1e-5, 1e-1, log=True)"
                )
            check_choices(name, distribution)
    return as_factors(search_space, "search_space")

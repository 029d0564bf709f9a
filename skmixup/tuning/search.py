"""scikit-learn searches that run a design instead of a grid or random draws."""

import numbers
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from skmixup.constraints import Interval, StrOptions
from skmixup.design.factors import Factor, as_factors
from skmixup.tuning.candidates import first_points, levels_of_lists, settings_at
from skmixup.tuning.criteria import MIDDLE, TUNING_CRITERIA, discrepancy_of
from skmixup.tuning.design_search import DesignSearchCV, Evaluate
from skmixup.tuning.distinct import n_different, new_points
from skmixup.tuning.initial import initial_settings, place_of_setting
from skmixup.tuning.limits import Watch
from skmixup.tuning.plans import check_runs, orthogonal_plan, varying
from skmixup.tuning.rounds import round_sizes, whole_cube
from skmixup.tuning.runs import resolve_n_runs
from skmixup.tuning.sklearn_internals import splits_stay_the_same
from skmixup.tuning.standing import candidate_losses
from skmixup.tuning.valleys import next_look


class UniformDesignSearchCV(DesignSearchCV):
    """Search over the points of a uniform design, in one round or zooming in.

    Meant for budgets of about 9 to 50 candidates: they are spread over the space more evenly than
    random draws, a Latin hypercube or a Sobol' sequence would be. With ``n_rounds > 1`` it is a
    sequential uniform design: the rounds after the first lie in a box around the best candidate,
    which shrinks while nothing better is found, where a surface through all scores is good or
    little is known. Categories keep all their values.

    Parameters
    ----------
    estimator : estimator object
        Implements scikit-learn's interface.
    param_distributions : dict of str → list, scipy distribution or Optuna distribution
        As in ``RandomizedSearchCV``; scipy distributions must be frozen and have ``ppf``. The
        values of a list have equal shares of the runs; a list of numbers that only rise or only
        fall counts as ordered when zooming in. A list of dicts is refused: a design spreads its
        runs over one space.
    n_runs : int or "auto"
        Candidates evaluated, in **all rounds together**, exactly. More than there are parameters.
        Where there are fewer different settings, each of them is evaluated once, with a
        warning. "auto": ten per parameter up to about 50, see :mod:`skmixup.tuning.runs`.
    n_rounds : int, default 1
        Rounds. The first one gets twice the candidates of each other one. The more rounds the
        better the best candidate, as long as the first has two per parameter; but only the
        candidates of one round run side by side. Needs a splitter that
        gives the same splits every time, and one metric to zoom in on, or a callable ``refit``.
    initial_params : dict or list of dict, optional
        Settings to evaluate first, as the best ones of last month; the design completes them, so
        that all runs together are spread evenly. They are part of ``n_runs``. A parameter that is
        left out has the estimator's present value: ``{}`` is the estimator as it is. Settings
        outside the space (gamma="scale" where it is a number) are evaluated beside the design.
    time_limit : float, optional
        Seconds for the whole ``fit``, the refit included; None: no limit. When another candidate
        is not likely to end in time, the search stops with those that are complete, and warns. It
        never stops before one candidate has succeeded, and what has been begun is finished.
    criterion : {"CD+middle", "CD", "WD", "MD"}, default "CD+middle"
        Which runs, and where the levels lie. The default finds better values in the same number
        of runs: the first run is the middle of all ranges, two or three lie beside it, and the
        others make the centred discrepancy small. n levels part a range in n + 1 equal parts, as
        0.1, 0.2, … 0.9 in nine runs. "CD", "WD" and "MD" are the designs of
        :func:`skmixup.design.uniform_design`, which spread runs evenly and nothing else, with
        levels in the middle of their cells. In rounds the default is "CD".
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As in :class:`sklearn.model_selection.RandomizedSearchCV`; ``n_jobs`` works with every
        joblib backend, Dask included.
    random_state : int, RandomState instance or None, default None
        Another design of the same size. None always gives the same one.
    progress_bar : bool, default False
        Show a tqdm bar of the candidates evaluated. scikit-learn's own callbacks (1.9 and later,
        ``search.set_callbacks(ProgressBar())``) see rounds and candidates too.

    Attributes
    ----------
    cv_results_, best_estimator_, best_params_, best_score_, best_index_, scorer_, n_splits_, \
            refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As in :class:`sklearn.model_selection.RandomizedSearchCV`. Numbers in ``best_params_`` are
        Python scalars.
    n_completed_ : int
        Candidates evaluated, also those whose fits failed.

    Raises
    ------
    TypeError, ValueError
        Bad parameters, before the first fit; the message names the parameter and what is valid.

    Notes
    -----
    After Ctrl-C the search has ``cv_results_``, ``best_params_`` and ``n_completed_`` of the
    candidates that were complete, without a refit, and KeyboardInterrupt is raised again. The rows
    of a design come in an order in which the first k of them are spread evenly too.

    Failed fits get ``error_score``; only when all fits of the whole search fail is it an error.

    See Also
    --------
    OrthogonalDesignSearchCV : Few levels, every pair of them equally often.
    skmixup.effects.design_effects : Which parameter mattered, from the fitted search.

    References
    ----------
    Z. Yang, A. Zhang (2021), "Hyperparameter optimization via sequential uniform designs", Journal
    of Machine Learning Research 22(149).

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from skmixup.tuning import UniformDesignSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> space = {"C": loguniform(1e-2, 1e3), "gamma": loguniform(1e-4, 1e1)}
    >>> search = UniformDesignSearchCV(SVC(), space, n_runs=12, n_rounds=2).fit(X, y)
    >>> len(search.cv_results_["params"]), bool(search.best_score_ > 0.95)
    (12, True)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **DesignSearchCV._parameter_constraints,
        "param_distributions": [dict, list],
        "n_runs": [Interval(numbers.Integral, 2, None, closed="left"), StrOptions({"auto"})],
        "n_rounds": [Interval(numbers.Integral, 1, None, closed="left")],
        "initial_params": [dict, list, tuple, None],
        "time_limit": [Interval(numbers.Real, 0, None, closed="right"), None],
        "criterion": [StrOptions(set(TUNING_CRITERIA))],
    }

    def __init__(
        self,
        estimator: Any,
        param_distributions: Mapping[str, Any],
        *,
        n_runs: int | str,
        n_rounds: int = 1,
        initial_params: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        time_limit: float | None = None,
        criterion: str = MIDDLE,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        random_state: Any = None,
        progress_bar: bool = False,
    ):
        self.param_distributions = param_distributions
        self.n_runs = n_runs
        self.n_rounds = n_rounds
        self.initial_params = initial_params
        self.time_limit = time_limit
        self.criterion = criterion
        self.random_state = random_state
        self.progress_bar = progress_bar
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )

    def _rounds(self, evaluate: Evaluate, watch: Watch, cv: Any) -> None:
        factors = as_factors(self.param_distributions, "param_distributions")
        vary = varying(factors)
        n_runs = check_runs(resolve_n_runs(self.n_runs, factors), len(vary))
        sizes = round_sizes(n_runs, self.n_rounds)
        self._check_rounds(len(vary), sizes, cv)
        first = initial_settings(self.initial_params, [*factors], self.estimator, sizes[0])
        places = [place_of_setting(setting, vary) for setting in first]
        # Which candidates are points of the space, and which points: what lies outside is run,
        # but no part of the design.
        outside = [i for i, place in enumerate(places) if place is None]
        points = np.array([p for p in places if p is not None], dtype=np.float64)
        points = points.reshape(len(first) - len(outside), len(vary))
        watch.n_expected = self._n_expected(n_runs, vary, len(outside))
        seed = self._seed() or 0
        criterion = self.criterion if self.n_rounds == 1 else discrepancy_of(self.criterion)
        new = first_points(vary, sizes[0] - len(first), points, criterion, seed)
        results = evaluate([*first, *settings_at(factors, vary, new)])
        points = np.vstack([points, new])
        kinds, n_spread = list(vary.values()), max(len(points), 1)
        cycles = [[whole_cube(len(vary))]]
        for size in sizes[1:]:
            losses = candidate_losses(results, self.refit)
            if len(losses) < len(points) + len(outside):  # The time was up.
                break
            losses = np.delete(losses, outside)
            losses = np.where(np.isnan(losses), np.inf, losses)
            box, losses, cycle = next_look(points, losses, cycles, kinds, n_spread)
            if cycle == len(cycles):
                cycles.append([])
            cycles[cycle].append(replace(box, n_told=size))
            new = new_points(box, points, size, kinds, criterion, seed, losses)
            if len(new) == 0 or not watch.has_time_for(watch.n_splits):
                break
            n_spread += len(new) * (box.width == 1.0)
            points = np.vstack([points, new])
            results = evaluate(settings_at(factors, vary, new))
        n_made = len(points) + len(outside)
        if n_made < watch.n_expected and not watch.out_of_time:
            warnings.warn(
                f"n_runs={n_runs}, but no more than {n_made} different candidates were found: all "
                "other values of param_distributions have next to no probability",
                UserWarning,
                stacklevel=2,
            )

    def _n_expected(self, n_runs: int, vary: Mapping[str, Factor], n_outside: int) -> int:
        """How many candidates there will be; a warning where they are fewer than asked for."""
        different = n_different(vary.values()) + n_outside
        if different < n_runs:
            warnings.warn(
                f"n_runs={n_runs} is more than the {different} different candidates of "
                "param_distributions: each of them is evaluated once",
                UserWarning,
                stacklevel=2,
            )
        return int(min(n_runs, different))

    def _check_rounds(self, n_factors: int, sizes: Sequence[int], cv: Any) -> None:
        """Say what is wrong with the numbers of runs, or with refit, before any fit."""
        if len(sizes) == 1:
            return
        if min(sizes) < 1 or sizes[0] <= n_factors:
            raise ValueError(
                f"n_rounds={self.n_rounds} is too many for n_runs={sum(sizes)}, the total over "
                f"all rounds: their sizes would be {sizes}, but the first round needs more runs "
                f"than the {n_factors} parameters and every other at least one"
            )
        if not splits_stay_the_same(cv):
            raise ValueError(
                f"cv={cv} draws new splits in every round, and scores of different splits do not "
                "compare: set its random_state to an integer, or n_rounds=1"
            )
        if isinstance(self.scoring, list | tuple | set | dict):
            self._check_refit(list(self.scoring))

    def _check_scores(self, scores: Any) -> None:
        super()._check_scores(scores)
        if callable(self.scoring) and isinstance(scores, dict) and self.n_rounds > 1:
            self._check_refit(list(scores))

    def _check_refit(self, metrics: Sequence[str]) -> None:
        """With several metrics rounds need to be told which one, or which candidate, is best."""
        if len(metrics) > 1 and not isinstance(self.refit, str) and not callable(self.refit):
            raise ValueError(
                f"n_rounds={self.n_rounds} zooms in on the best candidate and so needs one metric "
                f"of {metrics}: name it in refit, which is {self.refit!r}"
            )


class OrthogonalDesignSearchCV(DesignSearchCV):
    """Search over the rows of an orthogonal array instead of a whole grid.

    With q values of every parameter, q² candidates try each pair of values of any two parameters
    equally often, for up to q + 1 parameters (q^k candidates for more): 9 instead of 81, or 27
    instead of 729 for six parameters of three values and 13 at most. Lists of different lengths
    take the smallest mixed array that is known, as L8(4 2⁴), L18(2 3⁷) or L36(2¹¹ 3¹²)
    (:func:`skmixup.design.orthogonal_array`).

    Parameters
    ----------
    estimator : estimator object
        Implements scikit-learn's interface.
    param_grid : dict of str → list
        The same number of values for every parameter: 2, 3, 4, 5, 7, 8, 9 or another prime power;
        or different numbers, for which there are arrays where they are powers of one prime, where
        some are 2 and the others 3, and some more. Parameters with one value only keep it.
    strength : int, default 2
        3 also has every triple of values equally often, with many more candidates and for lists of
        equal lengths only.
    random_state : int, RandomState instance or None, default None
        Shuffles rows and values. None: the array as constructed.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score, \
            progress_bar
        As in :class:`UniformDesignSearchCV`, and so are the attributes.

    Raises
    ------
    TypeError, ValueError
        Lists of a length that is no prime power, or of different lengths that no known array
        takes; other bad parameters. All before the first fit; the message names the parameter and
        what is valid.

    Warns
    -----
    UserWarning
        Lists of different lengths whose smallest array is the whole grid.

    See Also
    --------
    UniformDesignSearchCV : Any number of candidates, any distributions.
    skmixup.effects.design_effects : The effect of every value, from the fitted search.

    References
    ----------
    A. S. Hedayat, N. J. A. Sloane, J. Stufken (1999), "Orthogonal Arrays", Springer.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from skmixup.tuning import OrthogonalDesignSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> grid = {"C": [0.1, 1, 10], "gamma": [0.01, 0.1, 1], "kernel": ["rbf", "linear", "poly"]}
    >>> search = OrthogonalDesignSearchCV(SVC(), grid).fit(X, y)
    >>> len(search.cv_results_["params"])
    9
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **DesignSearchCV._parameter_constraints,
        "param_grid": [dict, list],
        "strength": [Interval(numbers.Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Mapping[str, Sequence[Any]],
        *,
        strength: int = 2,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        random_state: Any = None,
        progress_bar: bool = False,
    ):
        self.param_grid = param_grid
        self.strength = strength
        self.random_state = random_state
        self.progress_bar = progress_bar
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )

    def _rounds(self, evaluate: Evaluate, watch: Watch, cv: Any) -> None:
        factors = as_factors(self.param_grid, "param_grid")
        vary = varying(factors)
        n_levels = levels_of_lists(factors, self.strength)
        plan = orthogonal_plan(factors, n_levels, self.strength, self._seed(), {})
        points = plan.table().design_points()
        watch.n_expected = len(points)
        evaluate(settings_at(factors, vary, points))

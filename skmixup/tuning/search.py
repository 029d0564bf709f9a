"""scikit-learn searches that run a design instead of a grid or random draws."""

import math
import numbers
import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from joblib import effective_n_jobs
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._split import _yields_constant_splits
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from skmixup.design import to_unit_cube
from skmixup.design.factors import Factor, as_factors
from skmixup.tuning.plans import Plan, check_runs, is_prime_power, orthogonal_plan, uniform_plan
from skmixup.tuning.points import Floats
from skmixup.tuning.rounds import fill_box, next_box, round_sizes, whole_cube

Evaluate = Callable[[list[dict[str, Any]]], Mapping[str, Any]]


class _DesignSearchCV(BaseSearchCV):
    """Evaluates candidates round by round; subclasses say which."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseSearchCV._parameter_constraints,
        "random_state": ["random_state"],
        "progress_bar": ["boolean"],
    }

    @abstractmethod
    def _rounds(self, evaluate: Evaluate) -> None:
        """Evaluate every candidate of the search."""

    def _seed(self) -> int | None:
        """The design's seed; None stands for the design that every call with None makes."""
        if self.random_state is None:
            return None
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _run_search(self, evaluate_candidates: Any) -> None:
        if not self.progress_bar:
            self._rounds(evaluate_candidates)
            return
        from tqdm.auto import tqdm

        total = getattr(self, "n_runs", None)
        with tqdm(total=total, desc=type(self).__name__, unit="candidate") as bar:
            self._rounds(lambda candidates: self._in_slices(evaluate_candidates, candidates, bar))

    def _in_slices(
        self, evaluate: Evaluate, candidates: list[dict[str, Any]], bar: Any
    ) -> Mapping[str, Any]:
        """Evaluate a few candidates at a time, so that there is progress to show.

        A slice keeps all workers busy. Splitters that draw new splits every time they are asked
        see all candidates at once: scores of different splits do not compare.
        """
        size = len(candidates)
        if _yields_constant_splits(self._checked_cv_orig):
            jobs = effective_n_jobs(self.n_jobs)
            size = max(1, math.ceil(2 * jobs / self.n_splits_), math.ceil(size / 50))
        results: Mapping[str, Any] = {}
        bar.total = bar.total or len(candidates)
        for start in range(0, len(candidates), size):
            results = evaluate(candidates[start : start + size])
            bar.update(len(candidates[start : start + size]))
        return results


class UniformDesignSearchCV(_DesignSearchCV):
    """Search over the points of a uniform design, in one round or zooming in.

    Meant for budgets of about 9 to 50 candidates: they are spread over the space more evenly than
    random draws, a Latin hypercube or a Sobol' sequence would be. With ``n_rounds > 1`` it is a
    sequential uniform design: every round halves the box around the best candidates, keeps the
    candidates that lie in it and completes them to a uniform design of the box. After a round
    without improvement a second centre gets one round. Categories keep all their values.

    Parameters
    ----------
    estimator : estimator object
        Implements scikit-learn's interface.
    param_distributions : dict of str → list, scipy distribution or Optuna distribution
        As in ``RandomizedSearchCV``; scipy distributions must be frozen and have ``ppf``. Lists
        share the space out evenly; numbers that rise or fall count as ordered when zooming in. A
        list of dicts is refused: a design spreads its runs over one space.
    n_runs : int
        Candidates evaluated, in **all rounds together**, exactly. More than there are parameters.
    n_rounds : int, default 1
        Rounds. The first one gets twice the candidates of each other one. Needs a splitter that
        gives the same splits every time, and one metric (``refit``) to zoom in on.
    criterion : {"CD", "WD", "MD"}, default "CD"
        The discrepancy, see :func:`skmixup.design.discrepancy`. The points of a CD-optimal design
        in many dimensions keep away from the middle of the cube; "WD" does not, and finds more
        where the best values may lie there.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As in :class:`sklearn.model_selection.RandomizedSearchCV`; ``n_jobs`` works with every
        joblib backend, Dask included.
    random_state : int, RandomState instance or None, default None
        Another design of the same size. None always gives the same one.
    progress_bar : bool, default False
        Show a tqdm bar of the candidates evaluated. Candidates then go to the workers a few at a
        time.

    Attributes
    ----------
    cv_results_, best_estimator_, best_params_, best_score_, best_index_, scorer_, n_splits_, \
            refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As in :class:`sklearn.model_selection.RandomizedSearchCV`. Numbers in ``best_params_`` are
        Python scalars.

    Raises
    ------
    TypeError, ValueError
        Bad parameters, before the first fit; the message names the parameter and what is valid.

    See Also
    --------
    OrthogonalDesignSearchCV : Few levels, every pair of them equally often.
    skmixup.design.design_effects : Which parameter mattered, from the fitted search.

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
        **_DesignSearchCV._parameter_constraints,
        "param_distributions": [dict, list],
        "n_runs": [Interval(numbers.Integral, 2, None, closed="left")],
        "n_rounds": [Interval(numbers.Integral, 1, None, closed="left")],
        "criterion": [StrOptions({"CD", "WD", "MD"})],
    }

    def __init__(
        self,
        estimator: Any,
        param_distributions: Mapping[str, Any],
        *,
        n_runs: int,
        n_rounds: int = 1,
        criterion: str = "CD",
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

    def _rounds(self, evaluate: Evaluate) -> None:
        factors = as_factors(self.param_distributions, "param_distributions")
        sizes = round_sizes(self.n_runs, self.n_rounds)
        self._check_rounds(factors, sizes)
        seed = self._seed() or 0
        plan = uniform_plan(factors, sizes[0], None, self.criterion, seed, {})
        ordered = [factors[name].ordered for name in plan.names or ()]
        points = first_points(plan)
        results = evaluate(candidates(factors, plan, points))
        boxes = [whole_cube(points.shape[1])]
        for size in sizes[1:]:
            losses = -np.asarray(results[self._score_key()], dtype=np.float64)
            boxes.append(next_box(points, losses, boxes, ordered))
            new = fill_box(boxes[-1], points, size, ordered, self.criterion, seed)
            points = np.vstack([points, new])
            results = evaluate(candidates(factors, plan, new))

    def _check_rounds(self, factors: Mapping[str, Factor], sizes: Sequence[int]) -> None:
        """Say what is wrong with the numbers of runs before any fit."""
        check_runs(self.n_runs, sum(f.n_values != 1 for f in factors.values()))
        counts = [f.n_values for f in factors.values()]
        different = math.prod(n for n in counts if n is not None)
        if None not in counts and different < self.n_runs:
            warnings.warn(
                f"n_runs={self.n_runs} is more than the {different} different candidates of "
                "param_distributions: some are evaluated more than once. GridSearchCV evaluates "
                "each of them once",
                UserWarning,
                stacklevel=2,
            )
        if len(sizes) == 1:
            return
        n_factors = sum(f.n_values != 1 for f in factors.values())
        if min(sizes) < 1 or sizes[0] <= n_factors:
            raise ValueError(
                f"n_rounds={self.n_rounds} is too many for n_runs={self.n_runs}, the total over "
                f"all rounds: their sizes would be {sizes}, but the first round needs more runs "
                f"than the {n_factors} parameters and every other at least one"
            )
        if not _yields_constant_splits(self._checked_cv_orig):
            raise ValueError(
                f"cv={self._checked_cv_orig} draws new splits in every round, and scores of "
                "different splits do not compare: set its random_state to an integer, or "
                "n_rounds=1"
            )
        if isinstance(self.scoring, list | tuple | set | dict) and not isinstance(self.refit, str):
            raise ValueError(
                f"n_rounds={self.n_rounds} zooms in on the best candidate and so needs one metric "
                f"of {list(self.scoring)}: name it in refit, which is {self.refit!r}"
            )

    def _score_key(self) -> str:
        return f"mean_test_{self.refit}" if isinstance(self.refit, str) else "mean_test_score"


class OrthogonalDesignSearchCV(_DesignSearchCV):
    """Search over the rows of an orthogonal array instead of a whole grid.

    With q values of every parameter, q² candidates try each pair of values of any two parameters
    equally often, for up to q + 1 parameters (q^k candidates for more): 9 instead of 81, or 27
    instead of 729 for six parameters of three values and 13 at most.

    Parameters
    ----------
    estimator : estimator object
        Implements scikit-learn's interface.
    param_grid : dict of str → list
        The same number of values for every parameter: 2, 3, 4, 5, 7, 8, 9 or another prime power.
    strength : int, default 2
        3 also has every triple of values equally often, with many more candidates.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As in :class:`sklearn.model_selection.RandomizedSearchCV`; ``n_jobs`` works with every
        joblib backend, Dask included.
    random_state : int, RandomState instance or None, default None
        Shuffles rows and values. None: the array as constructed.
    progress_bar : bool, default False
        Show a tqdm bar of the candidates evaluated. Candidates then go to the workers a few at a
        time.

    Attributes
    ----------
    cv_results_, best_estimator_, best_params_, best_score_, best_index_, scorer_, n_splits_, \
            refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As in :class:`sklearn.model_selection.RandomizedSearchCV`. Numbers in ``best_params_`` are
        Python scalars.

    Raises
    ------
    TypeError, ValueError
        Bad parameters, before the first fit; the message names the parameter and what is valid.

    See Also
    --------
    UniformDesignSearchCV : Any number of candidates, any distributions.
    skmixup.design.design_effects : The effect of every value, from the fitted search.

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
        **_DesignSearchCV._parameter_constraints,
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

    def _rounds(self, evaluate: Evaluate) -> None:
        factors = as_factors(self.param_grid, "param_grid")
        continua = [name for name, factor in factors.items() if factor.n_values is None]
        if continua:
            raise TypeError(
                f"param_grid has distributions for {continua}: an orthogonal array runs given "
                "levels, so every parameter needs a list of values"
            )
        lengths = {name: factor.n_values or 0 for name, factor in factors.items()}
        n_levels = max(lengths.values())
        if min(lengths.values()) < n_levels:
            raise ValueError(
                f"param_grid has lists of different lengths, {lengths}: an orthogonal array needs "
                "the same number of values of every parameter. UniformDesignSearchCV takes any"
            )
        if not is_prime_power(n_levels):
            raise ValueError(
                f"param_grid has {n_levels} values of every parameter: an orthogonal array needs "
                "a prime power of them, 2, 3, 4, 5, 7, 8, 9, … UniformDesignSearchCV takes any "
                "number"
            )
        plan = orthogonal_plan(factors, n_levels, self.strength, self._seed(), {})
        evaluate(candidates(factors, plan, first_points(plan)))


def first_points(plan: Plan) -> Floats:
    """The design of a plan as points of the unit cube."""
    if not plan.names:
        return np.empty((plan.n_runs, 0))
    design = plan.design()
    if design is not None:
        return to_unit_cube(design, plan.n_levels)
    table = plan.table()
    return np.array([[table.at(r, c) for c in range(len(plan.names))] for r in range(plan.n_runs)])


def candidates(factors: Mapping[str, Factor], plan: Plan, points: Floats) -> list[dict[str, Any]]:
    """The parameter settings of points, one column per varying factor."""
    columns = {name: column for column, name in enumerate(plan.names or ())}
    return [
        {
            name: factor.at(float(point[columns[name]]) if name in columns else 0.0)
            for name, factor in factors.items()
        }
        for point in points
    ]

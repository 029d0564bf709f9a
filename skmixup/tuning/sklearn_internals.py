"""What the searches need of scikit-learn's own parts: everything without a public way, once.

* ``BaseSearchCV`` is the documented base of all searches, but is exported by no public module. Its
  methods ``_run_search`` and ``_format_results`` are what a search overrides; those that it calls
  are wrapped in functions below.
* ``Interval`` and ``StrOptions`` say what a parameter may be. ``BaseSearchCV.fit`` reads them from
  ``_parameter_constraints``, and its errors name the parameter, the value and the valid ones.
* Fits: scikit-learn hands the fits of all candidates to joblib in one call, whose place a search
  must take to see each result as it comes. ``evaluate_candidates``, which it gives to
  ``_run_search``, is public; what it hands to joblib is not.
"""

import numbers
from collections.abc import Callable
from typing import Any

from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import _warn_or_raise_about_fit_failures

__all__ = ["BaseSearchCV"]

#: A fit as joblib is given it: function, positional and keyword arguments.
DelayedFit = tuple[Any, tuple[Any, ...], dict[str, Any]]


def replace_parallel(evaluate_candidates: Any, replacement: Callable[[Any], Any]) -> bool:
    """Put another callable in the place of ``parallel`` in this one function.

    ``replacement`` makes it of the ``joblib.Parallel`` that it replaces. False where scikit-learn
    has no ``parallel`` there any more.
    """
    names = evaluate_candidates.__code__.co_freevars
    if "parallel" not in names:
        return False
    variable = evaluate_candidates.__closure__[names.index("parallel")]
    variable.cell_contents = replacement(variable.cell_contents)
    return True


def fold_of(fit: DelayedFit) -> tuple[int, int]:
    """Which fold a fit is of, counted from 0, and how many folds there are."""
    fold, n_folds = fit[2]["split_progress"]
    return int(fold), int(n_folds)


def n_candidates(fit: DelayedFit) -> int:
    """How many candidates were handed to joblib in the same call."""
    return int(fit[2]["candidate_progress"][1])


def insert_error_scores(results: list[Any], error_score: Any) -> None:
    """Give failed fits and scorings the scores that only the others could tell the names of.

    scikit-learn does so for fits, and has an error where a callable ``scoring`` fails.
    """
    scores = (result["test_scores"] for result in results)
    names = next((score for score in scores if isinstance(score, dict)), None)
    if names is None:
        return
    for result in results:
        for kind in {"test_scores", "train_scores"} & result.keys():
            if not isinstance(result[kind], dict):
                result[kind] = dict.fromkeys(names, error_score)


def warn_or_raise_about_failures(results: list[Any], error_score: Any) -> None:
    """Warn about failed fits; raise where all have failed."""
    _warn_or_raise_about_fit_failures(results, error_score)


def check_refit(search: BaseSearchCV, scores: dict[str, Any]) -> None:
    """Raise an error where ``refit`` names none of several metrics."""
    search._check_refit_for_multimetric(scores)


def scorers_of(search: BaseSearchCV) -> Any:
    """The fitted search's ``scorer_``: one scorer, or a dict of them."""
    scorers, _ = search._get_scorers()
    return getattr(scorers, "_scorers", scorers)


def best_candidate(refit: Any, metric: Any, results: Any) -> int:
    """The index of the best candidate in ``cv_results_``; what a callable gives is checked."""
    return int(BaseSearchCV._select_best_index(refit, metric, results))


def splits_stay_the_same(cv: Any) -> bool:
    """Whether a splitter gives the same splits every time; ``cv`` as ``check_cv`` returns it.

    A splitter without the parameter ``shuffle`` shuffles if it has a ``random_state``.
    """
    shuffles = getattr(cv, "shuffle", True)
    return not shuffles or isinstance(getattr(cv, "random_state", 0), numbers.Integral)

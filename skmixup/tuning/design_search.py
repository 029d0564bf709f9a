"""What the scikit-learn searches have in common: the candidates of a design, round by round."""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

from sklearn.base import is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state

from skmixup.lazy_frames import refuse_lazy_frame
from skmixup.tuning.callbacks import SearchTask
from skmixup.tuning.limits import Watch, drop_what_was_not_made, watch_fits
from skmixup.tuning.sklearn_internals import (
    BaseSearchCV,
    best_candidate,
    check_refit,
    insert_error_scores,
    scorers_of,
    warn_or_raise_about_failures,
)

Evaluate = Callable[[list[dict[str, Any]]], Mapping[str, Any]]


class DesignSearchCV(BaseSearchCV):
    """Evaluates candidates round by round; subclasses say which."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseSearchCV._parameter_constraints,
        "random_state": ["random_state"],
        "progress_bar": ["boolean"],
    }

    #: Seconds, and how many rounds: subclasses may make them parameters.
    time_limit: float | None = None
    n_rounds: int = 1

    @abstractmethod
    def _rounds(self, evaluate: Evaluate, watch: Watch, cv: Any) -> None:
        """Evaluate the candidates of the search, once it is said how many are expected."""

    def _seed(self) -> int | None:
        """The design's seed; None stands for the design that every call with None makes."""
        if self.random_state is None:
            return None
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def fit(self, X: Any, y: Any = None, **params: Any) -> "DesignSearchCV":
        """Evaluate the candidates, and fit the best one on all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default None
        **params
            As in :class:`sklearn.model_selection.RandomizedSearchCV`: for the estimator's ``fit``,
            for the scorer and for the splitter (``groups``).

        Returns
        -------
        self
        """
        refuse_lazy_frame(X)
        refuse_lazy_frame(y, "y")
        self._watch = Watch(self.time_limit, self.refit, y)
        try:
            super().fit(X, y, **params)
        except KeyboardInterrupt:
            self._keep(self._watch)
            raise
        finally:
            del self._watch
        self.n_completed_ = len(self.cv_results_["params"])
        return self

    def _run_search(self, evaluate_candidates: Any, callback_ctx: Any = None) -> None:
        watch = self._watch
        watch.check_scores = self._check_scores
        watch_fits(evaluate_candidates, watch, self.n_jobs, self.pre_dispatch)
        task = SearchTask(callback_ctx, self, self.n_rounds)
        cv = check_cv(self.cv, watch.y, classifier=is_classifier(self.estimator))
        with self._bar() as bar:

            def evaluate(candidates: list[dict[str, Any]]) -> Mapping[str, Any]:
                if bar is not None:
                    bar.total = watch.n_expected
                    watch.on_candidate = bar.update
                with task.round(len(candidates) * getattr(self, "n_splits_", 1)) as context:
                    results: Mapping[str, Any] = evaluate_candidates(candidates, **context)
                watch.results = results
                if watch.interrupt is not None:
                    raise watch.interrupt
                return results

            self._rounds(evaluate, watch, cv)
        task.end()
        warn_or_raise_about_failures(watch.made, self.error_score)
        if watch.out_of_time:
            warnings.warn(
                f"time_limit={self.time_limit} s ended {type(self).__name__} after "
                f"{len(watch.made) // watch.n_splits} of {watch.n_expected} candidates: the best "
                "of these is taken. Their number is n_completed_",
                UserWarning,
                stacklevel=2,
            )

    @contextmanager
    def _bar(self) -> Iterator[Any]:
        """A bar of the candidates, or None."""
        if not self.progress_bar:
            yield None
            return
        from tqdm.auto import tqdm

        with tqdm(desc=type(self).__name__, unit="candidate") as bar:
            yield bar

    def _format_results(
        self, candidate_params: list[Any], n_splits: int, out: list[Any], more_results: Any = None
    ) -> Any:
        drop_what_was_not_made(candidate_params, out, n_splits)
        if callable(self.scoring):  # Only now it may be known which scores a failure lacks.
            insert_error_scores(out, self.error_score)
        return super()._format_results(candidate_params, n_splits, out, more_results)

    def _check_scores(self, scores: Any) -> None:
        """Refuse a ``refit`` that does not go with what a callable ``scoring`` turns out to give.

        scikit-learn says so after all fits; this is called after each one.
        """
        if callable(self.scoring) and isinstance(scores, dict):
            check_refit(self, scores)

    def __sklearn_is_fitted__(self) -> bool:
        """An interrupted search has results, but nothing to predict with."""
        return hasattr(self, "best_estimator_" if self.refit else "cv_results_")

    def _keep(self, watch: Watch) -> None:
        """What an interrupted search knows: the complete candidates and the best of them."""
        if watch.results is None:
            return
        for name in (
            "best_estimator_",
            "refit_time_",
            "best_index_",
            "best_params_",
            "best_score_",
        ):
            self.__dict__.pop(name, None)  # They may stem from an earlier fit.
        self.cv_results_ = watch.results
        self.n_completed_ = len(watch.results["params"])
        self.n_splits_ = watch.n_splits
        self.multimetric_ = isinstance(watch.made[0]["test_scores"], dict)
        self.scorer_ = scorers_of(self)
        if not self.refit and self.multimetric_:
            return
        metric = self.refit if self.multimetric_ else "score"
        with suppress(Exception):  # The user's refit may not bear few candidates; Ctrl-C goes on.
            self.best_index_ = best_candidate(self.refit, metric, watch.results)
            self.best_params_ = watch.results["params"][self.best_index_]
            if not callable(self.refit):
                self.best_score_ = watch.results[f"mean_test_{metric}"][self.best_index_]

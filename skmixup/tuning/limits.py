"""What ends a search early: a time limit, or Ctrl-C.

scikit-learn's ``evaluate_candidates`` hands the fits of all its candidates to joblib at once, in
``out = parallel(tasks)``, and hears of none of them before the last one has ended. Here
:class:`WatchedFits` takes the place of ``parallel``: the same fits go to the same workers,
without a pause between candidates, but each result is seen as it comes. So no further candidate
need be begun when time is up, and what an interrupt leaves behind is known.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np
import sklearn
from joblib import effective_n_jobs

from skmixup.tuning.sklearn_internals import DelayedFit, fold_of, n_candidates, replace_parallel

Result = dict[str, Any]

#: Marks in results: of a fit that was not made, and of an error that scikit-learn is not to see.
_NOT_MADE, _FAILURE = "skmixup_not_made", "skmixup_failure"


class Watch:
    """What one call of ``fit`` has spent and got so far.

    Parameters
    ----------
    time_limit : float or None
        Seconds from now on.
    refit : bool, str or callable
        The search's parameter: a refit needs time of its own.
    y : array-like or None
        The targets, which the search's splitter may depend on.

    Attributes
    ----------
    n_expected : int
        Candidates, if nothing comes between.
    made : list of dict
        scikit-learn's result of every fit, candidate by candidate.
    results : mapping or None
        ``cv_results_`` of the candidates that are complete.
    out_of_time : bool
        Whether candidates were left out because of the limit.
    interrupt : KeyboardInterrupt or None
        What is still to be raised.
    """

    def __init__(self, time_limit: float | None = None, refit: Any = False, y: Any = None):
        self.start = time.monotonic()
        self.time_limit = time_limit
        self.refit = refit
        self.y = y
        self.n_jobs = 1
        self.n_expected = 0
        self.made: list[Result] = []
        self.n_splits = 1
        self.results: Mapping[str, Any] | None = None
        self.out_of_time = False
        self.interrupt: KeyboardInterrupt | None = None
        self.on_candidate: Callable[[], Any] = lambda: None
        self.check_scores: Callable[[Any], None] = lambda scores: None

    def __reduce__(self) -> tuple[Any, ...]:
        """Nothing goes to the workers, who get the search, and so its watch, with every fit."""
        return Watch, ()

    def has_time_for(self, n_fits: int) -> bool:
        """Whether so many more fits, and the refit, would end within the limit.

        Always, as long as no fit has succeeded: a search without a result would be no use.
        """
        if self.time_limit is None or not any(r[_FAILURE] is None for r in self.made):
            return True
        each = np.mean([r["fit_time"] + r["score_time"] for r in self.made])
        fits = each * max(n_fits / self.n_jobs, 1.0)
        left = self.time_limit - (time.monotonic() - self.start)
        self.out_of_time = self.out_of_time or bool(fits + self._refit_seconds() > left)
        return not self.out_of_time

    def _refit_seconds(self) -> float:
        """How long the best candidate so far, or the slowest, would take on all rows."""
        n = len(self.made) // self.n_splits
        if self.refit is False or n == 0:
            return 0.0
        made = self.made[: n * self.n_splits]
        seconds = np.array([r["fit_time"] for r in made]).reshape(n, -1).mean(axis=1)
        scores = [self._score(r["test_scores"]) for r in made]
        best = int(np.argmax(seconds))
        if None not in scores:
            means = np.array(scores, dtype=float).reshape(n, -1).mean(axis=1)
            best = int(np.argmax(np.where(np.isnan(means), -np.inf, means)))
        # The folds hold (k − 1)/k of the rows.
        return float(seconds[best] * self.n_splits / max(self.n_splits - 1, 1))

    def _score(self, scores: Any) -> float | None:
        """The score that decides; None where a callable does."""
        if isinstance(scores, dict) and isinstance(self.refit, str):
            scores = scores.get(self.refit)
        return scores if isinstance(scores, int | float) and not callable(self.refit) else None


class WatchedFits:
    """Stands in for joblib's ``Parallel`` in scikit-learn's ``evaluate_candidates``.

    Returns as many results as there are fits. Those of fits that were not made are marked, for
    :func:`drop_what_was_not_made`; errors of fits are hidden, because scikit-learn gives up when
    all fits of *one* call failed, which says little where a call is one round of several.
    """

    def __init__(self, parallel: Any, watch: Watch, n_jobs: int | None, pre_dispatch: int | str):
        self._parallel = parallel
        self._watch = watch
        self._n_jobs = n_jobs
        if watch.time_limit is not None and pre_dispatch == "all":
            pre_dispatch = "2*n_jobs"
        self._pre_dispatch = pre_dispatch
        self._problem: Exception | None = None
        self._n_sent = 0

    def __call__(self, fits: Iterable[DelayedFit]) -> list[Result]:
        fits = iter(fits)
        first = next(fits, None)
        if first is None:
            return []
        watch, before = self._watch, len(self._watch.made)
        watch.n_splits = n_splits = fold_of(first)[1]
        watch.n_jobs = effective_n_jobs(self._n_jobs)
        self._n_sent = before
        try:
            for result in self._results(self._while_time(first, fits)):
                self._take(result)
        except KeyboardInterrupt as interrupt:
            watch.interrupt = interrupt
        if self._problem is not None:
            raise self._problem
        if watch.interrupt is None and not watch.out_of_time:
            return watch.made[before:]
        n_made = (len(watch.made) - before) // n_splits * n_splits
        del watch.made[before + n_made :]
        if watch.interrupt is not None and n_made == 0:
            raise watch.interrupt
        out = watch.made[before:]
        n_fits = n_splits * n_candidates(first)
        return [*out, *({**out[-1], _NOT_MADE: True} for _ in range(n_fits - n_made))]

    def _results(self, fits: Iterator[DelayedFit]) -> Iterable[Result]:
        """The results in the order of the fits, each as soon as it is there."""
        try:
            stream = type(self._parallel)(
                n_jobs=self._n_jobs, pre_dispatch=self._pre_dispatch, return_as="generator"
            )
        except (TypeError, ValueError):  # A backend without generators, or joblib before 1.3.
            return self._in_slices(fits)
        results: Iterable[Result] = stream(fits)
        return results

    def _in_slices(self, fits: Iterator[DelayedFit]) -> Iterator[Result]:
        """The results a few at a time, enough for all workers."""
        n_jobs, n_splits = self._watch.n_jobs, self._watch.n_splits
        size = n_splits if n_jobs == 1 else max(4 * n_jobs, n_splits)
        while slice_ := [*islice(fits, size)]:
            yield from self._parallel(slice_)

    def _while_time(self, first: DelayedFit, fits: Iterator[DelayedFit]) -> Iterator[DelayedFit]:
        """The fits of the candidates that may still be begun; always those of the first one."""
        self._n_sent += 1
        yield first
        for fit in fits:
            if fold_of(fit)[0] == 0:
                ahead = self._n_sent - len(self._watch.made) + self._watch.n_splits
                if self._problem is not None or not self._watch.has_time_for(ahead):
                    return
            self._n_sent += 1
            yield fit

    def _take(self, result: Result) -> None:
        watch = self._watch
        result[_FAILURE], result["fit_error"] = result["fit_error"], None
        watch.made.append(result)
        if result[_FAILURE] is None:
            try:
                watch.check_scores(result["test_scores"])
            except ValueError as problem:  # To be raised when the workers have ended.
                self._problem = problem
        if len(watch.made) % watch.n_splits == 0:
            watch.on_candidate()


def watch_fits(
    evaluate_candidates: Any, watch: Watch, n_jobs: int | None, pre_dispatch: int | str
) -> None:
    """See the fits of these candidates one by one, as they come."""

    def watched(parallel: Any) -> WatchedFits:
        return WatchedFits(parallel, watch, n_jobs, pre_dispatch)

    if not replace_parallel(evaluate_candidates, watched) and watch.time_limit is not None:
        raise NotImplementedError(
            f"time_limit={watch.time_limit!r} does not work with scikit-learn "
            f"{sklearn.__version__} yet: use time_limit=None"
        )


def drop_what_was_not_made(candidates: list[Any], out: list[Result], n_splits: int) -> None:
    """Leave only the fits that were made, with their errors, in scikit-learn's own lists."""
    made = [not result.get(_NOT_MADE, False) for result in out]
    candidates[:] = [c for c, there in zip(candidates, made[::n_splits], strict=True) if there]
    out[:] = [result for result, there in zip(out, made, strict=True) if there]
    for result in out:
        with suppress(KeyError):
            result["fit_error"] = result[_FAILURE]

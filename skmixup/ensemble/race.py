"""The race: all settings on the first fold, the better ones on the second, the best on all.

The settings are those of a design and then, in rounds, some near the best of them. It ends early
where time is up or somebody presses Ctrl-C. Every fit goes to joblib as a task of its own, and its
result is seen as it comes.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from sklearn.exceptions import FitFailedWarning
from sklearn.utils.parallel import Parallel, delayed

from skmixup.ensemble.clock import Clock
from skmixup.ensemble.fitting import Fit, fit_fold
from skmixup.ensemble.folds import Fold
from skmixup.ensemble.judging import Judge, Judgement
from skmixup.ensemble.proposals import Proposals
from skmixup.ensemble.rows import Rows
from skmixup.ensemble.selection import greedy_weights
from skmixup.ensemble.settings import length

Floats = NDArray[np.float64]
Place = tuple[int, int]

#: At most so many settings go on after the first fold.
MOST_KEPT = 6
#: So many, and all that would have a weight, go on after the second.
KEPT_ANYWAY = 3


@dataclass(frozen=True)
class Training:
    """What all fits have in common.

    Attributes
    ----------
    estimator : estimator object
        Is cloned.
    rows : Rows
    fit_params : mapping
        More arguments of its ``fit``; those as long as the rows are split with them.
    n_jobs : int or None
    """

    estimator: Any
    rows: Rows
    fit_params: Mapping[str, Any]
    n_jobs: int | None


class Race:
    """Fits of settings in folds, and how the settings stand.

    Parameters
    ----------
    training : Training
    proposals : Proposals
        The estimator's own setting comes first, and errors of its first fit are raised.
    folds : list of Fold
    seeds : ndarray of shape (n_settings, n_folds)
        Of all settings that there may be.
    judge : Judge
    clock : Clock
    say : callable
        Is told about progress, in words.

    Attributes
    ----------
    fits : dict
        Of (setting, fold).
    judgements : dict
        Of settings with a fit in the first fold, in all folds that were run.
    unscored : dict
        Settings that the scorer could not score, each with its error.
    interrupt : KeyboardInterrupt or None
        What is still to be raised.
    """

    def __init__(
        self,
        training: Training,
        proposals: Proposals,
        folds: Sequence[Fold],
        seeds: NDArray[Any],
        judge: Judge,
        clock: Clock,
        say: Callable[[str], None],
    ):
        self.training = training
        self.proposals = proposals
        self.settings = proposals.settings
        self.folds = folds
        self.seeds = seeds
        self.judge = judge
        self.clock = clock
        self.say = say
        self.fits: dict[Place, Fit] = {}
        self.judgements: dict[int, Judgement] = {}
        self.unscored: dict[int, Exception] = {}
        self.interrupt: KeyboardInterrupt | None = None
        self._sent: set[Place] = set()

    def run(self) -> None:
        """Run it; an interrupt is kept until the end."""
        try:
            self._run(self._first_fold(0))
            while len(self.tried()) == len(self.settings):
                n_before = len(self.settings)
                if not self.proposals.next_round(self._first_scores()):
                    break
                self._run(self._first_fold(n_before))
            better = self._kept(self._better())
            if len(better) > KEPT_ANYWAY and self._all_have_time(better):
                self._run((setting, 1) for setting in self._in_order(better))
                better = self._kept(self._best_of_two_folds(better))
            self._run(self._other_folds(self._in_order(better)))
            while not self.complete() and (left := self._left_without_error()):
                self._run((left[0], fold) for fold in range(len(self.folds)))
        except KeyboardInterrupt as interrupt:
            self.interrupt = interrupt
        self._report()

    # ---- what is to be run

    def _first_fold(self, start: int) -> Iterator[Place]:
        """The first fits of the settings from ``start`` on for which there is time."""
        order = self._in_order(range(start, len(self.settings)), n_first=int(start == 0))
        for n_settings, setting in enumerate(order, start + 1):
            ahead, refit = self._seconds_ahead([(setting, 0)]), self._usual_seconds()
            share = n_kept(n_settings) / n_settings
            if setting > 0 and not self.clock.first_fold_has_time(ahead, refit, share):
                return
            yield setting, 0

    def _in_order(self, settings: Sequence[int], n_first: int = 1) -> list[int]:
        """The first ones, and then the longest ones, so that workers end together.

        With a time limit as they are: the longest ones would take the others' time.
        """
        if self.clock.time_limit is not None:
            return [*settings]
        others = sorted(settings[n_first:], key=lambda s: -length(self.settings[s]))
        return [*settings[:n_first], *others]

    def _first_scores(self) -> list[float]:
        """The settings' scores on the first fold; NaN for those that failed."""
        nothing = Judgement([np.nan])
        n_settings = len(self.settings)
        return [self.judgements.get(s, nothing).scores[0] for s in range(n_settings)]

    def _better(self) -> list[int]:
        """The settings that go on, best first; at most a third of them are of the rounds.

        Those were chosen to be good on just this fold.
        """
        ranking = self.ranking()
        n, n_of_rounds = n_kept(len(ranking)), 0
        better: list[int] = []
        for setting in ranking:
            of_rounds = setting >= self.proposals.n_spread
            if len(better) < n and not (of_rounds and n_of_rounds == n // 3):
                better.append(setting)
                n_of_rounds += of_rounds
        return better

    def _all_have_time(self, settings: Sequence[int]) -> bool:
        """Whether there is time for these settings in all folds, and for a refit of any."""
        places = [place for setting in settings for place in self._left(setting)]
        longest = max(self.fits[setting, 0].seconds for setting in settings)
        return len(self.folds) > 2 and self.clock.has_time(self._seconds_ahead(places), longest)

    def _best_of_two_folds(self, settings: Sequence[int]) -> list[int]:
        """The settings that go on: the best three, and those that would have a weight so far."""
        for setting in settings:
            if len(predictions := self.predictions(setting)) == 2:
                self._judge(setting, predictions, "two folds")
        known = [s for s in self.ranking() if len(self.judgements[s].scores) == 2]
        if not known:
            return [*settings]
        weights = greedy_weights(list(map(self.stacked, known)), self.judge.preference())
        pairs = enumerate(zip(known, weights, strict=True))
        return [s for place, (s, weight) in pairs if place < KEPT_ANYWAY or weight > 0]

    def _left(self, setting: int) -> list[Place]:
        """The fits of a setting that were not begun."""
        places = [(setting, fold) for fold in range(len(self.folds))]
        return [place for place in places if place not in self._sent]

    def _other_folds(self, settings: Sequence[int]) -> Iterator[Place]:
        """Those of the settings for which there is time; of one at least, the quickest then."""
        waiting = {setting: self.fits[setting, 0].seconds for setting in settings}
        for setting in settings:
            places = self._left(setting)
            if self.clock.has_time(self._seconds_ahead(places), waiting[setting]):
                del waiting[setting]
                yield from places
        while waiting and not self._one_is_on_its_way():
            quickest = min(waiting, key=waiting.__getitem__)
            del waiting[quickest]
            yield from self._left(quickest)

    def _left_without_error(self) -> list[int]:
        """Settings that left the race for better ones, best first; their networks are gone."""
        failed = {place[0] for place, fit in self.fits.items() if fit.error is not None}
        return [setting for setting in self.ranking() if setting not in failed]

    def _one_is_on_its_way(self) -> bool:
        """Whether a setting is complete, or will be if nothing of it fails."""
        failed = {place[0] for place, fit in self.fits.items() if fit.error is not None}
        failed |= self.unscored.keys()
        last = len(self.folds) - 1
        return any(fold == last and setting not in failed for setting, fold in self._sent)

    def _seconds_ahead(self, places: Sequence[Place]) -> float:
        """How long it takes until these fits, and those that were begun, are through."""
        usual = self._usual_seconds()
        ahead = [*places, *(self._sent - self.fits.keys())]
        seconds = [self.fits[s, 0].seconds if (s, 0) in self.fits else usual for s, _ in ahead]
        n_jobs = effective_n_jobs(self.training.n_jobs)
        return max(sum(seconds) / n_jobs, max(seconds, default=0.0))

    def _usual_seconds(self) -> float:
        """How long a fit took so far; 0 where nobody knows."""
        known = [fit.seconds for fit in self.fits.values()]
        return float(np.mean(known)) if known else 0.0

    # ---- running it

    def _run(self, places: Iterable[Place]) -> None:
        for fit in self._results(self._tasks(places)):
            self.fits[fit.setting, fit.fold] = fit
            if fit.error is not None and fit.is_fatal:
                raise fit.error
            self._take(fit)

    def _tasks(self, places: Iterable[Place]) -> Iterator[Any]:
        t = self.training
        for place in places:
            self._sent.add(place)
            setting, fold = place
            yield delayed(fit_fold)(
                t.estimator,
                self.settings[setting],
                int(self.seeds[place]),
                t.rows,
                self.folds[fold],
                t.fit_params,
                place,
            )

    def _results(self, tasks: Iterator[Any]) -> Iterator[Fit]:
        """The results in the order of the tasks, in batches of a few times as many as run at once.

        An interrupt loses what is done of a batch, and a time limit sees whole batches only; the
        smaller they are, the more often workers wait for each other.

        Not joblib's ``return_as="generator"``, with which a race on a pool of processes once came
        to a stop in this project's tests, all workers idle and no error.
        """
        n_jobs = max(1, effective_n_jobs(self.training.n_jobs))
        times = 4 if self.clock.time_limit is None else 2
        with Parallel(n_jobs=self.training.n_jobs) as parallel:
            while some := [*islice(tasks, times * n_jobs if n_jobs > 1 else 1)]:
                yield from parallel(some)

    def _take(self, fit: Fit) -> None:
        """Judge a setting after its first fit, and after its last."""
        setting = fit.setting
        predictions = self.predictions(setting)
        if fit.fold == 0 and fit.error is None:
            self._judge(setting, predictions[:1], "first fold")
        if len(predictions) == len(self.folds) > 1:
            self._judge(setting, predictions, f"all {len(self.folds)} folds")

    def _judge(self, setting: int, predictions: Sequence[Floats], what: str) -> None:
        """Judge a setting; that a scorer cannot is the end of the setting, not of the race."""
        try:
            self.judgements[setting] = self.judge.judge(predictions)
        except Exception as error:
            self.unscored[setting] = error
            self.judgements.pop(setting, None)
            return
        self._say(setting, what)

    def _say(self, setting: int, what: str) -> None:
        score = float(np.mean(self.judgements[setting].scores))
        self.say(
            f"setting {setting + 1} of {self.proposals.n_runs}, {what}: score {score:.4g} "
            f"after {self.clock.elapsed():.1f} s; {self.settings[setting]}"
        )

    def _kept(self, settings: list[int]) -> list[int]:
        """These settings; the networks of all others are forgotten."""
        for place, fit in self.fits.items():
            if place[0] not in settings:
                fit.estimator = None
        return settings

    def _report(self) -> None:
        failed = [fit.error for fit in self.fits.values() if fit.error is not None]
        unscored = [*self.unscored.values()]
        if (failed or unscored) and not self.complete() and self.interrupt is None:
            raise (failed + unscored)[0]
        if failed:
            _warn(f"{len(failed)} of {len(self.fits)} fits failed", failed[0])
        if unscored:
            n_tried = len(self.tried())
            _warn(f"{len(unscored)} of {n_tried} settings could not be scored", unscored[0])

    # ---- how the settings stand

    def predictions(self, setting: int) -> list[Floats]:
        """Predictions of a setting for the held-out rows of the folds that were run."""
        fits = [self.fits.get((setting, fold)) for fold in range(len(self.folds))]
        return [fit.prediction for fit in fits if fit is not None and fit.prediction is not None]

    def stacked(self, setting: int) -> Floats:
        """Predictions of a complete setting, fold under fold, as they were judged."""
        predictions = np.concatenate(self.predictions(setting))
        return self.judge.corrected(predictions, self.judgements[setting])

    def is_complete(self, setting: int) -> bool:
        """Whether a setting was fitted in every fold, and scored."""
        n_fits = len(self.predictions(setting))
        return n_fits == len(self.folds) and setting in self.judgements

    def complete(self) -> list[int]:
        """The complete settings."""
        return [s for s in range(len(self.settings)) if self.is_complete(s)]

    def networks(self, setting: int) -> list[Any]:
        """The estimators of a complete setting, fold by fold."""
        return [self.fits[setting, fold].estimator for fold in range(len(self.folds))]

    def tried(self) -> list[int]:
        """The settings that were fitted in the first fold, failed ones too."""
        return sorted({setting for setting, _ in self.fits})

    def best(self) -> int:
        """The complete setting with the best score."""
        return next(setting for setting in self.ranking() if self.is_complete(setting))

    def ranking(self) -> list[int]:
        """The settings that were judged, best first; of equals the earlier one."""
        means = {s: np.mean(j.scores) for s, j in self.judgements.items()}
        known = [s for s in sorted(means) if np.isfinite(means[s])]
        return sorted(known, key=lambda s: -means[s])


def n_kept(n_settings: int) -> int:
    """How many settings of so many go on to all folds."""
    return min((n_settings + 1) // 2, MOST_KEPT)


def _warn(what: str, error: Exception) -> None:
    warnings.warn(
        f"{what}; these settings are left out. The first error: {type(error).__name__}: {error}",
        FitFailedWarning,
        stacklevel=2,
    )

"""How much of a time limit is left, and for what."""

import math
import time


class Clock:
    """How much of a time limit is left.

    Parameters
    ----------
    time_limit : float or None
        Seconds for everything.
    n_folds : int
    refit : bool
        Whether a fit on all rows comes after the race.
    """

    def __init__(self, time_limit: float | None, n_folds: int, refit: bool, start: float):
        self.time_limit = time_limit
        self.n_folds = n_folds
        self.refit = refit
        self.start = start

    def elapsed(self) -> float:
        """Seconds since the beginning of ``fit``."""
        return time.monotonic() - self.start

    def first_fold_has_time(self, seconds: float, refit_seconds: float, share_kept: float) -> bool:
        """Whether the first fold may take so much longer.

        A share of the settings takes (n_folds − 1) times as long afterwards: where there is not
        enough time for all, the first fold gets the part that it would have had.
        """
        share = 1 / (1 + share_kept * (self.n_folds - 1))
        return self.elapsed() + seconds <= self._for_the_race(refit_seconds) * share

    def has_time(self, seconds: float, refit_seconds: float) -> bool:
        """Whether fits that take so long are through in time, and a refit after them."""
        return self.elapsed() + seconds <= self._for_the_race(refit_seconds)

    def _for_the_race(self, refit_seconds: float) -> float:
        """The time limit without the refit, which a fit in a fold tells the time of."""
        if self.time_limit is None:
            return math.inf
        if not self.refit:
            return self.time_limit
        # The folds hold (k − 1)/k of the rows.
        return self.time_limit - refit_seconds * self.n_folds / max(self.n_folds - 1, 1)

"""How many runs a design gets: ``n_runs="auto"``, and never more than there are settings.

Ten runs per parameter is what experience with computer experiments recommends (Loeppky, Sacks &
Welch 2009). Few parameters of a learner matter, so above fifty runs a design stops growing until
three runs per parameter ask for more: with less, effects are not told apart. Within half as many
runs again the rule looks for a number that the categories (and other parameters of few values)
divide, because only then does every value come equally often.

References
----------
J. L. Loeppky, J. Sacks, W. J. Welch (2009), "Choosing the sample size of a computer experiment: a
practical guide", Technometrics 51(4).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from skmixup.design.factors import Factor
from skmixup.design.places import n_different_values

RUNS_PER_FACTOR = 10
#: More runs than this only where there are many parameters, or categories of many values.
USUAL_RUNS = 50
FEWEST_RUNS_PER_FACTOR = 3


def auto_n_runs(n_factors: int, n_levels: Sequence[int] = ()) -> int:
    """The number of runs that ``n_runs="auto"`` stands for.

    Parameters
    ----------
    n_factors : int
        Parameters that vary, of every kind.
    n_levels : sequence of int
        The numbers of values of those that have few: categories, booleans, short lists, small
        ranges of integers. Where these are all parameters, the result is at most the number of
        different settings.

    Returns
    -------
    int
        10 runs per parameter up to 50 runs, then 3 per parameter; two for each value of the
        parameter with most values, one where these are more than 25; of the numbers from there to
        half as many again the first that is a multiple of all ``n_levels``, or else of as many of
        them as can be.

    Examples
    --------
    >>> auto_n_runs(1), auto_n_runs(3), auto_n_runs(5), auto_n_runs(20)
    (10, 30, 50, 60)

    A category of 7 values among four parameters, and two of 3 and 7:

    >>> auto_n_runs(4, [7]), auto_n_runs(4, [3, 7])
    (42, 42)

    Two categories only, whose 6 settings are all run:

    >>> auto_n_runs(2, [2, 3])
    6
    """
    levels = [q for q in n_levels if q > 1]
    settings = math.prod(levels) if len(levels) >= n_factors else math.inf
    most = max(levels, default=1)
    start = max(
        min(RUNS_PER_FACTOR * n_factors, USUAL_RUNS),
        FEWEST_RUNS_PER_FACTOR * n_factors,
        most if 2 * most > USUAL_RUNS else 2 * most,
    )
    if settings <= start:
        return int(settings)

    def unbalanced(n_runs: int) -> int:
        return sum(n_runs % q != 0 for q in levels)

    best = min(range(start, start + start // 2 + 1), key=unbalanced)
    return int(min(best, settings))


def resolve_n_runs(n_runs: Any, factors: Mapping[str, Factor] | None) -> Any:
    """``n_runs`` with "auto" replaced by a number; everything else is left to be checked."""
    if not isinstance(n_runs, str):
        return n_runs
    if n_runs != "auto":
        raise ValueError(f"n_runs={n_runs!r} must be an integer or 'auto'")
    if factors is None:
        raise ValueError(
            "n_runs='auto' follows from the parameters, so it needs a search_space: declare them, "
            "or give a number of runs"
        )
    vary = [factor for factor in factors.values() if n_different_values(factor) != 1]
    # A range of many numbers is nearly a continuum: neighbours stand in for what is left out.
    few = [f.n_values for f in vary if not f.ordered or f.n_values in range(RUNS_PER_FACTOR + 1)]
    automatic = auto_n_runs(len(vary), [n for n in few if n is not None])
    settings = math.prod(n_different_values(factor) for factor in vary)
    return int(min(automatic, settings))

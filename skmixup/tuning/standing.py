"""How a search's candidates stand after a round: losses, by which the next round is laid out."""

import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from skmixup.design.levels import Floats, Ints
from skmixup.tuning.rounds import bounded
from skmixup.tuning.sklearn_internals import best_candidate

Results = Mapping[str, Any]


def candidate_losses(results: Results, refit: Any) -> Floats:
    """What is to be minimised over the candidates of ``cv_results_``; NaN where a fit failed.

    With several metrics it is the one that ``refit`` names. A callable ``refit`` says which
    candidate is best, not how good the others are: see :func:`losses_by_picks`.
    """
    metrics = [k.removeprefix("rank_test_") for k in results if k.startswith("rank_test_")]
    if len(metrics) == 1 and not (callable(refit) and metrics != ["score"]):
        metric = metrics[0]  # Whatever refit calls it: refit="accuracy" has the metric "score".
    elif callable(refit):
        return losses_by_picks(results, refit)
    else:
        metric = refit
    return bounded(-np.asarray(results[f"mean_test_{metric}"], dtype=np.float64))


def losses_by_picks(results: Results, refit: Callable[[Results], Any]) -> Floats:
    """Losses that put the candidate that ``refit`` picks first, and its next two picks behind it.

    The later the candidate that is picked, the smaller its loss: so a round has brought something
    better exactly if the pick is one of its own candidates.
    """
    losses = np.full(len(results["params"]), np.nan)
    try:
        best = best_candidate(refit, None, results)
    except IndexError as error:  # It may be right about the candidates that are still to come.
        warnings.warn(
            f"refit picks none of the {len(losses)} candidates so far ({error}), so the next "
            "round has nothing to zoom in on",
            UserWarning,
            stacklevel=2,
        )
        return losses
    losses[best] = -best
    left = np.delete(np.arange(len(losses)), best)
    for behind in (0.25, 0.5):
        # Whatever a refit makes of less than all candidates: it is asked for advice only.
        with suppress(Exception):
            pick = best_candidate(refit, None, _only(results, left))
            losses[left[pick]] = behind - best
            left = np.delete(left, pick)
    return losses


def _only(results: Results, rows: Ints) -> dict[str, Any]:
    """The results of some of the candidates."""
    return {
        key: column[rows] if isinstance(column, np.ndarray) else [column[i] for i in rows]
        for key, column in results.items()
    }

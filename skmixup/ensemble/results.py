"""What the race found, as scikit-learn's searches tell it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from skmixup.ensemble.race import Race

Floats = NDArray[np.float64]


def cv_results(race: Race) -> dict[str, Any]:
    """``cv_results_`` of the settings that were fitted in the first fold, in their order.

    Scores are those of the judge. A setting that ran in the first folds only is given, as its
    mean, that of its scores there and what the complete settings gained on average from these
    folds to all: easy or hard first folds would otherwise count for it or against it.
    """
    tried = race.tried()
    n_folds = len(race.folds)
    scores = np.full((len(tried), n_folds), np.nan)
    times = np.full((2, len(tried), n_folds), np.nan)
    for row, setting in enumerate(tried):
        for fold in range(n_folds):
            fit = race.fits.get((setting, fold))
            if fit is not None:
                times[:, row, fold] = fit.fit_seconds, fit.score_seconds
        judgement = race.judgements.get(setting)
        if judgement is not None:
            scores[row, : len(judgement.scores)] = judgement.scores
    complete = np.array([race.is_complete(setting) for setting in tried])
    results: dict[str, Any] = {}
    for name, seconds in zip(("fit_time", "score_time"), times, strict=True):
        results[f"mean_{name}"] = np.nanmean(seconds, axis=1)
        results[f"std_{name}"] = np.nanstd(seconds, axis=1)
    settings = [race.settings[setting] for setting in tried]
    results |= parameter_columns(settings)
    results["params"] = settings
    for fold in range(n_folds):
        results[f"split{fold}_test_score"] = scores[:, fold]
    n_splits = np.isfinite(scores).sum(axis=1)
    so_far = np.cumsum(scores, axis=1) / np.arange(1, n_folds + 1)  # means over the first folds
    gained = (so_far[complete, -1:] - so_far[complete]).mean(axis=0)
    last = np.maximum(n_splits - 1, 0)
    mean = so_far[np.arange(len(tried)), last] + gained[last]
    results["mean_test_score"] = mean
    results["std_test_score"] = np.where(complete, scores.std(axis=1), np.nan)
    results["rank_test_score"] = ranks(mean, complete)
    results["n_splits"] = n_splits
    return results


def parameter_columns(settings: list[dict[str, Any]]) -> dict[str, Any]:
    """A masked column for each parameter, ``param_<name>``; of objects, if not of numbers."""
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(name for setting in settings for name in setting):
        values = [setting.get(name) for setting in settings]
        kinds = {type(value) for value in values}
        dtype = kinds.pop() if kinds in ({int}, {float}, {bool}) else object
        column = np.ma.masked_all(len(settings), dtype=dtype)
        for row, setting in enumerate(settings):
            if name in setting:
                column[row] = setting[name]
        columns[f"param_{name}"] = column
    return columns


def ranks(means: Floats, complete: NDArray[np.bool_]) -> NDArray[np.int32]:
    """1 for the best; complete settings first, those that failed last."""
    groups = [
        (not c, -m if np.isfinite(m) else np.inf) for m, c in zip(means, complete, strict=True)
    ]
    order = {group: place for place, group in enumerate(sorted(set(groups)))}
    return rankdata([order[g] for g in groups], method="min").astype(np.int32)

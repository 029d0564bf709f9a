"""What a pilot's predictions for rows held out are worth: probabilities of classes, or numbers."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from skmixup.estimators.criteria import criterion_of
from skmixup.estimators.likelihood import GaussianLikelihood
from skmixup.estimators.pilot import Floats, Ints, TrainingRows
from skmixup.estimators.pilot_watch import Judgement
from skmixup.estimators.temperature import (
    fit_temperature,
    log_losses,
    with_temperature,
)
from skmixup.vicinal.loss import row_losses

#: How many rows the prior for a temperature of 1 weighs as much as.
PRIOR_ROWS = 5.0


class ClassJudge:
    """Judges probabilities by their log-loss at the best temperature.

    Parameters
    ----------
    rows : TrainingRows
        With codes of classes or soft labels.
    """

    def __init__(self, rows: TrainingRows):
        self.target, self.weights = rows.target, rows.weights
        #: The class of each row, of soft labels the most probable one.
        self.strata: Ints = rows.target.argmax(axis=1) if rows.target.ndim == 2 else rows.target

    def judged(self, train: Ints, held_out: Ints) -> Ints:
        """Rows of classes that are in `train`, if these are two."""
        known = np.unique(self.strata[train][self.weights[train] > 0])
        counts = np.isin(self.strata[held_out], known) & (self.weights[held_out] > 0)
        return held_out[counts & (len(known) > 1)]

    def judgement(self, pilot: Any, outputs: Tensor, held_out: Ints) -> Judgement:
        """The log-loss at the temperature that makes it smallest, that, and each row's."""
        target, weight = self.target[held_out], self.weights[held_out]
        proba = torch.softmax(outputs, dim=1).numpy()
        temperature = fit_temperature(proba, target, weight, prior_rows=PRIOR_ROWS)
        losses = log_losses(with_temperature(proba, temperature), target)
        return float(np.average(losses, weights=weight)), temperature, losses


class NumberJudge:
    """Judges predicted numbers by the criterion, in standard deviations of the targets.

    The mean of errors becomes a log-likelihood, each at its best width, as log-losses are each at
    their best temperature: half of its logarithm, which for squared errors is the Gaussian one
    but for a constant. That of torch's Gaussian likelihood is one already.

    Parameters
    ----------
    rows : TrainingRows
        With numbers of shape (n,) or (n, n_targets).
    """

    def __init__(self, rows: TrainingRows):
        self.target, self.weights = rows.target.reshape(len(rows.y), -1), rows.weights
        self.strata: Ints = np.zeros(len(rows.y), dtype=np.int64)

    def judged(self, train: Ints, held_out: Ints) -> Ints:
        """Rows that count, if some do in `train`, and no target is constant there."""
        some = bool((self.weights[train] > 0).any())
        varies = some and bool(np.all(np.ptp(self.target[train], axis=0) > 0))
        return held_out[(self.weights[held_out] > 0) & varies]

    def judgement(self, pilot: Any, outputs: Tensor, held_out: Ints) -> Judgement:
        """The loss, a temperature of 1, and the criterion of each row."""
        criterion = criterion_of(pilot)
        target = torch.from_numpy(pilot.standardized(self.target[held_out])).double()
        losses: Floats = row_losses(criterion, outputs, target).numpy()
        mean = float(np.average(losses, weights=self.weights[held_out]))
        if isinstance(criterion, GaussianLikelihood):
            return mean, 1.0, losses
        return 0.5 * float(np.log(max(mean, np.finfo(np.float64).tiny))), 1.0, losses

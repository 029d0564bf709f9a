"""One temperature for all probabilities: how modest or how bold they are, on rows not trained on.

Networks trained with mixup, and ensembles of networks, are too modest; those trained long without
are too bold. One number mends both: probabilities p become p^(1/T), divided by their sum.

References
----------
C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger (2017), "On calibration of modern neural networks",
International Conference on Machine Learning.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import softmax

Floats = NDArray[np.float64]

#: Probabilities below this count as this much, as in scikit-learn's ``log_loss``.
SMALLEST = float(np.finfo(np.float64).eps)
#: How many rows the prior for T = 1 weighs as much as.
PRIOR_ROWS = 1.0


def log_probabilities(proba: ArrayLike) -> Floats:
    """Logarithms of probabilities, finite where these are 0."""
    return np.asarray(np.log(np.maximum(np.asarray(proba, dtype=np.float64), SMALLEST)))


def with_temperature(proba: ArrayLike, temperature: float) -> Floats:
    """Probabilities at a temperature: p^(1/T), divided by their sum.

    Parameters
    ----------
    proba : array-like of shape (n, n_classes)
    temperature : float
        1 changes nothing, more makes them more even.

    Returns
    -------
    ndarray of shape (n, n_classes)
    """
    if temperature == 1.0:
        return np.asarray(proba, dtype=np.float64)
    return np.asarray(softmax(log_probabilities(proba) / temperature, axis=1))


def decisions(proba: ArrayLike) -> Floats:
    """Probabilities of several labels, shape (n, n_labels), as n · n_labels rows of off and on."""
    on = np.asarray(proba, dtype=np.float64).ravel()
    return np.column_stack([1 - on, on])


def labels_with_temperature(proba: ArrayLike, temperature: float) -> Floats:
    """Probabilities of several labels at a temperature: their logits are divided by it.

    Parameters
    ----------
    proba : array-like of shape (n, n_labels)
    temperature : float

    Returns
    -------
    ndarray of shape (n, n_labels)
    """
    on = with_temperature(decisions(proba), temperature)[:, 1]
    return np.asarray(on.reshape(np.shape(proba)))


def mean_log_loss(proba: ArrayLike, codes: NDArray[Any], weight: Floats) -> float:
    """Weighted mean of −log p of each row's class; ``codes`` are as in :func:`fit_temperature`."""
    return float(np.average(log_losses(proba, codes), weights=weight))


def log_losses(proba: ArrayLike, codes: NDArray[Any]) -> Floats:
    """−log p of each row's class; ``codes`` are as in :func:`fit_temperature`."""
    if codes.ndim == 2:
        return -_of_labels(log_probabilities(proba), codes)
    # no logarithms of all others
    return -log_probabilities(np.asarray(proba)[np.arange(len(codes)), codes])


def _of_labels(logs: Floats, codes: NDArray[Any]) -> Floats:
    """The logarithm of the probability of each row's class; of soft labels their mean."""
    if codes.ndim == 2:
        return np.asarray((codes * logs).sum(axis=1))
    return np.asarray(logs[np.arange(len(codes)), codes])


def fit_temperature(
    proba: ArrayLike, codes: NDArray[Any], weight: Floats, *, prior_rows: float = PRIOR_ROWS
) -> float:
    """The temperature with the smallest log-loss on rows that were not trained on.

    In β = 1/T the log-loss Σ w_i (log Σ_c p_ic^β − β log p_iy) is convex. Where all rows are
    predicted right it falls for ever as β grows, so a prior β − log β is added, whose minimum is
    at β = 1: with it there is always one minimum, and a few rows that happen to be right do not
    make probabilities certain.

    Parameters
    ----------
    proba : array-like of shape (n, n_classes)
    codes : ndarray of shape (n,) or (n, n_classes)
        Position of each row's class among the columns, or soft labels.
    weight : ndarray of shape (n,)
        Weights of the rows; only their ratios count.
    prior_rows : float, default=1.0
        How many rows the prior weighs as much as.

    Returns
    -------
    float
    """
    if not weight.any():  # the prior alone
        return 1.0
    logs = log_probabilities(proba)
    picked = _of_labels(logs, codes)
    shares = weight * (np.count_nonzero(weight) / weight.sum())

    def slope(log_beta: float) -> float:
        """The derivative with respect to β."""
        beta = np.exp(log_beta)
        expected = (softmax(beta * logs, axis=1) * logs).sum(axis=1)
        return float(shares @ (expected - picked) + prior_rows * (1.0 - 1.0 / beta))

    low, high = -1.0, 1.0
    while slope(low) > 0:
        low *= 2
    while slope(high) < 0:
        high *= 2
    return float(np.exp(-brentq(slope, low, high, xtol=1e-10)))

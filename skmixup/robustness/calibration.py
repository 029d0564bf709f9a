"""Does a classifier that says 0.9 turn out right nine times in ten?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_array, check_consistent_length

from skmixup.labels import has_masked, in_order_of, label_column, tensor_as_array, unknown_labels
from skmixup.robustness.checks import check_at_least_1

_STRATEGIES = ("uniform", "quantile")

# softmax in float32 over many classes does not add up to one exactly
_SUM_TOLERANCE = 1e-3
# so little above an edge is on it
_ON_EDGE = 1e-7


class Bins(NamedTuple):
    """Predictions of each row's most likely class, summed up in each bin that is not empty.

    Attributes
    ----------
    accuracy, confidence : ndarray of shape (n_bins,)
        Weighted means of being right and of the largest probability.
    share : ndarray of shape (n_bins,)
        Share of the total weight; sums to 1.
    """

    accuracy: NDArray[np.float64]
    confidence: NDArray[np.float64]
    share: NDArray[np.float64]

    def calibration_error(self) -> float:
        """Equation (3) of Guo et al., arXiv 1706.04599."""
        return float(np.sum(self.share * np.abs(self.accuracy - self.confidence)))


def expected_calibration_error(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    n_bins: int = 15,
    strategy: str = "uniform",
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Mean gap between confidence and accuracy of the predicted class.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of any type.
    y_prob : array-like of shape (n_samples, n_classes) or (n_samples,)
        What ``predict_proba`` returned. One dimension: the probability of the second of two
        classes, as scikit-learn's scorers pass it. A frame whose columns are called as the
        classes may have them in any order.
    n_bins : int, default=15
        Number of bins, as in [1]_. Few rows need few bins: within a bin of m rows the accuracy
        is uncertain by about ``0.5 / sqrt(m)``, and the error measured cannot be much less.
    strategy : {"uniform", "quantile"}, default="uniform"
        ``"uniform"``: bins ((k − 1)/n_bins, k/n_bins] of equal width. ``"quantile"``: bins of
        equal mass, which suits confident networks, whose rows nearly all fall into the last bin
        of equal width. Rows of equal confidence always share a bin.
    labels : array-like of shape (n_classes,), default=None
        The classes in the order of the columns of `y_prob`, that is ``clf.classes_``. None: the
        sorted labels of `y_true`, which must then hold every class.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights. A row of weight 2 counts as that row twice.

    Returns
    -------
    float
        In [0, 1]; 0 is perfectly calibrated.

    Raises
    ------
    ValueError
        If `y_prob` does not hold probabilities, if classes and columns do not match, or if a
        parameter is out of its range.

    See Also
    --------
    ReliabilityDisplay : The same bins as a picture.

    Notes
    -----
    With the rows of bin :math:`B_m`, the share of them that is predicted right and their mean
    confidence (the largest probability of each row), eq. 3 of [1]_ is

    .. math:: \mathrm{ECE} = \sum_m \frac{|B_m|}{n}\,|\mathrm{acc}(B_m) - \mathrm{conf}(B_m)|

    Two columns that share the largest probability: the first counts as predicted.

    References
    ----------
    .. [1] Guo, Pleiss, Sun, Weinberger. On calibration of modern neural networks. ICML 2017,
       arXiv 1706.04599.

    Examples
    --------
    Confidence 0.8 where three of four are right:

    >>> from skmixup.robustness import expected_calibration_error
    >>> y_prob = [[0.8, 0.2], [0.8, 0.2], [0.2, 0.8], [0.2, 0.8]]
    >>> print(f"{expected_calibration_error(['a', 'a', 'b', 'a'], y_prob):.3f}")
    0.050

    As a scorer for a search:

    >>> from sklearn.metrics import make_scorer
    >>> scoring = make_scorer(
    ...     expected_calibration_error, response_method="predict_proba", greater_is_better=False
    ... )
    """
    correct, confidence, weight = top_label(y_true, y_prob, labels, sample_weight)
    return bin_rows(correct, confidence, weight, n_bins, strategy).calibration_error()


def top_label(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    labels: ArrayLike | None,
    sample_weight: ArrayLike | None,
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Whether each row's largest probability is the right one, its size, and the row's weight."""
    prob = _check_probabilities(y_prob)
    y = label_column(y_true)
    check_consistent_length(y, prob)
    classes = np.unique(y) if labels is None else label_column(labels)
    if len(classes) != prob.shape[1]:
        held = "labels" if labels is not None else "y_true"
        advice = "" if labels is not None else "; pass labels=clf.classes_"
        raise ValueError(
            f"y_prob has {prob.shape[1]} columns but {held} has {len(classes)} classes "
            f"{classes[:10].tolist()}{advice}"
        )
    if len(np.unique(classes)) < len(classes):
        raise ValueError(f"labels must differ, one for each column; got {classes[:10].tolist()}")
    prob = in_order_of(classes, prob, y_prob)
    unknown = unknown_labels(y, classes)
    if unknown:
        raise ValueError(f"y_true holds {unknown[:10]}, not in labels {classes[:10].tolist()}")
    correct = y == classes[prob.argmax(axis=1)]
    return correct, prob.max(axis=1), _check_weight(sample_weight, len(y))


def _check_probabilities(y_prob: ArrayLike) -> NDArray[np.float64]:
    if has_masked(y_prob):
        raise ValueError("y_prob is a masked array: leave the rows out that have masked values")
    prob = check_array(
        tensor_as_array(y_prob), ensure_2d=False, dtype=np.float64, input_name="y_prob"
    )
    if prob.ndim == 1:
        prob = np.column_stack([1 - prob, prob])
    if prob.min() < 0 or prob.max() > 1:
        raise ValueError(
            f"y_prob must hold probabilities in [0, 1], got values from {prob.min():.4g} to "
            f"{prob.max():.4g}"
        )
    off = np.abs(prob.sum(axis=1) - 1).max()
    if off > _SUM_TOLERANCE:
        raise ValueError(
            f"each row of y_prob must add up to 1, one is off by {off:.4g}; of several labels per "
            "row pass one at a time, y_true[:, k] and y_prob[:, k]"
        )
    return prob


def _check_weight(sample_weight: ArrayLike | None, n: int) -> NDArray[np.float64]:
    if sample_weight is None:
        return np.full(n, 1 / n)
    weight = check_array(
        tensor_as_array(sample_weight),
        ensure_2d=False,
        dtype=np.float64,
        input_name="sample_weight",
    )
    if weight.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), got {weight.shape}")
    if weight.min() < 0 or not weight.any():
        raise ValueError("sample_weight must be non-negative and not all zero")
    weight = weight / weight.max()  # the sum of very large ones would be infinite
    return np.asarray(weight / weight.sum())


def bin_rows(
    correct: NDArray[np.bool_],
    confidence: NDArray[np.float64],
    weight: NDArray[np.float64],
    n_bins: int,
    strategy: str,
) -> Bins:
    """Sum rows up in bins of their confidence; `strategy` as in `expected_calibration_error`."""
    check_at_least_1("n_bins", n_bins)
    if strategy == "uniform":
        # right-closed, as in eq. 1 of Guo et al.; float32 may be beyond an edge by rounding
        upper = np.ceil((confidence - _ON_EDGE) * n_bins)
        index = np.clip(upper - 1, 0, n_bins - 1).astype(np.intp)
    elif strategy == "quantile":
        index = _equal_mass(confidence, weight, n_bins)
    else:
        raise ValueError(f"strategy must be one of {_STRATEGIES}, got {strategy!r}")
    mass = np.asarray(np.bincount(index, weight, n_bins), dtype=np.float64)
    full = mass > 0
    return Bins(
        accuracy=np.bincount(index, weight * correct, n_bins)[full] / mass[full],
        confidence=np.bincount(index, weight * confidence, n_bins)[full] / mass[full],
        share=mass[full],
    )


def _equal_mass(
    confidence: NDArray[np.float64], weight: NDArray[np.float64], n_bins: int
) -> NDArray[np.intp]:
    """Bin of each row by the middle of the mass that its confidence value covers."""
    _, value = np.unique(confidence, return_inverse=True)
    mass = np.bincount(value, weight)
    middle = np.cumsum(mass) - mass / 2
    # the sum may miss a bin's edge by rounding
    return np.minimum(np.floor(middle * n_bins + 1e-9), n_bins - 1).astype(np.intp)[value]

"""What each row counts in the loss: `sample_weight` times `class_weight`."""

from numbers import Number, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

from skmixup.estimators.inputs import as_array
from skmixup.labels import has_masked


def row_weights(
    sample_weight: Any,
    class_weight: Any,
    codes: NDArray[np.int64],
    classes: NDArray[Any],
    *,
    as_they_are: bool = False,
) -> NDArray[np.float32] | None:
    """Weight of each row in the loss; None where all are equal.

    Parameters
    ----------
    sample_weight : array-like of shape (n,), float or None
    class_weight : dict, "balanced" or None
    codes : ndarray of shape (n,)
        Position of each row's label in `classes`.
    classes : ndarray of shape (n_classes,)
    as_they_are : bool, default=False
        False, in `fit`: the product of both is divided by its mean, so that multiplying all
        weights by a constant changes nothing. True, in `partial_fit`, as in scikit-learn: each
        call sees a part of the rows, and dividing by the mean of each part would make light rows
        of one call count as much as heavy rows of another.

    Raises
    ------
    ValueError
        For weights that are negative, NaN or infinite, or 0 but for one class, and for a dict
        that does not have all classes.
    """
    if sample_weight is None and class_weight is None:
        return None
    weight = check_weights(1.0 if sample_weight is None else sample_weight, len(codes))
    if class_weight is not None:
        if isinstance(class_weight, dict):
            per_class = _weights_from_dict(class_weight, classes)
        else:
            per_class = _balance(weight / weight.max(), codes, len(classes))
        weight = (weight if as_they_are else weight / weight.max()) * per_class[codes]
    if as_they_are:
        return _in_float32(weight)
    relative = _over_mean(weight, weight, "some row")
    _check_classes_left(relative, codes, classes)
    return relative


def check_weights(sample_weight: Any, n_rows: int) -> NDArray[np.float64]:
    """Return a weight for each row, from one for each or from one for all.

    Raises
    ------
    ValueError
        For weights that are negative, NaN, infinite or masked, or all 0, or not as many as there
        are rows.
    """
    if isinstance(sample_weight, Number):
        sample_weight = np.full(n_rows, sample_weight)
    if has_masked(sample_weight):
        raise ValueError(
            "sample_weight is a masked array, and the values under its mask are no weights: pass "
            "sample_weight.filled(0) to leave those rows out"
        )
    weight: NDArray[np.float64] = check_array(
        as_array(sample_weight), ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weight.shape != (n_rows,):
        raise ValueError(
            f"sample_weight has the shape {weight.shape}; it needs a weight for each row, of "
            f"shape ({n_rows},), or one number for all"
        )
    if (weight < 0).any():
        raise ValueError(
            f"sample_weight has negative values, the least {weight.min()}: each must be at least 0"
        )
    if not weight.any():
        # scikit-learn's check_all_zero_sample_weights_error wants the words weight and zero
        raise ValueError("sample_weight is zero in all rows; at least one non-zero one is needed")
    return weight


def normalized_weights(
    sample_weight: Any, n_rows: int, *, as_they_are: bool = False
) -> NDArray[np.float32] | None:
    """Weight of each row in the loss of a regressor; None where all are equal.

    Parameters
    ----------
    sample_weight, as_they_are
        As in :func:`row_weights`.
    n_rows : int
    """
    one_class = np.zeros(n_rows, dtype=np.int64)
    return row_weights(sample_weight, None, one_class, np.zeros(1), as_they_are=as_they_are)


def weights_after_split(
    weight: NDArray[np.float32],
    codes: NDArray[np.int64],
    rows: Any,
    held_out: Any,
    *,
    balanced: bool,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights whose mean is one over the rows that are trained on, and over those held out.

    Parameters
    ----------
    weight, codes : ndarrays of shape (n,)
        Weights as :func:`row_weights` gives them for all rows, and their classes; codes below 0
        are of rows without a label.
    rows, held_out : ndarrays of int
        Positions of the rows that are trained on, and of those that are not.
    balanced : bool
        Whether the weights balance the classes, which then is done anew.

    Returns
    -------
    in_training, in_scores : ndarrays of shape (n,)
        The first without a look at the rows held out.

    Raises
    ------
    ValueError
        If no row that is trained on has a positive weight.
    """
    weight = weight.astype(np.float64)
    if balanced:
        counts = rows[codes[rows] >= 0]
        per_class = _balance(weight[counts], codes[counts], codes.max() + 1)
        weight = weight * np.where(codes >= 0, per_class[codes], 1.0)
    trained_on, scored = (weight[part][codes[part] >= 0] for part in (rows, held_out))
    in_training = _over_mean(weight, trained_on, "some row that train_split leaves to train on")
    return in_training, _over_mean(weight, scored, "") if scored.any() else in_training


def _over_mean(weight: NDArray[Any], of: NDArray[Any], which: str) -> NDArray[np.float32]:
    """Divide weights by the mean of some of them, which must not be 0."""
    if not of.any():
        raise ValueError(f"sample_weight (times class_weight) must be positive for {which}")
    most = of.max()  # sums of numbers next to the largest there is would be infinite
    return (weight / most / (of / most).mean()).astype(np.float32)


def _in_float32(weight: NDArray[np.float64]) -> NDArray[np.float32]:
    """Weights of a part of the rows, which nothing divides."""
    with np.errstate(over="ignore", under="ignore"):
        found = weight.astype(np.float32)
    if not found.any() or not np.isfinite(found).all():
        raise ValueError(
            "sample_weight (times class_weight) must be positive for some row, and in partial_fit "
            f"within the range of float32, 1e-38 to 1e38; got {weight.min():.4g} to "
            f"{weight.max():.4g}"
        )
    return found


def _balance(
    weight: NDArray[Any], codes: NDArray[np.int64], n_classes: int
) -> NDArray[np.float64]:
    """Weights of classes that give each one that counts the same total, as scikit-learn's do."""
    totals = np.bincount(codes, weights=weight, minlength=n_classes)
    count = totals > 0
    per_class = np.ones(n_classes)
    per_class[count] = totals.sum() / (count.sum() * totals[count])
    return per_class


def _weights_from_dict(class_weight: dict[Any, Any], classes: NDArray[Any]) -> NDArray[np.float64]:
    labels = classes.tolist()
    missing = [label for label in labels if label not in class_weight]
    if missing:
        unknown = [label for label in class_weight if label not in set(labels)]
        also = f"class_weight has {unknown}, which are not among the classes {labels}, and "
        raise ValueError(
            f"{also if unknown else 'class_weight '}lacks {missing}; give every class a weight, "
            "1.0 where it is to stay as it is"
        )
    for label, weight in class_weight.items():
        if not isinstance(weight, Real) or not 0 <= float(weight) < np.inf:
            raise ValueError(
                f"class_weight must hold finite numbers ≥ 0; got {weight!r} for class {label!r}"
            )
    return np.array([class_weight[label] for label in labels], dtype=np.float64)


def _check_classes_left(
    weight: NDArray[Any], codes: NDArray[np.int64], classes: NDArray[Any]
) -> None:
    """Rows without weight might as well be absent, and one class cannot be told from another."""
    present = np.unique(codes)
    left = np.unique(codes[weight > 0])
    if len(left) < 2 <= len(present):
        # scikit-learn's check_classifiers_one_label_sample_weights wants the word class
        raise ValueError(
            f"sample_weight (times class_weight) leaves 1 class, {classes[left].tolist()}: every "
            f"row of the classes {classes[np.setdiff1d(present, left)].tolist()} has weight 0, "
            "and a classifier needs at least 2 classes"
        )

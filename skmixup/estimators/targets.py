"""Numeric targets: what users pass as y, standardised for training, and back in their units."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

from skmixup.estimators.inputs import as_array
from skmixup.labels import has_masked
from skmixup.lazy_frames import refuse_lazy_frame


def check_targets(y: Any) -> NDArray[np.float64]:
    """Numeric targets as an array of shape (n,) or (n, n_targets).

    Raises
    ------
    ValueError
        If y is None, not numeric, times, masked, has NaN or infinity, or has more than two axes.
    """
    if y is None:
        raise ValueError(
            "requires y to be passed, but the target y is None; give one number, or one row of "
            "numbers, for each row of X"
        )
    refuse_lazy_frame(y, "y")
    if has_masked(y):
        raise ValueError(
            "y is a masked array, and the values under its mask are no data: leave those rows out"
        )
    if scipy.sparse.issparse(y):
        raise ValueError(f"y is a sparse matrix of shape {y.shape}: pass y.toarray()")
    y = np.asarray(as_array(y))
    if y.dtype.kind in "mM":
        raise ValueError(
            f"y holds times ({y.dtype}); make numbers of them, for instance days since the "
            "first, (y - y.min()) / np.timedelta64(1, 'D')"
        )
    if np.iscomplexobj(y):
        raise ValueError(f"Complex data not supported: y has dtype {y.dtype}")
    if y.ndim not in (1, 2):
        raise ValueError(
            "y must hold numbers of shape (n,) for one target or (n, n_targets) for several; got "
            f"shape {y.shape}"
        )
    try:
        array: NDArray[np.float64] = check_array(
            y, ensure_2d=False, dtype=np.float64, input_name="y", ensure_min_samples=0
        )
    except (TypeError, ValueError) as error:
        advice = _advice_on(error, y)
        if advice is None:
            raise
        raise ValueError(advice) from error
    return array


def _advice_on(error: Exception, y: NDArray[Any]) -> str | None:
    """Return a message for an error of scikit-learn's that says which rows are at fault."""
    message = str(error)
    if "could not convert" in message:
        return f"y must hold numbers; {message}. For labels of classes use a classifier"
    if message.startswith("setting an array element with a sequence"):
        return (
            "y holds arrays or lists where numbers are needed: pass np.stack(y), or np.vstack(y)"
        )
    if "NAType" in message:  # earlier versions of pandas and scikit-learn leave them in
        numbers = [np.nan if type(each).__name__ == "NAType" else each for each in y.flat]
        y, message = np.array(numbers).reshape(y.shape), "contains NaN"
    what = next((what for what in ("NaN", "infinity") if f"contains {what}" in message), None)
    if what is None:
        return None
    y = y.astype(np.float64).reshape(len(y), -1)
    rows = np.flatnonzero((np.isnan(y) if what == "NaN" else np.isinf(y)).any(axis=1))
    return (
        f"Input y contains {what} in {len(rows)} of {len(y)} rows, first in row {rows[0]}; leave "
        "these rows out"
    )


@dataclass(frozen=True)
class Standardization:
    """Targets with mean 0 and standard deviation 1, and back.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_targets,)
        Of the training rows.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, y: NDArray[np.float64], weight: Any = None) -> Self:
        """Find mean and standard deviation of targets of shape (n, n_targets).

        They are those of the rows that count. Where these do not vary the spread is that of all.

        Parameters
        ----------
        y : ndarray of shape (n, n_targets)
        weight : array-like of shape (n,), or None
            What each row counts.

        Raises
        ------
        ValueError
            For a target that does not vary.
        """
        if len(y) == 1:
            raise ValueError("y has 1 sample, and a regressor needs at least 2 that differ")
        mean, scale = _mean_and_spread(y, None)
        if weight is not None:
            counts = np.asarray(weight) > 0
            mean, spread = _mean_and_spread(y[counts], np.asarray(weight)[counts])
            scale = np.where(spread > 1e-15 * np.abs(mean), spread, scale)
        constant = np.flatnonzero(np.ptp(y, axis=0) == 0)
        if len(constant):
            which = f"target {constant[0]} of y" if y.shape[1] > 1 else "y"
            raise ValueError(
                f"{which} is constant: all {len(y)} rows have {float(y[0, constant[0]])}, of "
                "which there is nothing to learn; leave it out, or use "
                "sklearn.dummy.DummyRegressor"
            )
        return cls(mean, scale)

    def forth(self, y: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return standardised targets, of shape (n, n_targets)."""
        # rows without weight may be far away: squares are to be finite as float32
        return np.clip((y - self.mean) / self.scale, -1e15, 1e15).astype(np.float32)

    def back(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return outputs of shape (n, …) in the units of the targets."""
        return z * self.scale + self.mean


def _mean_and_spread(y: NDArray[np.float64], weight: Any) -> tuple[Any, Any]:
    """Mean and standard deviation, also where squares would be too large or small for numbers."""
    power = np.frexp(np.abs(y).max(axis=0))[1]
    y = np.ldexp(y, -power)
    mean = np.average(y, axis=0, weights=weight)
    spread = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weight))
    return np.ldexp(mean, power), np.ldexp(spread, power)

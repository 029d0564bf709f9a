"""Labels made wrong on purpose, to see what a method makes of them."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets

from skmixup.labels import label_column, of_one_type

_KINDS = ("uniform", "pair")


def corrupt_labels(
    y: ArrayLike,
    fraction: float,
    *,
    kind: str = "uniform",
    random_state: int | np.random.RandomState | None = None,
) -> Any:
    """Replace a share of the labels by wrong ones.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any type that scikit-learn accepts for single-output classification.
    fraction : float
        Share of rows to change, in [0, 1]. ``fraction * n_samples`` is rounded to the nearest
        whole number (a half upwards), and exactly so many labels differ afterwards.
    kind : {"uniform", "pair"}, default="uniform"
        ``"uniform"``: each changed row gets one of the *other* classes, all equally likely.
        ``"pair"``: it gets the class that follows its own in sorted order, and the last class
        becomes the first, as between classes that are easily mistaken for each other [2]_.
    random_state : int, RandomState or None, default=None
        Which rows, and which classes. None: different each time. numpy's global state is not
        used.

    Returns
    -------
    ndarray of shape (n_samples,), or a column of the kind of `y`
        A copy; a column of pandas keeps its index, name and dtype, one of polars its name and
        dtype. ``result != y`` tells the changed rows.

    Raises
    ------
    ValueError
        If `fraction` is outside [0, 1], `kind` unknown, `y` not a classification target, of
        fewer than two classes or with missing labels.

    Notes
    -----
    Papers also count a label redrawn from *all* K classes as corrupted [1]_: a share p of such
    draws leaves only p(K − 1)/K labels wrong. Here `fraction` is the share that is wrong.

    With ``kind="uniform"`` the right class stays the most frequent one as long as
    ``fraction < 1 - 1/K``; with ``kind="pair"`` only as long as ``fraction < 0.5``.

    Unlabelled rows (−1, see ``InterpolationConsistencyClassifier``) are a class like any other
    here: corrupt first, then remove labels.

    References
    ----------
    .. [1] Zhang, Bengio, Hardt, Recht, Vinyals. Understanding deep learning requires rethinking
       generalization. ICLR 2017, arXiv 1611.03530.
    .. [2] Han, Yao, Yu, Niu, Xu, Hu, Tsang, Sugiyama. Co-teaching: robust training of deep
       neural networks with extremely noisy labels. NeurIPS 2018, arXiv 1804.06872.

    Examples
    --------
    >>> import numpy as np
    >>> from skmixup.robustness import corrupt_labels
    >>> y = np.array(["cat", "dog", "owl"] * 100)
    >>> int(np.sum(corrupt_labels(y, 0.2, random_state=0) != y))
    60
    >>> corrupt_labels(["cat", "dog", "owl"], 1.0, kind="pair")
    array(['dog', 'owl', 'cat'], dtype='<U3')
    """
    if not isinstance(fraction, Real) or isinstance(fraction, bool) or not 0 <= fraction <= 1:
        raise ValueError(f"fraction must be a number in [0, 1], got {fraction!r}")
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {_KINDS}, got {kind!r}")
    labels = of_one_type(label_column(y))
    check_classification_targets(labels)
    classes, codes = np.unique(labels, return_inverse=True)
    n_changed = int(np.floor(fraction * len(labels) + 0.5))
    if n_changed and len(classes) < 2:
        raise ValueError(
            f"y must hold at least two classes to have wrong labels, got only {classes.tolist()}"
        )
    # the global generator, which check_random_state(None) returns, would be moved on
    seed = None if random_state is None else check_random_state(random_state).randint(2**31)
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(labels), n_changed, replace=False)
    shift = rng.integers(1, len(classes), n_changed) if kind == "uniform" and n_changed else 1
    codes[rows] = (codes[rows] + shift) % len(classes)
    return _like(y, classes[codes], rows)


def _like(y: Any, noisy: NDArray[Any], rows: NDArray[np.int64]) -> Any:
    """Return `noisy`, which differs from `y` in `rows`, as a column of the kind of `y`."""
    if hasattr(y, "iloc"):
        frame = y.copy()
        frame.iloc[(rows, 0) if frame.ndim == 2 else rows] = noisy[rows]
        return frame
    if isinstance(getattr(y, "dtype", None), np.dtype) or not hasattr(y, "__array__"):
        return noisy
    if hasattr(y, "with_columns"):  # a frame of polars, with one column
        return y.with_columns(_like(y.to_series(), noisy, rows))
    if hasattr(y, "alias"):  # a column of polars
        return type(y)(y.name, noisy.tolist(), dtype=y.dtype)
    if hasattr(y, "isna") and not hasattr(y, "to_frame"):  # an array of pandas, and no index
        array = y.copy()
        array[rows] = noisy[rows]
        return array
    return noisy

"""What columns are worth, as trees find it: a network takes noise for a signal, trees do not."""

from collections import OrderedDict
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: More rows, or numbers in them, say little more about which columns matter, and take longer.
MAX_ROWS, MAX_NUMBERS = 4000, 2**22
#: Of a class with few rows among these so many are added, in all at most half as many rows more.
LEAST_OF_CLASS = 50
N_TREES, LEAST_LEAF = 100, 3
#: Trees keep a number for each class in each of their nodes; so many at a time are kept.
MOST_KEPT = 2**23
#: Importances are remembered of so many tables, since others are trained on the same rows: the
#: members of a race on each fold, the network's average beside the network.
N_REMEMBERED = 16

_remembered: OrderedDict[bytes, Floats] = OrderedDict()


def column_importance(X: NDArray[Any], y: NDArray[Any]) -> Floats:
    r"""How much trees gain from each column, compared with the best one.

    The mean decrease in impurity of extremely randomised trees, less that of a column's shadow:
    the trees see each column twice, once with its rows in another order, which says what they
    gain from such a column by chance.

    .. math:: v_j = \max(0, I_j - I'_j) \, / \, \max_k (I_k - I'_k)

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        At most 4000 rows, drawn at random, and fewer of many columns, are looked at, and some
        more of classes that are rare among them.
    y : ndarray of shape (n,) or (n, n_targets)
        One int a row is a class, below 0 an unknown one; else they are numbers.

    Returns
    -------
    ndarray of shape (n_features,)
        From 0 to 1; all 1 where no column is better than its shadow, or classes have less than
        two rows on average. The same for the same rows.

    References
    ----------
    Geurts, Ernst, Wehenkel: Extremely randomized trees. Machine Learning 63, 2006.
    Kursa, Rudnicki: Feature Selection with the Boruta Package. Journal of Statistical Software 36
    (11), 2010 (shadows).

    Examples
    --------
    >>> import numpy as np
    >>> from skmixup.networks.importance import column_importance
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> column_importance(X, (X[:, 1] > 0).astype(int)).round(1)
    array([0., 1., 0.])
    """
    rows = rows_looked_at(y, X.shape[1])
    X, y = X[rows], y[rows]
    parts = (X, y, np.array([*X.shape, *y.shape]), np.array([X.dtype.str, y.dtype.str]))
    key = blake2b(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).digest()
    found = _remembered.get(key)
    if found is None:
        found = _remembered[key] = _by_trees(X, y)
        found.flags.writeable = False
        while len(_remembered) > N_REMEMBERED:
            _remembered.popitem(last=False)
    return found


def is_concentrated(importance: Floats) -> bool:
    """Whether few of many columns matter: the importance is that of less than four in ten.

    As many columns of the same importance have the ratio (Σ v)² / Σ v² (Hill's number, order 2).
    """
    effective = importance.sum() ** 2 / np.square(importance).sum()
    return bool(effective < 0.4 * len(importance))


def rows_looked_at(y: NDArray[Any], n_features: int) -> NDArray[np.int64]:
    """Positions of some of the rows whose class, if `y` holds classes, is known."""
    rows = np.arange(len(y)) if _is_numeric(y) else np.flatnonzero(y >= 0)
    most = min(MAX_ROWS, max(100, MAX_NUMBERS // max(1, n_features)))
    if len(rows) <= most:
        return rows
    rng = np.random.default_rng(0)
    drawn = rng.choice(rows, most, replace=False)
    if not _is_numeric(y):
        drawn = np.append(drawn, _of_rare_classes(y, rows, drawn, rng))
    return np.sort(drawn)


def _of_rare_classes(
    y: NDArray[Any], rows: NDArray[np.int64], drawn: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Rows beside those drawn that bring each class to some, or to all that it has."""
    classes = np.unique(y[rows])
    least = min(LEAST_OF_CLASS, len(drawn) // (2 * len(classes)))
    counts = np.bincount(np.searchsorted(classes, y[drawn]), minlength=len(classes))
    is_rare = counts < least
    candidate = np.isin(y, classes[is_rare])
    candidate[drawn] = False
    others = rng.permutation(np.flatnonzero(candidate))
    found = [
        others[y[others] == label][: least - count]
        for label, count in zip(classes[is_rare], counts[is_rare], strict=True)
    ]
    return np.concatenate([others[:0], *found])


def _is_numeric(y: NDArray[Any]) -> bool:
    return y.ndim == 2 or y.dtype.kind == "f"


def _by_trees(X: NDArray[Any], y: NDArray[Any]) -> Floats:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    n, d = X.shape
    if n == 0:
        return np.ones(d)
    X = _of_one_magnitude(X)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    numeric = _is_numeric(y)
    kind = ExtraTreesRegressor if numeric else ExtraTreesClassifier
    both = np.hstack([X, X[np.random.default_rng(0).permutation(n)]])
    width = y.size // n if numeric else len(np.unique(y))
    if not numeric and width > n // 2:  # too few of each
        return np.ones(d)
    at_once = min(N_TREES, max(1, MOST_KEPT // (n * width)))
    total = np.zeros(2 * d)
    for first in range(0, N_TREES, at_once):
        n_trees = min(at_once, N_TREES - first)
        # n_jobs=1: other processes, where joblib's configuration names them, take far longer.
        trees = kind(
            n_trees, min_samples_leaf=LEAST_LEAF, max_features="sqrt", random_state=first, n_jobs=1
        )
        total += n_trees * trees.fit(both, y).feature_importances_
    gains = np.maximum(total[:d] - total[d:], 0.0)
    found: Floats = gains / gains.max() if gains.max() > 0 else np.ones(d)
    return found


def _of_one_magnitude(X: NDArray[Any]) -> NDArray[Any]:
    """Columns whose largest numbers lie near 2¹⁰⁰, by powers of two, so that no digit changes.

    Trees take values within 1e-7 of each other for equal ones, whatever the column's unit is.
    """
    X = X.astype(np.result_type(X, np.float32), copy=False)
    _, exponent = np.frexp(np.abs(X).max(axis=0))
    scaled: NDArray[Any] = np.ldexp(X, 100 - exponent)
    return scaled

"""Adversarial examples: the small change of the input that hurts a network most."""

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_regressor
from sklearn.utils.validation import check_array, check_consistent_length

from skmixup.labels import label_column, of_one_type, tensor_as_array
from skmixup.quiet import ignoring
from skmixup.robustness.checks import check_at_least_0, check_at_least_1
from skmixup.robustness.gradient import (
    check_columns,
    check_has_gradient,
    check_labels_of,
    columns_of,
    evaluating,
    gradient_sign,
    has_several_labels,
    indicators_of,
    last_step,
    same_randomness,
)

_Clip = tuple[ArrayLike, ArrayLike]


def fgsm(
    clf: Any,
    X: Any,
    y: ArrayLike,
    eps: float,
    *,
    targeted: bool = False,
    clip: _Clip | None = None,
    batch_size: int = 1024,
) -> Any:
    r"""Fast gradient sign method: one step of size `eps` in every coordinate.

    Parameters
    ----------
    clf : fitted classifier
        Any network of this package, any skorch ``NeuralNetClassifier`` or
        ``NeuralNetBinaryClassifier``; or a ``Pipeline`` or a search (``GridSearchCV``, …) that
        ends in one, frozen or not. **The attack is on the input of the last step**: `X` goes
        through the earlier steps first, `eps` and `clip` are in the units that come out of them
        (after a ``StandardScaler``: standard deviations), and so is the result.
    X : array, tensor or DataFrame of shape (n_samples, n_features) or (n_samples, ...)
        Clean rows.
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
        Their true labels; with ``targeted=True`` the labels to be reached. For a plain skorch
        net these are column numbers, as in its ``fit`` and ``predict``. The matrix is of zeros
        and ones, for a classifier with several labels per row.
    eps : float
        Radius of the maximum-norm ball, at least 0, in units of the input of the last step: of
        images of uint8, 8 of 255.
    targeted : bool, default=False
        False: raise the loss of `y`. True: lower it.
    clip : (low, high), default=None
        Range of valid data, numbers or arrays that broadcast against a row, as (0, 1) for
        pixels. The clean rows must lie in it. None: no limit.
    batch_size : int, default=1024
        Rows per forward and backward pass. Has no influence on the result.

    Returns
    -------
    ndarray, tensor or DataFrame of the shape of X
        Adversarial rows, no farther than `eps` from the clean ones in any coordinate. Of the
        kind (pandas and polars frames keep their columns) and floating type of `X`; integers
        and bfloat16 become float32, which holds them, or float64. Predict them by the last step:
        ``pipeline[-1].predict(...)``.

    Raises
    ------
    TypeError
        If no gradient is defined: `clf` is not a network or does not end in one.
    ValueError
        If `eps` or `batch_size` is negative, `X` outside `clip`, a label of `y` unknown, or if
        the columns of `X` are not those of `fit`.

    Warns
    -----
    UserWarning
        If `eps` is less than 1, of images of uint8.

    See Also
    --------
    ifgsm : Many small steps: stronger.
    accuracy_under_attack : What is left of the accuracy.

    Notes
    -----
    With the fitted loss J, as `clf` computes it, in evaluation mode [1]_:

    .. math:: x' = \mathrm{clip}\,(x + \epsilon\,\mathrm{sign}\,\nabla_x J(f(x), y))

    A coordinate whose gradient is 0 stays as it is. If a network is so sure that the loss is 0 in
    its floating type, all coordinates are, and the row is returned unchanged: that does not mean
    that it is robust.

    References
    ----------
    .. [1] Goodfellow, Shlens, Szegedy. Explaining and harnessing adversarial examples. ICLR
       2015, arXiv 1412.6572.

    Examples
    --------
    >>> import torch
    >>> from skorch import NeuralNetClassifier
    >>> from sklearn.datasets import make_blobs
    >>> from skmixup.robustness import fgsm
    >>> X, y = make_blobs(200, centers=2, random_state=0)
    >>> X = X.astype("float32")
    >>> net = NeuralNetClassifier(
    ...     torch.nn.Linear, module__in_features=2, module__out_features=2,
    ...     criterion=torch.nn.CrossEntropyLoss, train_split=None, verbose=0,
    ... ).fit(X, y)
    >>> X_adv = fgsm(net, X, y, eps=0.5)
    >>> print(f"{abs(X_adv - X).max():.2f}")
    0.50
    """
    return ifgsm(
        clf, X, y, eps, step=eps, n_steps=1, targeted=targeted, clip=clip, batch_size=batch_size
    )


def ifgsm(
    clf: Any,
    X: Any,
    y: ArrayLike,
    eps: float,
    step: float | None = None,
    n_steps: int = 10,
    *,
    targeted: bool = False,
    clip: _Clip | None = None,
    batch_size: int = 1024,
) -> Any:
    r"""Iterated fast gradient sign method: many small steps inside the ball.

    Parameters
    ----------
    clf, X, y, eps, targeted, clip, batch_size
        As in `fgsm`.
    step : float, default=None
        Size of one step, at least 0. None: ``eps / 4``, with which the default ten steps can
        cross the ball.
    n_steps : int, default=10
        Number of steps, at least 1.

    Returns
    -------
    ndarray, tensor or DataFrame of the shape of X
        As in `fgsm`.

    Raises
    ------
    TypeError, ValueError
        As in `fgsm`.

    Notes
    -----
    Section 2.2 of [1]_, with B the intersection of the ball around x and the range `clip`:

    .. math:: x_{t+1} = \mathrm{proj}_B\,(x_t + \mathrm{step}\cdot
              \mathrm{sign}\,\nabla_x J(f(x_t), y)), \quad x_0 = x

    A training method that helps against single steps may not help against many: report both.

    References
    ----------
    .. [1] Kurakin, Goodfellow, Bengio. Adversarial examples in the physical world. 2016,
       arXiv 1607.02533.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skmixup import MixupClassifier
    >>> from skmixup.robustness import ifgsm
    >>> X, y = make_blobs(200, centers=2, random_state=0)
    >>> clf = MixupClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> X_adv = ifgsm(clf, X, y, eps=0.5, step=0.1, n_steps=10)
    >>> print(f"{abs(X_adv - X).max():.2f}")
    0.50
    """
    check_at_least_0("eps", eps)
    step = eps / 4 if step is None else step
    check_at_least_0("step", step)
    check_at_least_1("n_steps", n_steps)
    check_at_least_1("batch_size", batch_size)
    net, X = last_step(clf, X)
    check_has_gradient(net, X)
    check_columns(net, X)
    _warn_of_small_eps(net, X, eps)
    clean = _to_floats(X)
    low, high = _check_clip(clip, clean)
    columns = columns_of(net, y, clean)
    direction = -1 if targeted else 1
    adversarial = np.empty_like(clean)
    with evaluating(net):
        for start in range(0, len(clean), batch_size):
            rows = slice(start, start + batch_size)
            # steps may be smaller than what X's own type can add to a row
            x0 = x = clean[rows].astype(np.float64)
            for _ in range(n_steps):
                x = x + (direction * step) * gradient_sign(net, x, columns[rows])
                x = np.clip(np.clip(x, x0 - eps, x0 + eps), low, high)
            adversarial[rows] = _rounded_within(x, clean[rows], eps)
    return _like(X, adversarial)


def accuracy_under_attack(
    clf: Any,
    X: Any,
    y: ArrayLike,
    attack: Callable[..., Any],
    *,
    source: Any = None,
    target: ArrayLike | None = None,
    **attack_params: Any,
) -> float:
    """Accuracy on rows that were changed to be predicted wrong.

    Parameters
    ----------
    clf : fitted classifier
        The classifier that is attacked; anything `fgsm` takes, or with `source` any fitted
        classifier at all.
    X : array, tensor or DataFrame
        Clean rows.
    y : array-like of shape (n_samples,)
        True labels.
    attack : callable
        `fgsm`, `ifgsm`, or a function of your own that is called as
        ``attack(net, X, y, **attack_params)`` and returns changed rows.
    source : fitted classifier, default=None
        The network that the attack is crafted on. None: `clf` itself, whose gradients are then
        known to the attacker (white box). Another network: `clf` is a black box, and the attack
        made on `source` is tried on it (transfer).
    target : array-like of shape (n_samples,), default=None
        Labels the attack steers to; `attack` is then called with them and ``targeted=True``.
    **attack_params
        Passed to `attack`: ``eps`` and so on.

    Returns
    -------
    float
        Share of the changed rows that `clf` predicts as `y`, of several labels all of them.

    Raises
    ------
    TypeError
        If the attack needs a gradient that is not defined.
    ValueError
        If `y` has labels that `clf` does not know; if `clf` and `source` are pipelines that hand
        different values to their last steps: then a change made for one has no meaning for the
        other.

    See Also
    --------
    fgsm, ifgsm

    Examples
    --------
    >>> import torch
    >>> from skorch import NeuralNetClassifier
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skmixup.robustness import accuracy_under_attack, fgsm
    >>> X, y = make_blobs(200, centers=2, random_state=0)
    >>> X = X.astype("float32")
    >>> net = NeuralNetClassifier(
    ...     torch.nn.Linear, module__in_features=2, module__out_features=2,
    ...     criterion=torch.nn.CrossEntropyLoss, train_split=None, verbose=0, lr=0.1,
    ... ).fit(X, y)
    >>> accuracy_under_attack(net, X, y, fgsm, eps=5.0) < 0.1
    True
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> transferred = accuracy_under_attack(forest, X, y, fgsm, eps=5.0, source=net)
    """
    if not callable(attack):
        raise TypeError(f"attack must be a function such as fgsm or ifgsm, got {attack!r}")
    if target is not None:
        attack_params["targeted"] = True
    elif attack_params.get("targeted"):
        raise ValueError("targeted=True needs the labels to steer to: pass target=")
    victim, victim_input = last_step(clf, X)
    if is_regressor(victim):
        raise TypeError(
            f"clf must be a classifier, whose accuracy is the share of right labels; got {clf!r}"
        )
    several = has_several_labels(victim, victim_input, y)
    labels = indicators_of(victim, y) if several else label_column(y)
    if not several:
        check_labels_of(victim, of_one_type(labels))
    crafter, crafter_input = last_step(clf if source is None else source, X)
    if source is not None:
        _check_same_input(victim_input, crafter_input)
    adversarial = attack(crafter, crafter_input, y if target is None else target, **attack_params)
    if np.shape(adversarial) != np.shape(crafter_input):
        raise ValueError(
            f"attack must return rows of shape {np.shape(crafter_input)}, "
            f"got {np.shape(adversarial)}"
        )
    # the attack has looked at the names of the same columns, and warned
    warned = crafter is victim and getattr(attack, "func", attack) in (fgsm, ifgsm)
    once = ignoring("X does not have valid feature names") if warned else nullcontext()
    with same_randomness(victim), once:
        predicted = victim.predict(adversarial)
    check_consistent_length(predicted, labels)
    if several:
        return float(np.mean((indicators_of(victim, predicted) == labels).all(axis=1)))
    return float(np.mean(predicted == labels))


def _warn_of_small_eps(net: Any, X: Any, eps: float) -> None:
    """Warn of a radius below one pixel value, as of 8 / 255 where pixels are 0 … 255."""
    fitted = net.__dict__.get("_pixel_range_")
    pixels = isinstance(fitted, tuple) and bool(fitted[2])
    pixels |= str(getattr(X, "dtype", "")).endswith("uint8") and X.ndim >= 4
    if pixels and 0 < eps < 1:
        warnings.warn(
            f"eps={eps:.4g} is in units of pixels from 0 to 255, of which it changes next to "
            f"nothing: if they were to be from 0 to 1, pass eps={255 * eps:.4g}",
            UserWarning,
            stacklevel=3,
        )


def _to_floats(X: Any) -> NDArray[Any]:
    array = check_array(tensor_as_array(X), dtype="numeric", allow_nd=True, input_name="X")
    if array.dtype.kind != "f":
        single = array.astype(np.float32)
        return single if (single == array).all() else array.astype(np.float64)
    # torch knows neither long doubles nor numbers of machines that write bytes in another order
    return array.astype(
        np.float64 if array.itemsize > 8 else array.dtype.newbyteorder("="), copy=False
    )


def _rounded_within(x: NDArray[Any], clean: NDArray[Any], eps: float) -> NDArray[Any]:
    """Round to the type of the clean rows, never to more than `eps` from them."""
    with np.errstate(over="ignore"):  # the largest number is the next one to infinity
        rounded = x.astype(clean.dtype)
    inward = np.nextafter(rounded, clean)
    too_far = np.abs(rounded.astype(np.float64) - clean.astype(np.float64)) > eps
    return np.where(too_far, inward, rounded)


def _like(X: Any, array: NDArray[Any]) -> Any:
    if isinstance(X, torch.Tensor):
        return torch.as_tensor(array, device=X.device)
    if hasattr(X, "iloc"):
        return type(X)(array, index=X.index, columns=X.columns)
    if hasattr(X, "columns"):  # polars
        return type(X)(array, schema=X.columns)
    return array


def _check_same_input(victim_input: Any, crafter_input: Any) -> None:
    same = victim_input is crafter_input or (
        np.shape(victim_input) == np.shape(crafter_input)
        and np.allclose(_to_floats(victim_input), _to_floats(crafter_input))
    )
    if not same:
        raise ValueError(
            "clf and source hand different values to their last steps, where the attack takes "
            "place: fit both behind the same preprocessing"
        )


def _check_clip(clip: _Clip | None, X: NDArray[Any]) -> tuple[Any, Any]:
    if clip is None:
        return -np.inf, np.inf
    try:
        low, high = (np.asarray(bound, dtype=X.dtype) for bound in clip)
        valid = bool(np.all(low <= high))
        inside = bool(np.all((low <= X) & (high >= X)))
    except (TypeError, ValueError) as error:
        raise ValueError(
            "clip must be (low, high), numbers or arrays that broadcast against a row of shape "
            f"{X.shape[1:]}, got {clip!r}"
        ) from error
    if not valid:
        raise ValueError(f"clip must be (low, high) with low <= high, got {clip!r}")
    if not inside:
        raise ValueError(
            f"X has values outside clip={clip!r} (from {X.min():.4g} to {X.max():.4g}); clip is "
            "in units of the input of the last step"
        )
    return low, high

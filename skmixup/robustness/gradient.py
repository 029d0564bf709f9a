"""The gradient of a fitted network's loss with respect to its input."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.helper import SliceDataset
from torch import nn

from skmixup.labels import (
    has_masked,
    in_known_order,
    is_matrix,
    label_column,
    of_one_type,
    unknown_labels,
)
from skmixup.randomness.fit import preserved_randomness


def last_step(clf: Any, X: Any) -> tuple[Any, Any]:
    """Return the last step of a pipeline or a search, and X as the steps before hand it on.

    Estimators that are frozen count as what is in them.
    """
    if hasattr(clf, "best_estimator_"):
        return last_step(clf.best_estimator_, X)
    if isinstance(clf, FrozenEstimator):
        return last_step(clf.estimator, X)
    if isinstance(clf, Pipeline):
        check_is_fitted(clf)
        return last_step(clf[-1], clf[:-1].transform(X) if len(clf) > 1 else X)
    return clf, X


def check_has_gradient(net: Any, X: Any) -> None:
    """Raise TypeError unless the loss of `net` can be differentiated with respect to X."""
    if not isinstance(net, NeuralNetClassifier | NeuralNetBinaryClassifier):
        raise TypeError(
            "the attack needs the gradient of the loss, so clf must be a fitted skorch "
            f"classifier, or a Pipeline or search that ends in one; got {net!r}. To attack "
            "a classifier without gradients, craft the attack on a network: "
            "accuracy_under_attack(..., source=net)"
        )
    check_is_fitted(net)
    lookups = (torch.nn.Embedding, torch.nn.EmbeddingBag)
    looks_up = any(isinstance(module, lookups) for module in net.module_.modules())
    if looks_up and "int" in str(getattr(X, "dtype", "")):
        raise TypeError(
            f"X holds integers, which {type(net.module_).__name__} looks up in a table (an "
            "Embedding): the loss has no gradient with respect to them"
        )


def check_columns(net: Any, X: Any) -> None:
    """Raise ValueError unless X has the columns that `net` was fitted on, as ``predict`` does."""
    data = torch.utils.data
    if isinstance(X, data.Dataset | data.DataLoader | SliceDataset | Mapping):
        remedy = "pass its inputs as X and its labels as y"
        if isinstance(X, Mapping):
            remedy = "a network with several inputs has none; fit one with a single input"
        raise TypeError(
            f"the attack changes rows of one array, tensor or DataFrame; got X of type "
            f"{type(X).__name__}: {remedy}"
        )
    if has_masked(X):
        raise ValueError(
            "X is a masked array, and the values under its mask are no data: leave those rows out"
        )
    if hasattr(net, "n_features_in_") and hasattr(X, "shape"):
        validate_data(net, X, reset=False, skip_check_array=True)
    shape = tuple(getattr(X, "shape", ())[1:])
    fitted = getattr(net, "input_shape_", None)
    if fitted is not None and shape and shape != tuple(fitted):
        raise ValueError(
            f"X has rows of shape {shape}, but {type(net).__name__} was fitted on rows of shape "
            f"{tuple(fitted)}"
        )


def columns_of(net: Any, y: ArrayLike, X: NDArray[Any]) -> NDArray[Any]:
    """Return the number of the module's output that belongs to each label of `y`.

    Of several labels per row, their matrix of zeros and ones.

    Raises
    ------
    ValueError
        For a label that the net does not know.
    """
    if getattr(net, "multilabel_", False):
        indicators = indicators_of(net, y)
        check_consistent_length(X, indicators)
        return indicators
    labels = of_one_type(label_column(y))
    check_consistent_length(X, labels)
    check_labels_of(net, labels)
    if _predicts_columns(net):
        return labels.astype(np.int64)
    classes = np.asarray(net.classes_)
    order = np.argsort(classes)
    return order[np.searchsorted(classes, labels, sorter=order)].astype(np.int64)


def check_labels_of(clf: Any, labels: NDArray[Any]) -> None:
    """Raise ValueError for labels that `clf` cannot predict, which would all count as wrong."""
    if _predicts_columns(clf):
        if labels.dtype.kind not in "iu" or labels.min() < 0:
            raise ValueError(
                f"y must hold column numbers, as in {type(clf).__name__}.predict, got "
                f"{np.unique(labels)[:10].tolist()}"
            )
    elif hasattr(clf, "classes_"):
        classes = np.asarray(clf.classes_)
        unknown = unknown_labels(labels, classes)
        if unknown:
            raise ValueError(
                f"y holds {unknown[:10]}, not in clf.classes_ {classes[:10].tolist()}"
            )


def _predicts_columns(clf: Any) -> bool:
    """Whether `predict` is skorch's own, which returns column numbers, whatever classes_ says."""
    return getattr(type(clf), "predict", None) is NeuralNetClassifier.predict


def has_several_labels(clf: Any, X: Any, y: Any) -> bool:
    """Whether `clf` predicts several labels per row: others than ours show it in predictions."""
    if hasattr(clf, "multilabel_"):
        return bool(clf.multilabel_)
    if not is_matrix(y):
        return False
    with same_randomness(clf):
        return len(clf.predict(X).shape) == 2


def indicators_of(net: Any, y: Any) -> NDArray[np.float32]:
    """Return several labels per row as zeros and ones; ValueError where `y` is anything else."""
    y = in_known_order(y, net.__dict__.get("_target_names_", []))
    indicators = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
    n_labels = len(net.classes_)
    if indicators.shape[1:] != (n_labels,) or not np.isin(indicators, (0, 1)).all():
        raise ValueError(
            f"{type(net).__name__} was fitted on several labels per row: y must be a matrix (n, "
            f"{n_labels}) of zeros and ones; got shape {indicators.shape}"
        )
    return indicators.astype(np.float32)


def gradient_sign(net: Any, x: NDArray[Any], columns: NDArray[Any]) -> NDArray[Any]:
    """Return the sign of the gradient of the loss with respect to rows `x`, of their shape.

    Parameters and their gradients stay as they are.

    Raises
    ------
    TypeError
        If the output of the module does not depend on `x` by a gradient.
    """
    like = next(iter(net.module_.parameters()), torch.empty(0))
    exact = torch.autocast(like.device.type, enabled=False)
    with torch.inference_mode(False), torch.enable_grad(), exact:
        inputs = torch.tensor(x, dtype=like.dtype, device=like.device, requires_grad=True)
        target = torch.tensor(columns, device=like.device)
        if isinstance(net, NeuralNetBinaryClassifier):
            target = target.to(like.dtype)
        loss = net.get_loss(net.infer(inputs), target, X=inputs, training=False).sum()
        # not backward(), which would leave gradients in the parameters
        gradient = (
            torch.autograd.grad(loss, inputs, allow_unused=True)[0] if loss.requires_grad else None
        )
    if gradient is None:
        raise TypeError(
            f"the output of {type(net.module_).__name__} has no gradient with respect to X: the "
            "module detaches its input or turns it into integers"
        )
    return gradient.sign().cpu().numpy().astype(x.dtype)


@contextmanager
def evaluating(net: Any) -> Iterator[None]:
    """Evaluation mode, in the module's own precision; every submodule gets its own mode back."""
    modes = [(module, module.training) for module in net.module_.modules()]
    net.module_.eval()
    try:
        with same_randomness(net), getattr(net, "full_precision", nullcontext)():
            yield
    finally:
        for module, training in modes:
            module.training = training


def same_randomness(clf: Any) -> AbstractContextManager[Any]:
    """Context that leaves random states as they were: a DataLoader draws a seed every time."""
    module = getattr(clf, "module_", None)
    module = module if isinstance(module, nn.Module) else None
    parameter = None if module is None else next(module.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    return preserved_randomness(device, module)

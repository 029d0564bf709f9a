"""What each criterion takes as output and as target, and how its outputs become probabilities."""

import warnings
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skmixup.networks import MLP, PreActResNet
from skmixup.networks.members import average_members
from skmixup.training.several_outputs import rehearse, takes_all_outputs
from skmixup.vicinal.blocks import unwrap
from skmixup.vicinal.loss import first_output, name_of, needs_row_losses, row_losses

# Compared with a label element by element: the label of a class is one-hot.
_SQUARED = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss)
SIGMOID = (nn.BCEWithLogitsLoss, nn.MultiLabelSoftMarginLoss)
ONE_HOT = (*SIGMOID, nn.BCELoss, *_SQUARED)
_NOTHING_IGNORED = nn.CrossEntropyLoss().ignore_index  # torch's default
# These take one output for two classes, as in skorch's NeuralNetBinaryClassifier.
_BINARY = (nn.BCEWithLogitsLoss, nn.BCELoss)


def criterion_of(net: Any) -> Any:
    """Return the criterion without wrappers, or None where a user's net has no ``criterion_``."""
    criterion = net.__dict__.get("criterion_")
    return unwrap(criterion) if isinstance(criterion, nn.Module) else criterion


def returns_logits(module: nn.Module) -> bool:
    """Whether the module is a default network, maybe wrapped."""
    module = unwrap(module)
    while isinstance(module, (nn.Sequential, nn.DataParallel)):
        children = list(module.children())
        if len(children) != 1:
            return False
        module = unwrap(children[0])
    return isinstance(module, (MLP, PreActResNet))


#: Of an error for outputs without the axis of the rows.
LOST_AXIS = (
    ". Of a minibatch of one row squeeze() takes away the axis of rows too: squeeze(1) does not"
)


def let_average(module: nn.Module | None, criterion: Any) -> None:
    """Let default networks within `module` average their members as suits the criterion."""
    for network in module.modules() if isinstance(module, nn.Module) else ():
        if isinstance(network, MLP):
            network.averages_probabilities = _is_likelihood(criterion)


def averaged(logits: Tensor, criterion: Any) -> Tensor:
    """Logits of members, shape (n, n_classes, k), averaged as the default network does."""
    return average_members(logits) if _is_likelihood(criterion) else logits.mean(dim=2)


def _is_likelihood(criterion: Any) -> bool:
    return isinstance(criterion, (nn.CrossEntropyLoss, nn.NLLLoss))


def is_binary_output(criterion: Any, logits: Tensor, n_classes: int) -> bool:
    """Whether the module has one output for two classes and the criterion takes that."""
    return n_classes == 2 and _is_one_a_row(logits) and isinstance(criterion, _BINARY)


def _is_one_a_row(outputs: Tensor) -> bool:
    return outputs.ndim == 1 or (outputs.ndim == 2 and outputs.shape[1] == 1)


def check_logits(logits: Any, criterion: Any, classes: Any) -> None:
    """Raise ValueError unless there is one output for each class."""
    n_classes = len(classes)
    fits = isinstance(logits, Tensor) and logits.ndim >= 2 and logits.shape[1] == n_classes
    if fits or (isinstance(logits, Tensor) and is_binary_output(criterion, logits, n_classes)):
        return
    if not isinstance(logits, Tensor) or logits.ndim < 2:
        what = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        squeezed = LOST_AXIS if what in ((), (n_classes,)) else ""
        raise ValueError(
            f"the module must return logits of shape (n, {n_classes}); got {what}{squeezed}"
        )
    advice = ""
    if n_classes == 2 and logits.shape[1] == 1:
        advice = ". One logit for two classes needs criterion=torch.nn.BCEWithLogitsLoss"
    raise ValueError(
        f"the module returns {logits.shape[1]} logits, but y has {n_classes} "
        f"classes: {classes[:20].tolist()}{advice}"
    )


def targets_for(criterion: Any, output: Any, codes: Tensor) -> Tensor:
    """Class codes as the criterion takes them: as they are, one-hot, or 0 and 1 for one output.

    Of soft labels, shape (n, n_classes), one output takes the share of the second class.
    """
    logits = first_output(output)
    if not isinstance(criterion, ONE_HOT):
        return codes
    dtype = logits.dtype if logits.is_floating_point() else torch.get_default_dtype()
    if logits.ndim == 1 or logits.shape[1] == 1:
        codes = codes[:, 1] if codes.ndim == 2 else codes  # soft labels
        return codes.to(dtype).view(-1, *[1] * (logits.ndim - 1)).expand(-1, *logits.shape[1:])
    return codes if codes.ndim > 1 else F.one_hot(codes, logits.shape[1]).to(dtype)


def as_log_probabilities(outputs: Tensor, *, are_logits: bool) -> Tensor:
    """Return the log-probabilities that NLLLoss takes.

    Modules written for skorch return probabilities, those written for torch their logarithms. The
    values tell which: the largest probability of a row is at least 1/C, and no logarithm of one is
    positive.
    """
    if are_logits:
        return torch.log_softmax(outputs, dim=1)
    low, high = torch.aminmax(outputs.detach())
    tolerance = _tolerance(outputs)
    if high <= tolerance:
        return outputs
    if low < -tolerance:
        raise ValueError(_not_a_likelihood(outputs))
    return torch.log(outputs + torch.finfo(outputs.dtype).eps)


def _not_a_likelihood(outputs: Tensor) -> str:
    row = [round(v, 3) for v in outputs[0].flatten().tolist()[:5]]
    return (
        "criterion NLLLoss takes probabilities, or their logarithms, but the module's output for "
        f"a row is {row}, which is neither. For logits use criterion=torch.nn.CrossEntropyLoss, "
        "which is the same loss; otherwise end the module in torch.nn.Softmax(dim=1) or "
        "torch.nn.LogSoftmax(dim=1)"
    )


def to_probabilities(outputs: Tensor, criterion: Any, *, are_logits: bool) -> Tensor:
    """Probabilities of shape (n, n_classes) from the outputs of a module trained on `criterion`.

    Parameters
    ----------
    outputs : Tensor of shape (n, n_classes), or (n,) or (n, 1) for two classes
    criterion : callable or None
    are_logits : bool
        Whether the module is known to return logits, whatever the criterion.
    """
    if isinstance(criterion, nn.CrossEntropyLoss):
        return torch.softmax(outputs, dim=-1)
    if isinstance(criterion, SIGMOID):
        return _normalized(torch.sigmoid(outputs))
    if isinstance(criterion, (nn.BCELoss, *_SQUARED)):
        return _normalized(outputs.clamp(min=0))
    if isinstance(criterion, nn.NLLLoss):
        if are_logits:
            return torch.softmax(outputs, dim=-1)
        logarithms = len(outputs) > 0 and outputs.detach().max() <= _tolerance(outputs)
        return outputs.exp() if logarithms else outputs
    # For any other criterion the outputs are logits, unless they are probabilities already.
    return outputs if look_like_probabilities(outputs) else torch.softmax(outputs, dim=-1)


def _normalized(shares: Tensor) -> Tensor:
    if _is_one_a_row(shares):
        shares = shares.reshape(-1)
        return torch.stack([1 - shares, shares], dim=1)
    shares = shares + torch.finfo(shares.dtype).tiny
    return shares / shares.sum(dim=1, keepdim=True)


def look_like_probabilities(outputs: Tensor) -> bool:
    """Whether every row is at least 0 and sums to 1."""
    if outputs.ndim != 2 or outputs.shape[1] < 2 or not outputs.is_floating_point():
        return False
    tolerance = _tolerance(outputs)
    outputs = outputs.detach().cpu().double()  # Apple's MPS knows no float64
    return bool(((outputs.sum(dim=1) - 1).abs() <= tolerance).all() and (outputs >= 0).all())


def _is_torchs(criterion: Any) -> bool:
    return any(base.__module__ == nn.MSELoss.__module__ for base in type(criterion).__mro__)


def _tolerance(outputs: Tensor) -> float:
    return 1e-4 if outputs.dtype in (torch.float32, torch.float64) else 2e-2


def check_ignored_label(criterion: Any, classes: Any) -> None:
    """Raise ValueError if the criterion's ``ignore_index`` may be a label or a class code.

    The criterion sees class codes, positions in `classes`. Labels 0 … C − 1 are their own codes;
    with other labels it would ignore another class than the user means.
    """
    ignored = getattr(criterion, "ignore_index", None)
    labels, n_classes = classes.tolist(), len(classes)
    if ignored is None or ignored == _NOTHING_IGNORED or labels == list(range(n_classes)):
        return
    if ignored in labels or 0 <= ignored < n_classes:
        raise ValueError(
            f"criterion__ignore_index={ignored} does not say which rows to ignore: the labels are "
            f"{labels[:20]}, and the criterion sees their positions, 0 to {n_classes - 1}. Leave "
            "these rows out of X and y, or give them sample_weight=0 in fit"
        )


def _check_options(criterion: Any, n_classes: int) -> None:
    smoothing = getattr(criterion, "label_smoothing", 0.0)
    if isinstance(criterion, nn.CrossEntropyLoss) and not 0 <= smoothing <= 1:
        raise ValueError(f"criterion__label_smoothing must be in [0, 1]; got {smoothing!r}")
    weight = getattr(criterion, "weight", None)
    if (
        isinstance(criterion, nn.CrossEntropyLoss | nn.NLLLoss)
        and weight is not None
        and weight.shape != (n_classes,)
    ):
        raise ValueError(
            f"criterion__weight has the shape {tuple(weight.shape)}; it needs one weight for each "
            f"of the {n_classes} classes"
        )


def try_criterion(
    criterion: Any, output: Any, n_classes: int, *, are_logits: bool, needs_rows: bool
) -> None:
    """Before training, try the criterion on the module's output for a few rows.

    Parameters
    ----------
    criterion : callable
    output : Tensor or tuple
        Of the module in evaluation mode.
    n_classes : int
    are_logits : bool
        Whether the module is known to return logits.
    needs_rows : bool
        Whether training will need the loss of each row.

    Raises
    ------
    ValueError
        Where the criterion wants another kind of output or cannot be computed.
    TypeError
        Where it cannot give the loss of each row, and `needs_rows`.

    Warns
    -----
    UserWarning
        Where a cross-entropy, which takes logits, gets probabilities.
    """
    _check_options(criterion, n_classes)
    logits = first_output(output).detach()
    if logits.ndim > 2 or not bool(torch.isfinite(logits).all()):
        return
    if isinstance(criterion, nn.CrossEntropyLoss) and look_like_probabilities(logits):
        warnings.warn(
            f"the module returns probabilities, but criterion={name_of(criterion)} takes logits "
            "and applies the softmax itself: training will be slow and predictions too unsure. "
            "Leave the softmax out of the module, or use criterion=torch.nn.NLLLoss, which takes "
            "probabilities here",
            UserWarning,
            stacklevel=2,
        )
    if isinstance(criterion, nn.NLLLoss) and not (
        are_logits or look_like_probabilities(logits) or look_like_probabilities(logits.exp())
    ):
        raise ValueError(_not_a_likelihood(logits))
    if isinstance(output, tuple):
        codes = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
        if takes_all_outputs(criterion, output, codes):
            return
    if needs_rows or not _is_likelihood(criterion):  # likelihoods are known to fit
        # not as many rows as classes, to tell the two axes apart
        n_rows = 3 if n_classes == 2 else 2
        logits = torch.cat([logits] * n_rows)[:n_rows]
        codes = torch.arange(n_rows, device=logits.device) % n_classes
        if isinstance(criterion, nn.NLLLoss):
            logits = as_log_probabilities(logits, are_logits=are_logits)
        target = targets_for(criterion, logits, codes)
        what = "the classes, as codes" if target is codes else "the classes, one-hot"
        try_on_target(criterion, logits, target, what=what, needs_rows=needs_rows)


def try_on_target(
    criterion: Any, outputs: Tensor, target: Tensor, *, what: str, needs_rows: bool
) -> None:
    """Compute the loss of a few rows; an error says what the criterion was given.

    Parameters
    ----------
    criterion : callable
    outputs : Tensor
        Of the module.
    target : Tensor
        As the criterion takes it.
    what : str
        What that is, for the message.
    needs_rows : bool
        Whether training will need the loss of each row.
    """
    try:
        deepcopy(criterion)  # what is tried is a copy, and not every criterion has one
    except Exception:
        return
    try:
        with torch.no_grad():
            loss = rehearse(row_losses, criterion, outputs, target)
    except Exception as error:
        advice = ""
        if isinstance(criterion, nn.BCELoss):
            advice = ". BCELoss takes probabilities; for logits use torch.nn.BCEWithLogitsLoss"
        elif not target.is_floating_point() and not _is_torchs(criterion):
            advice = (
                ". If it takes labels of the output's shape, let it make them: "
                f"torch.nn.functional.one_hot(target, {outputs.shape[-1]}).float()"
            )
        raise ValueError(
            f"criterion {name_of(criterion)} cannot be computed on the module's outputs, of shape "
            f"{tuple(outputs.shape)}, and {what}, of shape {tuple(target.shape)}: {error}{advice}"
        ) from error
    if needs_rows and loss.ndim == 0:
        raise TypeError(needs_row_losses(criterion))

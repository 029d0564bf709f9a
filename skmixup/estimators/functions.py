"""Losses that are functions, such as those of torch.nn.functional, as criterions."""

from collections.abc import Callable
from functools import partial
from inspect import Parameter, isroutine, signature
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

# The module for each function, so that what is known of the module holds for the function.
_MODULES: dict[Any, type[nn.Module]] = {
    F.cross_entropy: nn.CrossEntropyLoss,
    F.nll_loss: nn.NLLLoss,
    F.binary_cross_entropy: nn.BCELoss,
    F.binary_cross_entropy_with_logits: nn.BCEWithLogitsLoss,
    F.multilabel_soft_margin_loss: nn.MultiLabelSoftMarginLoss,
    F.multi_margin_loss: nn.MultiMarginLoss,
    F.mse_loss: nn.MSELoss,
    F.l1_loss: nn.L1Loss,
    F.smooth_l1_loss: nn.SmoothL1Loss,
    F.huber_loss: nn.HuberLoss,
    F.gaussian_nll_loss: nn.GaussianNLLLoss,
}


class FunctionLoss(nn.Module):
    """A criterion from a function of output and target.

    Parameters
    ----------
    function : callable
        Where it has a parameter `reduction`, the criterion has an attribute of that name.
    **options
        Further arguments of `function`.
    """

    def __init__(self, function: Callable[..., Tensor], **options: Any):
        super().__init__()
        parameters = signature(function).parameters
        self.function = function
        if "reduction" in parameters:
            self.reduction = options.pop("reduction", parameters["reduction"].default)
        self.options = options
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def forward(self, output: Any, target: Tensor) -> Tensor:
        """Return the function's value."""
        options = self.options
        if "reduction" in self.__dict__:
            options = {**options, "reduction": self.reduction}
        return self.function(output, target, **options)

    def extra_repr(self) -> str:
        """Return the name of the function, for the repr."""
        return self.__name__


def as_criterion(given: Any, options: dict[str, Any]) -> nn.Module | None:
    """Return a criterion if `given` is a loss function of output and target, else None.

    None also for what makes a criterion when it is called: a class, or a function that needs no
    arguments.
    """
    if isinstance(given, partial) and not given.args:
        inner = as_criterion(given.func, {**given.keywords, **options})
        return inner if isroutine(given.func) else None
    if not isroutine(given):
        return None
    if given in _MODULES:
        return _MODULES[given](**options)
    try:
        parameters = list(signature(given).parameters.values())
    except (TypeError, ValueError):
        return None
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in positional and p.default is Parameter.empty]
    return FunctionLoss(given, **options) if len(needed) >= 2 else None

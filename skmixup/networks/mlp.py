"""The default network for tables."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from skmixup.networks.embeddings import PeriodicEmbeddings, PiecewiseLinearEmbeddings
from skmixup.networks.importance import column_importance
from skmixup.networks.members import (
    MemberDropout,
    MemberHeads,
    MemberInputs,
    average_members,
)
from skmixup.networks.scaling import RobustScaling
from skmixup.networks.sizes import check_dropout, check_each, check_sizes

#: Arguments of a network that is one of several trained apart: those are an ensemble without its
#: having members, and it can be wider for the same time.
APART: dict[str, Any] = {
    "hidden_sizes": (256, 256),
    "n_members": 1,
    "activation": nn.SiLU,
    "embedding": "periodic",
}

#: Arguments of a network that is trained for a number of epochs that nothing was held out for:
#: a wide one with embeddings gains where targets follow from the columns, and loses in noise.
NARROW: dict[str, Any] = {"hidden_sizes": (128, 128), "embedding": None}

EMBEDDINGS = {"periodic": PeriodicEmbeddings, "piecewise": PiecewiseLinearEmbeddings}
# Of more columns embedding="auto" embeds none.
MAX_EMBEDDED = 256


class MLP(nn.Module):
    """Multilayer perceptron for tables: scaled inputs, and members that predict together.

    Columns are scaled and outliers bent (:class:`RobustScaling`), a few learnt functions of
    each stand beside it, then follow blocks of Linear, activation and dropout, and a linear head.
    `n_members` such networks are trained at once; they share the weights of the blocks and differ
    in a vector that multiplies the inputs and in their heads. Each has its own loss; the mean of
    their probabilities is the prediction.

    Parameters
    ----------
    n_features : int
    n_outputs : int
        Number of logits.
    hidden_sizes : sequence of int, default=(256, 256)
        Width of each block; an empty sequence gives a linear model.
    n_members : int, default=4
        1 is a plain perceptron.
    dropout : float, default=0.1
        Probability of dropping a unit after each block, in all members alike.
    activation : nn.Module class, default=nn.ReLU
        Made without arguments, once for each block.
    batch_norm : bool, default=False
        Normalise before the activation; only with ``n_members=1``, since members would share the
        statistics.
    scale_inputs : bool, default=True
        Whether columns are scaled, by quantiles of the training rows that `fit` shows to
        :meth:`adapt_to_data`.
    embedding : {"auto", "periodic", "piecewise"} or None, default="auto"
        "periodic": each scaled column beside three learnt periodic functions of it
        (:class:`~skmixup.networks.embeddings.PeriodicEmbeddings`). "piecewise": beside three
        learnt piecewise linear ones, with bins between quantiles of the training rows
        (:class:`~skmixup.networks.embeddings.PiecewiseLinearEmbeddings`). "auto": "periodic" for
        up to 256 columns, and None for more, which would take several times as long.
    column_weights : {"importance"} or None, default=None
        What half of the members, or the only one, multiply each column and its curves by. None:
        1, as the others do. "importance": how much trees gain from the column on the training
        rows, compared with the best one
        (:func:`~skmixup.networks.importance.column_importance`), 0 for one that is no better than
        noise. Networks take chance for signal where few of many columns matter, which trees do
        not; where most matter, or only together, it is a loss. `fit` of an estimator with
        ``max_epochs="auto"`` finds out, unless this is given.

    Shape
    -----
    Input (n, n_features), output (n, n_outputs); while training with more than one member,
    (n, n_outputs, n_members).

    Attributes
    ----------
    blocks : nn.Sequential
        Layer k of manifold mixup is the output of the k-th block.
    column_weight : Tensor of shape (n_members, n_features · (1 + curves))
        The weights of columns and curves. A buffer, so that it is saved with the weights.
    averages_probabilities : bool, default=True
        What is averaged over members for a prediction: their probabilities or, with False, their
        logits, for losses whose outputs are not made probabilities by a softmax. Estimators set
        it.
    temperature : Tensor of shape ()
        Logits are divided by it in evaluation mode, never in training; 1 at the beginning. A
        buffer, so that it is saved with the weights. `fit` of a classifier with
        ``max_epochs="auto"`` sets it.

    Raises
    ------
    ValueError
        For sizes that are no ints of at least 1, a `dropout` outside [0, 1), `batch_norm` with
        more than one member, and for an `embedding` or `column_weights` that do not exist.
    TypeError
        For an `activation` that is no class of modules made without arguments.

    Notes
    -----
    The defaults were chosen in trials on tables; benchmarks/results/tabular_defaults.md says what
    others did there.

    References
    ----------
    Gorishniy, Kotelnikov, Babenko: TabM: Advancing Tabular Deep Learning with
    Parameter-Efficient Ensembling. ICLR 2025, arXiv:2410.24210 (the members are those of its
    TabM-mini).

    Examples
    --------
    >>> import torch
    >>> from skmixup.networks import MLP
    >>> MLP(20, 3, hidden_sizes=(32, 16)).eval()(torch.zeros(5, 20)).shape
    torch.Size([5, 3])
    """

    averages_probabilities = True
    n_outputs = 1  # of networks that an earlier version has pickled
    column_weights: str | None = None
    column_weight: Tensor
    temperature: Tensor

    def __init__(
        self,
        n_features: int,
        n_outputs: int,
        *,
        hidden_sizes: Sequence[int] = (256, 256),
        n_members: int = 4,
        dropout: float = 0.1,
        activation: type[nn.Module] = nn.ReLU,
        batch_norm: bool = False,
        scale_inputs: bool = True,
        embedding: str | None = "auto",
        column_weights: str | None = None,
    ):
        super().__init__()
        check_each(n_features=n_features, n_outputs=n_outputs, n_members=n_members)
        check_sizes("hidden_sizes", hidden_sizes)
        check_dropout(dropout)
        if batch_norm and n_members > 1:
            raise ValueError(
                f"batch_norm=True needs n_members=1 (members would share statistics); got "
                f"n_members={n_members}"
            )
        if embedding not in ("auto", *EMBEDDINGS, None):
            raise ValueError(
                f"embedding must be 'auto', 'periodic', 'piecewise' or None; got {embedding!r}"
            )
        if column_weights not in ("importance", None):
            raise ValueError(
                f"column_weights must be 'importance' or None; got {column_weights!r}"
            )
        self.n_members = n_members
        self.n_outputs = n_outputs
        self.column_weights = column_weights
        self.scaling = RobustScaling(n_features) if scale_inputs else nn.Identity()
        self.embedding: nn.Module = nn.Identity()
        if embedding == "auto":
            embedding = "periodic" if n_features <= MAX_EMBEDDED else None
        if embedding is not None:
            self.embedding = embedded = EMBEDDINGS[embedding](n_features)
            n_features = embedded.n_outputs
        self.register_buffer("column_weight", torch.ones(n_members, n_features))
        sizes = [n_features, *hidden_sizes]
        self.members = MemberInputs(n_features, n_members) if n_members > 1 else nn.Identity()
        dropout_kind = MemberDropout if n_members > 1 else nn.Dropout
        self.blocks = nn.Sequential()
        for fan_in, fan_out in pairwise(sizes):
            block = nn.Sequential(nn.Linear(fan_in, fan_out))
            if batch_norm:
                block.append(nn.BatchNorm1d(fan_out))
            block.append(_made(activation))
            if dropout > 0:
                block.append(dropout_kind(dropout))
            self.blocks.append(block)
        self.head = (
            MemberHeads(sizes[-1], n_outputs, n_members)
            if n_members > 1
            else nn.Linear(sizes[-1], n_outputs)
        )
        self.register_buffer("temperature", torch.ones(()))
        self.mixup_layers = [f"blocks.{i}" for i in range(len(self.blocks))]

    def adapt_to_data(self, X: Tensor, y: Tensor | None = None) -> None:
        """Fit the scaling of the inputs, bins and weights to training rows.

        Parameters
        ----------
        X : Tensor of shape (n, n_features)
        y : Tensor of shape (n,) or (n, n_targets), optional
            Codes of classes, as ints, or numbers; for ``column_weights="importance"``.
        """
        if isinstance(self.scaling, RobustScaling):
            self.scaling.adapt_to_data(X)
        if isinstance(self.embedding, PiecewiseLinearEmbeddings):
            self.embedding.adapt_to_data(self.scaling(X))
        if self.column_weights is not None:
            if y is None:
                raise ValueError(
                    "column_weights='importance' needs the targets of the training rows, which "
                    "are known of arrays: give X and y as arrays, or column_weights=None"
                )
            importance = column_importance(X.cpu().numpy(), y.cpu().numpy())
            n_curves = self.column_weight.shape[1] // X.shape[1]
            weighted = self.column_weight[self.n_members // 2 :]
            weighted.copy_(torch.from_numpy(np.repeat(importance, n_curves)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (n, n_outputs), in training (n, n_outputs, n_members)."""
        columns = self.members(self.embedding(self.scaling(x))) * self.column_weight
        logits = self.head(self.blocks(columns))
        if self.training:
            return logits
        if self.n_members > 1:
            logits = self.averaged(logits, self.n_members)
        return logits / self.temperature

    def averaged(self, logits: Tensor, n_members: int | None = None) -> Tensor:
        """Predict by members together: (n, n_outputs, n_members) → (n, n_outputs)."""
        if self.averages_probabilities:
            return average_members(logits, n_members, self.n_outputs)
        return logits.mean(dim=2)

    @property
    def min_prediction_rows(self) -> int:
        """Fewer rows together are predicted with other rounding than many, in float32 with MKL.

        The products of blocks have 16 rows or more then, those of each member's head 9.
        """
        return 9 if self.n_members > 1 and len(self.blocks) > 0 else 16

    def train(self, mode: bool = True) -> Self:
        """Set the mode; in evaluation mode nothing is overwritten, as explainers need it."""
        changes = mode is not self.training
        super().train(mode)
        return self.overwrite_sums(mode) if changes else self

    def overwrite_sums(self, overwrite: bool) -> Self:
        """Let rectifiers overwrite the sums before them, which are not needed again.

        But for explainers such as SHAP's DeepExplainer and captum's DeepLift.
        """
        for block in self.blocks:
            for part in block.children():
                if type(part) is nn.ReLU:
                    part.inplace = overwrite
        return self

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        # Files of earlier versions have no temperature, or no weights of columns.
        if f"{prefix}head.bias" in state:
            state.setdefault(f"{prefix}temperature", torch.ones(()))
            state.setdefault(f"{prefix}column_weight", torch.ones_like(self.column_weight))
        super()._load_from_state_dict(state, prefix, *args)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a network that an earlier version has pickled, without weights of columns."""
        super().__setstate__(state)
        if "column_weight" not in self._buffers:
            self.register_buffer("column_weight", self.head.bias.new_ones(1, 1))


def _made(activation: Any) -> nn.Module:
    """A layer of these activations; rectifiers overwrite the sums before them."""
    in_place = {"inplace": True} if activation is nn.ReLU else {}
    error = None
    if callable(activation) and not isinstance(activation, nn.Module):
        try:
            made = activation(**in_place)
        except TypeError as raised:
            error = raised
        else:
            if isinstance(made, nn.Module):
                return made
    raise TypeError(
        "activation must be a class of modules that is made without arguments, such as "
        f"torch.nn.ReLU; got {activation!r}"
    ) from error

"""What a vicinity draws for one optimizer step: every random choice of that step."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from skmixup.vicinal.blocks import INPUT
from skmixup.vicinal.layers import check_mixable
from skmixup.vicinal.nested import map_tensors, rows_at, take, tensors_in


@dataclass(frozen=True)
class PartnerRows:
    """Partners from outside of the minibatch, one for each of its rows.

    Attributes
    ----------
    inputs : Tensor of shape (n, …), or several in a dict, list or tuple
    target : Tensor of shape (n,) or (n, …)
    weight : Tensor of shape (n,), or None
    """

    inputs: Any
    target: Tensor
    weight: Tensor | None = None


@dataclass(frozen=True)
class Draw:
    """The random choices of one optimizer step; this one changes nothing (the Dirac vicinity).

    Attributes
    ----------
    site : str
        Where :meth:`apply` acts: ``"input"`` or the name of a submodule.
    lam : Tensor of shape () or (n,), or None
        Share λ of row i in its virtual pair; None where labels stay as they are.
    partner : LongTensor of shape (n,), or None
        Row j that each row i is paired with; n … 2n − 1 are those from outside of the minibatch.
    block_gradient : {None, "below", "above"}
    outside : PartnerRows or None
        The partners from outside, if that is where they are.
    """

    site: str = INPUT
    lam: Tensor | None = None
    partner: Tensor | None = None
    block_gradient: str | None = None
    outside: PartnerRows | None = None

    def theirs(self, own: Any, name: str) -> Any:
        """Return what the partners have of something that the rows of a minibatch have.

        Parameters
        ----------
        own : Tensor, or several in a dict, list or tuple; or None
            Of the rows.
        name : {"inputs", "target", "weight"}
            What it is.
        """
        if own is None:
            return None
        return take(own, self.partner) if self.outside is None else getattr(self.outside, name)

    def converted(self, convert: Callable[[Tensor], Tensor]) -> "Draw":
        """Return the draw with the targets of partners from outside brought into another form."""
        if self.outside is None:
            return self
        outside = replace(self.outside, target=convert(self.outside.target))
        return replace(self, outside=outside)

    def inputs(self, own: Any) -> Any:
        """Return the rows that the module gets: partners from outside follow those given."""
        if self.outside is None:
            return own
        theirs = iter([tensor for _, tensor in tensors_in(self.outside.inputs)])
        return map_tensors(lambda tensor: torch.cat([tensor, next(theirs)]), own)

    def outputs(self, output: Any) -> Any:
        """Return what belongs to the rows of the minibatch of what the module returned."""
        if self.outside is None or self.partner is None:
            return output
        n = len(self.partner)

        def own(value: Any) -> Any:
            rows = isinstance(value, Tensor) and value.ndim > 0 and len(value) == 2 * n
            return value[:n] if rows else value

        return map_tensors(own, output)

    @property
    def is_identity(self) -> bool:
        """Whether the draw leaves the minibatch as it is."""
        return True

    def apply(self, x: Tensor) -> Tensor:
        """Virtual inputs for the rows of `x`, shape (n, …), at the drawn site."""
        return x

    def check_input(self, x: Any) -> None:
        """Raise TypeError where the inputs of the module, one or several, cannot be mixed so."""

    def apply_to_each(self, x: Any) -> Any:
        """Do the same for every tensor of a dict, list or tuple."""
        return map_tensors(self.apply, x)


@dataclass(frozen=True, kw_only=True)
class Pairs(Draw):
    """Rows paired with partners; subclasses say how the two are joined."""

    lam: Tensor
    partner: Tensor

    @property
    def is_identity(self) -> bool:
        return False

    def mixed(self, own: Tensor, other: Tensor) -> Tensor:
        """Virtual inputs of rows and their partners."""
        raise NotImplementedError

    def apply(self, x: Tensor) -> Tensor:
        n = len(self.partner)
        if len(x) != (n if self.outside is None else 2 * n):
            raise ValueError(
                f"the first axis of what is mixed at {self.site!r} is not the rows of the "
                f"minibatch: its shape is {tuple(x.shape)} for {n} rows"
                f"{'' if self.outside is None else f' and {n} partners'}"
            )
        own = x if self.outside is None else x[:n]
        mixed = self.mixed(own, rows_at(x, self.partner))
        # Above a hidden layer the partners' rows go on: a branch beside it has them too. As copies
        # of the mixed rows they leave the statistics of a BatchNorm as they are.
        hidden = self.outside is not None and self.site != INPUT
        return torch.cat([mixed, mixed]) if hidden else mixed


class Interpolation(Pairs):
    """x̃_i = λ x_i + (1 − λ) x_j."""

    def check_input(self, x: Any) -> None:
        for what, tensor in tensors_in(x, "the input of the module"):
            check_mixable(tensor, what)

    def apply_to_each(self, x: Any) -> Any:
        self.check_input(x)
        return super().apply_to_each(x)

    def mixed(self, own: Tensor, other: Tensor) -> Tensor:
        lam = self.lam.to(own.dtype)
        if lam.ndim:
            lam = lam.view(-1, *[1] * (own.ndim - 1))
        # lerp(start, end, weight) = start + weight·(end − start): one pass over the batch.
        return torch.lerp(other, own, lam)


@dataclass(frozen=True, kw_only=True)
class Noise(Draw):
    """x̃_i = x_i + σ·ε_i, the same ε whenever the closure is run again."""

    noise: Any  # a tensor, or several as the inputs are, None for integer codes

    @property
    def is_identity(self) -> bool:
        return False

    def apply(self, x: Tensor) -> Tensor:
        return x + self.noise

    def apply_to_each(self, x: Any) -> Any:
        noises = [noise for _, noise in tensors_in(self.noise)]
        rest = iter(noises)
        return map_tensors(
            lambda tensor: tensor if (noise := next(rest)) is None else tensor + noise, x
        )


@dataclass(frozen=True, kw_only=True)
class Paste(Pairs):
    """A box of x_j pasted into x_i; `inside` is (1 or n, 1, height, width), true in the box."""

    inside: Tensor

    def mixed(self, own: Tensor, other: Tensor) -> Tensor:
        return torch.where(self.inside, other, own)


@dataclass(frozen=True, kw_only=True)
class Swap(Pairs):
    """Columns of x_j in place of those of x_i; codes of categories stay codes."""

    kept: tuple[Tensor, ...]  # for each tensor (1 or n, …), true where the value is that of x_i

    def mixed(self, own: Tensor, other: Tensor) -> Tensor:
        (kept,) = self.kept
        return torch.where(kept, own, other)

    def apply_to_each(self, x: Any) -> Any:
        rest = iter(self.kept)
        return map_tensors(lambda tensor: replace(self, kept=(next(rest),)).apply(tensor), x)

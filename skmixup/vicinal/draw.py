"""What a vicinity draws for one optimizer step: every random choice of that step."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skmixup.vicinal.blocks import INPUT
from skmixup.vicinal.layers import check_mixable
from skmixup.vicinal.nested import map_tensors, rows_at, tensors_in


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
        Row j that each row i is paired with.
    block_gradient : {None, "below", "above"}
    """

    site: str = INPUT
    lam: Tensor | None = None
    partner: Tensor | None = None
    block_gradient: str | None = None

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


class Interpolation(Pairs):
    """x̃_i = λ x_i + (1 − λ) x_j."""

    def check_input(self, x: Any) -> None:
        for what, tensor in tensors_in(x, "the input of the module"):
            check_mixable(tensor, what)

    def apply_to_each(self, x: Any) -> Any:
        self.check_input(x)
        return super().apply_to_each(x)

    def apply(self, x: Tensor) -> Tensor:
        if len(x) != len(self.partner):
            raise ValueError(
                f"the first axis of what is mixed at {self.site!r} is not the rows of the "
                f"minibatch: its shape is {tuple(x.shape)} for {len(self.partner)} rows"
            )
        lam = self.lam.to(x.dtype)
        if lam.ndim:
            lam = lam.view(-1, *[1] * (x.ndim - 1))
        # lerp(start, end, weight) = start + weight·(end − start): one pass over the batch.
        return torch.lerp(rows_at(x, self.partner), x, lam)


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

    def apply(self, x: Tensor) -> Tensor:
        return torch.where(self.inside, rows_at(x, self.partner), x)


@dataclass(frozen=True, kw_only=True)
class Swap(Pairs):
    """Columns of x_j in place of those of x_i; codes of categories stay codes."""

    kept: tuple[Tensor, ...]  # for each tensor (1 or n, …), true where the value is that of x_i

    def apply(self, x: Tensor) -> Tensor:
        (kept,) = self.kept
        return self._swapped(x, kept)

    def apply_to_each(self, x: Any) -> Any:
        rest = iter(self.kept)
        return map_tensors(lambda tensor: self._swapped(tensor, next(rest)), x)

    def _swapped(self, x: Tensor, kept: Tensor) -> Tensor:
        return torch.where(kept, x, rows_at(x, self.partner))

"""What every vicinity has: parameters, sites, checks of a minibatch, draws."""

from collections.abc import Sequence
from typing import Any, Self

from numpy.random import Generator
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from skmixup.vicinal.blocks import INPUT
from skmixup.vicinal.draw import Draw


class Vicinity(BaseEstimator):
    """Base of all vicinities; :meth:`draw` is what a new one has to define.

    ``get_params`` and ``set_params`` are scikit-learn's, so a vicinity's parameters can be
    searched as ``vicinity__sigma`` of :class:`skmixup.VicinalClassifier`.
    """

    def validate(self) -> Self:
        """Check the parameters; ValueError or TypeError names the one that is wrong."""
        return self

    def sites(self, module: nn.Module) -> tuple[str, ...]:
        """Names of the layers of `module` that this vicinity may act at; here, the input only."""
        return (INPUT,)

    def members(self) -> tuple["Vicinity", ...]:
        """Return the vicinities that a draw may come from: this one."""
        return (self,)

    @property
    def chooses_layers(self) -> bool:
        """Whether layers that cannot be mixed at are left out, since nobody named them."""
        return False

    @property
    def changes_nothing(self) -> bool:
        """Whether every draw leaves the minibatch as it is."""
        return False

    @property
    def pairs_rows(self) -> bool:
        """Whether rows are mixed with others, so that the first axis of a layer must be rows."""
        return False

    @property
    def pairs_by_target(self) -> bool:
        """Whether pairs are chosen by the targets of rows, which :meth:`draw` is then given."""
        return False

    @property
    def pairs_with_all(self) -> bool:
        """Whether partners come from all training rows, which :meth:`draw` is then given."""
        return False

    def check_rows(self, x: Any) -> None:
        """Check that virtual inputs can be made of `x`: a tensor, or several in a dict or list.

        Raises
        ------
        TypeError
            For integer codes, where they would be averaged.
        ValueError
            For a shape that does not fit.
        """

    def draw(self, x: Tensor, rng: Generator, sites: Sequence[str] = (INPUT,)) -> Draw:
        """Draw the random choices of one optimizer step.

        Parameters
        ----------
        x : Tensor of shape (n, …)
            The minibatch; its shape, dtype and device are used.
        rng : numpy.random.Generator
            The only source of randomness, so that draws are the same on every device.
        sites : sequence of str
            What :meth:`sites` returned for the module in training.
        """
        raise NotImplementedError

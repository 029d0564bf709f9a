"""The vicinity that is one of several, drawn anew for each minibatch."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from skmixup.vicinal.base import Vicinity
from skmixup.vicinal.blocks import INPUT
from skmixup.vicinal.draw import Draw


class SitesOfSeveral(tuple[str, ...]):
    """The sites of all members, each once, and those of each in `members`."""

    members: tuple[tuple[str, ...], ...]

    def __new__(cls, members: Sequence[tuple[str, ...]]) -> Self:
        """Join the sites of the members."""
        joined = super().__new__(cls, dict.fromkeys(name for sites in members for name in sites))
        joined.members = tuple(members)
        return joined


class RandomChoice(Vicinity):
    """One of several vicinities for each minibatch: mixup and CutMix by turns, for instance.

    Parameters
    ----------
    vicinities : sequence of Vicinity
        ``Dirac()`` leaves a minibatch as it is. Each keeps its own parameters.
    probabilities : sequence of float, or None, default=None
        How often each is drawn, a number for each that sum to 1; None: all equally often.

    Notes
    -----
    The parameters of a member are ``vicinity__0__alpha``, ``vicinity__1__alpha``, … of
    :class:`skmixup.VicinalClassifier`, and ``vicinity__0`` is the first member itself.

    References
    ----------
    Wightman, Touvron, Jégou: ResNet strikes back: An improved training procedure in timm. 2021,
    arXiv:2110.00476, section 3.1 (mixup and CutMix by turns).

    Examples
    --------
    >>> from skmixup.vicinal import CutMix, Mixup, RandomChoice
    >>> vicinity = RandomChoice([Mixup(0.2), CutMix(1.0)], probabilities=[0.3, 0.7])
    >>> vicinity.get_params()["1__alpha"]
    1.0
    """

    def __init__(
        self, vicinities: Sequence[Vicinity], probabilities: Sequence[float] | None = None
    ):
        self.vicinities = vicinities
        self.probabilities = probabilities

    # ---- parameters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; with `deep`, also each member ``k`` and its ``k__alpha``, …"""
        params = super().get_params(deep=False)
        members = enumerate(self.vicinities) if deep and _is_several(self.vicinities) else ()
        for k, member in members:
            params[str(k)] = member
            if isinstance(member, Vicinity):
                params |= {f"{k}__{name}": value for name, value in member.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, members (``k``) and parameters of members (``k__alpha``)."""
        for name in ("vicinities", "probabilities"):
            if name in params:
                setattr(self, name, params.pop(name))
        for name in [name for name in params if name.isdigit()]:
            k = int(name)
            if k >= len(self.vicinities):
                break  # the error below lists the valid names
            members = list(self.vicinities)
            members[k] = params.pop(name)
            self.vicinities = members
        super().set_params(**params)
        return self

    def validate(self) -> Self:
        """Check the members and the probabilities."""
        if not _is_several(self.vicinities) or not len(self.vicinities):
            raise ValueError(
                "vicinities must be a list of vicinities such as [Mixup(0.2), CutMix(1.0)]; got "
                f"{self.vicinities!r}"
            )
        for k, member in enumerate(self.vicinities):
            if not isinstance(member, Vicinity):
                raise TypeError(
                    "vicinities must hold vicinities such as Mixup(0.2), and Dirac() for none; "
                    f"got {member!r} at {k}"
                )
            member.validate()
        self._cumulated()
        return self

    def _cumulated(self) -> NDArray[np.float64]:
        n, given = len(self.vicinities), self.probabilities
        if given is None:
            return np.arange(1, n + 1) / n
        numbers = _is_several(given) and all(
            isinstance(p, Real) and not isinstance(p, bool) for p in given
        )
        p = np.asarray(given if numbers else [], dtype=float)
        if len(p) != n or not (p >= 0).all() or abs(p.sum() - 1) > 1e-6:
            raise ValueError(
                f"probabilities must be {n} numbers ≥ 0 that sum to 1, one for each of "
                f"vicinities; got {given!r}"
            )
        cumulated: NDArray[np.float64] = np.cumsum(p)
        return cumulated / cumulated[-1]

    # ---- what a net asks

    def members(self) -> tuple[Vicinity, ...]:
        """Return the vicinities that a draw may come from."""
        return tuple(inner for member in self.vicinities for inner in member.members())

    def sites(self, module: nn.Module) -> SitesOfSeveral:
        """Names of the layers that one of the members may act at."""
        return SitesOfSeveral([member.sites(module) for member in self.vicinities])

    @property
    def changes_nothing(self) -> bool:
        """Whether no member changes anything."""
        return all(member.changes_nothing for member in self.vicinities)

    @property
    def pairs_rows(self) -> bool:
        """Whether one of the members does."""
        return any(member.pairs_rows for member in self.vicinities)

    @property
    def pairs_by_target(self) -> bool:
        """Whether one of the members does."""
        return any(member.pairs_by_target for member in self.vicinities)

    @property
    def pairs_with_all(self) -> bool:
        """Whether one of the members does."""
        return any(member.pairs_with_all for member in self.vicinities)

    def check_rows(self, x: Any) -> None:
        """Check that every member can make virtual inputs of `x`."""
        for member in self.vicinities:
            member.check_rows(x)

    def draw(
        self,
        x: Tensor,
        rng: Generator,
        sites: Sequence[str] = (INPUT,),
        *,
        target: Tensor | None = None,
        pool: Any = None,
    ) -> Draw:
        """Draw a member, and from it; `target` and `pool` are for those that ask for them."""
        chosen = int(np.searchsorted(self._cumulated(), rng.random(), side="right"))
        member = self.vicinities[chosen]
        if isinstance(sites, SitesOfSeveral):
            sites = sites.members[chosen]
        given = {"target": target} if member.pairs_by_target else {}
        if member.pairs_with_all:
            given["pool"] = pool
        return member.draw(x, rng, sites, **given)


def _is_several(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))

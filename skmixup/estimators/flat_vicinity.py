"""Estimators whose vicinity's parameters are their own, so that a search reaches them by name."""

from typing import Any

from sklearn.base import is_classifier

from skmixup.estimators.base import VicinalEstimator
from skmixup.vicinal.vicinity import Dirac, ManifoldMixup, Mixup, Vicinity


def vicinity_or_dirac(vicinity: Any) -> Vicinity:
    """Return the parameter `vicinity` of an estimator, or Dirac for None."""
    if vicinity is None:
        return Dirac()
    if not isinstance(vicinity, Vicinity):
        raise TypeError(
            "vicinity must be None or an instance of Dirac, Gaussian, Mixup, ManifoldMixup, "
            f"CutMix or RandomChoice of skmixup.vicinal; got {vicinity!r}"
        )
    return vicinity


class FlatMixup(VicinalEstimator):
    """An estimator with the parameters of :class:`~skmixup.vicinal.Mixup`."""

    def _flatten_vicinity(self, kwargs: dict[str, Any]) -> None:
        """Take `vicinity` out of the parameters: its own parameters stand in its place."""
        if "vicinity" in kwargs:
            raise TypeError(
                f"{type(self).__name__} has no parameter vicinity; use "
                f"{'VicinalClassifier' if is_classifier(self) else 'VicinalRegressor'}, or set "
                "alpha, mix_per and mix_prob"
            )
        del self.__dict__["vicinity"]

    def _mixup_parameters(self) -> dict[str, Any]:
        names = ("mix_per", "mix_prob", "pairing", "bandwidth", "partners")
        return {name: getattr(self, name) for name in names if hasattr(self, name)}

    def get_vicinity(self) -> Vicinity:
        """Return :class:`~skmixup.vicinal.Mixup` with this estimator's parameters."""
        return Mixup(self.alpha, **self._mixup_parameters())


class FlatManifoldMixup(FlatMixup):
    """An estimator with the parameters of :class:`~skmixup.vicinal.ManifoldMixup`."""

    def get_vicinity(self) -> Vicinity:
        """Return :class:`~skmixup.vicinal.ManifoldMixup` with this estimator's parameters."""
        return ManifoldMixup(
            self.alpha,
            self.layers,
            block_gradient=self.block_gradient,
            **self._mixup_parameters(),
        )

"""Augmentation: what the user does to each minibatch in training, before it is mixed."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from skmixup.training.averaging import AveragingNet
from skmixup.training.batches import SCALED
from skmixup.vicinal.nested import map_tensors, tensors_in

#: Packages whose augmentations are known: they take images with the channels first.
AUGMENTATIONS = ("skmixup.", "kornia.", "torchvision.")
# What of these is no augmentation of rows, each by itself and in training only, and why.
_REFUSED = dict.fromkeys(
    ("Normalize", "Denormalize"),
    "and what is augmented is training only: predictions would be of images that are not "
    "normalised. Make it the first layer of the module, or normalise X in fit and predict; the "
    "default network normalises by itself",
) | dict.fromkeys(
    ("MixUp", "CutMix", "RandomMixUp", "RandomMixUpV2", "RandomCutMix", "RandomCutMixV2",
     "PatchMix", "RandomMosaic", "RandomTransplantation"),
    "which puts parts of other rows into a row, whose label would stay what it is. Mix rows and "
    "labels by the vicinities of this package: MixupClassifier, or vicinity=CutMix()",
)  # fmt: skip


class Augmentation:
    """The parameter `augment`, called and checked.

    Parameters
    ----------
    function : callable
        A module is copied to the device, in training mode.
    device : torch.device
    """

    def __init__(self, function: Any, device: torch.device):
        if isinstance(function, nn.Module):
            function = deepcopy(function).to(device).train()
        self.function = function
        # those of others may draw from Python's or numpy's generator
        self.is_own = _is_own(function)
        self.looks = True  # at the values of the next minibatch

    def __call__(self, X: Any) -> Any:
        """Return the augmented rows of a minibatch.

        Raises
        ------
        TypeError
            If the result is not a tensor, or several, like the minibatch.
        ValueError
            If it has another shape, or in the first minibatch of an epoch NaN where there was
            none, or images within 0 and 1 where pixels were up to 255.
        """
        given = X if self.is_own else map_tensors(_copied, X)
        with torch.no_grad():
            augmented = self.function(given)
        self._check(X, augmented)
        return augmented

    def _check(self, X: Any, augmented: Any) -> None:
        before, after = (dict(tensors_in(value, "the minibatch")) for value in (X, augmented))
        if before.keys() != after.keys():
            raise TypeError(
                f"augment must return what it is given, {_kind(X)}; it returned "
                f"{_kind(augmented)}{_advice(self.function)}"
            )
        for what, x in before.items():
            _check_alike(what, x, after[what], self.function)
            if self.looks and isinstance(x, Tensor) and not self.is_own:
                _check_order(what, x, after[what])
            if self.looks and isinstance(x, Tensor) and x.is_floating_point():
                _check_finite(what, x, after[what])
                if not self.is_own and x.ndim >= 4:
                    _check_pixels(what, x, after[what])
        self.looks = False


class AugmentingNet(AveragingNet):
    """A net that augments the rows of each minibatch it is trained on.

    Subclasses have the parameter `augment`: None, or a function or module of a minibatch.
    """

    augment: Any = None

    def _begin_loop(self, state: Any, epochs: int | None) -> int:
        epochs = super()._begin_loop(state, epochs)
        state.augmentation = self.get_augmentation()
        return epochs

    def get_augmentation(self) -> Augmentation | None:
        """Return what augments, ready to be called, or None."""
        return None if self.augment is None else Augmentation(self.augment, self._device_)

    def step_of(self, step_fn: Any, training: bool) -> Any:
        """Let each step of an epoch have augmented rows."""
        step = super().step_of(step_fn, training)
        state = self._fit_state_
        augmentation = state.augmentation if training else None
        if augmentation is None:
            return step
        augmentation.looks = True
        state.randomness.watches |= not augmentation.is_own

        def augment_and_step(batch: Any, **fit_params: Any) -> Any:
            X, y, *others = batch
            rows = (augmentation(self._on_device(part)) for part in (X, *others))
            return step((next(rows), y, *rows), **fit_params)

        return augment_and_step


def check_augment(augment: Any) -> None:
    """Raise an error for a parameter `augment` that cannot be called on a minibatch."""
    if augment is None:
        return
    if isinstance(augment, type) or not callable(augment):
        raise TypeError(
            "augment must be None, or a function or nn.Module that takes a minibatch and returns "
            f"it augmented, such as skmixup.augment.RandomHorizontalFlip(); got {augment!r}"
        )
    for kind in map(type, parts_of(augment)):
        known = kind.__module__.startswith(AUGMENTATIONS)
        reason = _REFUSED.get(kind.__name__) if known else None
        if reason is not None:
            package = kind.__module__.split(".")[0]
            raise ValueError(f"augment has {package}'s {kind.__name__}, {reason}")
    if isinstance(augment, nn.Module):
        trained = [name for name, p in augment.named_parameters() if p.requires_grad]
        if trained:
            raise ValueError(
                f"augment has parameters that require gradients, {', '.join(trained[:4])}, and "
                "nothing trains them: make them part of the module, or pass "
                "augment.requires_grad_(False)"
            )


def parts_of(augment: Any) -> Iterator[Any]:
    """The augmentation and what it is made of; torchvision keeps that in a list."""
    yield augment
    inside = list(augment.children()) if isinstance(augment, nn.Module) else []
    listed = getattr(augment, "transforms", None)
    for part in [*inside, *(listed if isinstance(listed, (list, tuple)) else ())]:
        yield from parts_of(part)


def _is_own(function: Any) -> bool:
    if not isinstance(function, nn.Module):
        return False
    return all(
        type(part) is nn.Sequential or type(part).__module__.startswith("skmixup.")
        for part in function.modules()
    )


def _copied(x: Any) -> Any:
    return x.clone() if isinstance(x, Tensor) else x  # a function of the user's may work in place


def _kind(X: Any) -> str:
    shape = f" of shape {tuple(X.shape)}" if isinstance(X, Tensor) else ""
    return f"a {type(X).__name__}{shape}"


def _advice(function: Any) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return f" ({name} takes whole minibatches: (n, …), a tensor on the device)"


def _check_alike(what: str, x: Any, augmented: Any, function: Any) -> None:
    if not isinstance(x, Tensor):
        return
    if not isinstance(augmented, Tensor):
        raise TypeError(
            f"augment must return a tensor for a tensor; for {what} of shape {tuple(x.shape)} it "
            f"returned {_kind(augmented)}{_advice(function)}"
        )
    for attribute in ("shape", "dtype", "device"):
        own, theirs = getattr(x, attribute), getattr(augmented, attribute)
        if own != theirs:
            own, theirs = (tuple(v) if attribute == "shape" else v for v in (own, theirs))
            raise ValueError(
                f"augment must keep the {attribute} of {what}, {own}; it returned {theirs}. It "
                "is called with a whole minibatch, (n, …), and labels belong to its rows"
            )


def _check_order(what: str, x: Tensor, augmented: Tensor) -> None:
    """Raise ValueError for a few rows that have only changed places; their labels have not."""
    if not 1 < len(x) <= 3:
        return
    rows, moved = (tensor.reshape(len(x), -1) for tensor in (x, augmented))
    same = (moved[:, None] == rows).all(dim=2)
    if bool(same.any(dim=1).all()) and not bool(same.diagonal().all()):
        raise ValueError(
            "augment has changed the order of the rows, and not that of their labels, in "
            f"{what} of shape {tuple(x.shape)}, whose first axis is that of the rows"
        )


def _check_pixels(what: str, x: Tensor, augmented: Tensor) -> None:
    """Raise ValueError where raw pixels were taken for numbers in [0, 1], and cut off at 1."""
    bright, values = (x > SCALED).flatten(1).sum(dim=1), augmented.flatten(1)
    # a quarter of what the bright pixels would be as ones: not what is left of a shifted image
    cut_off = (values.amax(dim=1) <= 1) & (values.sum(dim=1) > 0.25 * bright) & (bright > 0)
    if bool(cut_off.any()):
        raise ValueError(
            f"augment made {int(cut_off.sum())} of {len(x)} images, with pixels up to "
            f"{float(x.max()):.4g} in {what}, into images within 0 and 1: it takes numbers in "
            "[0, 1], as the colours of kornia and torchvision do, and cuts off what is larger. "
            "Fit on X / np.float32(255), or let augment divide by 255 and multiply again"
        )


def _check_finite(what: str, x: Tensor, augmented: Tensor) -> None:
    if not bool(torch.isfinite(augmented).all()) and bool(torch.isfinite(x).all()):
        n_rows = int((~torch.isfinite(augmented)).flatten(1).any(dim=1).sum())
        raise ValueError(
            f"augment made NaN or infinity of finite values, in {n_rows} of the {len(x)} rows of "
            f"{what}"
        )

"""Images: errors where axes are in another order, or pixels in another range, than in `fit`."""

import warnings
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from skmixup.training.augmentation import AUGMENTATIONS, parts_of
from skmixup.training.batches import SCALED, is_pixels
from skmixup.vicinal.nested import tensors_in
from skmixup.vicinal.vicinity import CutMix, Gaussian

Shape = tuple[int, ...]

# Usual numbers of channels: grey, RGB, RGB and opacity.
_CHANNELS = (1, 3, 4)
_TO_FIRST = (
    "pass X.transpose(0, 3, 1, 2) (a tensor: X.permute(0, 3, 1, 2); a Dataset: x.permute(2, 0, 1) "
    "of each image, as torchvision's ToTensor does)"
)


def check_default_shape(shape: Shape | dict[Any, Shape] | None) -> None:
    """Raise ValueError unless there is a default network for rows of this shape.

    Images with the channels last, as files store them, are refused too: the network would take
    the rows of pixels for channels.
    """
    known = (
        "module=None chooses a network for X of shape (n, n_features) or "
        "(n, channels, height, width)"
    )
    if isinstance(shape, dict):
        raise ValueError(
            f"{known}; X is a dict, or rows that are dicts, of the keys {list(shape)[:10]}. If "
            "they are columns of a table pass pd.DataFrame(X), and for a network of several "
            "inputs a module of your own"
        )
    if shape is None:
        raise ValueError(
            f"{known}; there are no data yet, or a data set whose items are not one tensor or "
            "array (a stream, lists, images of PIL, several inputs). Call fit, or pass a module"
        )
    if len(shape) == 2:
        raise ValueError(
            f"{known}; there are rows of shape {shape}. If they are grey images pass X[:, None], "
            f"of shape (n, 1, {shape[0]}, {shape[1]}); for sequences pass a module of your own"
        )
    if len(shape) not in (1, 3):
        raise ValueError(
            f"{known}; there are rows of shape {shape}, for which a module of yours is needed"
        )
    if len(shape) == 3 and channels_are_last(shape):
        raise ValueError(
            f"{known}; rows of shape {shape} look like images of {shape[0]} × {shape[1]} pixels "
            f"with {shape[2]} channels last: {_TO_FIRST}. If there really are {shape[0]} channels "
            f"of {shape[1]} × {shape[2]}, pass module=skmixup.networks.PreActResNet, "
            f"module__n_channels={shape[0]}, module__n_outputs=…"
        )


def channels_are_last(shape: Shape) -> bool:
    """Whether rows of shape (a, b, c) are more likely images of a × b than of b × c pixels."""
    first, middle, last = shape
    named = last in _CHANNELS and first not in _CHANNELS and middle != last
    square = first == middle != last and last <= max(_CHANNELS) and first > 1
    return named or square


def check_boxes(vicinity: Any, rows: Any) -> None:
    """Raise ValueError if CutMix would paste boxes over the channels of images."""
    if not any(isinstance(member, CutMix) for member in vicinity.members()):
        return
    for _, images in tensors_in(rows):
        if images.ndim == 4 and channels_are_last(tuple(images.shape[1:])):
            raise ValueError(
                "CutMix pastes boxes of the last two axes, which are height and width in X of "
                "shape (n, channels, height, width); rows of shape "
                f"{tuple(images.shape[1:])} look like images with their channels last. Pass "
                "X.transpose(0, 3, 1, 2), and let the module permute it back if it wants them last"
            )


def check_augmented_axes(augment: Any, rows: Any) -> None:
    """Raise ValueError if what turns or moves images would turn or move their channels."""
    kinds = [type(part) for part in parts_of(augment)]
    names = [kind.__name__ for kind in kinds if kind.__module__.startswith(AUGMENTATIONS)]
    for _, images in tensors_in(rows):
        if names and images.ndim == 4 and channels_are_last(tuple(images.shape[1:])):
            raise ValueError(
                f"{names[0]} takes the last two axes for height and width, as in X of shape (n, "
                f"channels, height, width); rows of shape {tuple(images.shape[1:])} look like "
                "images with their channels last. Pass X.transpose(0, 3, 1, 2), and let the "
                "module permute it back if it wants them last"
            )


def check_noise(vicinity: Any, rows: Any) -> None:
    """Warn of Gaussian noise that is next to nothing beside pixels from 0 to 255."""
    brightest = max((float(x.max()) for _, x in tensors_in(rows) if x.ndim >= 4), default=0.0)
    for member in vicinity.members():
        if isinstance(member, Gaussian) and 0 < member.sigma < 1 and brightest > SCALED:
            warnings.warn(
                f"sigma={member.sigma:.4g} is noise of that size on images with values up to "
                f"{brightest:.4g}, which changes next to nothing: if they were to be from 0 to 1, "
                f"pass sigma={255 * member.sigma:.4g}, or images divided by 255",
                UserWarning,
                stacklevel=2,
            )


def advice_on_axes(shape: Shape, fitted: Shape | None) -> str | None:
    """Return a message if axes are moved or missing, compared with those of `fit`, or None."""
    if fitted is None or len(fitted) != 3 or shape == fitted:
        return None
    known = f"X has rows of shape {shape}, but the estimator was fitted on rows of shape {fitted}"
    if len(shape) == 3 and (shape[2], *shape[:2]) == fitted:
        return f"{known}: the channels are last; {_TO_FIRST}"
    if fitted == (1, *shape):
        return f"{known}: the axis of the channel is missing; pass X[:, None]"
    return None


def advice_for_convolutions(module: nn.Module, rows: Any) -> str | None:
    """Return a message if a module with convolutions has failed on images with moved axes."""
    if not isinstance(rows, Tensor) or not any(
        isinstance(part, nn.Conv2d) for part in module.modules()
    ):
        return None
    shape = tuple(rows.shape[1:])
    if len(shape) == 2:
        return (
            f"{type(module).__name__} has convolutions of images (n, channels, height, width), "
            f"and X has rows of shape {shape}. If these are grey images pass X[:, None], of shape "
            f"(n, 1, {shape[0]}, {shape[1]})"
        )
    if len(shape) == 3 and channels_are_last(shape):
        return (
            f"{type(module).__name__} has convolutions of images (n, channels, height, width), "
            f"and rows of shape {shape} look like images of {shape[0]} × {shape[1]} pixels with "
            f"{shape[2]} channels last: {_TO_FIRST}"
        )
    return None


def note_range(net: Any, X: Any) -> None:
    """Note in `fit` the range of the pixels of images, and whether they are uint8.

    Of a dict, for each key whose values are images.
    """
    if isinstance(X, Mapping):
        net._pixel_range_ = {key: _range_of(x) for key, x in X.items() if x.ndim >= 4}
    elif X.ndim >= 4:
        net._pixel_range_ = _range_of(X)


def _range_of(images: Any) -> tuple[float, float, bool]:
    if is_pixels(images):
        return 0.0, 255.0, True
    return float(images.min()), float(images.max()), False


def check_range(net: Any, X: Any) -> None:
    """Compare the range of images with that in `fit`.

    Raises
    ------
    ValueError
        If pixels of uint8 come to an estimator that was fitted on floats of a smaller range.

    Warns
    -----
    UserWarning
        If floats from 0 to 1 come to one that was fitted on pixels from 0 to 255, or those, as
        floats, to one that was fitted on floats from 0 to 1.
    """
    known = net.__dict__.get("_pixel_range_")
    if not known:
        return
    if isinstance(X, Mapping):
        for key in known:
            _check_range_of(f"X[{key!r}]", X[key], known[key], type(net).__name__)
    elif X.ndim >= 4:
        _check_range_of("X", X, known, type(net).__name__)


def _check_range_of(
    what: str, images: Any, known: tuple[float, float, bool], estimator: str
) -> None:
    low, high, pixels = known
    if images.size == 0 or (pixels and is_pixels(images)):
        return
    least, largest = float(images.min()), float(images.max())
    floats = f"floats from {low:.4g} to {high:.4g}"
    if is_pixels(images):
        if high <= SCALED and largest > max(high, 2.0):
            raise ValueError(
                f"{what} is images of uint8 with values up to {largest:.0f}, but {estimator} was "
                f"fitted on {floats}: scale {what} as the rows of `fit` were, for instance "
                f"{what} / np.float32(255), or fit on uint8"
            )
        return
    as_bytes = low >= 0 and 128 <= high <= 255
    if as_bytes and least >= 0 and largest <= 1 and (images % 1).any():
        fitted = "uint8, pixels from 0 to 255" if pixels else floats
        warnings.warn(
            f"{what} is images of floats within 0 and 1, but {estimator} was fitted on {fitted}: "
            f"if {what} was divided by 255, pass it as it was before",
            UserWarning,
            stacklevel=3,
        )
    scaled = low >= 0 and high <= 1
    if scaled and least >= 0 and SCALED < largest <= 255 and not (images % 1).any():
        warnings.warn(
            f"{what} is images of whole numbers up to {largest:.0f}, but {estimator} was fitted "
            f"on {floats}: scale {what} as the rows of `fit` were, for instance {what} / 255",
            UserWarning,
            stacklevel=3,
        )

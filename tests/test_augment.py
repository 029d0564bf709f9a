"""Facts about augmentations of images: what each row becomes, and how often."""

from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from skmixup.augment import Cutout, RandomCrop, RandomHorizontalFlip

X = torch.arange(2 * 3 * 5 * 6, dtype=torch.float32).view(2, 3, 5, 6) + 1
MANY = X[:1].expand(4000, 3, 5, 6)


def within(count, n, p, sigmas=5):
    return abs(count - n * p) <= sigmas * np.sqrt(n * p * (1 - p))


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_rows_are_turned_round_one_by_one(p):
    torch.manual_seed(0)
    flipped = RandomHorizontalFlip(p)(MANY)
    turned = (flipped == MANY.flip(-1)).flatten(1).all(dim=1)
    kept = (flipped == MANY).flatten(1).all(dim=1)
    assert bool((turned ^ kept).all())
    assert within(int(turned.sum()), len(MANY), p)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate"])
def test_every_crop_of_the_padded_image_is_equally_likely(mode):
    torch.manual_seed(0)
    fill = {"fill": -7.0} if mode == "constant" else {}
    cropped = RandomCrop(2, padding_mode=mode, **fill)(MANY)
    padded = F.pad(X[:1], (2,) * 4, mode, fill.get("fill"))[0]
    windows = {
        padded[:, i : i + 5, j : j + 6].numpy().tobytes(): (i, j)
        for i in range(5)
        for j in range(5)
    }
    counts = Counter(windows[row.numpy().tobytes()] for row in cropped)
    assert len(counts) == 25
    assert all(within(count, len(MANY), 1 / 25) for count in counts.values())


def test_without_padding_a_crop_is_the_image():
    assert torch.equal(RandomCrop(0)(X), X)


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_each_pixel_is_the_centre_of_what_is_covered_equally_often(size):
    torch.manual_seed(0)
    covered = Cutout(size, fill=-1.0)(MANY) == -1.0
    assert bool((covered == covered[:, :1]).all())
    expected = Counter()
    for i in range(5):
        for j in range(6):
            square = torch.zeros(5, 6, dtype=torch.bool)
            top, left = i - size // 2, j - size // 2
            square[max(top, 0) : top + size, max(left, 0) : left + size] = True
            expected[square.numpy().tobytes()] += 1 / 30
    counts = Counter(row[0].numpy().tobytes() for row in covered)
    assert counts.keys() <= expected.keys()
    for square, p in expected.items():
        assert within(counts[square], len(MANY), p)


def test_some_images_are_not_covered():
    torch.manual_seed(0)
    clean = (Cutout(3, p=0.4)(MANY) == MANY).flatten(1).all(dim=1)
    assert within(int(clean.sum()), len(MANY), 0.6)


@pytest.mark.parametrize(
    "augmentation", [RandomHorizontalFlip(), RandomCrop(1), RandomCrop(1, padding_mode="reflect"),
                     Cutout(2)]
)  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_type_layout_and_the_batch_itself_are_kept(augmentation, dtype, layout):
    if dtype != torch.float32 and getattr(augmentation, "padding_mode", "") == "reflect":
        pytest.skip("torch pads these by constants only")
    x = (X % 50).to(dtype).contiguous(memory_format=layout)
    before = x.clone()
    out = augmentation(x)
    assert torch.equal(x, before)
    assert (out.dtype, out.shape) == (x.dtype, x.shape)
    assert out.is_contiguous(memory_format=layout)
    assert augmentation(x[:0]).shape == (0, 3, 5, 6)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RandomHorizontalFlip(1.5), ValueError, "p must be a number from 0 to 1; got 1.5"),
        (lambda: RandomHorizontalFlip(True), ValueError, "p must be .* got True"),
        (lambda: RandomCrop(-1), ValueError, "padding must be an int of at least 0; got -1"),
        (lambda: RandomCrop(2.5), ValueError, "padding must be .* got 2.5"),
        (lambda: RandomCrop(padding_mode="mirror"), ValueError, "padding_mode must be one of"),
        (lambda: RandomCrop(fill="black"), TypeError, "fill must be a number; got 'black'"),
        (lambda: Cutout(0), ValueError, "size must be an int of at least 1; got 0"),
        (lambda: Cutout(2)(torch.zeros(3, 4)), ValueError, r"Cutout takes images .* got \(3, 4\)"),
        (lambda: RandomCrop()([1]), ValueError, "RandomCrop takes images .* got list"),
        (
            lambda: RandomCrop(4, padding_mode="reflect")(torch.zeros(2, 3, 9, 4)),
            ValueError,
            "padding=4 is too wide a border .* 9 × 4 pixels: at most 3",
        ),
    ],
)
def test_errors_name_parameter_and_value(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_they_show_their_parameters():
    assert repr(RandomCrop(2)) == "RandomCrop(padding=2, padding_mode='constant', fill=0.0)"
    assert repr(Cutout()) == "Cutout(size=8, p=1.0, fill=0.0)"
    assert repr(RandomHorizontalFlip()) == "RandomHorizontalFlip(p=0.5)"

"""Images: which axis is which is said, and never guessed."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from skmixup import MixupClassifier, VicinalClassifier
from skmixup.augment import RandomCrop, RandomHorizontalFlip
from skmixup.estimators.images import channels_are_last
from skmixup.vicinal import CutMix, Mixup

RNG = np.random.default_rng(0)
Y = np.arange(12) % 2
FAST = {"max_epochs": 1, "random_state": 0, "module__width": 4}


def images(*shape):
    return RNG.normal(size=(12, *shape)).astype(np.float32)


@pytest.mark.parametrize(
    "shape",
    [(8, 8, 3), (8, 8, 1), (8, 8, 4), (8, 6, 3), (6, 8, 1), (64, 5, 3), (4, 4, 3), (8, 8, 2)],
)
@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, TensorDataset])
def test_channels_that_are_last_are_an_error_that_says_how_to_move_them(shape, kind):
    X, y = images(*shape), Y
    if kind is TensorDataset:
        X, y = TensorDataset(torch.tensor(X), torch.tensor(Y)), None
    else:
        X = kind(X)
    net = MixupClassifier(**FAST)
    with pytest.raises(
        ValueError, match=rf"{shape[2]} channels last: pass X.transpose\(0, 3, 1, "
    ):
        net.fit(X, y)
    assert not hasattr(net, "module_")


@pytest.mark.parametrize(
    "shape", [(3, 8, 8), (1, 8, 8), (4, 8, 8), (3, 8, 3), (1, 8, 1), (8, 4, 4), (16, 1, 1),
              (2, 8, 8), (5, 8, 8), (3, 3, 3), (1, 1, 1), (1, 1, 3)]
)  # fmt: skip
def test_channels_that_are_first_are_trained_on(shape):
    assert not channels_are_last(shape)
    assert MixupClassifier(**FAST).fit(images(*shape), Y).input_shape_ == shape


def test_the_remedies_work():
    X = images(8, 8, 3)
    moved = MixupClassifier(**FAST).fit(X.transpose(0, 3, 1, 2), Y)
    tensor = MixupClassifier(**FAST).fit(torch.tensor(X).permute(0, 3, 1, 2), Y)
    assert moved.input_shape_ == (3, 8, 8)
    assert np.array_equal(
        moved.predict(X.transpose(0, 3, 1, 2)), tensor.predict(X.transpose(0, 3, 1, 2))
    )
    assert MixupClassifier(**FAST).fit(images(8, 8)[:, None], Y).input_shape_ == (1, 8, 8)


class ChannelsLast(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        return self.head(x.mean(dim=(1, 2)))


def test_boxes_are_not_pasted_over_channels():
    net = VicinalClassifier(ChannelsLast, vicinity=CutMix(), max_epochs=1)
    with pytest.raises(ValueError, match=r"CutMix pastes boxes .*transpose\(0, 3, 1, 2\)"):
        net.fit(images(8, 8, 3), Y)
    assert not hasattr(net, "module_")
    assert net.set_params(vicinity=Mixup()).fit(images(8, 8, 3), Y).n_iter_ == 1


@pytest.mark.parametrize("augment", [RandomHorizontalFlip(), nn.Sequential(RandomCrop(1))])
def test_channels_are_not_turned_round_or_moved(augment):
    net = MixupClassifier(ChannelsLast, augment=augment, max_epochs=1)
    with pytest.raises(ValueError, match=r"Random.* last two axes .*transpose\(0, 3, 1, 2\)"):
        net.fit(images(8, 8, 3), Y)
    assert not hasattr(net, "module_")
    net.set_params(augment=lambda x: x.flip(2)).fit(images(8, 8, 3), Y)


def test_a_module_of_the_users_gets_what_is_given():
    net = MixupClassifier(ChannelsLast, max_epochs=1).fit(images(8, 8, 3), Y)
    assert net.predict(images(8, 8, 3)).shape == (12,)
    from skmixup.networks import PreActResNet

    net = MixupClassifier(
        PreActResNet, module__n_channels=8, module__n_outputs=2, module__width=4, max_epochs=1
    )
    assert net.fit(images(8, 8, 3), Y).predict(images(8, 8, 3)).shape == (12,)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((8, 8), r"rows of shape \(8, 8\).*X\[:, None\], of shape \(n, 1, 8, 8\)"),
        ((3, 8, 8, 8), r"rows of shape \(3, 8, 8, 8\), for which a module of yours is needed"),
    ],
)
def test_other_shapes_say_what_is_valid(shape, message):
    with pytest.raises(ValueError, match=rf"module=None chooses .*channels, height.*{message}"):
        MixupClassifier(**FAST).fit(images(*shape), Y)


def test_axes_that_are_moved_at_prediction():
    net = MixupClassifier(**FAST).fit(images(3, 8, 8), Y)
    for method in (net.predict, net.predict_proba):
        with pytest.raises(
            ValueError, match=r"fitted on rows of shape \(3, 8, 8\): the channels a"
        ):
            method(images(8, 8, 3))
    grey = MixupClassifier(**FAST).fit(images(1, 8, 8), Y)
    with pytest.raises(ValueError, match=r"the axis of the channel is missing; pass X\[:, None\]"):
        grey.predict(images(8, 8))
    with pytest.raises(ValueError, match=r"the channels are last; pass X.transpose"):
        grey.predict(images(8, 8, 1))


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_missing_pixels_are_no_matter_of_an_imputer_of_tables(kind):
    X = images(1, 8, 8)
    net = MixupClassifier(**FAST).fit(X, Y)
    X[3, 0, 2] = np.nan
    for call in (lambda: MixupClassifier(**FAST).fit(kind(X), Y), lambda: net.predict(kind(X))):
        with pytest.raises(ValueError, match=r"NaN.* or fill them") as error:
            call()
        assert "Imputer" not in str(error.value)
    keep = ~np.isnan(X).any(axis=(1, 2, 3))  # as the error says
    assert "keep = ~np.isnan(X).any(axis=(1, 2, 3))" in str(error.value)
    assert len(net.predict(X[keep])) == len(net.predict(np.nan_to_num(X))) - 1

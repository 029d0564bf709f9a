"""Images of uint8: they stay so in memory, wherever it is, and mean what they mean as floats."""

import io
import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Subset

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupRegressor,
    VicinalClassifier,
)
from skmixup.estimators import first_look
from skmixup.networks import ChannelScaling
from skmixup.robustness import fgsm
from skmixup.training.batches import ArrayDataset
from skmixup.vicinal import Gaussian, Mixup, RandomChoice
from tests.estimators.pixels_in_memory import KINDS

RNG = np.random.default_rng(0)
Y = np.arange(24) % 2
X = RNG.integers(0, 256, size=(24, 3, 6, 6), dtype=np.uint8)
X[Y == 1, 0] //= 4
FLOATS = X.astype(np.float32)
FAST = {"max_epochs": 2, "batch_size": 8, "random_state": 0}
SMALL = {"module__width": 4, "module__depths": (1, 1), **FAST}


class Pooled(nn.Module):
    """Notes the type and the range of what it gets."""

    def __init__(self, n_channels=3):
        super().__init__()
        self.head = nn.Linear(n_channels, 2)
        self.seen = set()

    def forward(self, x):
        self.seen.add((x.dtype, float(x.max()) > 1))
        return self.head(x.mean(dim=(2, 3)) / 255)


@pytest.mark.parametrize("kind", KINDS)
def test_they_mean_what_they_mean_as_floats(kind, tmp_path):
    expected = ManifoldMixupClassifier(**SMALL).fit(FLOATS, Y)
    given = KINDS[kind](X, tmp_path)
    net = ManifoldMixupClassifier(**SMALL).fit(given, Y)
    for rows in (given, X, FLOATS):
        assert np.array_equal(net.predict_proba(rows), expected.predict_proba(FLOATS))
    assert net.loss_curve_ == expected.loss_curve_


@pytest.mark.parametrize(
    ("estimator", "labels"),
    [
        (MixupClassifier, Y),
        (InterpolationConsistencyClassifier, np.where(np.arange(24) < 12, Y, -1)),
        (MixupRegressor, Y.astype(float)),
    ],
)
@pytest.mark.parametrize("loader", [{}, {"iterator_train__num_workers": 0}])
def test_every_estimator_takes_them(estimator, labels, loader):
    nets = [estimator(**SMALL, **loader, train_split=0.5) for _ in range(2)]
    for net, rows in zip(nets, (X, FLOATS), strict=True):
        net.fit(rows, labels).partial_fit(rows, labels, epochs=1)
    assert np.array_equal(nets[0].predict(X), nets[1].predict(FLOATS))
    copy = pickle.loads(pickle.dumps(nets[0]))
    assert np.array_equal(copy.predict(X), nets[0].predict(X))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_copied_as_a_whole(kind, tmp_path, monkeypatch):
    held, init = [], ArrayDataset.__init__

    def noting(data, *args, **kwargs):
        init(data, *args, **kwargs)
        held.append(data.inputs)

    monkeypatch.setattr(ArrayDataset, "__init__", noting)
    given = KINDS[kind](X, tmp_path)
    net = MixupClassifier(Pooled, train_split=0.25, **FAST).fit(given, Y)
    net.predict(given)
    address = np.asarray(given).__array_interface__["data"][0]
    assert held
    assert {(x.dtype, x.data_ptr()) for x in held} == {(torch.uint8, address)}
    assert net.module_.seen == {(torch.float32, True)}


@pytest.mark.parametrize("estimator", [MixupClassifier, InterpolationConsistencyClassifier])
def test_memory_is_that_of_a_batch(estimator):
    many = np.zeros((3000, 1, 32, 32), dtype=np.uint8)
    many[::2] = 200
    y = np.arange(3000) % 2
    if estimator is InterpolationConsistencyClassifier:
        y[100:] = -1
    net = estimator(Pooled(1), max_epochs=1, batch_size=64, random_state=0)
    tracemalloc.start()
    try:
        net.fit(many, y)
        net.predict(many)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < many.nbytes / 3


def test_a_network_adapts_to_a_sample_of_the_rows_that_are_trained_on(monkeypatch):
    shown = []
    monkeypatch.setattr(ChannelScaling, "adapt_to_data", lambda _, rows: shown.append(rows))
    params = {**SMALL, "max_epochs": 0}
    MixupClassifier(**params).fit(X, Y)
    assert torch.equal(shown[-1], torch.from_numpy(FLOATS))
    monkeypatch.setattr(first_look, "SHOWN_NUMBERS", 17 * 108)
    for rows in (X, FLOATS):
        MixupClassifier(**params).fit(rows, Y)
        assert shown[-1].shape == (17, 3, 6, 6)
        assert shown[-1].dtype == torch.float32

    def last(dataset, y=None):
        return Subset(dataset, np.arange(20, 24)), Subset(dataset, np.arange(20))

    MixupClassifier(**params, train_split=last).fit(X, Y)
    assert torch.equal(shown[-1], torch.from_numpy(FLOATS[20:]))


def test_a_saved_network_knows_the_pixels_it_has_seen():
    net = MixupClassifier(**SMALL).fit(X, Y)
    file = io.BytesIO()
    net.save_params(f_params=file)
    file.seek(0)
    loaded = MixupClassifier(**SMALL)
    loaded.load_params(f_params=file)
    assert np.array_equal(loaded.predict_proba(X), net.predict_proba(X))
    scaled = MixupClassifier(**SMALL).fit(FLOATS / 255, Y)
    file.seek(0)
    scaled.load_params(f_params=file)
    for serving in (loaded, scaled):
        assert np.array_equal(serving.predict_proba(X), net.predict_proba(X))
        with pytest.warns(UserWarning, match="fitted on uint8"):
            serving.predict(FLOATS / 255)


def test_attacks_are_in_the_units_of_the_pixels():
    net = VicinalClassifier(**SMALL).fit(X, Y)
    attacked = fgsm(net, X, Y, eps=4, clip=(0, 255))
    assert attacked.dtype == np.float32
    assert np.abs(attacked - FLOATS).max() == 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert net.predict(attacked).shape == (24,)


# ---- bad input


@pytest.mark.parametrize("images", [X, FLOATS], ids=["uint8", "floats"])
def test_noise_of_a_tenth_of_a_pixel_value_is_noticed(images):
    for vicinity in (Gaussian(0.1), RandomChoice([Mixup(1.0), Gaussian(0.1)])):
        with pytest.warns(UserWarning, match=r"sigma=0.1 is noise .* pass sigma=25.5, or images"):
            VicinalClassifier(vicinity=vicinity, **SMALL).fit(images, Y)
    VicinalClassifier(vicinity=Gaussian(25.5), **SMALL).fit(images, Y)
    VicinalClassifier(vicinity=Gaussian(0.1), **SMALL).fit(images / np.float32(255), Y)


def test_other_ranges_than_in_fit():
    scaled = MixupClassifier(**SMALL).fit(FLOATS / 255, Y)
    for method in (scaled.predict, lambda rows: scaled.partial_fit(rows, Y)):
        with pytest.raises(ValueError, match=r"uint8 with values up to 255, .* 0 to 1: scale"):
            method(X)
    net = MixupClassifier(**SMALL).fit(X, Y)
    with pytest.warns(UserWarning, match=r"within 0 and 1, but MixupClassifier was fitted on uin"):
        net.predict(FLOATS / 255)
    raw = MixupRegressor(**SMALL).fit(FLOATS, Y)
    with pytest.warns(UserWarning, match=r"within 0 and 1, but .* on floats from 0 to 255: if X"):
        raw.predict(FLOATS / 255)
    with pytest.warns(UserWarning, match=r"whole numbers up to 255, but .* floats from 0 to 1"):
        scaled.predict(FLOATS)
    net.set_params(max_epochs=1).fit(FLOATS / 255, Y)  # anew: nothing is left of the first fit
    masks = (X > 100).astype(np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.predict(FLOATS / 255)
        net.predict(masks)
        MixupClassifier(**SMALL).fit(FLOATS, Y).predict(X)
        raw.predict(masks.astype(np.float32))
        scaled.predict(FLOATS / 200)  # somewhat brighter


def test_a_constant_channel_says_nothing_and_breaks_nothing():
    opaque = np.concatenate([X, np.full((24, 1, 6, 6), 255, dtype=np.uint8)], axis=1)
    net = MixupClassifier(**SMALL).fit(opaque, Y)
    assert net.module_.scaling.std[3] == 1
    assert np.isfinite(net.predict_proba(opaque)).all()


class Convolved(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.stem(x).mean(dim=(2, 3)))


def test_moved_axes_are_named_for_modules_of_the_users():
    with pytest.raises(ValueError, match=r"6 × 6 pixels with 3 channels last: pass X.transpose"):
        MixupClassifier(Convolved, **FAST).fit(X.transpose(0, 2, 3, 1), Y)
    with pytest.raises(ValueError, match=r"Convolved has .*grey images pass X\[:, None\]"):
        MixupClassifier(Convolved, **FAST).fit(FLOATS[:, 0], Y)
    with pytest.raises(RuntimeError, match="to have 3 channels, but got 2 channels instead"):
        MixupClassifier(Convolved, **FAST).fit(X[:, :2], Y)

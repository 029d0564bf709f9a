"""Images of uint8 among several inputs: they stay so in memory, and mean what floats mean."""

import io
import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from skorch.helper import SliceDict
from torch import nn
from torch.utils.data import Dataset, IterableDataset, Subset

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
from skmixup.vicinal import Gaussian
from skmixup.vicinal.nested import has_channels_last
from tests.estimators.pixels_in_memory import KINDS

RNG = np.random.default_rng(0)
N = 24
Y = np.arange(N) % 2
IMAGES = RNG.integers(0, 256, size=(N, 3, 6, 6), dtype=np.uint8)
IMAGES[Y == 1, 0] //= 4
NUMBERS = RNG.normal(size=(N, 4)).astype(np.float32)
X = {"image": IMAGES, "numbers": NUMBERS}
FLOATS = {"image": IMAGES.astype(np.float32), "numbers": NUMBERS}
HALF = np.where(np.arange(N) < 12, Y, -1)
FAST = {"max_epochs": 2, "batch_size": 8, "random_state": 0, "lr": 0.02}


class Both(nn.Module):
    """An image and numbers, joined before the head; notes the types and the range it gets."""

    def __init__(self, n_outputs=2):
        super().__init__()
        self.scaling = ChannelScaling(3)
        self.stem, self.body = nn.Conv2d(3, 4, 3), nn.Linear(8, 8)
        self.head = nn.Linear(8, n_outputs)
        self.seen = set()

    def forward(self, image, numbers):
        self.seen.add((image.dtype, numbers.dtype, float(image.max()) > 1))
        h = torch.relu(self.stem(self.scaling(image))).mean(dim=(2, 3))
        return self.head(torch.relu(self.body(torch.cat([h, numbers], dim=1))))


class Rows(Dataset):
    """Yields dicts, or tuples, of an image of uint8 and numbers."""

    def __init__(self, kind, y=Y):
        self.kind, self.y = kind, y

    def __len__(self):
        return N

    def __getitem__(self, i):
        row = {key: value[i] for key, value in X.items()}
        return (row if self.kind is dict else self.kind(row.values())), self.y[i]


class OfPair(Both):
    def forward(self, pair):
        return super().forward(*pair)


@pytest.mark.parametrize("kind", KINDS)
def test_they_mean_what_they_mean_as_floats(kind, tmp_path):
    expected = MixupClassifier(Both, **FAST).fit(FLOATS, Y)
    given = {**X, "image": KINDS[kind](IMAGES, tmp_path)}
    net = MixupClassifier(Both, **FAST).fit(given, Y)
    assert net.module_.seen == {(torch.float32, torch.float32, True)}
    assert torch.equal(net.module_.scaling.mean, expected.module_.scaling.mean)
    for rows in (given, X, FLOATS, SliceDict(**X)):
        assert np.array_equal(net.predict_proba(rows), expected.predict_proba(FLOATS))
    assert net.loss_curve_ == expected.loss_curve_
    assert np.array_equal(expected.predict_proba(given), expected.predict_proba(FLOATS))


@pytest.mark.parametrize(
    ("estimator", "labels", "params"),
    [
        (VicinalClassifier, Y, {}),
        (VicinalClassifier, Y, {"vicinity": Gaussian(8.0), "augment": lambda batch: batch}),
        (ManifoldMixupClassifier, Y, {"layers": [0, "body"]}),
        (InterpolationConsistencyClassifier, HALF, {}),
        (MixupRegressor, Y.astype(float), {"module__n_outputs": 1}),
        (MixupRegressor, Y.astype(float), {"module__n_outputs": 1, "partners": "all"}),
    ],
)
@pytest.mark.parametrize("loader", [{}, {"iterator_train__num_workers": 0}])
def test_every_estimator_takes_them(estimator, labels, params, loader):
    nets = [estimator(Both, **FAST, **params, **loader, train_split=0.5) for _ in range(2)]
    for net, rows in zip(nets, (X, FLOATS), strict=True):
        net.fit(rows, labels).partial_fit(rows, labels, epochs=1)
        assert net.module_.seen == {(torch.float32, torch.float32, True)}
    assert np.array_equal(nets[0].predict(X), nets[1].predict(FLOATS))
    assert nets[0].loss_curve_ == nets[1].loss_curve_


def test_copies_and_saved_networks_know_them():
    net = MixupClassifier(Both, **FAST).fit(X, Y)
    assert np.array_equal(pickle.loads(pickle.dumps(net)).predict_proba(X), net.predict_proba(X))
    file = io.BytesIO()
    net.save_params(f_params=file)
    file.seek(0)
    loaded = MixupClassifier(Both, **FAST, classes=[0, 1]).initialize()
    loaded.load_params(f_params=file)
    for rows in (X, FLOATS):
        assert np.allclose(loaded.predict_proba(rows), net.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_copied_as_a_whole(kind, tmp_path, monkeypatch):
    held, init = [], ArrayDataset.__init__

    def noting(data, *args, **kwargs):
        init(data, *args, **kwargs)
        held.append(data.inputs["image"])

    monkeypatch.setattr(ArrayDataset, "__init__", noting)
    given = {**X, "image": KINDS[kind](IMAGES, tmp_path)}
    MixupClassifier(Both, train_split=0.25, **FAST).fit(given, Y).predict(given)
    address = np.asarray(given["image"]).__array_interface__["data"][0]
    assert {(x.dtype, x.data_ptr()) for x in held} == {(torch.uint8, address)}


@pytest.mark.parametrize("estimator", [MixupClassifier, InterpolationConsistencyClassifier])
def test_memory_is_that_of_a_batch(estimator):
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(1, 2)

        def forward(self, image):
            return self.head(image.mean(dim=(2, 3)) / 255)

    many = np.zeros((3000, 1, 32, 32), dtype=np.uint8)
    many[::2] = 200
    y = np.arange(3000) % 2
    if estimator is InterpolationConsistencyClassifier:
        y[100:] = -1
    net = estimator(Pooled, max_epochs=1, batch_size=64, random_state=0)
    tracemalloc.start()
    try:
        net.fit({"image": many}, y).predict({"image": many})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < many.nbytes / 3


def test_a_network_adapts_to_a_sample_of_the_rows_that_are_trained_on(monkeypatch):
    shown = []
    monkeypatch.setattr(ChannelScaling, "adapt_to_data", lambda _, rows: shown.append(rows))
    params = {**FAST, "max_epochs": 0}
    MixupClassifier(Both, **params).fit(X, Y)
    assert torch.equal(shown[-1], torch.from_numpy(FLOATS["image"]))
    monkeypatch.setattr(first_look, "SHOWN_NUMBERS", 17 * (108 + 4))
    for rows in (X, FLOATS):
        MixupClassifier(Both, **params).fit(rows, Y)
        assert shown[-1].shape == (17, 3, 6, 6)
        assert shown[-1].dtype == torch.float32

    def last(dataset, y=None):
        return Subset(dataset, np.arange(20, 24)), Subset(dataset, np.arange(20))

    MixupClassifier(Both, **params, train_split=last).fit(X, Y)
    assert torch.equal(shown[-1], torch.from_numpy(FLOATS["image"][20:]))


@pytest.mark.parametrize("kind", [dict, tuple, list])
def test_data_sets_that_yield_them(kind):
    module = Both if kind is dict else OfPair
    net = MixupClassifier(module, **FAST).fit(Rows(kind))
    expected = MixupClassifier(Both, **FAST, iterator_train__num_workers=0).fit(X, Y)
    assert {seen[0] for seen in net.module_.seen} == {torch.float32}
    proba = net.predict_proba(Rows(kind))
    assert np.allclose(proba, expected.predict_proba(X), atol=1e-6)
    if kind is dict:
        assert np.allclose(net.predict_proba(X), proba, atol=1e-6)
        assert np.allclose(net.predict_proba([row for row, _ in Rows(dict)]), proba, atol=1e-6)


def test_a_stream_of_them():
    class Stream(IterableDataset):
        def __iter__(self):
            yield from (Rows(dict)[i] for i in range(N))

    net = MixupClassifier(Both, **FAST, classes=[0, 1]).fit(Stream())
    assert {seen[0] for seen in net.module_.seen} == {torch.float32}
    assert net.predict(X).shape == (N,)


def test_partners_from_all_rows_are_augmented_as_floats():
    seen = set()

    def augment(x):
        seen.add(x.dtype)
        return x

    params = {"module__width": 4, "module__depths": (1, 1), "partners": "all"}
    MixupRegressor(**params, **FAST, augment=augment).fit(IMAGES, Y.astype(float))
    assert seen == {torch.float32}


@pytest.mark.parametrize("flattens", [False, True])
def test_channels_are_innermost_for_modules_that_take_it(flattens):
    class Ordered(Both):
        def forward(self, image, numbers):
            if flattens:
                image.view(len(image), -1)  # not possible with the channels innermost
            self.last = has_channels_last(image)
            return super().forward(image, numbers)

    net = MixupClassifier(Ordered, **FAST).fit(X, Y)
    assert net.module_.last is not flattens
    net.predict(X)
    assert net.module_.last is not flattens


# ---- bad input


def test_other_ranges_than_in_fit():
    scaled = {**X, "image": FLOATS["image"] / 255}
    net = MixupClassifier(Both, **FAST).fit(scaled, Y)
    for method in (net.predict, lambda rows: net.partial_fit(rows, Y)):
        with pytest.raises(
            ValueError, match=r"X\['image'\] is images of uint8 .* 0 to 1: scale X\["
        ):
            method(X)
    net = MixupClassifier(Both, **FAST).fit(X, Y)
    with pytest.warns(UserWarning, match=r"X\['image'\] is .*within 0 and 1, but MixupClassifier"):
        net.predict(scaled)
    net.set_params(max_epochs=1).fit(scaled, Y)  # anew: nothing is left of the first fit
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.predict(scaled)
        MixupClassifier(Both, **FAST).fit(FLOATS, Y).predict(X)


def test_codes_of_uint8_stay_codes():
    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(5, 3), nn.Linear(6, 2)

        def forward(self, codes):
            return self.head(self.embed(codes).flatten(1))

    codes = RNG.integers(0, 5, size=(N, 2), dtype=np.uint8)
    net = VicinalClassifier(Table, **FAST).fit({"codes": codes}, Y)
    assert net.predict({"codes": codes.astype(int)}).shape == (N,)


def test_attacks_say_what_they_take():
    net = VicinalClassifier(Both, **FAST).fit(X, Y)
    with pytest.raises(TypeError, match=r"got X of type dict: a network with several"):
        fgsm(net, X, Y, 4)

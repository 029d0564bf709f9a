"""Facts about `augment`: what it is given and when, its randomness, what is left unaugmented."""

import pickle
import random
from threading import Thread

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback, EpochScoring
from torch import nn
from torch.utils.data import TensorDataset

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupClassifierCV,
    MixupRegressor,
    VicinalClassifier,
)
from skmixup.augment import RandomCrop, RandomHorizontalFlip

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 1, 4, 4)).astype(np.float32)
Y = RNG.integers(0, 2, 24)


def network():
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Dropout(0.2), nn.Linear(12, 2))


def net(estimator=VicinalClassifier, **params):
    defaults = {"module": network, "max_epochs": 2, "batch_size": 8, "random_state": 0}
    return estimator(**{**defaults, "device": "cpu", **params})


class Recorded(nn.Module):
    """Adds noise, and keeps what it was given and what it returned."""

    calls: list

    def __init__(self, scale=0.5):
        super().__init__()
        self.scale = scale
        self.register_buffer("offset", torch.tensor(1.0))

    def __deepcopy__(self, memo):
        copied = Recorded(self.scale)
        copied.calls = self.calls
        return copied

    def forward(self, x):
        assert self.training
        out = x + self.offset + self.scale * torch.randn(len(x), 1, 1, 1)
        self.calls.append((x.clone(), out))
        return out


@pytest.fixture
def augment():
    augment = Recorded()
    augment.calls = []
    return augment


class Seen(nn.Sequential):
    """A network that keeps its inputs in training."""

    def __init__(self, inputs):
        super().__init__(*network())
        self.inputs = inputs

    def forward(self, x):
        if self.training:
            self.inputs.append(x.detach().clone())
        return super().forward(x)

    def __deepcopy__(self, memo):
        copied = Seen(self.inputs)
        copied.load_state_dict(self.state_dict())
        return copied


@pytest.mark.parametrize("estimator", [VicinalClassifier, MixupClassifier, MixupRegressor])
def test_each_minibatch_is_augmented_once_and_then_mixed(estimator, augment):
    inputs = []
    draws = []
    y = Y.astype(float) if estimator is MixupRegressor else Y

    class Kept(estimator):
        def draw_step(self, X, **kwargs):
            draws.append(super().draw_step(X, **kwargs))
            return draws[-1]

    width = {"alpha": 1.0} if estimator is not VicinalClassifier else {}
    module = nn.Sequential(Seen(inputs), nn.Linear(2, 2 - (estimator is MixupRegressor)))
    net(Kept, module=module, augment=augment, **width).fit(X, y)
    _, *calls = augment.calls  # the first is a look at three rows
    assert len(calls) == len(inputs) == len(draws) == 6
    for (clean, augmented), seen, draw in zip(calls, inputs, draws, strict=True):
        assert all(row.numpy().tobytes() in {x.tobytes() for x in X} for row in clean)
        torch.testing.assert_close(seen, draw.apply(augmented))


def test_one_augmentation_however_often_the_closure_runs(augment):
    inputs = []
    net(module=Seen(inputs), optimizer=torch.optim.LBFGS, augment=augment, max_epochs=1).fit(X, Y)
    assert len(augment.calls) == 1 + 3
    assert len(inputs) > 6
    known = {out.numpy().tobytes() for _, out in augment.calls}
    assert {x.numpy().tobytes() for x in inputs} <= known


def test_unlabelled_rows_are_augmented_for_student_and_teacher(augment):
    y = np.where(np.arange(24) < 8, Y, -1)
    inputs = []
    clf = net(InterpolationConsistencyClassifier, module=Seen(inputs), alpha=0.0, augment=augment)
    clf.fit(X, y)
    _, *calls = augment.calls
    assert len(calls) == 2 * 2 * 2  # two epochs of two steps, labelled and unlabelled
    unlabelled = {x.tobytes() for x in X[8:]}
    given = [{row.numpy().tobytes() for row in clean} <= unlabelled for clean, _ in calls]
    assert given == [False, True] * 4
    known = {out.numpy().tobytes() for _, out in calls}
    assert {x.numpy().tobytes() for x in inputs} == known


def test_other_randomness_and_the_order_of_rows_stay_as_they_are(augment):
    orders, state = [], network().state_dict()
    for given in (None, lambda x: x):
        inputs = []
        module = Seen(inputs)
        module.load_state_dict(state)
        clf = net(MixupClassifier, module=module, augment=given).fit(X, Y)
        orders.append((inputs, clf.predict_proba(X)))
    for a, b in zip(*(inputs for inputs, _ in orders), strict=True):
        assert torch.equal(a, b)
    np.testing.assert_array_equal(orders[0][1], orders[1][1])


def drawing_everywhere(x):
    shift = np.random.normal() + random.random()  # noqa: NPY002
    return x + shift + torch.randn(1)


def drawing_sometimes(x):
    return drawing_everywhere(x) if torch.rand(1) < 0.4 else x


@pytest.mark.parametrize("function", [drawing_everywhere, drawing_sometimes, RandomCrop(1)])
def test_its_randomness_is_that_of_the_fit(function, global_states):
    before = global_states()
    fits = [net(augment=function, max_epochs=4).fit(X, Y).predict_proba(X) for _ in range(2)]
    assert global_states() == before
    np.testing.assert_array_equal(*fits)
    assert not np.array_equal(fits[0], net(max_epochs=4).fit(X, Y).predict_proba(X))
    found = []

    def fit():
        found.append(net(augment=function, max_epochs=4).fit(X, Y).predict_proba(X))

    threads = [Thread(target=fit) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for proba in found:
        np.testing.assert_array_equal(proba, fits[0])


def test_validation_scores_callbacks_and_predictions_see_clean_rows(augment):
    class Batches(Callback):
        def __init__(self):
            self.clean = []

        def on_batch_end(self, net, batch, y_pred, training, **kwargs):
            self.clean += [row.numpy().tobytes() for row in batch[0]]

    batches = Batches()
    score = EpochScoring("accuracy", on_train=True, name="train_acc", lower_is_better=False)
    clf = net(augment=augment, train_split=0.25, callbacks=[batches, score], lr=1e-9).fit(X, Y)
    assert set(batches.clean) == {x.tobytes() for x in X}
    n_calls = len(augment.calls)
    train, _ = clf.get_split_datasets(clf.get_dataset(X, Y), Y)
    x, y = X[train.indices], Y[train.indices]
    assert clf.history[-1, "train_acc"] == pytest.approx((clf.predict(x) == y).mean())
    clf.predict_proba(X)
    assert len(augment.calls) == n_calls == 1 + 2 * 3


def test_a_data_set_of_the_users_and_streams_of_calls_are_augmented(augment):
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    inputs = []
    net(module=Seen(inputs), augment=augment).fit(data, None)
    assert {x.numpy().tobytes() for x in inputs} == {
        out.numpy().tobytes() for _, out in augment.calls[1:]
    }
    n = len(augment.calls)
    clf = net(module=Seen(inputs), augment=augment)
    clf.partial_fit(X, Y, classes=[0, 1]).partial_fit(X, Y)
    assert len(augment.calls) > n + 12


class OwnStep(VicinalClassifier):
    def train_step(self, batch, **fit_params):
        seen.append(batch[0].clone())
        return super().train_step(batch, **fit_params)


seen: list = []


def test_a_step_of_the_users_own_gets_augmented_rows_once(augment):
    seen.clear()
    inputs = []
    net(OwnStep, module=Seen(inputs), augment=augment).fit(X, Y)
    assert len(augment.calls) == 1 + 6
    for (_, out), given, used in zip(augment.calls[1:], seen, inputs, strict=True):
        assert torch.equal(out, given)
        assert torch.equal(out, used)


def test_in_place_functions_leave_the_data_alone():
    def in_place(x):
        x += 1
        return x

    data = X.copy()
    net(augment=in_place, batch_size=-1, iterator_train__shuffle=False).fit(data, Y)
    np.testing.assert_array_equal(data, X)


def test_dicts_are_augmented_as_dicts():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, image, scale):
            return self.inner(image) * scale[:, None]

    data = {"image": X, "scale": np.ones(24, dtype=np.float32)}
    clf = net(module=Two, augment=lambda d: {**d, "image": d["image"].flip(-1)}).fit(data, Y)
    plain = net(module=Two).fit({**data, "image": X[..., ::-1].copy()}, Y)
    np.testing.assert_array_equal(
        clf.predict_proba(data), plain.predict_proba({**data, "image": X})
    )


def test_parameters_copies_and_pickles():
    flips = nn.Sequential(RandomHorizontalFlip(), RandomCrop(1))
    clf = net(ManifoldMixupClassifier, augment=flips)
    assert clf.get_params()["augment"] is flips
    other = clone(clf)
    assert repr(other.augment) == repr(flips)
    assert other.augment is not flips
    fitted = pickle.loads(pickle.dumps(clf.fit(X, Y)))
    np.testing.assert_array_equal(fitted.predict_proba(X), clf.predict_proba(X))
    fitted.partial_fit(X, Y)
    clf.set_params(augment=None).fit(X, Y)
    assert np.array_equal(clf.predict(X), net(ManifoldMixupClassifier).fit(X, Y).predict(X))


def test_the_estimator_with_cross_validation_passes_it_on(augment):
    estimator = net(ManifoldMixupClassifier, augment=augment, max_epochs=1)
    few = {"param_distributions": {"alpha": [0.0, 0.5]}, "n_runs": 2, "cv": 2}
    MixupClassifierCV(estimator, random_state=0, **few).fit(X, Y)
    assert len(augment.calls) >= 2 * 2 * 2


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (RandomCrop, TypeError, "augment must be None, or a function .* got <class"),
        (3, TypeError, "augment must be None, or a function .* got 3"),
        (nn.Conv2d(1, 1, 1), ValueError, "parameters that require gradients, weight, bias"),
        (lambda x: x[..., :2], ValueError, r"keep the shape .*4, 4\); .* \(3, 1, 4, 2\)"),
        (lambda x: x[:-1], ValueError, "keep the shape"),
        (lambda x: x.double(), ValueError, "keep the dtype .* torch.float64"),
        (lambda x: x.numpy(), TypeError, "a tensor for a tensor; .* a ndarray"),
        (lambda x: (x, x), TypeError, "must return what it is given"),
        (lambda x: x / 0 * 0, ValueError, "NaN or infinity of finite values, in 3 of the 3 rows"),
    ],
)  # fmt: skip
def test_errors_come_before_training_and_say_what_is_wrong(function, error, message):
    clf = net(augment=function)
    with pytest.raises(error, match=message):
        clf.fit(X, Y)
    assert not clf.__sklearn_is_fitted__()


class Others(nn.Module):
    def forward(self, x):
        return x


class Compose:
    def __init__(self, *transforms):
        self.transforms = list(transforms)

    def __call__(self, x):
        return x


@pytest.mark.parametrize(
    ("package", "name", "message"),
    [
        ("torchvision", "Normalize", "training only: .* not normalised"),
        ("kornia", "Normalize", "training only: .* not normalised"),
        ("kornia", "RandomMixUpV2", "whose label would stay"),
        ("torchvision", "CutMix", "whose label would stay"),
    ],
)
def test_what_is_no_augmentation_of_rows_is_refused(package, name, message):
    other = type(name, (Others,), {"__module__": f"{package}.somewhere"})()
    for augment in (other, nn.Sequential(RandomCrop(1), other), Compose(Compose(other))):
        with pytest.raises(ValueError, match=f"augment has {package}'s {name}, .*{message}"):
            net(augment=augment).fit(X, Y)
    own = type(name, (Others,), {})()
    net(augment=own).fit(X, Y)


def test_rows_that_change_places_are_an_error():
    for augment in (lambda x: x.flip(0), lambda x: x.roll(1, dims=0)):
        with pytest.raises(ValueError, match=r"order of the rows.* \(3, 1, 4, 4\), whose first"):
            net(augment=augment).fit(X, Y)


def colours(x):
    """Brighter, as kornia and torchvision make images of numbers in [0, 1]."""
    return (1.1 * x).clamp(0, 1)


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_raw_pixels_for_what_takes_numbers_from_0_to_1_are_an_error(kind):
    pixels = np.random.default_rng(0).integers(256, size=(24, 1, 4, 4)).astype(kind)
    with pytest.raises(ValueError, match=r"made 3 of 3 images, .* up to 2.* within 0 and 1"):
        net(augment=colours).fit(pixels, Y)
    with pytest.raises(ValueError, match="made 1 of 3 images"):
        net(augment=lambda x: torch.cat([x[:2], colours(x[2:])])).fit(pixels, Y)
    net(augment=lambda x: 255 * colours(x / 255)).fit(pixels, Y)
    net(augment=colours).fit(pixels / np.float32(255), Y)
    # what is left of images that are moved away or covered
    net(augment=lambda x: 0.1 * x.clamp(0, 1)).fit(pixels, Y)
    net(augment=torch.zeros_like).fit(pixels, Y)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_minibatches_are_augmented_on_the_device():
    def crops(x):
        assert x.is_cuda
        return RandomCrop(1)(x)

    fits = [net(device="cuda", augment=crops).fit(X, Y).predict_proba(X) for _ in range(2)]
    np.testing.assert_allclose(*fits, atol=1e-5)

"""One source of randomness per fit, apart from everybody else's."""

import random

import numpy as np
import pytest
import torch
from skorch.dataset import Dataset
from torch import nn
from torch.utils.data import DataLoader

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.vicinal import CutMix, Gaussian, ManifoldMixup, Mixup

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype(np.float32)
Y = RNG.integers(0, 3, size=40)
IMAGES = RNG.normal(size=(20, 1, 6, 6)).astype(np.float32)
FAST = {"module__hidden_sizes": (8,), "max_epochs": 3}
ESTIMATORS = [
    VicinalClassifier(**FAST),
    VicinalClassifier(vicinity=Gaussian(0.1), **FAST),
    MixupClassifier(**FAST),
    MixupClassifier(mix_per="sample", mix_prob=0.5, **FAST),
    ManifoldMixupClassifier(**FAST),
]


def with_seed(estimator, random_state):
    return type(estimator)(**(estimator.get_params(deep=False) | {"random_state": random_state}))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_same_seed_gives_bit_identical_predictions(estimator):
    first = with_seed(estimator, 3).fit(X, Y).predict_proba(X)
    torch.manual_seed(99)
    assert np.array_equal(with_seed(estimator, 3).fit(X, Y).predict_proba(X), first)
    assert not np.array_equal(with_seed(estimator, 4).fit(X, Y).predict_proba(X), first)
    same = with_seed(estimator, np.random.RandomState(3)).fit(X, Y).predict_proba(X)
    assert np.array_equal(same, first)


@pytest.mark.parametrize("vicinity", [CutMix(), ManifoldMixup(), Mixup()])
def test_images_too(vicinity):
    params = {"vicinity": vicinity, "module__width": 4, "max_epochs": 2, "random_state": 0}
    first, again = (
        VicinalClassifier(**params).fit(IMAGES, Y[:20]).predict_proba(IMAGES) for _ in range(2)
    )
    assert np.array_equal(first, again)


def test_refitting_starts_from_the_same_seed_again():
    net = MixupClassifier(random_state=0, **FAST)
    first = net.fit(X, Y).predict_proba(X)
    assert np.array_equal(net.fit(X, Y).predict_proba(X), first)


@pytest.mark.parametrize("random_state", [None, 0])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_global_random_states_are_the_same_after_fit_and_predict(
    estimator, random_state, global_states
):
    before = global_states()
    net = with_seed(estimator, random_state).fit(X, Y)
    net.partial_fit(X, Y)
    net.predict_proba(X)
    net.decision_function(X)
    net.score(X, Y)
    assert global_states() == before


def test_global_states_with_a_dataloader_and_a_random_transform(global_states):
    class Noisy(Dataset):
        def transform(self, X, y):
            noise = np.random.normal() + random.random() + float(torch.rand(()))  # noqa: NPY002
            return torch.from_numpy(X + np.float32(noise)), torch.as_tensor(y)

    before = global_states()
    fits = [
        MixupClassifier(
            nn.Linear, module__in_features=4, module__out_features=3, max_epochs=2, random_state=0
        ).fit(Noisy(X, Y), None)
        for _ in range(2)
    ]
    assert torch.equal(fits[0].module_.weight, fits[1].module_.weight)
    fits[0].predict_proba(Noisy(X, Y))
    VicinalClassifier(
        iterator_train=DataLoader, iterator_valid=DataLoader, random_state=0, **FAST
    ).fit(X, Y).predict(X)
    assert global_states() == before


def test_global_states_when_training_fails(global_states):
    class Fails(nn.Linear):
        def forward(self, x):
            np.random.normal(), random.random(), torch.rand(())  # noqa: NPY002
            if self.training:
                raise ArithmeticError
            return super().forward(x)

    before = global_states()
    net = MixupClassifier(Fails, module__in_features=4, module__out_features=3)
    with pytest.raises(ArithmeticError):
        net.fit(X, Y)
    assert global_states() == before
    with pytest.raises(ValueError, match="alpha"):
        MixupClassifier(alpha=-1).fit(X, Y)
    assert global_states() == before


def test_a_fit_on_the_cpu_seeds_no_accelerator(monkeypatch):
    def refuse(*args):
        raise AssertionError("an accelerator was seeded")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", refuse)
    monkeypatch.setattr(torch.cuda, "manual_seed", refuse)
    MixupClassifier(device="cpu", random_state=0, **FAST).fit(X, Y)


def test_without_a_seed_two_fits_differ_even_if_global_states_are_seeded():
    fits = []
    for _ in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            fits.append(MixupClassifier(**FAST).fit(X, Y).predict_proba(X))
    assert not np.array_equal(*fits)


@pytest.mark.parametrize("estimator", [MixupClassifier, ManifoldMixupClassifier])
@pytest.mark.parametrize("mix_per", ["batch", "sample"])
@pytest.mark.parametrize("alpha", [0, 0.0, (0, 0)])
def test_alpha_0_is_empirical_risk_minimisation_bit_for_bit(estimator, mix_per, alpha):
    erm = VicinalClassifier(random_state=0, **FAST).fit(X, Y)
    net = estimator(alpha=alpha, mix_per=mix_per, random_state=0, **FAST).fit(X, Y)
    assert np.array_equal(net.predict_proba(X), erm.predict_proba(X))
    assert net.loss_curve_ == erm.loss_curve_


def test_mix_epochs_0_is_empirical_risk_minimisation_bit_for_bit():
    erm = VicinalClassifier(random_state=0, **FAST).fit(X, Y)
    net = MixupClassifier(mix_epochs=0, random_state=0, **FAST).fit(X, Y)
    assert np.array_equal(net.predict_proba(X), erm.predict_proba(X))


def test_the_estimators_are_the_vicinal_classifier_with_their_vicinity():
    pairs = [
        (MixupClassifier(alpha=0.7, mix_per="sample"), Mixup(0.7, mix_per="sample")),
        (ManifoldMixupClassifier(alpha=0.7, layers=[1]), ManifoldMixup(0.7, [1])),
    ]
    for estimator, vicinity in pairs:
        net = estimator.set_params(random_state=0, **FAST).fit(X, Y)
        same = VicinalClassifier(vicinity=vicinity, random_state=0, **FAST).fit(X, Y)
        assert np.array_equal(net.predict_proba(X), same.predict_proba(X))


def test_partial_fit_goes_on_in_the_random_stream_instead_of_repeating_it():
    class Orders(nn.Linear):
        def __init__(self):
            super().__init__(4, 3)
            self.seen = []

        def forward(self, x):
            if self.training:
                self.seen.append(x.clone())
            return super().forward(x)

    net = VicinalClassifier(Orders, max_epochs=1, batch_size=40, random_state=0)
    net.partial_fit(X, Y).partial_fit(X, Y).partial_fit(X, Y)
    first, second, third = net.module_.seen
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)
    again = VicinalClassifier(Orders, max_epochs=1, batch_size=40, random_state=0)
    again.partial_fit(X, Y).partial_fit(X, Y)
    assert torch.equal(again.module_.seen[1], second)

"""Facts about max_epochs="auto" of regressors: rows held out say how long to train."""

import pickle

import numpy as np
import pytest
import torch
from skorch.callbacks import EpochTimer
from torch import nn
from torch.utils.data import TensorDataset

from skmixup import ManifoldMixupRegressor, MixupRegressor, VicinalRegressor
from skmixup.estimators.pilot import TrainingRows, find_length
from skmixup.training import tensor_net

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 12)).astype(np.float32)
Y = 100.0 + 7 * (X[:, 0] + X[:, 1] ** 2)
NOISE = RNG.permutation(Y)
SMALL = {
    "module__hidden_sizes": (32,), "module__n_members": 1, "module__embedding": None,
    "batch_size": 40, "lr": 0.02, "random_state": 0,
}  # fmt: skip
JUDGED = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.GaussianNLLLoss)


def estimator(kind=MixupRegressor, **params):
    return kind(**SMALL, **params)


@pytest.mark.parametrize("kind", [VicinalRegressor, MixupRegressor, ManifoldMixupRegressor])
def test_all_rows_are_trained_on_for_the_epochs_found(kind, quick):
    auto = estimator(kind).fit(X, Y)
    stated = estimator(kind, max_epochs=auto.n_epochs_).fit(X, Y)
    assert auto.max_epochs == "auto"
    assert auto.n_iter_ == len(auto.loss_curve_) == auto.n_epochs_ in (1, 2, 3)
    np.testing.assert_array_equal(auto.predict(X), stated.predict(X))
    np.testing.assert_array_equal(auto.predict(X), estimator(kind).fit(X, Y).predict(X))


@pytest.mark.parametrize("criterion", JUDGED)
def test_noise_is_trained_on_for_a_shorter_time(criterion):
    clear = estimator(criterion=criterion).fit(X, Y)
    noise = estimator(criterion=criterion).fit(X, NOISE)
    assert noise.n_epochs_ < clear.n_epochs_


def test_units_do_not_matter(quick):
    plain, scaled = estimator().fit(X, Y), estimator().fit(X, 1e6 * Y)
    assert plain.n_epochs_ == scaled.n_epochs_
    np.testing.assert_allclose(scaled.predict(X), 1e6 * plain.predict(X), rtol=1e-4)


def test_several_targets(quick):
    both = estimator().fit(X, np.c_[Y, NOISE])
    assert both.n_epochs_ in (1, 2, 3)
    assert both.predict(X).shape == (200, 2)


def test_rows_without_weight_have_no_say():
    weight = np.repeat([1.0, 0.0], 200)
    both, targets = np.concatenate([X, X]), np.concatenate([Y, NOISE])
    clear = estimator().fit(both, targets, sample_weight=weight)
    noise = estimator().fit(both, targets, sample_weight=1 - weight)
    assert noise.n_epochs_ < clear.n_epochs_


def test_a_pilot_needs_targets_that_vary():
    y = np.zeros(200)
    y[RNG.integers(200)] = 1.0
    net = estimator()
    net.fit(X, y, epochs=0)
    for number in range(2):  # the odd row is held out once at most
        held_out = np.arange(200) % 2 == number
        judge = net.pilot_judge(TrainingRows(X, y, None, y, None))
        judged = judge.judged(np.flatnonzero(~held_out), np.flatnonzero(held_out))
        assert len(judged) == (0 if y[held_out].any() else 100)


def test_a_pilot_needs_rows_that_count():
    weight = np.zeros(200)
    weight[7] = 1.0
    net = estimator()
    net.fit(X, Y, epochs=0)
    for number in range(2):
        held_out = np.arange(200) % 2 == number
        judge = net.pilot_judge(TrainingRows(X, Y, weight, Y, weight))
        judged = judge.judged(np.flatnonzero(~held_out), np.flatnonzero(held_out))
        assert len(judged) == 0  # none to train on, or none to judge by


def test_weighted_errors_are_judged_in_nats(quick):
    net = estimator().fit(X, Y)
    weight = np.arange(200) + 1.0
    judge = net.pilot_judge(TrainingRows(X, Y, None, Y, weight))
    rows = np.arange(50)
    outputs = torch.from_numpy(RNG.normal(size=(50, 1)))
    z = (Y[rows] - Y.mean()) / Y.std()
    squared = (outputs[:, 0].numpy() - z) ** 2
    loss, temperature, losses = judge.judgement(net, outputs, rows)
    assert loss == pytest.approx(0.5 * np.log(np.average(squared, weights=weight[rows])), rel=1e-4)
    assert temperature == 1.0
    np.testing.assert_allclose(losses, squared, rtol=1e-4, atol=1e-6)


# ---- where nobody asked for it


class Pinball(nn.Module):
    """A loss of the user's."""

    def forward(self, output, target):
        error = target - output
        return torch.maximum(0.9 * error, -0.1 * error).mean()


HAS_A_SAY = {
    "callbacks": lambda: estimator(callbacks=[EpochTimer()]),
    "rows held out": lambda: estimator(train_split=0.2),
    "warm start": lambda: estimator(warm_start=True),
    "a module": lambda: MixupRegressor(lambda: nn.Linear(12, 1)),
    "a loss": lambda: estimator(criterion=Pinball),
    "an argument of a loss": lambda: estimator(criterion=nn.HuberLoss, criterion__delta=0.5),
    "predictions": lambda: estimator(predict_nonlinearity=lambda z: z),
}


@pytest.mark.parametrize("say", HAS_A_SAY)
def test_who_has_a_say_in_the_training_gets_the_usual_epochs(say, found):
    net = HAS_A_SAY[say]().fit(X, Y)
    assert not found
    assert (net.n_epochs_, net.n_iter_) == (2, 2)


def test_other_data_get_the_usual_epochs(found):
    images = RNG.normal(size=(8, 1, 4, 4)).astype(np.float32)
    for net in (
        MixupRegressor(module__width=4, module__depths=(1,)).fit(images, np.arange(8.0)),
        estimator().fit(TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), Y),
        estimator().partial_fit(X, Y),
    ):
        assert net.n_iter_ == 2
    assert estimator().fit(X, Y, epochs=1).n_iter_ == 1
    assert not found


def test_too_few_rows_say_nothing():
    net = estimator()
    assert find_length(net, TrainingRows(X[:99], Y[:99], None, Y[:99], None)) is None


def test_groups_are_held_out_whole_or_are_errors(found):
    groups = np.arange(200)
    estimator().fit(X, Y, groups=groups)
    np.testing.assert_array_equal(found[0].groups, groups)
    with pytest.raises(ValueError, match="train_split"):
        estimator(max_epochs=2).fit(X, Y, groups=groups)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        estimator().fit(X, Y, groups=groups[:-1])
    with pytest.raises(ValueError, match=r"groups must be .*got \(200, 2\)"):
        estimator().fit(X, Y, groups=np.c_[groups, groups])
    with pytest.raises(ValueError, match="groups mixes kinds"):
        estimator().fit(X, Y, groups=np.array([1, "a"] * 100, dtype=object))


def test_one_group_says_nothing(monkeypatch):
    monkeypatch.setattr(tensor_net, "USUAL_EPOCHS", 2)
    assert estimator().fit(X, Y, groups=np.zeros(200)).n_epochs_ == 2


@pytest.mark.parametrize("value", ["automatic", -1, 1.5, None])
def test_other_values_are_errors(value):
    with pytest.raises(ValueError, match=r"max_epochs.*'auto'"):
        estimator(max_epochs=value).fit(X, Y)


def test_a_pickle_knows_the_epochs_and_goes_on(found):
    net = pickle.loads(pickle.dumps(estimator().fit(X, Y)))
    assert (net.n_epochs_, net.max_epochs) == (3, "auto")
    net.partial_fit(X, Y)
    assert (net.n_iter_, net.n_epochs_) == (5, 3)

"""Facts about the course of the learning rate."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    SequentialLR,
    StepLR,
)

from skmixup import MixupClassifier
from skmixup.training.schedule import LearningRate, cosine, one_cycle, steps, warmup_cosine

rng = np.random.default_rng(0)
X, y = rng.normal(size=(48, 3)), np.arange(48) % 2
FAST = {"module__hidden_sizes": (4,), "batch_size": 16, "random_state": 0}


class Rates(Callback):
    """Keeps the learning rate of every step."""

    def initialize(self):
        self.seen = []
        return self

    def on_grad_computed(self, net, **kwargs):
        self.seen.append(net.optimizer_.param_groups[0]["lr"])


def rates(**params):
    clf = MixupClassifier(**FAST | {"max_epochs": 4, "callbacks": [Rates]} | params).fit(X, y)
    return dict(clf.callbacks_)["Rates"].seen, clf


def linear(t):
    return 1 - t


def optimizer(lr=0.5):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def test_cosine_is_torchs():
    sgd = optimizer()
    theirs = CosineAnnealingLR(sgd, T_max=20)
    for step in range(20):
        assert sgd.param_groups[0]["lr"] == pytest.approx(0.5 * cosine(step / 20))
        sgd.step()
        theirs.step()


def test_one_cycle_has_torchs_shape():
    sgd = optimizer()
    n = 10_000
    theirs = OneCycleLR(sgd, max_lr=0.5, total_steps=n)
    for step in range(n - 1):
        assert sgd.param_groups[0]["lr"] == pytest.approx(0.5 * one_cycle(step / n), abs=2e-4)
        sgd.step()
        theirs.step()


def test_steps_are_those_of_the_mixup_paper():
    sgd = optimizer()
    theirs = MultiStepLR(sgd, milestones=[100, 150], gamma=0.1)  # of 200 epochs
    for epoch in range(200):
        assert sgd.param_groups[0]["lr"] == pytest.approx(0.5 * steps(epoch / 200))
        sgd.step()
        theirs.step()


@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")  # torch 2.6 of its own
def test_a_warm_up_is_torchs():
    sgd = optimizer()
    n, rising = 2000, 100
    up = LinearLR(sgd, start_factor=1 / 25, total_iters=rising)
    theirs = SequentialLR(sgd, [up, CosineAnnealingLR(sgd, T_max=n - rising)], [rising])
    for step in range(n):
        assert sgd.param_groups[0]["lr"] == pytest.approx(0.5 * warmup_cosine(step / n))
        sgd.step()
        theirs.step()


@pytest.mark.parametrize(
    ("schedule", "shape"),
    [
        *(("cosine", cosine), ("one_cycle", one_cycle), ("steps", steps)),
        *(("warmup_cosine", warmup_cosine), (linear, linear)),
    ],
)
def test_the_rate_moves_step_by_step_through_the_whole_fit(schedule, shape):
    seen, clf = rates(lr_schedule=schedule, lr=0.01)
    np.testing.assert_allclose(seen, [0.01 * shape(i / 12) for i in range(12)])
    assert clf.optimizer_.param_groups[0]["lr"] == 0.01  # the next call starts there


def test_auto_is_cosine_and_leaves_the_rate_to_a_scheduler_of_the_users():
    assert rates()[0] == rates(lr_schedule="cosine")[0]
    scheduler = LRScheduler(policy="StepLR", step_size=2, gamma=0.1)
    seen, _ = rates(lr=0.01, callbacks=[("Rates", Rates), scheduler])
    np.testing.assert_allclose(seen, np.repeat([0.01, 0.001], 6))
    assert set(rates(lr_schedule=None, lr=0.01)[0]) == {0.01}


@pytest.mark.parametrize("kind", [EarlyStopping, type("Mine", (EarlyStopping,), {})])
def test_auto_stays_where_training_may_stop_at_any_epoch(kind):
    stop = kind("train_loss", patience=2, threshold=10)
    seen, clf = rates(lr=0.01, callbacks=[Rates, stop])
    assert set(seen) == {0.01}
    assert clf.n_iter_ == 3
    cosines, _ = rates(lr=0.01, callbacks=[Rates, stop], lr_schedule="cosine")
    np.testing.assert_allclose(cosines, [0.01 * cosine(i / 12) for i in range(9)])


def test_each_call_of_partial_fit_has_a_schedule_of_its_own():
    clf = MixupClassifier(**FAST, max_epochs=2, callbacks=[Rates])
    clf.partial_fit(X, y)
    first = dict(clf.callbacks_)["Rates"].seen[:]
    clf.partial_fit(X, y)
    assert dict(clf.callbacks_)["Rates"].seen == 2 * first


def test_a_data_set_without_length_moves_the_rate_from_epoch_to_epoch():
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(zip(torch.from_numpy(X).float(), torch.from_numpy(y), strict=True))

    clf = MixupClassifier(
        torch.nn.Linear,
        module__in_features=3,
        module__out_features=2,
        classes=[0, 1],
        max_epochs=2,
        lr=0.1,
        batch_size=16,
        callbacks=[Rates],
    ).fit(Stream(), None)
    np.testing.assert_allclose(dict(clf.callbacks_)["Rates"].seen, np.repeat([0.1, 0.05], 3))


def test_a_rate_set_by_a_callback_is_the_new_peak():
    sgd = optimizer()
    rate = LearningRate(sgd, "cosine")
    rate.move(0.5)
    assert sgd.param_groups[0]["lr"] == pytest.approx(0.25)
    sgd.param_groups[0]["lr"] = 0.1
    rate.move(0.5)
    assert sgd.param_groups[0]["lr"] == pytest.approx(0.05)
    rate.restore()
    assert sgd.param_groups[0]["lr"] == pytest.approx(0.1)


def test_two_schedules_are_refused_before_training():
    clf = MixupClassifier(**FAST, lr_schedule="one_cycle", callbacks=[LRScheduler()])
    with pytest.raises(ValueError, match="lr_schedule='one_cycle' and the callback LRScheduler"):
        clf.fit(X, y)
    with pytest.raises(ValueError, match="lr_schedule"):
        MixupClassifier(**FAST, lr_schedule="linear").fit(X, y)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (lambda t: None, r"returned None for 0\.0"),
        (lambda t: 1 if t < 0.5 else -1, r"returned -1 for 0\.5"),
        (lambda t: {0.0: 1.0}.get(t), r"returned None for 0\.1"),
        (lambda t: np.inf, "returned inf"),
        (lambda t: torch.nan, "returned nan"),
        (lambda t: "0.5", "returned '0.5'"),
        (lambda t: np.ones(2), "returned array"),
        (lambda t: torch.ones(2), "returned tensor"),
        (lambda t: 1j, "returned 1j"),
        (lambda: 1.0, r"raised TypeError\(.*\) for 0\.0"),
        (lambda t: 1 / t, r"raised ZeroDivisionError\(.*\) for 0\.0"),
        (StepLR, r"raised TypeError\(.*for 0\.0.*torch's schedulers.*LRScheduler"),
    ],
)
def test_a_function_that_is_no_schedule_is_refused_before_training(schedule, said):
    clf = MixupClassifier(**FAST, lr_schedule=schedule)
    with pytest.raises(ValueError, match=f"lr_schedule must return a finite number ≥ 0.*{said}"):
        clf.fit(X, y)
    assert not hasattr(clf, "module_")


def test_what_a_function_does_later_is_said_too():
    schedule = lambda t: 1.0 if t < 0.96 else None  # noqa: E731
    with pytest.raises(ValueError, match=r"lr_schedule must .* returned None for 0\.9"):
        MixupClassifier(**FAST | {"max_epochs": 40}, lr_schedule=schedule).fit(X, y)


@pytest.mark.parametrize(
    "kind", [np.float32, torch.tensor, np.float64, lambda factor: factor > 0.5]
)
def test_numbers_of_any_kind_are_factors(kind):
    found, _ = rates(lr_schedule=lambda t: kind(1 - t))
    expected, _ = rates(lr_schedule=lambda t: float(kind(1 - t)))
    assert found == expected


def test_an_optimizer_of_another_name_is_the_users_own():
    class Own(MixupClassifier):
        def initialize_optimizer(self):
            self.mine_ = torch.optim.SGD(self.module_.parameters(), lr=0.1)
            return self

    clf = Own(**FAST, max_epochs=2).fit(X, y)
    assert clf.mine_.param_groups[0]["lr"] == 0.1
    weights = clf.module_.head.weight.detach().clone()
    assert clf.partial_fit(X, y).n_iter_ == 4
    assert not torch.equal(clf.module_.head.weight, weights)

"""Fits in threads: as one after the other, global states untouched, nobody waits for long."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import optuna
import pytest
import torch
import torch.nn.functional as F
from joblib import Parallel, delayed, parallel_config
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV, cross_validate
from skorch.callbacks import Callback
from skorch.dataset import Dataset
from torch import nn

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    VicinalClassifier,
)
from skmixup.randomness import windows
from skmixup.vicinal import Gaussian

X, Y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
X = X.astype(np.float32)
PARTLY = np.where(np.arange(len(Y)) % 4 == 0, Y, -1)


class Noisy(nn.Module):
    """Draws in every way a module of a user's may."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 16)
        self.drop = nn.Dropout(0.3)
        self.again = nn.LSTM(16, 16, num_layers=2, dropout=0.3, batch_first=True)
        self.head = nn.Linear(16, 3)
        with torch.no_grad():
            self.head.bias.copy_(torch.from_numpy(np.random.normal(size=3)))  # noqa: NPY002

    def forward(self, x):
        h = self.drop(self.first(x).relu())
        if self.training:
            h = h + 0.1 * torch.randn_like(h)
        h = F.dropout(self.again(h.unsqueeze(1))[0].squeeze(1), 0.2, self.training)
        return self.head(h)


class DrawsElsewhere(nn.Linear):
    """Stochastic depth as somebody without torch's random numbers writes it."""

    def forward(self, x):
        scale = 1 + 0.1 * np.random.normal() if self.training else 1  # noqa: NPY002
        return super().forward(x) * scale


class Augmented(Dataset):
    def transform(self, X, y):
        noise = np.random.normal(scale=0.1) + float(torch.rand(()))  # noqa: NPY002
        return torch.from_numpy(X + np.float32(noise)), torch.as_tensor(y)


FAST = {"max_epochs": 4, "batch_size": 16, "random_state": 0}
NETS = {
    "default": ManifoldMixupClassifier(**FAST),
    "Gaussian": VicinalClassifier(vicinity=Gaussian(0.1), **FAST),
    "Noisy": ManifoldMixupClassifier(Noisy, layers=["first"], mix_per="sample", **FAST),
    "numpy in forward": MixupClassifier(
        DrawsElsewhere, module__in_features=6, module__out_features=3, **FAST
    ),
}


def fitted(net, X=X, y=Y):
    return clone(net).fit(X, y).predict_proba(X)


@pytest.mark.parametrize("name", NETS)
def test_threads_give_what_one_after_the_other_gives_bit_for_bit(name, global_states):
    before = global_states()
    nets = [clone(NETS[name]).set_params(random_state=k) for k in (0, 1, 0, 2)]
    serial = [fitted(net) for net in nets]
    beside = Parallel(3, prefer="threads")(delayed(fitted)(net) for net in nets)
    for a, b in zip(serial, beside, strict=True):
        assert np.array_equal(a, b)
    assert global_states() == before


def test_unlabelled_rows_and_data_sets_of_the_users_too(global_states):
    before = global_states()
    ict = InterpolationConsistencyClassifier(layers="auto", **FAST)
    augmented = MixupClassifier(
        nn.Linear, module__in_features=6, module__out_features=3, **FAST | {"max_epochs": 2}
    )

    def both(_):
        trained = clone(augmented).fit(Augmented(X, Y), None)
        return fitted(ict, y=PARTLY), trained.predict_proba(X)

    (a, b), *others = both(0), *Parallel(2, prefer="threads")(delayed(both)(k) for k in range(3))
    for c, d in others:
        assert np.array_equal(a, c)
        assert np.array_equal(b, d)
    assert global_states() == before


class SlowlyAugmented(Augmented):
    def transform(self, X, y):
        time.sleep(0.002)
        return super().transform(X, y)


def test_slow_data_sets_wait_for_each_other(monkeypatch):
    """Longer than anything else would be waited for."""
    monkeypatch.setattr(windows, "PATIENCE", 0.001)
    net = MixupClassifier(
        nn.Linear, module__in_features=6, module__out_features=3, **FAST | {"max_epochs": 1}
    )

    def fit(_):
        return clone(net).fit(SlowlyAugmented(X, Y), None).predict_proba(X)

    serial = fit(0)
    for beside in Parallel(3, prefer="threads")(delayed(fit)(k) for k in range(3)):
        assert np.array_equal(beside, serial)


def test_searches_in_threads():
    net = ManifoldMixupClassifier(**FAST)
    search = GridSearchCV(net, {"alpha": [0, 1.0]}, cv=2, scoring="neg_log_loss", n_jobs=2)
    serial = cross_validate(search.set_params(n_jobs=1), X, Y, cv=2, scoring="neg_log_loss")
    with_threads = search.set_params(n_jobs=2)
    with parallel_config("threading"):
        beside = cross_validate(with_threads, X, Y, cv=2, scoring="neg_log_loss", n_jobs=2)
    assert np.array_equal(serial["test_score"], beside["test_score"])


def test_optuna_in_threads():
    def objective(trial):
        alpha = trial.suggest_float("alpha", 0, 1)
        return float(fitted(MixupClassifier(alpha=alpha, **FAST))[:, 0].sum())

    alphas = {"alpha": [0.0, 0.25, 0.5, 1.0]}
    values = []
    for n_jobs in (1, 2):
        study = optuna.create_study(sampler=optuna.samplers.GridSampler(alphas))
        study.optimize(objective, n_trials=4, n_jobs=n_jobs)
        values.append({t.params["alpha"]: t.value for t in study.trials})
    assert values[0].items() <= values[1].items()


def test_a_fit_beside_predictions_and_beside_draws_of_the_callers():
    expected = fitted(NETS["Noisy"])
    other = clone(NETS["Noisy"]).fit(X, Y)
    done = threading.Event()

    def predict():
        outputs = []
        while not done.is_set():
            outputs.append(other.predict_proba(X))
        return outputs

    with ThreadPoolExecutor(1) as pool:
        outputs = pool.submit(predict)
        try:
            assert np.array_equal(fitted(NETS["Noisy"]), expected)
        finally:
            done.set()
    assert all(np.array_equal(p, other.predict_proba(X)) for p in outputs.result())


def meet(barrier):
    barrier.wait(timeout=120)


class Meets(Callback):
    def __init__(self, barrier, event):
        self.barrier = barrier
        setattr(self, event, lambda net, **kwargs: meet(barrier))


@pytest.mark.parametrize("event", ["on_train_begin", "on_epoch_begin", "on_batch_begin"])
def test_two_threads_make_progress_at_the_same_time(event):
    barrier = threading.Barrier(2)

    def fit():
        MixupClassifier(callbacks=[Meets(barrier, event)], max_epochs=2, batch_size=60).fit(X, Y)

    Parallel(2, prefer="threads")(delayed(fit)() for _ in range(2))


def test_two_threads_meet_within_their_forward_passes(monkeypatch):
    monkeypatch.setattr(windows, "PATIENCE", 0.1)  # which one waits for in vain
    barrier = threading.Barrier(2)

    class Meeting(nn.Linear):
        def forward(self, x):
            if self.training:
                meet(barrier)
            return super().forward(F.dropout(x, 0.2, self.training))

    net = VicinalClassifier(Meeting(6, 3), max_epochs=2, batch_size=40, random_state=0)
    net.set_params(module=Meeting, module__in_features=6, module__out_features=3)
    one, two = Parallel(2, prefer="threads")(delayed(fitted)(net) for _ in range(2))
    assert np.array_equal(one, two)


INNER = MixupClassifier(max_epochs=1, batch_size=-1, module__hidden_sizes=(8,))


def fits_inside(net=None, **kwargs):
    Parallel(2, prefer="threads")(
        delayed(fitted)(clone(INNER).set_params(random_state=0)) for _ in range(2)
    )


class Fits(Callback):
    def on_train_begin(self, net, **kwargs):
        fits_inside()

    def on_epoch_end(self, net, **kwargs):
        fits_inside()


class FitsItself(nn.Linear):
    def __init__(self):
        super().__init__(6, 3)
        fitted(INNER)

    def forward(self, x):
        if self.training:
            fitted(INNER)
        return super().forward(F.dropout(x, 0.2, self.training))


class StartsThreads(nn.Linear):
    def __init__(self):
        super().__init__(6, 3)
        fits_inside()


def test_fits_that_start_fits_come_to_an_end(monkeypatch):
    monkeypatch.setattr(windows, "PATIENCE", 0.1)  # which they wait for in vain
    plain = fitted(MixupClassifier(**FAST))
    for _ in range(2):
        net = MixupClassifier(callbacks=[Fits()], **FAST)
        assert np.array_equal(fitted(net), plain)
    inner, again = (fitted(MixupClassifier(FitsItself, **FAST)) for _ in range(2))
    assert np.array_equal(inner, again)
    threads, again = (fitted(MixupClassifier(StartsThreads, **FAST)) for _ in range(2))
    assert np.array_equal(threads, again)


def test_draws_of_callbacks_come_from_the_random_state_too(global_states):
    class Shakes(Callback):
        def on_epoch_end(self, net, **kwargs):
            with torch.no_grad():
                for parameter in net.module_.parameters():
                    parameter.add_(0.01 * torch.randn_like(parameter))

    before = global_states()
    net = MixupClassifier(callbacks=[Shakes()], **FAST)
    serial = fitted(net)
    assert not np.array_equal(serial, fitted(MixupClassifier(**FAST)))
    for beside in Parallel(2, prefer="threads")(delayed(fitted)(net) for _ in range(2)):
        assert np.array_equal(beside, serial)
    assert global_states() == before


def test_a_checkpointed_module_with_dropout_in_threads():
    from torch.utils.checkpoint import checkpoint

    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.4))
            self.head = nn.Linear(16, 3)

        def forward(self, x):
            return self.head(checkpoint(self.first, x, use_reentrant=False))

    class Plain(Checkpointed):
        def forward(self, x):
            return self.head(self.first(x))

    serial = fitted(VicinalClassifier(Plain, **FAST))
    beside = Parallel(2, prefer="threads")(
        delayed(fitted)(VicinalClassifier(kind, **FAST)) for kind in (Checkpointed, Plain) * 2
    )
    assert all(np.array_equal(p, serial) for p in beside)

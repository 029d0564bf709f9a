"""What callbacks see of training are predictions for the rows as they are, not mixed."""

import numpy as np
import pytest
import torch
from skorch.callbacks import BatchScoring, Callback, EpochScoring, LRScheduler, ProgressBar
from torch import nn

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupRegressor,
    VicinalClassifier,
)
from skmixup.estimators import outputs
from skmixup.estimators.criteria import averaged
from skmixup.vicinal import CutMix, Gaussian

RNG = np.random.default_rng(0)
CODES = np.arange(60) % 3
X = (RNG.normal(size=(60, 4)) + 3 * np.eye(3, 4)[CODES]).astype(np.float32)
IMAGES = np.broadcast_to(X[:, :1, None, None], (60, 1, 6, 6)) + RNG.normal(size=(60, 1, 6, 6)) / 9
Y = np.array(["ant", "bee", "cow"])[CODES]
PARAMS = {"max_epochs": 3, "batch_size": 16, "random_state": 0}
# So slow that the scores during an epoch are those at its end.
STILL = PARAMS | {"optimizer": torch.optim.SGD, "lr": 1e-12, "max_epochs": 2}


def module():
    return nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), nn.Tanh(), nn.Linear(16, 3))


def convolution():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(64, 3))


KINDS = {
    "mixup": (MixupClassifier, {"alpha": 8.0}),
    "members": (MixupClassifier, {"alpha": 8.0, "module": None}),
    "manifold": (ManifoldMixupClassifier, {"alpha": 8.0, "mix_per": "sample"}),
    "noise": (VicinalClassifier, {"vicinity": Gaussian(3.0)}),
    "cutmix": (VicinalClassifier, {"vicinity": CutMix(8.0), "module": convolution}),
    "late": (MixupClassifier, {"alpha": 8.0, "mix_epochs": 1}),
    "consistency": (InterpolationConsistencyClassifier, {"alpha": 8.0}),
    "labeled": (InterpolationConsistencyClassifier, {"alpha": 0.0, "labeled_alpha": 8.0}),
}


def scores(**params):
    return [
        ("accuracy", EpochScoring("accuracy", name="accuracy", on_train=True, **params)),
        ("log_loss", EpochScoring("neg_log_loss", name="log_loss", on_train=True, **params)),
        ("batch", BatchScoring("accuracy", name="batch", on_train=True, **params)),
        ("batch_loss", BatchScoring("neg_log_loss", name="batch_loss", on_train=True, **params)),
    ]


@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_scores_on_the_training_rows_are_those_of_clean_rows(kind, use_caching):
    estimator, params = KINDS[kind]
    rows = IMAGES if kind == "cutmix" else X
    params = STILL | {"module": module} | params
    y = Y
    if estimator is InterpolationConsistencyClassifier:
        y = np.where(np.arange(60) < 60, CODES, -1)
    if kind == "mixup":
        params["iterator_train__batch_size"] = 60
    net = estimator(callbacks=scores(use_caching=use_caching), **params).fit(rows, y)
    accuracy = net.score(rows, y)
    log_p = net.predict_log_proba(rows)[np.arange(60), CODES]
    for epoch in range(2):
        assert net.history[epoch, "accuracy"] == pytest.approx(accuracy)
        assert net.history[epoch, "batch"] == pytest.approx(accuracy)
        assert net.history[epoch, "log_loss"] == pytest.approx(log_p.mean(), abs=1e-5)


@pytest.mark.parametrize("use_caching", [True, False])
def test_of_labelled_rows_beside_others(use_caching):
    y = np.where(np.arange(60) < 30, CODES, -1)
    net = InterpolationConsistencyClassifier(
        module,
        alpha=8.0,
        callbacks=scores(use_caching=use_caching),
        **STILL | {"batch_size": 30},
    ).fit(X, y)
    assert net.history[-1, "accuracy"] == pytest.approx(net.score(X[:30], CODES[:30]))
    log_p = net.predict_log_proba(X[:30])[np.arange(30), CODES[:30]]
    assert net.history[-1, "log_loss"] == pytest.approx(log_p.mean(), abs=1e-5)


@pytest.mark.parametrize("alpha", [0, 8.0])
@pytest.mark.parametrize("criterion", [nn.MSELoss, nn.GaussianNLLLoss])
def test_members_of_a_regressor_are_averaged_for_callbacks(alpha, criterion):
    seen = Mine()
    score = EpochScoring("r2", name="r2", on_train=True, lower_is_better=False)
    params = STILL | {"module__dropout": 0.0, "criterion": criterion, "alpha": alpha}
    y = X @ np.arange(4.0)
    net = MixupRegressor(callbacks=[score, seen], **params).fit(X, y)
    assert net.module_.n_members == 4
    assert net.history[-1, "r2"] == pytest.approx(net.score(X, y))
    for output, _ in seen.outputs:
        assert output.shape == (len(output), 1 + (criterion is nn.GaussianNLLLoss))


def test_scoring_changes_nothing_in_training():
    def normalised():
        return nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 3)
        )

    for estimator, params in (KINDS["mixup"], KINDS["manifold"], KINDS["consistency"]):
        params = PARAMS | {"module": normalised} | params
        scored = estimator(callbacks=scores(), **params).fit(X, CODES)
        plain = estimator(**params).fit(X, CODES)
        assert np.array_equal(scored.predict_proba(X), plain.predict_proba(X))
        assert scored.loss_curve_ == plain.loss_curve_


class Counting(nn.Linear):
    n_forwards = 0

    def forward(self, x):
        self.n_forwards += 1
        return super().forward(x)


class Mine(Callback):
    def __init__(self):
        self.outputs = []

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if training:
            expected = net.module_(batch[0]).detach()
            self.outputs.append((kwargs["y_pred"].detach(), expected))


def test_callbacks_of_the_users_own_see_outputs_for_clean_rows():
    mine = Mine()
    for kind in ("mixup", "manifold", "noise"):
        estimator, params = KINDS[kind]
        estimator(nn.Linear(4, 3), callbacks=[mine], **(STILL | params)).fit(X, Y)
    assert len(mine.outputs) == 3 * 2 * 4
    for seen, expected in mine.outputs:
        torch.testing.assert_close(seen, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("callbacks", "extra"),
    [
        (None, 0),
        ([ProgressBar()], 0),
        ([LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=5, step_every="batch")], 0),
        ([EpochScoring("accuracy", name="valid")], 0),
        ([BatchScoring("accuracy", name="valid", on_train=True, use_caching=False)], 12),
        ([EpochScoring("accuracy", name="train", on_train=True)], 12),
        ([Mine()], 24),
    ],
    ids=["none", "progress", "rate", "valid", "uncached", "train", "mine"],
)
def test_nobody_who_does_not_look_pays(callbacks, extra):
    net = MixupClassifier(Counting(4, 3), alpha=1.0, callbacks=callbacks, **PARAMS).fit(X, Y)
    before = VicinalClassifier(Counting(4, 3), **(PARAMS | {"max_epochs": 0})).fit(X, Y)
    n_steps = 3 * 4
    assert net.module_.n_forwards <= n_steps + extra + before.module_.n_forwards + 1


def test_members_are_averaged_in_training_for_those_who_look_only(monkeypatch):
    calls = []

    def counted(logits, criterion):
        calls.append(logits)
        return averaged(logits, criterion)

    monkeypatch.setattr(outputs, "averaged", counted)

    class OwnStep(MixupClassifier):
        def train_step_single(self, batch, **params):
            step = super().train_step_single(batch, **params)
            assert step["y_pred"].shape == (len(batch[0]), 3)
            return step

    MixupClassifier(alpha=0.2, **PARAMS).fit(X, Y)
    assert not calls
    OwnStep(alpha=0.2, **PARAMS).fit(X, Y)
    assert len(calls) == 3 * 4
    MixupClassifier(alpha=0.0, callbacks=[Mine()], **PARAMS).fit(X, Y)
    assert len(calls) == 2 * 3 * 4


def test_without_mixing_callbacks_see_the_output_of_the_step():
    shown = []

    class Keeps(Callback):
        def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
            shown.append(y_pred.requires_grad)

    for params in ({"alpha": 0.0}, {"mix_epochs": 0}, {"mix_prob": 0}):
        MixupClassifier(module, callbacks=[Keeps()], **(PARAMS | params)).fit(X, Y)
    assert len(shown) == 3 * 3 * 4
    assert all(shown)

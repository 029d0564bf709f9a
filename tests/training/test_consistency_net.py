"""Facts about steps of interpolation consistency: the loss, the averaged teacher, the batches."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skmixup.estimators import MixupClassifier
from tests.training.partly_labeled import Classifier, normalised, quick, small


def run(weights, x):
    network = small()
    network.load_state_dict(weights)
    with torch.no_grad():
        return network(x)


class Recorded(Classifier):
    """Keeps what every step saw and made."""

    def train_step(self, batch, **fit_params):
        self.__dict__.setdefault("_log_", []).append({"labels": batch[1]})
        return super().train_step(batch, **fit_params)

    def _follow(self, average):
        super()._follow(average)
        for name, network in (("student", self.student_), ("average", self.average_network())):
            self._log_[-1][name] = [t.clone() for t in network.state_dict().values()]

    def draw_step(self, X, unlabeled=None):
        draw = super().draw_step(X, unlabeled)
        self._log_[-1].setdefault("draws", []).append(draw)
        self._log_[-1]["teacher"] = {
            k: v.clone() for k, v in self.average_network().state_dict().items()
        }
        return draw

    def step_loss(self, X, y, draw, **fit_params):
        student = {k: v.clone() for k, v in self.module_.state_dict().items()}
        loss, *rest = super().step_loss(X, y, draw, **fit_params)
        if "draws" in self.__dict__.get("_log_", [{}])[-1]:
            self._log_[-1].setdefault("losses", []).append((X, y, student, loss.detach()))
        return loss, *rest


def recorded(moons, **params):
    X, _, partly = moons
    defaults = {"module": small, "max_epochs": 3, "random_state": 0, "device": "cpu", "lr": 0.05}
    return Recorded(**(defaults | params)).fit(X, partly)


# ---- the loss


def test_loss_is_the_formula(moons):
    clf = recorded(moons, unlabeled_weight=7.0, ramp_up=0, batch_size=32)
    for step in clf._log_:
        ((X, y, student, loss),) = step["losses"]
        (draw,) = step["draws"]
        lam, j = draw.labeled.lam, draw.labeled.partner
        logits = run(student, lam * X + (1 - lam) * X[j])
        supervised = lam * F.cross_entropy(logits, y) + (1 - lam) * F.cross_entropy(logits, y[j])
        u, lam, j = draw.rows, draw.unlabeled.lam, draw.unlabeled.partner
        q = run(step["teacher"], u).softmax(1)
        p = run(student, lam * u + (1 - lam) * u[j]).softmax(1)
        gap = ((lam * q + (1 - lam) * q[j] - p) ** 2).sum(1).mean()
        torch.testing.assert_close(loss, supervised + 7.0 * gap)


def test_layers_mix_hidden_rows_of_both_kinds(moons):
    clf = recorded(moons, layers=[1], ramp_up=0, batch_size=32, unlabeled_weight=3.0)
    step = clf._log_[0]
    ((X, y, student, loss),) = step["losses"]
    (draw,) = step["draws"]
    network = small()
    network.load_state_dict(student)
    assert draw.labeled.site == draw.unlabeled.site == "0"

    def mixed(x, lam, j):
        hidden = network[0](x)
        return network[1:](lam * hidden + (1 - lam) * hidden[j])

    lam, j = draw.labeled.lam, draw.labeled.partner
    logits = mixed(X, lam, j)
    supervised = lam * F.cross_entropy(logits, y) + (1 - lam) * F.cross_entropy(logits, y[j])
    gap = mixed(draw.rows, draw.unlabeled.lam, draw.unlabeled.partner).softmax(1) - draw.target
    torch.testing.assert_close(loss, supervised + 3.0 * (gap**2).sum(1).mean())


@pytest.mark.parametrize(("ramp_up", "epochs"), [(0, 0), (2, 2), (0.5, 2), (1.0, 4)])
def test_weight_grows_as_a_sigmoid(moons, ramp_up, epochs):
    clf = recorded(moons, ramp_up=ramp_up, max_epochs=4, unlabeled_weight=5.0)
    weights = [step["draws"][0].weight for step in clf._log_]
    per_epoch = len(weights) / 4
    t = [1.0 if epochs == 0 else min(1, i / per_epoch / epochs) for i in range(len(weights))]
    np.testing.assert_allclose(weights, 5.0 * np.exp(-5 * (1 - np.array(t)) ** 2))
    clf.partial_fit(moons[0], moons[2])
    assert clf._log_[-1]["draws"][0].weight == 5.0


def test_labeled_alpha_is_for_labeled_rows_only(moons):
    for labeled_alpha, mixed in ((0, False), (None, True), (0.3, True)):
        clf = recorded(moons, labeled_alpha=labeled_alpha, max_epochs=1)
        draws = [step["draws"][0] for step in clf._log_]
        assert all((draw.labeled.lam is not None) == mixed for draw in draws)
        assert all(draw.unlabeled.lam is not None for draw in draws)


def test_draws_once_and_averages_once_when_the_closure_runs_often(moons):
    clf = recorded(moons, optimizer=torch.optim.LBFGS, lr=0.5, max_epochs=1, batch_size=64)
    for step in clf._log_:
        assert len(step["draws"]) == 1
        assert len(step["losses"]) > 3
    assert clf._n_averaged_ == len(clf._log_)


def test_one_labeled_row_leaves_batchnorm_of_unlabeled_rows_as_it_is():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(13, 2)), None, np.r_[[0, 1, 0, 1, 0], np.full(8, -1)]
    clf = recorded(data, module=normalised, ramp_up=0, batch_size=4, labeled_alpha=0)
    for step in clf._log_:
        ((X, y, before, loss),), (draw,) = step["losses"], step["draws"]
        student = normalised()
        student.load_state_dict(before)
        student.train(len(X) > 1)
        supervised = F.cross_entropy(student(X), y)
        p = student.train()(draw.unlabeled.apply(draw.rows)).softmax(1)
        torch.testing.assert_close(
            loss, supervised + draw.weight * ((p - draw.target) ** 2).sum(1).mean()
        )
    assert {len(step["losses"][0][0]) for step in clf._log_} == {1, 4}
    assert clf.module_[1].num_batches_tracked == 3 * 3


# ---- the average


@pytest.mark.parametrize("ema_decay", [0.0, 0.5, 0.999])
def test_average_follows_its_recursion_with_batchnorm(moons, ema_decay):
    clf = recorded(moons, module=normalised, ema_decay=ema_decay, max_epochs=4)
    average = None
    for t, step in enumerate(clf._log_):
        d = min(ema_decay, (1 + t) / (10 + t))
        if average is None:
            average = [v.clone() for v in clf._log_[0]["teacher"].values()]
        for a, s, measured in zip(average, step["student"], step["average"], strict=True):
            if a.is_floating_point():
                a.mul_(d).add_(s, alpha=1 - d)
                torch.testing.assert_close(a, measured)
            else:
                assert torch.equal(measured, s)  # BatchNorm's count of batches
    assert len(average) == 9
    if ema_decay == 0:
        for a, s in zip(step["average"], step["student"], strict=True):
            assert torch.equal(a, s)


class Frozen(nn.Sequential):
    """Its BatchNorm keeps to the running statistics, as in fine-tuning."""

    def train(self, mode=True):
        super().train(mode)
        self[1].eval()
        return self


@pytest.mark.parametrize("kind", [nn.Sequential, Frozen])
def test_teacher_normalises_as_the_student_and_drops_nothing(moons, kind):
    def network():
        return kind(*normalised()[:3], nn.Dropout(0.9), nn.Linear(8, 2)).train()

    clf = recorded(moons, module=network, batch_size=32)
    for step in clf._log_:
        (draw,) = step["draws"]
        teacher = network()
        teacher.load_state_dict(step["teacher"])
        teacher.eval()
        teacher[1].train(kind is nn.Sequential)
        with torch.no_grad():
            q = teacher(draw.rows).softmax(1)
        lam, j = draw.unlabeled.lam, draw.unlabeled.partner
        torch.testing.assert_close(draw.target, lam * q + (1 - lam) * q[j])
    norm = clf.module_[1]
    assert (norm.training, norm.track_running_stats) == (False, True)


def test_averaged_network_predicts_and_the_optimizer_moves_the_student(moons):
    X, _, partly = moons
    clf = quick(lr=0.1).fit(X, partly)
    with torch.no_grad():
        logits = clf.module_.eval()(torch.tensor(X, dtype=torch.float32))
    np.testing.assert_allclose(clf.predict_proba(X), logits.softmax(1), atol=1e-6)
    moved = {id(p) for group in clf.optimizer_.param_groups for p in group["params"]}
    assert moved == {id(p) for p in clf.student_.parameters()}
    assert all(p.grad is None for p in clf.module_.parameters())
    assert not torch.equal(clf.module_[0].weight, clf.student_[0].weight)


def test_without_unlabeled_rows_and_average_it_is_mixup(moons):
    X, y, _ = moons
    for layers in (None,):
        params = {"alpha": 0.7, "random_state": 3, "max_epochs": 3, "device": "cpu"}
        params |= {"module__hidden_sizes": (8,), "module__embedding": None}
        ours = Classifier(ema_decay=0, layers=layers, **params).fit(X, y)
        mixup = MixupClassifier(**params).fit(X, y)
        np.testing.assert_array_equal(ours.predict_proba(X), mixup.predict_proba(X))
    np.testing.assert_array_equal(ours.transduction_, y)


# ---- batches


@pytest.mark.parametrize(("n_labeled", "n_unlabeled"), [(5, 100), (100, 5), (1, 1), (2, 33)])
def test_rows_are_batched_separately_and_the_longer_kind_once(n_labeled, n_unlabeled):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_labeled + n_unlabeled + 1, 2))
    y = np.r_[np.arange(n_labeled + 1) % 2, np.full(n_unlabeled, -1)]
    clf = quick(normalised, batch_size=16).fit(X, y)
    dataset = clf.get_dataset(np.float32(X), y)
    dataset.target = torch.where(torch.from_numpy(y) < 0, -1, torch.from_numpy(y))
    batches = list(clf.get_iterator(dataset, training=True))
    assert len(batches) == max(-(-(n_labeled + 1) // 16), -(-n_unlabeled // 16))
    assert all((codes >= 0).all() for _, codes, _ in batches)
    kind = 2 if n_unlabeled > n_labeled + 1 else 0
    seen = torch.cat([batch[kind] for batch in batches]).numpy()
    rows = X[y < 0] if kind else X[y >= 0]
    np.testing.assert_array_equal(np.sort(seen, axis=0), np.sort(np.float32(rows), axis=0))
    assert np.isfinite(clf.predict_proba(X)).all()


def test_images_with_batchnorm_mixed_at_any_layer():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 1, 6, 6)).astype(np.float32)
    y = np.where(np.arange(40) < 12, np.arange(40) % 3, -1)

    def convolution():
        return nn.Sequential(
            nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
            nn.Flatten(),
            nn.Linear(64, 3),
        )

    clf = quick(convolution, layers=[0, 1], batch_size=8).fit(X, y)
    assert clf.predict_proba(X).shape == (40, 3)
    assert clf.module_[0][1].num_batches_tracked > 0


def test_probabilities_with_nll_are_compared_as_they_are(moons):
    X, _, partly = moons

    def with_softmax():
        return nn.Sequential(small(), nn.Softmax(1))

    params = {"lr": 0.05, "batch_size": 32}
    nll = quick(with_softmax, criterion=nn.NLLLoss, **params).fit(X, partly)
    logits = quick(**params).fit(X, partly)
    np.testing.assert_allclose(nll.predict_proba(X), logits.predict_proba(X), atol=1e-4)

"""Facts about partners from all training rows: which they are, what is mixed, what it costs."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.utils.data import TensorDataset

from skmixup import ManifoldMixupRegressor, MixupRegressor, VicinalClassifier, VicinalRegressor
from skmixup.vicinal import CutMix, ManifoldMixup, Mixup, RandomChoice

RNG = np.random.default_rng(0)
X = RNG.normal(size=(41, 3)).astype(np.float32)
Y = np.c_[X[:, 0] + X[:, 1], X[:, 2] ** 2]
CODES = np.arange(41) % 3
SOFT = RNG.dirichlet(np.ones(3), size=41)
WEIGHT = RNG.uniform(0.2, 2, size=41)
ALL = {"partners": "all", "alpha": 1.0}


def recorded(kind):
    class Recorded(kind):
        """Keeps what a step is given and gives."""

        def step_loss(self, X, y, draw, **params):
            loss, output, mixed = super().step_loss(X, y, draw, **params)
            if self.module_.training:
                step = X, y, draw, output.detach(), float(loss.detach())
                self.__dict__.setdefault("steps", []).append(step)
            return loss, output, mixed

    return Recorded


def net(kind=MixupRegressor, **params):
    params = {"max_epochs": 1, "batch_size": 10, "random_state": 0} | params
    return recorded(kind)(**params)


def position(rows):
    """Which rows of X these are."""
    found = (rows.numpy()[:, None] == X[None]).all(axis=2)
    assert found.sum(axis=1).tolist() == [1] * len(rows)
    return found.argmax(axis=1)


class Layers(nn.Module):
    """Keeps the inputs it has got last."""

    mixup_layers = ("first",)

    def __init__(self, n_outputs=2):
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, n_outputs)

    def forward(self, x):
        self.seen = x
        return self.last(torch.tanh(self.first(x)))


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
@pytest.mark.parametrize("pairing", ["uniform", "similar"])
@pytest.mark.parametrize("layers", [[0], [1]])
def test_rows_targets_and_weights_are_mixed_with_those_of_the_partners(mix_per, pairing, layers):
    module = Layers()
    reg = net(ManifoldMixupRegressor, module=module, layers=layers, mix_per=mix_per, lr=1e-12,
              pairing=pairing, bandwidth=0.5, **ALL)  # fmt: skip
    reg.fit(X, Y, WEIGHT)
    centred = Y - np.average(Y, axis=0, weights=WEIGHT)
    scale = np.sqrt(np.average(centred**2, axis=0, weights=WEIGHT))
    z = torch.from_numpy((centred / scale).astype(np.float32))
    weight = torch.from_numpy((WEIGHT / WEIGHT.mean()).astype(np.float32))
    in_batch = 0
    for x, _, draw, output, loss in reg.steps:
        i, j = position(x), position(draw.outside.inputs)
        in_batch += len(set(j) & set(i))
        assert len(i) == len(j)
        lam = draw.lam.expand(len(i))
        mixed = lam[:, None] * x + (1 - lam[:, None]) * torch.from_numpy(X[j])
        expected = reg.module_(mixed)  # a linear first layer: mixing commutes with it
        torch.testing.assert_close(output, expected.detach(), rtol=1e-4, atol=1e-5)
        own, theirs = lam * weight[i], (1 - lam) * weight[j]
        share = (own / (own + theirs))[:, None]
        target = share * z[i] + (1 - share) * z[j]
        rows = (own + theirs) * ((output - target) ** 2).mean(dim=1)
        assert loss == pytest.approx(float(rows.mean()), rel=1e-4)
    assert in_batch < 41 - 5  # most are from outside


def test_the_module_sees_n_rows_at_the_input_and_2n_below_a_hidden_layer():
    for layers, n_seen in (([0], 1), ([1], 2)):
        reg = net(ManifoldMixupRegressor, module=Layers(), layers=layers, batch_size=41, **ALL)
        reg.fit(X, Y)
        assert len(reg.module_.seen) == 41 * n_seen


def check_law(steps, y, bandwidth):
    """Whether partners come with the probability that the paper on C-Mixup gives them."""
    z = (y - y.mean()) / y.std()
    law = np.exp(-((z[:, None] - z[None]) ** 2) / (2 * bandwidth**2))
    found = np.zeros((41, 41))
    for x, _, draw, *_ in steps:
        np.add.at(found, (position(x), position(draw.outside.inputs)), 1)
    expected = found.sum(axis=1, keepdims=True) * law / law.sum(axis=1, keepdims=True)
    often = expected >= 5
    statistic = (np.square(found - expected)[often] / expected[often]).sum()
    assert stats.chi2.sf(statistic, often.sum()) > 1e-3


def test_partners_of_every_batch_follow_the_law():
    y = Y[:, 0]
    reg = net(pairing="similar", bandwidth=0.4, max_epochs=150, lr_schedule=None, **ALL)
    reg.set_params(module=nn.Linear(3, 1), lr=1e-9)
    check_law(reg.fit(X, y).steps, y, 0.4)


def test_vicinities_by_turns_keep_their_own_law_and_rows():
    y, similar = Y[:, 0], {"pairing": "similar", **ALL}
    vicinity = RandomChoice([
        Mixup(bandwidth=0.2, **similar),
        Mixup(bandwidth=1.5, mix_per="sample", **similar),
        Mixup(1.0),
    ])  # fmt: skip
    reg = net(VicinalRegressor, vicinity=vicinity, max_epochs=300, lr_schedule=None, lr=1e-9)
    reg.set_params(module=nn.Linear(3, 1)).fit(X, y)
    outside = [step for step in reg.steps if step[2].outside is not None]
    assert 0.5 < len(outside) / len(reg.steps) < 0.8
    per_row = [step[2].lam.ndim > 0 and len(step[2].lam) > 1 for step in outside]
    check_law([step for step, rows in zip(outside, per_row, strict=True) if not rows], y, 0.2)
    check_law([step for step, rows in zip(outside, per_row, strict=True) if rows], y, 1.5)


def test_rows_held_out_are_no_partners_and_weights_are_those_of_the_split():
    reg = net(train_split=0.3, max_epochs=20, **ALL)
    reg.fit(X, Y, WEIGHT)
    rows = np.concatenate([position(x) for x, *_ in reg.steps])
    partners = np.concatenate([position(step[2].outside.inputs) for step in reg.steps])
    assert set(partners) == set(rows)
    weights = {}
    for x, (_, w), *_ in reg.steps:
        weights |= dict(zip(position(x), w.tolist(), strict=True))
    for _, _, draw, *_ in reg.steps:
        theirs = [weights[j] for j in position(draw.outside.inputs)]
        assert draw.outside.weight.tolist() == theirs


class OwnLoss(VicinalClassifier):
    def get_loss(self, y_pred, y_true, X=None, training=False):
        assert len(y_pred) == len(y_true)
        assert X is None or len(X) in (len(y_true), len(y_true) // 4)
        return super().get_loss(y_pred, y_true, X=X, training=training)


class OwnRowLoss(VicinalClassifier):
    def get_loss(self, y_pred, y_true, X=None, training=False):
        return nn.functional.cross_entropy(y_pred, y_true, reduction="none")


class OwnStep(VicinalClassifier):
    def train_step_single(self, batch, **params):
        xi, yi = batch
        y_pred = self.infer(xi, **params)
        loss = self.get_loss(y_pred, yi, X=xi, training=True)
        loss.backward()
        return {"loss": loss, "y_pred": y_pred}


def fitted(kind, y, vicinity, x=X, **params):
    clf = kind(vicinity=vicinity, max_epochs=2, batch_size=10, random_state=0, **params)
    return clf.fit(x, y, None if params.get("train_split") else WEIGHT)


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
@pytest.mark.parametrize("kind", [OwnLoss, OwnRowLoss, OwnStep])
@pytest.mark.parametrize("site", ["input", 1])
def test_losses_and_steps_of_ones_own_give_what_the_plain_ones_do(kind, site, mix_per):
    vicinity = ManifoldMixup(1.0, site, mix_per=mix_per, **{"partners": "all"})
    plain, own = fitted(VicinalClassifier, CODES, vicinity), fitted(kind, CODES, vicinity)
    np.testing.assert_allclose(own.predict_proba(X), plain.predict_proba(X), rtol=1e-4, atol=1e-6)


NORMS = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3))
KINDS = {
    "classes": (VicinalClassifier, CODES, {}),
    "similar classes": (VicinalClassifier, CODES, {"pairing": "similar", "bandwidth": 0.7}),
    "soft labels": (VicinalClassifier, SOFT, {"pairing": "similar", "bandwidth": 0.3}),
    "several labels": (VicinalClassifier, (SOFT > 0.3) * 1, {"pairing": "similar"}),
    "numbers": (VicinalRegressor, Y, {"pairing": "similar", "mix_prob": 0.5}),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("mix_per", ["batch", "sample"])
def test_every_kind_of_target(name, mix_per):
    kind, y, params = KINDS[name]
    for layers in ([0], [0, 1, 2]):
        vicinity = ManifoldMixup(0.5, layers, partners="all", mix_per=mix_per, **params)
        clf = fitted(kind, y, vicinity)
        assert np.isfinite(clf.loss_curve_).all()


def test_one_logit_batch_norm_lbfgs_images_columns_dicts_and_augmentation():
    vicinity = ManifoldMixup(1.0, [0, 1], partners="all")
    one = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    fitted(VicinalClassifier, CODES > 0, vicinity, module=one, criterion=nn.BCEWithLogitsLoss)
    clf = fitted(VicinalClassifier, CODES, vicinity, module=NORMS)  # the last batch is one row
    assert np.isfinite(clf.predict_proba(X)).all()
    small = {"module__hidden_sizes": (8,)}
    fitted(VicinalClassifier, CODES, vicinity, optimizer=torch.optim.LBFGS, lr=0.1, **small)
    images = RNG.normal(size=(41, 1, 8, 8)).astype(np.float32)
    conv = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    for mix_per in ("batch", "sample"):
        cut = CutMix(1.0, partners="all", mix_per=mix_per)
        fitted(VicinalClassifier, CODES, cut, x=images, module=conv)
        fitted(VicinalClassifier, CODES, cut)

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, a, b):
            return self.a(a) + self.b(b)

    fitted(VicinalClassifier, CODES, Mixup(1.0, partners="all"), x={"a": X, "b": -X}, module=Two())
    seen = []

    def augment(x):
        seen.append(len(x))
        return x + 1

    fitted(VicinalClassifier, CODES, Mixup(1.0, partners="all"), augment=augment)
    assert seen.count(10) == 2 * 2 * 4  # rows and partners, in two epochs of four full batches


def test_statistics_of_a_batch_norm_above_are_those_of_the_mixed_rows():
    class Above(nn.Module):
        mixup_layers = ("below",)

        def __init__(self):
            super().__init__()
            self.below, self.norm, self.head = nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)

        def forward(self, x):
            out = self.norm(self.below(x))
            self.normed = out.detach()
            return self.head(out)

    reg = net(ManifoldMixupRegressor, module=Above(), layers=[1], batch_size=41, **ALL)
    reg.fit(X, Y)
    normed = reg.module_.normed
    torch.testing.assert_close(normed[:41], normed[41:])
    torch.testing.assert_close(normed[:41].mean(dim=0), torch.zeros(4), atol=1e-5, rtol=0)


def test_the_same_seed_gives_the_same_and_no_mixing_is_ordinary_training():
    params = {"pairing": "similar", "max_epochs": 3}
    first, second = (net(**params, **ALL).fit(X, Y).predict(X) for _ in range(2))
    assert np.array_equal(first, second)
    erm = net(alpha=0.0, max_epochs=3).fit(X, Y).predict(X)
    assert np.array_equal(net(alpha=0.0, partners="all", max_epochs=3).fit(X, Y).predict(X), erm)


def test_what_cannot_work_is_told_before_training():
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(CODES))
    clf = VicinalClassifier(vicinity=Mixup(1.0, partners="all"))
    with pytest.raises(
        TypeError, match=r"partners='all'.*as arrays; got a TensorDataset: use par"
    ):
        clf.fit(data, None)
    assert not hasattr(clf, "module_")
    with pytest.raises(ValueError, match="partners must be one of 'batch', 'all'; got 'every'"):
        MixupRegressor(partners="every").fit(X, Y)
    with pytest.raises(ValueError, match=r"partners='all' draws from all training rows, of which"):
        Mixup(partners="all").draw(torch.rand(3, 2), np.random.default_rng(0))

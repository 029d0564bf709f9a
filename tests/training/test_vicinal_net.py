"""Facts about the training step: what the module sees, what gets gradients, what is drawn when."""

import numpy as np
import pytest
import torch
from skorch.callbacks import EpochScoring
from torch import nn
from torch.nn import functional as F

import skmixup.vicinal
from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.vicinal import Gaussian, ManifoldMixup, Mixup
from tests.training.steps import (
    X,
    Y,
    classifier,
    draw_at,
    gradients,
    hooks_of,
    initialised,
    sequential,
    step,
)


class Spy(nn.Module):
    """A network that keeps every input it gets and whether it was in training then."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 6), nn.Linear(6, 3)
        self.seen = []

    def forward(self, x):
        self.seen.append((self.training, x.detach().clone()))
        return self.head(torch.tanh(self.body(x)))


# ---- the mixed batch


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
@pytest.mark.parametrize("site", ["input", "0", "1", "2", "3"])
def test_the_module_continues_from_the_convex_combination(site, mix_per):
    net = initialised()
    draw = draw_at(site, mix_per=mix_per)
    x, layers = torch.from_numpy(X), list(net.module_)
    cut = 0 if site == "input" else int(site) + 1
    below, above = nn.Sequential(*layers[:cut]), nn.Sequential(*layers[cut:])
    h = below(x)
    lam = draw.lam.expand(24).unsqueeze(1)
    expected = above(lam * h + (1 - lam) * h[draw.partner])
    output, _ = net.forward_mixed(x, draw)
    torch.testing.assert_close(output, expected, atol=1e-6, rtol=0)


def test_dotted_names_reach_into_nested_modules():
    net = initialised(module=lambda: nn.Sequential(sequential(), nn.Linear(3, 3)))
    draw = draw_at("0.2")
    x, inner = torch.from_numpy(X), net.module_[0]
    expected = net.module_[1](inner[4](inner[3](draw.apply(inner[:3](x)))))
    torch.testing.assert_close(net.forward_mixed(x, draw)[0], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
def test_manifold_mixup_at_layer_0_has_the_gradient_of_input_mixup(mix_per):
    manifold = initialised(ManifoldMixupClassifier, layers=[0])
    plain = initialised(MixupClassifier)
    plain.module_.load_state_dict(manifold.module_.state_dict())
    x = torch.from_numpy(X)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        step(plain, Mixup(1.0, mix_per=mix_per).draw(x, rng))
        rng = np.random.default_rng(seed)
        sites = manifold.get_vicinity().sites(manifold.module_)
        step(manifold, ManifoldMixup(1.0, mix_per=mix_per).draw(x, rng, sites))
        for name, gradient in gradients(plain).items():
            assert torch.equal(gradient, gradients(manifold)[name]), name


def test_the_gradient_is_that_of_the_mixed_labels_written_out():
    net = initialised()
    draw = draw_at("1", mix_per="sample")
    loss = step(net, draw)["loss"]
    actual = gradients(net)
    x, one_hot = torch.from_numpy(X), F.one_hot(torch.from_numpy(Y), 3).float()
    h = net.module_[:2](x)
    lam = draw.lam.unsqueeze(1)
    logits = net.module_[2:](lam * h + (1 - lam) * h[draw.partner])
    target = lam * one_hot + (1 - lam) * one_hot[draw.partner]
    net.module_.zero_grad()
    expected = -(target * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()
    expected.backward()
    torch.testing.assert_close(loss, expected)
    for name, gradient in gradients(net).items():
        torch.testing.assert_close(actual[name], gradient, atol=1e-6, rtol=1e-4)


# ---- one draw for each optimizer step


@pytest.mark.parametrize("layers", [[0], [1], "auto"])
def test_lbfgs_sees_one_draw_however_often_it_runs_the_closure(layers, monkeypatch):
    drawn, losses = [], []
    draw_step, step_loss = (
        ManifoldMixupClassifier.draw_step,
        ManifoldMixupClassifier.step_loss,
    )

    def counting_draw(self, x):
        drawn.append(draw_step(self, x))
        return drawn[-1]

    def counting_loss(self, X, y, draw, **fit_params):
        losses.append(draw)
        return step_loss(self, X, y, draw, **fit_params)

    monkeypatch.setattr(ManifoldMixupClassifier, "draw_step", counting_draw)
    monkeypatch.setattr(ManifoldMixupClassifier, "step_loss", counting_loss)
    net = classifier(
        ManifoldMixupClassifier, layers=layers, alpha=1.0, optimizer=torch.optim.LBFGS,
        batch_size=12, max_epochs=2, lr=0.1, optimizer__max_iter=5,
    ).fit(X, Y)  # fmt: skip
    assert net.n_iter_ == 2
    assert len(drawn) == 4
    assert len(losses) >= 12
    assert {id(draw) for draw in losses} == {id(draw) for draw in drawn}


def test_lbfgs_lowers_the_loss_of_its_one_draw():
    net = initialised(optimizer=torch.optim.LBFGS, lr=0.5, optimizer__max_iter=20)
    draw = draw_at("2")
    net.draw_step = lambda x: draw
    before = float(step(net, draw)["loss"])
    net.train_step((torch.from_numpy(X), torch.from_numpy(Y)))
    assert float(step(net, draw)["loss"]) < before - 0.1


# ---- gradients of one step do not reach the next


@pytest.mark.parametrize("set_to_none", [None, True, False])
def test_gradients_are_dropped_or_zeroed(set_to_none):
    net = initialised()
    step(net, draw_at("0"))
    net._zero_grad_optimizer(set_to_none)
    for gradient in gradients(net).values():
        assert (gradient is None) if set_to_none is not False else not gradient.any()


def test_an_optimizers_own_zero_grad_is_called():
    calls = []

    class Own(torch.optim.SGD):
        def zero_grad(self, set_to_none=True):
            calls.append(set_to_none)
            super().zero_grad(set_to_none)

    net = classifier(MixupClassifier, optimizer=Own, batch_size=8).fit(X, Y)
    assert calls == [True] * 3
    plain = classifier(MixupClassifier, optimizer=torch.optim.SGD, batch_size=8).fit(X, Y)
    assert np.array_equal(net.predict_proba(X), plain.predict_proba(X))


# ---- when is mixed


def fit_spy(estimator=MixupClassifier, **params):
    params = {"alpha": 1.0} | params if estimator is not VicinalClassifier else params
    net = classifier(estimator, Spy, **params).fit(X, Y)
    return net, [x for training, x in net.module_.seen if training]


def is_clean(batch):
    return all(any(np.array_equal(row, x) for x in X) for row in batch.numpy())


@pytest.mark.parametrize(
    ("mix_epochs", "mixed_epochs"), [(None, 4), (0, 0), (1, 1), (3, 3), (9, 4), (0.5, 2), (0.0, 0),
                                     (1.0, 4), (np.float32(0.5), 2)]
)  # fmt: skip
def test_mix_epochs_counts_epochs_or_their_share(mix_epochs, mixed_epochs):
    _, seen = fit_spy(max_epochs=4, mix_epochs=mix_epochs)
    assert [not is_clean(batch) for batch in seen] == [True] * mixed_epochs + [False] * (
        4 - mixed_epochs
    )


def test_mix_epochs_counts_from_the_start_of_each_call():
    net, _ = fit_spy(max_epochs=2, mix_epochs=1)
    net.module_.seen.clear()
    net.partial_fit(X, Y)
    clean = [is_clean(x) for training, x in net.module_.seen if training]
    assert clean == [False, True]


def test_mix_prob_zero_never_mixes():
    _, seen = fit_spy(mix_prob=0, max_epochs=3)
    assert all(is_clean(batch) for batch in seen)


def test_mix_prob_mixes_some_minibatches():
    _, seen = fit_spy(mix_prob=0.5, max_epochs=20)
    assert 3 <= sum(map(is_clean, seen)) <= 17


def test_gaussian_noise_reaches_the_module():
    _, seen = fit_spy(VicinalClassifier, vicinity=Gaussian(0.1), max_epochs=2)
    assert not any(map(is_clean, seen))


def test_validation_scoring_and_prediction_see_clean_rows():
    for estimator in (MixupClassifier, ManifoldMixupClassifier):
        net = classifier(
            estimator, Spy, alpha=1.0, max_epochs=3, batch_size=8,
            train_split=lambda dataset, y=None, **kw: (dataset, dataset),
            callbacks=[
                EpochScoring("accuracy", use_caching=False),
                ("log_loss", EpochScoring("neg_log_loss", use_caching=True)),
            ],
        ).fit(X, Y)  # fmt: skip
        net.predict_proba(X)
        clean = [x for training, x in net.module_.seen if not training]
        zeros = [x for x in clean if not x.any()]  # the look at the module before training
        assert len(clean) - len(zeros) >= 3 * 2 + 1
        assert all(is_clean(x) for x in clean if x.any())
        expected = net.module_.head(torch.tanh(net.module_.body(torch.from_numpy(X))))
        torch.testing.assert_close(
            torch.from_numpy(net.predict_proba(X)), torch.softmax(expected.double(), dim=1),
            atol=1e-6, rtol=0,
        )  # fmt: skip


def test_valid_loss_is_the_clean_cross_entropy():
    net = classifier(
        ManifoldMixupClassifier, alpha=1.0, lr=1e-12, optimizer=torch.optim.SGD,
        train_split=lambda dataset, y=None, **kw: (dataset, dataset),
    ).fit(X, Y)  # fmt: skip
    logits = net.module_(torch.from_numpy(X)).detach()
    expected = F.cross_entropy(logits, torch.from_numpy(Y))
    assert net.history[-1, "valid_loss"] == pytest.approx(float(expected), abs=1e-5)
    assert net.history[-1, "train_loss"] != pytest.approx(float(expected), abs=1e-5)


def test_no_hook_is_left_after_fit():
    net = classifier(ManifoldMixupClassifier, max_epochs=5).fit(X, Y)
    assert hooks_of(net.module_) == []


def test_no_hook_is_left_when_the_module_fails_in_training():
    class Fragile(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 3)
            self.steps = 0

        def forward(self, x):
            h = self.body(x)
            self.steps += self.training
            if self.steps == 2:  # a fit that ends in its first step leaves no module
                raise ArithmeticError("on purpose")
            return self.head(h)

    net = classifier(ManifoldMixupClassifier, Fragile, layers=[1], alpha=1.0, batch_size=8)
    with pytest.raises(ArithmeticError, match="on purpose"):
        net.fit(X, Y)
    assert hooks_of(net.module_) == []


@pytest.mark.parametrize("kind", [VicinalClassifier, MixupClassifier, ManifoldMixupClassifier])
def test_vicinity_and_layers_are_resolved_once_in_a_fit(kind, monkeypatch):
    resolved = []
    for name in ("Dirac", "Mixup", "ManifoldMixup"):
        vicinity = getattr(skmixup.vicinal, name)
        find = vicinity.sites

        def sites(self, module, find=find):
            resolved.append(self)
            return find(self, module)

        monkeypatch.setattr(vicinity, "sites", sites)
    net = classifier(kind, max_epochs=2)
    made = []
    monkeypatch.setattr(
        net, "get_vicinity", lambda: made.append(type(net).get_vicinity(net)) or made[-1]
    )
    net.fit(X, Y)
    assert len(resolved) == 1
    assert len(made) == 2  # once to check the parameters before any work

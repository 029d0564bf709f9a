"""Facts about the training step: what the module sees, what gets gradients, what is drawn when."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EpochScoring
from torch import nn
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.checkpoint import checkpoint
from torch.utils.data import Dataset

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.networks import MLP
from skmixup.training.batches import auto_batch_size
from skmixup.training.optimizers import plain_step
from skmixup.vicinal import CutMix, Gaussian, ManifoldMixup, Mixup
from skmixup.vicinal.layers import MixingHook

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype(np.float32)
Y = RNG.integers(0, 3, size=24)
IMAGES = RNG.normal(size=(24, 1, 6, 6)).astype(np.float32)


def sequential():
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))


class Recorder(Callback):
    """Keeps what callbacks are shown of every minibatch."""

    def __init__(self):
        self.batches = []

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        self.batches.append((training, batch, y_pred))


class Spy(nn.Module):
    """A network that keeps every input it gets and whether it was in training then."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 6), nn.Linear(6, 3)
        self.seen = []

    def forward(self, x):
        self.seen.append((self.training, x.detach().clone()))
        return self.head(torch.tanh(self.body(x)))


def classifier(estimator=VicinalClassifier, module=sequential, **params):
    defaults = {"max_epochs": 1, "batch_size": 24, "random_state": 0, "lr": 0.01}
    return estimator(module, **(defaults | params))


def initialised(estimator=ManifoldMixupClassifier, module=sequential, **params):
    """A net that has been fitted for no epoch, ready for single training steps."""
    net = classifier(estimator, module, max_epochs=0, **params)
    net.fit(IMAGES if params.get("images") else X, Y)
    net._vicinity_ = net.get_vicinity()
    return net


def draw_at(site, n=24, seed=3, **params):
    vicinity = ManifoldMixup(1.0, **params)
    return vicinity.draw(torch.zeros(n, 1), np.random.default_rng(seed), (site,))


def step(net, draw, x=X, y=Y):
    net._zero_grad_optimizer()
    batch = torch.from_numpy(x), torch.from_numpy(y)
    return net.train_step_single(batch, draw=draw)


def gradients(net):
    return {
        name: None if p.grad is None else p.grad.clone()
        for name, p in net.module_.named_parameters()
    }


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


# ---- block_gradient


BELOW = ["0.weight", "0.bias", "2.weight", "2.bias"]
ABOVE = ["4.weight", "4.bias"]


def plain_gradients(net, site):
    step(net, draw_at(site))
    return gradients(net)


def test_below_blocks_the_gradient_of_the_parameters_below_only():
    net = initialised()
    expected = plain_gradients(net, "2")
    step(net, draw_at("2", block_gradient="below"))
    actual = gradients(net)
    for name in BELOW:
        assert actual[name] is None, name
    for name in ABOVE:
        assert torch.equal(actual[name], expected[name]), name


def test_above_blocks_the_gradient_of_the_parameters_above_only():
    net = initialised()
    expected = plain_gradients(net, "2")
    step(net, draw_at("2", block_gradient="above"))
    actual = gradients(net)
    for name in BELOW:
        torch.testing.assert_close(actual[name], expected[name])
    for name in ABOVE:
        assert actual[name] is None, name


def test_at_the_input_below_blocks_nothing_and_above_everything():
    net = initialised()
    expected = plain_gradients(net, "input")
    step(net, draw_at("input", block_gradient="below"))
    assert all(torch.equal(expected[name], g) for name, g in gradients(net).items())
    step(net, draw_at("input", block_gradient="above"))
    assert all(g is None for g in gradients(net).values())


class Shared(nn.Module):
    """Uses the same parameters below and above the layer `first`."""

    def __init__(self):
        super().__init__()
        self.entry, self.shared, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.shared(torch.tanh(self.shared(self.entry(x))))))


def test_parameters_on_both_sides_get_the_share_from_below():
    net = initialised(module=Shared)
    draw = draw_at("shared", block_gradient="above")
    step(net, draw)
    actual = gradients(net)
    m, x = net.module_, torch.from_numpy(X)
    mixed = draw.apply(F.linear(m.entry(x), m.shared.weight, m.shared.bias))
    frozen = m.shared.weight.detach(), m.shared.bias.detach()
    logits = (
        F.linear(torch.tanh(F.linear(torch.tanh(mixed), *frozen)), m.head.weight.detach(), None)
        + m.head.bias.detach()
    )
    one_hot = F.one_hot(torch.from_numpy(Y), 3).float()
    target = draw.lam * one_hot + (1 - draw.lam) * one_hot[draw.partner]
    m.zero_grad()
    (-(target * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()).backward()
    for name in ["entry.weight", "entry.bias", "shared.weight", "shared.bias"]:
        torch.testing.assert_close(actual[name], gradients(net)[name], atol=1e-6, rtol=1e-4)
    assert actual["head.weight"] is None


def test_where_what_may_learn_is_frozen_nothing_does():
    for block, frozen in (("below", slice(2, None)), ("above", slice(0, 2))):
        module = sequential()
        module[frozen].requires_grad_(False)
        net = initialised(module=module, block_gradient=block)
        step(net, draw_at("1", block_gradient=block))
        assert all(gradient is None for gradient in gradients(net).values())


@pytest.mark.parametrize("block", ["below", "above"])
def test_fit_moves_only_what_block_gradient_leaves(block):
    net = classifier(
        ManifoldMixupClassifier, alpha=1.0, layers=[2], block_gradient=block,
        optimizer=torch.optim.SGD,
    )  # fmt: skip
    start = classifier(ManifoldMixupClassifier, max_epochs=0).fit(X, Y).module_.state_dict()
    end = net.fit(X, Y).module_.state_dict()
    moved = {name for name in start if not torch.equal(start[name], end[name])}
    assert moved == set(ABOVE if block == "below" else BELOW)


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
    net._listeners_ = {"on_grad_computed": []}
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


def hooks_of(module):
    return [hook for child in module.modules() for hook in child._forward_hooks.values()]


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


# ---- kinds of modules


class TupleOutput(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        h = self.body(x)
        return self.head(h), h


def test_of_a_tuple_the_first_element_is_the_logits():
    params = {"layers": [0, 1], "alpha": 1.0, "max_epochs": 3, "batch_size": 7}
    net = classifier(ManifoldMixupClassifier, TupleOutput, **params).fit(X, Y)

    class LogitsOnly(TupleOutput):
        def forward(self, x):
            return super().forward(x)[0]

    plain = classifier(ManifoldMixupClassifier, LogitsOnly, **params).fit(X, Y)
    assert np.array_equal(net.predict_proba(X), plain.predict_proba(X))
    assert net.loss_curve_ == plain.loss_curve_


def test_a_module_called_twice_is_mixed_at_its_first_call():
    net = initialised(module=Shared)
    draw = draw_at("shared")
    m, x = net.module_, torch.from_numpy(X)
    expected = m.head(torch.tanh(m.shared(torch.tanh(draw.apply(m.shared(m.entry(x)))))))
    torch.testing.assert_close(net.forward_mixed(x, draw)[0], expected, atol=1e-6, rtol=0)


def test_a_drawn_layer_that_is_not_called_stops_training():
    class Skips(Shared):
        def forward(self, x):
            return self.head(self.entry(x))

    net = classifier(ManifoldMixupClassifier, Skips, layers=["shared"], alpha=1.0)
    with pytest.raises(RuntimeError, match=r"layer 'shared' was drawn .* did not call it"):
        net.fit(X, Y)


def test_a_drawn_layer_that_returns_a_tuple_stops_training():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.LSTM(4, 5), nn.Linear(5, 3)

        def forward(self, x):
            return self.head(self.rnn(x)[0])

    with pytest.raises(TypeError, match="output of layer 'rnn' is a tuple"):
        classifier(ManifoldMixupClassifier, Recurrent, layers=[1], alpha=1.0).fit(X, Y)


def normalised():
    return nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3)
    )


@pytest.mark.parametrize(
    "estimator", [VicinalClassifier, MixupClassifier, ManifoldMixupClassifier]
)
@pytest.mark.parametrize("batch_size", [1, 2, 7, 23, 24, 100, -1, "auto"])
def test_any_batch_size_works_with_batch_norm_and_dropout(estimator, batch_size):
    params = {} if estimator is VicinalClassifier else {"alpha": 1.0}
    net = classifier(estimator, normalised, batch_size=batch_size, max_epochs=2, **params)
    net.fit(X, Y)
    size = {100: 24, -1: 24, "auto": 16}.get(batch_size, batch_size)
    seen = net.history[-1, "batches", :, "train_batch_size"]
    full, rest = divmod(24, size)
    assert seen == [size] * full + [rest] * (rest > 0)
    assert np.isfinite(net.predict_proba(X)).all()


def test_a_last_batch_of_one_row_uses_and_keeps_the_running_statistics():
    net = initialised(VicinalClassifier, normalised)
    norm = net.module_[1]
    norm.running_mean.fill_(0.3)
    before = {name: b.clone() for name, b in norm.named_buffers()}
    step(net, draw_at("input", n=1), X[:1], Y[:1])
    assert all(torch.equal(before[name], b) for name, b in norm.named_buffers())
    step(net, draw_at("input"), X, Y)
    assert not torch.equal(before["running_mean"], norm.running_mean)
    assert norm.training


def test_dropout_is_on_in_training_and_off_in_prediction():
    net = classifier(VicinalClassifier, normalised).fit(X, Y)
    assert np.array_equal(net.predict_proba(X), net.predict_proba(X))
    first, second = (step(net, draw_at("input"))["y_pred"] for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("vicinity", [CutMix(1.0), Mixup(1.0), ManifoldMixup(1.0), Gaussian(0.1)])
def test_images_train_with_every_vicinity(vicinity):
    net = VicinalClassifier(
        vicinity=vicinity, module__width=4, module__depths=(1, 1), max_epochs=2, batch_size=7,
        random_state=0,
    ).fit(IMAGES, Y)  # fmt: skip
    start = VicinalClassifier(
        module__width=4, module__depths=(1, 1), max_epochs=0, random_state=0
    ).fit(IMAGES, Y)
    assert not np.allclose(net.predict_proba(IMAGES), start.predict_proba(IMAGES))


def test_cutmix_of_a_table_is_refused():
    with pytest.raises(ValueError, match="CutMix needs images"):
        classifier(vicinity=CutMix()).fit(X, Y)


# ---- integer inputs


class Tokens(Dataset):
    def __init__(self):
        self.X = np.random.default_rng(0).integers(0, 9, size=(20, 4))
        self.y = np.arange(20) % 3
        self.targets = self.y

    def __len__(self):
        return 20

    def __getitem__(self, i):
        return torch.from_numpy(self.X[i]), self.y[i]


class Embedded(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(9, 5), nn.Linear(20, 3)

    def forward(self, tokens):
        return self.head(self.embed(tokens).flatten(1))


@pytest.mark.parametrize("estimator", [MixupClassifier, ManifoldMixupClassifier])
def test_integer_codes_are_never_averaged(estimator):
    params = {"layers": [0]} if estimator is ManifoldMixupClassifier else {}
    with pytest.raises(TypeError, match=r"input of the module has dtype torch.int64"):
        classifier(estimator, Embedded, alpha=1.0, **params).fit(Tokens(), None)


def test_integer_codes_are_mixed_after_their_embedding():
    net = classifier(ManifoldMixupClassifier, Embedded, layers=[1], alpha=1.0, max_epochs=2)
    net.fit(Tokens(), None)
    assert net.predict_proba(Tokens()).shape == (20, 3)


def test_noise_is_not_added_to_integer_codes():
    with pytest.raises(TypeError, match=r"int64.*cannot be averaged"):
        classifier(module=Embedded, vicinity=Gaussian()).fit(Tokens(), None)


# ---- what callbacks are shown


def test_callbacks_see_the_clean_rows_with_the_users_labels():
    names = np.array(["ant", "bee", "cow"])[Y]
    net = classifier(MixupClassifier, alpha=1.0, callbacks=[Recorder()], batch_size=7)
    net.fit(X, names, sample_weight=np.ones(24))
    batches = dict(net.callbacks_)["Recorder"].batches
    assert len(batches) == 4
    pairs = {
        (row.tobytes(), str(label))
        for _, (x, y), _ in batches
        for row, label in zip(x.numpy(), y, strict=True)
    }
    assert pairs == {(row.tobytes(), str(label)) for row, label in zip(X, names, strict=True)}


NAMES = np.array(["ant", "bee", "cow"])[Y]


def test_callbacks_see_the_users_labels_when_gradients_are_computed():
    shown = []

    class Gradients(Callback):
        def on_grad_computed(self, net, named_parameters, batch=None, training=False, **kwargs):
            assert all(parameter.grad is not None for _, parameter in named_parameters)
            shown.extend(map(str, batch[1]))

    params = {"callbacks": [Gradients()], "batch_size": 7}
    classifier(MixupClassifier, **params).fit(X, NAMES, sample_weight=np.ones(24))
    assert sorted(shown) == sorted(NAMES)


@pytest.mark.parametrize("callbacks", [None, "disable"])
def test_methods_of_a_subclass_are_told_of_every_batch(callbacks):
    told = []

    class Net(MixupClassifier):
        def on_batch_begin(self, net, batch=None, training=False, **kwargs):
            super().on_batch_begin(net, batch=batch, training=training, **kwargs)
            told.append(("begin", len(batch[1])))

        def on_grad_computed(self, net, named_parameters, batch=None, **kwargs):
            told.append(("gradient", len(batch[1])))

        def on_batch_end(self, net, batch=None, training=False, **kwargs):
            assert set(map(str, batch[1])) <= {"ant", "bee", "cow"}
            told.append(("end", len(batch[1])))

    net = classifier(Net, batch_size=16, callbacks=callbacks).fit(X, NAMES)
    events = ("begin", "gradient", "end")
    assert told == [(event, n) for n in (16, 8) for event in events]
    assert [row["train_batch_size"] for row in net.history[-1, "batches"]] == [16, 8]


def test_every_batch_has_a_row_in_the_history_whoever_listens():
    for callbacks in (None, "disable", [Recorder()]):
        net = classifier(MixupClassifier, batch_size=7, max_epochs=2, callbacks=callbacks)
        net.fit(X, Y)
        for epoch in range(2):
            rows = net.history[epoch, "batches"]
            assert [row["train_batch_size"] for row in rows] == [7, 7, 7, 3]
            assert all(set(row) == {"train_loss", "train_batch_size"} for row in rows)
            assert net.history[epoch, "train_batch_count"] == 4


def test_auto_batch_size_grows_with_the_rows():
    sizes = {n: auto_batch_size(n) for n in (1, 100, 1000, 1797, 4096, 8192, 20_000, 10**6)}
    assert sizes == {
        **{1: 16, 100: 16, 1000: 32, 1797: 64},
        **{4096: 64, 8192: 64, 20_000: 128, 10**6: 256},
    }


# ---- torch.compile


def compiled(estimator=ManifoldMixupClassifier, **params):
    return classifier(estimator, compile=True, compile__backend="eager", **params)


@pytest.fixture
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("_fresh_compiler")
class TestCompile:
    @pytest.mark.parametrize("mix_per", ["batch", "sample"])
    def test_compiled_code_mixes_at_hidden_layers(self, mix_per):
        net = compiled(max_epochs=0).fit(X, Y)
        plain, x = net.module_._orig_mod, torch.from_numpy(X)
        for seed, site in enumerate(["0", "2", "input", "0", "2", "2"]):
            draw = draw_at(site, seed=seed, mix_per=mix_per)
            cut = 0 if site == "input" else int(site) + 1
            layers = list(plain)
            h = nn.Sequential(*layers[:cut])(x)
            lam = draw.lam.expand(24).unsqueeze(1)
            expected = nn.Sequential(*layers[cut:])(lam * h + (1 - lam) * h[draw.partner])
            output, _ = net.forward_mixed(x, draw)
            torch.testing.assert_close(output, expected, atol=1e-6, rtol=0)
        assert torch.equal(net.module_(x), plain(x))

    @pytest.mark.parametrize("params", [{}, {"block_gradient": "below"}, {"mix_per": "sample"}])
    def test_a_compiled_fit_is_the_fit(self, params):
        params = {"alpha": 1.0, "max_epochs": 3, "batch_size": 8} | params
        expected = classifier(ManifoldMixupClassifier, **params).fit(X, Y)
        net = compiled(**params).fit(X, Y)
        assert np.allclose(net.predict_proba(X), expected.predict_proba(X), atol=1e-5)
        assert np.allclose(net.loss_curve_, expected.loss_curve_, atol=1e-5)

    def test_the_default_network_compiles(self):
        params = {"module": None, "module__hidden_sizes": (8, 8), "module__dropout": 0.0,
                  "alpha": 1.0, "max_epochs": 3}  # fmt: skip
        expected = classifier(ManifoldMixupClassifier, **params).fit(X, Y)
        net = compiled(**params).fit(X, Y)
        assert isinstance(net.module_._orig_mod, MLP)
        assert np.allclose(net.predict_proba(X), expected.predict_proba(X), atol=1e-5)
        assert np.allclose(net.predict_proba(X).sum(axis=1), 1)

    def test_hooks_that_stay_are_disarmed_when_the_module_fails(self):
        net = compiled(max_epochs=0).fit(X, Y)
        with pytest.raises(RuntimeError):
            net.forward_mixed(torch.zeros(24, 9), draw_at("2"))
        hooks = [h for h in hooks_of(net.module_._orig_mod) if isinstance(h, MixingHook)]
        assert {hook.site for hook in hooks} == {"0", "2"}
        assert all(hook.mix is None for hook in hooks)
        x = torch.from_numpy(X)
        assert torch.equal(net.module_(x), net.module_._orig_mod(x))

    def test_a_layer_that_had_no_hook_at_compilation_is_an_error(self):
        net = compiled(layers=[0], warm_start=True).fit(X, Y)
        net.set_params(layers=[1])
        with pytest.raises(RuntimeError, match="layer '0' was not among `layers` when"):
            net.fit(X, Y)

    def test_above_is_refused_before_training(self):
        net = compiled(block_gradient="above")
        with pytest.raises(ValueError, match=r"block_gradient='above' .* compile=True"):
            net.fit(X, Y)

    @pytest.mark.filterwarnings("ignore::UserWarning")
    @pytest.mark.parametrize("use_reentrant", [False, True])
    def test_a_layer_in_a_checkpoint_is_refused(self, use_reentrant):
        class Checkpointed(nn.Module):
            def __init__(self):
                super().__init__()
                self.stem, self.body, self.head = (
                    sequential()[:2],
                    nn.Linear(6, 6),
                    nn.Linear(6, 3),
                )

            def forward(self, x):
                return self.head(checkpoint(self.body, self.stem(x), use_reentrant=use_reentrant))

        net = compiled(module=Checkpointed, layers=["body"], alpha=1.0, max_epochs=1)
        with pytest.raises(RuntimeError, match=r"activation checkpoint .*use compile=False"):
            net.fit(X, Y)

    def test_code_compiled_for_another_fit_is_told_from_a_layer_that_is_not_called(self):
        compiled(VicinalClassifier, max_epochs=1).fit(X, Y)
        with pytest.raises(RuntimeError, match=r"torch\.compiler\.reset\(\)"):
            compiled(layers=["2"], alpha=1.0, max_epochs=1).fit(X, Y)
        torch.compiler.reset()
        compiled(layers=["2"], alpha=1.0, max_epochs=1).fit(X, Y)


class TestPlainStep:
    """The optimizer's step goes past torch's wrapper only where that has nothing to do."""

    def optimizer(self):
        return torch.optim.AdamW([nn.Parameter(torch.ones(2))], lr=0.1)

    def test_it_is_the_same_step(self):
        weights = []
        for step_of in (plain_step, lambda optimizer: optimizer.step):
            optimizer = self.optimizer()
            (weight,) = optimizer.param_groups[0]["params"]

            def closure(weight=weight, optimizer=optimizer):
                optimizer.zero_grad()
                loss = weight.square().sum()
                loss.backward()
                return loss

            assert step_of(optimizer)(closure).item() == 2.0
            weights.append(weight.detach())
        assert torch.equal(*weights)

    def test_hooks_schedulers_and_profilers_get_the_whole_step(self):
        assert plain_step(self.optimizer()).__func__ is not torch.optim.AdamW.step
        hooked, scheduled, profiled = self.optimizer(), self.optimizer(), self.optimizer()
        hooked.register_step_post_hook(lambda *args: None)
        torch.optim.lr_scheduler.StepLR(scheduled, 1)
        assert plain_step(hooked) == hooked.step
        assert plain_step(scheduled) == scheduled.step
        with torch.profiler.profile():
            assert plain_step(profiled) == profiled.step
        handle = register_optimizer_step_pre_hook(lambda *args: None)
        try:
            assert plain_step(profiled) == profiled.step
        finally:
            handle.remove()

    def test_an_optimizer_of_the_users_own(self):
        class Own:
            def step(self, closure):
                return closure()

        assert plain_step(own := Own()) == own.step

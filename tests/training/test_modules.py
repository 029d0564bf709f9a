"""Kinds of modules and of minibatches that a training step copes with."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from skorch.callbacks import EpochScoring
from torch import nn
from torch.utils.data import Dataset

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupRegressor,
    VicinalClassifier,
)
from skmixup.vicinal import CutMix, Gaussian, ManifoldMixup, Mixup
from tests.training.steps import IMAGES, Shared, X, Y, classifier, draw_at, initialised, step


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


class Outputs(NamedTuple):
    logits: torch.Tensor
    hidden: torch.Tensor


SECOND = {
    "nothing": lambda hidden: None,
    "a dict": lambda hidden: {"hidden": hidden},
    "a number for the minibatch": lambda hidden: hidden.mean(),
    "a tuple": lambda hidden: (hidden, hidden.T),
}


class TwoOutputs(nn.Module):
    def __init__(self, second):
        super().__init__()
        self.body, self.head, self.second = nn.Linear(4, 5), nn.Linear(5, 3), second

    def forward(self, x):
        hidden = torch.relu(self.body(x))
        if self.second == "a namedtuple":
            return Outputs(self.head(hidden), hidden.detach())
        return self.head(hidden), SECOND[self.second](hidden.detach())


@pytest.mark.parametrize("vicinity", [Mixup(1.0), Mixup(1.0, partners="all")])
@pytest.mark.parametrize("second", [*SECOND, "a namedtuple"])
def test_second_outputs_of_any_kind(second, vicinity):
    net = classifier(module=TwoOutputs, module__second=second, vicinity=vicinity, max_epochs=2)
    net.set_params(train_split=0.3).fit(X, Y)
    assert len(net.history[:, "valid_acc"]) == 2
    assert np.array_equal(net.predict_proba(X)[:3], net.predict_proba(X[:3]))
    if second == "a number for the minibatch":
        rows = torch.from_numpy(X[:3])
        assert net.evaluation_step((rows, None))[1] == net.module_(rows)[1]


class BesideOthers(nn.Module):
    """Takes the first axis of a sequence for its steps, unless it is told better."""

    def __init__(self, kind, batch_first):
        super().__init__()
        self.inner = {
            "LSTM": lambda: nn.LSTM(1, 8, batch_first=batch_first),
            "attention": lambda: nn.MultiheadAttention(8, 2, batch_first=batch_first),
            "batch": lambda: nn.BatchNorm1d(8, track_running_stats=batch_first),
        }[kind]()
        self.kind, self.lift, self.head = kind, nn.Linear(1, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = x.unsqueeze(2)
        if self.kind == "LSTM":
            return self.head(self.inner(x)[0][:, -1])
        h = self.lift(x)
        if self.kind == "attention":
            return self.head(self.inner(h, h, h, need_weights=False)[0].mean(dim=1))
        return self.head(self.inner(h.mean(dim=1)))


@pytest.mark.parametrize("kind", ["LSTM", "attention", "batch"])
def test_rows_that_change_one_another_are_told_before_training(kind):
    params = {"module": BesideOthers, "module__kind": kind, "max_epochs": 1}
    with pytest.warns(UserWarning, match="BesideOthers for a row changes with the rows beside it"):
        classifier(**params, module__batch_first=False).fit(X, Y)
    classifier(**params, module__batch_first=True).fit(X, Y)  # warnings are errors


def test_outputs_that_change_by_chance_are_not_told_so():
    class Always(nn.Linear):
        def forward(self, x):
            return nn.functional.dropout(super().forward(x), 0.5, training=True)

    classifier(module=Always(4, 3), max_epochs=1).fit(X, Y)


class Unpooled(nn.Module):
    """Logits for each of several places, as a convolution without pooling returns them."""

    def __init__(self, *shape):
        super().__init__()
        self.shape, self.body = shape, nn.Linear(4, int(np.prod(shape)))

    def forward(self, x):
        return self.body(x).view(-1, *self.shape)


@pytest.mark.parametrize("shape", [(3, 8), (3, 1), (3, 2, 2)])
def test_more_axes_than_predictions_have_are_an_error_before_training(shape):
    several = (X[:, :3] > 0).astype(int)
    for kind, y in ((MixupClassifier, Y), (MixupClassifier, several), (MixupRegressor, X[:, :3])):
        net = classifier(kind, module=Unpooled(*shape))
        with pytest.raises(ValueError, match=r"(evaluation mode .* \(n, 3\)|one logit for each)"):
            net.fit(X, y)
        assert not hasattr(net, "module_")
    pooled = classifier(module=Unpooled(3, 8))
    pooled.set_params(predict_nonlinearity=lambda output: output.mean(dim=2).softmax(dim=1))
    assert pooled.fit(X, Y).predict_proba(X).shape == (len(X), 3)


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


@pytest.mark.filterwarnings("ignore:the output of .* changes with the rows beside it")
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


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
def test_cutmix_mixes_a_table_column_by_column(mix_per):
    seen = []

    class Watched(nn.Linear):
        def forward(self, x):
            if self.training:
                seen.append(x.detach().clone())
            return super().forward(x)

    module = Watched(4, 3)
    classifier(module=module, vicinity=CutMix(8.0, mix_per=mix_per), max_epochs=4).fit(X, Y)
    mixed = torch.cat(seen)
    for column, given in zip(mixed.T, X.T, strict=True):
        assert set(column.tolist()) <= set(given.tolist())
    rows = {tuple(row) for row in X.tolist()}
    assert not {tuple(row) for row in mixed.tolist()} <= rows


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


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adagrad])
def test_sparse_gradients_of_an_embedding(optimizer):
    def sparse():
        module = Embedded()
        module.embed.sparse = True
        return module

    losses = []
    for module in (Embedded, sparse):
        net = classifier(ManifoldMixupClassifier, module, layers=[1], alpha=1.0, max_epochs=2)
        net.set_params(optimizer=optimizer).fit(Tokens(), None)
        losses.append(net.loss_curve_)
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_noise_is_not_added_to_integer_codes():
    with pytest.raises(TypeError, match=r"int64.*cannot be averaged"):
        classifier(module=Embedded, vicinity=Gaussian()).fit(Tokens(), None)


# ---- sequences


class Sequences(Tokens):
    def __getitem__(self, i):
        return torch.from_numpy(self.X[i, : 1 + i % 4]).float().unsqueeze(1), self.y[i]


class OfSequences(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(1, 5), nn.Linear(5, 3)

    def forward(self, packed):
        return self.head(self.rnn(packed)[1][-1])


def test_packed_sequences_are_trained_on_without_a_word():
    def pack(items):
        sequences, labels = zip(*items, strict=True)
        packed = nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False)
        return packed, torch.tensor(labels)

    collate = {"iterator_train__collate_fn": pack, "iterator_valid__collate_fn": pack}
    net = classifier(module=OfSequences, max_epochs=1, **collate).fit(Sequences(), None)
    assert net.predict(Sequences()).shape == (20,)


class Doubles(nn.Module):
    def __init__(self, in_place):
        super().__init__()
        self.in_place, self.head = in_place, nn.Linear(4, 3)

    def forward(self, x):
        return self.head(x.mul_(2) if self.in_place else 2 * x)


@pytest.mark.parametrize("again", ["the optimizer", "scores", "the teacher"])
def test_rows_that_a_module_has_changed_in_place_are_used_again(again):
    params, labels, estimator = {"max_epochs": 3, "alpha": 1.0}, Y, ManifoldMixupClassifier
    if again == "the optimizer":
        params |= {"layers": ["head"], "optimizer": torch.optim.LBFGS, "lr": 0.1}
    elif again == "scores":
        params |= {"callbacks": [EpochScoring("accuracy", on_train=True)]}
    else:
        labels, estimator = np.where(np.arange(24) < 12, Y, -1), InterpolationConsistencyClassifier
    curves = []
    for in_place in (False, True):
        net = classifier(estimator, Doubles, module__in_place=in_place, **params)
        curves.append(net.fit(X, labels).loss_curve_)
    assert curves[1] == pytest.approx(curves[0], rel=1e-5)

"""Facts about the average of the weights: what it is, where it is used, what it leaves alone."""

import copy
from typing import ClassVar

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping, Freezer, GradientNormClipping, Initializer
from skorch.helper import predefined_split
from torch import nn
from torch.nn.utils import prune

from skmixup import ManifoldMixupClassifier, MixupClassifier, MixupRegressor, VicinalClassifier
from skmixup.training.averaging import MovingAverage, decay_at
from skmixup.training.batches import ArrayDataset

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
DECAY = 0.9


def network():
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 2))


def averaged(estimator=VicinalClassifier, module=network, **params):
    defaults = {"max_epochs": 3, "batch_size": 16, "random_state": 0, "lr": 0.05, "device": "cpu"}
    return estimator(module, **{"ema_decay": DECAY, **defaults, **params})


def copies(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(a, b):
    a, b = (v if isinstance(v, dict) else v.state_dict() for v in (a, b))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Followed(Callback):
    """The weights of the network in training after each step."""

    def on_train_begin(self, net, **kwargs):
        self.weights = []

    def on_batch_end(self, net, training, **kwargs):
        if training:
            self.weights.append(copies(net.student_))
            assert net.module_ is net.student_


def test_the_decay_is_small_at_first_and_at_most_the_one_given():
    assert decay_at(0, 0.999) == pytest.approx(0.1)
    assert decay_at(8, 0.999) == pytest.approx(0.5)
    assert decay_at(10**6, 0.999) == 0.999
    assert decay_at(5, 0.0) == 0.0


def test_the_average_moves_weights_and_statistics_and_copies_counts():
    teacher, student = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    student(torch.randn(8, 3))
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    with torch.no_grad():
        MovingAverage(teacher, student).move(0.75)
    for name, value in teacher.state_dict().items():
        current = student.state_dict()[name]
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * before[name] + 0.25 * current)
        else:
            assert torch.equal(value, current)
    assert not torch.equal(teacher.running_mean, before["running_mean"])


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.LBFGS])
@pytest.mark.parametrize("estimator", [ManifoldMixupClassifier, MixupRegressor])
def test_what_predicts_is_the_average_of_what_was_trained(estimator, optimizer):
    y = np.c_[Y, X[:, 1]] if estimator is MixupRegressor else Y
    net = averaged(estimator, callbacks=[Followed()], optimizer=optimizer, lr=0.1).fit(X, y)
    expected = copies(averaged(estimator, max_epochs=0).fit(X, y).module_)
    for t, weights in enumerate(dict(net.callbacks_)["Followed"].weights):
        d = min(DECAY, (1 + t) / (10 + t))
        for name, value in weights.items():
            mean = expected[name]
            expected[name] = d * mean + (1 - d) * value if value.is_floating_point() else value
    assert t == 8
    for name, value in net.module_.state_dict().items():
        torch.testing.assert_close(value, expected[name])
    assert not same(net.module_, net.student_)


def test_training_is_the_same_with_an_average_and_without():
    trained = averaged(ManifoldMixupClassifier).fit(X, Y)
    plain = averaged(ManifoldMixupClassifier, ema_decay=0.0).fit(X, Y)
    assert same(trained.student_, plain.module_)
    assert trained.loss_curve_ == plain.loss_curve_
    assert not hasattr(plain, "student_")


def test_the_average_is_scored_and_predicts():
    class Scores(Callback):
        def on_epoch_end(self, net, dataset_valid=None, **kwargs):
            scores.append(copies(net.module_))

    scores = []
    valid = ArrayDataset(X, Y)
    net = averaged(callbacks=[Scores()], train_split=predefined_split(valid)).fit(X, Y)
    for row, weights in zip(net.history, scores, strict=True):
        module = network().eval()
        module.load_state_dict(weights)
        loss = nn.functional.cross_entropy(module(torch.tensor(X)), torch.tensor(Y))
        assert row["valid_loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert same(scores[-1], net.module_)
    with torch.no_grad():
        expected = net.module_(torch.tensor(X)).softmax(dim=1)
    np.testing.assert_allclose(net.predict_proba(X), expected, atol=1e-6)


def test_the_best_epoch_is_the_best_average():
    net = averaged(
        max_epochs=8,
        lr=0.5,
        callbacks=[EarlyStopping(patience=8, load_best=True)],
        train_split=predefined_split(ArrayDataset(X, 1 - Y)),
    ).fit(X, Y)
    logits = net.module_(torch.tensor(X))
    loss = nn.functional.cross_entropy(logits, torch.tensor(1 - Y)).item()
    assert min(net.history[:, "valid_loss"]) == pytest.approx(loss, rel=1e-5)


# ---- callbacks and steps of the user's own look at what is trained


class FreezeAt(Callback):
    def __init__(self, event, epoch, frozen):
        self.event, self.epoch, self.frozen = event, epoch, frozen

    def notified(self, event, net):
        if event == self.event and len(net.history) == self.epoch:
            net.module_[0].requires_grad_(not self.frozen)

    def on_train_begin(self, net, **kwargs):
        self.notified("on_train_begin", net)

    def on_epoch_begin(self, net, **kwargs):
        self.notified("on_epoch_begin", net)

    def on_epoch_end(self, net, **kwargs):
        self.notified("on_epoch_end", net)


@pytest.mark.parametrize(
    ("event", "epoch"), [("on_train_begin", 0), ("on_epoch_begin", 1), ("on_epoch_end", 1)]
)
def test_what_a_callback_freezes_or_frees_is_what_is_trained(event, epoch):
    followed = Followed()
    net = averaged(callbacks=[FreezeAt(event, epoch, True), followed]).fit(X, Y)
    first = [weights["0.weight"] for weights in followed.weights]
    n_free = 3 if event == "on_epoch_end" else 0
    assert all(torch.equal(first[-1], w) for w in first[n_free:])
    assert not net.module_[0].weight.requires_grad
    net.set_params(callbacks=[FreezeAt("on_epoch_begin", 4, False), followed])
    net.partial_fit(X, Y)
    assert not torch.equal(first[-1], net.student_[0].weight)


@pytest.mark.parametrize("callback", [Initializer("0.weight", fn=nn.init.zeros_), Freezer("0.*")])
def test_skorchs_callbacks_on_parameters_reach_what_is_trained(callback):
    first = averaged(max_epochs=0).fit(X, Y).module_[0].weight
    expected = torch.zeros(6, 4) if isinstance(callback, Initializer) else first
    net = averaged(lr=1e-9, callbacks=[callback]).fit(X, Y)
    for network in (net.module_, net.student_):
        torch.testing.assert_close(network[0].weight, expected, atol=1e-6, rtol=0)
    assert net.student_[0].weight.requires_grad is isinstance(callback, Initializer)


def test_gradients_are_clipped_as_without_an_average():
    clip = {"callbacks": [GradientNormClipping(0.01)], "optimizer": torch.optim.SGD}
    assert same(
        averaged(**clip).fit(X, Y).student_, averaged(ema_decay=0.0, **clip).fit(X, Y).module_
    )


class OwnStep(MixupClassifier):
    def train_step(self, batch, **fit_params):
        self.optimizer_.zero_grad()
        x, y = batch
        output = self.infer(x)
        loss = self.get_loss(output, y, X=x, training=True)
        loss.backward()
        assert all(p.grad is not None for p in self.module_.parameters())
        nn.utils.clip_grad_norm_(self.module_.parameters(), 0.1)
        self.optimizer_.step()
        return {"loss": loss, "y_pred": output}


def test_a_step_of_the_users_own_trains_and_is_averaged():
    net = averaged(OwnStep).fit(X, Y)
    plain = averaged(OwnStep, ema_decay=0.0).fit(X, Y)
    assert same(net.student_, plain.module_)
    assert not same(net.student_, net.module_)


class Sized(nn.Module):
    def __init__(self, n_columns=1):
        super().__init__()
        self.layer = nn.Linear(n_columns, 2)

    def forward(self, x):
        return self.layer(x)


class SetShape(Callback):
    def on_train_begin(self, net, X=None, **kwargs):
        net.set_params(module__n_columns=X.shape[1])


def test_a_callback_may_make_the_module_anew():
    params = {"module": Sized, "callbacks": [SetShape()]}
    net = averaged(**params).fit(X, Y)
    plain = averaged(ema_decay=0.0, **params).fit(X, Y)
    assert net.module_.layer.in_features == net.student_.layer.in_features == 4
    assert same(net.student_, plain.module_)
    assert not same(net.student_, net.module_)
    assert "_average_" not in net.__dict__


class OwnOptimizer(MixupClassifier):
    """Makes its optimizer as skorch's documentation shows."""

    def initialize_optimizer(self, *args, **kwargs):
        named = self.module_.named_parameters()
        args, kwargs = self.get_params_for_optimizer("optimizer", named)
        self.optimizer_ = self.optimizer(*args, **kwargs)
        return self


def test_an_optimizer_of_the_users_own_moves_what_is_trained():
    net = averaged(OwnOptimizer).fit(X, Y)
    assert same(net.student_, averaged(MixupClassifier).fit(X, Y).student_)
    net.set_params(optimizer__weight_decay=0.5).partial_fit(X, Y)
    moved = {id(p) for group in net.optimizer_.param_groups for p in group["params"]}
    assert moved == {id(p) for p in net.student_.parameters()}


def test_steps_by_hand_move_student_and_average():
    net = averaged(max_epochs=0).fit(X, Y)
    student, average = copies(net.student_), net.module_
    net.train_step((torch.tensor(X), torch.tensor(Y)))
    assert net.module_ is average
    t, s = average[0].weight, net.student_[0].weight
    assert not torch.equal(s, student["0.weight"])
    torch.testing.assert_close(t, 0.1 * student["0.weight"] + 0.9 * s)


# ---- set later, copied, interrupted


@pytest.mark.parametrize("decay", [0.0, DECAY])
def test_an_average_may_begin_or_end_later(decay):
    net = averaged(ema_decay=DECAY - decay).fit(X, Y)
    trained = copies(getattr(net, "student_", net.module_))
    net.set_params(ema_decay=decay, callbacks=[Followed()] if decay else None).partial_fit(X, Y)
    assert not same(trained, net.student_)
    assert same(net.student_, net.module_) is (decay == 0)
    assert {id(p) for g in net.optimizer_.param_groups for p in g["params"]} == {
        id(p) for p in net.student_.parameters()
    }
    net.set_params(ema_decay=0.0, callbacks=None).fit(X, Y)
    assert not hasattr(net, "student_")
    assert "student" not in net.prefixes_
    assert same(net.module_, averaged(ema_decay=0.0).fit(X, Y).module_)


class Keeps(nn.Linear):
    """Keeps its last output, with what it was computed from."""

    def forward(self, x):
        self.last = super().forward(x)
        return self.last


FIRST = {
    "lazy": lambda: nn.LazyLinear(6),
    "a lazy normalisation": lambda: nn.Sequential(nn.LazyLinear(6), nn.LazyBatchNorm1d()),
    "weights that are computed": lambda: nn.utils.weight_norm(nn.Linear(X.shape[1], 6)),
    "an output that is kept": lambda: Keeps(X.shape[1], 6),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("first", FIRST)
def test_layers_that_torch_does_not_copy_have_an_average(first):
    def module():
        return nn.Sequential(FIRST[first](), nn.Tanh(), nn.LazyLinear(2))

    net = averaged(module=module, callbacks=[Followed()]).fit(X, Y)
    assert not same(net.module_, net.student_)
    assert (net.predict(X) == copy.deepcopy(net).predict(X)).all()
    net = averaged(module=module, ema_decay=0.0).fit(X, Y)
    net.set_params(ema_decay=DECAY, callbacks=[Followed()]).partial_fit(X, Y)
    assert not same(net.module_, net.student_)


def test_complex_weights_have_an_average():
    class Spectral(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(X.shape[1], 6, dtype=torch.complex64))
            self.head = nn.Linear(6, 2)

        def forward(self, x):
            return self.head((x.to(torch.complex64) @ self.weight).abs())

    net = averaged(module=Spectral, max_epochs=1).fit(X, Y)
    first, student = net.module_.weight.detach().clone(), net.student_.weight
    assert not torch.equal(first, student)
    decay = decay_at(net._n_averaged_, net.ema_decay)
    net._follow(MovingAverage(net.module_, net.student_))
    torch.testing.assert_close(net.module_.weight, decay * first + (1 - decay) * student)


def test_weights_too_coarse_for_an_average_are_an_error():
    with pytest.raises(ValueError, match=r"ema_decay=0.9 .*bfloat16 \(inner.0.weight\)"):
        averaged(ema_decay=0.9, module=Half).fit(X, Y)


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = network().to(torch.bfloat16)

    def forward(self, x):
        return self.inner(x.to(torch.bfloat16)).float()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_the_average_is_kept_on_the_device():
    # Adam makes full steps of gradients that are 0 but for rounding, as below a BatchNorm.
    sgd = {"optimizer": torch.optim.SGD}
    net = averaged(device="cuda", callbacks=[Followed()], **sgd).fit(X, Y)
    assert next(net.module_.parameters()).is_cuda
    on_cpu = averaged(**sgd).fit(X, Y)
    np.testing.assert_allclose(net.predict_proba(X), on_cpu.predict_proba(X), atol=1e-3)


def test_a_network_that_is_no_longer_built_as_its_average_is_an_error():
    class Pruning(Callback):
        def on_epoch_end(self, net, **kwargs):
            prune.l1_unstructured(net.student_[0], "weight", 0.5)

    net = averaged(module=lambda: nn.Sequential(nn.Linear(X.shape[1], 2)), callbacks=[Pruning()])
    with pytest.raises(RuntimeError, match="has other parameters or buffers than the average"):
        net.fit(X, Y)


@pytest.mark.parametrize("event", ["on_epoch_begin", "on_batch_end", "on_epoch_end"])
def test_what_a_callback_sets_in_one_network_holds_in_both(event):
    class Cools(Callback):
        rates: ClassVar[list[float]] = []

        def on_batch_begin(self, net, training, **kwargs):
            self.rates.append(net.module_[1].p)

    def cool(self, net, **kwargs):
        net.module_[1].p = 0.5 / (1 + len(net.history))

    setattr(Cools, event, cool)
    net = averaged(module=lambda: nn.Sequential(nn.Linear(X.shape[1], 2), nn.Dropout(0.9)))
    net.set_params(callbacks=[Cools()], max_epochs=3, batch_size=-1).fit(X, Y)
    expected = {0.25, 0.5 / 3, 0.125} if event == "on_epoch_begin" else {0.9, 0.25, 0.5 / 3}
    assert set(Cools.rates) == expected
    assert net.module_[1].p == 0.125

"""Losses and steps of the user's own, as skorch documents them, are called and mixed for."""

import warnings
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, GradientNormClipping
from skorch.utils import FirstStepAccumulator, to_tensor
from torch import nn
from torch.nn import functional as F

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    VicinalClassifier,
)
from skmixup.vicinal import CutMix, Gaussian

RNG = np.random.default_rng(0)
CODES = np.arange(48) % 3
X = (RNG.normal(size=(48, 4)) + 2 * np.eye(3, 4)[CODES]).astype(np.float32)
Y = np.array(["ant", "bee", "cow"])[CODES]
WEIGHT = RNG.uniform(0.2, 3, size=48)
IMAGES = RNG.normal(size=(48, 1, 6, 6)).astype(np.float32)
PARAMS = {"max_epochs": 3, "batch_size": 16, "lr": 0.05, "random_state": 0}
HOLD_OUT = {"train_split": lambda dataset, y=None, **kw: (dataset, dataset)}


def sequential():
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))


def convolution():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(64, 3))


MIXED = {
    "none": (VicinalClassifier, {}),
    "noise": (VicinalClassifier, {"vicinity": Gaussian(0.1)}),
    "mixup": (MixupClassifier, {"alpha": 1.0}),
    "manifold": (ManifoldMixupClassifier, {"alpha": 1.0}),
    "below": (ManifoldMixupClassifier, {"alpha": 1.0, "block_gradient": "below"}),
    "rarely": (MixupClassifier, {"alpha": 1.0, "mix_prob": 0.5, "mix_epochs": 2}),
    "cutmix": (VicinalClassifier, {"vicinity": CutMix(1.0)}),
}
SAMPLE = {
    "mixup": (MixupClassifier, {"alpha": 1.0, "mix_per": "sample"}),
    "manifold": (ManifoldMixupClassifier, {"alpha": 1.0, "mix_per": "sample"}),
}


def fitted(base, mixin, params, *, module=sequential, weight=None, **more):
    estimator = base if mixin is None else type("Own", (mixin, base), {})
    images = isinstance(params.get("vicinity"), CutMix)
    module = convolution if images and module is sequential else module
    net = estimator(module, **(PARAMS | params | more))
    return net.fit(IMAGES if images else X, Y, sample_weight=weight)


def assert_same(net, expected, tolerance=1e-5):
    for name, value in net.module_.state_dict().items():
        torch.testing.assert_close(
            value, expected.module_.state_dict()[name], atol=tolerance, rtol=tolerance
        )
    assert np.allclose(net.loss_curve_, expected.loss_curve_, atol=tolerance)


# ---- get_loss


class WithPenalty:
    """skorch's documentation, Customization."""

    factor = 0.01

    def get_loss(self, y_pred, y_true, X=None, training=False):
        loss = super().get_loss(y_pred, y_true, X=X, training=training)
        loss += self.factor * sum(w.abs().sum() for w in self.module_.parameters())
        return loss


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("module", [sequential, None], ids=["own module", "members"])
@pytest.mark.parametrize("case", [*MIXED.items(), *SAMPLE.items()], ids=lambda case: case[0])
def test_a_penalty_in_get_loss_is_added_once(case, module, weight):
    if case[0] == "cutmix" and module is None:
        pytest.skip("one network for images is enough")
    base, params = case[1]
    still = {"optimizer": torch.optim.SGD, "lr": 1e-12, "module": module, "weight": weight}
    if module is None:
        still["module__dropout"] = 0.0
    net = fitted(base, WithPenalty, params, **still, **HOLD_OUT)
    plain = fitted(base, None, params, **still, **HOLD_OUT)
    penalty = 0.01 * sum(float(w.detach().abs().sum()) for w in plain.module_.parameters())
    assert penalty > 0.1
    assert np.allclose(net.loss_curve_, np.array(plain.loss_curve_) + penalty, atol=1e-4)
    valid, expected = net.history[:, "valid_loss"], plain.history[:, "valid_loss"]
    assert np.allclose(valid, np.array(expected) + penalty, atol=1e-4)


def test_a_penalty_shrinks_the_weights():
    net = fitted(MixupClassifier, WithPenalty, {"max_epochs": 40}, module=None)
    plain = fitted(MixupClassifier, None, {"max_epochs": 40}, module=None)
    size, expected = (
        sum(float(w.detach().abs().sum()) for w in n.module_.parameters()) for n in (net, plain)
    )
    assert size < 0.5 * expected


class CrossEntropy:
    """Never asks super()."""

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        y_true = to_tensor(y_true, device=self.device)
        return F.cross_entropy(y_pred, y_true)


@pytest.mark.parametrize("module", [sequential, None], ids=["own module", "members"])
@pytest.mark.parametrize("case", MIXED.items(), ids=lambda case: case[0])
def test_a_loss_of_the_users_own_is_joined_over_both_labels(case, module):
    if case[0] == "cutmix" and module is None:
        pytest.skip("one network for images is enough")
    base, params = case[1]
    more = HOLD_OUT | {"device": "cpu", "optimizer": torch.optim.SGD, "module": module}
    net = fitted(base, CrossEntropy, params, **more)
    expected = fitted(base, None, params, **more)
    assert_same(net, expected, 1e-4)
    assert np.allclose(net.history[:, "valid_loss"], expected.history[:, "valid_loss"], atol=1e-4)


@pytest.mark.parametrize("case", SAMPLE.items(), ids=lambda case: case[0])
def test_with_a_lambda_for_each_pair_a_loss_of_its_own_is_refused(case):
    base, params = case[1]
    with pytest.raises(ValueError, match=r"get_loss of Own uses y_true itself .*mix_per='batch'"):
        fitted(base, CrossEntropy, params, device="cpu")


class Rows:
    """Returns the loss of each row."""

    def get_loss(self, y_pred, y_true, X=None, training=False):
        return F.cross_entropy(y_pred, y_true, reduction="none")


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("module", [sequential, None], ids=["own module", "members"])
@pytest.mark.parametrize(
    "case", [*SAMPLE.items(), ("mixup", MIXED["mixup"])], ids=lambda case: case[0]
)
def test_losses_of_rows_are_joined_pair_by_pair(case, module, weight):
    base, params = case[1]
    net = fitted(base, Rows, params, module=module, weight=weight)
    assert_same(net, fitted(base, None, params, module=module, weight=weight), 1e-4)


def test_weights_are_not_lost_by_a_loss_that_returns_one_number():
    with pytest.raises(TypeError, match=r"get_loss of Own returns one number .*sample_weight"):
        fitted(MixupClassifier, CrossEntropy, {}, weight=WEIGHT, device="cpu")


class WeightsInX:
    """skorch's FAQ: weights come with X; here they are the first column."""

    def get_loss(self, y_pred, y_true, X, *args, **kwargs):
        loss = super().get_loss(y_pred, y_true, X, *args, **kwargs)
        assert loss.shape == y_true.shape
        return (X[:, 0].abs() * loss).mean()


def test_the_rows_that_belong_to_the_labels_come_with_them():
    none = {"criterion__reduction": "none", "alpha": 1.0}
    net = fitted(MixupClassifier, WeightsInX, none)
    weight = np.abs(X[:, 0])
    expected = fitted(MixupClassifier, None, {"alpha": 1.0}, weight=weight, optimizer__eps=1e-12)
    # AdamW does not mind the scale of the loss, by which weights of mean one differ.
    for name, value in net.module_.state_dict().items():
        other = expected.module_.state_dict()[name]
        torch.testing.assert_close(value, other, atol=1e-3, rtol=1e-3)


def test_a_loss_set_on_the_net_is_called():
    net = MixupClassifier(sequential, alpha=1.0, **PARAMS)
    net.get_loss = lambda y_pred, y_true, **kwargs: F.cross_entropy(y_pred, y_true)
    net.fit(X, Y)
    assert_same(net, fitted(MixupClassifier, None, {"alpha": 1.0}), 1e-4)


def test_get_loss_by_hand_is_the_criterion():
    net = fitted(MixupClassifier, None, {})
    logits, codes = torch.randn(48, 3), torch.from_numpy(CODES)
    torch.testing.assert_close(net.get_loss(logits, codes), F.cross_entropy(logits, codes))
    torch.testing.assert_close(net.get_loss((logits, 1), CODES), F.cross_entropy(logits, codes))


# ---- train_step_single, train_step, validation_step


class Single:
    """skorch's own, word for word."""

    def train_step_single(self, batch, **fit_params):
        self._set_training(True)
        Xi, yi = batch
        y_pred = self.infer(Xi, **fit_params)
        loss = self.get_loss(y_pred, yi, X=Xi, training=True)
        loss.backward()
        return {"loss": loss, "y_pred": y_pred}

    def validation_step(self, batch, **fit_params):
        self._set_training(False)
        Xi, yi = batch
        with torch.no_grad():
            y_pred = self.infer(Xi, **fit_params)
            loss = self.get_loss(y_pred, yi, X=Xi, training=False)
        return {"loss": loss, "y_pred": y_pred}


class Whole(Single):
    """The optimizer is called here."""

    train_step_single = None

    def train_step(self, batch, **fit_params):
        self.optimizer_.zero_grad()
        step = Single.train_step_single(self, batch, **fit_params)
        self.optimizer_.step()
        return step


class Asking:
    """Does something, and asks super()."""

    def train_step(self, batch, **fit_params):
        self.history.record_batch("rows", len(batch[1]))
        return super().train_step(batch, **fit_params)

    def train_step_single(self, batch, **fit_params):
        step = super().train_step_single(batch, **fit_params)
        return step | {"more": 1}

    def validation_step(self, batch, **fit_params):
        return super().validation_step(batch, **fit_params)


class Stepping:
    """A train_step that calls the plain train_step_single."""

    def train_step(self, batch, **fit_params):
        self.optimizer_.zero_grad()
        step = self.train_step_single(batch, **fit_params)
        self.optimizer_.step()
        return step


class All(WithPenalty, Single):
    factor = 0.0


class AllOwn(CrossEntropy, Whole):
    pass


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("mixin", [Single, Whole, Asking, Stepping, All])
@pytest.mark.parametrize("case", [*MIXED.items(), *SAMPLE.items()], ids=lambda case: case[0])
def test_a_step_of_the_users_own_trains_as_the_plain_one(case, mixin, weight):
    base, params = case[1]
    if mixin is All and case[0] == "below":
        pytest.skip("gradients of 0 from the penalty, where the plain step has none")
    net = fitted(base, mixin, params, weight=weight, **HOLD_OUT)
    expected = fitted(base, None, params, weight=weight, **HOLD_OUT)
    assert_same(net, expected)
    assert np.allclose(net.history[:, "valid_loss"], expected.history[:, "valid_loss"], atol=1e-5)
    assert np.allclose(net.predict_proba(net_input(params)), expected.predict_proba(
        net_input(params)), atol=1e-5)  # fmt: skip


def net_input(params):
    return IMAGES if isinstance(params.get("vicinity"), CutMix) else X


@pytest.mark.parametrize("mixin", [Single, Whole, AllOwn])
def test_own_steps_of_the_default_network(mixin):
    params = {"alpha": 1.0, "device": "cpu"}
    net = fitted(MixupClassifier, mixin, params, module=None)
    assert_same(net, fitted(MixupClassifier, None, params, module=None), 1e-4)


@pytest.mark.parametrize("mixin", [Single, Whole])
def test_a_last_batch_of_one_row_and_batch_norm(mixin):
    params = {"alpha": 1.0, "batch_size": 47}

    def module():
        return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))

    net = fitted(MixupClassifier, mixin, params, module=module)
    assert_same(net, fitted(MixupClassifier, None, params, module=module))


class Accumulating:
    """skorch's tests, gradient accumulation."""

    every = 3

    def get_loss(self, *args, **kwargs):
        return super().get_loss(*args, **kwargs) / self.every

    def train_step(self, batch, **fit_params):
        n_batches = len(self.history[-1, "batches"])
        step = self.train_step_single(batch, **fit_params)
        if n_batches % self.every == 0:
            self.optimizer_.step()
            self.optimizer_.zero_grad()
        return step


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_accumulated_gradients_are_those_of_a_larger_batch(weight):
    params = {"optimizer": torch.optim.SGD, "lr_schedule": None}
    net = fitted(VicinalClassifier, Accumulating, params, weight=weight)
    expected = fitted(VicinalClassifier, None, params | {"batch_size": 48}, weight=weight)
    for name, value in net.module_.state_dict().items():
        torch.testing.assert_close(value, expected.module_.state_dict()[name])


@pytest.mark.parametrize("case", [*MIXED.items(), *SAMPLE.items()], ids=lambda case: case[0])
def test_accumulated_gradients_are_of_mixed_rows(case):
    base, params = case[1]
    net = fitted(base, Accumulating, params | {"lr": 1e-12})
    expected = fitted(base, None, params | {"lr": 1e-12})
    assert np.allclose(3 * np.array(net.loss_curve_), expected.loss_curve_, atol=1e-4)


def test_accumulation_works_with_a_stand_in_for_the_optimizer():
    """As in skorch's own test of gradient accumulation."""
    stand_in = Mock()

    class MockedOptimizer(Accumulating):
        every = 2

        def initialize_optimizer(self):
            super().initialize_optimizer()
            self.true_optimizer_ = self.optimizer_
            stand_in.step.side_effect = self.true_optimizer_.step
            stand_in.zero_grad.side_effect = self.true_optimizer_.zero_grad
            self.optimizer_ = stand_in
            return self

    fitted(MixupClassifier, MockedOptimizer, {"batch_size": 12})
    assert stand_in.step.call_count == stand_in.zero_grad.call_count == 3 * 2


def test_modules_and_criterions_may_have_names_of_their_own():
    class Named:
        def initialize_module(self):
            self.mine_ = sequential()
            return self

        def initialize_criterion(self):
            self.theirs_ = nn.CrossEntropyLoss()
            return self

        def infer(self, x, **fit_params):
            return self.mine_(self._on_device(x))

        def get_loss(self, y_pred, y_true, *args, **kwargs):
            return self.theirs_(y_pred, y_true)

        def check_is_fitted(self, *args, **kwargs):
            super().check_is_fitted(["mine_"])

    net = type("Own", (Named, MixupClassifier), {})(sequential, **PARAMS).initialize()
    assert net.forward(X).shape == (48, 3)


def test_the_accumulator_chooses_what_is_recorded():
    class Last(FirstStepAccumulator):
        def store_step(self, step):
            self.step = step

    class LastOne:
        def get_train_step_accumulator(self):
            return Last()

    params = {"optimizer": torch.optim.LBFGS, "batch_size": -1, "lr": 0.5}
    first = fitted(MixupClassifier, None, params)
    last = fitted(MixupClassifier, LastOne, params)
    assert_close = torch.testing.assert_close
    assert_close(last.module_.state_dict(), first.module_.state_dict())
    assert last.loss_curve_[0] < first.loss_curve_[0]
    own = fitted(MixupClassifier, type("Both", (LastOne, Single), {}), params)
    assert np.allclose(own.loss_curve_, last.loss_curve_, atol=1e-5)


def test_infer_of_the_users_own_gets_the_virtual_rows():
    class Doubled:
        def infer(self, x, **fit_params):
            return super().infer(2 * x, **fit_params)

    class Direct:
        def infer(self, x, **fit_params):
            return self.module_(2 * to_tensor(x, device="cpu"), **fit_params)

    params = {"alpha": 1.0, "device": "cpu"}
    expected = MixupClassifier(sequential, **(PARAMS | params)).fit(2 * X, Y)
    for infer in (Doubled, Direct):
        for step in (object, Single, Whole, Stepping):
            mixin = type("Mixin", (infer, step) if step is not object else (infer,), {})
            net = fitted(MixupClassifier, mixin, params)
            assert_same(net, expected)
            assert np.allclose(net.predict_proba(X), expected.predict_proba(2 * X), atol=1e-5)


def test_callbacks_of_own_steps_see_clean_rows_and_clip_gradients():
    class Predicts(Callback):
        def on_grad_computed(self, net, named_parameters, batch=None, **kwargs):
            before = [p.grad.clone() for _, p in named_parameters]
            self.logits = net.forward(X)
            expected = net.module_(torch.from_numpy(X)).detach()
            assert torch.equal(self.logits, expected)
            net.module_.train()
            after = [p.grad for _, p in named_parameters]
            assert all(map(torch.equal, before, after))

    more = {"callbacks": [("clip", GradientNormClipping(1e-3)), ("predict", Predicts())]}
    params = {"alpha": 1.0, "optimizer": torch.optim.SGD}
    net = fitted(MixupClassifier, Single, params, **more)
    assert_same(net, fitted(MixupClassifier, None, params, **more))


def test_nothing_of_a_step_stays_on_the_net():
    net = fitted(MixupClassifier, AllOwn, {"device": "cpu"})
    assert {"infer", "get_loss", "_own_step_"}.isdisjoint(vars(net))

    class Fails(Single):
        def train_step_single(self, batch, **fit_params):
            super().train_step_single(batch, **fit_params)
            raise ArithmeticError("on purpose")

    net = type("Own", (Fails, MixupClassifier), {})(sequential, **PARAMS)
    with pytest.raises(ArithmeticError, match="on purpose"):
        net.fit(X, Y)
    assert {"infer", "get_loss", "_own_step_"}.isdisjoint(vars(net))


@pytest.mark.parametrize("base", [MixupClassifier, VicinalClassifier])
def test_a_step_can_be_taken_by_hand(base):
    told = []

    class Told(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            told.append(len(list(named_parameters)))

    net = base(sequential, callbacks=[Told()], classes=[0, 1, 2], **PARAMS).initialize()
    batch = torch.from_numpy(X), torch.from_numpy(CODES)
    losses = [float(net.train_step(batch)["loss"]) for _ in range(3)]
    assert losses[0] > losses[1] > losses[2]
    assert told == [6, 6, 6]
    assert float(net.validation_step(batch)["loss"]) < losses[2]
    gradients = [p.grad.clone() for p in net.module_.parameters()]
    net.train_step_single(batch)
    doubled = [p.grad for p in net.module_.parameters()]
    assert not any(map(torch.equal, gradients, doubled))


# ---- steps that go past the vicinity


class CallsTheModule(Single):
    def train_step_single(self, batch, **fit_params):
        Xi, yi = batch
        y_pred = self.module_(Xi)
        loss = self.get_loss(y_pred, yi, X=Xi, training=True)
        loss.backward()
        return {"loss": loss, "y_pred": y_pred}


class CallsTheCriterion(Single):
    def train_step_single(self, batch, **fit_params):
        Xi, yi = batch
        y_pred = self.infer(Xi)
        loss = self.criterion_(y_pred, yi)
        loss.backward()
        return {"loss": loss, "y_pred": y_pred}


def test_a_step_that_would_not_mix_says_so():
    with pytest.raises(RuntimeError, match=r"training step of Own runs .* without self.infer"):
        fitted(MixupClassifier, CallsTheModule, {})
    with pytest.raises(RuntimeError, match=r"of Own computes its loss without self.get_loss"):
        fitted(MixupClassifier, CallsTheCriterion, {})
    for mixin in (CallsTheModule, CallsTheCriterion):
        for base, params in (MIXED["none"], (MixupClassifier, {"mix_epochs": 0})):
            assert_same(fitted(base, mixin, params), fitted(base, None, params))
    fitted(VicinalClassifier, CallsTheCriterion, {"vicinity": Gaussian(0.1)})


def test_blocked_gradients_above_need_the_plain_step():
    params = {"alpha": 1.0, "block_gradient": "above"}
    with pytest.raises(ValueError, match="block_gradient='above' needs"):
        fitted(ManifoldMixupClassifier, Single, params)
    net = fitted(ManifoldMixupClassifier, Asking, params)
    assert_same(net, fitted(ManifoldMixupClassifier, None, params))


def test_parts_of_a_minibatch_have_no_weights():
    class Halves:
        def train_step(self, batch, **fit_params):
            Xi, yi = batch
            self.optimizer_.zero_grad()
            for half in (slice(8), slice(8, None)):
                step = self.train_step_single((Xi[half], yi[half]), **fit_params)
            self.optimizer_.step()
            return step

    assert fitted(MixupClassifier, Halves, {"alpha": 1.0}).loss_curve_[0] < 2
    with pytest.raises(ValueError, match="step with 8 of the 16 rows"):
        fitted(MixupClassifier, Halves, {}, weight=WEIGHT)


# ---- interpolation consistency


def consistency(mixin, **params):
    y = np.where(np.arange(48) < 24, CODES, -1)
    bases = (InterpolationConsistencyClassifier,)
    estimator = type("Own", bases if mixin is None else (mixin, *bases), {})
    return estimator(sequential, **(PARAMS | params)).fit(X, y)


@pytest.mark.parametrize("layers", [None, "auto"])
def test_interpolation_consistency_calls_get_loss_and_steps_that_ask_super(layers):
    params = {"layers": layers, "device": "cpu"}
    expected = consistency(None, **params)
    for mixin in (CrossEntropy, Asking):
        assert_same(consistency(mixin, **params), expected, 1e-4)
    assert consistency(WithPenalty, **params).loss_curve_[0] > expected.loss_curve_[0] + 0.1


class FirstTwo(Stepping):
    def train_step(self, batch, **fit_params):
        return super().train_step(batch[:2], **fit_params)


@pytest.mark.parametrize("mixin", [Single, FirstTwo, Accumulating])
def test_interpolation_consistency_needs_its_own_step(mixin):
    with pytest.raises(RuntimeError, match="a train_step or train_step_single of your own must"):
        consistency(mixin)


# ---- modules with several outputs


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head, self.other = nn.Linear(4, 6), nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, x):
        h = torch.tanh(self.body(x))
        return self.head(h), self.other(h)


class BothTrained:
    def get_loss(self, y_pred, y_true, X=None, training=False):
        first, second = y_pred
        ask = super().get_loss
        return ask(first, y_true, X=X, training=training) + 0.5 * ask(second, y_true)


class BothOwn:
    def get_loss(self, y_pred, y_true, X=None, training=False):
        first, second = y_pred
        return F.cross_entropy(first, y_true) + 0.5 * F.cross_entropy(second, y_true)


class Both(nn.Module):
    """A criterion that takes all outputs, as skorch gives them."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, outputs, target):
        losses = [F.cross_entropy(z, target, reduction=self.reduction) for z in outputs]
        return losses[0] + 0.5 * losses[1]


@pytest.mark.parametrize(
    "case", [(n, MIXED[n]) for n in ("none", "mixup", "manifold")] + [*SAMPLE.items()],
    ids=lambda case: case[0],
)  # fmt: skip
def test_two_heads_with_a_loss_each(case):
    base, params = case[1]
    net = fitted(base, BothTrained, params, module=TwoHeads, **HOLD_OUT)
    start = fitted(base, BothTrained, params, module=TwoHeads, **({"max_epochs": 0}))
    assert not torch.equal(net.module_.other.weight, start.module_.other.weight)
    same = [fitted(base, None, params, module=TwoHeads, criterion=Both, **HOLD_OUT)]
    if case[0] not in SAMPLE or params.get("mix_per") != "sample":
        same.append(fitted(base, BothOwn, params, module=TwoHeads, **HOLD_OUT))
    for other in same:
        assert_same(other, net, 1e-4)
        valid = other.history[:, "valid_loss"]
        assert np.allclose(valid, net.history[:, "valid_loss"], atol=1e-4)
    assert net.predict_proba(X).shape == (48, 3)


@pytest.mark.parametrize("base", [MixupClassifier, ManifoldMixupClassifier, VicinalClassifier])
def test_a_second_output_is_not_left_untrained_in_silence(base):
    with pytest.warns(UserWarning, match=r"returns 2 outputs.*other.weight.*Override get_loss"):
        fitted(base, None, {}, module=TwoHeads)
    with pytest.warns(UserWarning, match="returns 2 outputs") as caught:
        fitted(base, None, {}, module=TwoHeads)
    assert len(caught) == 1


def test_a_head_that_is_there_in_training_only_is_not_left_untrained_in_silence():
    class InTraining(TwoHeads):
        def forward(self, x):
            outputs = super().forward(x)
            return outputs if self.training else outputs[0]

    with pytest.warns(UserWarning, match=r"returns 2 outputs.*other.weight"):
        fitted(MixupClassifier, None, {}, module=InTraining)


def test_a_single_number_beside_the_logits_is_taken_for_a_loss():
    class Routed(TwoHeads):
        def forward(self, x):
            logits, _ = super().forward(x)
            return logits, logits.square().mean()

    with pytest.warns(UserWarning, match="a single number that may be meant as a loss"):
        fitted(MixupClassifier, None, {}, module=Routed)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.scores, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        attention = torch.softmax(self.scores(x), dim=1)
        hidden = attention * x
        return self.head(hidden), (attention, [hidden, hidden.detach()]), {"hidden": hidden}


class Focal(nn.Module):
    def forward(self, logits, target):
        return F.cross_entropy(logits, target) ** 2


@pytest.mark.parametrize("params", [{}, {"criterion": Focal}])
def test_hidden_states_and_attention_raise_no_alarm(params):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = fitted(MixupClassifier, None, params, module=Attention)
        fitted(MixupClassifier, BothTrained, {}, module=TwoHeads)
        fitted(MixupClassifier, None, {"criterion": Both}, module=TwoHeads)
    assert net.predict_proba(X).shape == (48, 3)

"""Steps of the user's own, as skorch documents them, are called and mixed for."""

from unittest.mock import Mock

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, GradientNormClipping
from skorch.utils import FirstStepAccumulator, to_tensor
from torch import nn

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    VicinalClassifier,
)
from skmixup.vicinal import CutMix, Gaussian
from tests.training.own_methods import (
    CODES,
    HOLD_OUT,
    IMAGES,
    MIXED,
    PARAMS,
    SAMPLE,
    WEIGHT,
    CrossEntropy,
    Single,
    Stepping,
    WithPenalty,
    X,
    Y,
    assert_same,
    fitted,
    sequential,
)


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
        steps = 0

        def on_grad_computed(self, net, named_parameters, batch=None, **kwargs):
            Predicts.steps += 1
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
    assert Predicts.steps == 2 * 3 * 3  # nets, epochs, minibatches


def test_nothing_of_a_step_stays_on_the_net():
    net = fitted(MixupClassifier, AllOwn, {"device": "cpu"})
    assert {"infer", "get_loss", "_fit_state_"}.isdisjoint(vars(net))

    class Fails(Single):
        def train_step_single(self, batch, **fit_params):
            super().train_step_single(batch, **fit_params)
            raise ArithmeticError("on purpose")

    net = type("Own", (Fails, MixupClassifier), {})(sequential, **PARAMS)
    with pytest.raises(ArithmeticError, match="on purpose"):
        net.fit(X, Y)
    assert {"infer", "get_loss", "_fit_state_"}.isdisjoint(vars(net))


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

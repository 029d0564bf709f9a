"""Facts about `precision`: layers compute in 16 bits, labels, losses and weights in float32."""

import io
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupClassifierCV,
    MixupRegressor,
    VicinalClassifier,
)
from skmixup.networks import PreActResNet
from skmixup.robustness import fgsm
from skmixup.training import precision as rules
from tests.training.steps import IMAGES, X, Y, classifier

FAST = {"max_epochs": 2, "batch_size": 8, "random_state": 0}
SMALL = {"module__width": 4, "module__depths": (1, 1), **FAST}
LOW = {"precision": "bfloat16"}
# What docs/guide/training.md says of the same weights in 16 bits and in 32.
TOLERANCE = 0.03
PARTLY = np.where(np.arange(24) < 12, Y, -1)
CPU = torch.device("cpu")


class Seen(nn.Module):
    """Notes what types its layer computes in and gets."""

    def __init__(self):
        super().__init__()
        self.hidden, self.head = nn.Linear(4, 5), nn.Linear(5, 3)
        self.seen = set()

    def forward(self, x):
        h = self.hidden(x)
        self.seen.add((x.dtype, h.dtype))
        return self.head(h.relu())


class Loss(nn.CrossEntropyLoss):
    """Notes what types the loss gets and returns."""

    seen: tuple[torch.dtype, ...] = ()

    def forward(self, output, target):
        loss = super().forward(output, target)
        type(self).seen = (output.dtype, loss.dtype)
        return loss


@pytest.mark.parametrize(
    ("estimator", "labels"),
    [
        (MixupClassifier, Y),
        (ManifoldMixupClassifier, Y),
        (InterpolationConsistencyClassifier, PARTLY),
        (MixupRegressor, Y.astype(float)),
    ],
)
@pytest.mark.parametrize(("rows", "params"), [(X, FAST), (IMAGES, SMALL)], ids=["table", "images"])
def test_predictions_agree_with_float32(estimator, labels, rows, params):
    net = estimator(**params, **LOW).fit(rows, labels)
    predict = net.predict if estimator is MixupRegressor else net.predict_proba
    low = predict(rows)
    high = net.set_params(precision="float32") and predict(rows)
    assert 0 < np.abs(low - high).max() < TOLERANCE
    assert low.dtype == high.dtype
    assert clone(net.set_params(**LOW)).get_params()["precision"] == "bfloat16"


def test_layers_have_16_bits_and_losses_32():
    net = classifier(module=Seen, criterion=Loss, **LOW).fit(X, Y)
    assert net.module_.seen == {(torch.float32, torch.bfloat16)}
    assert Loss.seen == (torch.float32, torch.float32)
    assert {p.dtype for p in net.module_.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in net.module_.parameters()} == {torch.float32}


def test_several_outputs_come_back_as_float32():
    outputs = {"a": torch.ones(2, dtype=torch.bfloat16), "b": [torch.ones(2).half(), 3, None]}
    found = rules.in_float32((outputs, torch.ones(2, dtype=torch.long)))
    assert found[0]["a"].dtype == found[0]["b"][0].dtype == torch.float32
    assert found[0]["b"][1:] == [3, None]
    assert found[1].dtype == torch.long


def test_teacher_and_student_have_the_same_precision():
    net = InterpolationConsistencyClassifier(Seen, max_epochs=1, random_state=0, **LOW)
    net.fit(X, PARTLY)
    assert net.module_.seen == net.student_.seen == {(torch.float32, torch.bfloat16)}


@pytest.mark.parametrize("blocked", [None, "below", "above"])
def test_gradients_are_blocked_as_in_float32(blocked):
    nets = [
        classifier(ManifoldMixupClassifier, layers=[1], block_gradient=blocked, alpha=1.0,
                   batch_size=8, optimizer=torch.optim.SGD, precision=precision)
        for precision in ("float32", "bfloat16")
    ]  # fmt: skip
    high, low = (dict(net.fit(X, Y).module_.named_parameters()) for net in nets)
    start = classifier(ManifoldMixupClassifier, max_epochs=0).fit(X, Y).module_.state_dict()
    for name, parameter in high.items():
        moved = not torch.equal(parameter, start[name])
        assert torch.equal(low[name], start[name]) is not moved, name
        torch.testing.assert_close(low[name], parameter, atol=2e-3, rtol=0)


CONVOLUTIONS = {
    "3 × 3": (nn.Conv2d(3, 4, 3, 2, 1), (9, 2)),
    "2 × 2, a column left over": (nn.Conv2d(3, 4, 2, 2), (16, 3)),
    "7 × 7, valid": (nn.Conv2d(3, 4, 7, (2, 4), "valid"), (40, 9)),
    "dilated, in groups": (nn.Conv2d(3, 6, 3, 3, dilation=2, groups=3), (30, 6)),
    "of rows": (nn.Conv1d(3, 4, 3, 2, 1), (1,)),
    "of volumes": (nn.Conv3d(3, 4, 3, 2, 1), (4, 9, 1)),
}


@pytest.mark.parametrize(("layer", "size"), CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_convolutions_to_one_column(layer, size):
    x = torch.randn(4, 3, *size)
    expected = layer(x)
    assert expected.shape[-1] == 1
    for _ in range(5):  # torch's own leave parts of outputs and gradients as the memory was
        junk = [torch.full((200 + 37 * i,), torch.nan) for i in range(40)]
        del junk
        with rules.autocast(CPU, torch.bfloat16):
            output = layer(x).float()
        torch.testing.assert_close(output, expected, rtol=0.05, atol=0.05)
        output.square().sum().backward()
        assert layer.weight.grad.isfinite().all()
        layer.zero_grad()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_the_default_network_of_narrow_images(width):
    images = np.random.default_rng(0).normal(size=(24, 2, 16, width)).astype(np.float32)
    sizes = {"module__n_channels": 2, "module__n_outputs": 3, "module__depths": (1, 1, 1)}
    net = ManifoldMixupClassifier(PreActResNet, **SMALL | sizes, **LOW)
    proba = net.fit(images, Y).predict_proba(images)
    expected = net.set_params(precision="float32").predict_proba(images)
    assert np.abs(proba - expected).max() < TOLERANCE


def test_a_closure_that_runs_often_has_the_same_precision():
    net = classifier(module=Seen, optimizer=torch.optim.LBFGS, lr=0.1, max_epochs=3, **LOW)
    net.fit(X, Y)
    assert net.module_.seen == {(torch.float32, torch.bfloat16)}
    assert net.loss_curve_[-1] < net.loss_curve_[0]


def test_compiled_code_has_it():
    torch._dynamo.reset()
    params = {"layers": [0, 1], "alpha": 1.0, "max_epochs": 2, "batch_size": 8, **LOW}
    expected = classifier(ManifoldMixupClassifier, **params).fit(X, Y)
    net = classifier(
        ManifoldMixupClassifier, compile=True, compile__backend="eager", **params
    ).fit(X, Y)
    torch._dynamo.reset()
    assert np.allclose(net.predict_proba(X), expected.predict_proba(X), atol=TOLERANCE)
    assert np.allclose(net.loss_curve_, expected.loss_curve_, atol=TOLERANCE)


def test_it_is_saved_and_gone_on_with():
    net = ManifoldMixupClassifier(**SMALL, **LOW).fit(IMAGES, Y)
    copy = pickle.loads(pickle.dumps(net))
    assert copy.precision == "bfloat16"
    file = io.BytesIO()
    net.save_params(f_params=file)
    file.seek(0)
    loaded = ManifoldMixupClassifier(**SMALL, **LOW)
    loaded.load_params(f_params=file)
    for other in (copy, loaded):
        assert np.array_equal(other.predict_proba(IMAGES), net.predict_proba(IMAGES))
    net.partial_fit(IMAGES, Y)
    assert np.array_equal(copy.partial_fit(IMAGES, Y).predict_proba(IMAGES),
                          net.predict_proba(IMAGES))  # fmt: skip
    del copy.__dict__["precision"]  # as in pickles of before
    assert np.isfinite(pickle.loads(pickle.dumps(copy)).partial_fit(IMAGES, Y).loss_curve_[-1])


def test_networks_that_are_tuned_have_it():
    net = MixupClassifier(module__hidden_sizes=(4,), max_epochs=1, **LOW)
    clf = MixupClassifierCV(net, param_distributions={"alpha": [0.0, 0.2]}, n_runs=2, cv=2,
                            random_state=0).fit(X, Y)  # fmt: skip
    assert {member.precision for member in clf.estimators_} == {"bfloat16"}
    assert np.allclose(clf.predict_proba(X).sum(axis=1), 1)


def test_attacks_have_the_gradients_of_float32():
    net = VicinalClassifier(**SMALL, **LOW).fit(IMAGES, Y)
    low = fgsm(net, IMAGES, Y, eps=0.1)
    assert np.array_equal(low, fgsm(net.set_params(precision="float32"), IMAGES, Y, eps=0.1))
    seen = classifier(module=Seen, **LOW).fit(X, Y)
    seen.module_.seen.clear()
    fgsm(seen, X, Y, eps=0.1)
    assert seen.module_.seen == {(torch.float32, torch.float32)}
    seen.predict(X)
    assert (torch.float32, torch.bfloat16) in seen.module_.seen


# ---- what "auto" is, and where there is nothing to choose


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, None)])
def test_auto_is_16_bits_for_convolutions_where_the_device_has_units(
    monkeypatch, native, expected
):
    monkeypatch.setattr(rules, "is_native", lambda device: native)
    convolutions = PreActResNet(1, 2, width=4, depths=(1,))
    assert rules.autocast_dtype("auto", CPU, convolutions) is expected
    assert rules.autocast_dtype("auto", CPU, nn.Linear(2, 2)) is None
    assert rules.autocast_dtype("bfloat16", CPU, nn.Linear(2, 2)) is torch.bfloat16
    assert rules.autocast_dtype("float32", CPU, convolutions) is None
    cuda = torch.device("cuda", 0)
    low = torch.bfloat16 if native else torch.float16
    assert rules.autocast_dtype("bfloat16", cuda, convolutions) is low


@pytest.mark.parametrize(("capability", "native"), [((7, 5), False), ((8, 0), True)])
def test_a_gpu_has_units_from_ampere_on(monkeypatch, capability, native):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert rules.is_native.__wrapped__(torch.device("cuda", 0)) is native


@pytest.mark.parametrize("wrong", ["float16", "bf16", torch.bfloat16, None, 16])
def test_an_unknown_precision_is_named(wrong):
    net = MixupClassifier(precision=wrong)
    with pytest.raises(ValueError, match=r"'precision' parameter .*'bfloat16'"):
        net.fit(X, Y)
    assert not hasattr(net, "module_")


def test_a_device_without_it_is_named():
    for device in ("cpu", "cuda"):
        rules.check_precision("bfloat16", torch.device(device))
    with pytest.raises(ValueError, match=r"precision='bfloat16' is there on CPU and CUDA.*mps"):
        rules.check_precision("bfloat16", torch.device("mps"))
    rules.check_precision("auto", torch.device("mps"))


# ---- float16, which a GPU without bfloat16 has; a CPU computes in it, too


@pytest.fixture
def _half(monkeypatch):
    def half(precision, device, module):
        return None if precision == "float32" else torch.float16

    monkeypatch.setattr("skmixup.training.running_net.autocast_dtype", half)


PLAIN = {"batch_size": 8, "optimizer": torch.optim.SGD, "lr_schedule": None}


class Gradients(Callback):
    """Keeps the largest gradient of each step."""

    def initialize(self):
        self.seen = []
        return self

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.seen.append(max(float(p.grad.abs().max()) for _, p in named_parameters))


@pytest.mark.usefixtures("_half")
class TestFloat16:
    def test_gradients_are_scaled_back_before_anybody_sees_them(self):
        low, high = (
            classifier(ManifoldMixupClassifier, precision=precision, callbacks=[Gradients()],
                       **PLAIN).fit(X, Y)
            for precision in ("bfloat16", "float32")
        )  # fmt: skip
        seen = [dict(net.callbacks_)["Gradients"].seen for net in (low, high)]
        assert np.allclose(*seen, rtol=0.05)
        assert np.allclose(low.predict_proba(X), high.predict_proba(X), atol=TOLERANCE)

    def test_a_step_that_overflows_is_left_out_and_the_scale_is_kept(self):
        net = classifier(precision="bfloat16", **PLAIN).fit(X, Y)
        assert net.optimizer_.param_groups[0][rules.SCALE] == (2.0**16, 3)
        net.optimizer_.param_groups[0][rules.SCALE] = (2.0**40, 0)  # float16 ends at 2¹⁶
        before = {n: p.clone() for n, p in net.module_.state_dict().items()}
        net.partial_fit(X, Y)
        scale = net.optimizer_.param_groups[0][rules.SCALE]
        assert scale == (2.0**37, 0)
        after = net.module_.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)
        file = io.BytesIO()
        net.save_params(f_optimizer=file)
        file.seek(0)
        other = classifier(precision="bfloat16", **PLAIN).initialize()
        other.load_params(f_optimizer=file)
        assert other.optimizer_.param_groups[0][rules.SCALE] == scale
        assert pickle.loads(pickle.dumps(net)).partial_fit(X, Y).optimizer_.param_groups[0][
            rules.SCALE
        ] == (2.0**34, 0)

    def test_steps_without_gradients(self):
        net = classifier(ManifoldMixupClassifier, layers=[0], block_gradient="above",
                         precision="bfloat16", **PLAIN)  # fmt: skip
        net.fit(X, Y)
        assert net.optimizer_.param_groups[0][rules.SCALE] == (2.0**16, 0)

    def test_what_cannot_be_scaled_is_an_error(self):
        class Own(VicinalClassifier):
            def train_step_single(self, batch, **fit_params):
                return super().train_step_single(batch, **fit_params)

        with pytest.raises(ValueError, match=r"training step of Own does not know"):
            classifier(Own, **LOW).fit(X, Y)
        with pytest.raises(ValueError, match=r"LBFGS cannot compute anew.*precision='float32'"):
            classifier(optimizer=torch.optim.LBFGS, **LOW).fit(X, Y)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_a_gpu():
    net = ManifoldMixupClassifier(**SMALL, **LOW, device="cuda").fit(IMAGES, Y)
    low = net.predict_proba(IMAGES)
    high = net.set_params(precision="float32").predict_proba(IMAGES)
    assert 0 < np.abs(low - high).max() < TOLERANCE

"""Facts about training on a GPU: what every path learns there is what it learns on the CPU."""

import os
import pickle
import subprocess
import sys
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import EpochScoring
from skorch.exceptions import DeviceWarning
from torch import nn
from torch.utils.checkpoint import checkpoint

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    ManifoldMixupRegressor,
    MixupClassifier,
    MixupClassifierCV,
    MixupRegressor,
    VicinalClassifier,
)
from skmixup.augment import RandomHorizontalFlip
from skmixup.networks import MLP
from skmixup.robustness import accuracy_under_attack, fgsm, ifgsm
from skmixup.training import batches
from skmixup.training.precision import is_native
from skmixup.vicinal import CutMix, Gaussian, RandomChoice
from skmixup.vicinal import ManifoldMixup as Manifold
from tests.estimators.dicts_of_arrays import Table

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
]

RNG = np.random.default_rng(0)
N = 90
Y = np.arange(N) % 3
X = (RNG.normal(size=(N, 6)) + 2 * np.eye(3, 6)[Y]).astype(np.float32)
PIXELS = RNG.integers(256, size=(N, 2, 8, 8)).astype(np.uint8)
PIXELS[np.arange(N), 0, Y] = 255
IMAGES = PIXELS.astype(np.float32) / 255
T = X @ RNG.normal(size=6) + 0.1 * RNG.normal(size=N)
PARTLY = np.where(np.arange(N) < 30, Y, -1)
SOFT = np.eye(3)[Y] * 0.7 + 0.1
SEVERAL = np.column_stack([Y > 0, Y > 1]).astype(int)
# SGD: Adam makes full steps of gradients that are 0 but for rounding.
PARAMS = {
    "max_epochs": 6, "batch_size": 16, "lr": 0.5, "random_state": 0,
    "optimizer": torch.optim.SGD, "optimizer__momentum": 0.9,
}  # fmt: skip
SMALL = {"module__hidden_sizes": (16, 16), "module__dropout": 0.0}
RESNET = {"module__depths": (1, 1), "module__width": 4, "lr": 0.05}


class Scaled(nn.Module):
    """Keeps what it is shown, once as a buffer and once not."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 3)
        self.register_buffer("mean", torch.zeros(6))

    def adapt_to_data(self, rows):
        self.mean, self.spread = rows.mean(dim=0), rows.std(dim=0)

    def forward(self, x):
        return self.linear((x - self.mean) / self.spread)


class Checkpointed(nn.Module):
    def __init__(self, use_reentrant=None):
        super().__init__()
        self.stem, self.head = nn.Linear(6, 8), nn.Linear(8, 3)
        self.body = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))
        self.use_reentrant = use_reentrant

    def forward(self, x):
        h = torch.tanh(self.stem(x))
        if self.use_reentrant is None or not self.training:
            return self.head(torch.tanh(self.body(h)))
        return self.head(torch.tanh(checkpoint(self.body, h, use_reentrant=self.use_reentrant)))


def own_loss(output, target):
    return nn.functional.cross_entropy(output, target, reduction="none")


DICT = {"numbers": X[:, :4], "codes": RNG.integers(5, size=(N, 2))}
CASES = {
    "no mixing": (VicinalClassifier, X, Y, SMALL),
    "mixup": (MixupClassifier, X, Y, SMALL),
    "mixup per sample": (MixupClassifier, X, Y, {**SMALL, "mix_per": "sample"}),
    "some minibatches": (MixupClassifier, X, Y, {**SMALL, "mix_prob": 0.5, "mix_epochs": 2}),
    "manifold mixup": (ManifoldMixupClassifier, X, Y, {**SMALL, "alpha": 2.0}),
    "below": (ManifoldMixupClassifier, X, Y, {**SMALL, "layers": [1], "block_gradient": "below"}),
    "above": (ManifoldMixupClassifier, X, Y, {**SMALL, "layers": [1], "block_gradient": "above"}),
    "columns": (VicinalClassifier, X, Y, {**SMALL, "vicinity": CutMix(1.0)}),
    "piecewise": (MixupClassifier, X, Y, {**SMALL, "module__embedding": "piecewise"}),
    "members": (MixupClassifier, X, Y, {**SMALL, "module__n_members": 2}),
    "average": (MixupClassifier, X, Y, {**SMALL, "ema_decay": 0.9}),
    "split": (MixupClassifier, X, Y, {**SMALL, "train_split": 0.3}),
    "schedule": (MixupClassifier, X, Y, {**SMALL, "lr_schedule": "cosine"}),
    "own loss": (MixupClassifier, X, Y, {**SMALL, "criterion": lambda: own_loss}),
    "class weights": (MixupClassifier, X, Y, {**SMALL, "class_weight": "balanced"}),
    "soft labels": (MixupClassifier, X, SOFT, SMALL),
    "several labels": (MixupClassifier, X, SEVERAL, SMALL),
    "callbacks": (
        MixupClassifier, X, Y,
        {**SMALL, "callbacks": [EpochScoring("accuracy", on_train=True), EpochScoring("accuracy")],
         "train_split": 0.3},
    ),
    "few labels": (InterpolationConsistencyClassifier, X, PARTLY, SMALL),
    "regression": (MixupRegressor, X, T, {**SMALL, "alpha": 1.0}),
    "similar partners": (MixupRegressor, X, T, {**SMALL, "alpha": 1.0, "pairing": "similar"}),
    "partners of all rows": (
        ManifoldMixupRegressor, X, T,
        {**SMALL, "alpha": 1.0, "pairing": "similar", "partners": "all"},
    ),
    "a dict": (ManifoldMixupClassifier, DICT, Y, {"module": Table, "layers": ["body"]}),
    "adapts": (MixupClassifier, X, Y, {"module": Scaled}),
    "an inner one adapts": (MixupClassifier, X, Y,
                            {"module": lambda: nn.Sequential(nn.Identity(), Scaled())}),
    "images": (ManifoldMixupClassifier, IMAGES, Y, RESNET),
    "pixels": (MixupClassifier, PIXELS, Y, RESNET),
    "boxes": (VicinalClassifier, IMAGES, Y, {**RESNET, "vicinity": CutMix(1.0)}),
    "boxes per sample": (VicinalClassifier, IMAGES, Y,
                         {**RESNET, "vicinity": CutMix(1.0, mix_per="sample")}),
    "by turns": (VicinalClassifier, IMAGES, Y,
                 {**RESNET, "vicinity": RandomChoice([CutMix(1.0), Manifold(1.0)])}),
    "checkpoint": (ManifoldMixupClassifier, X, Y,
                   {"module": Checkpointed, "module__use_reentrant": False, "layers": ["body.0"]}),
    "LBFGS": (MixupClassifier, X, Y, {**SMALL, "optimizer": torch.optim.LBFGS,
              "optimizer__momentum": None, "batch_size": 90, "max_epochs": 1, "lr": 0.1}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _exact_convolutions():
    """Without the 10 bits of TF32, which torch takes for convolutions unless told not to."""
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield


def fitted(case, device, **more):
    estimator, rows, y, params = CASES[case]
    params = {key: v for key, v in {**PARAMS, **params, **more}.items() if v is not None}
    return estimator(device=device, **params).fit(rows, y)


def outputs(net, rows):
    return net.predict_proba(rows) if hasattr(net, "predict_proba") else net.predict(rows)


def assert_agree(found, expected, rows, atol=1e-3):
    np.testing.assert_allclose(outputs(found, rows), outputs(expected, rows), atol=atol)


@pytest.mark.parametrize("case", CASES)
def test_what_is_learnt_is_what_the_cpu_learns(case):
    rows = CASES[case][1]
    net = fitted(case, "cuda")
    assert all(p.is_cuda for p in net.module_.parameters())
    assert_agree(net, fitted(case, "cpu"), rows)
    assert_agree(fitted(case, "auto"), net, rows, atol=1e-5)


@pytest.mark.parametrize("case", ["manifold mixup", "pixels", "a dict", "boxes per sample"])
def test_rows_that_have_no_room_on_the_device_come_batch_by_batch(case, monkeypatch):
    expected = fitted(case, "cuda")
    monkeypatch.setattr(batches, "has_room", lambda inputs, device: False)
    assert_agree(fitted(case, "cuda"), expected, CASES[case][1], atol=1e-5)


def test_steps_do_not_wait_for_the_device():
    """Waits are as many in an epoch of many minibatches as in one of few."""

    def waits(case, batch_size):
        net = fitted(case, "cuda", max_epochs=1, batch_size=batch_size)
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                net.partial_fit(*CASES[case][1:3])
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return sum("synchronizing" in str(w.message) for w in told)

    for case in ("no mixing", "mixup", "mixup per sample", "manifold mixup", "boxes", "images"):
        assert waits(case, 30) == waits(case, 5), case


@pytest.mark.parametrize(
    "name", ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop"]
)
def test_every_optimizer_steps(name):
    params = {"optimizer": getattr(torch.optim, name), "optimizer__momentum": None, "lr": 1e-3}
    net = fitted("mixup", "cuda", **params)
    assert np.isfinite(net.loss_curve_).all()
    assert len(set(net.loss_curve_)) == len(net.loss_curve_)


def test_a_criterion_that_does_not_fit_leaves_the_device_of_use():
    def negative():
        return nn.Sequential(nn.Linear(6, 3))

    for criterion in (nn.BCELoss, nn.NLLLoss):
        with pytest.raises(ValueError, match=criterion.__name__):
            fitted("mixup", "cuda", module=negative, criterion=criterion,
                   module__hidden_sizes=None, module__dropout=None)  # fmt: skip
    fitted("mixup", "cuda")


def test_a_criterion_with_tensors_of_its_own_on_the_device():
    weight = torch.tensor([1.0, 2.0, 1.0], device="cuda")
    loss = partial(nn.functional.cross_entropy, weight=weight, reduction="none")
    net = fitted("mixup", "cuda", criterion=lambda: loss)
    assert np.isfinite(net.loss_curve_).all()


def test_tensors_of_the_device_are_taken():
    rows, labels = torch.from_numpy(X).cuda(), torch.from_numpy(Y).cuda()
    expected = fitted("mixup", "cuda")
    for device in ("cuda", "cpu"):
        net = MixupClassifier(device=device, **PARAMS, **SMALL).fit(rows, labels)
        assert_agree(net, expected, X)
        assert net.score(rows, labels) == net.score(X, Y)


def test_a_step_by_hand_takes_rows_of_the_cpu():
    batch = torch.from_numpy(X), torch.from_numpy(Y)
    net = fitted("mixup", "cuda")
    for step in (net.train_step, net.train_step_single, net.validation_step):
        assert torch.isfinite(torch.as_tensor(step(batch)["loss"]))


@pytest.mark.parametrize("case", ["manifold mixup", "images"])
@pytest.mark.parametrize("capability", [(9, 0), (7, 5)])
def test_16_bits(case, capability, monkeypatch):
    """bfloat16, and float16 with a scaled loss as on a GPU that does not know bfloat16."""
    is_native.cache_clear()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    try:
        net = fitted(case, "cuda", precision="bfloat16")
        low = net.predict_proba(CASES[case][1])
        assert np.abs(low - fitted(case, "cuda").predict_proba(CASES[case][1])).max() < 0.05
        high = net.set_params(precision="float32").predict_proba(CASES[case][1])
        assert 0 < np.abs(low - high).max() < 0.02
    finally:
        is_native.cache_clear()


def test_weights_of_convolutions_have_the_order_of_the_images():
    for precision, optimizer in (
        ("bfloat16", torch.optim.SGD),
        ("bfloat16", torch.optim.LBFGS),
        ("float32", torch.optim.SGD),
    ):
        net = fitted("images", "cuda", precision=precision, optimizer=optimizer,
                     optimizer__momentum=None, ema_decay=0.5, lr=1e-3)  # fmt: skip
        for network in net.networks():
            weights = [p for p in network.parameters() if p.ndim == 4 and p.shape[2] > 1]
            innermost = precision == "bfloat16" and optimizer is torch.optim.SGD
            assert all(p.is_contiguous() is not innermost for p in weights)
        assert_agree(pickle.loads(pickle.dumps(net)), net, IMAGES, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # of what torch imports
@pytest.mark.parametrize("case", ["manifold mixup", "images"])
def test_compiled(case):
    torch._dynamo.reset()
    net = fitted(case, "cuda", compile=True)
    assert_agree(net, fitted(case, "cuda"), CASES[case][1])
    torch._dynamo.reset()


def test_a_file_of_the_gpu_predicts_and_goes_on_where_there_is_none(tmp_path):
    net = fitted("manifold mixup", "cuda", ema_decay=0.9)
    with open(tmp_path / "net.pkl", "wb") as file:
        pickle.dump((net, X, Y, net.predict_proba(X)), file)
    program = (
        "import pickle, warnings, numpy as np\n"
        "warnings.simplefilter('ignore')\n"
        "net, X, Y, expected = pickle.load(open('net.pkl', 'rb'))\n"
        "assert np.allclose(net.predict_proba(X), expected, atol=1e-5)\n"
        "assert net.partial_fit(X, Y).n_iter_ == 12\n"
    )
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, env=hidden)


def test_a_file_of_the_gpu_unpickles_there_without_a_word():
    net = fitted("mixup", "cuda")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeviceWarning)
        copy = pickle.loads(pickle.dumps(net))
    assert next(copy.module_.parameters()).is_cuda
    assert_agree(copy, net, X, atol=1e-6)


def test_attacks_change_rows_as_on_the_cpu():
    on_gpu, on_cpu = fitted("mixup", "cuda"), fitted("mixup", "cpu")
    on_cpu.module_.load_state_dict(on_gpu.module_.state_dict())
    for attack in (fgsm, ifgsm):
        assert np.mean(attack(on_gpu, X, Y, eps=0.5) == attack(on_cpu, X, Y, eps=0.5)) > 0.98
    found, expected = (accuracy_under_attack(net, X, Y, fgsm, eps=1.0) for net in (on_gpu, on_cpu))
    assert abs(found - expected) <= 2 / N
    assert found < on_gpu.score(X, Y)


def test_noise_and_augmentation_are_of_the_fit():
    for case, params in (("no mixing", {"vicinity": Gaussian(0.3)}),
                         ("pixels", {"augment": RandomHorizontalFlip()})):  # fmt: skip
        before = torch.cuda.get_rng_state(), torch.get_rng_state()
        one = fitted(case, "cuda", **params)
        torch.cuda.manual_seed(5)
        other = fitted(case, "cuda", **params)
        assert_agree(one, other, CASES[case][1], atol=1e-5)
        assert torch.equal(before[1], torch.get_rng_state())
        assert np.abs(outputs(one, CASES[case][1])
                      - outputs(fitted(case, "cuda"), CASES[case][1])).max() > 1e-4  # fmt: skip


def test_searches_and_the_estimator_that_tunes_itself():
    net = MixupClassifier(device="cuda", **PARAMS, **SMALL)
    found = GridSearchCV(net, {"alpha": [0.1, 1.0]}, cv=2, n_jobs=2).fit(X, Y)
    assert found.best_score_ > 0.5
    tuned = MixupClassifierCV(
        MixupClassifier(device="cuda"), n_runs=8, random_state=0, cv=2
    ).fit(X, Y)  # fmt: skip
    assert np.mean(tuned.predict(X) == Y) > 0.7


def test_a_fit_goes_on_where_it_stopped(tmp_path):
    half = fitted("manifold mixup", "cuda", max_epochs=2, lr_schedule=None)
    files = {f"f_{part}": tmp_path / part for part in ("params", "optimizer", "history")}
    half.save_params(**files)
    other = fitted("manifold mixup", "cuda", max_epochs=2, lr_schedule=None)
    other.load_params(**files)
    assert_agree(other, half, X, atol=1e-6)
    assert_agree(*(net.partial_fit(X, Y, epochs=2) for net in (half, other)), X, atol=1e-5)


def test_the_default_network_is_on_the_device_as_a_whole():
    net = fitted("piecewise", "cuda")
    assert isinstance(net.module_, MLP)
    assert {tensor.device.type for tensor in net.module_.state_dict().values()} == {"cuda"}

"""Facts about averaged weights in files, copies, compiled code and processes."""

import pickle

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, LoadInitState
from skorch.hf import AccelerateMixin
from torch import nn

from skmixup import ManifoldMixupClassifier, MixupClassifier, MixupClassifierCV, MixupRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def network():
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.3), nn.Linear(6, 2))


def averaged(*callbacks, estimator=MixupClassifier, module=network, **params):
    defaults = {"max_epochs": 6, "batch_size": 16, "random_state": 0, "device": "cpu"}
    return estimator(
        module, **{"ema_decay": 0.95, "callbacks": list(callbacks), **defaults, **params}
    )


def assert_same(net, other):
    for part in ("module_", "student_"):
        own, theirs = (getattr(n, part).state_dict() for n in (net, other))
        assert all(torch.equal(own[name], theirs[name]) for name in own | theirs), part
    np.testing.assert_array_equal(net.predict_proba(X), other.predict_proba(X))


@pytest.mark.parametrize("with_student", [True, False])
def test_training_goes_on_from_the_files_of_a_checkpoint(tmp_path, with_student):
    files = {"f_student": "student.pt"} if with_student else {}
    saves = Checkpoint(monitor=None, dirname=tmp_path, **files)
    net = averaged(saves).fit(X, Y)
    other = averaged(LoadInitState(saves)).fit(X, Y, epochs=0)
    assert other._n_averaged_ == net._n_averaged_ == 18
    if with_student:
        assert_same(net, other)
    else:
        np.testing.assert_array_equal(net.predict_proba(X), other.predict_proba(X))
        own, theirs = other.module_.state_dict(), other.student_.state_dict()
        assert all(torch.equal(own[name], theirs[name]) for name in own)


@pytest.mark.parametrize("kind", ["stopping", "checkpoint", "with student"])
def test_training_goes_on_from_the_best_epoch_that_a_callback_loads(tmp_path, kind):
    files = {"f_student": "student.pt"} if kind == "with student" else {}
    saves = Checkpoint("valid_loss_best", dirname=tmp_path, load_best=True, **files)
    stops = EarlyStopping(patience=3, load_best=True)
    callback = stops if kind == "stopping" else saves
    net = averaged(callback, lr=0.3, max_epochs=30, train_split=0.25, ema_decay=0.5).fit(X, Y)
    average, student = (part.state_dict() for part in (net.module_, net.student_))
    equal = all(torch.equal(average[name], student[name]) for name in average)
    assert equal is (kind != "with student")


class Pickled(Callback):
    """A copy of the net, made in the course of training."""

    def __init__(self, event):
        self.event = event

    def __getstate__(self):
        return {"event": "never"}

    def __getattribute__(self, name):
        if name.startswith("on_") and name == object.__getattribute__(self, "event"):
            return self.copy
        return object.__getattribute__(self, name)

    def copy(self, net, **kwargs):
        if len(net.history) == 3:
            self.copied = pickle.dumps(net)


@pytest.mark.parametrize("event", ["on_epoch_end", "on_epoch_begin", "on_batch_end"])
def test_a_copy_that_is_made_in_training_predicts_with_the_average(event):
    net = averaged(Pickled(event)).fit(X, Y)
    copied = pickle.loads(dict(net.callbacks_)["Pickled"].copied)
    assert "_average_" not in copied.__dict__
    moved = {id(p) for group in copied.optimizer_.param_groups for p in group["params"]}
    assert moved == {id(p) for p in copied.student_.parameters()}
    assert not any(torch.equal(a, s) for a, s in zip(
        copied.module_.parameters(), copied.student_.parameters(), strict=True))  # fmt: skip
    if event == "on_epoch_end":
        copied.partial_fit(X, Y, epochs=3)
        assert_same(net, copied)


def test_pickles_and_files_hold_the_average(tmp_path):
    net = averaged().fit(X, Y)
    assert_same(net, pickle.loads(pickle.dumps(net)))
    net.save_params(tmp_path / "module.pt")
    state = torch.load(tmp_path / "module.pt")
    assert all(torch.equal(value, state[name]) for name, value in net.module_.state_dict().items())
    plain = averaged(ema_decay=0.0).initialize()
    plain.load_params(tmp_path / "module.pt")
    np.testing.assert_array_equal(plain.predict_proba(X), net.predict_proba(X))


def test_a_net_that_is_trimmed_has_no_student():
    net = averaged().fit(X, Y)
    expected = net.predict_proba(X)
    size = len(pickle.dumps(net))
    net.trim_for_prediction()
    assert not hasattr(net, "student_")
    assert len(pickle.dumps(net)) < size / 2
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).predict_proba(X), expected)


def test_a_checkpoint_in_training_holds_what_was_scored(tmp_path):
    saves = Checkpoint(monitor="valid_loss_best", dirname=tmp_path, load_best=True)
    net = averaged(saves, train_split=0.3, lr=0.5, max_epochs=10).fit(X, Y)
    module = network().eval()
    module.load_state_dict(torch.load(tmp_path / "params.pt"))
    best = min(net.history[:, "valid_loss"])
    _, valid = net.get_split_datasets(net.get_dataset(X, Y), Y)
    x, y = (torch.stack([torch.as_tensor(v) for v in part]) for part in zip(*valid, strict=True))
    assert nn.functional.cross_entropy(module(x), y).item() == pytest.approx(best, rel=1e-5)
    np.testing.assert_allclose(
        net.predict_proba(X), module(torch.tensor(X)).softmax(1).detach(), atol=1e-6
    )


def test_compiled_and_plain_networks_are_averaged_alike():
    params = {"estimator": ManifoldMixupClassifier, "module": lambda: network()[::3]}
    plain = averaged(layers=[0, 1], **params).fit(X, Y)
    net = averaged(layers=[0, 1], compile=True, compile__backend="eager", **params).fit(X, Y)
    np.testing.assert_allclose(net.predict_proba(X), plain.predict_proba(X), atol=1e-5)
    assert not np.allclose(net.predict_proba(X), averaged(
        layers=[0, 1], ema_decay=0.0, **params).fit(X, Y).predict_proba(X), atol=1e-5)  # fmt: skip
    torch._dynamo.reset()


def test_the_estimator_with_cross_validation_averages_too():
    estimator = averaged(module=None, estimator=ManifoldMixupClassifier)
    few = {"param_distributions": {"alpha": [0.0, 0.5]}, "n_runs": 2, "cv": 2}
    cv = MixupClassifierCV(estimator, random_state=0, **few).fit(X, Y)
    members = [net for nets in cv.estimators_ for net in np.ravel(nets)]
    assert all(net.ema_decay == 0.95 and hasattr(net, "student_") for net in members)


def test_accelerate_prepares_both_networks():
    class Accelerated(AccelerateMixin, MixupClassifier):
        pass

    AcceleratorState._reset_state(reset_partial_state=True)  # one for the whole process
    params = {"max_epochs": 6, "batch_size": 16, "random_state": 0, "ema_decay": 0.95}
    net = Accelerated(network, accelerator=Accelerator(cpu=True), **params).fit(X, Y)
    assert_same(net, averaged().fit(X, Y))


@pytest.mark.parametrize("value", [1.0, -0.1, "fast"])
def test_a_decay_outside_of_its_range_is_an_error(value):
    with pytest.raises(ValueError, match="'ema_decay' parameter of MixupRegressor"):
        averaged(estimator=MixupRegressor, ema_decay=value).fit(X, Y)

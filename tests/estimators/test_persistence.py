"""Facts about saving and loading, whole nets and their parameters."""

import copy
import io
import pickle
import subprocess
import sys
import textwrap

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    LoadInitState,
    LRScheduler,
    TrainEndCheckpoint,
)
from skorch.exceptions import (
    DeviceWarning,
    NotInitializedError,
    SkorchTrainingImpossibleError,
)
from torch import nn

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupRegressor,
    VicinalClassifier,
)
from skmixup.networks import MLP
from skmixup.training.copies import cloudpickle

RNG = np.random.default_rng(0)
CODES = np.arange(60) % 3
X = (1000 * (RNG.normal(size=(60, 4)) + 3 * np.eye(3, 4)[CODES]) + 1e4).astype(np.float32)
Y = np.array(["ant", "bee", "cow"])[CODES]
SEVERAL = (X.mean(axis=0) < X)[:, 1:].astype(int)
IMAGES = RNG.normal(size=(12, 2, 4, 4)).astype(np.float32)
FAST = {"module__hidden_sizes": (8,), "max_epochs": 6, "lr": 0.02, "random_state": 0}


def fitted(estimator=MixupClassifier, **params):
    return estimator(**FAST | params).fit(X, Y)


def file_with(net, safe=False):
    file = io.BytesIO()
    net.save_params(file, use_safetensors=safe)
    file.seek(0)
    return file


# ---- parameters


@pytest.mark.parametrize("initialize", [True, False], ids=["initialized", "new"])
@pytest.mark.parametrize(
    ("estimator", "params"),
    [
        (MixupClassifier, {}),
        (ManifoldMixupClassifier, {"module__n_members": 1}),
        (MixupClassifier, {"module__scale_inputs": False, "module__hidden_sizes": ()}),
        (VicinalClassifier, {"module__n_members": 1, "module__scale_inputs": False}),
        (InterpolationConsistencyClassifier, {}),
    ],
)
def test_a_saved_default_network_loads_without_a_fit(tmp_path, estimator, params, initialize):
    net = fitted(estimator, **params)
    net.save_params(f_params=tmp_path / "p.pt")
    new = clone(net).set_params(classes=["ant", "bee", "cow"])
    if initialize:
        assert new.initialize() is new
        with pytest.raises(NotFittedError):
            new.predict(X)
    new.load_params(f_params=tmp_path / "p.pt")
    assert np.array_equal(new.predict_proba(X), net.predict_proba(X))
    assert np.array_equal(new.predict(X), net.predict(X))
    assert new.n_features_in_ == 4
    with pytest.raises(ValueError, match="4 features"):
        new.predict(X[:, :3])
    again = pickle.loads(pickle.dumps(new))
    assert np.array_equal(again.predict(X), net.predict(X))
    center = [m.center.clone() for m in new.module_.modules() if hasattr(m, "center")]
    new.partial_fit(X + 5e4, Y)  # other rows do not change the scales that belong to the weights
    for before, module in zip(
        center, [m for m in new.module_.modules() if hasattr(m, "center")], strict=True
    ):
        assert torch.equal(before, module.center)
    anew = new.set_params(module__dropout=0.3).partial_fit(X, Y)
    assert anew.score(X, Y) > 0.8 or "module__scale_inputs" in params
    assert new.fit(X[:, :3], Y).n_features_in_ == 3


def test_a_saved_default_network_for_images(tmp_path):
    net = MixupClassifier(module__width=4, max_epochs=1, random_state=0).fit(IMAGES, CODES[:12])
    net.save_params(f_params=tmp_path / "p.pt")
    new = clone(net).set_params(classes=[0, 1, 2])
    new.load_params(f_params=tmp_path / "p.pt")
    assert np.array_equal(new.predict_proba(IMAGES), net.predict_proba(IMAGES))
    assert new.partial_fit(IMAGES, CODES[:12]).n_iter_ == 1


def test_a_checkpoint_is_loaded_into_a_new_default_network(tmp_path):
    for saves in (
        Checkpoint(monitor=None, f_params="at_{last_epoch[epoch]}.pt", dirname=tmp_path),
        TrainEndCheckpoint(dirname=tmp_path),
    ):
        net = fitted(callbacks=[saves])
        new = MixupClassifier(**FAST, classes=["ant", "bee", "cow"])
        new.load_params(checkpoint=saves)
        assert np.array_equal(new.predict(X), net.predict(X))
        assert new.n_iter_ == 6
        assert new.partial_fit(X, Y).n_iter_ == 12


def test_an_open_file_loads_too():
    net, file = fitted(), io.BytesIO()
    net.save_params(f_params=file)
    file.seek(0)
    new = clone(net)
    new.load_params(f_params=file)
    assert np.array_equal(new.predict_proba(X), net.predict_proba(X))


LABELS = [
    ["ant", "bee", "cow"], [3, 5, 9], [1.0, 2.0, 4.0], np.array(["x", "yy", "z"], dtype=object)
]  # fmt: skip


@pytest.mark.parametrize("labels", LABELS, ids=str)
def test_the_labels_are_in_the_file(tmp_path, labels):
    y = np.asarray(labels)[CODES]
    net = MixupClassifier(**FAST).fit(X, y)
    net.save_params(f_params=tmp_path / "p.pt")
    new = clone(net)
    new.load_params(f_params=tmp_path / "p.pt")  # with weights_only=True
    assert np.array_equal(new.predict(X), net.predict(X))
    assert new.classes_.dtype == net.classes_.dtype
    assert new.partial_fit(X[y == labels[0]], y[y == labels[0]]).classes_.tolist() == list(labels)
    state = torch.load(tmp_path / "p.pt")
    assert state.keys() == net.module_.state_dict().keys()
    MLP(4, 3, hidden_sizes=(8,)).load_state_dict(state)  # no other program minds


def test_labels_that_are_in_no_file_are_asked_for(tmp_path):
    net = fitted()
    torch.save(net.module_.state_dict(), tmp_path / "p.pt")
    new = clone(net)
    new.load_params(f_params=tmp_path / "p.pt")
    assert np.array_equal(new.predict_proba(X), net.predict_proba(X))
    with pytest.raises(NotFittedError, match=r"classes=\[…\]"):
        new.predict(X)
    assert np.array_equal(new.set_params(classes=["ant", "bee", "cow"]).predict(X), net.predict(X))
    learns = clone(net)
    learns.load_params(f_params=tmp_path / "p.pt")
    assert learns.partial_fit(X, Y).classes_.tolist() == ["ant", "bee", "cow"]
    assert learns.score(X, Y) > 0.9
    with pytest.raises(ValueError, match=r"classes has 2 labels, \['a', 'b'\].* 3 outputs"):
        clone(net).set_params(classes=["a", "b"]).load_params(f_params=tmp_path / "p.pt")


def test_given_labels_come_before_those_of_the_file(tmp_path):
    net = fitted()
    net.save_params(f_params=tmp_path / "p.pt")
    new = clone(net).set_params(classes=[1, 2, 3])
    new.load_params(f_params=tmp_path / "p.pt")
    assert new.classes_.tolist() == [1, 2, 3]
    other = MixupClassifier(**FAST).fit(X, CODES)
    other.load_params(f_params=tmp_path / "p.pt")
    assert other.classes_.tolist() == [0, 1, 2]


def test_labels_of_a_file_go_when_another_is_loaded():
    new = MixupClassifier(**FAST)
    for labels in LABELS:
        net = MixupClassifier(**FAST).fit(X, np.asarray(labels)[CODES])
        new.load_params(file_with(net))
        assert np.array_equal(new.predict(X), net.predict(X))
        new = pickle.loads(pickle.dumps(new))


@pytest.mark.parametrize(
    ("net", "file_of", "message"),
    [
        ("classes", "labels", "of several labels per row.* MixupClassifier has one; load it into"),
        ("labels", "classes", "of one label per row.* MixupClassifier has several; load it into"),
        ("classes", "numbers", "a regressor's parameters; MixupClassifier is a classifier"),
        ("numbers", "classes", "a classifier's parameters; MixupRegressor is a regressor"),
    ],
)
@pytest.mark.parametrize("safe", [False, True], ids=["torch", "safetensors"])
def test_a_file_of_another_kind_of_targets_is_refused(net, file_of, message, safe):
    params = {"module": nn.Linear(4, 3), "max_epochs": 1}
    fitted = {
        "classes": MixupClassifier(**params).fit(X, CODES),
        "labels": MixupClassifier(**params).fit(X, SEVERAL),
        "numbers": MixupRegressor(**params).fit(X, SEVERAL),
    }
    before = fitted[net].predict(X)
    with pytest.raises(ValueError, match=message):
        fitted[net].load_params(file_with(fitted[file_of], safe), use_safetensors=safe)
    assert np.array_equal(fitted[net].predict(X), before)


def test_the_parameters_of_another_module_are_refused(tmp_path):
    net = VicinalClassifier(
        nn.Linear, module__in_features=4, module__out_features=3, max_epochs=1
    ).fit(X, Y)
    net.save_params(f_params=tmp_path / "p.pt")
    with pytest.raises(ValueError, match=r"another module \(weight, bias, …\); pass that module"):
        MixupClassifier().load_params(f_params=tmp_path / "p.pt")


def test_a_file_that_does_not_fit_costs_nothing(tmp_path):
    fitted(module__hidden_sizes=(16,)).save_params(f_params=tmp_path / "p.pt")
    net = fitted()
    expected = net.predict_proba(X)
    with pytest.raises(RuntimeError, match="size mismatch"):
        net.load_params(f_params=tmp_path / "p.pt")
    assert np.array_equal(net.predict_proba(X), expected)
    new = clone(net)
    for file in ("p.pt", "none.pt"):
        with pytest.raises((RuntimeError, FileNotFoundError)):
            new.load_params(f_params=tmp_path / file)
        with pytest.raises(NotFittedError):
            new.predict(X)
    net.save_params(f_optimizer=tmp_path / "o.pt")
    with pytest.raises(NotInitializedError, match="only f_params tells its sizes"):
        new.load_params(f_optimizer=tmp_path / "o.pt")


@pytest.mark.parametrize("missing", ["f_params", "f_optimizer"])
def test_the_first_file_is_not_kept_where_the_second_cannot_be_loaded(tmp_path, missing):
    files = {name: tmp_path / name for name in ("f_params", "f_optimizer")}
    fitted(random_state=1).save_params(**files)
    files[missing].unlink()
    net, same = fitted(), fitted()
    with pytest.raises(FileNotFoundError):
        net.load_params(**files)
    assert net.partial_fit(X, Y).loss_curve_ == same.partial_fit(X, Y).loss_curve_


def test_a_net_that_was_trimmed_for_prediction_predicts_only():
    net = fitted(train_split=0.2)
    expected = net.predict_proba(X)
    net.trim_for_prediction()
    twin = pickle.loads(pickle.dumps(net))
    for train in (twin.fit, twin.partial_fit):
        with pytest.raises(SkorchTrainingImpossibleError, match="trimmed for prediction"):
            train(X, Y)
    assert np.array_equal(twin.predict_proba(X), expected)


def test_weights_loaded_into_an_initialized_net_are_ready(tmp_path):
    net = fitted()
    net.save_params(f_params=tmp_path / "p.pt")
    sizes = {"module__n_features": 4, "module__n_outputs": 3}
    new = MixupClassifier(MLP, **sizes, **FAST).initialize()
    new.load_params(f_params=tmp_path / "p.pt")
    center = new.module_.scaling.center.clone()
    new.partial_fit(X + 5e4, Y)
    assert torch.equal(new.module_.scaling.center, center)
    net.set_params(module__dropout=0.2)
    with pytest.raises(NotFittedError):
        net.predict(X)
    net.load_params(f_params=tmp_path / "p.pt")
    assert net.score(X, Y) > 0.8


def test_the_student_is_loaded_where_it_was_saved(tmp_path):
    y = np.where(CODES < 2, CODES, -1)
    y[::4] = CODES[::4]
    saves = Checkpoint(monitor=None, f_student="student.pt", dirname=tmp_path)
    net = InterpolationConsistencyClassifier(callbacks=[saves], **FAST).fit(X, y)
    new = InterpolationConsistencyClassifier(classes=[0, 1, 2], **FAST)
    new.load_params(checkpoint=saves)
    for part in ("module_", "student_"):
        ours, theirs = (getattr(n, part).state_dict() for n in (new, net))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert new._n_averaged_ == net._n_averaged_


class Tied(nn.Module):
    """Two names for one weight, one view that is not contiguous."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.second = nn.Linear(4, 3)
        self.second.weight = self.first.weight
        self.register_buffer("center", torch.zeros(3, 4).t()[:, 0])

    def adapt_to_data(self, X):
        self.center.copy_(X.mean(dim=0))

    def forward(self, x):
        return self.first(x - self.center) + self.second(x)


@pytest.mark.parametrize("module", [None, Tied])
@pytest.mark.parametrize("as_file", [True, False])
def test_safetensors_there_and_back(tmp_path, module, as_file):
    pytest.importorskip("safetensors")
    params = {"max_epochs": 2, "random_state": 0}
    net = MixupClassifier(module, **params).fit(X, Y)
    file = io.BytesIO() if as_file else tmp_path / "p.safetensors"
    net.save_params(f_params=file, use_safetensors=True)
    if as_file:
        file.seek(0)
    new = MixupClassifier(module, **params).initialize()
    new.load_params(f_params=file, use_safetensors=True)
    assert np.array_equal(new.predict_proba(X), net.predict_proba(X))
    assert np.array_equal(new.predict(X), net.predict(X))
    if module is Tied:
        assert new.module_.first.weight is new.module_.second.weight
    assert new.partial_fit(X, Y).n_iter_ == 2


def test_checkpoints_in_safetensors(tmp_path):
    pytest.importorskip("safetensors")
    saves = Checkpoint(monitor=None, f_optimizer=None, dirname=tmp_path, use_safetensors=True)
    net = fitted(callbacks=[saves])
    loads = LoadInitState(saves, use_safetensors=True)
    plain = clone(net).set_params(callbacks=None)
    plain.load_params(checkpoint=saves, use_safetensors=True)
    assert np.array_equal(plain.predict(X), net.predict(X))
    new = fitted(callbacks=[loads], max_epochs=1, lr=1e-9)
    assert new.n_iter_ == 7
    assert np.allclose(new.predict_proba(X), net.predict_proba(X), atol=1e-3)


# ---- whole nets

COPIES = {
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
    "cloudpickle": lambda net: pickle.loads(cloudpickle.dumps(net)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def through_joblib(net, folder):
    joblib.dump(net, folder / "net.joblib")
    return joblib.load(folder / "net.joblib")


@pytest.mark.parametrize("way", [*COPIES, "joblib"])
@pytest.mark.parametrize("estimator", [VicinalClassifier, InterpolationConsistencyClassifier])
def test_copies_predict_and_train(tmp_path, estimator, way):
    net = fitted(estimator)
    twin = through_joblib(net, tmp_path) if way == "joblib" else COPIES[way](net)
    expected = net.predict_proba(X)
    assert np.array_equal(twin.predict_proba(X), expected)
    assert twin.get_params(deep=False).keys() == net.get_params(deep=False).keys()
    learnable = {id(parameter) for _, parameter in twin.get_all_learnable_params()}
    assert {id(p) for p in twin.optimizer_.param_groups[0]["params"]} == learnable
    if way != "copy":  # which shares the module, as a shallow copy does
        assert twin.partial_fit(X, Y).n_iter_ == 12
        assert not np.array_equal(twin.predict_proba(X), expected)
        assert np.array_equal(net.predict_proba(X), expected)


@pytest.mark.parametrize("way", COPIES)
def test_copies_go_on_with_an_optimizer_that_keeps_its_parameters_twice(way):
    net = fitted(VicinalClassifier, optimizer=torch.optim.LBFGS, lr=1e-3, batch_size=-1)
    twin = COPIES[way](net).partial_fit(X, Y)
    assert twin.n_iter_ == 12
    if way != "copy":  # which shares the module
        expected = net.partial_fit(X, Y).predict_proba(X)
        np.testing.assert_array_equal(twin.predict_proba(X), expected)


class Copying(Callback):
    """Copies the net in the middle of its training."""

    def __init__(self, event):
        self.event = event
        self.copies = []

    def on_grad_computed(self, net, **kwargs):
        self.copy("on_grad_computed", net)

    def on_batch_end(self, net, **kwargs):
        self.copy("on_batch_end", net)

    def on_epoch_end(self, net, **kwargs):
        self.copy("on_epoch_end", net)

    def copy(self, event, net):
        if event == self.event and len(net.history) == 3 and not self.copies:
            ways = [way for name, way in COPIES.items() if name != "copy"]
            self.copies = [None]  # in the copies
            self.copies = [way(net) for way in ways]

    def __getstate__(self):
        return {**self.__dict__, "copies": []}


@pytest.mark.parametrize("event", ["on_grad_computed", "on_batch_end", "on_epoch_end"])
def test_copies_made_in_training_predict_and_train(event):
    plain = fitted(ManifoldMixupClassifier).predict_proba(X)
    net = fitted(ManifoldMixupClassifier, callbacks=[Copying(event)])
    assert np.array_equal(net.predict_proba(X), plain)
    copies = dict(net.callbacks_)["Copying"].copies
    assert len(copies) == 3
    for twin in copies:
        assert twin.score(X, Y) > 0.5
        assert twin.n_iter_ == 3
        twin.set_params(callbacks=None)
        assert twin.partial_fit(X, Y).n_iter_ == 9
        assert np.array_equal(twin.fit(X, Y).predict_proba(X), plain)


@pytest.mark.parametrize(
    "callbacks",
    [
        [LRScheduler("StepLR", step_size=2)],
        [LRScheduler("ReduceLROnPlateau")],
        [EarlyStopping("train_loss", load_best=True), LRScheduler("ExponentialLR", gamma=0.9)],
    ],
    ids=["StepLR", "ReduceLROnPlateau", "EarlyStopping"],
)
def test_what_was_trained_on_a_gpu_with_callbacks_unpickles_without(callbacks, monkeypatch):
    net = fitted(callbacks=callbacks)
    expected = net.predict_proba(X)
    net.kept_ = torch.ones(3)
    with monkeypatch.context() as there:  # tensors say that they lay on a GPU
        there.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        net.device = "cuda"
        pickled = pickle.dumps(net)
        with pytest.raises(RuntimeError, match="CUDA"):
            pickle.loads(pickle.dumps(net.module_))
    if torch.cuda.is_available():
        pytest.skip("has CUDA")
    with pytest.warns(DeviceWarning):
        twin = pickle.loads(pickled)
    assert np.array_equal(twin.predict_proba(X), expected)
    assert twin.partial_fit(X, Y).n_iter_ == 12
    assert torch.equal(twin.kept_, torch.ones(3))


NOTEBOOK = """
    import pickle, sys
    import numpy as np
    from skmixup.training.copies import cloudpickle
    from sklearn.ensemble import BaggingClassifier
    from sklearn.model_selection import cross_validate
    from torch import nn
    from skmixup import MixupClassifier

    class Net(nn.Module):
        def __init__(self, width=3):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))

        def forward(self, x):
            return self.layers(x)

    class Loss(nn.CrossEntropyLoss):
        pass

    X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
    y = (X[:, 0] > 0).astype(int)
    clf = MixupClassifier(Net, criterion=Loss, max_epochs=2, random_state=0)
    found = cross_validate(clf, X, y, cv=2, n_jobs=2, return_estimator=True, error_score="raise")
    for fold in found["estimator"]:
        assert isinstance(fold.module_, Net), type(fold.module_)
        assert fold.partial_fit(X, y).predict(X).shape == (40,)
        assert isinstance(pickle.loads(pickle.dumps(fold)).module_, Net)
    bag = BaggingClassifier(clf, n_estimators=2, n_jobs=2, random_state=0).fit(X, y)
    assert bag.predict(X).shape == (40,)
    with open(sys.argv[1], "wb") as file:
        cloudpickle.dump((clf.fit(X, y), X, clf.predict_proba(X)), file)
"""


def test_modules_of_a_notebook_go_to_workers_and_back(tmp_path):
    script = tmp_path / "notebook.py"
    script.write_text(textwrap.dedent(NOTEBOOK))
    run = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "net.pkl")], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    with open(tmp_path / "net.pkl", "rb") as file:
        net, rows, expected = pickle.load(file)
    assert np.array_equal(net.predict_proba(rows), expected)
    assert net.partial_fit(rows, rows[:, 0] > 0).n_iter_ == 4
    assert clone(net).fit(rows, rows[:, 0] > 0).n_iter_ == 2

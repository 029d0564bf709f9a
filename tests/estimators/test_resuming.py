"""Facts about going on: peaks come from parameters, and a fit that was cut off can be finished."""

import io
import pickle
from contextlib import suppress
from copy import deepcopy

import numpy as np
import pytest
import skorch
import torch
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EpochScoring,
    LoadInitState,
    LRScheduler,
    TrainEndCheckpoint,
)
from skorch.helper import predefined_split

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    VicinalClassifier,
)
from skmixup.training.schedule import MARK, cosine

RNG = np.random.default_rng(0)
Y = np.arange(48) % 2
X = (RNG.normal(size=(48, 3)) + 2 * Y[:, None]).astype(np.float32)
LR = 0.01
FAST = {
    "module__hidden_sizes": (4,),
    "batch_size": 16,
    "random_state": 0,
    "lr": LR,
    "lr_schedule": "cosine",
}
WHOLE = np.array([LR * cosine(i / 18) for i in range(18)])  # six epochs of three steps


class Rates(Callback):
    """Keeps the learning rates of every step."""

    def on_train_begin(self, net, **kwargs):
        self.seen = []

    def on_grad_computed(self, net, **kwargs):
        self.seen.append([group["lr"] for group in net.optimizer_.param_groups])


class At(Callback):
    """Does something at the end of an epoch."""

    def __init__(self, epoch, action):
        self.epoch = epoch
        self.action = action

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            self.action(net)


class CutOffError(Exception):
    """The machine went down."""


def cut_off(net):
    raise CutOffError


def rates_of(clf, group=0):
    return np.array(dict(clf.callbacks_)["Rates"].seen)[:, group]


def classifier(*callbacks, max_epochs=6, **params):
    return MixupClassifier(callbacks=[Rates(), *callbacks], max_epochs=max_epochs, **FAST | params)


def copied(net):
    """Pickle of the net without the callback that made it, whose function is of no module."""
    state = {**net.__getstate__(), "callbacks": [Rates()], "callbacks_": [("Rates", Rates())]}
    return pickle.dumps((type(net), state))


def brought_back(pickled):
    kind, state = pickle.loads(pickled)
    net = kind.__new__(kind)
    net.__setstate__(state)
    return net


def saved_at(epoch, *, max_epochs=6, **params):
    """Pickle that a callback made at the end of an epoch."""
    file = io.BytesIO()
    clf = classifier(
        At(epoch, lambda net: file.write(copied(net))),
        max_epochs=max_epochs,
        **params,
    )
    clf.fit(X, Y)
    return clf, file.getvalue()


# ---- peaks


def test_after_the_best_epoch_was_loaded_training_starts_from_the_peak(tmp_path):
    saves = Checkpoint(monitor=lambda net: len(net.history) == 4, dirname=tmp_path, load_best=True)
    clf = classifier(saves).fit(X, Y)
    assert clf.optimizer_.param_groups[0]["lr"] == LR
    clf.partial_fit(X, Y)
    np.testing.assert_allclose(rates_of(clf), WHOLE)
    clf.set_params(max_epochs=2).partial_fit(X, Y)  # not the rest of the first fit: that is over
    np.testing.assert_allclose(rates_of(clf), [LR * cosine(i / 6) for i in range(6)])


@pytest.mark.parametrize("way", ["LoadInitState", "load_params", "files"])
@pytest.mark.parametrize("lr", [LR, 0.5])
def test_after_loading_a_finished_fit_training_starts_from_the_peak(tmp_path, way, lr):
    saves = Checkpoint(monitor=None, dirname=tmp_path)
    classifier(saves).fit(X, Y)
    decayed = torch.load(tmp_path / "optimizer.pt")["param_groups"][0]["lr"]
    assert decayed < 0.01 * LR
    new = classifier(*[LoadInitState(saves)] * (way == "LoadInitState"), lr=lr)
    if way == "LoadInitState":
        new.fit(X, Y)
    else:
        new.partial_fit(X, Y)
        names = ("params", "optimizer", "history")
        files = {"f_" + name: clf_file(tmp_path, name) for name in names}
        new.load_params(**{"checkpoint": saves} if way == "load_params" else files)
        assert new.optimizer_.param_groups[0]["lr"] == lr
        new.partial_fit(X, Y)
    assert new.n_iter_ == 12
    np.testing.assert_allclose(rates_of(new), WHOLE * lr / LR)


def clf_file(folder, name):
    return str(folder / (name + (".json" if name == "history" else ".pt")))


def test_a_decayed_optimizer_of_another_program_is_no_peak(tmp_path):
    clf = classifier().fit(X, Y)
    state = clf.optimizer_.state_dict()
    for group in state["param_groups"]:
        del group[MARK]
        group["lr"] = 1e-9
    torch.save(state, tmp_path / "o.pt")
    clf.load_params(f_optimizer=tmp_path / "o.pt")
    clf.partial_fit(X, Y)
    np.testing.assert_allclose(rates_of(clf), WHOLE)
    clf.optimizer_.load_state_dict(state)
    clf.partial_fit(X, Y)
    np.testing.assert_allclose(rates_of(clf), WHOLE)


def test_the_rate_that_a_scheduler_left_is_no_peak():
    steps = LRScheduler("StepLR", step_size=1, gamma=0.1)
    clf = MixupClassifier(callbacks=[steps], max_epochs=3, **FAST | {"lr_schedule": "auto"})
    clf.fit(X, Y)
    assert clf.optimizer_.param_groups[0]["lr"] < 0.01 * LR
    clf.set_params(callbacks=[Rates()], max_epochs=6).partial_fit(X, Y)
    np.testing.assert_allclose(rates_of(clf), WHOLE)


@pytest.mark.parametrize("schedule", ["cosine", None])
def test_a_pickle_made_in_training_starts_from_the_peak(schedule):
    _, pickled = saved_at(6, lr_schedule=schedule)
    clf = brought_back(pickled).partial_fit(X, Y)
    np.testing.assert_allclose(rates_of(clf), WHOLE if schedule else np.full(18, LR))


def test_every_group_has_a_peak_of_its_own(tmp_path):
    groups = [("head.*", {"lr": 0.5}), ("blocks.*", {"lr": 0.2})]
    saves = Checkpoint(monitor=None, dirname=tmp_path)
    clf = classifier(saves, optimizer__param_groups=groups).fit(X, Y)
    clf.load_params(checkpoint=saves)
    clf.partial_fit(X, Y)
    for group, peak in enumerate([0.5, 0.2, LR]):
        np.testing.assert_allclose(rates_of(clf, group), WHOLE * peak / LR)


@pytest.mark.parametrize(
    ("name", "peaks"),
    [
        ("lr", [0.3, 0.3]),
        ("optimizer__lr", [0.3, 0.3]),
        ("optimizer__param_groups__0__lr", [0.3, LR]),
    ],
)
def test_a_rate_that_is_set_is_the_peak_also_beside_a_checkpoint(tmp_path, name, peaks):
    saves = Checkpoint(monitor=None, dirname=tmp_path)
    clf = classifier(saves, optimizer__param_groups=[("head.*", {"lr": 0.5})]).fit(X, Y)
    clf.set_params(**{name: 0.3})
    clf.load_params(checkpoint=saves)
    clf.partial_fit(X, Y)
    for group, peak in enumerate(peaks):
        np.testing.assert_allclose(rates_of(clf, group), WHOLE * peak / LR)


def test_an_optimizer_loaded_in_the_middle_of_training_moves_on(tmp_path):
    def load(net):
        net.load_params(f_optimizer=tmp_path / "o.pt")

    classifier(At(2, lambda net: net.save_params(f_optimizer=tmp_path / "o.pt"))).fit(X, Y)
    np.testing.assert_allclose(rates_of(classifier(At(4, load)).fit(X, Y)), WHOLE)
    anew = classifier(At(4, lambda net: net.initialize_optimizer())).fit(X, Y)
    np.testing.assert_allclose(rates_of(anew), WHOLE)


def test_numbers_of_numpy_can_be_saved_and_loaded(tmp_path):
    clf = classifier(lr=np.float64(LR), optimizer__weight_decay=np.float64(0.1)).fit(X, Y)
    clf.save_params(f_optimizer=tmp_path / "o.pt")
    clf.load_params(f_optimizer=tmp_path / "o.pt")  # with weights_only=True
    assert clf.optimizer_.param_groups[0]["weight_decay"] == 0.1


# ---- a fit that was cut off


@pytest.mark.parametrize("kind", [Checkpoint, TrainEndCheckpoint])
def test_files_of_a_fit_that_was_cut_off_go_on_with_its_rates(tmp_path, kind):
    if kind is Checkpoint:
        saves = Checkpoint(monitor=None, dirname=tmp_path)
        with pytest.raises(CutOffError):
            classifier(saves, At(4, cut_off)).fit(X, Y)
    else:
        saves = TrainEndCheckpoint(dirname=tmp_path)
        interrupt_at(4, classifier(saves, At(4, interrupt)))
    rest = classifier(LoadInitState(saves.initialize()), max_epochs=2).fit(X, Y)
    assert rest.n_iter_ == 6
    np.testing.assert_allclose(rates_of(rest), WHOLE[12:])
    more = classifier(LoadInitState(saves), max_epochs=6).fit(X, Y)  # as skorch: six more
    assert more.n_iter_ == 10
    np.testing.assert_allclose(rates_of(more), WHOLE)


def interrupt(net):
    raise KeyboardInterrupt


def interrupt_at(epoch, clf):
    with suppress(KeyboardInterrupt):
        clf.fit(X, Y)
    assert clf.n_iter_ == epoch


def test_an_interrupted_fit_goes_on_with_its_rates():
    clf = classifier(At(4, interrupt))
    interrupt_at(4, clf)
    clf.set_params(max_epochs=2).partial_fit(X, Y)
    np.testing.assert_allclose(rates_of(clf), WHOLE[12:])


class InterruptsValidation(Callback):
    """Gets a Ctrl-C while the rows held out are scored, after all steps of epoch 5."""

    def on_batch_end(self, net, training=False, **kwargs):
        if not training and len(net.history) == 5:
            raise KeyboardInterrupt


@pytest.mark.parametrize("callback", [InterruptsValidation(), At(5, interrupt)])
def test_an_epoch_whose_scores_are_lacking_is_gone_through_again_with_its_rates(callback):
    score = EpochScoring("accuracy", name="accuracy", on_train=True)
    split = predefined_split(skorch.dataset.Dataset(X, Y))
    clf = classifier(callback, score, train_split=split, mix_epochs=0.5)
    interrupt_at(4, clf)
    clf.set_params(callbacks=[Rates()]).partial_fit(X, Y, epochs=2)
    np.testing.assert_allclose(rates_of(clf), WHOLE[12:])
    assert clf.n_iter_ == 6
    clf.partial_fit(X, Y)
    np.testing.assert_allclose(rates_of(clf), WHOLE)


def test_a_pickle_goes_on_with_rates_and_clean_epochs():
    class Mixed(Callback):
        def on_train_begin(self, net, **kwargs):
            self.seen = []

        def on_grad_computed(self, net, **kwargs):
            self.seen.append(net._fit_state_.mixing)

    _, pickled = saved_at(3, mix_epochs=0.5)
    clf = brought_back(pickled).set_params(callbacks=[Rates(), Mixed()], max_epochs=3)
    clf.partial_fit(X, Y)
    np.testing.assert_allclose(rates_of(clf), WHOLE[9:])
    assert not any(dict(clf.callbacks_)["Mixed"].seen)


def test_what_a_callback_did_to_the_rates_is_gone_on_with(tmp_path):
    def lower(net):
        net.optimizer_.param_groups[0]["lr"] = LR / 10

    saves = Checkpoint(monitor=None, dirname=tmp_path)
    with pytest.raises(CutOffError):
        classifier(("low", At(2, lower)), saves, ("end", At(4, cut_off))).fit(X, Y)
    rest = classifier(LoadInitState(saves), max_epochs=2).fit(X, Y)
    np.testing.assert_allclose(rates_of(rest), WHOLE[12:] / 10)


class Ramp(InterpolationConsistencyClassifier):
    """Keeps the weight of every step."""

    def _consistency_weight(self, state):
        type(self).weights.append(super()._consistency_weight(state))
        return type(self).weights[-1]


def test_the_ramp_of_interpolation_consistency_is_gone_on_with():
    y = np.where(np.arange(48) < 16, Y, -1)
    file = io.BytesIO()
    save = At(3, lambda net: file.write(copied(net)))
    Ramp.weights = []
    Ramp(callbacks=[save], ramp_up=1.0, max_epochs=6, **FAST).fit(X, y)
    whole, Ramp.weights = Ramp.weights, []
    brought_back(file.getvalue()).set_params(max_epochs=3).partial_fit(X, y)
    assert len(whole) == 12
    np.testing.assert_allclose(Ramp.weights, whole[6:])


class Net(torch.nn.Module):
    """A module of the user's that draws from torch's and numpy's states."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(3, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 2)
        )

    def forward(self, x):
        noise = float(np.random.normal()) if self.training else 0.0  # noqa: NPY002
        return self.layers(x) + noise * x[:, :2]


KINDS = {
    "default": (MixupClassifier, {}),
    "pairs": (ManifoldMixupClassifier, {"mix_per": "sample", "mix_prob": 0.5}),
    "DataLoader": (MixupClassifier, {"iterator_train": torch.utils.data.DataLoader}),
    "module": (MixupClassifier, {"module": Net}),
    "held out": (MixupClassifier, {"train_split": 0.25}),
    "consistency": (InterpolationConsistencyClassifier, {}),
}


@pytest.mark.parametrize("way", ["pickle", "deepcopy", "Ctrl-C"])
@pytest.mark.parametrize("kind", KINDS)
def test_going_on_ends_where_the_whole_fit_ends(kind, way):
    estimator, params = KINDS[kind]
    y = np.where(np.arange(48) % 3, Y, -1) if kind == "consistency" else Y
    params = FAST | {"max_epochs": 4} | params
    if kind == "module":
        del params["module__hidden_sizes"]
    whole = estimator(**params).fit(X, y)
    kept = []
    actions = {
        "pickle": lambda net: kept.append(copied(net)),
        "deepcopy": lambda net: kept.append(deepcopy(net)) if not kept else None,
        "Ctrl-C": interrupt,
    }
    clf = estimator(**params, callbacks=[At(2, actions[way])])
    if way == "Ctrl-C":
        with suppress(KeyboardInterrupt):
            clf.fit(X, y)
    else:
        clf.fit(X, y)
        clf = brought_back(kept[0]) if way == "pickle" else kept[0]
    assert clf.n_iter_ == 2
    clf.set_params(callbacks=None).partial_fit(X, y, epochs=2)
    assert np.array_equal(clf.predict_proba(X), whole.predict_proba(X))
    assert clf.loss_curve_ == whole.loss_curve_
    again = clf.partial_fit(X, y).predict_proba(X)  # a fit of its own
    assert not np.array_equal(again, whole.predict_proba(X))


@pytest.mark.parametrize("estimator", [MixupClassifier, InterpolationConsistencyClassifier])
def test_the_epochs_of_one_call(estimator):
    clf = estimator(**FAST, max_epochs=3, callbacks=[Rates()]).fit(X, Y, epochs=6)
    np.testing.assert_allclose(rates_of(clf), WHOLE)
    assert clf.partial_fit(X, Y, epochs=1).n_iter_ == 7
    assert clf.partial_fit(X, Y).n_iter_ == 10
    for wrong in (-1, 1.5, True, "2"):
        with pytest.raises(ValueError, match="epochs must be an int of at least 0"):
            clf.partial_fit(X, Y, epochs=wrong)


# ---- streams


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(zip(torch.from_numpy(X), torch.from_numpy(Y), strict=True))


def streaming(**params):
    sizes = {"module__in_features": 3, "module__out_features": 2}
    return VicinalClassifier(
        torch.nn.Linear,
        **sizes,
        classes=[0, 1],
        batch_size=16,
        lr=LR,
        callbacks=[Rates()],
        **params,
    )


@pytest.mark.parametrize("schedule", ["auto", "cosine", "one_cycle"])
def test_a_stream_of_one_epoch_stays_at_the_peak_and_says_so(schedule):
    with pytest.warns(UserWarning, match="it stays at its peak"):
        clf = streaming(max_epochs=1, lr_schedule=schedule).fit(Stream(), None)
    assert set(rates_of(clf)) == {LR}
    assert set(rates_of(streaming(max_epochs=1, lr_schedule=None).fit(Stream(), None))) == {LR}


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_a_stream_of_several_epochs_moves_from_epoch_to_epoch(schedule):
    rates = rates_of(streaming(max_epochs=4, lr_schedule=schedule).fit(Stream(), None))
    assert [len(set(epoch)) for epoch in rates.reshape(4, 3)] == [1, 1, 1, 1]
    assert len(set(rates)) == 4

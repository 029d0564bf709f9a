"""Ctrl-C: what has been learnt is kept and usable, and the interrupt goes on to the caller."""

import signal
import sys

import numpy as np
import optuna
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, EpochScoring
from skorch.dataset import ValidSplit
from torch import nn

from skmixup import InterpolationConsistencyClassifier, MixupClassifier
from skmixup.randomness.turns import turns

X, Y = load_wine(return_X_y=True)
X = StandardScaler().fit_transform(X).astype(np.float32)
MODULE = {"module__in_features": 13, "module__out_features": 3}
FAST = {"batch_size": 60, "max_epochs": 5, "lr": 0.1, "random_state": 0}  # three batches an epoch


class Interrupts(nn.Linear):
    """Gets a Ctrl-C in the training step that `calls_left` says, counted over all instances."""

    calls_left = -1
    made = 0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        type(self).made += 1

    def forward(self, x):
        if self.training:
            Interrupts.calls_left -= 1
            if Interrupts.calls_left == 0:
                signal.raise_signal(signal.SIGINT)
        return super().forward(x)


@pytest.fixture(autouse=True)
def counters():
    Interrupts.calls_left, Interrupts.made = -1, 0
    yield
    assert turns._holder is None


def net(**params):
    return MixupClassifier(Interrupts, **MODULE, **FAST | params)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_fails_at_the_end_of_a_training_does_not_lose_it(error):
    class Fails(Callback):
        def on_train_end(self, net, **kwargs):
            raise error

    clf = net(callbacks=[Fails()])
    with pytest.raises(error):
        clf.fit(X, Y)
    assert clf.n_iter_ == 5
    whole = net().fit(X, Y)
    assert np.array_equal(clf.predict_proba(X), whole.predict_proba(X))


@pytest.mark.parametrize("step", [2, 4, 8])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_has_been_learnt_is_kept_and_the_interrupt_goes_on(step, method, global_states):
    before = global_states()
    clf = net(callbacks=[EpochScoring("accuracy", on_train=True, name="acc")])
    Interrupts.calls_left = step
    with pytest.raises(KeyboardInterrupt):
        getattr(clf, method)(X, Y)
    assert global_states() == before
    complete = (step - 1) // 3
    assert clf.n_iter_ == len(clf.loss_curve_) == complete
    fresh = net().initialize().module_.weight
    assert not torch.equal(clf.module_.weight, fresh)
    assert clf.predict_proba(X).shape == (len(X), 3)
    assert [group["lr"] for group in clf.optimizer_.param_groups] == [clf.lr]
    clf.partial_fit(X, Y)  # callbacks find a score in every row
    assert clf.n_iter_ == len(clf.history[:, "acc"]) == complete + 5
    assert clf.score(X, Y) > 0.8


def test_an_interrupt_between_epochs_counts_the_epoch():
    class Stops(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    clf = MixupClassifier(callbacks=[Stops()], **FAST)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, Y)
    assert clf.n_iter_ == len(clf.loss_curve_) == 2


def test_callbacks_hear_the_end_of_an_interrupted_training():
    heard = []

    class Listens(Callback):
        def on_train_end(self, net, X=None, y=None, **kwargs):
            heard.append((len(net.history), len(y)))

    Interrupts.calls_left = 5
    with pytest.raises(KeyboardInterrupt):
        net(callbacks=[Listens()]).fit(X, Y)
    assert heard == [(1, len(Y))]


@pytest.mark.parametrize(
    "run",
    [
        lambda clf: GridSearchCV(clf, {"alpha": [0, 1]}, cv=3).fit(X, Y),
        lambda clf: cross_val_score(clf, X, Y, cv=5),
        lambda clf: cross_val_score(make_pipeline(StandardScaler(), clf), X, Y, cv=5),
        lambda clf: optuna.create_study().optimize(
            lambda trial: (
                clf.set_params(alpha=trial.suggest_float("a", 0, 1)).fit(X, Y).score(X, Y)
            ),
            n_trials=5,
        ),
    ],
    ids=["GridSearchCV", "cross_val_score", "pipeline", "Optuna"],
)
def test_whatever_called_stops_too(run):
    Interrupts.calls_left = 4
    with pytest.raises(KeyboardInterrupt):
        run(net())
    assert Interrupts.made == 1


class Guarded(nn.Linear):
    """Gets a Ctrl-C where `place` says."""

    place = None

    def __init__(self):
        super().__init__(13, 3)
        self.hit("making")

    def hit(self, place):
        if Guarded.place == place:
            signal.raise_signal(signal.SIGINT)

    def adapt_to_data(self, X):
        self.hit("adapting")

    def forward(self, x):
        self.hit("training" if self.training else "checking")
        return super().forward(x)


class InterruptsAtTheStart(Callback):
    def on_train_begin(self, net, **kwargs):
        if Guarded.place == "beginning":
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("place", ["making", "adapting", "checking", "beginning", "training"])
def test_a_refit_interrupted_before_its_first_step_loses_nothing(place, monkeypatch):
    clf = MixupClassifier(Guarded, callbacks=[InterruptsAtTheStart()], **FAST).fit(X, Y)
    expected, history = clf.predict_proba(X), list(clf.history)
    with monkeypatch.context() as patch:
        patch.setattr(Guarded, "place", place)
        with pytest.raises(KeyboardInterrupt):
            clf.fit(X[:, ::-1], 2 - Y)
    assert np.array_equal(clf.predict_proba(X), expected)
    assert list(clf.history) == history
    unfitted = MixupClassifier(Guarded, callbacks=[InterruptsAtTheStart()], **FAST)
    state = dict(unfitted.__dict__)
    with monkeypatch.context() as patch:
        patch.setattr(Guarded, "place", place)
        with pytest.raises(KeyboardInterrupt):
            unfitted.fit(X, Y)
    assert unfitted.__dict__ == state


@pytest.mark.parametrize("place", ["checking", "beginning"])
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_training_goes_on_as_if_a_call_that_never_began_had_not_been(place, method, monkeypatch):
    params = {"callbacks": [InterruptsAtTheStart()], "warm_start": True, **FAST}
    clf, whole = (MixupClassifier(Guarded, **params).fit(X, Y) for _ in range(2))
    with monkeypatch.context() as patch:
        patch.setattr(Guarded, "place", place)
        with pytest.raises(KeyboardInterrupt):
            getattr(clf, method)(X, Y)
    for each in (clf, whole):
        getattr(each, method)(X, Y)
    assert np.array_equal(clf.predict_proba(X), whole.predict_proba(X))


def test_what_is_put_back_is_there_at_any_time_for_other_threads():
    clf, found = net().fit(X, Y), []

    def look(frame, event, arg):
        found.append("module_" in clf.__dict__ and "lr" in clf.__dict__)
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        with pytest.raises(ValueError, match="NaN"):
            clf.partial_fit(np.full_like(X, np.nan), Y)
        with pytest.raises(ValueError, match="unknown"):
            clf.set_params(lr=0.5, unknown=1)
    finally:
        sys.settrace(before)
    assert found
    assert all(found)


def test_an_interrupt_goes_on_where_a_callback_fails_at_the_end(tmp_path):
    best = Checkpoint(dirname=tmp_path, monitor="train_loss_best", load_best=True)
    clf = net().fit(X, Y).set_params(callbacks=[best])
    Interrupts.calls_left = 2  # no epoch is there that could have been saved
    with pytest.raises(KeyboardInterrupt) as interrupt:
        clf.partial_fit(X, Y)
    assert "on_train_end of a callback raised FileNotFoundError" in interrupt.value.__notes__[0]
    assert clf.partial_fit(X, Y).score(X, Y) > 0.9


@pytest.mark.parametrize("step", [2, 5])
def test_held_out_rows_and_early_stopping_go_on_after_an_interrupt(step):
    stopping = EarlyStopping(patience=50, load_best=True)
    clf = net(train_split=ValidSplit(3, stratified=True), callbacks=[stopping])
    Interrupts.calls_left = step
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, Y)
    clf.partial_fit(X, Y)
    assert len(clf.history[:, "valid_loss"]) == clf.n_iter_


def test_early_stopping_ends_a_training_and_nothing_else():
    class Own(EarlyStopping):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    class Hit(Own):
        def on_epoch_end(self, net, **kwargs):
            signal.raise_signal(signal.SIGINT)

    impatient = EarlyStopping(monitor="train_loss", patience=1, threshold=100, sink=str)
    assert net(callbacks=[impatient], max_epochs=20).fit(X, Y).n_iter_ < 20
    assert net(callbacks=[Own()]).fit(X, Y).n_iter_ == 2
    scores = cross_val_score(net(callbacks=[Own()]), X, Y, cv=3)
    assert np.isfinite(scores).all()
    with pytest.raises(KeyboardInterrupt):
        net(callbacks=[Hit()]).fit(X, Y)


def test_unlabelled_rows_have_labels_after_an_interrupt():
    y = np.where(np.arange(len(Y)) % 3 == 0, Y, -1)
    clf = InterpolationConsistencyClassifier(Interrupts, **MODULE, **FAST)
    Interrupts.calls_left = 7
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y)
    assert set(clf.transduction_) <= {0, 1, 2}
    assert clf.predict(X).shape == Y.shape

"""What callbacks and methods of subclasses are shown of every minibatch."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skmixup import MixupClassifier
from skmixup.training.losses import Losses
from tests.training.steps import X, Y, classifier

NAMES = np.array(["ant", "bee", "cow"])[Y]


class Recorder(Callback):
    """Keeps what callbacks are shown of every minibatch."""

    def __init__(self):
        self.batches = []

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        self.batches.append((training, batch, y_pred))


def test_callbacks_see_the_clean_rows_with_the_users_labels():
    net = classifier(MixupClassifier, alpha=1.0, callbacks=[Recorder()], batch_size=7)
    net.fit(X, NAMES, sample_weight=np.ones(24))
    batches = dict(net.callbacks_)["Recorder"].batches
    assert len(batches) == 4
    pairs = {
        (row.tobytes(), str(label))
        for _, (x, y), _ in batches
        for row, label in zip(x.numpy(), y, strict=True)
    }
    assert pairs == {(row.tobytes(), str(label)) for row, label in zip(X, NAMES, strict=True)}


def test_callbacks_see_the_users_labels_when_gradients_are_computed():
    shown = []

    class Gradients(Callback):
        def on_grad_computed(self, net, named_parameters, batch=None, training=False, **kwargs):
            assert all(parameter.grad is not None for _, parameter in named_parameters)
            shown.extend(map(str, batch[1]))

    params = {"callbacks": [Gradients()], "batch_size": 7}
    classifier(MixupClassifier, **params).fit(X, NAMES, sample_weight=np.ones(24))
    assert sorted(shown) == sorted(NAMES)


@pytest.mark.parametrize("callbacks", [None, "disable"])
def test_methods_of_a_subclass_are_told_of_every_batch(callbacks):
    told = []

    class Net(MixupClassifier):
        def on_batch_begin(self, net, batch=None, training=False, **kwargs):
            super().on_batch_begin(net, batch=batch, training=training, **kwargs)
            told.append(("begin", len(batch[1])))

        def on_grad_computed(self, net, named_parameters, batch=None, **kwargs):
            told.append(("gradient", len(batch[1])))

        def on_batch_end(self, net, batch=None, training=False, **kwargs):
            assert set(map(str, batch[1])) <= {"ant", "bee", "cow"}
            told.append(("end", len(batch[1])))

    net = classifier(Net, batch_size=16, callbacks=callbacks).fit(X, NAMES)
    events = ("begin", "gradient", "end")
    assert told == [(event, n) for n in (16, 8) for event in events]
    assert [row["train_batch_size"] for row in net.history[-1, "batches"]] == [16, 8]


def test_every_batch_has_a_row_in_the_history_whoever_listens():
    for callbacks in (None, "disable", [Recorder()]):
        net = classifier(MixupClassifier, batch_size=7, max_epochs=2, callbacks=callbacks)
        net.fit(X, Y)
        for epoch in range(2):
            rows = net.history[epoch, "batches"]
            assert [row["train_batch_size"] for row in rows] == [7, 7, 7, 3]
            assert all(set(row) == {"train_loss", "train_batch_size"} for row in rows)
            assert net.history[epoch, "train_batch_count"] == 4


@pytest.mark.parametrize("split", [None, 0.5])
def test_losses_are_fetched_once_an_epoch_unless_somebody_looks(monkeypatch, split):
    params = {"batch_size": 2, "max_epochs": 2, "train_split": split}
    item, fetched = torch.Tensor.item, []
    monkeypatch.setattr(torch.Tensor, "item", lambda x: fetched.append(item(x)) or fetched[-1])
    quiet = classifier(MixupClassifier, **params).fit(X, Y)
    assert len(fetched) <= 2  # a score of an epoch
    looking = classifier(MixupClassifier, callbacks=[Recorder()], **params).fit(X, Y)
    assert len(fetched) >= 12
    for ours, theirs in zip(quiet.history, looking.history, strict=True):
        assert [dict(row) for row in ours["batches"]] == theirs["batches"]
        assert ours["train_loss"] == theirs["train_loss"]
        assert all(type(row["train_loss"]) is float for row in ours["batches"][:6])


@pytest.mark.parametrize("n_batches", [0, 1, 63, 64, 65, 200])
def test_losses_of_many_minibatches_are_written_in_their_order(n_batches):
    losses, rows = Losses("loss", at_once=False), [{} for _ in range(n_batches)]
    for number, row in enumerate(rows):
        losses.note(row, torch.tensor([float(number)]))
    losses.fetch()
    losses.fetch()  # as after an error; nothing is left
    assert rows == [{"loss": float(number)} for number in range(n_batches)]

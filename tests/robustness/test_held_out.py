"""Facts about the error recorded after every epoch."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skmixup import MixupRegressor
from skmixup.robustness import HeldOutError, corrupt_labels


def mlp():
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))


def test_records_the_error_of_every_epoch_and_marks_the_best(plain_net, blobs):
    X, y = blobs
    seen = []

    class Predictions(HeldOutError):
        def on_epoch_end(self, net, **kwargs):
            super().on_epoch_end(net, **kwargs)
            seen.append(np.mean(net.predict(self.X) != self.y))

    callback = Predictions(X[200:], y[200:])
    net = plain_net(mlp, callbacks=[callback], max_epochs=6).fit(X[:200], y[:200])
    errors = net.history[:, "held_out_error"]
    assert errors == seen
    assert len(errors) == 6
    best = net.history[:, "held_out_error_best"]
    assert best == [e < min([np.inf, *errors[:i]]) for i, e in enumerate(errors)]
    net.partial_fit(X[:200], y[:200])
    assert len(net.history[:, "held_out_error"]) == 12
    assert net.history[6, "held_out_error_best"] == (
        net.history[6, "held_out_error"] < min(errors)
    )


def test_memorising_noise_shows_as_a_last_epoch_worse_than_the_best(plain_net):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)
    noisy = corrupt_labels(y[:100], 0.3, random_state=0)

    def wide():
        return nn.Sequential(nn.Linear(5, 256), nn.ReLU(), nn.Linear(256, 2))

    callback = HeldOutError(X[100:], y[100:])
    net = plain_net(wide, callbacks=[callback], max_epochs=80, optimizer=torch.optim.Adam, lr=0.01)
    errors = net.fit(X[:100], noisy).history[:, "held_out_error"]
    assert errors[-1] > min(errors) + 0.1


def test_training_is_the_same_with_and_without(plain_net, blobs):
    X, y = blobs
    nets = []
    for callbacks in (None, [HeldOutError(X[:50], y[:50])]):
        nets.append(plain_net(mlp, callbacks=callbacks, max_epochs=3).fit(X, y))
    for a, b in zip(*(net.module_.parameters() for net in nets), strict=True):
        assert torch.equal(a, b)


def test_own_name_clone_pickle_and_print(plain_net, blobs, capsys):
    X, y = blobs
    callbacks = [("clean", HeldOutError(X[:50], y[:50], name="clean_error"))]
    net = clone(plain_net(mlp, callbacks=callbacks, max_epochs=1, verbose=1)).fit(X, y)
    assert "clean_error" in capsys.readouterr().out
    assert pickle.loads(pickle.dumps(net)).history[-1, "clean_error"] >= 0


def test_wrong_length_is_an_error_before_training(plain_net, blobs):
    X, y = blobs
    net = plain_net(mlp, callbacks=[HeldOutError(X[:50], y[:49])])
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[50, 49\]"):
        net.fit(X, y)


def test_a_regressor_has_no_wrong_labels(blobs):
    X, y = blobs
    net = MixupRegressor(max_epochs=2, callbacks=[HeldOutError(X[:50], y[:50])])
    with pytest.raises(TypeError, match="HeldOutError counts wrong labels, and MixupRegressor"):
        net.fit(X, y)
    assert not net.__sklearn_is_fitted__()

"""What is checked, and who is told what, before the first step."""

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import Callback, InputShapeSetter
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import IterableDataset, TensorDataset

from skmixup import InterpolationConsistencyClassifier, ManifoldMixupClassifier, MixupClassifier

RNG = np.random.default_rng(0)
CODES = np.arange(30) % 3
X = RNG.normal(size=(30, 5)) + 4 * np.eye(3, 5)[CODES]
FAST = {"max_epochs": 2, "random_state": 0}


class Sized(nn.Module):
    """Has to be told how many columns there are."""

    def __init__(self, input_dim=1):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(input_dim, 8), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.hidden(x))


ESTIMATORS = [MixupClassifier, ManifoldMixupClassifier, InterpolationConsistencyClassifier]


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame, torch.tensor])
def test_a_callback_may_size_the_module_by_x(estimator, kind):
    net = estimator(Sized, callbacks=[InputShapeSetter()], **FAST).fit(kind(X), CODES)
    assert net.module_.hidden[0].in_features == 5
    told = estimator(Sized, module__input_dim=5, **FAST).fit(kind(X), CODES)
    assert net.predict_proba(X).shape == told.predict_proba(X).shape
    again = estimator(Sized, callbacks=[InputShapeSetter()], **FAST).fit(kind(X), CODES)
    assert np.array_equal(net.predict_proba(X), again.predict_proba(X))
    net.fit(kind(X[:, :2]), CODES)
    assert net.module_.hidden[0].in_features == 2
    net.partial_fit(kind(X[:, :2]), CODES)
    assert net.n_iter_ == 4


def test_a_module_sized_by_a_callback_learns_as_one_that_was_told():
    params = FAST | {"max_epochs": 60, "lr": 0.02}
    net = MixupClassifier(Sized, callbacks=[InputShapeSetter()], **params).fit(X, CODES)
    assert net.score(X, CODES) > 0.9


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_callbacks_are_shown_x_and_y(estimator):
    seen = {}

    class Look(Callback):
        def on_train_begin(self, net, X=None, y=None, **kwargs):
            seen["begin"] = X, y

        def on_train_end(self, net, X=None, y=None, **kwargs):
            seen["end"] = X, y

    names = np.array(["a", "b", "c"])[CODES]
    estimator(callbacks=[Look()], **FAST).fit(X.tolist(), names)
    for rows, labels in seen.values():
        assert rows.shape == (30, 5)
        np.testing.assert_allclose(rows, X, rtol=1e-6)
        assert labels.tolist() == names.tolist()


def test_a_callback_that_makes_a_module_that_does_not_fit_costs_a_fitted_estimator_nothing():
    net = MixupClassifier(Sized, module__input_dim=5, **FAST).fit(X, CODES)
    expected = net.predict_proba(X)

    class Wrong(Callback):
        def on_train_begin(self, net, X=None, y=None, **kwargs):
            net.set_params(module__input_dim=9)

    net.set_params(callbacks=[Wrong()])
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        net.fit(X, CODES)
    assert np.array_equal(net.set_params(callbacks=None).predict_proba(X), expected)


# ---- no batch at all


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("rows", [30, 7])
def test_dropping_the_only_batch_is_an_error_that_costs_nothing(estimator, rows):
    net = estimator(**FAST).fit(X, CODES)
    expected = net.predict_proba(X)
    net.set_params(iterator_train__drop_last=True, batch_size=64)
    with pytest.raises(
        ValueError, match=rf"drop_last=True leaves no batch .*{rows} rows .*=64; l"
    ):
        net.fit(X[:rows], CODES[:rows])
    assert np.array_equal(net.predict_proba(X), expected)
    assert net.n_iter_ == 2


def test_dropping_the_only_batch_of_the_rows_that_are_not_held_out():
    net = MixupClassifier(
        train_split=ValidSplit(3), iterator_train__drop_last=True, batch_size=25, **FAST
    )
    with pytest.raises(ValueError, match="20 rows do not fill one of batch_size=25"):
        net.fit(X, CODES)
    assert net.set_params(train_split=None).fit(X, CODES).n_iter_ == 2


def test_dropping_the_only_batch_of_a_data_set():
    data = TensorDataset(torch.tensor(X), torch.tensor(CODES))
    net = MixupClassifier(iterator_train__drop_last=True, batch_size=31, **FAST)
    with pytest.raises(ValueError, match="30 rows do not fill one of batch_size=31"):
        net.fit(data, None)
    assert net.set_params(batch_size=30).fit(data, None).n_iter_ == 2


def test_a_batch_larger_than_the_data_is_the_data():
    net = MixupClassifier(batch_size=1000, **FAST).fit(X, CODES)
    assert net.history[-1, "batches", :, "train_batch_size"] == [30]


def test_rows_that_prediction_would_drop_are_missed():
    net = MixupClassifier(**FAST).fit(X, CODES)
    net.set_params(iterator_valid__drop_last=True, iterator_valid__batch_size=7)
    with pytest.raises(ValueError, match=r"only 28 of 30 rows were predicted: .*drop_last"):
        net.predict(X)


class Once(IterableDataset):
    """A stream that does not start again."""

    def __init__(self, n):
        self.rows = iter([(torch.zeros(5), 0), (torch.ones(5), 1)] * n)

    def __iter__(self):
        return self.rows


@pytest.mark.parametrize(("n", "epoch"), [(0, 1), (5, 2)])
def test_a_stream_that_has_run_dry_is_an_error(n, epoch):
    net = MixupClassifier(nn.Linear(5, 2), classes=[0, 1], max_epochs=3)
    with pytest.raises(
        ValueError, match=rf"epoch {epoch} has no batch .*start again in each epoch"
    ):
        net.fit(Once(n), None)

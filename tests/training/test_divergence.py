"""Training that diverges ends with an error that says so, and is not scored."""

import copy
import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupRegressor,
    VicinalClassifier,
)
from skmixup.training import undoing

RNG = np.random.default_rng(0)
Y = np.arange(48) % 3
X = (RNG.normal(size=(48, 4)) + 2 * np.eye(3, 4)[Y]).astype(np.float32)
PARAMS = {"max_epochs": 3, "batch_size": 16, "random_state": 0, "lr_schedule": None}
WILD_ROWS = np.where(np.arange(48)[:, None] == 40, np.float32(3e38), X)
WILD = {"optimizer": torch.optim.SGD, "lr": 1e30}


@pytest.mark.parametrize(
    "estimator",
    [
        VicinalClassifier, MixupClassifier, ManifoldMixupClassifier,
        InterpolationConsistencyClassifier,
    ],
)  # fmt: skip
def test_a_loss_that_is_not_finite_ends_training(estimator):
    net = estimator(**PARAMS, **WILD)
    with pytest.raises(
        ValueError, match=r"diverged in epoch 1: the loss .* is (nan|inf).*lr=1e\+30"
    ):
        net.fit(X, Y)
    with pytest.raises(NotFittedError):
        net.predict(X)


def test_nan_in_a_data_set_is_named_as_a_cause():
    rows = torch.tensor(X).clone()
    rows[3, 1] = torch.nan
    with pytest.raises(ValueError, match=r"diverged in epoch 1: .*NaN in a data set of yours"):
        VicinalClassifier(nn.Linear(4, 3), **PARAMS).fit(
            TensorDataset(rows, torch.tensor(Y)), None
        )


def test_weights_that_the_last_step_broke_are_found():
    params = PARAMS | {"max_epochs": 1, "batch_size": -1}
    net = VicinalClassifier(nn.Linear(4, 3), optimizer=torch.optim.SGD, lr=1e38, **params)
    with pytest.raises(ValueError, match="diverged in epoch 1: the parameter weight is no longer"):
        net.fit(100 * X, Y)


@pytest.mark.parametrize("bare", [False, True])
def test_statistics_that_a_wild_row_broke_are_found(bare):
    net = VicinalClassifier(Fragile, **PARAMS)
    name = r"norm\.running_var"
    if bare:
        net.set_params(module=nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3)))
        name = r"0\.running_var"
    with pytest.raises(
        ValueError, match=rf"diverged in epoch 3: the statistic {name} is no longer"
    ):
        net.fit(WILD_ROWS, Y)


def test_an_epoch_is_named_in_which_it_happens():
    class Breaks(nn.Linear):
        calls = 0

        def forward(self, x):
            self.calls += self.training
            return super().forward(x) * (torch.nan if self.calls > 5 else 1)

    with pytest.raises(ValueError, match="in epoch 2: the loss of minibatch 3 of 3 is nan"):
        MixupClassifier(Breaks(4, 3), **PARAMS).fit(X, Y)


def test_what_was_fitted_before_stays():
    net = VicinalClassifier(**PARAMS).fit(X, Y)
    expected = net.predict_proba(X)
    with pytest.raises(ValueError, match="diverged"):
        net.set_params(**WILD).fit(X, Y)
    assert np.array_equal(net.predict_proba(X), expected)


class Fragile(nn.Module):
    """Has weights and statistics that one wild row makes infinite."""

    def __init__(self, n_outputs=3):
        super().__init__()
        self.first, self.norm = nn.Linear(4, 8), nn.BatchNorm1d(8)
        self.last = nn.Linear(8, n_outputs)

    def forward(self, x):
        return self.last(F.dropout(self.norm(self.first(x)).relu(), 0.1, self.training))


def parameters_of(net):
    return [value.clone() for value in net.module_.state_dict().values()]


GOING_ON = {
    "AdamW": lambda: MixupClassifier(Fragile, **PARAMS),
    "default": lambda: ManifoldMixupClassifier(**PARAMS | {"lr_schedule": "cosine"}),
    "momentum": lambda: MixupClassifier(
        Fragile, optimizer=torch.optim.SGD, optimizer__momentum=0.9, **PARAMS
    ),
    "LBFGS": lambda: VicinalClassifier(nn.Linear(4, 3), optimizer=torch.optim.LBFGS, **PARAMS),
    "average": lambda: MixupClassifier(Fragile, ema_decay=0.9, **PARAMS),
    "teacher": lambda: InterpolationConsistencyClassifier(Fragile, **PARAMS),
    "numbers": lambda: MixupRegressor(Fragile(1), **PARAMS),
}


class Breaks(Callback):
    """Makes the network infinite in the second epoch, if it is told so."""

    told = False

    def on_batch_end(self, net, training=False, **kwargs):
        if self.told and len(net.history) % 3 == 2:
            with torch.no_grad():
                for parameter in net.module_.parameters():
                    parameter.mul_(torch.inf)


@pytest.mark.filterwarnings("ignore:Floats from 0 to")
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
@pytest.mark.parametrize("kind", GOING_ON)
def test_a_network_that_diverges_while_it_goes_on_is_as_it_was(kind, method):
    breaks = Breaks()
    net = GOING_ON[kind]().set_params(callbacks=[("breaks", breaks)], warm_start=method == "fit")
    net.fit(X, Y)
    before, epochs = parameters_of(net), list(net.history)
    expected = net.predict(X)
    twin = copy.deepcopy(net)
    vars(dict(net.callbacks_)["breaks"])["told"] = True
    with pytest.raises(ValueError, match="training diverged in epoch 5") as error:
        getattr(net, method)(X, Y)
    assert "as they were before this call" in "".join(error.value.__notes__)
    assert all(map(torch.equal, parameters_of(net), before))
    assert np.array_equal(net.predict(X), expected)
    assert list(net.history) == epochs
    vars(dict(net.callbacks_)["breaks"])["told"] = False
    again, other = getattr(net, method)(X, Y), getattr(twin, method)(X, Y)
    assert all(map(torch.equal, parameters_of(again), parameters_of(other)))
    assert again.loss_curve_ == other.loss_curve_


def test_a_part_that_makes_a_network_diverge_can_be_left_out():
    net = VicinalClassifier(Fragile, **PARAMS).fit(X, Y)
    expected = net.predict_proba(X)
    with pytest.raises(ValueError, match="diverged"):
        net.partial_fit(WILD_ROWS, Y)
    assert np.array_equal(net.predict_proba(X), expected)
    assert net.partial_fit(X, Y).n_iter_ == 6


def test_a_network_too_large_to_be_copied_is_said_to_be_lost(monkeypatch):
    monkeypatch.setattr(undoing, "MOST_NUMBERS", 50)
    net = VicinalClassifier(Fragile, **PARAMS).fit(X, Y)
    with pytest.raises(ValueError, match="diverged") as error:
        net.partial_fit(WILD_ROWS, Y)
    assert "can no longer be used" in "".join(error.value.__notes__)


def test_a_network_whose_weights_are_no_numbers_is_not_scored():
    net = VicinalClassifier(**PARAMS).fit(X, Y)
    with torch.no_grad():
        next(net.module_.parameters()).fill_(torch.nan)
    for method in (net.predict, net.predict_proba, net.decision_function):
        with pytest.raises(
            ValueError, match=r"returns nan for 48 of 48 rows: training has diverged"
        ):
            method(X)


def test_a_search_goes_on():
    search = GridSearchCV(
        VicinalClassifier(optimizer=torch.optim.SGD, **PARAMS), {"lr": [1e30, 0.1]}, cv=2
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(X, Y)
    assert any("training diverged in epoch 1" in str(w.message) for w in caught)
    assert np.isnan(search.cv_results_["mean_test_score"][0])
    assert search.best_params_ == {"lr": 0.1}

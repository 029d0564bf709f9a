"""Training that diverges ends with an error that says so, and is not scored."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from torch import nn

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    VicinalClassifier,
)

RNG = np.random.default_rng(0)
Y = np.arange(48) % 3
X = (RNG.normal(size=(48, 4)) + 2 * np.eye(3, 4)[Y]).astype(np.float32)
PARAMS = {"max_epochs": 3, "batch_size": 16, "random_state": 0, "lr_schedule": None}
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


def test_weights_that_the_last_step_broke_are_found():
    params = PARAMS | {"max_epochs": 1, "batch_size": -1}
    net = VicinalClassifier(nn.Linear(4, 3), optimizer=torch.optim.SGD, lr=1e39, **params)
    with pytest.raises(ValueError, match="diverged in epoch 1: the parameter weight is no longer"):
        net.fit(X, Y)


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


def test_a_network_that_diverged_while_it_went_on_is_not_scored():
    net = VicinalClassifier(**PARAMS).fit(X, Y)
    net.set_params(lr=1e38, optimizer=torch.optim.SGD)
    with pytest.raises(ValueError, match="diverged"):
        net.partial_fit(X, Y)
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

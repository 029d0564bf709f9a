"""Facts about parameters: what is one, and what changing it does to a fitted estimator."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback
from skorch.exceptions import SkorchAttributeError
from torch import nn
from torch.utils.data import DataLoader

from skmixup import InterpolationConsistencyClassifier, MixupClassifier, VicinalClassifier
from skmixup.networks import MLP
from skmixup.vicinal import Gaussian

RNG = np.random.default_rng(0)
Y = np.arange(90) % 3
X = (1000 * (RNG.normal(size=(90, 4)) + 3 * np.eye(3, 4)[Y]) + 1e4).astype(np.float32)  # unscaled
FAST = {"module__hidden_sizes": (8,), "max_epochs": 8, "lr": 0.02, "random_state": 0}


def fitted(estimator=MixupClassifier, **params):
    return estimator(**FAST | params).fit(X, Y)


# ---- a module that is made anew

CHANGES = [
    {"module__dropout": 0.3},
    {"module__hidden_sizes": (16,)},
    {"module__n_members": 1, "lr": 0.02},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
@pytest.mark.parametrize("estimator", [VicinalClassifier, InterpolationConsistencyClassifier])
def test_a_new_module_is_not_fitted_and_sees_the_data_before_it_is_trained(estimator, change):
    clf = fitted(estimator)
    old = clf.module_
    clf.set_params(**change)
    assert clf.module_ is not old
    message = rf"has a new module since set_params\(.*{next(iter(change))}.*not trained"
    for predict in (clf.predict, clf.predict_proba, clf.decision_function):
        with pytest.raises(NotFittedError, match=message):
            predict(X)
    assert clf.partial_fit(X, Y).score(X, Y) > 0.8  # 0.33 without
    assert clf.n_iter_ == 8
    assert clf.set_params(**change, warm_start=True).fit(X, Y).score(X, Y) > 0.8


def test_what_is_set_to_what_it_is_changes_nothing():
    clf = fitted()
    module, expected = clf.module_, clf.predict_proba(X)
    clf.set_params(**clf.get_params(deep=False))
    clf.set_params(module=None, compile=False, module__hidden_sizes=(8,))
    assert clf.module_ is module
    assert np.array_equal(clf.predict_proba(X), expected)
    other = fitted(module__hidden_sizes=(8,)).set_params(module=MLP, module__n_outputs=3,
        module__n_features=4)  # fmt: skip
    with pytest.raises(NotFittedError):
        other.predict(X)
    assert other.partial_fit(X, Y).score(X, Y) > 0.8


def test_a_new_module_is_what_a_fresh_one_is():
    change = {"module__hidden_sizes": (16,), "module__dropout": 0.0}
    clf = fitted().set_params(**change).partial_fit(X, Y)
    assert torch.equal(clf.module_.scaling.center, fitted(**FAST | change).module_.scaling.center)


def test_the_student_is_made_anew_with_its_teacher():
    clf = fitted(InterpolationConsistencyClassifier).set_params(module__hidden_sizes=(16,))
    y = np.where(np.arange(90) < 45, Y, -1)
    clf.partial_fit(X, y)
    assert clf.student_.blocks[0][0].out_features == 16
    assert torch.equal(clf.student_.scaling.center, clf.module_.scaling.center)
    assert clf.score(X, Y) > 0.9


def test_an_initialized_net_sees_the_data_before_it_is_trained():
    sizes = {"module__n_features": 4, "module__n_outputs": 3}
    clf = MixupClassifier(MLP, **sizes, **FAST).initialize()
    assert clf.partial_fit(X, Y).score(X, Y) > 0.9
    assert clf.n_features_in_ == 4
    clf = MixupClassifier(MLP, warm_start=True, **sizes, **FAST).initialize()
    assert clf.fit(X, Y).score(X, Y) > 0.9


def test_a_module_made_anew_when_training_begins_sees_the_data():
    class Widen(Callback):
        def on_train_begin(self, net, X=None, y=None, **kwargs):
            if net.module_.blocks[0][0].out_features != 16:
                net.set_params(module__hidden_sizes=(16,))

    clf = fitted(callbacks=[Widen()])
    assert clf.score(X, Y) > 0.9
    assert clf.module_.blocks[0][0].out_features == 16


def test_a_new_module_draws_from_the_nets_own_randomness():
    before = torch.get_rng_state()
    weights = [fitted().set_params(module__dropout=0.2).module_.head.weight for seed in (1, 2)]
    assert torch.equal(*weights)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    "change",
    [
        {"module__hidden_sizes": (-1,)},
        {"module__unknown": 1},
        {"module": nn.Linear(4, 3)},  # module__hidden_sizes is not for it
        {"optimizer__unknown": 1},
        {"unknown": 1},
        {"lr": 0.5, "criterion__unknown": 1},
    ],
    ids=str,
)
def test_an_error_leaves_everything_as_it_was(change):
    clf = fitted()
    expected, params = clf.predict_proba(X), clf.get_params(deep=False)
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        clf.set_params(**change)
    assert np.array_equal(clf.predict_proba(X), expected)
    assert clf.get_params(deep=False) == params
    assert clf.partial_fit(X, Y).n_iter_ == 16


class Watch(Callback):
    def __init__(self, limit=1):
        self.limit = limit


@pytest.mark.parametrize("wrong", ["unknown", "criterion__unknown", "vicinity__unknown"])
@pytest.mark.parametrize(
    "change",
    [
        {"lr": 0.5},
        {"optimizer__weight_decay": 0.5},
        {"optimizer__param_groups__0__lr": 0.5},
        {"vicinity__sigma": 5.0},
        {"callbacks__watch__limit": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_error_leaves_what_is_changed_in_place_as_it_was(change, wrong):
    clf = fitted(
        VicinalClassifier,
        vicinity=Gaussian(0.1),
        callbacks=[("watch", Watch())],
        optimizer__param_groups=[("head.*", {"lr": 0.1})],
        max_epochs=2,
    )
    same = pickle.loads(pickle.dumps(clf))
    params = clf.get_params(deep=False)
    with pytest.raises((TypeError, ValueError)):
        clf.set_params(**change, **{wrong: 1})
    assert clf.get_params(deep=False) == params
    assert (dict(clf.callbacks_)["watch"].limit, clf.vicinity.sigma) == (1, 0.1)
    predictions = [each.partial_fit(X, Y).predict_proba(X) for each in (clf, same)]
    assert np.array_equal(*predictions)


@pytest.mark.parametrize("rates", [{"lr": 0.02, "optimizer__lr": 0.5}, {"optimizer__lr": 0.5}])
def test_a_rate_of_the_optimizers_own_comes_before_lr_as_in_a_new_fit(rates):
    clf = fitted(optimizer__lr=0.1, max_epochs=2).set_params(**rates)
    assert clf.optimizer_.param_groups[0]["lr"] == 0.5
    params = clf.get_params(deep=False)
    del params["optimizer"]  # that would be made anew
    assert clf.set_params(**params).optimizer_.param_groups[0]["lr"] == 0.5
    assert clf.partial_fit(X, Y).fit(X, Y).optimizer_.param_groups[0]["lr"] == 0.5


# ---- the other parts


def test_a_new_criterion_leaves_the_weights_alone():
    clf = fitted()
    expected = clf.predict_proba(X)
    clf.set_params(criterion__label_smoothing=0.2)
    assert clf.criterion_.label_smoothing == 0.2
    assert np.array_equal(clf.predict_proba(X), expected)
    assert clf.partial_fit(X, Y).score(X, Y) > 0.9
    assert clf.n_iter_ == 16


@pytest.mark.parametrize(
    ("change", "group"),
    [
        ({"optimizer": torch.optim.SGD}, {"lr": 0.02, "dampening": 0}),
        ({"optimizer__weight_decay": 0.5}, {"weight_decay": 0.5}),
        ({"optimizer__lr": 0.5}, {"lr": 0.5}),
        ({"lr": 0.5}, {"lr": 0.5}),
        ({"optimizer__param_groups": [("*", {"lr": 0.5})]}, {"lr": 0.5}),
        ({"optimizer": torch.optim.SGD, "optimizer__momentum": 0.5}, {"momentum": 0.5}),
    ],
    ids=str,
)
def test_what_is_set_of_the_optimizer_is_there_at_once_and_after_the_next_fit(change, group):
    clf = fitted()
    expected = clf.predict_proba(X)
    clf.set_params(**change)
    assert {k: clf.get_params()[k] for k in change} == change
    assert np.array_equal(clf.predict_proba(X), expected)
    for step in (lambda: None, lambda: clf.partial_fit(X, Y), lambda: clf.fit(X, Y)):
        step()
        assert group.items() <= clf.optimizer_.param_groups[0].items()
    assert {k: clone(clf).get_params()[k] for k in change} == change


def test_an_option_of_one_group():
    clf = fitted(optimizer__param_groups=[("head.*", {"lr": 0.5})])
    clf.set_params(optimizer__param_groups__0__lr=0.1)
    assert clf.optimizer_.param_groups[0]["lr"] == 0.1
    assert clf.fit(X, Y).optimizer_.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize(
    "change",
    [
        {"iterator_train__batch_size": 45},
        {"iterator_train": DataLoader, "batch_size": 45},
        {"iterator_train__drop_last": True, "iterator_train__batch_size": 45},
    ],
    ids=str,
)
def test_the_iterator_of_a_fitted_net(change):
    clf = fitted().set_params(**change)
    assert clf.score(X, Y) > 0.9
    assert clf.partial_fit(X, Y).history[-1, "batches", :, "train_batch_size"] == [45, 45]


# ---- what is a parameter


class Notes(Callback):
    """Leaves things on the net, as users' callbacks do."""

    def on_train_begin(self, net, **kwargs):
        net.note = "begun"

    def on_epoch_end(self, net, **kwargs):
        net.best_score = min(net.history[:, "train_loss"])
        net.module_info = {"epoch": len(net.history)}
        net.average_ = nn.Linear(2, 2)
        net.average = net.average_
        net.center_ = torch.ones(2)


def test_what_is_put_on_a_net_is_no_parameter_and_is_not_lost():
    clf = MixupClassifier(callbacks=[Notes()], **FAST)
    clf.owner = "me"
    params = clf.get_params(deep=False)
    assert "owner" not in params
    clf.fit(X, Y)
    assert clf.get_params(deep=False).keys() == params.keys()
    assert repr(clf).count("\n") == repr(clone(clf)).count("\n")
    assert clone(clf).fit(X, Y).note == "begun"
    assert not hasattr(clone(clf), "owner")
    for copy in (clf, pickle.loads(pickle.dumps(clf))):
        assert (copy.owner, copy.note, copy.module_info) == ("me", "begun", {"epoch": 8})
        assert isinstance(copy.average, nn.Linear)
        assert copy.average is copy.average_
        assert torch.equal(copy.center_, torch.ones(2))
        assert copy.partial_fit(X, Y).fit(X, Y).owner == "me"
        copy.set_params(alpha=0.1)


def test_an_unknown_argument_of_the_constructor_is_still_named():
    clf = MixupClassifier(aplha=0.1, module_dropout=0.1, **FAST)
    for copy in (clf, clone(clf)):
        with pytest.raises(ValueError, match=r"unexpected argument.*aplha") as error:
            copy.fit(X, Y)
        assert "did you mean module__dropout" in str(error.value)


def test_an_optimizer_that_nobody_steps_is_refused_as_in_skorch():
    clf = fitted()
    with pytest.raises(SkorchAttributeError, match="initialize_optimizer"):
        clf.another = torch.optim.SGD(clf.module_.parameters(), lr=0.1)


def test_repr_is_that_of_scikit_learn():
    assert repr(MixupClassifier()) == "MixupClassifier()"
    clf = VicinalClassifier(
        vicinity=Gaussian(0.5), max_epochs=3, module__dropout=0.2, random_state=0
    )
    shown = (
        "VicinalClassifier(max_epochs=3, module__dropout=0.2, random_state=0, "
        "vicinity=Gaussian(sigma=0.5))"
    )
    assert " ".join(repr(clf).split()) == shown
    assert " ".join(repr(clf.fit(X, Y)).split()) == shown
    assert repr(clf.set_params(callbacks__print_log=None)).startswith("VicinalClassifier(")
    for estimator in (clf, clone(clf)):
        assert "module__dropout" in estimator._repr_html_()


# ---- the state a fit leaves


def test_the_module_is_left_in_evaluation_mode():
    clf = fitted()
    assert not any(part.training for part in clf.module_.modules())
    clf.predict(X)
    clf.module_.train()
    clf.partial_fit(X, Y)
    assert not any(part.training for part in clf.module_.modules())
    clf = fitted(InterpolationConsistencyClassifier)
    assert not any(m.training for net in (clf.module_, clf.student_) for m in net.modules())

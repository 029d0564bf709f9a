"""Facts about rows held out, and about callbacks that watch what is scored on them."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, cross_validate
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, EpochScoring, LRScheduler
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch.utils.data import Subset, TensorDataset

from skmixup import (
    InterpolationConsistencyClassifier,
    MixupClassifier,
    MixupRegressor,
    VicinalClassifier,
    VicinalRegressor,
)

RNG = np.random.default_rng(0)
CODES = np.arange(60) % 3
X = RNG.normal(size=(60, 4)) + 3 * np.eye(3, 4)[CODES]
Y = np.array(["ant", "bee", "cow"])[CODES]
FAST = {"module__hidden_sizes": (4,), "max_epochs": 2, "random_state": 0}


class Parts(Callback):
    """Keeps what is trained on and what is held out."""

    def on_train_begin(self, net, **kwargs):
        self.seen_ = []

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        rows = [np.asarray(part.indices) for part in (dataset_train, dataset_valid)]
        self.seen_.append(rows)


def parts(net):
    return dict(net.callbacks_)["Parts"].seen_[0]


def splitting(train_split, estimator=MixupClassifier, **params):
    return estimator(**{"train_split": train_split, "callbacks": [Parts()], **FAST, **params})


# ---- numbers


@pytest.mark.parametrize(("train_split", "n_valid"), [(0.2, 12), (0.5, 30)])
@pytest.mark.parametrize("y", [Y, CODES, CODES + 7], ids=["strings", "codes", "integers"])
def test_a_fraction_holds_out_as_much_of_every_class(train_split, n_valid, y):
    net = splitting(train_split).fit(X, y)
    train, valid = parts(net)
    assert sorted([*train, *valid]) == list(range(60))
    assert np.bincount(CODES[valid]).tolist() == [n_valid // 3] * 3
    assert net.train_split == train_split == clone(net).train_split
    assert "valid_loss" in net.history[-1]


def test_a_fraction_holds_out_the_same_rows_in_every_call(global_states):
    before = global_states()
    net = splitting(0.2).fit(X, Y)
    first = parts(net)[1]
    assert np.array_equal(parts(net.partial_fit(X, Y))[1], first)
    assert np.array_equal(parts(splitting(0.2).fit(X, Y))[1], first)
    assert not np.array_equal(parts(splitting(0.2, random_state=1).fit(X, Y))[1], first)
    assert global_states() == before


def test_a_fraction_of_the_rows_of_a_data_set():
    data = TensorDataset(torch.from_numpy(X).float(), torch.from_numpy(CODES))
    _, valid = parts(splitting(0.2).fit(data, None))
    assert np.bincount(CODES[valid]).tolist() == [4, 4, 4]


def test_interpolation_consistency_holds_out_labelled_and_unlabelled_rows_alike():
    y = np.where(np.arange(60) < 30, CODES, -1)
    net = InterpolationConsistencyClassifier(train_split=0.2, **FAST).fit(X, y)
    assert sum(net.history[-1, "batches", :, "train_batch_size"]) > 0
    assert net.history[-1, "valid_batch_count"] == 1
    mixed = np.array(["ant", "bee", "cow", -1], dtype=object)[np.where(y < 0, 3, CODES)]
    assert (
        "valid_loss"
        in InterpolationConsistencyClassifier(train_split=0.2, **FAST).fit(X, mixed).history[-1]
    )


@pytest.mark.parametrize("train_split", [0.0, 1.0, 1.5, -0.2, 5, 1, 0, True, "0.2"])
def test_other_numbers_are_no_split(train_split):
    with pytest.raises(ValueError, match="train_split"):
        splitting(train_split).fit(X, Y)


def test_a_class_too_small_to_split_is_an_error_that_names_the_parameter():
    y = np.r_[np.zeros(59, int), 1]
    with pytest.raises(ValueError, match=r"train_split=0.2 is not possible: .*class"):
        splitting(0.2).fit(X, y)


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(zip(torch.from_numpy(X).float(), torch.from_numpy(CODES), strict=True))


def test_no_fraction_of_a_stream_but_a_data_set_beside_it_is_held_out():
    module = {"module": torch.nn.Linear, "module__in_features": 4, "module__out_features": 3}
    net = MixupClassifier(**module, train_split=0.2, classes=[0, 1, 2], max_epochs=2)
    with pytest.raises(ValueError, match=r"train_split=0.2 needs .* a Stream does not say"):
        net.fit(Stream(), None)
    beside = predefined_split(TensorDataset(torch.from_numpy(X), torch.from_numpy(CODES)))
    net.set_params(train_split=beside).fit(Stream(), None)
    assert net.history[-1, "valid_loss"] == pytest.approx(
        log_loss(CODES, net.predict_proba(X)), abs=1e-5
    )


@pytest.mark.parametrize("name", ["y", "targets", "labels"])
@pytest.mark.parametrize("base", [Stream, type("Sized", (Stream,), {"__len__": lambda self: 60})])
def test_what_a_stream_lists_is_in_no_known_order(name, base):
    stream = base()
    setattr(stream, name, CODES)
    net = MixupClassifier(torch.nn.Linear(4, 3), max_epochs=3, random_state=0)
    with pytest.raises(ValueError, match=f"classes cannot be read from a {base.__name__}; pass"):
        net.fit(stream, None)
    with pytest.raises(ValueError, match=r"mean and spread .*; pass the targets of all its rows"):
        MixupRegressor(torch.nn.Linear(4, 1)).fit(stream)
    net.set_params(classes=[0, 1, 2]).fit(stream, None)
    assert net.predict(stream).shape == (len(X),)
    with pytest.raises(ValueError, match=f"train_split=0.2 needs .* a {base.__name__} does not"):
        net.set_params(train_split=0.2).fit(stream, None)


def test_no_split_may_be_written_as_in_skorch():
    net = MixupClassifier(train_split=False, **FAST).fit(X, Y)
    assert "valid_loss" not in net.history[0]


# ---- groups

GROUPS = np.arange(60) // 6


@pytest.mark.parametrize(
    "train_split",
    [
        0.3,
        ValidSplit(GroupKFold(5)),
        ValidSplit(GroupShuffleSplit(1, test_size=0.3, random_state=0)),
    ],
    ids=["fraction", "GroupKFold", "GroupShuffleSplit"],
)
@pytest.mark.parametrize("way", ["fit", "partial_fit"])
@pytest.mark.parametrize("estimator", [VicinalClassifier, InterpolationConsistencyClassifier])
def test_groups_are_held_out_whole(train_split, way, estimator):
    seen = []

    class Watched(estimator):
        def _split_once(self, X, y, **kwargs):
            split = super()._split_once(X, y, **kwargs)
            seen.append([np.asarray(part.indices) for part in split])
            return split

    net = splitting(train_split, Watched, callbacks=None)
    getattr(net, way)(X, CODES, groups=GROUPS)
    train, valid = seen[0]
    assert len(valid) >= 6
    assert not set(GROUPS[train]) & set(GROUPS[valid])
    assert "_fit_state_" not in vars(net)
    assert net.predict(X).shape == (60,)


def test_groups_without_a_split_or_of_another_length_are_errors():
    with pytest.raises(ValueError, match="train_split=None holds out none"):
        splitting(None).fit(X, Y, groups=GROUPS)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        splitting(0.2).fit(X, Y, groups=GROUPS[:-1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splitting(0.2).fit(X, Y, groups=GROUPS[:, None])
    with pytest.raises(ValueError, match=r"groups must be .*got \(\d+, 2\)"):
        splitting(0.2).fit(X, Y, groups=np.c_[GROUPS, GROUPS])
    with pytest.raises(ValueError, match=r"groups contains NaN.* give every row a group"):
        splitting(0.2).fit(X, Y, groups=np.where(GROUPS == 0, np.nan, GROUPS))
    with pytest.raises(ValueError, match="groups mixes kinds"):
        splitting(0.2).fit(X, Y, groups=np.where(GROUPS == 0, "a", GROUPS.astype(object)))


def test_groups_are_routed_through_cross_validation():
    with sklearn.config_context(enable_metadata_routing=True):
        net = splitting(0.5).set_fit_request(groups=True)
        found = cross_validate(
            net, X, Y, cv=GroupKFold(2), params={"groups": GROUPS}, return_estimator=True
        )
        for fitted in found["estimator"]:
            assert len(parts(fitted)[1]) in (12, 18)


# ---- a data set that is held out


@pytest.mark.parametrize(
    ("held_out", "y"),
    [
        (Dataset(X[:20], Y[:20]), Y),
        (Dataset(X[:20], CODES[:20] + 5), CODES + 5),
        (Dataset(pd.DataFrame(X[:20]).add_prefix("c"), pd.Series(Y[:20])), Y),
        (TensorDataset(torch.from_numpy(X[:20]), torch.from_numpy(CODES[:20])), CODES),
        (Subset(Subset(Dataset(X, Y), range(30)), range(20)), Y),
        (Subset(TensorDataset(torch.from_numpy(X), torch.from_numpy(CODES)), [*range(20)]), CODES),
    ],
    ids=["strings", "integers", "DataFrame", "tensors", "subset of a subset", "subset of tensors"],
)
@pytest.mark.parametrize("estimator", [MixupClassifier, InterpolationConsistencyClassifier])
def test_a_data_set_that_is_held_out_is_treated_as_x_is(estimator, held_out, y):
    rows = X
    if isinstance(getattr(held_out, "X", None), pd.DataFrame):
        rows = pd.DataFrame(X).add_prefix("c")
    net = estimator(train_split=predefined_split(held_out), **FAST).fit(rows, y)
    proba = net.predict_proba(rows[:20])
    assert net.history[-1, "valid_loss"] == pytest.approx(log_loss(y[:20], proba), abs=1e-5)
    assert net.history[-1, "valid_acc"] == (net.predict(rows[:20]) == y[:20]).mean()


def test_unlabelled_rows_that_are_held_out_are_not_scored():
    y = np.where(np.arange(20) % 2, CODES[:20], -1)
    split = predefined_split(Dataset(X[:20], y))
    net = InterpolationConsistencyClassifier(train_split=split, **FAST).fit(X, CODES)
    labeled = np.flatnonzero(y >= 0)
    expected = log_loss(CODES[labeled], net.predict_proba(X[labeled]))
    assert net.history[-1, "valid_loss"] == pytest.approx(expected, abs=1e-5)


def test_nothing_to_score_among_rows_held_out_is_an_error():
    split = predefined_split(Dataset(X[:20], np.r_[0, np.full(19, -1)]))
    net = InterpolationConsistencyClassifier(train_split=split, **FAST).fit(X, CODES)
    assert "valid_loss" in net.history[-1]
    unlabelled = ValidSplit(iter([(np.arange(30), np.arange(30, 60))]))
    y = np.where(np.arange(60) < 30, CODES, -1)
    with pytest.raises(ValueError, match="held out 30 rows, none of them with a label"):
        InterpolationConsistencyClassifier(train_split=unlabelled, **FAST).fit(X, y)


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        (Dataset(X[:20], np.full(20, "dog")), "not among the classes.*dog"),
        (Dataset(X[:20, :3], Y[:20]), "3 features"),
        (Dataset(np.full((20, 4), np.nan), Y[:20]), "NaN"),
    ],
    ids=["label", "columns", "NaN"],
)
def test_what_is_wrong_with_rows_held_out_is_named(held_out, message):
    net = MixupClassifier(train_split=predefined_split(held_out), **FAST)
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y)
    with pytest.raises(NotFittedError):
        net.predict(X)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (lambda data, y: (data, Subset(data, [])), "rows in both; there is none to hold out"),
        (lambda data, y: (Subset(data, []), data), "rows in both; there is none to train on"),
        (lambda data, y: (data, data, data), "train_split=.* two data sets.*; got a tuple of 3"),
        (lambda data, y: data, "two data sets, .*; got a ArrayDataset"),
        (
            lambda data, y: (data, X),
            r"torch.utils.data.Subset\(dataset, rows\); got a ndarray to h",
        ),
    ],
)
@pytest.mark.parametrize("estimator", [MixupClassifier, MixupRegressor])
def test_what_is_wrong_with_a_split_of_the_users_own_is_named(estimator, split, message):
    net = estimator(train_split=split, **FAST)
    with pytest.raises((ValueError, TypeError), match=message):
        net.fit(X, CODES)
    assert not hasattr(net, "module_")


# ---- callbacks that watch a score


class Own(Callback):
    """Scores something itself."""

    def on_epoch_end(self, net, **kwargs):
        net.history.record("my_score", 1.0)
        net.history.record("valid_loss", 1.0)


class StopsItself(EarlyStopping):
    """Looks at no score, whatever its parameter says."""

    def on_epoch_end(self, net, **kwargs):
        pass


class Spy(MixupClassifier):
    """A class of the user's."""


@pytest.mark.parametrize("estimator", [MixupClassifier, Spy])
@pytest.mark.parametrize(
    ("callbacks", "name", "key"),
    [
        ([EarlyStopping()], "EarlyStopping", "valid_loss"),
        ([EarlyStopping("valid_acc")], "EarlyStopping", "valid_acc"),
        ([Checkpoint()], "Checkpoint", "valid_loss_best"),
        ([("mine", Checkpoint("valid_acc_best"))], "mine", "valid_acc_best"),
        ([LRScheduler("ReduceLROnPlateau", monitor="valid_loss")], "LRScheduler", "valid_loss"),
        ([EpochScoring("roc_auc", name="auc"), EarlyStopping("auc")], "EarlyStopping", "auc"),
        ([Parts(), EarlyStopping()], "EarlyStopping", "valid_loss"),
    ],
)
def test_watching_rows_held_out_where_there_are_none(estimator, callbacks, name, key):
    net = estimator(**FAST).fit(X, Y)
    expected = net.predict_proba(X)
    net.set_params(callbacks=callbacks)
    message = f"the callback {name} watches '{key}', .*train_split=None.*train_split=0.2"
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y)
    assert np.array_equal(net.predict_proba(X), expected)
    with pytest.raises(ValueError, match=message):
        net.partial_fit(X, Y)
    with pytest.raises(ValueError, match=message):
        clone(net).fit(X, Y)


@pytest.mark.parametrize(
    "callbacks",
    [
        [EarlyStopping("val_loss")],
        [EarlyStopping("auc"), EpochScoring("roc_auc", name="auc")],
        [Checkpoint("train_loss_bset")],
    ],
)
def test_watching_what_nobody_scores_names_what_there_is(callbacks):
    net = MixupClassifier(callbacks=callbacks, train_split=0.2, **FAST)
    with pytest.raises(ValueError, match=r"no callback before it scores; there are .*valid_loss"):
        net.fit(X, Y)


@pytest.mark.parametrize(
    ("callbacks", "train_split"),
    [
        ([EarlyStopping()], 0.2),
        ([EarlyStopping("train_loss"), LRScheduler("ReduceLROnPlateau")], None),
        ([EarlyStopping("event_cp"), Checkpoint(None, f_params=None, f_optimizer=None,
          f_criterion=None, f_history=None)][::-1], None),
        ([Own(), EarlyStopping("my_score")], None),
        ([StopsItself()], None),
        ([Own(), EarlyStopping()], None),
        ([Checkpoint(lambda net: False)], None),
        ([LRScheduler("StepLR", monitor="valid_loss", step_size=1)], None),
        ([EpochScoring("accuracy", name="a", on_train=True), EarlyStopping("a")], None),
        ("disable", None),
    ],
)  # fmt: skip
def test_what_is_scored_may_be_watched(callbacks, train_split):
    params = {"max_epochs": 1} if callbacks == "disable" else {}
    net = MixupClassifier(callbacks=callbacks, train_split=train_split, **FAST | params)
    assert net.fit(X, Y).n_iter_ >= 1


class Pairs(torch.utils.data.Dataset):
    """Does not say what it lists."""

    def __init__(self, X, y):
        self.pairs = [*zip(X, y, strict=True)]

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, i):
        return self.pairs[i]


@pytest.mark.parametrize("kind", [Dataset, Pairs])
@pytest.mark.parametrize("fitted", [1, 2])
def test_later_and_held_out_targets_of_a_data_set_are_as_many_as_those_fitted(kind, fitted):
    y = {1: X[:, 0], 2: X[:, :2]}
    given, other = y[fitted], y[3 - fitted]
    rows = X.astype(np.float32)
    net = VicinalRegressor(torch.nn.Linear(4, fitted), max_epochs=1, random_state=0)
    fit = clone(net).fit(kind(rows, given), given)
    before = fit.predict(X)
    message = f"y has {3 - fitted} targets, but VicinalRegressor was fitted on {fitted}"
    with pytest.raises(ValueError, match=message):
        fit.partial_fit(kind(rows, other))
    assert np.array_equal(fit.predict(X), before)
    fit.partial_fit(kind(rows, given))
    loader = torch.utils.data.DataLoader(kind(rows, given))
    for held_out, found in ((kind(rows, other), message), (loader, "is a DataLoader")):
        net.set_params(train_split=predefined_split(held_out), callbacks=[Never()])
        with pytest.raises((ValueError, TypeError), match=found):
            clone(net).fit(rows, given)
    net.set_params(train_split=predefined_split(kind(rows, given)), callbacks=None)
    net.fit(rows, given)


class Never(Callback):
    def on_epoch_begin(self, net, **kwargs):
        raise AssertionError


@pytest.mark.parametrize("batch_size", [2, 3, 60])
@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_targets_that_a_data_set_yields_as_lists_are_rows(n, kind, batch_size):
    rows, numbers = X.astype(np.float32), X[:, :n]
    params = {"max_epochs": 1, "batch_size": batch_size, "random_state": 0}
    net = VicinalRegressor(torch.nn.Linear(4, n), **params)
    listed = clone(net).fit(Pairs(rows, map(kind, numbers.tolist())), numbers).predict(X)
    assert np.array_equal(listed, clone(net).fit(Pairs(rows, numbers), numbers).predict(X))
    labels = (numbers > 1).astype(int)
    classes = [0, 1] if n == 1 else None
    net = VicinalClassifier(torch.nn.Linear(4, max(n, 2)), classes=classes, **params)
    listed = clone(net).fit(Pairs(rows, map(kind, labels.tolist())), None).predict_proba(X)
    assert np.array_equal(listed, clone(net).fit(Pairs(rows, labels), None).predict_proba(X))

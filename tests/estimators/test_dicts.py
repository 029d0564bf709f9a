"""Facts about dicts of arrays as X: one argument of the module's forward for each key."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from skorch.callbacks import EpochScoring
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import SliceDataset, SliceDict, predefined_split
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    VicinalClassifier,
)
from skmixup.robustness import fgsm
from tests.estimators.dicts_of_arrays import CODES, FLOATS, LABELS, N, Rows, Table, Two, Y, net

# ---- the same as one array


class Joined(nn.Module):
    def __init__(self, split):
        super().__init__()
        self.split = split
        self.body, self.head = nn.Linear(10, 8), nn.Linear(8, 3)

    def forward(self, x=None, left=None, right=None):
        if self.split:
            x = torch.cat([left, right.flatten(1)], dim=1)
        return self.head(torch.relu(self.body(x)))


@pytest.mark.parametrize(
    ("estimator", "params"),
    [
        (VicinalClassifier, {}),
        (MixupClassifier, {"alpha": 1.0}),
        (MixupClassifier, {"alpha": 1.0, "mix_per": "sample", "class_weight": "balanced"}),
        (ManifoldMixupClassifier, {"alpha": 1.0, "layers": "auto"}),
        (ManifoldMixupClassifier, {"alpha": 1.0, "layers": [0, 1], "block_gradient": "above"}),
        (ManifoldMixupClassifier, {"alpha": 1.0, "train_split": ValidSplit(5)}),
    ],
)
@pytest.mark.parametrize("kind", ["dict", "SliceDict", "Dataset"])
def test_a_dict_trains_as_the_array_of_its_values_does(estimator, params, kind):
    joined = np.concatenate([FLOATS["left"], FLOATS["right"].reshape(N, -1)], axis=1)
    X, one, y = FLOATS, joined, LABELS
    if kind == "SliceDict":
        X = SliceDict(**FLOATS)
    elif kind == "Dataset":
        X, one, y = Rows(FLOATS, Y), Rows({"x": joined}, Y), None
        params = {"classes": [0, 1, 2]} | params
        params.pop("class_weight", None)  # needs arrays
    of_dict = net(estimator, Joined, module__split=True, **params).fit(X, y)
    of_array = net(estimator, Joined, module__split=False, **params).fit(one, y)
    np.testing.assert_allclose(of_dict.predict_proba(X), of_array.predict_proba(one), atol=1e-6)
    np.testing.assert_allclose(of_dict.loss_curve_, of_array.loss_curve_, atol=1e-6)


# ---- all that an estimator does


def test_prediction():
    clf = net(module=Table, max_epochs=40).fit(CODES, LABELS)
    proba = clf.predict_proba(CODES)
    assert proba.shape == (N, 3)
    assert np.allclose(proba.sum(axis=1), 1)
    assert clf.score(CODES, LABELS) == accuracy_score(LABELS, clf.predict(CODES)) > 0.7
    assert clf.decision_function(CODES).shape == (N, 3)
    for n in (1, 2, 15, 16, 17):
        few = {key: value[:n] for key, value in CODES.items()}
        assert np.array_equal(clf.predict_proba(few), proba[:n])
        assert np.allclose(clf.predict_proba(Rows(few, Y[:n])), proba[:n], atol=1e-6)


def test_the_order_of_the_keys_and_the_container_do_not_matter():
    clf = net().fit(FLOATS, Y)
    proba = clf.predict_proba(FLOATS)
    other = {
        "right": torch.from_numpy(FLOATS["right"]).double(),
        "left": pd.DataFrame(FLOATS["left"]),
    }
    assert np.array_equal(clf.predict_proba(other), proba)
    assert np.array_equal(clf.predict_proba(SliceDict(**FLOATS)), proba)
    again = net().fit(other, Y)
    assert np.allclose(again.predict_proba(other), proba, atol=1e-5)


@pytest.mark.parametrize("estimator", [MixupClassifier, ManifoldMixupClassifier])
def test_weights_and_partial_fit(estimator):
    weight = np.where(Y == 2, 0.0, 1.0)
    clf = net(estimator).fit(FLOATS, LABELS, sample_weight=weight)
    kept = net(estimator, class_weight={"ant": 1.0, "bee": 1.0, "cat": 0.0}).fit(FLOATS, LABELS)
    assert np.allclose(clf.predict_proba(FLOATS), kept.predict_proba(FLOATS), atol=1e-6)
    clf = net(estimator, max_epochs=2).partial_fit(FLOATS, LABELS).partial_fit(FLOATS, LABELS)
    assert clf.n_iter_ == 4


def test_validation_scores_and_callbacks():
    clf = net(
        MixupClassifier, train_split=ValidSplit(5, stratified=True),
        callbacks=[EpochScoring("accuracy", name="acc"),
                   EpochScoring("accuracy", name="train_acc", on_train=True)],
    ).fit(FLOATS, LABELS)  # fmt: skip
    assert len(clf.history[:, "valid_loss"]) == len(clf.history[:, "acc"]) == 8
    assert clf.history[-1, "valid_batch_count"] == 1


@pytest.mark.parametrize(
    "estimator", [ManifoldMixupClassifier, InterpolationConsistencyClassifier]
)
@pytest.mark.parametrize("container", [dict, SliceDict])
def test_rows_held_out_may_be_a_dict_of_their_own(estimator, container):
    held_out = container(codes=CODES["codes"][:20].astype(np.int16), numbers=FLOATS["left"][:20])
    y, labels = LABELS[:20], LABELS
    if estimator is InterpolationConsistencyClassifier:
        y, labels = (np.where(np.arange(len(v)) % 2, v.astype(object), -1) for v in (y, labels))
    split = predefined_split(Dataset(held_out, y))
    clf = net(estimator, Table, layers=["body"], train_split=split).fit(CODES, labels)
    log_p = clf.predict_log_proba(held_out)[np.arange(20), Y[:20]]
    assert clf.history[-1, "valid_loss"] == pytest.approx(-log_p[y != -1].mean(), abs=1e-6)
    clf.set_params(train_split=predefined_split(Dataset({"numbers": FLOATS["left"][:20]}, y)))
    with pytest.raises(ValueError, match=r"keys of `fit`.*lacks \['codes'\]"):
        clf.fit(CODES, labels)


def test_cross_validation_and_search():
    X = SliceDict(**CODES)
    clf = net(module=Table)
    assert cross_val_score(clf, X, LABELS, cv=3).shape == (3,)
    assert cross_val_predict(clf, X, LABELS, cv=3, method="predict_proba").shape == (N, 3)
    search = GridSearchCV(clf, {"module__p": [0.0, 0.5], "lr": [0.01]}, cv=2).fit(X, LABELS)
    assert search.predict(X).shape == (N,)


def test_pickle_clone_and_saved_parameters(tmp_path):
    clf = net(module=Table).fit(CODES, LABELS)
    proba = clf.predict_proba(CODES)
    assert np.array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(CODES), proba)
    assert np.array_equal(clone(clf).fit(CODES, LABELS).predict_proba(CODES), proba)
    clf.save_params(f_params=tmp_path / "net.pt")
    other = net(module=Table, classes=["ant", "bee", "cat"]).initialize()
    other.load_params(f_params=tmp_path / "net.pt")
    assert np.array_equal(other.predict_proba(CODES), proba)


@pytest.mark.parametrize("layers", [None, ["body"]])
def test_interpolation_consistency(layers):
    y = np.where(np.arange(N) < 30, Y, -1)
    X = FLOATS if layers is None else CODES
    clf = net(InterpolationConsistencyClassifier, Two if layers is None else Table, layers=layers)
    clf.fit(X, y)
    assert clf.transduction_.shape == (N,)
    assert np.array_equal(clf.transduction_[:30], Y[:30])


@pytest.mark.parametrize("workers", [{}, {"iterator_train__num_workers": 0}])
def test_a_data_set_that_yields_dicts(workers, mixed_at):
    data = Rows(CODES, Y)
    clf = net(ManifoldMixupClassifier, Table, layers=[2], max_epochs=20, **workers).fit(data, Y)
    assert mixed_at[-1] == ("body",)
    assert np.array_equal(clf.predict(data), clf.predict(CODES))
    with pytest.raises(TypeError, match=r"'codes', has dtype torch.int64.*cannot be averaged"):
        net(MixupClassifier, Table).fit(data, Y)


def test_a_module_is_shown_the_dict_as_its_forward_gets_it():
    class Seeing(Two):
        def adapt_to_data(self, left, right):
            self.shown = left, right

    shown = net(module=Seeing).fit(FLOATS, Y).module_.shown
    for tensor, value in zip(shown, FLOATS.values(), strict=True):
        assert np.array_equal(tensor, value)


# ---- what is refused


def with_value(key, value):
    return {**CODES, key: value}


LARGE = CODES["codes"].astype(np.uint64) + np.uint64(2**63)
BESIDE = pd.DataFrame(CODES["numbers"]).assign(c=pd.Categorical(Y))
HALVES = pd.Series(pd.Categorical(Y / 2))
BAD = {
    "no keys": ({}, ValueError, "X is an empty dict"),
    "a key": ({**CODES, 3: CODES["codes"]}, TypeError, r"names of arguments.*\[3\]"),
    "lengths": (with_value("codes", CODES["codes"][:9]), ValueError,
                r"different lengths: \{'numbers': 60, 'codes': 9\}"),
    "no rows": ({k: v[:0] for k, v in CODES.items()}, ValueError, r"0 sample\(s\)"),
    "NaN": (with_value("numbers", np.full((N, 4), np.nan)), ValueError, r"NaN, in X\['numbers'\]"),
    "infinity": (with_value("numbers", np.full((N, 4), 1e60)), ValueError,
                 r"infinity or .*, in X\['numbers'\]"),
    "strings": (with_value("codes", np.full((N, 2), "a")), TypeError, r"X\['codes'\] holds .*not"),
    "objects": (with_value("codes", np.full((N, 2), "a", dtype=object)), TypeError, r"X\['codes'"),
    "times": (with_value("codes", np.full(N, np.datetime64("2020-01-01"))), TypeError, "codes"),
    "complex": (with_value("numbers", np.ones((N, 4), dtype=complex)), TypeError, "numbers"),
    "a number": (with_value("numbers", 3.0), ValueError, r"X\['numbers'\] is a single value"),
    "ragged": (with_value("numbers", [[1.0], [1.0, 2.0]] * 30), ValueError, r"X\['numbers'\]"),
    "a column of arrays": (with_value("numbers", pd.Series([*CODES["numbers"]])), ValueError,
                           r"X\['numbers'\] holds an array for each row. Make .* np.stack"),
    "under a mask": (with_value("numbers", np.ma.masked_less(CODES["numbers"], 0)), ValueError,
                     r"X\['numbers'\] is a masked array.* no data"),
    "too large": (with_value("codes", LARGE), ValueError,
                  r"X\['codes'\] holds integers up to 92233.*int64"),
    "categories": (with_value("numbers", BESIDE), ValueError,
                   r"X\['numbers'\] has categories among floating numbers, \['c'\]"),
    "of floats": (with_value("numbers", HALVES), ValueError, "categories"),
    "lazy": (with_value("numbers", pl.LazyFrame({"a": Y})), ValueError, r"X\['numbers'\].collect"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_dicts_are_named_before_training(case):
    X, error, message = BAD[case]
    with pytest.raises(error, match=message):
        net(module=Table).fit(X, Y)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ({"numbers": CODES["numbers"]}, ValueError, r"'codes'\]; it lacks \['codes'\]"),
        ({**CODES, "more": Y}, ValueError, r"has \['more'\] beside them"),
        (CODES["numbers"], ValueError, "fitted on a dict with the keys"),
        ({**CODES, "numbers": np.ones((N, 5))}, ValueError, r"X\['numbers'\] has rows of shape"),
        ({**CODES, "codes": np.ones((N, 2))}, TypeError, r"X\['codes'\] holds float32.*int64"),
    ],
)  # fmt: skip
def test_other_dicts_than_in_fit_are_refused(X, error, message):
    clf = net(module=Table, max_epochs=1).fit(CODES, Y)
    with pytest.raises(error, match=message):
        clf.predict(X)
    with pytest.raises(error, match=message):
        clf.partial_fit(X, Y)
    assert clf.predict(CODES).shape == (N,)


def test_a_dict_where_fit_saw_an_array():
    clf = VicinalClassifier(max_epochs=1).fit(CODES["numbers"], Y)
    with pytest.raises(ValueError, match="X is a dict, but VicinalClassifier was fitted on one"):
        clf.predict(CODES)


def test_labels_of_another_length_and_no_module():
    with pytest.raises(ValueError, match="inconsistent"):
        net(module=Table).fit(CODES, Y[:9])
    with pytest.raises(ValueError, match="module=None chooses a network for X of shape"):
        VicinalClassifier().fit(CODES, Y)


def test_views_of_complex_tensors_and_codes_that_are_categories_are_taken():
    expected = net(module=Table).fit(CODES, Y).predict_proba(CODES)
    minus = torch.tensor(-CODES["numbers"])
    negative = torch.complex(minus, minus).conj().imag  # shares memory, and has a bit set
    X = {"numbers": negative, "codes": pd.DataFrame(CODES["codes"]).astype("category")}
    assert negative.is_neg()
    assert np.array_equal(net(module=Table).fit(X, Y).predict_proba(X), expected)


def test_an_argument_that_the_module_lacks():
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        net(module=Two).fit(CODES, Y)


def test_a_refit_on_an_array_forgets_the_dict():
    clf = net(module=Joined, module__split=True).fit(FLOATS, Y)
    joined = np.concatenate([FLOATS["left"], FLOATS["right"].reshape(N, -1)], axis=1)
    clf.set_params(module__split=False).fit(joined, Y)
    assert clf.n_features_in_ == 10
    assert clf.predict(joined).shape == (N,)


# ---- lists of arrays


@pytest.mark.parametrize("container", [list, tuple])
@pytest.mark.parametrize("other", [CODES["codes"], CODES["numbers"]])
def test_lists_of_several_inputs_are_told_to_be_dicts(container, other):
    X = container([CODES["numbers"], other])
    with pytest.raises(ValueError, match=r"several inputs .* dict"):
        net(module=Table).fit(X, Y)


def test_a_data_set_that_yields_pairs_of_inputs():
    class Pairs(Rows):
        def __getitem__(self, i):
            X, y = super().__getitem__(i)
            return tuple(X.values()), y

    class OfPair(Two):
        def forward(self, pair):
            return super().forward(*pair)

    data = Pairs(FLOATS, Y)
    of_dict = net(MixupClassifier, alpha=1.0, iterator_train=DataLoader).fit(Rows(FLOATS, Y), Y)
    of_pair = net(MixupClassifier, OfPair, alpha=1.0).fit(data, Y)
    assert np.allclose(of_pair.predict_proba(data), of_dict.predict_proba(Rows(FLOATS, Y)))


@pytest.mark.parametrize("container", [list, tuple, SliceDataset])
def test_rows_that_are_dicts(container):
    data = Rows(CODES, Y)
    rows = [data[i][0] for i in range(N)]
    X = SliceDataset(data) if container is SliceDataset else container(rows)
    of_rows = net(module=Table).fit(X, Y)
    of_dict = net(module=Table).fit(CODES, Y)
    assert np.array_equal(of_rows.predict_proba(X), of_dict.predict_proba(CODES))
    with pytest.raises(ValueError, match=r"dicts of the keys .* but row 1 is \['numbers'\]"):
        of_rows.predict([data[0][0], {"numbers": CODES["numbers"][0]}])


def test_folds_of_a_data_set_that_yields_dicts():
    X = SliceDataset(Rows(CODES, Y))
    assert cross_val_score(net(module=Table), X, Y, cv=2, error_score="raise").shape == (2,)
    pairs = SliceDataset([((row["numbers"], row["codes"]), y) for row, y in Rows(CODES, Y)])
    with pytest.raises(TypeError, match=r"rows are a tuple of 2 arrays.*let the data set yield d"):
        net(module=Table).fit(pairs, Y)


def test_attacks_of_dicts_are_refused():
    with pytest.raises(TypeError, match=r"changes rows of one array.* got X of type dict"):
        fgsm(net(max_epochs=1).fit(FLOATS, Y), FLOATS, Y, 0.1)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32])
def test_codes_of_few_bits_in_a_data_set_are_looked_up(dtype):
    few = {**CODES, "codes": CODES["codes"].astype(dtype)}
    of_rows = net(module=Table).fit(Rows(few, Y), Y)
    expected = net(module=Table).fit(Rows(CODES, Y), Y).predict_proba(CODES)
    np.testing.assert_array_equal(of_rows.predict_proba(Rows(few, Y)), expected)


WRONG = {
    "key": {"numbers": CODES["numbers"], "others": CODES["codes"]},
    "type": {**CODES, "codes": CODES["codes"] * 1.0},
    "shape": {**CODES, "numbers": CODES["numbers"][:, :2]},
}


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_dict_after_a_data_set_or_a_file_is_not_taken_for_that_of_fit(
    wrong, loaded, tmp_path
):
    clf = net(module=Table).fit(Rows(CODES, Y), None)
    expected = clf.predict_proba(CODES)
    if loaded:
        clf.save_params(f_params=tmp_path / "net.pt")
        clf = net(module=Table, classes=[0, 1, 2]).initialize()
        clf.load_params(f_params=tmp_path / "net.pt")
    else:
        clf = net(module=Table).fit(Rows(CODES, Y), None)
    with pytest.raises((TypeError, RuntimeError)):
        clf.predict(WRONG[wrong])
    np.testing.assert_array_equal(clf.predict_proba(CODES), expected)


def test_a_stream_of_dicts():
    class Stream(IterableDataset):
        def __iter__(self):
            yield from (Rows(CODES, Y)[i] for i in range(N))

    params = {"classes": [0, 1, 2], "max_epochs": 2}
    clf = net(ManifoldMixupClassifier, Table, layers=["body"], **params).fit(Stream(), None)
    assert clf.predict(CODES).shape == (N,)
    with pytest.raises(TypeError, match=r"'codes', has dtype torch.int64.*cannot be averaged"):
        net(MixupClassifier, Table, **params).fit(Stream(), None)

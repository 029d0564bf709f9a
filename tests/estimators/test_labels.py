"""Labels of every kind: those that mean classes are taken as such, the rest get a clear error."""

from datetime import date
from decimal import Decimal
from enum import Enum

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from torch.utils.data import TensorDataset

from skmixup import (
    InterpolationConsistencyClassifier,
    MixupClassifier,
    MixupRegressor,
    VicinalClassifier,
)

RNG = np.random.default_rng(0)
CODES = np.arange(30) % 3
DAYS = np.datetime64("2020-01-01") + CODES * np.timedelta64(1, "D")
X = RNG.normal(size=(30, 2))
NAMES = np.array(["a", "b", "c"])[CODES]
MARKED = np.array([-1, 0, 1])[CODES]
MARKED_NAMES = np.array([-1, "a", "b"], dtype=object)[CODES]
FAST = {"module__hidden_sizes": (4,), "max_epochs": 1, "random_state": 0}


# Strings whose names, cut off at the length of the longest of them, are equal.
Colour = Enum("Colour", {"BLACK": "black 1", "BLUE": "blue", "BROWN": "brown"}, type=str)


def masked(y):
    return np.ma.masked_array(y, mask=y == 1)


MISSING = {
    "None": np.where(CODES == 1, None, NAMES),
    "None in a list": [None if c == 1 else int(c) for c in CODES],
    "None beside booleans": [None if c == 1 else c == 0 for c in CODES],
    "NaN": np.where(CODES == 1, np.nan, CODES),
    "NaN beside strings": np.array(["a", np.nan, "b"], dtype=object)[CODES],
    "NaN in a list of strings": [float("nan") if c == 1 else "ab"[c // 2] for c in CODES],
    "NA of a string column": pd.Series(NAMES, dtype="string").where(CODES != 1),
    "NaN of a str column": pd.Series(NAMES, dtype="str").where(CODES != 1),
    "NA of an Int64 column": pd.Series(CODES, dtype="Int64").where(CODES != 1),
    "NA of a boolean column": pd.Series(CODES == 0, dtype="boolean").where(CODES != 1),
    "category": pd.Series(pd.Categorical(np.where(CODES == 1, None, NAMES))),
    "pandas array": pd.array(NAMES.tolist(), dtype="string").copy(),
    "polars strings": pl.Series([None if c == 1 else "ab"[c // 2] for c in CODES]),
    "polars integers": pl.Series([None if c == 1 else c for c in CODES.tolist()]),
    "NaT": np.where(CODES == 1, np.datetime64("NaT", "D"), DAYS),
    "masked": masked(CODES),
}
MISSING["pandas array"][CODES == 1] = pd.NA
if hasattr(np.dtypes, "StringDType"):  # numpy 2
    for missing in (None, np.nan):
        column = np.where(CODES == 1, missing, NAMES.astype(object))
        MISSING[f"{missing} of numpy's"] = column.astype(np.dtypes.StringDType(na_object=missing))


@pytest.mark.parametrize("estimator", [MixupClassifier, InterpolationConsistencyClassifier])
@pytest.mark.parametrize("kind", MISSING)
def test_missing_labels_are_counted_and_the_first_is_named(estimator, kind):
    net = estimator(**FAST)
    with pytest.raises(ValueError, match=r"NaN, None or NA in 10 of 30 rows, first in row 1; "):
        net.fit(X, MISSING[kind])
    assert not hasattr(net, "module_")


def test_rows_without_a_label_are_told_their_mark():
    with pytest.raises(
        ValueError, match=r"without a label are marked -1; a pandas y.fillna\(-1\)"
    ):
        InterpolationConsistencyClassifier(**FAST).fit(X, MISSING["NaN"])


TAKEN = {
    "objects that are integers": (CODES.astype(object), int),
    "objects that are booleans": ((CODES == 1).astype(object), bool),
    "nullable booleans": (pd.Series(CODES == 1, dtype="boolean"), bool),
    "nullable integers": (pd.Series(CODES, dtype="Int64"), int),
    "small nullable integers": (pd.array(CODES.tolist(), dtype="Int8"), int),
    "a column of a frame": (pd.DataFrame({"y": pd.array(CODES == 1, dtype="boolean")}), bool),
    "categories of integers": (pd.Categorical(CODES, categories=range(9)), int),
    "polars booleans": (pl.Series((CODES == 1).tolist()), bool),
    "a tensor of bfloat16": (torch.tensor(CODES).bfloat16(), float),
    "a tensor that requires gradients": (torch.tensor(CODES * 1.0, requires_grad=True), float),
    "strings": (pd.Series(NAMES, dtype="string"), str),
    "polars Enum": (pl.Series(NAMES.tolist(), dtype=pl.Enum(["c", "b", "a"])), str),
    "dates": (DAYS, np.datetime64),
    "arrays without an axis": ([np.array(c) for c in CODES], int),
    "members of an Enum of strings": ([list(Colour)[c] for c in CODES], str),
    "a column of such members": (pd.Series([list(Colour)[c] for c in CODES], dtype=object), str),
    "categories of booleans": (pd.Categorical(CODES == 1), bool),
}


if hasattr(np.dtypes, "StringDType"):  # numpy 2
    TAKEN["numpy's strings"] = NAMES.astype(np.dtypes.StringDType()), str


@pytest.mark.filterwarnings("ignore:A column-vector y")
@pytest.mark.parametrize("kind", TAKEN)
def test_labels_keep_the_type_they_mean(kind):
    y, expected = TAKEN[kind]
    net = MixupClassifier(**FAST).fit(X, y)
    predicted = net.predict(X)
    assert net.classes_.dtype == predicted.dtype
    value = predicted[0] if expected is np.datetime64 else predicted.tolist()[0]
    assert isinstance(value, expected)
    assert not isinstance(value, Enum)
    assert expected is bool or not isinstance(value, bool)
    assert set(predicted.tolist()) <= set(net.classes_.tolist())
    if expected is not bool:
        assert net.score(X, y) == np.mean(predicted == net.classes_[CODES])
    weight = torch.tensor(CODES + 1.0, requires_grad=True)
    assert net.score(X, y, weight) == net.score(X, y, sample_weight=CODES + 1)


def test_labels_and_targets_of_bfloat16_in_a_data_set():
    numbers = torch.tensor(CODES, dtype=torch.float64)
    rounded, exact = (TensorDataset(torch.tensor(X), y) for y in (numbers.bfloat16(), numbers))
    assert MixupClassifier(**FAST).fit(rounded, None).classes_.tolist() == [0, 1, 2]
    expected = MixupRegressor(**FAST).fit(exact, None).predict(X)
    np.testing.assert_array_equal(MixupRegressor(**FAST).fit(rounded, None).predict(X), expected)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.c_[CODES, CODES], "do not sum to one.*y is one label per row.*or soft labels"),
        ([1, "a", 2.0] * 10, "y mixes labels of the types float, int, str; make all of them str"),
        (np.array([1, "a"] * 15, dtype=object), "y mixes labels of the types int, str"),
        pytest.param(
            [b"a", b"b"] * 15,
            "bytes is not supported",
            marks=pytest.mark.skipif(
                sklearn.__version__.startswith("1.6."), reason="1.6 warns, and takes them"
            ),
        ),
        ([{"a": 1}] * 30, "[Ll]abel"),
        (pd.Series(DAYS).dt.tz_localize("UTC"), "objects of the type Timestamp, .* make strings"),
        (pd.Series(DAYS).dt.to_period("D"), "objects of the type Period"),
        (pd.cut(CODES, 3), "objects of the type Interval"),
        ([Decimal(int(c)) for c in CODES], r"type Decimal, the first Decimal\('0'\)"),
        ([date(2020, 1, 1 + int(c)) for c in CODES], "type date"),
        ([10**30 + int(c) for c in CODES], "type int, the first 1000.*; make strings"),
        ([None if c else int(c) for c in CODES], "contains NaN, None or NA in 20 of 30"),
    ],
)
def test_other_targets_are_explained(y, message):
    net = MixupClassifier(**FAST)
    with pytest.raises((ValueError, TypeError), match=message):
        net.fit(X, y)
    assert not hasattr(net, "module_")


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (3, "classes must be a list of all labels; got 3"),
        ("abc", "classes must be a list of all labels; got 'abc'"),
        (np.eye(3), "classes must be a list of all labels"),
        ([0, 1, None], "Input classes contains NaN, None or NA in 1 of 3 rows"),
        ([0, 1, "2"], "mixes labels"),
        (["0", "1", "2"], r"not among the classes \['0', '1', '2'\]: \[0, 1, 2\]"),
    ],
)
def test_lists_of_classes_that_are_none_are_explained(classes, message):
    with pytest.raises(ValueError, match=message):
        MixupClassifier(**FAST).partial_fit(X, CODES, classes=classes)
    with pytest.raises(ValueError, match=message):
        MixupClassifier(classes=classes, **FAST).fit(X, CODES)


@pytest.mark.parametrize(
    "classes", [[2, 1, 0, 0], (0, 1, 2), np.arange(3), pd.Series([0, 1, 2]), pl.Series([0, 1, 2]),
                torch.arange(3), range(3)]
)  # fmt: skip
def test_classes_in_a_list_of_any_kind(classes):
    rows = CODES < 2
    net = MixupClassifier(**FAST).partial_fit(X[rows], CODES[rows], classes=classes)
    assert net.classes_.tolist() == [0, 1, 2]
    assert net.partial_fit(X, CODES, classes=classes).n_iter_ == 2


# ---- the mark of unlabelled rows


@pytest.mark.parametrize(
    "y",
    [
        MARKED_NAMES,
        MARKED_NAMES.tolist(),
        pd.Series(MARKED_NAMES),
        pd.Categorical(MARKED_NAMES),
        np.array([-1.0, "a", "b"], dtype=object)[CODES],
    ],
    ids=["array", "list", "Series", "Categorical", "float"],
)
def test_the_mark_beside_strings(y):
    net = InterpolationConsistencyClassifier(**FAST).fit(X, y)
    assert net.classes_.tolist() == ["a", "b"]
    assert set(net.transduction_.tolist()) <= {"a", "b"}


@pytest.mark.parametrize(
    "y",
    [
        pd.Series(MARKED, dtype="Int64"),
        pd.array(MARKED.tolist(), dtype="Int8"),
        pd.Categorical(MARKED),
        pl.Series(MARKED.tolist()),
        torch.tensor(MARKED),
        MARKED.astype(object),
    ],
    ids=["Int64", "Int8", "Categorical", "polars", "tensor", "object"],
)
def test_the_mark_beside_integers(y):
    net = InterpolationConsistencyClassifier(**FAST).fit(X, y)
    assert net.classes_.tolist() == [0, 1]
    assert net.transduction_.dtype.kind == "i"


AS_STRINGS = MARKED_NAMES.astype(str)
STRINGS = {
    "numpy": AS_STRINGS,
    "object": AS_STRINGS.astype(object),
    "list": AS_STRINGS.tolist(),
    "Series of objects": pd.Series(AS_STRINGS.astype(object)),
    "str": pd.Series(AS_STRINGS, dtype="str"),
    "string": pd.Series(AS_STRINGS, dtype="string"),
    "category": pd.Series(pd.Categorical(AS_STRINGS)),
    "polars": pl.Series(AS_STRINGS.tolist()),
    "polars Categorical": pl.Series(AS_STRINGS.tolist(), dtype=pl.Categorical),
    "bytes": AS_STRINGS.astype("S"),
    "objects that are bytes": AS_STRINGS.astype("S").astype(object),
    "of floats": np.array(["-1.0", "0.0", "1.0"], dtype=object)[CODES],
    "with a blank": np.array([" -1", "a", "b"], dtype=object)[CODES],
    "beside the real mark": np.array(["-1", -1, "b", "a"] * 10, dtype=object)[:30],
}


@pytest.mark.parametrize("kind", STRINGS)
def test_a_mark_that_is_a_string_is_no_class(kind):
    net = InterpolationConsistencyClassifier(**FAST)
    with pytest.raises(ValueError, match=r"strings that holds ' ?-1.*integer -1, .*dtype=object"):
        net.fit(X, STRINGS[kind])
    assert not hasattr(net, "module_")


def test_the_remedy_for_strings_works():
    y = AS_STRINGS
    y = np.array(y, dtype=object)
    y[y == "-1"] = -1
    clf = InterpolationConsistencyClassifier(**FAST).fit(X, y)
    assert clf.classes_.tolist() == ["a", "b"]


def test_a_mark_that_wrapped_around_is_no_class():
    with pytest.raises(ValueError, match=r"unsigned type uint8 and holds 255, which -1 becomes"):
        InterpolationConsistencyClassifier(**FAST).fit(X, MARKED.astype(np.uint8))


def test_a_trained_module_is_told_which_output_is_which_class():
    module = torch.nn.Linear(2, 2, bias=False)
    module.weight.data = torch.eye(2)
    with pytest.warns(UserWarning, match=r"sorted classes, \['ant', 'zebra'\], not for those"):
        clf = VicinalClassifier(module, classes=["zebra", "ant"]).initialize()
    assert clf.predict([[1.0, 0.0]]) == "ant"
    for same in (["ant", "zebra"], np.array([0, 1]), None):
        VicinalClassifier(module, classes=same).initialize()
    MixupClassifier(classes=["c", "b"], max_epochs=0).initialize()  # it is made by a fit
    rows, labels = 3 * np.eye(2, dtype=np.float32), ["b", "c"]
    VicinalClassifier(module, classes=["c", "b"], max_epochs=1).fit(rows, labels)
    VicinalClassifier(module, max_epochs=1).partial_fit(rows, labels, classes=["c", "b"])


@pytest.mark.parametrize(
    ("first", "later"),
    [(CODES, NAMES.astype(object)), (NAMES.astype(object), CODES), (CODES, DAYS), (DAYS, NAMES)],
)
def test_labels_of_another_kind_in_a_later_call(first, later):
    net = MixupClassifier(**FAST).partial_fit(X, first)
    before = net.predict_proba(X)
    with pytest.raises(ValueError, match="y has labels that are not among the classes"):
        net.partial_fit(X, later)
    assert np.array_equal(net.predict_proba(X), before)

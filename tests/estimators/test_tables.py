"""Tables: what a user with a pandas or polars frame meets, straight and through skrub."""

import re
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import skrub
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import get_tags
from skorch.callbacks import ProgressBar

from skmixup import (
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupClassifierCV,
    MixupRegressor,
    MixupRegressorCV,
)
from skmixup.estimators import InterpolationConsistencyClassifier

RNG = np.random.default_rng(0)
N = 120
Y = RNG.integers(0, 2, N)
NOISE = RNG.normal(size=N)
WORD = np.where(Y, "yes", "no")
DAYS = pd.Timestamp("2020-01-01") + pd.to_timedelta(RNG.integers(0, 300, N) + 400 * Y, unit="D")


def net(**params):
    return ManifoldMixupClassifier(
        **{"module__hidden_sizes": (16,), "max_epochs": 40, "random_state": 0} | params
    )


def with_gaps(values):
    return [None if i % 10 == 3 else value for i, value in enumerate(values)]


# columns that tell the class, each of another kind
PANDAS = {
    "number": NOISE / 4 + Y,
    "number with gaps": pd.Series(NOISE / 4 + Y).where(np.arange(N) % 10 != 3),
    "missing or not": np.where(Y, np.nan, NOISE),
    "bool": Y == 1,
    "Int64 with gaps": pd.array(with_gaps(Y.tolist()), dtype="Int64"),
    "Float64": pd.array(NOISE / 4 + Y, dtype="Float64"),
    "boolean with gaps": pd.array(with_gaps((Y == 1).tolist()), dtype="boolean"),
    "str": pd.array(WORD, dtype="str"),
    "str with gaps": pd.array(with_gaps(WORD.tolist()), dtype="str"),
    "object": np.array(with_gaps(WORD.tolist()), dtype=object),
    "object numbers": np.array(with_gaps(Y.tolist()), dtype=object),
    "category": pd.Categorical(WORD),
    "category of numbers": pd.Categorical(Y),
    "many strings": [f"{word} {i}" for i, word in enumerate(WORD)],
    "datetime": DAYS,
    "datetime with a zone": DAYS.tz_localize("Europe/Paris"),
    "datetime with gaps": pd.Series(DAYS).where(np.arange(N) % 10 != 3),
    "date as text": DAYS.strftime("%Y-%m-%d"),
}
POLARS = {
    "Float64 with nulls": pl.Series(with_gaps((NOISE / 4 + Y).tolist())),
    "Int64": pl.Series(Y.tolist()),
    "Boolean with nulls": pl.Series(with_gaps((Y == 1).tolist())),
    "String with nulls": pl.Series(with_gaps(WORD.tolist())),
    "Categorical": pl.Series(WORD.tolist(), dtype=pl.Categorical),
    "Enum": pl.Series(WORD.tolist(), dtype=pl.Enum(["no", "yes"])),
    "Datetime": pl.Series(DAYS.to_pydatetime().tolist()),
    "Date": pl.Series([day.date() for day in DAYS]),
}  # fmt: skip
# guessing the tenth of the rows whose value is missing would give 0.95
ENOUGH = 0.85


def test_the_tags_tell_skrub_what_to_prepare():
    tags = get_tags(net())
    assert not tags.input_tags.allow_nan
    assert not tags.input_tags.string
    assert not tags.input_tags.categorical
    for classifier in (net(), MixupClassifier(), InterpolationConsistencyClassifier()):
        steps = [type(step).__name__ for _, step in skrub.tabular_pipeline(classifier).steps]
        assert steps[:-1] == ["TableVectorizer", "SimpleImputer", "SquashingScaler"]


@pytest.mark.parametrize("kind", PANDAS)
def test_skrub_brings_every_kind_of_pandas_column_to_the_network(kind):
    X = pd.DataFrame({"noise": NOISE, kind: PANDAS[kind]})
    clf = skrub.tabular_pipeline(net()).fit(X[:80], Y[:80])
    assert clf.score(X[80:], Y[80:]) > ENOUGH


@pytest.mark.parametrize("kind", POLARS)
def test_skrub_brings_every_kind_of_polars_column_to_the_network(kind):
    X = pl.DataFrame({"noise": NOISE, kind: POLARS[kind]})
    clf = skrub.tabular_pipeline(net()).fit(X[:80], Y[:80])
    assert clf.score(X[80:], Y[80:]) > ENOUGH


def test_a_table_of_all_kinds_in_a_search():
    X = pd.DataFrame(PANDAS)
    search = GridSearchCV(
        clone(skrub.tabular_pipeline(net(max_epochs=10))),
        {"manifoldmixupclassifier__alpha": [0.2, 1.0]},
        cv=2,
    )
    search.fit(X, pd.Series(WORD))
    assert search.best_score_ > 0.95
    assert search.predict_proba(X).shape == (N, 2)


def test_a_fit_through_skrub_is_silent_or_shows_its_epochs(capfd):
    X = pd.DataFrame({"text": WORD, "number": NOISE})
    skrub.tabular_pipeline(net(max_epochs=3)).fit(X, Y).predict(X)
    assert capfd.readouterr() == ("", "")
    bar = ProgressBar(detect_notebook=False)
    skrub.tabular_pipeline(net(max_epochs=3, batch_size=16, verbose=1, callbacks=[bar])).fit(X, Y)
    shown = capfd.readouterr()
    assert len(shown.out.strip().splitlines()) == 2 + 3
    assert "/8" in shown.err


@pytest.mark.filterwarnings("ignore:Found unknown categories")
def test_a_category_and_a_gap_first_seen_at_prediction():
    X = pd.DataFrame({"number": NOISE + 3 * Y, "text": RNG.choice(["a", "b", "c"], N)})
    clf = skrub.tabular_pipeline(net()).fit(X, Y)
    new = pd.DataFrame({"number": [9.0, -9.0, np.nan], "text": ["d", None, "a"]})
    assert clf.predict(new)[:2].tolist() == [1, 0]
    assert np.isfinite(clf.predict_proba(new)).all()


def test_long_text_gives_the_same_in_every_fit_with_the_seed_that_the_guide_names():
    X = pd.DataFrame({"text": PANDAS["many strings"], "number": NOISE})

    def fitted():
        clf = skrub.tabular_pipeline(net(max_epochs=3))
        return clf.set_params(tablevectorizer__high_cardinality__random_state=0).fit(X, Y)

    assert fitted()[0].transform(X).shape == (N, 31)  # 30 of them from the text
    np.testing.assert_array_equal(fitted().predict_proba(X), fitted().predict_proba(X))


# ---- straight to the classifier

FAST = {"max_epochs": 2}
NUMBERS = {
    "bool": pd.DataFrame({"a": NOISE, "b": Y == 1}),
    "bool only": pd.DataFrame({"a": NOISE > 0, "b": Y == 1}),
    "nullable": pd.DataFrame(
        {"a": pd.array(Y, dtype="Int64"), "b": pd.array(NOISE, dtype="Float64")}
    ),
    "nullable boolean": pd.DataFrame({"a": pd.array(Y == 1, dtype="boolean"), "b": NOISE}),
    "object": pd.DataFrame({"a": NOISE.astype(object), "b": Y.astype(object)}),
    "int8 and float16": pd.DataFrame({"a": Y.astype(np.int8), "b": NOISE.astype(np.float16)}),
    "polars": pl.DataFrame({"a": NOISE, "b": Y == 1}),
    "polars integers": pl.DataFrame({"a": Y, "b": Y.astype(np.uint8)}),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_frames_of_numbers_are_the_same_as_arrays(kind):
    X = NUMBERS[kind]
    clf = net(**FAST).fit(X, Y)
    assert clf.feature_names_in_.tolist() == ["a", "b"]
    plain = np.column_stack([np.asarray(X[name], dtype=np.float32) for name in ("a", "b")])
    expected = net(**FAST).fit(plain, Y)
    assert np.array_equal(clf.predict_proba(X), expected.predict_proba(plain))


@pytest.mark.parametrize("kind", ["array", "dataframe"])
def test_what_dask_has_is_computed(kind):
    lazy = pytest.importorskip(f"dask.{kind}")
    make = lazy.from_array if kind == "array" else lazy.from_pandas
    X = pd.DataFrame({"a": NOISE, "b": Y})
    X = X.to_numpy() if kind == "array" else X
    parts, labels = make(X, 40), make(Y if kind == "array" else pd.Series(Y), 40)
    clf, expected = net(**FAST).fit(parts, labels), net(**FAST).fit(X, Y)
    assert np.array_equal(clf.predict_proba(parts), expected.predict_proba(X))


LABELS = {
    "str": pd.Series(WORD, dtype="str"),
    "category": pd.Series(pd.Categorical(WORD)),
    "bool": pd.Series(Y == 1),
    "Int64": pd.Series(Y, dtype="Int64"),
    "boolean": pd.Series(Y == 1, dtype="boolean"),
    "polars": pl.Series(WORD.tolist()),
    "polars Categorical": pl.Series(WORD.tolist(), dtype=pl.Categorical),
    "polars Boolean": pl.Series((Y == 1).tolist()),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_from_a_column(kind):
    y = LABELS[kind]
    clf = net(**FAST).fit(NOISE[:, None], y)
    assert clf.classes_.tolist() == sorted(set(y))
    assert np.array_equal(
        clf.predict_proba(NOISE[:, None]),
        net(**FAST).fit(NOISE[:, None], Y).predict_proba(NOISE[:, None]),
    )


NOT_NUMBERS = {
    "str": pd.Series(WORD, dtype="str"),
    "object": pd.Series(WORD, dtype=object),
    "object or number": pd.Series([1, *WORD[1:]], dtype=object),
    "numbers as text": pd.Series(Y).astype("str"),
    "category": pd.Series(pd.Categorical(WORD)),
    "category of numbers": pd.Series(pd.Categorical(Y)),
    "String": pl.Series(WORD.tolist()),
    "Categorical": pl.Series(WORD.tolist(), dtype=pl.Categorical),
}
TIMES = {
    "datetime": pd.Series(DAYS),
    "zone": pd.Series(DAYS.tz_localize("UTC")),
    "timedelta": pd.Series(DAYS - DAYS[0]),
    "Datetime": pl.Series(DAYS.to_pydatetime().tolist()),
    "Date": pl.Series([day.date() for day in DAYS]),
}


def frame_of(column):
    frame = pl.DataFrame if isinstance(column, pl.Series) else pd.DataFrame
    return frame({"noise": NOISE, "the column": column})


def code_in(message, **params):
    """Every block of code that an error shows, run; `params` make its classifier quick."""
    names = {
        "skrub": skrub,
        "make_pipeline": make_pipeline,
        "make_column_transformer": make_column_transformer,
        "OneHotEncoder": OneHotEncoder,
        "StandardScaler": StandardScaler,
        "SimpleImputer": SimpleImputer,
        "ManifoldMixupClassifier": partial(net, **params),
    }
    blocks = re.findall(r"(?:^    .*\n?)+", message, flags=re.MULTILINE)
    return [eval(block.strip(), names) for block in blocks]


@pytest.mark.parametrize("kind", NOT_NUMBERS)
def test_text_straight_to_the_classifier_is_told_what_to_do(kind):
    X = frame_of(NOT_NUMBERS[kind])
    with pytest.raises(ValueError, match=r"not numbers: 'the column' \(\w+(\(.*\))?\)\.") as error:
        net(**FAST).fit(X, Y)
    ways = code_in(str(error.value), max_epochs=15)
    assert len(ways) == 2
    for way in ways:
        if kind != "object or number":  # OneHotEncoder takes no mixture
            assert way.fit(X, Y).score(X, Y) > 0.9


@pytest.mark.parametrize("kind", TIMES)
def test_times_straight_to_the_classifier_are_told_what_to_do(kind):
    X = frame_of(TIMES[kind])
    with pytest.raises(ValueError, match=r"not numbers: 'the column' \(.*\)\.") as error:
        net(**FAST).fit(X, Y)
    (way,) = code_in(str(error.value), **FAST)
    way.fit(X, Y)


def test_at_most_ten_columns_are_named():
    X = pd.DataFrame({f"c{i}": WORD for i in range(12)})
    with pytest.raises(ValueError, match=r"'c9' \((str|object)\) and 2 more\."):
        net(**FAST).fit(X, Y)


@pytest.mark.filterwarnings("ignore:Only pandas and polars DataFrames:UserWarning")  # skrub 0.7
@pytest.mark.parametrize(
    ("X", "names"),
    [
        (
            pd.DataFrame({"a": np.where(Y, np.nan, 1), "b": NOISE, "c": [np.nan, *Y[1:]]}),
            "'a', 'c'",
        ),
        (pd.DataFrame({"a": pd.array(with_gaps(Y.tolist()), dtype="Int64"), "b": 1.0}), "'a'"),
        (pd.DataFrame({"a": 1, "b": np.array(with_gaps(Y.tolist()), dtype=object)}), "'b'"),
        (pl.DataFrame({"a": with_gaps(NOISE.tolist()), "b": NOISE}), "'a'"),
        (pl.DataFrame({"a": with_gaps((Y == 1).tolist()), "b": NOISE}), "'a'"),
        (np.column_stack([NOISE, np.where(Y, np.nan, 1)]), "1"),
    ],
)
def test_missing_values_are_named_with_imputers(X, names):
    with pytest.raises(ValueError, match=rf"contains NaN in columns {names}\..*") as error:
        net(**FAST).fit(X, Y)
    ways = code_in(str(error.value), **FAST)
    assert len(ways) == 2
    for way in ways[isinstance(X, pl.DataFrame) :]:
        way.fit(X, Y)


def test_the_same_errors_at_prediction():
    X = pd.DataFrame({"a": NOISE, "b": NOISE})
    clf = net(**FAST).fit(X, Y)
    with pytest.raises(ValueError, match="not numbers: 'b'"):
        clf.predict(X.assign(b=WORD))
    with pytest.raises(ValueError, match="NaN in columns 'b'"):
        clf.predict_proba(X.assign(b=np.nan))
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(X[["b", "a"]])


class Dataset:
    """As Hugging Face's: no data set of torch's, with a column of lists, or of values."""

    features = column_names = ("a",)

    def __len__(self):
        return N

    def __getitem__(self, row):
        return {"a": NOISE[row]}

    def to_pandas(self):
        return pd.DataFrame({"a": NOISE})


def tuned():
    """A classifier that tunes itself."""
    space = {"alpha": [0.1, 0.5, 1.0]}
    return MixupClassifierCV(net(**FAST), param_distributions=space, n_runs=3, cv=2)


UNREAD = {
    "lazy": (pl.DataFrame({"a": NOISE}).lazy(), r"X is a lazy frame; pass X.collect\(\)"),
    "rows are dicts": (Dataset(), r"Dataset, whose rows are dicts: pass X.to_pandas\(\)"),
}


@pytest.mark.parametrize("make", [lambda: net(**FAST), tuned], ids=["net", "tuned"])
@pytest.mark.parametrize("kind", UNREAD)
def test_tables_that_are_to_be_read_first(make, kind):
    X, match = UNREAD[kind]
    with pytest.raises(ValueError, match=match):
        make().fit(X, Y)
    fitted = make().fit(pl.DataFrame({"a": NOISE}), Y)
    with pytest.raises(ValueError, match=match):  # no warning of missing names before it
        fitted.predict(X)


@pytest.mark.parametrize("make", [lambda: net(**FAST), tuned, MixupRegressor, MixupRegressorCV])
def test_targets_that_are_to_be_read_first(make):
    lazy = pl.DataFrame({"y": Y}).lazy()
    with pytest.raises(ValueError, match=r"^y is a lazy frame; pass y.collect\(\)"):
        make().fit(pl.DataFrame({"a": NOISE}), lazy)


def test_records_are_to_be_a_table():
    X = pd.DataFrame({"a": NOISE, "b": NOISE})
    for records in (X.to_records(index=False), np.array([(1, 2.0)] * N, "i8,f8")):
        with pytest.raises(ValueError, match=r"array of records .*pass pd.DataFrame\(X\)"):
            net(**FAST).fit(records, Y)
    for columns in (X.to_dict("records"), {"a": NOISE, "b": NOISE}):
        with pytest.raises(ValueError, match=r"keys \['a', 'b'\].*pass pd.DataFrame\(X\)"):
            net(**FAST).fit(columns, Y)


@pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, scipy.sparse.dok_array, "frame"])
def test_sparse_data_are_to_be_dense_also_in_a_pipeline(kind):
    X = np.column_stack([NOISE, Y])
    frame = pd.DataFrame(X).astype(pd.SparseDtype("float", 0))
    with pytest.raises(TypeError, match=r"toarray\(\).*sparse_threshold=0"):
        net(**FAST).fit(frame if kind == "frame" else kind(X), Y)


def test_a_frame_without_columns_is_not_taken_for_sparse():
    with pytest.raises(ValueError, match=r"^(?!Sparse)"):
        net(**FAST).fit(pd.DataFrame(index=range(N)), Y)

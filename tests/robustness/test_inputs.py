"""What goes into attacks and label noise comes out of the same kind; wrong columns are named."""

from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.helper import SliceDataset
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from skmixup import MixupClassifier, VicinalClassifier
from skmixup.robustness import (
    HeldOutError,
    accuracy_under_attack,
    corrupt_labels,
    expected_calibration_error,
    fgsm,
    ifgsm,
)

RNG = np.random.default_rng(0)
CODES = np.arange(40) % 2
NAMES = np.array(["no", "yes"])[CODES]
X = RNG.normal(size=(40, 3)) + 3 * CODES[:, None]
FRAME = pd.DataFrame(X, columns=list("abc"))
FAST = {"max_epochs": 3, "random_state": 0}

COLUMNS = {
    "boolean": pd.Series(CODES == 1, dtype="boolean", name="n"),
    "Int64": pd.Series(CODES, dtype="Int64", index=range(9, 49)),
    "string": pd.Series(NAMES, dtype="string"),
    "str": pd.Series(NAMES, dtype="str"),
    "category": pd.Series(pd.Categorical(NAMES)),
    "frame": pd.DataFrame({"y": pd.array(CODES == 1, dtype="boolean")}),
    "array boolean": pd.array(CODES == 1, dtype="boolean"),
    "array Int8": pd.array(CODES.tolist(), dtype="Int8"),
    "Categorical": pd.Categorical(NAMES),
    "polars": pl.Series("n", NAMES.tolist()),
    "polars Boolean": pl.Series("n", (CODES == 1).tolist()),
    "polars Int8": pl.Series("n", CODES.tolist(), dtype=pl.Int8),
    "polars Categorical": pl.Series(NAMES.tolist(), dtype=pl.Categorical),
    "polars Enum": pl.Series(NAMES.tolist(), dtype=pl.Enum(["yes", "no"])),
    "polars frame": pl.DataFrame({"y": NAMES.tolist()}),
}


@pytest.mark.filterwarnings("ignore:A column-vector y")
@pytest.mark.parametrize("kind", COLUMNS)
def test_labels_come_back_in_a_column_of_their_kind(kind):
    y = COLUMNS[kind]
    before = y.copy() if hasattr(y, "copy") else y.clone()
    noisy = corrupt_labels(y, 0.25, random_state=0)
    assert type(noisy) is type(y)
    if hasattr(y, "dtype"):
        assert noisy.dtype == y.dtype
    if hasattr(y, "name"):
        assert noisy.name == y.name
    given, changed = np.asarray(y).ravel(), np.asarray(noisy).ravel()
    assert np.sum(given != changed) == 10
    assert np.array_equal(np.asarray(before).ravel(), given)
    expected = corrupt_labels(NAMES if isinstance(given[0], str) else given, 0.25, random_state=0)
    assert np.array_equal(expected.astype(str), changed.astype(str))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (
            pd.Series([True, False, None] * 9, dtype="boolean"),
            "NA in 9 of 27 rows, first in row 2",
        ),
        (["a", None, "b"], "NA in 1 of 3 rows, first in row 1"),
        (np.array([0.0, np.nan, 1.0]), "NA in 1 of 3 rows"),
        (np.eye(2)[CODES], "one-hot"),
        (np.array(["a", 1], dtype=object), "mixes labels"),
        (None, "y is None; give every row a label"),
    ],
)
def test_labels_that_are_none_are_named(y, message):
    with pytest.raises(ValueError, match=message):
        corrupt_labels(y, 0.5)


def test_labels_of_objects_are_the_numbers_they_hold():
    for values in (CODES, CODES == 1):
        noisy = corrupt_labels(values.astype(object), 0.25, random_state=0)
        assert np.array_equal(noisy, corrupt_labels(values, 0.25, random_state=0))


# ---- attacks


@pytest.fixture(scope="module")
def named():
    return MixupClassifier(**FAST).fit(FRAME, CODES)


@pytest.mark.parametrize("attack", [fgsm, ifgsm])
def test_columns_are_checked_as_predict_checks_them(named, attack):
    for wrong in (FRAME[list("cba")], FRAME[["a", "b"]], FRAME.rename(columns={"a": "z"})):
        with pytest.raises(ValueError, match="feature names should match") as of_predict:
            named.predict(wrong)
        with pytest.raises(ValueError, match="feature names should match") as of_attack:
            attack(named, wrong, CODES, 0.1)
        assert str(of_attack.value) == str(of_predict.value)
        with pytest.raises(ValueError, match="feature names should match"):
            attack(named, pl.DataFrame(wrong), CODES, 0.1)
        with pytest.raises(ValueError, match="feature names should match"):
            accuracy_under_attack(named, wrong, CODES, attack, eps=0.1)


def test_another_number_of_columns_is_named():
    net = MixupClassifier(**FAST).fit(X, CODES)
    for wrong in (X[:, :2], torch.tensor(X[:, :2]), X[:, [0, 1, 2, 0]]):
        with pytest.raises(ValueError, match=r"X has \d features, but MixupClassifier is expect"):
            fgsm(net, wrong, CODES, 0.1)
    images = MixupClassifier(module__width=4, max_epochs=1)
    images.fit(RNG.normal(size=(40, 1, 4, 4)), CODES)
    with pytest.raises(ValueError, match=r"rows of shape \(1, 4, 5\), .* fitted on .*\(1, 4, 4\)"):
        fgsm(images, np.zeros((40, 1, 4, 5)), CODES, 0.1)


@pytest.mark.parametrize("frame", [FRAME, pl.DataFrame(FRAME)], ids=["pandas", "polars"])
def test_frames_come_back_as_frames(named, frame):
    changed = fgsm(named, frame, CODES, 0.5)
    assert type(changed) is type(frame)
    assert list(changed.columns) == list("abc")
    np.testing.assert_allclose(np.asarray(changed), fgsm(named, FRAME, CODES, 0.5))
    assert np.array_equal(named.predict(changed), named.predict(fgsm(named, FRAME, CODES, 0.5)))
    assert accuracy_under_attack(named, frame, CODES, fgsm, eps=0.5) == pytest.approx(
        np.mean(named.predict(changed) == CODES)
    )


def own(net, X, y, **params):
    """An attack of a user's, which checks no names."""
    return np.asarray(X)


@pytest.mark.parametrize("attack", [fgsm, ifgsm, partial(ifgsm, n_steps=2), own])
@pytest.mark.parametrize("source", [False, True])
def test_missing_names_are_told_of_once(named, attack, source):
    other = MixupClassifier(**FAST).fit(X, CODES)
    params = {"source": other} if source else {}
    with pytest.warns(UserWarning, match="does not have valid feature names") as caught:
        accuracy_under_attack(named, X, CODES, attack, eps=0.5, **params)
    assert len(caught) == 1


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_behind_steps_that_give_frames(output):
    pipe = make_pipeline(StandardScaler(), MixupClassifier(**FAST)).set_output(transform=output)
    pipe.fit(FRAME, CODES)
    changed = fgsm(pipe, FRAME, CODES, 0.5)
    assert list(changed.columns) == list("abc")
    assert 0 <= accuracy_under_attack(pipe, FRAME, CODES, fgsm, eps=0.5) <= 1


@pytest.mark.parametrize("kind", ["boolean", "array boolean", "polars Boolean"])
def test_labels_of_any_kind_are_attacked(kind):
    net = MixupClassifier(**FAST).fit(X, COLUMNS[kind])
    expected = fgsm(net, X, CODES == 1, 0.5)
    assert np.array_equal(fgsm(net, X, COLUMNS[kind], 0.5), expected)
    assert accuracy_under_attack(net, X, COLUMNS[kind], fgsm, eps=0.0) == np.mean(
        net.predict(X) == (CODES == 1)
    )
    with pytest.raises(ValueError, match="one-hot"):
        fgsm(net, X, np.eye(2)[CODES], 0.5)


def test_a_tensor_of_half_precision_is_attacked():
    net = MixupClassifier(**FAST).fit(X, CODES)
    rows = torch.tensor(X, dtype=torch.bfloat16)
    assert isinstance(fgsm(net, rows, CODES, 0.5), torch.Tensor)


def test_views_of_complex_tensors_are_attacked_as_their_values_are():
    net = VicinalClassifier(**FAST).fit(X, CODES)
    negative = torch.complex(torch.tensor(X), torch.tensor(-X)).conj().imag
    assert negative.is_neg()
    np.testing.assert_array_equal(fgsm(net, negative, CODES, 0.1), fgsm(net, X, CODES, 0.1))


def test_values_under_a_mask_are_neither_rows_nor_probabilities():
    net = VicinalClassifier(**FAST).fit(X, CODES)
    with pytest.raises(ValueError, match="X is a masked array"):
        fgsm(net, np.ma.masked_less(X, 0), CODES, 0.1)
    proba = net.predict_proba(X)
    with pytest.raises(ValueError, match="y_prob is a masked array"):
        expected_calibration_error(CODES, np.ma.masked_less(proba, 0.5))


def test_data_sets_and_loaders_are_to_be_arrays():
    net = MixupClassifier(**FAST).fit(X, CODES)
    data = TensorDataset(torch.tensor(X), torch.tensor(CODES))
    for wrong in (data, DataLoader(data), SliceDataset(data)):
        with pytest.raises(TypeError, match="pass its inputs as X and its labels as y"):
            fgsm(net, wrong, CODES, 0.1)
    with pytest.raises(TypeError, match="a network with several inputs has none"):
        fgsm(net, {"x": X}, CODES, 0.1)


def test_errors_on_held_out_rows_and_calibration_take_nullable_columns():
    y = COLUMNS["boolean"]
    net = MixupClassifier(callbacks=[HeldOutError(X, y)], **FAST).fit(X, y)
    assert net.history[-1, "held_out_error"] == pytest.approx(1 - net.score(X, CODES == 1))
    prob = net.predict_proba(X)
    assert expected_calibration_error(y, prob) == expected_calibration_error(CODES, prob)
    with pytest.raises(ValueError, match="NA in 1 of 40 rows"):
        expected_calibration_error(y.mask(y.index == 3), prob)


def test_several_labels_per_row_are_attacked_together():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)).astype(np.float32)
    y = (X > 0).astype(int)
    module = nn.Linear(3, 3)
    clf = VicinalClassifier(module, max_epochs=40, lr=0.03, random_state=0).fit(X, y)
    changed = fgsm(clf, X, y, eps=0.1)
    weight = clf.module_.weight.detach().numpy()
    slope = (clf.predict_proba(X) - y) @ weight  # of binary cross-entropy
    np.testing.assert_allclose(changed - X, 0.1 * np.sign(slope), atol=1e-6)
    clean, attacked = clf.score(X, y), accuracy_under_attack(clf, X, y, fgsm, eps=0.3)
    assert attacked < clean - 0.2
    assert attacked == np.mean((clf.predict(fgsm(clf, X, y, 0.3)) == y).all(axis=1))
    named = VicinalClassifier(module, max_epochs=1).fit(X, pd.DataFrame(y, columns=list("abc")))
    turned = pd.DataFrame(y, columns=list("abc"))[["c", "a", "b"]]
    assert np.array_equal(fgsm(named, X, turned, 0.3), fgsm(named, X, y, 0.3))
    sparse = VicinalClassifier(module, max_epochs=1).fit(X, csr_matrix(y))
    assert 0 <= accuracy_under_attack(sparse, X, csr_matrix(y), fgsm, eps=0.1) <= 1
    for labels in (y[:, 0], y[:, :2], y + 1):
        with pytest.raises(ValueError, match=r"several labels per row: y must be a matrix \(n, 3"):
            fgsm(clf, X, labels, 0.1)
    with pytest.raises(ValueError, match=r"one at a time, y_true\[:, k\] and y_prob\[:, k\]"):
        expected_calibration_error(y, clf.predict_proba(X))
    assert expected_calibration_error(y[:, 0], clf.predict_proba(X)[:, 0]) < 0.2


@pytest.mark.parametrize("kind", [RandomForestClassifier, MLPClassifier, OneVsRestClassifier])
def test_any_classifier_of_several_labels_is_attacked_through_a_network(kind):
    y = (X.mean(axis=0) < X).astype(int)
    net = MixupClassifier(module__hidden_sizes=(4,), **FAST).fit(X, y)
    params = {"estimator": LogisticRegression()} if kind is OneVsRestClassifier else {}
    params |= {"n_estimators": 3, "random_state": 0} if kind is RandomForestClassifier else {}
    params |= {"solver": "lbfgs", "max_iter": 5, "tol": 1e9} if kind is MLPClassifier else {}
    for labels in (y, y.tolist(), csr_matrix(y)):
        victim = make_pipeline(kind(**params)).fit(X, y)
        share = np.mean((victim.predict(fgsm(net, X, y, 0.5)) == y).all(axis=1))
        assert accuracy_under_attack(victim, X, labels, fgsm, eps=0.5, source=net) == share
    one = RandomForestClassifier(3).fit(X, CODES)
    with pytest.raises(ValueError, match=r"shape \(40, 3\) instead; one label per row"):
        accuracy_under_attack(one, X, y, fgsm, eps=0.5, source=net)


def test_labels_that_the_classifier_never_predicts_do_not_count_as_wrong(named):
    forest = RandomForestClassifier(5, random_state=0).fit(FRAME, NAMES)
    with pytest.raises(ValueError, match=r"y holds \[0, 1\].*, not in clf.classes_ \['no', 'y"):
        accuracy_under_attack(forest, FRAME, CODES, fgsm, eps=0.1, source=named)
    with pytest.raises(ValueError, match=r"not in clf.classes_"):
        accuracy_under_attack(named, FRAME, NAMES, lambda net, X, y: X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        accuracy_under_attack(named, FRAME, CODES[:1], lambda net, X, y: X)
    callbacks = [HeldOutError(FRAME, NAMES)]
    with pytest.raises(ValueError, match=r"y holds \['no', 'yes'\], not in clf.classes_ \[0, 1"):
        MixupClassifier(**FAST, callbacks=callbacks).fit(FRAME, CODES)


def test_numbers_are_not_the_strings_that_numpy_takes_them_for():
    many, X = np.arange(60), np.eye(60, dtype=np.float32)
    clf = MixupClassifier(max_epochs=1, random_state=0).fit(np.tile(X, (3, 1)), np.tile(many, 3))
    with pytest.raises(ValueError, match=r"y holds \['1', '2'\], not in clf.classes_"):
        fgsm(clf, X[:2], ["1", "2"], 0.1)
    with pytest.raises(ValueError, match=r"y_true holds \['1', '2'\], not in labels"):
        expected_calibration_error(["1", "2"], X[:2], labels=many)


def test_a_radius_below_one_pixel_value_is_noticed():
    images = RNG.integers(256, size=(12, 1, 6, 6), dtype=np.uint8)
    kwargs = {"module__width": 4, "module__depths": (1,), "max_epochs": 1, "random_state": 0}
    clf = MixupClassifier(**kwargs).fit(images, CODES[:12])
    for X in (images, images.astype(float)):
        with pytest.warns(UserWarning, match=r"eps=0.03137 is in units .* 0 to 255.* pass eps=8"):
            fgsm(clf, X, CODES[:12], 8 / 255)
    assert np.abs(fgsm(clf, images, CODES[:12], 8) - images.astype(float)).max() <= 8
    scaled = images / np.float32(255)
    fgsm(MixupClassifier(**kwargs).fit(scaled, CODES[:12]), scaled, CODES[:12], 8 / 255)


@pytest.mark.parametrize("dtype", [np.longdouble, ">f4", ">f8"])
def test_floats_that_torch_does_not_know_are_attacked(dtype):
    rows, labels = np.random.default_rng(0).normal(size=(20, 3)).astype("f4"), np.arange(20) % 2
    clf = MixupClassifier(module__hidden_sizes=(4,), max_epochs=1, random_state=0)
    clf.fit(rows, labels)
    attacked = fgsm(clf, rows.astype(dtype), labels, eps=0.5)
    np.testing.assert_allclose(attacked, fgsm(clf, rows, labels, eps=0.5), rtol=1e-5)


def test_integers_that_float32_does_not_hold_stay_within_the_radius():
    rows = np.random.default_rng(0).integers(2**25, 2**26, size=(20, 3))
    clf = MixupClassifier(module__hidden_sizes=(4,), **FAST).fit(rows, CODES[:20])
    attacked = fgsm(clf, rows, CODES[:20], eps=0.5)
    assert np.abs(attacked - rows).max() <= 0.5
    assert fgsm(clf, rows % 100, CODES[:20], eps=0.5).dtype == np.float32


@pytest.mark.parametrize("attack", [fgsm, ifgsm])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("scale", "eps"), [(1, 8 / 255), (30, 0.1), (1000, 0.3), (1000, 1.2)])
def test_rounding_leads_nowhere_beyond_the_radius(attack, dtype, scale, eps):
    rng = np.random.default_rng(0)
    X = (scale * rng.normal(size=(200, 4))).astype(dtype)
    y = rng.integers(0, 2, size=200)
    net = VicinalClassifier(nn.Linear(4, 2), max_epochs=1, random_state=0).fit(X, y)
    net.module_.weight.data /= 1000  # of a loss of 0 there is no gradient
    adversarial = attack(net, X, y, eps)
    assert adversarial.dtype == dtype
    moved = np.abs(adversarial.astype(np.float64) - X.astype(np.float64))
    assert moved.max() <= eps
    # and it goes as far as numbers of this type allow
    step = np.maximum(np.spacing(np.abs(X)), np.spacing(np.abs(adversarial)))
    reached = moved >= eps - step.astype(np.float64)
    assert reached.mean() > 0.99

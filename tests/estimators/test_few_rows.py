"""A row or two are checked as many are, though by a shorter way where nothing is wrong."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from torch import nn

from skmixup import MixupClassifier, MixupRegressor
from skmixup.estimators import inputs
from skmixup.estimators.inputs import check_inputs
from skmixup.training import batches

X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.arange(40) % 2
SMALL = {"max_epochs": 1, "module__hidden_sizes": (4,), "random_state": 0}

WRONG = {
    "NaN": [[0.0, np.nan, 1.0]],
    "infinity": np.array([[0.0, -np.inf, 1.0]], np.float32),
    "too large for float32": np.array([[0.0, 1e300, 1.0]]),
    "fewer columns": X[:1, :2],
    "more columns": np.ones((1, 4)),
    "no columns": np.ones((1, 0)),
    "no rows": X[:0],
    "one axis": X[0],
    "three axes": X[:1, :, None],
    "complex": X[:1] + 0j,
    "text": np.array([["1", "2", "3"]]),
    "text in objects": np.array([["1", 2, 3]], dtype=object),
    "times": np.zeros((1, 3), "M8[s]"),
    "records": np.zeros((1, 3), [("a", float)]),
    "masked": np.ma.masked_array(X[:1], [[True, False, False]]),
    "sparse": csr_matrix(X[:1]),
    "NaN in a tensor": torch.tensor([[0.0, np.nan, 1.0]]),
}


@pytest.fixture(scope="module")
def clf():
    return MixupClassifier(**SMALL).fit(X, Y)


def the_long_way(monkeypatch):
    monkeypatch.setattr(inputs, "_FEW_VALUES", 0)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # scikit-learn's
@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_with_one_row_is_told_as_of_many(clf, kind, monkeypatch):
    with pytest.raises((TypeError, ValueError)) as short:
        clf.predict_proba(WRONG[kind])
    the_long_way(monkeypatch)
    with pytest.raises((TypeError, ValueError)) as long:
        clf.predict_proba(WRONG[kind])
    assert (type(short.value), str(short.value)) == (type(long.value), str(long.value))


@pytest.mark.parametrize(
    "rows",
    [
        X[:1],
        X[:7:2],
        X[:2].astype(np.float32),
        np.asfortranarray(X[:5]),
        X[3:1:-1],
        X[:2].astype(">f8"),
        X[:2].astype(np.float16),
        X[:2].astype(np.longdouble),
        np.array([[1, 2, 3]]),
        np.array([[True, False, True]]),
        np.zeros((2, 3), np.uint8),
        torch.from_numpy(X[:2]),
        [[1, 2.5, 3]],
    ],
    ids=lambda rows: f"{type(rows).__name__} {getattr(rows, 'dtype', '')}",
)
def test_the_short_way_gives_the_rows_that_the_long_way_gives(clf, rows, monkeypatch):
    short = check_inputs(clf, rows, reset=False)
    proba = clf.predict_proba(rows)
    the_long_way(monkeypatch)
    long = check_inputs(clf, rows, reset=False)
    assert short.dtype == long.dtype == np.float32
    assert short.flags.c_contiguous
    assert long.flags.c_contiguous
    np.testing.assert_array_equal(short, long)
    np.testing.assert_array_equal(proba, clf.predict_proba(rows))


def test_names_of_columns_are_missed_in_one_row_too():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    reg = MixupRegressor(**SMALL).fit(frame, X[:, 0])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        reg.predict(X[:1])
    with pytest.raises(ValueError, match="feature names should match"):
        reg.predict(frame.iloc[:1, ::-1])


def test_a_row_is_predicted_within_and_without_inference_mode(clf):
    with torch.inference_mode():
        inside = clf.predict_proba(X[:1])
    with torch.no_grad():
        beside = clf.predict_proba(X[:1])
    assert (inside == clf.predict_proba(X[:1])).all()
    assert (beside == inside).all()
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


class Asking(MixupClassifier):
    def infer(self, x, **fit_params):
        self.modes = [*getattr(self, "modes", []), torch.is_inference_mode_enabled()]
        return super().infer(x, **fit_params)


def test_what_a_user_infers_may_be_kept_for_gradients():
    net = Asking(**SMALL).fit(X, Y)
    net.predict_proba(X[:1])
    net.predict_proba(X)
    assert not any(net.modes)


def halve(outputs):
    return outputs.div_(2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_outputs_may_be_changed_in_place(dtype):
    net = MixupClassifier(**SMALL).fit(X, Y)
    net.module_.to(dtype)
    logits = net.set_params(predict_nonlinearity=None).predict_proba(X)
    net.set_params(predict_nonlinearity=halve)
    for rows in (X[:1], X):
        np.testing.assert_allclose(net.predict_proba(rows), logits[: len(rows)] / 2, rtol=1e-5)


class Squeezed(nn.Linear):
    def forward(self, x):
        return super().forward(x).squeeze()


@pytest.mark.parametrize(
    ("kind", "n_outputs", "labels"),
    [
        (MixupRegressor, 1, np.linspace(0, 1, 9)),
        (MixupClassifier, 1, np.arange(9) % 2),
        (MixupClassifier, 3, np.arange(9) % 3),
    ],
    ids=["numbers", "one logit", "three logits"],
)
def test_a_module_that_squeezes_the_rows_away_is_told_how_not_to(kind, n_outputs, labels):
    criterion = {"criterion": nn.BCEWithLogitsLoss} if len(set(labels)) == 2 else {}
    net = kind(Squeezed, module__in_features=2, module__out_features=n_outputs, batch_size=4)
    rows = np.random.default_rng(0).normal(size=(9, 2))  # and one row is left over
    with pytest.raises(ValueError, match=r"squeeze\(1\) does not"):
        net.set_params(**criterion).fit(rows, labels)


@pytest.fixture
def record_rows():
    """Notes of how many rows a module is given."""

    def record(module):
        given = []
        module.register_forward_pre_hook(lambda _, inputs: given.append(len(inputs[0])))
        return given

    return record


def test_few_rows_go_through_no_iterator_and_many_do(clf, monkeypatch):
    expected = clf.predict_proba(X)
    monkeypatch.setattr(batches.TensorBatches, "__init__", None)  # fails where it is called
    for n in (1, 2, 15):
        assert np.array_equal(clf.predict_proba(X[:n]), expected[:n])
    with pytest.raises(TypeError):
        clf.predict_proba(X[:16])


def test_whoever_takes_part_in_making_batches_is_asked_for_one_row_too():
    class Halved(MixupClassifier):
        def get_iterator(self, dataset, training=False):
            iterator = super().get_iterator(dataset, training=training)
            return iterator if training else ((x / 2, y) for x, y in iterator)

    class Kept(MixupClassifier):
        def get_dataset(self, X, y=None):
            self.asked_ = True
            return super().get_dataset(X, y)

    halved = Halved(**SMALL).fit(X, Y)
    plain = MixupClassifier(**SMALL).fit(X, Y)
    assert np.allclose(halved.predict_proba(X[:1]), plain.predict_proba(X[:1] / 2), atol=1e-6)
    kept = Kept(**SMALL).fit(X, Y)
    del kept.asked_
    kept.predict_proba(X[:1])
    assert kept.asked_
    dropping = MixupClassifier(**SMALL, iterator_valid__drop_last=True,
                               iterator_valid__batch_size=8).fit(X, Y)  # fmt: skip
    with pytest.raises(ValueError, match="only 0 of 3 rows were predicted"):
        dropping.predict(X[:3])


def test_one_row_is_not_written_to():
    row = X[:1].astype(np.float32)
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2))
    before = row.copy()
    MixupClassifier(module, max_epochs=1).fit(X, Y).predict(row)
    assert np.array_equal(row, before)


@pytest.mark.parametrize("n_members", [1, 2, 4])
@pytest.mark.parametrize("n_classes", [2, 9])
@pytest.mark.parametrize("hidden_sizes", [(), (64,), (256, 256)])
def test_the_default_network_predicts_each_row_as_it_does_among_many(
    n_members, n_classes, hidden_sizes, record_rows
):
    rng = np.random.default_rng()
    rows = rng.normal(size=(300, rng.integers(1, 60))).astype(np.float32)
    sizes = {"module__hidden_sizes": hidden_sizes, "module__n_members": n_members}
    clf = MixupClassifier(max_epochs=1, **sizes).fit(rows, np.arange(300) % n_classes)
    many = clf.predict_proba(rows)
    run = record_rows(clf.module_)
    for n in (1, 2, 3, 8, 9, 10, 15, 16):
        few = clf.predict_proba(rows[:n])
        assert few.shape == (n, n_classes)
        np.testing.assert_allclose(few, many[:n], rtol=0, atol=3e-7)
    least = 9 if n_members > 1 and hidden_sizes else 16
    assert run == [max(n, least) for n in (1, 2, 3, 8, 9, 10, 15, 16)]

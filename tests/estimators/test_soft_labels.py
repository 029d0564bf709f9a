"""Facts about soft labels: which matrices are, what is trained on, what is predicted."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.model_selection import cross_val_predict
from skorch.callbacks import Callback, EarlyStopping, EpochScoring
from torch import nn
from torch.nn import functional as F

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.estimators.validation import joined
from skmixup.vicinal import Mixup
from skmixup.vicinal.loss import vicinal_loss

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
LOGITS = 2 * X[:, :3]
SOFT = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
HARD = SOFT.argmax(axis=1)
ONE_HOT = np.eye(3)[HARD]
KINDS = [VicinalClassifier, MixupClassifier, ManifoldMixupClassifier]


def net(kind=MixupClassifier, **params):
    return kind(**({"max_epochs": 3, "random_state": 0} | params))


@pytest.mark.parametrize("kind", KINDS)
def test_one_hot_rows_train_as_their_labels(kind):
    hard = net(kind).fit(X, HARD)
    soft = net(kind, classes=[0, 1, 2]).fit(X, ONE_HOT)
    np.testing.assert_allclose(soft.predict_proba(X), hard.predict_proba(X), atol=1e-6)
    assert soft.classes_.tolist() == [0, 1, 2]


def test_rows_in_their_order_and_without_mixing():
    params = {"alpha": 0.0, "iterator_train__shuffle": False}
    hard = net(**params).fit(X, HARD)
    soft = net(classes=[0, 1, 2], **params).fit(X, pd.DataFrame(ONE_HOT, columns=[0, 1, 2]))
    np.testing.assert_allclose(soft.predict_proba(X), hard.predict_proba(X), atol=1e-6)


class Held(Callback):
    """Keeps the inputs held out."""

    def on_epoch_begin(self, net, dataset_valid=None, **kwargs):
        self.rows_ = np.concatenate([batch[0] for batch in net.get_iterator(dataset_valid)])


def held_out(y, weight=None, **params):
    clf = net(train_split=0.25, max_epochs=1, callbacks=[("held", Held())], **params)
    rows = dict(clf.fit(X, y, sample_weight=weight).callbacks_)["held"].rows_
    return (rows[:, None] == X[None]).all(axis=2).argmax(axis=1)


@pytest.mark.parametrize("weight", [None, np.where(np.arange(60) % 3, 1.0, 0.0)], ids=["", "some"])
def test_a_fraction_is_one_of_every_most_probable_class(weight):
    found = held_out(0.9 * ONE_HOT + 0.1 / 3, weight)
    assert np.array_equal(found, held_out(HARD, weight))
    rare = np.repeat([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], [44, 8, 8], axis=0)
    for seed in range(4):
        counts = np.bincount(rare[held_out(rare, random_state=seed)].argmax(axis=1))
        assert counts.tolist() == [11, 2, 2]


def test_classes_that_are_seldom_the_most_probable_are_no_obstacle():
    many = np.full((60, 40), 0.5 / 39)
    top = np.r_[np.repeat([0, 1], [12, 16]), np.arange(8, 40)]  # 32 classes of one row each
    many[np.arange(60), top] = 0.5
    found = np.bincount(np.minimum(top[held_out(many)], 2))
    assert found.sum() == 15
    assert found[1] == 4  # of 16
    assert len(held_out(np.eye(60)[:, :60] * 0.4 + 0.6 / 60)) == 15


@pytest.mark.parametrize("most", [1, 2, 3, 10])
def test_small_classes_are_joined_until_all_can_be_parted(most):
    for seed in range(50):
        rng = np.random.default_rng(seed)
        codes = rng.integers(0, rng.integers(1, 12), size=rng.integers(2, 30))
        strata = joined(codes, most)
        sizes = np.unique(strata, return_counts=True)[1]
        assert len(sizes) <= most
        assert sizes.min() > 1
        counts = np.bincount(codes)
        if counts[counts > 0].min() > 1 and np.count_nonzero(counts) <= most:
            assert np.array_equal(strata, codes)


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
@pytest.mark.parametrize("n_members", [1, 3])
def test_the_loss_is_the_cross_entropy_of_the_mixed_probabilities(mix_per, n_members):
    logits = torch.from_numpy(RNG.normal(size=(60, 3, n_members)))
    logits = logits[:, :, 0] if n_members == 1 else logits
    p, w = torch.from_numpy(SOFT), torch.from_numpy(RNG.uniform(size=60))
    draw = Mixup(1.0, mix_per=mix_per).draw(p, np.random.default_rng(1))
    weight = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1, weight=weight)
    lam = draw.lam.expand(60).unsqueeze(1)
    mixed = lam * w[:, None] * p + (1 - lam) * w[draw.partner, None] * p[draw.partner]
    mass = mixed.sum(dim=1, keepdim=True)
    smooth = 0.9 * mixed + 0.1 / 3 * mass
    members = [logits] if n_members == 1 else logits.unbind(dim=2)
    expected = torch.stack(
        [-(smooth * criterion.weight * F.log_softmax(z, dim=1)).sum(dim=1).mean() for z in members]
    ).mean()
    torch.testing.assert_close(vicinal_loss(criterion, logits, p, draw, w), expected)


def test_a_network_learns_the_probabilities_not_only_the_most_probable_class():
    soft = net(max_epochs=150, alpha=0.0, module__dropout=0.0).fit(X, SOFT)
    hard = net(max_epochs=150, alpha=0.0, module__dropout=0.0).fit(X, HARD)

    def error(clf):
        return np.abs(clf.predict_proba(X) - SOFT).mean()

    assert error(soft) < 0.03
    assert error(hard) > 2 * error(soft)
    assert np.mean(soft.predict(X) == HARD) > 0.95
    assert soft.score(X, HARD) > 0.95


def test_classes_name_the_columns_in_any_order():
    names = ["b", "c", "a"]
    clf = net(classes=names).fit(X, SOFT)
    plain = net().fit(X, SOFT[:, [2, 0, 1]])
    assert clf.classes_.tolist() == ["a", "b", "c"]
    assert np.array_equal(clf.predict_proba(X), plain.predict_proba(X))
    assert set(clf.predict(X)) <= {"a", "b", "c"}


@pytest.mark.parametrize("first", [SOFT, np.array(["b", "c", "a"])[HARD]], ids=["soft", "hard"])
def test_columns_are_those_that_the_first_call_of_partial_fit_named(first):
    names = ["b", "c", "a"]
    parts = net().partial_fit(X, first, classes=names)
    parts = pickle.loads(pickle.dumps(parts)).partial_fit(X, SOFT)
    named = net().partial_fit(X, first, classes=names).partial_fit(X, SOFT, classes=names)
    assert np.array_equal(parts.predict_proba(X), named.predict_proba(X))
    assert parts.fit(X, SOFT).classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_columns_of_a_frame_are_known_by_the_names_of_classes(frame):
    by_name = net(classes=["a", "b", "c"]).fit(X, frame(dict(zip("bca", SOFT.T, strict=True))))
    plain = net(classes=["b", "c", "a"]).fit(X, SOFT)
    assert np.array_equal(by_name.predict_proba(X), plain.predict_proba(X))
    other = net(classes=["b", "c", "a"]).fit(X, frame(dict(zip("xyz", SOFT.T, strict=True))))
    assert np.array_equal(other.predict_proba(X), plain.predict_proba(X))
    numbers = net(classes=[1, 2, 0]).fit(X, pd.DataFrame(SOFT))  # which are no names
    assert np.array_equal(numbers.predict_proba(X), plain.predict_proba(X))


def test_partial_fit_takes_hard_and_soft_labels_of_the_same_classes():
    clf = net(max_epochs=1).partial_fit(X, np.array(["x", "y", "z"])[HARD])
    clf.partial_fit(X, SOFT)
    assert clf.n_iter_ == 2
    assert set(clf.predict(X)) <= {"x", "y", "z"}
    with pytest.raises(ValueError, match="classes must name the 2 columns of y"):
        clf.partial_fit(X, np.c_[SOFT[:, 0], 1 - SOFT[:, 0]])


def test_rows_held_out_callbacks_and_weights_see_one_label():
    seen = []

    class Looks(EpochScoring):
        def on_batch_end(self, net, batch, training=False, **kwargs):
            seen.append(np.asarray(batch[1]))

    callbacks = [Looks("accuracy", use_caching=False), EarlyStopping(patience=100)]
    clf = net(train_split=0.25, callbacks=callbacks, classes=["a", "b", "c"])
    clf.fit(X, SOFT, sample_weight=RNG.uniform(size=60))
    assert set(np.concatenate(seen)) <= {"a", "b", "c"}
    assert 0 <= clf.history_[-1, "valid_acc"] <= 1


def test_binary_cross_entropy_takes_them_too():
    clf = net(criterion=nn.BCEWithLogitsLoss, max_epochs=40).fit(X, SOFT)
    assert np.mean(clf.predict(X) == HARD) > 0.8
    with pytest.raises(ValueError, match="criterion NLLLoss takes one class per row"):
        net(criterion=nn.NLLLoss).fit(X, SOFT)


def test_partners_may_have_similar_probabilities():
    vicinity = Mixup(1.0, pairing="similar", bandwidth=0.2)
    clf = net(VicinalClassifier, vicinity=vicinity).fit(X, SOFT)
    assert np.isfinite(clf.predict_proba(X)).all()


def test_lists_tensors_and_rounded_probabilities():
    expected = net().fit(X, SOFT).predict_proba(X)
    tensor, objects = torch.from_numpy(SOFT), SOFT.astype(object)
    for y in (SOFT.tolist(), tensor, [*tensor], SOFT.astype(np.float32), objects):
        np.testing.assert_allclose(net().fit(X, y).predict_proba(X), expected, atol=1e-4)
    rounded = np.round(SOFT, 3)
    np.testing.assert_allclose(net().fit(X, rounded).predict_proba(X), expected, atol=0.05)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.r_[SOFT[:5] * 0.5, SOFT[5:]], r"5 of its rows do not sum to one, first row 0.*0\.5;"),
        (np.r_[[[1.5, -0.5, 0.0]], SOFT[1:]], r"negative entries, first in row 0.*; y is one"),
        (np.r_[[[np.nan, 0.5, 0.5]], SOFT[1:]], "contains NaN or infinity, first in row 0"),
        (SOFT[:59], "inconsistent numbers of samples"),
        (np.ma.masked_equal(SOFT, SOFT[7, 1]), "masked values in 1 of 60 rows, first in row 7"),
        (np.ma.masked_equal(ONE_HOT, 1), "masked values in 60 of 60 rows, first in row 0"),
        (
            pd.DataFrame(SOFT).astype("Float64").where(SOFT[7, 1] != SOFT),
            "contains NaN or infinity, first in row 7",
        ),
        (pd.Series([*SOFT]), r"objects of the type ndarray; .*make one matrix, np.stack\(y\)"),
    ],
)
def test_other_matrices_are_told_with_the_kinds_there_are(y, message):
    with pytest.raises(ValueError, match=message):
        net().fit(X, y)


def test_class_weights_do_not_fit_soft_labels():
    with pytest.raises(ValueError, match="class_weight weighs rows by their one class"):
        net(class_weight="balanced").fit(X, SOFT)
    with pytest.raises(ValueError, match=r"classes must name the 3 columns of y.*\['a', 'b'\]"):
        net(classes=["a", "b"]).fit(X, SOFT)


def test_out_of_fold_predictions_make_a_teacher():
    teacher = cross_val_predict(net(), X, HARD, method="predict_proba", cv=3)
    student = net(max_epochs=30).fit(X, teacher)
    assert student.score(X, HARD) > 0.5

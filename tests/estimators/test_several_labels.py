"""Facts about several labels per row: what is trained on, what is predicted, what is refused."""

import io
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from skorch.callbacks import EpochScoring
from skorch.helper import predefined_split
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
from skmixup.networks import PreActResNet
from skmixup.vicinal import CutMix, Mixup

X, Y = make_multilabel_classification(
    n_samples=120, n_features=8, n_classes=4, random_state=0, allow_unlabeled=True
)
X = X.astype(np.float32)
KINDS = [VicinalClassifier, MixupClassifier, ManifoldMixupClassifier]


def net(kind=MixupClassifier, **params):
    return kind(**({"max_epochs": 2, "random_state": 0} | params))


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_learns_every_label(kind):
    clf = net(kind, max_epochs=15, lr=0.01).fit(X, Y)
    proba, predicted = clf.predict_proba(X), clf.predict(X)
    assert isinstance(clf.criterion_, nn.BCEWithLogitsLoss)
    assert clf.multilabel_
    assert clf.classes_.tolist() == [0, 1, 2, 3]
    assert proba.shape == Y.shape
    np.testing.assert_allclose(1 / (1 + np.exp(-clf.decision_function(X))), proba, atol=1e-12)
    np.testing.assert_allclose(np.exp(clf.predict_log_proba(X)), proba, atol=1e-12)
    assert np.array_equal(predicted, (proba > 0.5).astype(int))
    assert clf.score(X, Y) == np.mean((predicted == Y).all(axis=1)) > 0.5
    assert np.mean(predicted == Y) > 0.85


@pytest.mark.parametrize("n_labels", [2, 4])
def test_shapes_are_those_of_mlp_classifier(n_labels):
    theirs = MLPClassifier(max_iter=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(X, Y[:, :n_labels])
    ours = net().fit(X, Y[:, :n_labels])
    assert np.array_equal(ours.classes_, theirs.classes_)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        a, b = getattr(ours, method)(X), getattr(theirs, method)(X)
        assert (a.shape, a.dtype.kind) == (b.shape, b.dtype.kind)
    assert ours.decision_function(X).shape == (len(X), n_labels)


class Recorded(MixupClassifier):
    """Keeps what a step is given and gives."""

    def step_loss(self, X, y, draw, **params):
        loss, output, mixed = super().step_loss(X, y, draw, **params)
        if self.module_.training:
            self.__dict__.setdefault("steps", []).append((y, draw, output, loss))
        return loss, output, mixed


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_the_binary_cross_entropy_of_the_mixed_labels(mix_per, weighted):
    weight = np.random.default_rng(0).uniform(0.1, 2, len(Y)) if weighted else None
    pos_weight = torch.tensor([1.0, 2.0, 3.0, 4.0])
    clf = Recorded(alpha=1.0, mix_per=mix_per, max_epochs=1, random_state=0, batch_size=32,
                   criterion__pos_weight=pos_weight)  # fmt: skip
    clf.fit(X, Y, weight)
    assert len(clf.steps) == 4
    for y, draw, output, loss in clf.steps:
        y, w = y if weighted else (y, torch.ones(len(y)))
        output = output.detach()
        total = 0.0
        for i, j in enumerate(draw.partner.tolist()):
            lam = float(draw.lam if draw.lam.ndim == 0 else draw.lam[i])
            for member in range(output.shape[2]):
                for label in range(4):
                    z = output[i, label, member].double()
                    ours = lam * w[i] * y[i, label], (1 - lam) * w[j] * y[j, label]
                    mass = lam * w[i] + (1 - lam) * w[j]
                    on = sum(ours)
                    cost = -pos_weight[label] * on * F.logsigmoid(z)
                    total += float(cost - (mass - on) * F.logsigmoid(-z))
        expected = total / (len(y) * 4 * output.shape[2])
        assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_one_label_of_two_alike_is_the_network_of_the_two_classes():
    """The mean over two equal columns is the loss of one column."""

    class Twice(nn.Module):
        def __init__(self, n_outputs):
            super().__init__()
            torch.manual_seed(0)
            self.linear, self.n_outputs = nn.Linear(8, 1), n_outputs

        def forward(self, x):
            return self.linear(x).expand(-1, self.n_outputs)

    common = {"criterion": nn.BCEWithLogitsLoss, "alpha": 1.0, "max_epochs": 3}
    one = net(module=Twice(1), **common).fit(X, Y[:, 0])
    two = net(module=Twice(2), **common).fit(X, Y[:, [0, 0]])
    np.testing.assert_allclose(one.predict_proba(X)[:, 1], two.predict_proba(X)[:, 0], rtol=1e-5)


FORMS = {
    "lists": Y.tolist(),
    "booleans": Y.astype(bool),
    "floats": Y.astype(float),
    "a tensor": torch.from_numpy(Y),
    "a frame": pd.DataFrame(Y),
    "a frame of several types": pd.DataFrame({0: Y[:, 0] > 0, 1: Y[:, 1], 2: Y[:, 2], 3: Y[:, 3]}),
    "a sparse matrix": sp.csc_matrix(Y),
    "a sparse array": sp.coo_array(Y),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_matrix_may_have_many_forms(form):
    y = FORMS[form]
    expected = net(max_epochs=1).fit(X, Y)
    clf = net(max_epochs=1).fit(X, y)
    assert np.array_equal(clf.predict_proba(X), expected.predict_proba(X))
    predicted = clf.predict(X)
    if not sp.issparse(y):
        assert isinstance(predicted, np.ndarray)
        return
    assert sp.issparse(predicted)
    assert isinstance(predicted, sp.sparray) is isinstance(y, sp.sparray)
    assert np.array_equal(predicted.toarray(), expected.predict(X))
    assert clf.score(X, sp.csr_matrix(Y)) == expected.score(X, Y)


def test_labels_that_are_never_or_always_on_and_rows_without_any():
    y = np.c_[Y, np.zeros(len(Y), int), np.ones(len(Y), int)]
    clf = net(max_epochs=25).fit(X, y)
    predicted = clf.predict(X)
    assert not predicted[:, 4].any()
    assert predicted[:, 5].all()
    nothing = net().fit(X, np.zeros_like(Y))
    assert np.isfinite(nothing.predict_proba(X)).all()


def test_one_column_is_one_label_per_row():
    with pytest.warns(match="column-vector"):
        clf = net().fit(X, Y[:, :1])
    assert not clf.multilabel_
    assert clf.predict(X).shape == (len(X),)
    with pytest.warns(match="column-vector"):
        assert not net().fit(X, sp.csr_matrix(Y[:, :1])).multilabel_


def test_one_hot_rows_are_told():
    one_hot = np.eye(3, dtype=int)[np.arange(len(X)) % 3]
    with pytest.warns(UserWarning, match=r"exactly one.*np\.argmax\(y, axis=1\)"):
        net(max_epochs=1).fit(X, one_hot)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = net(classes=["a", "b", "c"], max_epochs=1).fit(X, one_hot)
        net(max_epochs=1).partial_fit(X, Y)
    assert not clf.multilabel_


def test_models_come_in_pickles_and_in_files_of_parameters():
    clf = net().fit(X, sp.csr_matrix(Y))
    again = pickle.loads(pickle.dumps(clf))
    assert np.array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert sp.issparse(again.predict(X))
    file = io.BytesIO()
    clf.save_params(file)
    file.seek(0)
    loaded = MixupClassifier()
    loaded.load_params(file)
    assert loaded.multilabel_
    assert isinstance(loaded.criterion_, nn.BCEWithLogitsLoss)
    assert np.array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert np.array_equal(loaded.predict(X), clf.predict(X).toarray())
    loaded.partial_fit(X, Y)


def test_a_module_of_ones_own_that_is_initialised_before_its_labels_are_known():
    module = nn.Linear(8, 4)
    clf = net(module=module).initialize()
    assert isinstance(clf.criterion_, nn.CrossEntropyLoss)
    clf.partial_fit(X, Y)
    assert isinstance(clf.criterion_, nn.BCEWithLogitsLoss)
    fitted = net(module=module).fit(X, Y)
    assert np.array_equal(clf.predict_proba(X), fitted.predict_proba(X))
    fitted.fit(X, Y.sum(axis=1) % 4)
    assert isinstance(fitted.criterion_, nn.CrossEntropyLoss)
    assert fitted.predict(X).shape == (len(X),)


def test_partial_fit_goes_on():
    whole = net(max_epochs=4, lr_schedule=None).fit(X, Y)
    parts = net(max_epochs=4, lr_schedule=None)
    parts.partial_fit(X, Y, epochs=1).partial_fit(X, Y, epochs=3)
    assert parts.n_iter_ == whole.n_iter_ == 4
    for y in (Y[:, :3], Y[:, 0], np.full(Y.shape, 0.25)):
        with pytest.raises(ValueError, match=r"fitted on 4 labels.*matrix \(n, 4\) of zeros and"):
            parts.partial_fit(X, y)
    single = net().fit(X, Y[:, 0])
    with pytest.raises(ValueError, match=r"classes must name the 4 columns|do not sum to one"):
        single.partial_fit(X, Y)


def test_rows_are_held_out_and_callbacks_see_the_matrix():
    seen = []

    class Looks(EpochScoring):
        def on_batch_end(self, net, batch, training=False, **kwargs):
            seen.append(np.asarray(batch[1]))

    clf = net(train_split=0.25, callbacks=[Looks("f1_macro", use_caching=False, name="f1")])
    clf.fit(X, Y, sample_weight=np.linspace(0.5, 2, len(X)))
    assert all(np.isin(y, (0, 1)).all() and y.shape[1] == 4 for y in seen)
    assert 0 <= clf.history_[-1, "valid_acc"] <= 1
    assert 0 <= clf.history_[-1, "f1"] <= 1


def test_data_sets_of_ones_own_and_workers():
    indicators = torch.from_numpy(Y)
    data = TensorDataset(torch.from_numpy(X), indicators)
    arrays, sets = net().fit(X, Y), net().fit(data)
    assert sets.multilabel_
    assert sets.predict(X).shape == Y.shape
    assert sets.predict_proba(data).shape == arrays.predict_proba(X).shape
    held_out = predefined_split(TensorDataset(torch.from_numpy(X[:30]), indicators[:30]))
    for X_, y in ((X, Y), (data, None)):
        clf = net(train_split=held_out).fit(X_, y)
        assert 0 <= clf.history_[-1, "valid_acc"] <= 1
    loaded = net(iterator_train__num_workers=0, iterator_train__drop_last=False)
    assert np.isfinite(loaded.fit(X, Y).loss_curve_).all()
    with pytest.raises(ValueError, match="fitted on 4 labels"):
        sets.partial_fit(TensorDataset(torch.from_numpy(X), indicators[:, :3]))
    with pytest.raises(ValueError, match="fitted on 4 labels"):
        net(train_split=predefined_split(TensorDataset(data.tensors[0], indicators[:, 0]))).fit(
            X, Y
        )


def test_no_pilot_chooses_the_epochs():
    clf = MixupClassifier(random_state=0)
    clf.fit(X, Y)
    assert clf.n_iter_ == 32
    with pytest.raises(ValueError, match="groups say which rows train_split holds out together"):
        clf.fit(X, Y, groups=np.arange(120) % 5)
    clf.set_params(train_split=0.2, max_epochs=1).fit(X, Y, groups=np.arange(120) % 5)


def test_images_under_cutmix_and_layers_of_a_residual_network():
    images = np.random.default_rng(0).normal(size=(12, 1, 8, 8)).astype(np.float32)
    common = {"module": PreActResNet(1, 4, width=4, depths=(1, 1)), "max_epochs": 1}
    for clf in (
        net(VicinalClassifier, vicinity=CutMix(1.0), **common),
        net(ManifoldMixupClassifier, layers=[0, 1, 2], mix_per="sample", **common),
        net(VicinalClassifier, vicinity=Mixup(1.0, pairing="similar", bandwidth=0.3), **common),
    ):
        assert clf.fit(images, Y[:12]).predict_proba(images).shape == (12, 4)


def test_scikit_learns_searches_scores_and_chains():
    pipe = make_pipeline(StandardScaler(), net(max_epochs=10))
    search = GridSearchCV(pipe, {"mixupclassifier__alpha": [0.0, 0.5]}, scoring="f1_macro", cv=2)
    assert search.fit(X, Y).predict(X).shape == Y.shape
    for scoring in ("accuracy", "roc_auc", "average_precision", "f1_macro", "jaccard_micro"):
        assert np.isfinite(cross_val_score(net(), X, Y, scoring=scoring, cv=2)).all()
    for method in ("predict", "predict_proba", "decision_function"):
        assert cross_val_predict(net(), X, Y, cv=2, method=method).shape == Y.shape
    for around in (ClassifierChain(net()), MultiOutputClassifier(net())):
        assert around.fit(X, Y).predict(X).shape == Y.shape
    assert get_tags(net()).classifier_tags.multi_label
    assert not get_tags(InterpolationConsistencyClassifier()).classifier_tags.multi_label


class Distance(nn.Module):
    """A loss of the user's own, of probabilities, which takes a matrix."""

    reduction = "mean"

    def forward(self, output, target):
        loss = (torch.sigmoid(output) - target) ** 2
        return loss if self.reduction == "none" else loss.mean()


@pytest.mark.parametrize(
    "criterion", [nn.MSELoss, nn.MultiLabelSoftMarginLoss, Distance, F.huber_loss]
)
def test_criterions_that_take_a_matrix(criterion):
    clf = net(criterion=criterion, max_epochs=20, lr=0.01, mix_per="sample").fit(X, Y)
    assert np.mean(clf.predict(X) == Y) > 0.8
    assert 0 <= clf.predict_proba(X).min() <= clf.predict_proba(X).max() <= 1


def test_probabilities_of_a_module_that_returns_them():
    module = nn.Sequential(nn.Linear(8, 4), nn.Sigmoid())
    clf = net(module=module, criterion=nn.BCELoss).fit(X, Y)
    proba = clf.predict_proba(X)
    np.testing.assert_allclose(1 / (1 + np.exp(-clf.decision_function(X))), proba, atol=1e-6)


REFUSED = {
    "cross-entropy": (
        {"criterion": nn.CrossEntropyLoss},
        Y,
        "criterion CrossEntropyLoss takes one class per row, and y is several labels.*'auto'",
    ),
    "class weights": ({"class_weight": "balanced"}, Y, "class_weight.*criterion__pos_weight"),
    "label smoothing": (
        {"criterion__label_smoothing": 0.1},
        Y,
        "criterion__label_smoothing: with several labels.*weight, pos_weight and reduction",
    ),
    "logits for BCELoss": ({"criterion": nn.BCELoss}, Y, "BCELoss takes probabilities"),
    "outputs": (
        {"module": nn.Linear(8, 3)},
        Y,
        r"one logit for each label, shape \(n, 4\); got \(2, 3\)",
    ),
    "one output": ({"module": nn.Linear(8, 1)}, Y[:, :2], r"shape \(n, 2\); got \(2, 1\)"),
    "counts": ({}, Y + 1, "do not sum to one.*y is one label per row.*several labels per row, a"),
    "classes": ({"classes": [0, 1, 2, 3]}, Y, "do not sum to one.*where `classes` is not given"),
    "sparse counts": ({}, sp.csr_matrix(2 * Y), "do not sum to one.*several labels per row, a"),
    "NaN": ({}, np.where(Y == 1, np.nan, Y), "Input y contains NaN"),
    "rows": ({}, Y[:-1], "inconsistent numbers of samples"),
    "three axes": ({}, np.zeros((120, 2, 2)), r"\(120, 2, 2\) and is no kind of y; y is"),
    "strings": ({}, np.array([["a", "b"]] * 120), r"\(120, 2\) and is no kind of y; y is one"),
    "lists of labels": ({}, [[0, 1], [2]] * 60, r"the first \[0, 1\]; .*MultiLabelBinarizer"),
    "sets of labels": ({}, np.array([{1}, {2}] * 60), r"the first \{1\}; .*MultiLabelBinarizer"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_told_before_training(case):
    params, y, message = REFUSED[case]
    clf = net(**params)
    with pytest.raises((ValueError, TypeError), match=message):
        clf.fit(X, y)
    assert not hasattr(clf, "module_")


def test_interpolation_consistency_takes_one_label_per_row():
    with pytest.raises(ValueError, match="one label per row"):
        net(InterpolationConsistencyClassifier).fit(X, Y)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("kind", [MixupClassifier, MixupRegressor])
def test_later_calls_know_columns_of_targets_by_their_names(kind, frame):
    rng = np.random.default_rng(0)
    rows, targets = rng.normal(size=(40, 3)), rng.integers(2, size=(40, 2))
    straight = frame({"on": targets[:, 0], "off": targets[:, 1]})
    turned = frame({"off": targets[:, 1], "on": targets[:, 0]})
    net = kind(module__hidden_sizes=(4,), max_epochs=2, random_state=0)

    def learnt(*parts):
        parts_of = clone(net)
        for part in parts:
            parts_of.partial_fit(rows, part)
        return getattr(parts_of, "predict_proba", parts_of.predict)(rows)

    expected = learnt(straight, straight)
    np.testing.assert_array_equal(learnt(straight, turned), expected)
    renamed = frame({"a": targets[:, 0], "b": targets[:, 1]})
    np.testing.assert_array_equal(learnt(straight, renamed), expected)
    np.testing.assert_array_equal(learnt(turned), learnt(targets[:, ::-1]))
    assert not np.array_equal(learnt(turned), learnt(straight))
    again = clone(net).fit(rows, straight).fit(rows, turned)
    np.testing.assert_array_equal(again.predict(rows), clone(net).fit(rows, turned).predict(rows))


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("kind", [MixupClassifier, MixupRegressor])
def test_scores_know_columns_of_targets_by_their_names(kind, frame):
    targets = {name: Y[:, k] for k, name in enumerate("abcd")}
    turned = frame({name: targets[name] for name in "bdca"})
    net = kind(module__hidden_sizes=(8,), max_epochs=5, random_state=0).fit(X, frame(targets))
    expected = net.score(X, Y)
    assert net.score(X, frame(targets)) == pytest.approx(expected)
    assert net.score(X, turned) == pytest.approx(expected)
    assert net.score(X, turned.to_numpy()) != pytest.approx(expected)
    weight = np.arange(len(X))
    assert net.score(X, turned, weight) == pytest.approx(net.score(X, Y, sample_weight=weight))


@pytest.mark.parametrize(
    "y",
    [Y.astype(object), Y > 0, pd.DataFrame(Y).convert_dtypes(), sp.csr_array(Y), torch.tensor(Y),
     torch.tensor(Y * 1.0, requires_grad=True), Y.tolist()],
)  # fmt: skip
def test_what_can_be_learnt_can_be_scored(y):
    clf = net(max_epochs=1).fit(X, y)
    assert clf.score(X, y) == clf.score(X, Y)

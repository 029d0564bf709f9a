"""Interpolation consistency as an estimator of scikit-learn's and skorch's."""

import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from sklearn.utils.estimator_checks import check_classifiers_classes, parametrize_with_checks
from skorch.callbacks import Callback, EarlyStopping, EpochScoring

from skmixup.estimators import LabeledStratifiedKFold, MixupClassifier, VicinalClassifier
from skmixup.robustness import HeldOutError, fgsm
from tests.expected_failures import EXPECTED_FAILURES
from tests.training.partly_labeled import Classifier, quick

# ---- scikit-learn

FAILURES = {
    **EXPECTED_FAILURES,
    "check_classifiers_classes": (
        "its last case has the labels −1 and 1; semi-supervised classifiers are exempted by name"
    ),
}


@parametrize_with_checks(
    [Classifier(max_epochs=6, lr=0.01, random_state=0, device="cpu")],
    expected_failed_checks=lambda estimator: FAILURES,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_check_of_classes_passes_under_an_exempted_name():
    clf = Classifier(max_epochs=6, lr=0.01, random_state=0, device="cpu")
    check_classifiers_classes("SelfTrainingClassifier", clf)


def test_same_data_as_scikit_learn(moons):
    X, y, partly = moons
    base = VicinalClassifier(max_epochs=10, random_state=0, device="cpu")
    for clf in (quick(), SelfTrainingClassifier(base, max_iter=1), LabelSpreading()):
        fitted = make_pipeline(StandardScaler(), clf).fit(X, partly)
        assert fitted.predict(X).shape == (120,)
        np.testing.assert_array_equal(fitted.classes_, [0, 1])
        assert fitted[-1].transduction_.dtype == y.dtype


def test_transduction_keeps_labels_and_predicts_the_rest(moons):
    X, _, partly = moons
    clf = quick().fit(X, partly)
    known = partly >= 0
    np.testing.assert_array_equal(clf.transduction_[known], partly[known])
    np.testing.assert_array_equal(clf.transduction_[~known], clf.predict(X[~known]))


def test_no_labels_are_left_of_rows_of_an_earlier_fit(moons):
    class Fails(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise ArithmeticError

    X, _, partly = moons
    clf = quick().fit(X, partly)
    clf.set_params(callbacks=[Fails()])
    with pytest.raises(ArithmeticError):
        clf.fit(X[:60], partly[:60])
    assert not hasattr(clf, "transduction_")
    clf = quick().fit(X, partly)
    with pytest.raises(ValueError, match="inconsistent"):
        clf.fit(X[:60], partly)
    assert len(clf.transduction_) == 120


def test_grid_search_and_cross_validation(moons):
    X, _, partly = moons
    pipe = make_pipeline(StandardScaler(), quick())
    name = "interpolationconsistencyclassifier"
    grid = {f"{name}__unlabeled_weight": [0.0, 10.0], f"{name}__layers": [None, [0, 1]]}
    search = GridSearchCV(pipe, grid, cv=LabeledStratifiedKFold(2)).fit(X, partly)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_[-1].transduction_.shape == (120,)
    assert len(cross_val_score(quick(), X, partly, cv=LabeledStratifiedKFold(3))) == 3


@pytest.mark.parametrize(
    ("names", "dtype"),
    [(["no", "yes"], object), ([3, 7], float), ([True, False], object), ([0, 5], np.int8)],
)
def test_labels_of_any_type(moons, names, dtype):
    X, _, partly = moons
    labels = np.array([names[c] if c >= 0 else -1 for c in partly], dtype=dtype)
    clf = quick().fit(X, labels)
    assert set(clf.predict(X)) <= set(names)
    assert set(clf.transduction_) <= set(names)
    plain = quick().fit(X, partly)
    order = np.argsort(names)
    if order[0] == 0:
        np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))


# ---- skorch


def test_same_seed_same_network_and_global_states_stay(moons, global_states):
    X, _, partly = moons
    before = global_states()
    first, second = (Classifier(max_epochs=2, random_state=1).fit(X, partly) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert global_states() == before


def test_clone_pickle_and_saved_parameters(moons, tmp_path):
    X, _, partly = moons
    clf = quick().fit(X, partly)
    assert clone(clf).get_params()["alpha"] == 1.0
    expected = clf.predict_proba(X)
    copy = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(copy.predict_proba(X), expected)
    copy.partial_fit(X, partly)
    clf.save_params(f_params=tmp_path / "weights.pt")
    other = quick(random_state=9).fit(X, partly)
    other.load_params(f_params=tmp_path / "weights.pt")
    np.testing.assert_array_equal(other.predict_proba(X), expected)
    assert torch.equal(other.student_[0].weight, other.module_[0].weight)


def test_partial_fit_and_warm_start_go_on(moons):
    X, _, partly = moons
    whole = quick(max_epochs=4, ramp_up=0).fit(X, partly)
    parts = quick(max_epochs=2, ramp_up=0)
    parts.partial_fit(X, partly, classes=[0, 1]).partial_fit(X, partly)
    assert parts.n_iter_ == whole.n_iter_ == 4
    assert parts._n_averaged_ == whole._n_averaged_
    warm = quick(warm_start=True).fit(X, partly)
    assert warm.fit(X, partly).n_iter_ == 4


def test_validation_and_callbacks_see_labeled_rows_only(moons):
    X, y, partly = moons
    seen = []

    class Labels(HeldOutError):
        def on_batch_begin(self, net, batch=None, training=False, **kwargs):
            seen.extend(batch[1].tolist())

    def first_rows(dataset, y=None, **kwargs):
        rows = np.arange(len(dataset))
        subset = torch.utils.data.Subset
        return subset(dataset, rows[60:]), subset(dataset, rows[:60])

    partly[-8:] = y[-8:]
    callbacks = [Labels(X, y), EarlyStopping(patience=50)]
    clf = quick(train_split=first_rows, callbacks=callbacks).fit(X, partly)
    assert set(seen) == {0, 1}
    known = np.flatnonzero(partly[:60] >= 0)
    accuracy = np.mean(clf.predict(X[known]) == partly[known])
    assert clf.history[-1, "valid_acc"] == accuracy
    assert clf.history[-1, "held_out_error"] == np.mean(clf.predict(X) != y)


@pytest.mark.parametrize("kind", [int, float, np.int8])
def test_numbers_among_objects_are_scored_as_numbers(moons, kind):
    X, _, partly = moons
    labels = np.array([kind(label) for label in partly], dtype=object)
    scoring = EpochScoring("accuracy", name="score", on_train=True, use_caching=False)
    clf = quick(callbacks=[scoring], max_epochs=2).fit(X, labels)
    known = partly >= 0
    assert clf.history[-1, "score"] == np.mean(clf.predict(X[known]) == partly[known])
    assert clf.classes_.dtype == np.dtype(kind)


def test_weights_are_those_of_labeled_rows(moons):
    X, _, partly = moons
    weight = np.where(partly >= 0, 1.0 + np.arange(120), 1000.0)
    other = np.where(partly >= 0, weight, 0.5)
    fits = [quick().fit(X, partly, sample_weight=w).predict_proba(X) for w in (weight, other)]
    np.testing.assert_array_equal(*fits)
    unweighted = quick().fit(X, partly).predict_proba(X)
    assert not np.array_equal(fits[0], unweighted)
    balanced = quick(class_weight={0: 5.0, 1: 1.0}).fit(X, partly).predict_proba(X)
    assert balanced[:, 0].mean() > unweighted[:, 0].mean()


def test_weights_of_a_part_are_used_as_they_are_also_beside_rows_without_weight(moons):
    X, _, partly = moons
    weight = np.where(np.arange(120) == np.flatnonzero(partly >= 0)[0], 0.0, 3.0)
    params = {"alpha": 0, "unlabeled_weight": 0.0, "ema_decay": 0, "batch_size": -1}
    params |= {"max_epochs": 1, "optimizer": torch.optim.SGD, "lr": 0.1, "lr_schedule": None}
    counts = weight > 0
    fits = [
        quick(**params).partial_fit(X[rows], partly[rows], sample_weight=weight[rows])
        for rows in (slice(None), counts)
    ]
    np.testing.assert_allclose(*[fit.loss_curve_ for fit in fits], rtol=1e-6)
    np.testing.assert_allclose(*[fit.predict_proba(X) for fit in fits], atol=1e-6)


def test_attack_is_on_the_averaged_network(moons):
    X, _, partly = moons
    clf = quick().fit(X, np.where(partly < 0, -1, partly * 5))
    y = clf.predict(X)
    adversarial = fgsm(clf, X, y, 0.1)
    inputs = torch.tensor(X, dtype=torch.float32, requires_grad=True)
    F.cross_entropy(clf.module_.eval()(inputs), torch.from_numpy(y // 5)).backward()
    np.testing.assert_allclose(adversarial, X + 0.1 * inputs.grad.sign().numpy(), atol=1e-6)


# ---- does it help


def test_digits_with_few_labels_are_learnt_better_than_from_the_labels_alone():
    X, y = load_digits(return_X_y=True)
    X = (X / 8 - 1)[:900]
    partly = np.full(900, -1)
    for c in range(10):
        rows = np.flatnonzero(y[:900] == c)[:5]
        partly[rows] = c
    known = partly >= 0
    errors = np.zeros(2)
    for seed in range(3):  # one alone depends on how torch draws the first weights
        alone = VicinalClassifier(lr=0.003, max_epochs=60, random_state=seed)
        alone.fit(X[known], y[:900][known])
        clf = Classifier(
            labeled_alpha=0, lr=0.01, batch_size=128, max_epochs=30, random_state=seed
        ).fit(X, partly)
        errors += [np.mean(c.predict(X)[~known] != y[:900][~known]) for c in (clf, alone)]
    assert errors[0] < 0.8 * errors[1]


# ---- bad input


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"unlabeled_weight": -1.0},
            "'unlabeled_weight' parameter .* must be a float in",
        ),
        ({"ramp_up": 1.5}, "'ramp_up' parameter .* Got 1.5 instead"),
        ({"ramp_up": -1}, "'ramp_up' parameter .* Got -1 instead"),
        ({"unlabeled_weight": True}, "'unlabeled_weight' parameter .* Got True instead"),
        ({"ramp_up": True}, "'ramp_up' parameter .* Got True instead"),
        ({"ema_decay": 1.0}, "'ema_decay' parameter .* Got 1.0 instead"),
        ({"alpha": -1}, "alpha must be a finite number ≥ 0"),
        ({"labeled_alpha": -1}, "alpha must be a finite number ≥ 0"),
        ({"layers": [7]}, "layers has 7, which Sequential does not have"),
        ({"mix_per": "row"}, "mix_per must be one of 'batch', 'sample'"),
    ],
)
def test_bad_parameters_are_named(moons, params, message):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(moons[0], moons[2])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([-1] * 120, "y has no labelled row: all 120 are -1"),
        ([-1, 1] * 60, r"have 1 class, \[1\], .*if -1 is a class of yours, give it another label"),
        ([1] * 120, "y has 1 class"),
        (["-1", "a", "b"] * 40, "array of strings that holds '-1'.*dtype=object"),
        ([-1, 0.5, 0.7] * 40, "Unknown label type: continuous"),
        ([-1, 0, 1], "inconsistent numbers of samples"),
        (None, "requires y to be passed"),
    ],
)
def test_bad_labels_are_explained(moons, y, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(moons[0], y)


def test_a_part_without_labels_is_explained_as_one_of_several(moons):
    X, _, partly = moons
    clf = quick().partial_fit(X, partly)
    with pytest.raises(ValueError, match=r"all 9 are -1\. Each call of partial_fit"):
        clf.partial_fit(X[:9], [-1] * 9)
    match = r"1 class, \[1\].*name all, classes=\[…\], in the first call"
    for rest in (-1, 1):
        with pytest.raises(ValueError, match=match):
            quick().partial_fit(X, [1] * 60 + [rest] * 60)
    with pytest.raises(ValueError, match=match):
        MixupClassifier().partial_fit(X, [1] * 120)


def test_a_score_is_that_of_the_rows_with_a_label(moons):
    X, _, partly = moons
    clf = quick().fit(X, partly)
    known, weight = partly >= 0, np.arange(120)
    right = clf.predict(X[known]) == partly[known]
    assert clf.score(X, partly) == clf.score(X[known], partly[known]) == right.mean()
    weighted = np.average(right, weights=weight[known])
    assert clf.score(X, partly, sample_weight=weight) == pytest.approx(weighted)
    with pytest.raises(ValueError, match="no labelled row"):
        clf.score(X, [-1] * 120)


def test_one_weight_for_all_rows(moons):
    X, _, partly = moons
    plain, weighted = quick().fit(X, partly), quick().fit(X, partly, sample_weight=2.0)
    np.testing.assert_array_equal(plain.predict_proba(X), weighted.predict_proba(X))


def test_minus_one_among_the_classes_is_explained(moons):
    for classes in ([-1, 0, 1], [-1, "a", "b"], np.array([-1, 0])):
        with pytest.raises(ValueError, match="classes holds -1, which marks unlabelled rows"):
            quick().partial_fit(moons[0], moons[2], classes=classes)
    with pytest.raises(ValueError, match="classes must be a list of all labels; got 3"):
        quick().partial_fit(moons[0], moons[2], classes=3)


def test_data_set_is_refused(moons):
    data = torch.utils.data.TensorDataset(torch.zeros(4, 2), torch.tensor([0, 1, -1, -1]))
    with pytest.raises(TypeError, match="needs X and y as arrays; got X of type TensorDataset"):
        quick().fit(data, None)


def test_split_without_labels_to_train_on_is_refused(moons):
    X, _, partly = moons

    def unlabeled_first(dataset, y=None, **kwargs):
        subset = torch.utils.data.Subset
        labeled = np.flatnonzero(y >= 0)
        return subset(dataset, np.flatnonzero(y < 0)), subset(dataset, labeled)

    with pytest.raises(ValueError, match="train_split left no labelled row to train on"):
        quick(train_split=unlabeled_first).fit(X, partly)


@pytest.mark.parametrize("n_unlabeled", [0, 1, 2, 9])
def test_a_fraction_is_held_out_however_few_rows_have_no_label(moons, n_unlabeled):
    X, y, _ = moons
    y = np.where(np.arange(120) < n_unlabeled, -1, y)
    parts = []

    class Look(Callback):
        def on_train_begin(self, net, X, y, **kwargs):
            parts.extend(net.get_split_datasets(X, y))

    quick(train_split=0.25, unlabeled_weight=n_unlabeled, callbacks=[Look()]).fit(X, y)
    train, scored = ([int(part[i][1]) for i in range(len(part))] for part in parts)
    assert -1 not in scored
    assert abs(len(scored) - 0.25 * (120 - n_unlabeled)) <= 1
    assert abs(np.mean(scored) - 0.5) < 0.1
    if n_unlabeled == 1:
        assert train.count(-1) == 1
        assert len(train) + len(scored) == 120

"""Facts about interpolation consistency training."""

import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone
from sklearn.datasets import load_digits, make_moons
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from sklearn.utils.estimator_checks import check_classifiers_classes, parametrize_with_checks
from skorch.callbacks import EarlyStopping
from torch import nn

from skmixup.estimators import (
    InterpolationConsistencyClassifier,
    LabeledStratifiedKFold,
    MixupClassifier,
    VicinalClassifier,
)
from skmixup.robustness import HeldOutError, fgsm

Classifier = InterpolationConsistencyClassifier


def small():
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))


def normalised():
    return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))


@pytest.fixture
def moons():
    """Two moons, true labels, and labels of which 4 of each class are left."""
    X, y = make_moons(120, noise=0.1, random_state=0)
    partly = np.full(120, -1)
    for c in (0, 1):
        rows = np.flatnonzero(y == c)[:4]
        partly[rows] = c
    return X, y, partly


def run(weights, x):
    network = small()
    network.load_state_dict(weights)
    with torch.no_grad():
        return network(x)


def quick(module=small, **params):
    return Classifier(module, **{"max_epochs": 2, "random_state": 0, "device": "cpu"} | params)


class Recorded(Classifier):
    """Keeps what every step saw and made."""

    def train_step(self, batch, **fit_params):
        self.__dict__.setdefault("_log_", []).append({"labels": batch[1]})
        step = super().train_step(batch, **fit_params)
        self._log_[-1]["student"] = [t.clone() for t in self.student_.state_dict().values()]
        self._log_[-1]["average"] = [t.clone() for t in self.module_.state_dict().values()]
        return step

    def draw_step(self, X):
        draw = super().draw_step(X)
        self._log_[-1].setdefault("draws", []).append(draw)
        self._log_[-1]["teacher"] = {k: v.clone() for k, v in self.module_.state_dict().items()}
        return draw

    def step_loss(self, X, y, draw, **fit_params):
        student = {k: v.clone() for k, v in self.module_.state_dict().items()}
        loss, *rest = super().step_loss(X, y, draw, **fit_params)
        if "draws" in self.__dict__.get("_log_", [{}])[-1]:
            self._log_[-1].setdefault("losses", []).append((X, y, student, loss.detach()))
        return loss, *rest


def recorded(moons, **params):
    X, _, partly = moons
    defaults = {"module": small, "max_epochs": 3, "random_state": 0, "device": "cpu", "lr": 0.05}
    return Recorded(**(defaults | params)).fit(X, partly)


# ---- the loss


def test_loss_is_the_formula(moons):
    clf = recorded(moons, unlabeled_weight=7.0, ramp_up=0, batch_size=32)
    for step in clf._log_:
        ((X, y, student, loss),) = step["losses"]
        (draw,) = step["draws"]
        lam, j = draw.labeled.lam, draw.labeled.partner
        logits = run(student, lam * X + (1 - lam) * X[j])
        supervised = lam * F.cross_entropy(logits, y) + (1 - lam) * F.cross_entropy(logits, y[j])
        u, lam, j = draw.rows, draw.unlabeled.lam, draw.unlabeled.partner
        q = run(step["teacher"], u).softmax(1)
        p = run(student, lam * u + (1 - lam) * u[j]).softmax(1)
        gap = ((lam * q + (1 - lam) * q[j] - p) ** 2).sum(1).mean()
        torch.testing.assert_close(loss, supervised + 7.0 * gap)


def test_layers_mix_hidden_rows_of_both_kinds(moons):
    clf = recorded(moons, layers=[1], ramp_up=0, batch_size=32, unlabeled_weight=3.0)
    step = clf._log_[0]
    ((X, y, student, loss),) = step["losses"]
    (draw,) = step["draws"]
    network = small()
    network.load_state_dict(student)
    assert draw.labeled.site == draw.unlabeled.site == "0"

    def mixed(x, lam, j):
        hidden = network[0](x)
        return network[1:](lam * hidden + (1 - lam) * hidden[j])

    lam, j = draw.labeled.lam, draw.labeled.partner
    logits = mixed(X, lam, j)
    supervised = lam * F.cross_entropy(logits, y) + (1 - lam) * F.cross_entropy(logits, y[j])
    gap = mixed(draw.rows, draw.unlabeled.lam, draw.unlabeled.partner).softmax(1) - draw.target
    torch.testing.assert_close(loss, supervised + 3.0 * (gap**2).sum(1).mean())


@pytest.mark.parametrize(("ramp_up", "epochs"), [(0, 0), (2, 2), (0.5, 2), (1.0, 4)])
def test_weight_grows_as_a_sigmoid(moons, ramp_up, epochs):
    clf = recorded(moons, ramp_up=ramp_up, max_epochs=4, unlabeled_weight=5.0)
    weights = [step["draws"][0].weight for step in clf._log_]
    per_epoch = len(weights) / 4
    t = [1.0 if epochs == 0 else min(1, i / per_epoch / epochs) for i in range(len(weights))]
    np.testing.assert_allclose(weights, 5.0 * np.exp(-5 * (1 - np.array(t)) ** 2))
    clf.partial_fit(moons[0], moons[2])
    assert clf._log_[-1]["draws"][0].weight == 5.0


def test_labeled_alpha_is_for_labeled_rows_only(moons):
    for labeled_alpha, mixed in ((0, False), (None, True), (0.3, True)):
        clf = recorded(moons, labeled_alpha=labeled_alpha, max_epochs=1)
        draws = [step["draws"][0] for step in clf._log_]
        assert all((draw.labeled.lam is not None) == mixed for draw in draws)
        assert all(draw.unlabeled.lam is not None for draw in draws)


def test_draws_once_and_averages_once_when_the_closure_runs_often(moons):
    clf = recorded(moons, optimizer=torch.optim.LBFGS, lr=0.5, max_epochs=1, batch_size=64)
    for step in clf._log_:
        assert len(step["draws"]) == 1
        assert len(step["losses"]) > 3
    assert clf._n_averaged_ == len(clf._log_)


# ---- the average


@pytest.mark.parametrize("ema_decay", [0.0, 0.5, 0.999])
def test_average_follows_its_recursion_with_batchnorm(moons, ema_decay):
    clf = recorded(moons, module=normalised, ema_decay=ema_decay, max_epochs=4)
    average = None
    for t, step in enumerate(clf._log_):
        d = min(ema_decay, (1 + t) / (10 + t))
        if average is None:
            average = [v.clone() for v in clf._log_[0]["teacher"].values()]
        for a, s, measured in zip(average, step["student"], step["average"], strict=True):
            if a.is_floating_point():
                a.mul_(d).add_(s, alpha=1 - d)
                torch.testing.assert_close(a, measured)
            else:
                assert torch.equal(measured, s)  # BatchNorm's count of batches
    assert len(average) == 9
    if ema_decay == 0:
        for a, s in zip(step["average"], step["student"], strict=True):
            assert torch.equal(a, s)


class Frozen(nn.Sequential):
    """Its BatchNorm keeps to the running statistics, as in fine-tuning."""

    def train(self, mode=True):
        super().train(mode)
        self[1].eval()
        return self


@pytest.mark.parametrize("kind", [nn.Sequential, Frozen])
def test_teacher_normalises_as_the_student_and_drops_nothing(moons, kind):
    def network():
        return kind(*normalised()[:3], nn.Dropout(0.9), nn.Linear(8, 2)).train()

    clf = recorded(moons, module=network, batch_size=32)
    for step in clf._log_:
        (draw,) = step["draws"]
        teacher = network()
        teacher.load_state_dict(step["teacher"])
        teacher.eval()
        teacher[1].train(kind is nn.Sequential)
        with torch.no_grad():
            q = teacher(draw.rows).softmax(1)
        lam, j = draw.unlabeled.lam, draw.unlabeled.partner
        torch.testing.assert_close(draw.target, lam * q + (1 - lam) * q[j])
    norm = clf.module_[1]
    assert (norm.training, norm.track_running_stats) == (False, True)


def test_averaged_network_predicts_and_the_optimizer_moves_the_student(moons):
    X, _, partly = moons
    clf = quick(lr=0.1).fit(X, partly)
    with torch.no_grad():
        logits = clf.module_.eval()(torch.tensor(X, dtype=torch.float32))
    np.testing.assert_allclose(clf.predict_proba(X), logits.softmax(1), atol=1e-6)
    moved = {id(p) for group in clf.optimizer_.param_groups for p in group["params"]}
    assert moved == {id(p) for p in clf.student_.parameters()}
    assert all(p.grad is None for p in clf.module_.parameters())
    assert not torch.equal(clf.module_[0].weight, clf.student_[0].weight)


def test_without_unlabeled_rows_and_average_it_is_mixup(moons):
    X, y, _ = moons
    for layers in (None,):
        params = {"alpha": 0.7, "random_state": 3, "max_epochs": 3, "device": "cpu"}
        ours = Classifier(ema_decay=0, layers=layers, **params).fit(X, y)
        mixup = MixupClassifier(**params).fit(X, y)
        np.testing.assert_array_equal(ours.predict_proba(X), mixup.predict_proba(X))
    np.testing.assert_array_equal(ours.transduction_, y)


# ---- batches


@pytest.mark.parametrize(("n_labeled", "n_unlabeled"), [(5, 100), (100, 5), (1, 1), (2, 33)])
def test_rows_are_batched_separately_and_the_longer_kind_once(n_labeled, n_unlabeled):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_labeled + n_unlabeled + 1, 2))
    y = np.r_[np.arange(n_labeled + 1) % 2, np.full(n_unlabeled, -1)]
    clf = quick(normalised, batch_size=16).fit(X, y)
    dataset = clf.get_dataset(np.float32(X), y)
    dataset.target = torch.where(torch.from_numpy(y) < 0, -1, torch.from_numpy(y))
    batches = list(clf.get_iterator(dataset, training=True))
    assert len(batches) == max(-(-(n_labeled + 1) // 16), -(-n_unlabeled // 16))
    assert all((codes >= 0).all() for _, codes, _ in batches)
    kind = 2 if n_unlabeled > n_labeled + 1 else 0
    seen = torch.cat([batch[kind] for batch in batches]).numpy()
    rows = X[y < 0] if kind else X[y >= 0]
    np.testing.assert_array_equal(np.sort(seen, axis=0), np.sort(np.float32(rows), axis=0))
    assert np.isfinite(clf.predict_proba(X)).all()


def test_images_with_batchnorm_mixed_at_any_layer():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 1, 6, 6)).astype(np.float32)
    y = np.where(np.arange(40) < 12, np.arange(40) % 3, -1)

    def convolution():
        return nn.Sequential(
            nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
            nn.Flatten(),
            nn.Linear(64, 3),
        )

    clf = quick(convolution, layers=[0, 1], batch_size=8).fit(X, y)
    assert clf.predict_proba(X).shape == (40, 3)
    assert clf.module_[0][1].num_batches_tracked > 0


def test_probabilities_with_nll_are_compared_as_they_are(moons):
    X, _, partly = moons

    def with_softmax():
        return nn.Sequential(small(), nn.Softmax(1))

    params = {"lr": 0.05, "batch_size": 32}
    nll = quick(with_softmax, criterion=nn.NLLLoss, **params).fit(X, partly)
    logits = quick(**params).fit(X, partly)
    np.testing.assert_allclose(nll.predict_proba(X), logits.predict_proba(X), atol=1e-4)


# ---- scikit-learn


EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "minibatches are drawn at random",
    "check_classifiers_classes": (
        "its last case has the labels −1 and 1; semi-supervised classifiers are exempted by name"
    ),
}


@parametrize_with_checks(
    [Classifier(max_epochs=12, lr=0.01, random_state=0, device="cpu")],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_check_of_classes_passes_under_an_exempted_name():
    clf = Classifier(max_epochs=12, lr=0.01, random_state=0, device="cpu")
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


def test_folds_keep_every_label_in_a_scored_fold_and_unlabeled_rows_in_training(moons):
    X, _, partly = moons
    scored = []
    for train, test in LabeledStratifiedKFold(4).split(X, partly):
        assert (partly[test] >= 0).all()
        assert set(np.flatnonzero(partly < 0)) <= set(train)
        assert set(train) & set(test) == set()
        assert len(train) + len(test) == 120
        scored += test.tolist()
    assert sorted(scored) == np.flatnonzero(partly >= 0).tolist()


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


def test_same_seed_same_network_and_global_states_stay(moons):
    X, _, partly = moons
    before = (np.random.get_state()[1].tolist(), torch.get_rng_state())  # noqa: NPY002
    first, second = (Classifier(max_epochs=2, random_state=1).fit(X, partly) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert np.random.get_state()[1].tolist() == before[0]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


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
    alone = VicinalClassifier(lr=0.003, max_epochs=60, random_state=0).fit(
        X[known], y[:900][known]
    )
    clf = Classifier(labeled_alpha=0, lr=0.01, batch_size=128, max_epochs=30, random_state=0)
    clf.fit(X, partly)
    errors = [np.mean(c.predict(X)[~known] != y[:900][~known]) for c in (clf, alone)]
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

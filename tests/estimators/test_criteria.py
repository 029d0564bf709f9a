"""Criterions other than cross-entropy: what they are given, what is refused before training."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from skorch.dataset import ValidSplit
from torch import nn
from torch.nn import functional as F
from torch.utils.data import IterableDataset, TensorDataset

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    VicinalClassifier,
)
from skmixup.vicinal import ManifoldMixup, Mixup

RNG = np.random.default_rng(0)
CODES = np.arange(60) % 3
X = (RNG.normal(size=(60, 4)) + 3 * np.eye(3, 4)[CODES]).astype(np.float32)
Y = np.array(["ant", "bee", "cow"])[CODES]
TWO = X[CODES < 2], Y[CODES < 2]
FAST = {"module__hidden_sizes": (8,), "max_epochs": 12, "lr": 0.03, "random_state": 0}
OWN = {"max_epochs": 12, "lr": 0.1, "random_state": 0}
SPLIT = ValidSplit(4, stratified=True)


class Focal(nn.Module):
    def __init__(self, gamma=2.0, reduction="mean"):
        super().__init__()
        self.gamma, self.reduction = gamma, reduction

    def forward(self, logits, target):
        assert logits.ndim == 2
        assert target.shape == logits.shape[:1]
        log_p = F.log_softmax(logits, dim=1).gather(1, target[:, None]).squeeze(1)
        loss = -((1 - log_p.exp()) ** self.gamma) * log_p
        return loss if self.reduction == "none" else loss.mean()


class FocalMean(Focal):
    """Has no reduction but its own."""

    def __init__(self):
        super().__init__()
        del self.reduction

    def forward(self, logits, target):
        self.reduction = "mean"
        try:
            return super().forward(logits, target)
        finally:
            del self.reduction


class Smoothed(nn.CrossEntropyLoss):
    def __init__(self, **kwargs):
        super().__init__(label_smoothing=0.1, **kwargs)


def mean_only(output, target):
    return F.cross_entropy(output, target)


def function():
    return mean_only


CRITERIONS = [
    Focal, FocalMean, function, Smoothed, nn.MultiMarginLoss, nn.BCEWithLogitsLoss,
    nn.MultiLabelSoftMarginLoss, nn.MSELoss, nn.NLLLoss,
]  # fmt: skip


@pytest.mark.parametrize("n_members", [1, 4])
@pytest.mark.parametrize("criterion", CRITERIONS)
@pytest.mark.parametrize("estimator", [VicinalClassifier, MixupClassifier])
def test_the_default_network_learns_with_any_criterion(estimator, criterion, n_members):
    net = estimator(
        criterion=criterion, train_split=SPLIT, module__n_members=n_members, **FAST
    ).fit(X, Y)
    assert net.score(X, Y) > 0.9
    assert np.isfinite(net.history[:, "valid_loss"]).all()
    assert net.history[-1, "valid_loss"] < net.history[0, "valid_loss"]
    probabilities = net.predict_proba(X)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert (probabilities >= 0).all()
    assert np.array_equal(net.classes_[probabilities.argmax(axis=1)], net.predict(X))


def test_a_focal_loss_learns_the_digits():
    digits, labels = load_digits(return_X_y=True)
    net = MixupClassifier(criterion=Focal, max_epochs=3, random_state=0)
    assert net.fit(digits[:800], labels[:800]).score(digits[800:], labels[800:]) > 0.85


@pytest.mark.parametrize("criterion", [Focal, Smoothed, nn.MultiMarginLoss, nn.BCEWithLogitsLoss])
def test_weights_and_a_lambda_for_each_pair(criterion):
    weight = np.where(CODES == 2, 0.0, 1.0)
    net = ManifoldMixupClassifier(
        criterion=criterion,
        mix_per="sample",
        class_weight={"ant": 2.0, "bee": 1.0, "cow": 1.0},
        **FAST,
    ).fit(X, Y, sample_weight=weight)
    known = CODES < 2
    assert net.score(X[known], Y[known]) > 0.9


@pytest.mark.parametrize("criterion", [Focal, FocalMean, nn.BCEWithLogitsLoss, nn.NLLLoss])
def test_interpolation_consistency_learns_with_any_criterion(criterion):
    y = np.where(np.arange(60) < 30, CODES, -1)
    params = FAST | {"max_epochs": 40}
    net = InterpolationConsistencyClassifier(criterion=criterion, **params).fit(X, y)
    assert net.score(X, CODES) > 0.8


@pytest.mark.parametrize("params", [{"mix_per": "sample"}, {"class_weight": "balanced"}])
@pytest.mark.parametrize("criterion", [FocalMean, function])
def test_what_needs_losses_of_rows_is_refused_before_training(criterion, params):
    net = MixupClassifier(criterion=criterion, **FAST, **params)
    with pytest.raises(TypeError, match="need the loss of each row"):
        net.fit(X, Y)
    assert not hasattr(net, "module_")


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        (nn.BCELoss, "BCELoss cannot be computed .* use torch.nn.BCEWithLogitsLoss"),
        (nn.SoftMarginLoss, "SoftMarginLoss cannot be computed on the module's outputs"),
        (nn.GaussianNLLLoss, "GaussianNLLLoss cannot be computed on the module's outputs"),
        (nn.TripletMarginLoss, "TripletMarginLoss cannot be computed on the module's outputs"),
        (nn.MultiLabelMarginLoss, "MultiLabelMarginLoss cannot be computed"),
    ],
)
@pytest.mark.parametrize("data", [(X, Y), TWO], ids=["three", "two"])
def test_criterions_that_do_not_fit_say_so_before_training(criterion, message, data):
    net = MixupClassifier(criterion=criterion, **FAST)
    with pytest.raises(ValueError, match=message):
        net.fit(*data)
    assert not hasattr(net, "module_")


def test_a_criterion_that_takes_one_hot_labels_is_told_how_to_make_them():
    def focal(output, target):
        return F.binary_cross_entropy_with_logits(output, target, reduction="none") ** 2

    with pytest.raises(ValueError, match=r"the classes, as codes, .*one_hot\(target, 3\)"):
        MixupClassifier(criterion=focal, **FAST).fit(X, Y)
    made = lambda z, t: focal(z, F.one_hot(t, 3).float())  # noqa: E731
    net = MixupClassifier(criterion=made, mix_per="sample", **FAST).fit(X, Y)
    assert net.score(X, Y) > 0.9


def test_trying_the_criterion_leaves_it_as_it_was():
    class Counting(nn.CrossEntropyLoss):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, output, target):
            self.calls += 1
            return super().forward(output, target)

    net = VicinalClassifier(criterion=Counting, batch_size=-1, **{**FAST, "max_epochs": 3})
    assert net.fit(X, Y).criterion_.calls == 3


# ---- one output for two classes


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("estimator", [VicinalClassifier, MixupClassifier])
@pytest.mark.parametrize("criterion", [nn.BCEWithLogitsLoss, nn.BCELoss])
def test_one_output_for_two_classes(estimator, criterion, flat):
    layers = [nn.Linear(4, 1)]
    layers += [nn.Sigmoid()] if criterion is nn.BCELoss else []
    layers += [nn.Flatten(0)] if flat else []
    net = estimator(nn.Sequential(*layers), criterion=criterion, train_split=SPLIT, **OWN)
    net.fit(*TWO)
    assert net.score(*TWO) > 0.9
    probabilities = net.predict_proba(TWO[0])
    assert probabilities.shape == (40, 2)
    assert np.allclose(probabilities.sum(axis=1), 1)
    margin = net.decision_function(TWO[0])
    assert margin.shape == (40,)
    assert np.array_equal(margin > 0, net.predict(TWO[0]) == "bee")
    assert np.allclose(1 / (1 + np.exp(-margin)), probabilities[:, 1], atol=1e-5)


def test_one_logit_under_cross_entropy_names_the_remedy():
    with pytest.raises(ValueError, match=r"returns 1 logits, but y has 2 .*BCEWithLogitsLoss"):
        VicinalClassifier(nn.Linear(4, 1)).fit(*TWO)
    with pytest.raises(ValueError, match="returns 1 logits, but y has 3 classes"):
        VicinalClassifier(nn.Linear(4, 1), criterion=nn.BCEWithLogitsLoss).fit(X, Y)


# ---- logits, probabilities, and their logarithms


def ending_in(last):
    def module():
        return nn.Sequential(nn.Linear(4, 3), *([] if last is None else [last(dim=1)]))

    return module


@pytest.mark.parametrize("last", [nn.Softmax, nn.LogSoftmax])
@pytest.mark.parametrize("estimator", [VicinalClassifier, MixupClassifier])
def test_nll_loss_of_probabilities_and_of_their_logarithms_is_cross_entropy(estimator, last):
    nll = estimator(ending_in(last), criterion=nn.NLLLoss, train_split=SPLIT, **OWN).fit(X, Y)
    plain = estimator(ending_in(None), train_split=SPLIT, **OWN).fit(X, Y)
    assert np.allclose(nll.predict_proba(X), plain.predict_proba(X), atol=1e-4)
    assert np.allclose(nll.predict_log_proba(X), plain.predict_log_proba(X), atol=1e-3)
    assert np.allclose(nll.history[:, "valid_loss"], plain.history[:, "valid_loss"], atol=1e-4)


def test_nll_loss_with_the_default_network_is_cross_entropy():
    nll = MixupClassifier(criterion=nn.NLLLoss, **FAST).fit(X, Y)
    plain = MixupClassifier(**FAST).fit(X, Y)
    assert np.allclose(nll.predict_proba(X), plain.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("last", [None, lambda dim: nn.Sigmoid(), lambda dim: nn.Softmax(dim=0)])
def test_nll_loss_of_logits_is_refused_before_training(last):
    net = MixupClassifier(ending_in(last), criterion=nn.NLLLoss, **OWN)
    with pytest.raises(ValueError, match="NLLLoss takes probabilities, or their logarithms"):
        net.fit(X, Y)
    assert not hasattr(net, "module_")


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, Smoothed])
def test_cross_entropy_of_probabilities_warns(criterion):
    net = MixupClassifier(ending_in(nn.Softmax), criterion=criterion, **OWN)
    with pytest.warns(UserWarning, match="returns probabilities, but criterion=.* takes logits"):
        net.fit(X, Y)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(torch.from_numpy(X), CODES, strict=True))


@pytest.mark.parametrize(
    "data", [TensorDataset(torch.from_numpy(X), torch.from_numpy(CODES)), Stream()]
)
@pytest.mark.parametrize("estimator", [VicinalClassifier, MixupClassifier])
def test_data_sets_and_streams_are_looked_at_too(estimator, data):
    params = OWN | {"classes": [0, 1, 2], "max_epochs": 2}
    with pytest.raises(ValueError, match="NLLLoss takes probabilities, or their logarithms"):
        estimator(ending_in(None), criterion=nn.NLLLoss, **params).fit(data, None)
    with pytest.warns(UserWarning, match="returns probabilities, but criterion="):
        estimator(ending_in(nn.Softmax), **params).fit(data, None)
    with pytest.raises(ValueError, match="SoftMarginLoss cannot be computed"):
        estimator(ending_in(None), criterion=nn.SoftMarginLoss, **params).fit(data, None)


@pytest.mark.parametrize("zero", ["weight", "bias", "both", "none"])
def test_logits_raise_no_alarm(zero):
    class Head(nn.Linear):
        def __init__(self):
            super().__init__(4, 3)
            for name in {"both": ("weight", "bias"), "none": ()}.get(zero, (zero,)):
                nn.init.zeros_(getattr(self, name))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for last in (nn.Identity(), nn.LogSoftmax(dim=1), nn.ReLU(), nn.Sigmoid()):
            VicinalClassifier(nn.Sequential(Head(), last), **{**OWN, "max_epochs": 1}).fit(X, Y)


def test_a_search_goes_on_without_the_criterion_that_is_refused():
    net = MixupClassifier(ending_in(None), **OWN)
    search = GridSearchCV(net, {"criterion": [nn.NLLLoss, nn.CrossEntropyLoss]}, cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of the fits that failed
        search.fit(X, CODES)
    assert np.isnan(search.cv_results_["mean_test_score"][0])
    assert search.best_params_ == {"criterion": nn.CrossEntropyLoss}


def test_members_of_the_default_network_are_averaged_as_suits_the_criterion():
    """The loss of the mean prediction is at most the mean loss, for a convex loss."""
    for criterion in (nn.MSELoss, nn.BCEWithLogitsLoss, nn.MultiMarginLoss):
        net = VicinalClassifier(
            criterion=criterion, module__dropout=0.0, batch_size=-1, lr=1e-12, max_epochs=1,
            train_split=lambda dataset, y=None, **kw: (dataset, dataset), random_state=0,
        ).fit(X, Y)  # fmt: skip
        assert 0.5 * net.loss_curve_[0] < net.history[0, "valid_loss"] <= net.loss_curve_[0] + 1e-5


# ---- ignore_index


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, Smoothed, nn.NLLLoss])
@pytest.mark.parametrize("module", [None, lambda: nn.Linear(4, 3)])
@pytest.mark.parametrize("vicinity", [None, Mixup(1.0), ManifoldMixup(1.0, mix_per="sample")])
def test_ignored_rows_are_not_trained_on(vicinity, module, criterion):
    """Their labels may be shuffled among themselves and they teach nothing."""
    if criterion is nn.NLLLoss and module is not None:
        module = ending_in(nn.Softmax)
    params = {"max_epochs": 8, "lr": 0.05, "random_state": 0, "train_split": SPLIT}
    net = VicinalClassifier(
        module, vicinity=vicinity, criterion=criterion, criterion__ignore_index=2, **params
    ).fit(X, CODES)
    known = CODES < 2
    assert net.score(X[known], CODES[known]) > 0.9
    assert (net.predict(X) != 2).mean() > 0.9
    assert np.isfinite(net.history[:, "valid_loss"]).all()


def test_the_loss_without_ignored_rows_is_torchs():
    params = {"optimizer": torch.optim.SGD, "lr": 1e-12, "batch_size": -1, "max_epochs": 1}
    for criterion in (nn.CrossEntropyLoss(ignore_index=1), Smoothed(ignore_index=1)):
        net = VicinalClassifier(nn.Linear(4, 3), criterion=criterion, **params).fit(X, CODES)
        logits = net.module_(torch.from_numpy(X)).detach()
        expected = float(criterion(logits, torch.from_numpy(CODES)))
        assert net.loss_curve_[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("labels", "ignored"),
    [(Y, 1), (CODES + 1, 1), (CODES + 5, 1), (CODES + 5, 5), (CODES - 1, -1), (CODES * 255, 255)],
)
@pytest.mark.parametrize("criterion", [{}, {"criterion": nn.CrossEntropyLoss()}])
def test_an_ignored_label_that_is_no_position_is_refused(labels, ignored, criterion):
    net = MixupClassifier(criterion__ignore_index=ignored, **criterion, **FAST)
    with pytest.raises(
        ValueError, match=rf"ignore_index={ignored} does not say .*sample_weight=0"
    ):
        net.fit(X, labels)
    assert not hasattr(net, "module_")


@pytest.mark.parametrize(("labels", "ignored"), [(Y, -1), (CODES, -1), (CODES, 9), (Y, -100)])
def test_an_ignored_label_that_nobody_has_changes_nothing(labels, ignored):
    net = MixupClassifier(criterion__ignore_index=ignored, **FAST).fit(X, labels)
    plain = MixupClassifier(**FAST).fit(X, labels)
    assert np.array_equal(net.predict_proba(X), plain.predict_proba(X))


# ---- functions


def mean_of_squares(output, target):
    return ((output - F.one_hot(target, output.shape[1])) ** 2).mean()


def with_reduction(output, target, temperature=1.0, reduction="mean"):
    return F.cross_entropy(output / temperature, target, reduction=reduction)


def factory():
    return F.nll_loss


@pytest.mark.parametrize(
    "params",
    [
        {"criterion": F.cross_entropy},
        {"criterion": partial(F.cross_entropy)},
        {"criterion": F.nll_loss},
        {"criterion": factory},
        {"criterion": with_reduction},
        {"criterion": with_reduction, "mix_per": "sample", "class_weight": "balanced"},
        {"criterion": partial(with_reduction, temperature=3.0), "criterion__temperature": 1.0},
        {"criterion": lambda: with_reduction},
    ],
)
def test_functions_are_criterions(params):
    """One that is cross-entropy trains as cross-entropy does."""
    sgd = FAST | {"optimizer": torch.optim.SGD}
    net = MixupClassifier(train_split=SPLIT, **sgd, **params).fit(X, Y)
    plain = {name: value for name, value in params.items() if "criterion" not in name}
    expected = MixupClassifier(train_split=SPLIT, **sgd, **plain).fit(X, Y)
    assert np.allclose(net.loss_curve_, expected.loss_curve_, atol=1e-4)
    assert np.allclose(net.history[:, "valid_loss"], expected.history[:, "valid_loss"], atol=2e-2)
    assert np.allclose(net.predict_proba(X), expected.predict_proba(X), atol=2e-2)


def test_options_of_functions():
    smooth = MixupClassifier(criterion=F.cross_entropy, criterion__label_smoothing=0.2, **FAST)
    expected = MixupClassifier(criterion__label_smoothing=0.2, **FAST).fit(X, Y)
    assert np.array_equal(smooth.fit(X, Y).predict_proba(X), expected.predict_proba(X))
    net = MixupClassifier(criterion=mean_of_squares, **FAST | {"max_epochs": 30}).fit(X, Y)
    assert net.score(X, Y) > 0.9
    assert np.array_equal(pickle.loads(pickle.dumps(net)).predict(X), net.predict(X))
    assert "mean_of_squares" in repr(net.criterion_)
    with pytest.raises(TypeError, match="criterion mean_of_squares returns one number"):
        clone(net).set_params(mix_per="sample").fit(X, Y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_smoothing": 1.5}, r"criterion__label_smoothing must be in \[0, 1\]; got 1.5"),
        ({"label_smoothing": -0.1}, r"criterion__label_smoothing must be in \[0, 1\]; got -0.1"),
        ({"weight": torch.ones(7)}, r"criterion__weight has the shape \(7,\)"),
    ],
)
def test_options_that_no_cross_entropy_has_are_errors_before_training(options, message):
    net = MixupClassifier(**FAST, **{f"criterion__{name}": v for name, v in options.items()})
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y)
    assert not hasattr(net, "module_")

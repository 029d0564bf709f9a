"""Losses of the user's own, as skorch documents them, are called and mixed for."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from skmixup import MixupClassifier
from tests.training.own_methods import (
    CODES,
    HOLD_OUT,
    MIXED,
    PARAMS,
    SAMPLE,
    WEIGHT,
    CrossEntropy,
    WithPenalty,
    X,
    Y,
    assert_same,
    fitted,
    sequential,
)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("module", [sequential, None], ids=["own module", "members"])
@pytest.mark.parametrize("case", [*MIXED.items(), *SAMPLE.items()], ids=lambda case: case[0])
def test_a_penalty_in_get_loss_is_added_once(case, module, weight):
    if case[0] == "cutmix" and module is None:
        pytest.skip("one network for images is enough")
    base, params = case[1]
    still = {"optimizer": torch.optim.SGD, "lr": 1e-12, "module": module, "weight": weight}
    if module is None:
        still["module__dropout"] = 0.0
    net = fitted(base, WithPenalty, params, **still, **HOLD_OUT)
    plain = fitted(base, None, params, **still, **HOLD_OUT)
    penalty = 0.01 * sum(float(w.detach().abs().sum()) for w in plain.module_.parameters())
    assert penalty > 0.1
    assert np.allclose(net.loss_curve_, np.array(plain.loss_curve_) + penalty, atol=1e-4)
    valid, expected = net.history[:, "valid_loss"], plain.history[:, "valid_loss"]
    assert np.allclose(valid, np.array(expected) + penalty, atol=1e-4)


def test_a_penalty_shrinks_the_weights():
    net = fitted(MixupClassifier, WithPenalty, {"max_epochs": 40}, module=None)
    plain = fitted(MixupClassifier, None, {"max_epochs": 40}, module=None)
    size, expected = (
        sum(float(w.detach().abs().sum()) for w in n.module_.parameters()) for n in (net, plain)
    )
    assert size < 0.5 * expected


@pytest.mark.parametrize("module", [sequential, None], ids=["own module", "members"])
@pytest.mark.parametrize("case", MIXED.items(), ids=lambda case: case[0])
def test_a_loss_of_the_users_own_is_joined_over_both_labels(case, module):
    if case[0] == "cutmix" and module is None:
        pytest.skip("one network for images is enough")
    base, params = case[1]
    more = HOLD_OUT | {"device": "cpu", "optimizer": torch.optim.SGD, "module": module}
    net = fitted(base, CrossEntropy, params, **more)
    expected = fitted(base, None, params, **more)
    assert_same(net, expected, 1e-4)
    assert np.allclose(net.history[:, "valid_loss"], expected.history[:, "valid_loss"], atol=1e-4)


@pytest.mark.parametrize("case", SAMPLE.items(), ids=lambda case: case[0])
def test_with_a_lambda_for_each_pair_a_loss_of_its_own_is_refused(case):
    base, params = case[1]
    with pytest.raises(ValueError, match=r"get_loss of Own uses y_true itself .*mix_per='batch'"):
        fitted(base, CrossEntropy, params, device="cpu")


class Rows:
    """Returns the loss of each row."""

    def get_loss(self, y_pred, y_true, X=None, training=False):
        return F.cross_entropy(y_pred, y_true, reduction="none")


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("module", [sequential, None], ids=["own module", "members"])
@pytest.mark.parametrize(
    "case", [*SAMPLE.items(), ("mixup", MIXED["mixup"])], ids=lambda case: case[0]
)
def test_losses_of_rows_are_joined_pair_by_pair(case, module, weight):
    base, params = case[1]
    net = fitted(base, Rows, params, module=module, weight=weight)
    assert_same(net, fitted(base, None, params, module=module, weight=weight), 1e-4)


def test_weights_are_not_lost_by_a_loss_that_returns_one_number():
    with pytest.raises(TypeError, match=r"get_loss of Own returns one number .*sample_weight"):
        fitted(MixupClassifier, CrossEntropy, {}, weight=WEIGHT, device="cpu")


class WeightsInX:
    """skorch's FAQ: weights come with X; here they are the first column."""

    def get_loss(self, y_pred, y_true, X, *args, **kwargs):
        loss = super().get_loss(y_pred, y_true, X, *args, **kwargs)
        assert loss.shape == y_true.shape
        return (X[:, 0].abs() * loss).mean()


def test_the_rows_that_belong_to_the_labels_come_with_them():
    none = {"criterion__reduction": "none", "alpha": 1.0}
    net = fitted(MixupClassifier, WeightsInX, none)
    weight = np.abs(X[:, 0])
    expected = fitted(MixupClassifier, None, {"alpha": 1.0}, weight=weight, optimizer__eps=1e-12)
    # AdamW does not mind the scale of the loss, by which weights of mean one differ.
    for name, value in net.module_.state_dict().items():
        other = expected.module_.state_dict()[name]
        torch.testing.assert_close(value, other, atol=1e-3, rtol=1e-3)


def test_a_loss_set_on_the_net_is_called():
    net = MixupClassifier(sequential, alpha=1.0, **PARAMS)
    net.get_loss = lambda y_pred, y_true, **kwargs: F.cross_entropy(y_pred, y_true)
    net.fit(X, Y)
    assert_same(net, fitted(MixupClassifier, None, {"alpha": 1.0}), 1e-4)


def test_get_loss_by_hand_is_the_criterion():
    net = fitted(MixupClassifier, None, {})
    logits, codes = torch.randn(48, 3), torch.from_numpy(CODES)
    torch.testing.assert_close(net.get_loss(logits, codes), F.cross_entropy(logits, codes))
    torch.testing.assert_close(net.get_loss((logits, 1), CODES), F.cross_entropy(logits, codes))

"""Modules with several outputs: all of them are trained, or it is told which are not."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from tests.training.own_methods import HOLD_OUT, MIXED, SAMPLE, X, assert_same, fitted


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head, self.other = nn.Linear(4, 6), nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, x):
        h = torch.tanh(self.body(x))
        return self.head(h), self.other(h)


class BothTrained:
    def get_loss(self, y_pred, y_true, X=None, training=False):
        first, second = y_pred
        ask = super().get_loss
        return ask(first, y_true, X=X, training=training) + 0.5 * ask(second, y_true)


class BothOwn:
    def get_loss(self, y_pred, y_true, X=None, training=False):
        first, second = y_pred
        return F.cross_entropy(first, y_true) + 0.5 * F.cross_entropy(second, y_true)


class Both(nn.Module):
    """A criterion that takes all outputs, as skorch gives them."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, outputs, target):
        losses = [F.cross_entropy(z, target, reduction=self.reduction) for z in outputs]
        return losses[0] + 0.5 * losses[1]


@pytest.mark.parametrize(
    "case", [(n, MIXED[n]) for n in ("none", "mixup", "manifold")] + [*SAMPLE.items()],
    ids=lambda case: case[0],
)  # fmt: skip
def test_two_heads_with_a_loss_each(case):
    base, params = case[1]
    net = fitted(base, BothTrained, params, module=TwoHeads, **HOLD_OUT)
    start = fitted(base, BothTrained, params, module=TwoHeads, **({"max_epochs": 0}))
    assert not torch.equal(net.module_.other.weight, start.module_.other.weight)
    same = [fitted(base, None, params, module=TwoHeads, criterion=Both, **HOLD_OUT)]
    if case[0] not in SAMPLE or params.get("mix_per") != "sample":
        same.append(fitted(base, BothOwn, params, module=TwoHeads, **HOLD_OUT))
    for other in same:
        assert_same(other, net, 1e-4)
        valid = other.history[:, "valid_loss"]
        assert np.allclose(valid, net.history[:, "valid_loss"], atol=1e-4)
    assert net.predict_proba(X).shape == (48, 3)


@pytest.mark.parametrize("base", [MixupClassifier, ManifoldMixupClassifier, VicinalClassifier])
def test_a_second_output_is_not_left_untrained_in_silence(base):
    with pytest.warns(UserWarning, match=r"returns 2 outputs.*other.weight.*Override get_loss"):
        fitted(base, None, {}, module=TwoHeads)
    with pytest.warns(UserWarning, match="returns 2 outputs") as caught:
        fitted(base, None, {}, module=TwoHeads)
    assert len(caught) == 1


def test_a_head_that_is_there_in_training_only_is_not_left_untrained_in_silence():
    class InTraining(TwoHeads):
        def forward(self, x):
            outputs = super().forward(x)
            return outputs if self.training else outputs[0]

    with pytest.warns(UserWarning, match=r"returns 2 outputs.*other.weight"):
        fitted(MixupClassifier, None, {}, module=InTraining)


def test_a_single_number_beside_the_logits_is_taken_for_a_loss():
    class Routed(TwoHeads):
        def forward(self, x):
            logits, _ = super().forward(x)
            return logits, logits.square().mean()

    with pytest.warns(UserWarning, match="a single number that may be meant as a loss"):
        fitted(MixupClassifier, None, {}, module=Routed)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.scores, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        attention = torch.softmax(self.scores(x), dim=1)
        hidden = attention * x
        return self.head(hidden), (attention, [hidden, hidden.detach()]), {"hidden": hidden}


class Focal(nn.Module):
    def forward(self, logits, target):
        return F.cross_entropy(logits, target) ** 2


@pytest.mark.parametrize("params", [{}, {"criterion": Focal}])
def test_hidden_states_and_attention_raise_no_alarm(params):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = fitted(MixupClassifier, None, params, module=Attention)
        fitted(MixupClassifier, BothTrained, {}, module=TwoHeads)
        fitted(MixupClassifier, None, {"criterion": Both}, module=TwoHeads)
    assert net.predict_proba(X).shape == (48, 3)

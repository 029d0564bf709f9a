"""Explainers work on the module or on predict_proba: captum itself, SHAP by what it does."""

import numpy as np
import pandas as pd
import pytest
import torch
from captum.attr import DeepLift, IntegratedGradients, LayerConductance
from torch import nn

from skmixup import ManifoldMixupClassifier, MixupClassifier

RNG = np.random.default_rng(0)
CODES = np.arange(60) % 3
TABLE = (RNG.normal(size=(60, 5)) * 50 + 200 * np.eye(3, 5)[CODES]).astype(np.float32)
IMAGES = (RNG.normal(size=(36, 1, 8, 8)) + CODES[:36, None, None, None]).astype(np.float32)
FAST = {"max_epochs": 10, "lr": 0.02, "random_state": 0}


@pytest.fixture(scope="module")
def table_classifier():
    clf = ManifoldMixupClassifier(module__hidden_sizes=(8,), **FAST).fit(TABLE, CODES)
    clf.module_.eval()
    return clf


@pytest.fixture(scope="module")
def image_classifier():
    clf = MixupClassifier(module__width=4, **FAST).fit(IMAGES, CODES[:36])
    clf.module_.eval()
    return clf


def test_integrated_gradients_add_up_to_the_logit(table_classifier):
    module, x = table_classifier.module_, torch.from_numpy(TABLE[:6]).requires_grad_()
    baseline = torch.from_numpy(TABLE.mean(axis=0, keepdims=True))
    parts = IntegratedGradients(module).attribute(x, baseline, target=1, n_steps=300)
    difference = (module(x) - module(baseline))[:, 1]
    assert difference.abs().max() > 0.5
    torch.testing.assert_close(parts.sum(dim=1), difference, rtol=0, atol=0.02)


def test_a_hidden_layer_can_be_looked_into(table_classifier):
    module = table_classifier.module_
    conductance = LayerConductance(module, module.blocks[0])
    assert conductance.attribute(torch.from_numpy(TABLE[:6]), target=1).shape == (6, 4, 8)


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks:UserWarning")
def test_deep_lift_adds_up_on_images(image_classifier):
    """It follows modules and sees no functions, as SHAP's DeepExplainer."""
    x = torch.from_numpy(IMAGES[:4]).requires_grad_()
    _, error = DeepLift(image_classifier.module_).attribute(
        x, torch.zeros_like(x), target=2, return_convergence_delta=True
    )
    assert error.abs().max() < 1e-4


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks:UserWarning")
def test_deep_lift_adds_up_on_a_table_where_all_is_modules():
    parts = {"n_members": 1, "scale_inputs": False, "embedding": None, "hidden_sizes": (8, 8)}
    net = ManifoldMixupClassifier(**FAST, **{f"module__{k}": v for k, v in parts.items()})
    rows = (TABLE - TABLE.mean(axis=0)) / TABLE.std(axis=0)
    clf = net.fit(rows, CODES)
    usual = clf.predict_proba(rows)
    x = torch.from_numpy(rows[:4]).requires_grad_()
    parts, error = DeepLift(clf.module_).attribute(
        x, torch.zeros_like(x), target=2, return_convergence_delta=True
    )
    assert parts.abs().max() > 0.1
    assert error.abs().max() < 1e-4
    assert np.array_equal(clf.predict_proba(rows), usual)


def test_what_shaps_gradient_explainers_do(table_classifier, image_classifier):
    """They put hooks on every module, take gradients of one output and take the hooks away."""
    for clf, rows in ((table_classifier, TABLE), (image_classifier, IMAGES)):
        seen = set()

        def look(module, args, output, seen=seen):
            seen.add(type(module))

        handles = [module.register_forward_hook(look) for module in clf.module_.modules()]
        x = torch.from_numpy(rows[:5]).requires_grad_()
        outputs = clf.module_.eval()(x)
        (gradient,) = torch.autograd.grad(outputs[:, 1].sum(), x)
        for handle in handles:
            handle.remove()
        assert outputs.shape == (5, 3)
        assert torch.all(gradient.flatten(1).abs().sum(dim=1) > 0)
        assert nn.ReLU in seen
        assert np.allclose(clf.predict_proba(rows[:5]), outputs.detach().softmax(1), atol=1e-6)


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame])
def test_what_model_free_explainers_do(table_classifier, kind):
    """They call predict_proba with many made-up rows of float64, then with single ones."""
    clf = table_classifier
    background = TABLE[:10].mean(axis=0)
    coalitions = RNG.integers(0, 2, size=(64, 5)).astype(bool)
    made_up = np.where(coalitions, TABLE[0], background)
    together = clf.predict_proba(kind(made_up))
    alone = np.concatenate([clf.predict_proba(kind(made_up[i : i + 1])) for i in range(64)])
    assert together.shape == (64, 3)
    np.testing.assert_allclose(together, alone, atol=1e-6)

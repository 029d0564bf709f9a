"""Augmentations of kornia and torchvision as `augment`: rows, and the randomness of the fit."""

import numpy as np
import pytest
import torch
from torch import nn

from skmixup import InterpolationConsistencyClassifier, ManifoldMixupClassifier

RNG = np.random.default_rng(0)
X = RNG.random(size=(24, 3, 8, 8), dtype=np.float32)
Y = np.arange(24) % 3


def fitted(augment, kind=ManifoldMixupClassifier, y=Y):
    defaults = {"module__width": 4, "module__depths": (1,), "max_epochs": 2, "batch_size": 8}
    return kind(augment=augment, random_state=0, device="cpu", **defaults).fit(X, y)


@pytest.mark.filterwarnings("ignore")
def test_kornias_draw_for_each_image_from_the_fits_randomness(global_states):
    K = pytest.importorskip("kornia.augmentation")
    augment = nn.Sequential(
        K.RandomHorizontalFlip(p=0.5),
        K.RandomAffine(15.0, translate=(0.1, 0.1)),
        K.ColorJiggle(0.2, 0.2, 0.2, 0.1),
        K.RandomErasing(),
    )
    before = global_states()
    first, second = (fitted(augment).predict_proba(X) for _ in range(2))
    assert global_states() == before
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, fitted(None).predict_proba(X))
    partly = np.where(np.arange(24) < 12, Y, -1)
    fitted(K.RandomHorizontalFlip(), InterpolationConsistencyClassifier, partly)
    torch.manual_seed(0)
    flipped = K.RandomHorizontalFlip(p=0.5)(torch.tensor(X[:1]).expand(64, -1, -1, -1))
    assert 0 < int((flipped != torch.tensor(X[:1])).flatten(1).any(dim=1).sum()) < 64


@pytest.mark.filterwarnings("ignore")
def test_torchvisions_work_on_minibatches_and_draw_once():
    v2 = pytest.importorskip("torchvision.transforms.v2")
    augment = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop(8, padding=2)])
    first, second = (fitted(augment).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    flipped = v2.RandomHorizontalFlip(p=0.5)(torch.tensor(X[:1]).expand(64, -1, -1, -1))
    assert int((flipped != torch.tensor(X[:1])).flatten(1).any(dim=1).sum()) in (0, 64)

"""A skops file, which MLflow writes by default, holds an estimator as a pickle does."""

import numpy as np
import pytest
import skops.io
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EarlyStopping, EpochScoring, LRScheduler
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import TensorDataset

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    VicinalClassifier,
)
from skmixup.vicinal import Gaussian

RNG = np.random.default_rng(0)
CODES = np.arange(60) % 3
X = (RNG.normal(size=(60, 4)) + 3 * np.eye(3, 4)[CODES]).astype(np.float32)
Y = np.array(["ant", "bee", "cow"])[CODES]
KNOWN = {"skmixup", "skorch", "torch", "sklearn"}
FAST = {"module__hidden_sizes": (8,), "max_epochs": 3, "lr": 0.02, "random_state": 0}


def reloaded(estimator, path):
    """Write and read as skops, and so MLflow, does: types in the file are trusted by name."""
    skops.io.dump(estimator, path)
    trusted = skops.io.get_untrusted_types(file=path)
    plain = {"builtins.print", "functools.partial"}
    assert {name.split(".")[0] for name in set(trusted) - plain} <= KNOWN
    return skops.io.load(path, trusted=trusted)


ESTIMATORS = {
    "mixup": MixupClassifier(**FAST),
    "manifold mixup": ManifoldMixupClassifier(**FAST),
    "a vicinity": VicinalClassifier(vicinity=Gaussian(0.1), class_weight="balanced", **FAST),
    "a device": MixupClassifier(device=torch.device("cpu"), **FAST),
    "a random state": MixupClassifier(**FAST | {"random_state": np.random.RandomState(0)}),
    "weights of classes": MixupClassifier(criterion__weight=torch.tensor([1.0, 2, 3]), **FAST),
    "a module class": MixupClassifier(
        nn.Linear, module__in_features=4, module__out_features=3, max_epochs=3, random_state=0
    ),
    "callbacks": MixupClassifier(
        callbacks=[EarlyStopping(patience=2), ("acc", EpochScoring("accuracy"))],
        train_split=ValidSplit(4, stratified=True),
        **FAST,
    ),
    "a module": MixupClassifier(nn.Linear(4, 3), max_epochs=3, random_state=0),
    "a scheduler": MixupClassifier(
        callbacks=[LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=2)], **FAST
    ),
    "a pipeline": make_pipeline(StandardScaler(), MixupClassifier(**FAST)),
    "a calibrated one": CalibratedClassifierCV(MixupClassifier(**FAST), cv=2),
    "a search": GridSearchCV(MixupClassifier(**FAST), {"alpha": [0, 0.2]}, cv=2),
}


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_fitted_estimator_predicts_the_same_after_it(kind, tmp_path):
    fitted = clone(ESTIMATORS[kind]).fit(X, Y)
    again = reloaded(fitted, tmp_path / "estimator.skops")
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert np.array_equal(again.predict(X), fitted.predict(X))
    assert clone(again).fit(X, Y).score(X, Y) > 0


def test_training_goes_on_as_if_there_had_been_no_file(tmp_path):
    fitted = MixupClassifier(**FAST).fit(X, Y)
    again = reloaded(fitted, tmp_path / "estimator.skops")
    before = fitted.predict_proba(X)
    fitted.partial_fit(X, Y)
    again.partial_fit(X, Y)
    assert not np.array_equal(fitted.predict_proba(X), before)
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert again.n_iter_ == 6


def test_other_ways_to_be_fitted(tmp_path):
    some = np.where(np.arange(60) % 2, CODES, -1)
    learner = InterpolationConsistencyClassifier(**FAST).fit(X, some)
    again = reloaded(learner, tmp_path / "unlabeled.skops")
    assert np.array_equal(again.transduction_, learner.transduction_)
    integers = TensorDataset(torch.arange(60) % 5, torch.from_numpy(CODES))
    sizes = {"module__num_embeddings": 5, "module__embedding_dim": 3}
    net = VicinalClassifier(nn.Embedding, classes=[0, 1, 2], max_epochs=1, **sizes)
    net.fit(integers, CODES)
    again = reloaded(net, tmp_path / "dataset.skops")
    assert np.array_equal(again.predict(integers), net.predict(integers))
    unfitted = reloaded(MixupClassifier(**FAST), tmp_path / "unfitted.skops")
    assert unfitted.get_params(deep=False) == MixupClassifier(**FAST).get_params(deep=False)

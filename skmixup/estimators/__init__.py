"""Estimators: vicinal training behind scikit-learn's ``fit`` and ``predict``."""

from skmixup.estimators.classifiers import VicinalClassifier
from skmixup.estimators.mixup import ManifoldMixupClassifier, MixupClassifier
from skmixup.estimators.regressors import (
    ManifoldMixupRegressor,
    MixupRegressor,
    VicinalRegressor,
)
from skmixup.estimators.semi_supervised import InterpolationConsistencyClassifier
from skmixup.estimators.unlabeled import LabeledStratifiedKFold

__all__ = [
    "InterpolationConsistencyClassifier",
    "LabeledStratifiedKFold",
    "ManifoldMixupClassifier",
    "ManifoldMixupRegressor",
    "MixupClassifier",
    "MixupRegressor",
    "VicinalClassifier",
    "VicinalRegressor",
]

"""scikit-learn's contract on top of the vicinal training step."""

from skmixup.estimators.classifiers import (
    ManifoldMixupClassifier,
    MixupClassifier,
    VicinalClassifier,
)
from skmixup.estimators.semi_supervised import InterpolationConsistencyClassifier
from skmixup.estimators.unlabeled import LabeledStratifiedKFold

__all__ = [
    "InterpolationConsistencyClassifier",
    "LabeledStratifiedKFold",
    "ManifoldMixupClassifier",
    "MixupClassifier",
    "VicinalClassifier",
]

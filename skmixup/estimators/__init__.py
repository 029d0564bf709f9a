"""scikit-learn's contract on top of the vicinal training step."""

from skmixup.estimators.classifiers import (
    ManifoldMixupClassifier,
    MixupClassifier,
    VicinalClassifier,
)
from skmixup.estimators.semi_supervised import InterpolationConsistencyClassifier

__all__ = [
    "InterpolationConsistencyClassifier",
    "ManifoldMixupClassifier",
    "MixupClassifier",
    "VicinalClassifier",
]

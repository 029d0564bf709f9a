"""scikit-learn's contract on top of the vicinal training step."""

from skmixup.estimators.classifiers import (
    ManifoldMixupClassifier,
    MixupClassifier,
    VicinalClassifier,
)

__all__ = ["ManifoldMixupClassifier", "MixupClassifier", "VicinalClassifier"]

"""Where both pillars meet: networks trained in a vicinity, their settings chosen by a design."""

from skmixup.ensemble.classifier import MixupClassifierCV
from skmixup.ensemble.regressor import MixupRegressorCV

__all__ = ["MixupClassifierCV", "MixupRegressorCV"]

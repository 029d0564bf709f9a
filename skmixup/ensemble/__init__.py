"""Where both pillars meet: networks trained in a vicinity, their settings chosen by a design."""

from skmixup.ensemble.cv import MixupClassifierCV

__all__ = ["MixupClassifierCV"]

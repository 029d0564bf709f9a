"""Declared constraints of parameters, as every estimator of scikit-learn checks them.

They are private to scikit-learn, which has no public way to them. All that is used of them comes
from here, so that there is one line to change where scikit-learn moves them.
"""

from sklearn.utils._param_validation import (
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
)

__all__ = ["Interval", "Options", "StrOptions", "validate_parameter_constraints"]

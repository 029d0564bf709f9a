"""Constraints of parameters, as scikit-learn's own estimators declare them.

scikit-learn keeps them in a private module and has no public one. The estimators import them from
here, so that there is one place to change should scikit-learn move them.
"""

from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
)

__all__ = ["HasMethods", "Interval", "Options", "StrOptions", "validate_parameter_constraints"]

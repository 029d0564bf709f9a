"""Constraints of parameters, as scikit-learn's own estimators declare them.

scikit-learn keeps them in a private module and has no public one. Estimators and searches import
them from here, so that there is one place to change should scikit-learn move them.
"""

from typing import Any

from sklearn.utils import _param_validation
from sklearn.utils._param_validation import (
    HasMethods,
    Options,
    StrOptions,
    validate_parameter_constraints,
)

__all__ = ["HasMethods", "Interval", "Options", "StrOptions", "validate_parameter_constraints"]


class Interval(_param_validation.Interval):
    """Numbers in an interval; a boolean, which Python takes for 0 or 1, is none of them."""

    def is_satisfied_by(self, val: Any) -> bool:
        """Whether `val` is one of the numbers."""
        return not isinstance(val, bool) and bool(super().is_satisfied_by(val))

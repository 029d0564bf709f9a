"""What mixup changes besides accuracy: noisy labels, adversarial examples, calibration.

Names are imported on first use, so that those that need no torch do not load it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skmixup.robustness.calibration import ReliabilityDisplay, expected_calibration_error

__all__ = ["ReliabilityDisplay", "expected_calibration_error"]

_HOME = {
    "ReliabilityDisplay": "calibration",
    "expected_calibration_error": "calibration",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

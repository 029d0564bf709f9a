"""What mixup changes besides accuracy: noisy labels, adversarial examples, calibration.

Names are imported on first use, so that those that need no torch do not load it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skmixup.robustness.attacks import accuracy_under_attack, fgsm, ifgsm
    from skmixup.robustness.calibration import expected_calibration_error
    from skmixup.robustness.held_out import HeldOutError
    from skmixup.robustness.label_noise import corrupt_labels
    from skmixup.robustness.reliability import ReliabilityDisplay

__all__ = [
    "HeldOutError",
    "ReliabilityDisplay",
    "accuracy_under_attack",
    "corrupt_labels",
    "expected_calibration_error",
    "fgsm",
    "ifgsm",
]

_HOME = {
    "HeldOutError": "held_out",
    "ReliabilityDisplay": "reliability",
    "accuracy_under_attack": "attacks",
    "corrupt_labels": "label_noise",
    "expected_calibration_error": "calibration",
    "fgsm": "attacks",
    "ifgsm": "attacks",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

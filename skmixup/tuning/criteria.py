"""What a design may be chosen by: a discrepancy, or one with a run in the middle of all ranges."""

from typing import Any

from skmixup.design.discrepancy import CRITERIA

#: The default of tuning: the centred discrepancy, with a run in the middle of all ranges.
MIDDLE = "CD+middle"
#: What ``criterion`` may be.
TUNING_CRITERIA = (MIDDLE, *CRITERIA)


def check_tuning_criterion(criterion: Any) -> None:
    """An error that lists the valid criterions for any other one."""
    if criterion not in TUNING_CRITERIA:
        raise ValueError(
            f"criterion={criterion!r} is unknown: choose one of {list(TUNING_CRITERIA)}"
        )


def discrepancy_of(criterion: str) -> str:
    """The discrepancy that a criterion makes small: what completes points is chosen by it."""
    return "CD" if criterion == MIDDLE else criterion

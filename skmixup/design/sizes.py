"""The largest designs that can be made; whoever asks for more is told so at once."""

from math import isqrt

#: A search holds arrays of n_runs² numbers, 800 MB each at this many runs.
MOST_RUNS = 10_000
#: With more factors than this a discrepancy's terms grow beyond what 16 digits can tell apart.
MOST_FACTORS = 1000
#: A search passes n_runs² · n_factors numbers again and again: minutes at this many.
_MOST_SEARCHED = 10**9
#: A discrepancy passes them once: minutes as well.
_MOST_COMPARED = 10**10
#: An orthogonal array of more entries than this (1 GB) is refused.
MOST_ENTRIES = 2**27
#: Addition and multiplication in a field are tables of q² numbers, 34 MB each at this many levels.
MOST_FIELD_LEVELS = 2048


def most_searched(n_factors: int) -> int:
    """The most runs whose comparisons are held in memory and passed again and again."""
    return min(MOST_RUNS, isqrt(_MOST_SEARCHED // n_factors))


def check_design_size(n_runs: int, n_factors: int) -> None:
    """Raise an error that names the parameter and its largest value, if a design is too large."""
    if n_factors > MOST_FACTORS:
        raise ValueError(f"n_factors={n_factors} is too many: at most {MOST_FACTORS}")
    most = most_searched(n_factors)
    if n_runs > most:
        raise ValueError(
            f"n_runs={n_runs} is too many for n_factors={n_factors}: at most {most}, because "
            "every run is compared with every other"
        )


def check_compared(n_runs: int, n_factors: int, name: str, *, held: bool = False) -> None:
    """Raise such an error if the runs of a given design are too many to compare.

    ``held``: all comparisons are in memory at once.
    """
    if n_factors > MOST_FACTORS:
        raise ValueError(f"{name} has {n_factors} factors: at most {MOST_FACTORS}")
    most = most_searched(n_factors) if held else isqrt(_MOST_COMPARED // n_factors)
    if n_runs > most:
        raise ValueError(
            f"{name} has {n_runs} runs of {n_factors} factors: at most {most} runs, because every "
            "run is compared with every other"
        )

"""Taguchi's L18 and L36 for factors of two and three levels, and Plackett & Burman's L12."""

from collections.abc import Sequence

import numpy as np

from skmixup.design.difference_schemes import difference_scheme
from skmixup.design.levels import Ints

#: A difference scheme over the integers mod 3: the difference of any two rows, and of any two
#: columns, has every value equally often.
_SIX = ("000000", "001122", "010212", "012021", "021201", "022110")

#: The most factors of two and of three levels, by the runs.
MOST = {18: (1, 7), 36: (11, 12)}


def plackett_burman() -> Ints:
    """L12(2^11): the quadratic residues mod 11, developed cyclically, and a row of zeros."""
    squares = {x * x % 11 for x in range(11)}
    rows = [[int((j - i) % 11 in squares) for j in range(11)] for i in range(11)]
    return np.array([*rows, [0] * 11], dtype=np.intp)


def array_of_twos_and_threes(n_runs: int) -> tuple[Ints, Ints]:
    """The two-level and the three-level columns of L18(2^1 3^7) or L36(2^11 3^12).

    Every row of a difference scheme plus each of 0, 1, 2 gives the three-level factors; which
    row it was is one more factor, of as many levels as the scheme has rows, and the runs of a
    smaller array are these levels.
    """
    twelve = difference_scheme(12, 3)
    assert twelve is not None
    scheme = np.array([list(map(int, row)) for row in _SIX]) if n_runs == 18 else twelve
    threes = np.concatenate([(scheme + c) % 3 for c in range(3)])
    row = np.tile(np.arange(len(scheme)), 3)
    if n_runs == 18:
        return row[:, None] // 3, np.column_stack([threes, row % 3])
    return plackett_burman()[row], threes


def mixed_array(n_levels: Sequence[int]) -> Ints | None:
    """The smaller of L18 and L36 that holds factors of these levels, in this order; or None."""
    wanted = np.asarray(n_levels)
    n_twos, n_threes = int((wanted == 2).sum()), int((wanted == 3).sum())
    if n_twos + n_threes < len(wanted):
        return None
    for n_runs, (most_twos, most_threes) in MOST.items():
        if n_twos <= most_twos and n_threes <= most_threes:
            array = np.empty((n_runs, len(wanted)), dtype=np.intp)
            twos, threes = array_of_twos_and_threes(n_runs)
            array[:, wanted == 2], array[:, wanted == 3] = twos[:, :n_twos], threes[:, :n_threes]
            return array
    return None

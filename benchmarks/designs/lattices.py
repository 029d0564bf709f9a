"""Lattices whose levels are folded, from which the best designs of nearly as many factors as runs
are a short annealing away.

Multiples i·h modulo m, h prime to m, are columns of a good lattice. A Williams transformation, or
taking x and m − x as one level, brings its runs to nearly equal distances; where 2n + 1 is prime
all distances of the n × n design are equal.

References
----------
Zhou & Xu: Space-filling properties of good lattice point sets. Biometrika 102 (2015) 959-966.
Wang, Xiao & Xu: Optimal maximin L1-distance Latin hypercube designs based on good lattice point
designs. Annals of Statistics 46 (2018) 3741-3766.
"""

from functools import lru_cache
from math import gcd

import numpy as np

from skmixup.design import discrepancy
from skmixup.design.levels import Ints

Size = tuple[int, int, int]
#: So many lattices are looked at for a start, of so few columns more than wanted.
_TRIED, _COLUMNS_MORE = 12, 4


def _ranks(values: Ints) -> Ints:
    """Levels 0 … n − 1 of each column by its order."""
    return np.argsort(np.argsort(values, axis=0, kind="stable"), axis=0, kind="stable")


def _multiples(m: int, most: int) -> Ints:
    """i·h modulo m for i = 1 … most and all h prime to m."""
    units = [h for h in range(1, m) if gcd(h, m) == 1]
    return np.outer(np.arange(1, most + 1), units) % m


def williams(levels: Ints, m: int) -> Ints:
    """0, 2, 4, …, 3, 1 for 0, 1, 2, …, m − 1."""
    return np.where(2 * levels < m, 2 * levels, 2 * (m - levels) - 1)


@lru_cache(maxsize=64)
def folded_lattices(n: int) -> tuple[Ints, ...]:
    """Designs of n levels and runs, each of as many factors as its modulus has units."""
    found = []
    for m in (2 * n - 1, 2 * n, 2 * n + 1):
        multiples = _multiples(m, m // 2)
        folded = np.unique(np.minimum(multiples, m - multiples), axis=1)
        if len(folded) == n:
            found.append(_ranks(folded))
    for m in (n, n + 1):
        multiples = _multiples(m, n)
        found += [_ranks(williams((multiples + shift) % m, m)) for shift in range(m)]
    return tuple(found)


def start(size: Size, rng: np.random.Generator) -> Ints | None:
    """The best of some random choices of columns; neighbouring levels merged where q < n.

    Where no lattice of n has enough columns, one of n + 1 loses a run. None where none has.
    """
    n, s, q = size
    lattices = [lattice for lattice in folded_lattices(n) if lattice.shape[1] >= s]
    if not lattices:
        lattices = [lattice for lattice in folded_lattices(n + 1) if lattice.shape[1] >= s]
    if not lattices:
        return None
    starts = []
    for _ in range(_TRIED):
        lattice = lattices[rng.integers(len(lattices))]
        if len(lattice) > n:
            lattice = _ranks(np.delete(lattice, rng.integers(n + 1), axis=0))
        columns = rng.permutation(lattice.shape[1])[: s + _COLUMNS_MORE]
        merged = lattice[:, columns] * q // n
        while merged.shape[1] > s:
            choices = [np.delete(merged, c, axis=1) for c in range(merged.shape[1])]
            merged = min(choices, key=lambda design: discrepancy(design, q))
        starts.append(merged)
    return min(starts, key=lambda design: discrepancy(design, q))

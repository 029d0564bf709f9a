"""The smallest orthogonal array that is known for any numbers of levels: L8(4 2⁴), L12, L18, L36 …

An array is put together from smaller ones until nothing is left to put together (Hedayat, Sloane
& Stufken 1999, chapters 6 to 9). ``array_of`` asks each construction in turn; all of them answer
with one column per factor, or with None.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import product
from math import gcd, lcm

import numpy as np

from skmixup.design.difference_schemes import difference_scheme
from skmixup.design.galois import field_tables, prime_power
from skmixup.design.hadamard import hadamard
from skmixup.design.levels import Ints
from skmixup.design.sizes import MOST_ENTRIES
from skmixup.design.subspaces import array_from_subspaces

#: Every possible size is tried up to so many runs; beyond it products of primes' arrays remain.
_MOST_TRIED = 4096

#: L12(3 2⁴), L20(5 2⁸) and L28(7 2¹²) (Wang & Wu 1992), which no formula gives. A row is a factor
#: of two levels, a letter its four runs at one level of the other factor: those of a, b and c are
#: orthogonal, and capital letters have 0 and 1 exchanged.
_WORDS = {
    3: "aaa aAb bbc bcC",
    5: "cBACA bcBAB bbbCc cAaaB bBaBb aAABa aaBac acbcA",
    7: "cCcabCB bCCcABa bbcBCAb cAcbBca bCBCBaA bBAbbbb cBaAAAA cbCCbcC bcaCcCa caacaab bBbBacB "
       "ccABAac",
}  # fmt: skip
_LETTERS = {"a": (0, 0, 1, 1), "b": (0, 1, 0, 1), "c": (0, 1, 1, 0)}


def _components(levels: Iterable[int]) -> list[set[int]]:
    """Numbers of levels in groups that have no prime in common with each other."""
    groups: list[set[int]] = []
    for q in sorted(set(levels)):
        joined = [group for group in groups if any(gcd(q, other) > 1 for other in group)]
        groups = [group for group in groups if group not in joined]
        groups.append({q}.union(*joined))
    return groups


def _smallest_multiple(levels: Iterable[int]) -> int:
    """The runs are a multiple of this: each pair of levels of two factors occurs equally often."""
    counts = Counter(levels)
    pairs = [a * b for a, b in product(counts, repeat=2) if a != b or counts[a] > 1]
    return lcm(*pairs, *counts)


def _fewest_runs(levels: Sequence[int]) -> int:
    """No array has fewer: as many parameters as the level means have, and a multiple as above."""
    multiple = _smallest_multiple(levels)
    return multiple * -(-(1 + sum(q - 1 for q in levels)) // multiple)


def _grid_size(levels: Iterable[int]) -> int:
    """The number of all combinations, or one that is too large where there are more."""
    size = 1
    for q in levels:
        size *= q
        if size > MOST_ENTRIES:
            break
    return size


def _grid(levels: Sequence[int]) -> Ints:
    """Every combination once, in lexicographic order."""
    return np.indices(levels, dtype=np.intp).reshape(len(levels), -1).T


def _from_subspaces(n_runs: int, levels: tuple[int, ...]) -> Ints | None:
    """p^k runs, and levels that are powers of the same prime."""
    found = prime_power(n_runs)
    powers = [prime_power(q) for q in levels]
    if found is None or any(power is None or power[0] != found[0] for power in powers):
        return None
    return array_from_subspaces(*found, tuple(power[1] for power in powers if power))


def _from_hadamard(n_runs: int, levels: tuple[int, ...]) -> Ints | None:
    """All factors of two levels."""
    matrix = hadamard(n_runs) if set(levels) == {2} else None
    return None if matrix is None else matrix[:, 1 : len(levels) + 1]


def _from_words(n_runs: int, levels: tuple[int, ...]) -> Ints | None:
    """Factors of two levels beside one of three, five or seven."""
    q, *others = levels
    if n_runs != 4 * q or q not in _WORDS or set(others) != {2}:
        return None
    columns = [np.repeat(np.arange(q), 4)]
    for word in _WORDS[q].split():
        runs = [np.array(_LETTERS[letter.lower()]) ^ letter.isupper() for letter in word]
        columns.append(np.concatenate(runs))
    return np.stack(columns, axis=1)[:, : len(levels)] if len(levels) <= len(columns) else None


def _scheme(n_rows: int, q: int) -> Ints | None:
    """A difference scheme over GF(q); over GF(2) these are the Hadamard matrices."""
    return hadamard(n_rows) if q == 2 else difference_scheme(n_rows, q)


def _from_schemes(n_runs: int, levels: tuple[int, ...]) -> Ints | None:
    """Factors of q levels from a difference scheme, each row of it plus each of the q elements;
    which row it was gives the others, by an array of as many runs as the scheme has rows.

    One factor of q levels is among these others where it can be: what it does together with one of
    them, as the first three-level factor of L18 with the two-level one, no main effect hides.
    """
    for q, count in Counter(levels).items():
        n_rows = n_runs // q
        if n_runs % q or n_rows % q or prime_power(q) is None:
            continue
        scheme = _scheme(n_rows, q)
        if scheme is None:
            continue
        for n_kept in (1, 0):
            n_developed = min(count - n_kept, n_rows)
            first = levels.index(q) + count - n_developed
            kept = levels[:first] + levels[first + n_developed :]
            others = array_of(n_rows, kept) if n_developed else None
            if others is not None:
                add, _ = field_tables(q)
                own = np.concatenate([add[scheme[:, :n_developed], e] for e in range(q)])
                rest = np.tile(others, (q, 1))
                return np.concatenate([rest[:, :first], own, rest[:, first:]], axis=1)
    return None


def _from_products(n_runs: int, levels: tuple[int, ...]) -> Ints | None:
    """Every run of an array beside every run of another one, whose levels share no prime."""
    first, *others = _components(levels)
    for chosen in product((True, False), repeat=len(others)):
        inside = first.union(*(g for g, take in zip(others, chosen, strict=True) if take))
        one = tuple(q for q in levels if q in inside)
        two = tuple(q for q in levels if q not in inside)
        if not two:
            continue
        most = n_runs // _fewest_runs(two)
        for n_one in range(_fewest_runs(one), most + 1, _smallest_multiple(one)):
            if n_runs % n_one or (right := array_of(n_runs // n_one, two)) is None:
                continue
            if (left := array_of(n_one, one)) is not None:
                array = np.empty((n_runs, len(levels)), dtype=np.intp)
                is_one = np.isin(levels, list(inside))
                array[:, is_one] = np.repeat(left, len(right), axis=0)
                array[:, ~is_one] = np.tile(right, (len(left), 1))
                return array
    return None


_CONSTRUCTIONS = (_from_subspaces, _from_hadamard, _from_words, _from_schemes, _from_products)


def array_of(n_runs: int, levels: tuple[int, ...]) -> Ints | None:
    """An orthogonal array of just so many runs, one column for each factor; or None.

    ``levels`` are in descending order.
    """
    if not levels:
        return np.empty((n_runs, 0), dtype=np.intp)
    if n_runs % _smallest_multiple(levels) or n_runs <= sum(q - 1 for q in levels):
        return None
    if len(levels) == 1:
        return (np.arange(n_runs) % levels[0])[:, None]
    if _grid_size(levels) == n_runs:
        return _grid(levels)
    found = (construct(n_runs, levels) for construct in _CONSTRUCTIONS)
    return next((array for array in found if array is not None), None)


def _largest_needed(levels: tuple[int, ...]) -> int:
    """A number of runs that suffices: the grid, or less for factors of one prime's powers."""
    n_runs = 1
    for component in _components(levels):
        group = tuple(q for q in levels if q in component)
        powers = [prime_power(q) for q in group]
        needed = _grid_size(group)
        if len(group) > 1 and all(powers):
            p = next(power[0] for power in powers if power)
            exponents = tuple(power[1] for power in powers if power)
            sizes = ((p**k, k) for k in range(max(exponents), sum(exponents)))
            fits = (n for n, k in sizes if array_from_subspaces(p, k, exponents) is not None)
            needed = next(fits, needed)
        n_runs *= needed
    return n_runs


def smallest_array(n_levels: Sequence[int], below: int | None = None) -> Ints | None:
    """The smallest array that is known for factors of these levels, in this order.

    None where it would have too many entries, where none is known but the whole grid though a
    smaller one may exist, or where none has fewer runs than ``below``.
    """
    levels = tuple(sorted(n_levels, reverse=True))
    first = _fewest_runs(levels)
    if first * len(levels) > MOST_ENTRIES or (below is not None and first >= below):
        return None
    most = _largest_needed(levels) if below is None else below - 1
    tried = range(first, min(most, _MOST_TRIED) + 1, _smallest_multiple(levels))
    sizes = tried if below is not None or most in tried else [*tried, most]
    for n_runs in sizes:
        if n_runs * len(levels) > MOST_ENTRIES or (n_runs == _grid_size(levels) > first):
            return None
        array = array_of(n_runs, levels)
        if array is not None:
            order = np.argsort(-np.asarray(n_levels), kind="stable")
            return np.asarray(array[:, np.argsort(order, kind="stable")])
    return None

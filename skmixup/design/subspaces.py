"""Mixed arrays of p^k runs: levels that are powers of one prime, from a geometry.

A run is a vector of GF(p)^k, and a factor of p^m levels reads off m independent linear forms of
it. Two factors see every pair of their levels equally often where the spaces that their forms
span have nothing but zero in common; so an array is a set of disjoint subspaces, of m dimensions
for p^m levels: L8(4 2⁴), L16(4⁵), L16(8 2⁸), L32(4⁹ 2⁴), L27(9 3⁹), … (Wu, Zhang & Wang 1992).
"""

from collections.abc import Mapping

import numpy as np

from skmixup.design.galois import combinations_over_field, times_powers
from skmixup.design.levels import Ints
from skmixup.design.sizes import MOST_ENTRIES, MOST_FIELD_LEVELS

#: For each number of dimensions its subspaces, each as its basis, (dimensions, k).
Subspaces = dict[int, list[Ints]]


def _digits(numbers: Ints, p: int, k: int) -> Ints:
    """The k digits of numbers in base p, the lowest first."""
    return np.asarray(numbers[:, None] // p ** np.arange(k) % p)


def _parts(p: int, k: int, m: int) -> tuple[list[Ints], Ints]:
    """The space GF(p)^k in disjoint parts: p^(k−m) of m dimensions, m ≤ k/2, and one of k − m.

    With the last k − m coordinates as elements of a field, the parts are {(u, a·u)} for every
    element a, and {(0, v)} (Beutelspacher 1975).
    """
    eye = np.eye(k, dtype=np.intp)
    graphs = [
        np.concatenate([eye[:m, :m], _digits(images, p, k - m)], axis=1)
        for images in times_powers(p ** (k - m), m)
    ]
    return graphs, eye[m:]


def _into(p: int, part: Ints, found: Subspaces) -> Subspaces:
    """Subspaces given by coordinates in a part, in the coordinates of the whole space."""
    return {m: [basis @ part % p for basis in bases] for m, bases in found.items()}


def _packed(p: int, k: int, wanted: Mapping[int, int]) -> Subspaces:
    """Disjoint subspaces of GF(p)^k, as many of the wanted ones as fit, large ones first."""
    wanted = {m: count for m, count in wanted.items() if count and m <= k}
    if not wanted:
        return {}
    if k in wanted:
        return {k: [np.eye(k, dtype=np.intp)]}
    best: Subspaces = {}
    for m in sorted({min(m, k - m) for m in wanted}, reverse=True):
        found = _packed_in_parts(p, k, m, wanted)
        missing = {m: wanted[m] - len(found.get(m, [])) for m in wanted}
        if not any(missing.values()):
            return found
        sizes = sorted(wanted, reverse=True)
        if [len(found.get(d, [])) for d in sizes] > [len(best.get(d, [])) for d in sizes]:
            best = found
    return best


def _packed_in_parts(p: int, k: int, m: int, wanted: Mapping[int, int]) -> Subspaces:
    """The same, with the space in parts of m dimensions and one of k − m."""
    small, large = _parts(p, k, m)
    n_whole = min(wanted.get(m, 0), len(small))
    found: Subspaces = {m: small[:n_whole]} if n_whole else {}

    def left() -> dict[int, int]:
        return {d: count - len(found.get(d, [])) for d, count in wanted.items()}

    rest = [(k - m, large), *((m, part) for part in small[n_whole:])]
    for dimensions, part in rest:
        if not any(left().values()):
            break
        for d, bases in _into(p, part, _packed(p, dimensions, left())).items():
            found.setdefault(d, []).extend(bases)
    return found


def array_from_subspaces(p: int, k: int, exponents: tuple[int, ...]) -> Ints | None:
    """An array of p^k runs for factors of p^m levels, one for each exponent m; or None."""
    wanted = {m: exponents.count(m) for m in set(exponents)}
    if p > MOST_FIELD_LEVELS or p**k * len(exponents) > MOST_ENTRIES:
        return None
    if sum(count * (p**m - 1) for m, count in wanted.items()) > p**k - 1:
        return None
    found = _packed(p, k, wanted)
    if any(len(found.get(m, [])) < count for m, count in wanted.items()):
        return None
    columns = []
    for m in exponents:
        forms = combinations_over_field(p, found[m].pop(0).T)
        columns.append(forms @ p ** np.arange(m))
    return np.stack(columns, axis=1)

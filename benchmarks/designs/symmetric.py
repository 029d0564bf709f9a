"""Designs that a small group maps to themselves.

An element of the group moves the runs and the columns, and mirrors the levels of some columns. The
runs are parted into orbits, on each of which the group acts as on the cosets of a subgroup; so are
the columns, where the subgroup may also mirror the column that it leaves in place. Every such
action of every small group is tried: the centred discrepancy of a design with symmetries has few
free places, and its minimum over these designs is often the best that is known of all designs, or
near it. Of 28 runs in eight factors of four levels the quaternion group knows the best design, of
36 in nine of six levels a cycle of nine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import pairwise

import numpy as np

from benchmarks.designs import anneal
from skmixup.design.discrepancy import level_kernels
from skmixup.design.levels import Ints

Size = tuple[int, int, int]
Permutation = tuple[int, ...]
Subgroup = frozenset[int]
#: Attempts to fill a column with a balanced pattern, and to draw the orbits of a group.
_ATTEMPTS, _DRAWS = 20, 30
#: How often the orbits of the runs, and of the columns, are of other kinds than most: at most.
_OTHER_RUNS, _OTHER_COLUMNS = 0.4, 0.8
#: The subgroups of larger groups are the cyclic ones only, and the whole.
_MOST_ELEMENTS = 24


def _cycles(n: int, *cycles: Sequence[int]) -> Permutation:
    """The permutation of n points with these cycles."""
    moved = list(range(n))
    for cycle in cycles:
        for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            moved[a] = b
    return tuple(moved)


def _product_of_cycles(*orders: int) -> list[Permutation]:
    """Generators of a product of cyclic groups."""
    ends = np.cumsum([0, *orders]).tolist()
    ranges = [range(a, b) for a, b in pairwise(ends)]
    return [_cycles(ends[-1], points) for points in ranges]


def _affine(p: int, factor: int) -> list[Permutation]:
    """Generators of the maps x → factorᵏ x + b modulo a prime."""
    return [tuple((x + 1) % p for x in range(p)), tuple(factor * x % p for x in range(p))]


_PRODUCTS = [(2, 2), (2, 2, 2), (2, 2, 2, 2), (2, 4), (2, 6), (2, 8), (2, 10), (2, 12)]
_PRODUCTS += [(3, 3), (3, 6), (4, 4), (5, 5)]
#: The groups by name, each with generators.
GENERATORS: dict[str, list[Permutation]] = {
    **{f"Z{k}": _product_of_cycles(k) for k in range(2, 31)},
    **{"×".join(f"Z{k}" for k in orders): _product_of_cycles(*orders) for orders in _PRODUCTS},
    **{f"D{p}": _affine(p, p - 1) for p in (3, 5, 7, 11, 13)},
    "Z5:Z4": _affine(5, 2),
    "Z7:Z3": _affine(7, 2),
    "Z13:Z3": _affine(13, 3),
    "D4": [_cycles(4, [0, 1, 2, 3]), _cycles(4, [0, 2])],
    "D6": [_cycles(5, [0, 1, 2], [3, 4]), _cycles(5, [0, 1])],
    "Q8": [_cycles(8, [0, 1, 2, 3], [4, 5, 6, 7]), _cycles(8, [0, 4, 2, 6], [1, 7, 3, 5])],
    "A4": [_cycles(4, [0, 1, 2]), _cycles(4, [1, 2, 3])],
    "S4": [_cycles(4, [0, 1, 2, 3]), _cycles(4, [0, 1])],
    "Z2×A4": [_cycles(6, [0, 1, 2]), _cycles(6, [1, 2, 3]), _cycles(6, [4, 5])],
}


class Group:
    """A finite group with its subgroups, one of each class of conjugates."""

    def __init__(self, generators: Sequence[Permutation]):
        identity = tuple(range(len(generators[0])))
        elements = {identity: 0}
        frontier = [identity]
        while frontier:
            products = [tuple(g[i] for i in x) for x in frontier for g in generators]
            frontier = [x for x in dict.fromkeys(products) if x not in elements]
            elements.update({x: len(elements) + k for k, x in enumerate(frontier)})
        self.order = len(elements)
        self.times = np.array(
            [[elements[tuple(a[i] for i in b)] for b in elements] for a in elements]
        )
        self.inverse = np.argmin(self.times, axis=1)

    def _generated(self, elements: Subgroup) -> Subgroup:
        found = elements | {0}
        while True:
            products = {int(self.times[a, b]) for a in found for b in found}
            if products == found:
                return frozenset(found)
            found |= products

    @cached_property
    def _all_subgroups(self) -> set[Subgroup]:
        cyclic = {self._generated(frozenset({x})) for x in range(self.order)}
        found = set(cyclic)
        if self.order > _MOST_ELEMENTS:
            return found | {frozenset(range(self.order))}
        while True:
            more = {self._generated(a | b) for a in found for b in cyclic} - found
            if not more:
                return found
            found |= more

    @cached_property
    def subgroups(self) -> list[Subgroup]:
        """One of each class of conjugates, the trivial one first."""
        seen: set[Subgroup] = set()
        chosen = []
        for subgroup in sorted(self._all_subgroups, key=lambda h: (len(h), sorted(h))):
            if subgroup not in seen:
                chosen.append(subgroup)
                for g in range(self.order):
                    images = self.times[self.times[g, list(subgroup)], self.inverse[g]]
                    seen.add(frozenset(images.tolist()))
        return chosen

    @cached_property
    def signed_subgroups(self) -> list[tuple[Subgroup, Subgroup]]:
        """Each subgroup with those of its elements that do not mirror: all of them, or half."""
        return [
            (whole, kernel)
            for whole in self.subgroups
            for kernel in self._all_subgroups
            if kernel == whole or (kernel < whole and 2 * len(kernel) == len(whole))
        ]

    def action(self, whole: Subgroup, kernel: Subgroup) -> tuple[Ints, Ints]:
        """Where each element takes each coset of ``whole``, (order, cosets), and whether it
        mirrors it.
        """
        members = list(whole)
        cosets = np.full(self.order, -1)
        first: list[int] = []
        for x in range(self.order):
            if cosets[x] < 0:
                cosets[self.times[x, members]] = len(first)
                first.append(x)
        moved = self.times[:, first]
        places = cosets[moved]
        beside = self.times[self.inverse[np.array(first)[places]], moved]
        return places, (~np.isin(beside, list(kernel))).astype(int)


@cache
def _group(name: str) -> Group:
    return Group(GENERATORS[name])


@dataclass(frozen=True)
class Symmetry:
    """A group, and the orbits of runs and columns, each as the index of its (signed) subgroup."""

    group: str
    runs: tuple[int, ...]
    columns: tuple[int, ...]

    def elements(self) -> tuple[Ints, Ints, Ints]:
        """Of each element where it takes the runs (order, n) and the columns (order, s), and
        which columns it mirrors (order, s).
        """
        group = _group(self.group)
        of_runs = [group.action(*[group.subgroups[i]] * 2)[0] for i in self.runs]
        of_columns = [group.action(*group.signed_subgroups[i]) for i in self.columns]
        mirrors = np.hstack([signs for _, signs in of_columns])
        return _side_by_side(of_runs), _side_by_side([moved for moved, _ in of_columns]), mirrors


def _side_by_side(actions: Sequence[Ints]) -> Ints:
    begins = np.cumsum([0, *(action.shape[1] for action in actions)])
    return np.hstack([a + b for a, b in zip(actions, begins[:-1], strict=True)])


def _orbits(
    total: int, sizes: Sequence[int], others: float, rng: np.random.Generator
) -> tuple[int, ...] | None:
    """Orbits of ``total`` members altogether, most of them of one kind, large ones preferred."""
    fitting = [k for k, size in enumerate(sizes) if size <= total]
    if not fitting:
        return None
    largest = max(sizes[k] for k in fitting)
    most = rng.choice(
        [k for k in fitting if sizes[k] == largest] if rng.random() < 0.7 else fitting
    )
    share, chosen, left = others * rng.random(), [], total
    while left:
        fitting = [k for k, size in enumerate(sizes) if size <= left]
        if not fitting:
            return None
        usual = sizes[most] <= left and rng.random() > share
        chosen.append(int(most if usual else rng.choice(fitting)))
        left -= sizes[chosen[-1]]
    return tuple(sorted(chosen))


def random_symmetry(size: Size, rng: np.random.Generator) -> Symmetry | None:
    """A group and its action on runs and columns; None where none is found at once."""
    n, s, _ = size
    names = [name for name in GENERATORS if _group(name).order <= n]
    for _ in range(_DRAWS if names else 0):
        weights = np.array([_group(name).order ** -0.5 for name in names])
        name = str(rng.choice(names, p=weights / weights.sum()))
        group = _group(name)
        run_sizes = [group.order // len(h) for h in group.subgroups]
        column_sizes = [group.order // len(k) for k, _ in group.signed_subgroups]
        runs = _orbits(n, run_sizes, _OTHER_RUNS, rng)
        columns = _orbits(s, column_sizes, _OTHER_COLUMNS, rng)
        if runs is None or columns is None:
            continue
        symmetry = Symmetry(name, runs, columns)
        of_runs, of_columns, mirrors = symmetry.elements()
        # Else some runs would be repeated, or columns equal or each other's mirror image.
        same_runs = (of_runs == np.arange(n)).all(axis=1)
        same_columns = ((of_columns == np.arange(s)) & (mirrors == 0)).all(axis=1)
        if same_runs.sum() == same_columns.sum() == 1:
            return symmetry
    return None


@lru_cache(maxsize=4096)
def symmetries(size: Size, n_tried: int = 300) -> tuple[Symmetry, ...]:
    """Different ones, drawn at random."""
    rng = np.random.default_rng((*size, n_tried))
    drawn = (random_symmetry(size, rng) for _ in range(n_tried))
    return tuple(dict.fromkeys(symmetry for symmetry in drawn if symmetry is not None))


def _column(stays: tuple[Ints, Ints], n: int, q: int, rng: np.random.Generator) -> Ints | None:
    """A random balanced column that is mapped to itself by the elements that leave it in place:
    where these take the runs (k, n), and whether they mirror it (k,).
    """
    rows, mirror = stays
    sides = np.full(n, -1)  # Of its orbit: 0 as the first run, 1 mirrored, 2 in the middle.
    orbits: list[list[int]] = []
    for i in range(n):
        if sides[i] < 0:
            images = set(zip(rows[:, i].tolist(), mirror.tolist(), strict=True))
            orbits.append(sorted({j for j, _ in images}))
            for j, side in images:
                sides[j] = 2 if (j, 1 - side) in images else side
    for _ in range(_ATTEMPTS):
        left, levels = np.full(q, n // q), np.full(n, -1)
        for k in sorted(rng.permutation(len(orbits)), key=lambda k: -len(orbits[k])):
            orbit = np.array(orbits[k])
            side = sides[orbit]
            middle = [(q - 1) // 2] if q % 2 else []
            fits = middle if (side == 2).any() else list(range(q))
            needs = [np.bincount(np.where(side == 1, q - 1 - u, u), minlength=q) for u in range(q)]
            fits = [u for u in fits if (needs[u] <= left).all()]
            if not fits:
                break
            u = int(rng.choice(fits, p=left[fits] / left[fits].sum()))
            levels[orbit] = np.where(side == 1, q - 1 - u, u)
            left -= needs[u]
        else:
            return levels
    return None


def random_symmetric(size: Size, symmetry: Symmetry, rng: np.random.Generator) -> Ints | None:
    """A random symmetric design (n, s), or None where none was found."""
    n, s, q = size
    rows, columns, mirrors = symmetry.elements()
    design = np.full((n, s), -1)
    for c in range(s):
        if design[0, c] >= 0:
            continue
        stays = columns[:, c] == c
        column = _column((rows[stays], mirrors[stays, c]), n, q, rng)
        if column is None:
            return None
        for t in range(len(rows)):
            design[rows[t], columns[t, c]] = q - 1 - column if mirrors[t, c] else column
    return design


def annealed(
    size: Size,
    symmetry: Symmetry,
    proposals: float,
    temperatures: tuple[float, float],
    rng: np.random.Generator,
) -> Ints | None:
    """A symmetric design from a random start; no move repeats a run where that is possible."""
    n, s, q = size
    begin = random_symmetric(size, symmetry, rng)
    if begin is None:
        return None
    kernel = level_kernels((q,), "CD")[0]
    levels = np.ascontiguousarray(begin.T, dtype=np.intc)
    parts = [np.ascontiguousarray(part, dtype=np.intc) for part in symmetry.elements()]
    anneal.call(
        "anneal_symmetric",
        (n, s, q, kernel.pair, kernel.single, levels, len(parts[0]), *parts),
        round(proposals),
        temperatures,
        (int(n <= float(q) ** s), int(rng.integers(2**63))),
    )
    return levels.T.astype(np.intp)

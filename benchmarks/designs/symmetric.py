"""Group-developed designs: a seed column and its images under a group make a block of columns.

A shift moves the columns of every block round by one place, and the runs along cycles of their
own: column c + 1 is column c with its runs moved on. Where the move from the last column back to
the first mirrors the levels, going round once mirrors all runs (*negacyclic*); the mirror image of
all runs may be another element of the group. Some columns may stay in place. The centred
discrepancy of such a design has few free places, and its minimum over these designs is often the
best that is known of all designs, or near it.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from benchmarks.designs import anneal
from skmixup.design.discrepancy import level_kernels
from skmixup.design.levels import Ints

Size = tuple[int, int, int]
#: Where every run and every column goes, and which columns are mirrored.
Element = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
#: Attempts to fill a column with a balanced pattern.
_ATTEMPTS = 20


@dataclass(frozen=True)
class Symmetry:
    """A group of ``generators`` for designs of some size.

    Parameters
    ----------
    block : int
        Columns of a block.
    negacyclic : bool
        Whether going round a block once mirrors all runs.
    mirror : bool
        Whether the mirror image of all runs is an element by itself.
    n_fixed : int
        Columns that stay in place.
    fixed_mirrored : bool
        Whether the shift mirrors these columns.
    """

    block: int
    negacyclic: bool = False
    mirror: bool = False
    n_fixed: int = 0
    fixed_mirrored: bool = False

    def _row_cycles(self, n: int) -> list[int]:
        """Lengths of the cycles of the runs: the order of the shift, the rest as it must be."""
        doubled = self.negacyclic or (self.n_fixed and self.fixed_mirrored and self.block % 2)
        order = self.block * (2 if doubled else 1)
        cycles, rest = [order] * (n // order), n % order
        if not self.negacyclic:
            return cycles + [1] * rest
        shortest = 2 * (self.block & -self.block)  # Going round a block once moves these runs.
        return cycles + [shortest] * (rest // shortest) + [1] * (rest % shortest)

    def generators(self, n: int, s: int) -> list[Element]:
        """The shift, and the mirror image where it is another generator."""
        cycles = self._row_cycles(n)
        begins = np.cumsum([0, *cycles]).tolist()
        moved = s - self.n_fixed
        rows = [b + (i + 1) % m for b, m in zip(begins, cycles, strict=False) for i in range(m)]
        k = self.block
        columns = [c // k * k + (c % k + 1) % k for c in range(moved)]
        mirrors = [int(self.negacyclic and c % self.block == self.block - 1) for c in range(moved)]
        mirrors += [int(self.fixed_mirrored)] * self.n_fixed
        shift = tuple(rows), (*columns, *range(moved, s)), tuple(mirrors)
        return [shift, self._mirror(cycles, begins, s)] if self.mirror else [shift]

    @staticmethod
    def _mirror(cycles: list[int], begins: list[int], s: int) -> Element:
        """Cycles of one length in pairs; what is left over is half a turn from its image."""
        rows = list(range(begins[-1]))
        waiting: dict[int, int] = {}
        for begin, length in zip(begins, cycles, strict=False):
            if length in waiting:
                other = waiting.pop(length)
                for i in range(length):
                    rows[begin + i], rows[other + i] = other + i, begin + i
            else:
                waiting[length] = begin
        for length, begin in waiting.items():
            if length % 2 == 0:
                for i in range(length):
                    rows[begin + i] = begin + (i + length // 2) % length
        return tuple(rows), tuple(range(s)), (1,) * s

    def group(self, n: int, s: int) -> list[Element]:
        """All elements, the identity first."""
        return _closure(tuple(self.generators(n, s)))


@lru_cache(maxsize=4)
def _closure(generators: tuple[Element, ...]) -> list[Element]:
    n, s = len(generators[0][0]), len(generators[0][1])
    found: dict[Element, None] = {(tuple(range(n)), tuple(range(s)), (0,) * s): None}
    frontier = list(found)
    while frontier:
        new = []
        for (rows, columns, mirrors), (r, c, m) in product(frontier, generators):
            element = (
                tuple(r[i] for i in rows),
                tuple(c[j] for j in columns),
                tuple(x ^ m[j] for x, j in zip(mirrors, columns, strict=True)),
            )
            if element not in found:
                found[element] = None
                new.append(element)
        frontier = new
    return list(found)


def _column(
    column: int, group: list[Element], n: int, q: int, rng: np.random.Generator
) -> Ints | None:
    """A random balanced column that the elements which leave it in place map to itself."""
    stays = [(rows, m[column]) for rows, c, m in group if c[column] == column]
    sides = np.full(n, -1)  # Of its orbit: 0 as the first run, 1 mirrored, 2 in the middle.
    orbits: list[list[int]] = []
    for i in range(n):
        if sides[i] < 0:
            images = {(rows[i], side) for rows, side in stays}
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
    group = symmetry.group(n, s)
    design = np.full((n, s), -1)
    for c in range(s):
        if design[0, c] >= 0:
            continue
        column = _column(c, group, n, q, rng)
        if column is None:
            return None
        for rows, columns, mirrors in group:
            design[list(rows), columns[c]] = q - 1 - column if mirrors[c] else column
    return design


@lru_cache(maxsize=4096)
def symmetries(size: Size) -> tuple[Symmetry, ...]:
    """All that exist for a size, of at least two elements."""
    n, s, _ = size
    found: dict[tuple[Element, ...], Symmetry] = {}
    for block, n_fixed in product(range(1, s + 1), range(3)):
        if (s - n_fixed) % block or n_fixed >= s or block > n or (block == 1 and n_fixed):
            continue
        for negacyclic, mirror, fixed in product((False, True), repeat=3):
            if (fixed and not n_fixed) or (negacyclic and mirror) or (block == 1 and mirror):
                continue
            symmetry = Symmetry(block, negacyclic, mirror, n_fixed, fixed)
            group = symmetry.group(n, s)
            if not 2 <= len(group) <= n:
                continue
            if random_symmetric(size, symmetry, np.random.default_rng(0)) is not None:
                found.setdefault(tuple(sorted(group)), symmetry)
    return tuple(found.values())


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
    group = symmetry.group(n, s)
    parts = [np.array([element[k] for element in group], dtype=np.intc) for k in range(3)]
    anneal.call(
        "anneal_symmetric",
        (n, s, q, kernel.pair, kernel.single, levels, len(group), *parts),
        round(proposals),
        temperatures,
        (int(n <= float(q) ** s), int(rng.integers(2**63))),
    )
    return levels.T.astype(np.intp)

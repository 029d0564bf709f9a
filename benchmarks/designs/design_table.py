"""Search for better designs and put them into the shipped table.

Only a design with a smaller centred discrepancy than the one in the table replaces it, so this
can be run again, with another seed or more proposals, at any time, and stopped at any time:

    python benchmarks/designs/design_table.py --seed 1
    python benchmarks/designs/design_table.py --seed 1 --proposals 1e8 --worst public.csv
    python benchmarks/designs/design_table.py --runs 27 30 --factors 4 5 6 --levels 3 --seed 2

A round takes every size once and anneals from one kind of start; the kinds take turns. The first
call needs about an hour for a table that is nearly as good as the shipped one. The second goes on
where a public table, a file of n_runs, n_factors, n_levels, cd2, is still better.
"""

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from skmixup.design import discrepancy, prefix_uniform_order, shipped
from skmixup.design.level_permutation import uniform_arrays
from skmixup.design.levels import Ints
from skmixup.design.repeats import repeated_runs, swap_repeats_apart
from skmixup.design.task import Task

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.designs import anneal

PATH = Path(shipped.__file__).with_name(shipped.TABLE)
Size = tuple[int, int, int]
Designs = dict[Size, Ints]

MOST_RUNS, MOST_FACTORS = 60, 15
#: Up to this many runs there are as many factors as runs, less one, and all divisors as levels.
FEW_RUNS = 30
#: Levels of the public table where levels repeat, up to MOST_RUNS runs.
LEVELS = (3, 4, 5, 6)
#: More factors than MOST_FACTORS where they are asked for: (runs, levels) → factors.
MANY_FACTORS = {(9, 3): 20, (12, 3): 21, (15, 3): 22, (60, 6): 40}
#: The public table's larger numbers of runs, each level once: runs → factors. A thousand runs,
#: which would be a third of the file, are left to the search: it is better than the table there.
MANY_RUNS = {100: 20, 150: 20, 200: 20, 250: 20, 500: 15}


def shipped_sizes() -> Iterator[Size]:
    """Every size of the shipped table."""
    for n in range(2, MOST_RUNS + 1):
        for q in range(3, n):
            if n % q == 0 and (n <= FEW_RUNS or q in LEVELS):
                yield from (
                    (n, s, q) for s in range(1, MANY_FACTORS.get((n, q), MOST_FACTORS) + 1)
                )
        most = max(n - 1, MOST_FACTORS) if n <= FEW_RUNS else MOST_FACTORS
        yield from ((n, s, n) for s in range(1, most + 1))
    for n, most in MANY_RUNS.items():
        yield from ((n, s, n) for s in range(1, most + 1))


class Start:
    """Where an annealing may begin; None where a kind of start does not exist for a size."""

    def __init__(self, size: Size, known: Designs, proposals: float, rng: np.random.Generator):
        self.size, self.known, self.proposals, self.rng = size, known, proposals, rng

    def _anneal(
        self, design: Ints, temperatures: tuple[float, float], mirrored: bool = False
    ) -> Ints:
        seed = int(self.rng.integers(2**63))
        levels = self.size[2]
        return anneal.annealed(design, levels, self.proposals, temperatures, seed, mirrored)

    def random(self, temperatures: tuple[float, float]) -> Ints:
        """From balanced columns in random order."""
        return self._anneal(anneal.random_design(self.size, self.rng), temperatures)

    def mirrored(self, temperatures: tuple[float, float]) -> Ints | None:
        """From runs in pairs that mirror each other; they stay so until the last, cool part."""
        if not anneal.can_be_mirrored(self.size):
            return None
        begin = anneal.mirrored_design(self.size, self.rng)
        return self._anneal(self._anneal(begin, temperatures, True), anneal.GENTLE)

    def again(self) -> Ints | None:
        """From the known design."""
        return None if self.size not in self.known else self._gentle(self.known[self.size])

    def fewer(self) -> Ints | None:
        """From the known design of one factor more, without the factor that is missed least."""
        n, s, q = self.size
        if (n, s + 1, q) not in self.known:
            return None
        wider = self.known[n, s + 1, q]
        choices = [np.delete(wider, c, axis=1) for c in range(s + 1)]
        return self._gentle(min(choices, key=lambda x: discrepancy(x, q)))

    def more(self) -> Ints | None:
        """From the known design of one factor less and a random column."""
        n, s, q = self.size
        if (n, s - 1, q) not in self.known:
            return None
        column = anneal.random_design((n, 1, q), self.rng)
        return self._gentle(np.append(self.known[n, s - 1, q], column, axis=1))

    def array(self) -> Ints | None:
        """From columns of an orthogonal array with its levels renamed."""
        n, s, q = self.size
        arrays = uniform_arrays(n, (q,) * s, "CD", 1.0, self.rng)
        return self._gentle(arrays[0]) if arrays else None

    def _gentle(self, design: Ints) -> Ints:
        return self._anneal(np.asarray(design, dtype=np.intp), anneal.GENTLE)


#: They take turns, one a round.
KINDS: tuple[Callable[[Start], Ints | None], ...] = (
    lambda start: start.random(anneal.WARM),
    lambda start: start.mirrored(anneal.HOT),
    Start.array,
    lambda start: start.mirrored(anneal.WARM),
    Start.fewer,
    lambda start: start.random(anneal.HOT),
    Start.more,
    lambda start: start.random(anneal.COOL),
    Start.again,
)


def better(size: Size, known: Designs, proposals: float, seed: int, turn: int) -> Ints | None:
    """A better design than the known one, in prefix-uniform order, or None.

    It has no repeated runs where that is possible.
    """
    n, s, q = size
    rng = np.random.default_rng((seed, turn, *size))
    start = Start(size, known, proposals, rng)
    found = KINDS[turn % len(KINDS)](start)
    if found is None and size not in known:
        found = start.random(anneal.WARM)
    if found is None:
        return None
    if n <= float(q) ** s and len(repeated_runs(found)):
        task = Task(n, (q,) * s, "CD", np.zeros((0, s), dtype=np.intp))
        found = swap_repeats_apart(task.chains(found[None]), rng)
    if size in known and discrepancy(found, q) >= discrepancy(known[size], q) * (1 - 1e-10):
        return None
    return found[prefix_uniform_order(found, q)]


def load() -> Designs:
    """The table as it is."""
    return dict(shipped.read_table(PATH.read_bytes())) if PATH.exists() else {}


def save(found: Designs) -> None:
    """Merge the found designs into the table as it is now; several runs may do so in turn."""
    designs = load()
    for size, design in found.items():
        q = size[2]
        if size not in designs or discrepancy(design, q) < discrepancy(designs[size], q):
            designs[size] = design
    PATH.with_suffix(".new").write_bytes(shipped.table_bytes(designs))
    PATH.with_suffix(".new").replace(PATH)


def public_table(path: Path) -> dict[Size, float]:
    """The values of a public table, by size."""
    with path.open(newline="") as file:
        return {
            (int(row["n_runs"]), int(row["n_factors"]), int(row["n_levels"])): float(row["cd2"])
            for row in csv.DictReader(file)
        }


def wanted(args: argparse.Namespace, known: Designs) -> list[Size]:
    """The sizes to go through."""
    sizes = [
        (n, s, q)
        for n, s, q in shipped_sizes()
        if (not args.runs or n in args.runs)
        and (not args.factors or s in args.factors)
        and (not args.levels or q in args.levels)
    ]
    if args.worst is None:
        return sizes
    public = public_table(args.worst)

    def is_above(size: Size) -> bool:
        limit = public[size] * (1 + 1e-9)
        return size not in known or discrepancy(known[size], size[2]) > limit

    return [size for size in sizes if size in public and is_above(size)]


def main() -> None:
    """Go through the sizes, saving whenever half a minute has passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+")
    parser.add_argument("--factors", type=int, nargs="+")
    parser.add_argument("--levels", type=int, nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=len(KINDS))
    parser.add_argument("--proposals", type=float, default=1e7, help="for each annealing")
    parser.add_argument("--worst", type=Path, help="only sizes at which this table is better")
    args = parser.parse_args()
    known = load()
    found: Designs = {}
    saved = time.monotonic()
    for turn in range(args.rounds):
        for size in wanted(args, known):
            design = better(size, known, args.proposals, args.seed, turn)
            if design is not None:
                found[size] = known[size] = design
            if time.monotonic() - saved > 30:
                save(found)
                saved = time.monotonic()
                print(f"round {turn}, (n, s, q) = {size}: {len(found)} better", flush=True)
    save(found)
    print(f"{len(found)} better")


if __name__ == "__main__":
    main()

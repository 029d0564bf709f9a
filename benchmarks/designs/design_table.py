"""Search for better designs and put them into the shipped table.

Only a design with a smaller centred discrepancy than the one in the table replaces it, so this
can be run again, with another seed or more proposals, at any time, and stopped at any time:

    python benchmarks/designs/design_table.py --seed 1
    python benchmarks/designs/design_table.py --proposals 1e9 --rounds 1 --worst public.csv
    python benchmarks/designs/design_table.py --runs 27 30 --factors 4 5 6 --levels 3 --seed 2
    python benchmarks/designs/design_table.py --seed 1 --minutes 30 --public public.csv

A round takes every size once and anneals from one kind of start; the kinds take turns. The first
call needs about an hour for a table that is nearly as good as the shipped one. The second goes on
where a public table, a file of n_runs, n_factors, n_levels, cd2, is still better: the first kind
spends all of a long annealing where a design settles, which in half an hour reached or beat half
of what was left. The last chooses sizes and kinds by what they have given so far, mostly sizes at
which the public table is better; it goes through hundreds of symmetries.
"""

import argparse
import csv
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np

from skmixup.design import discrepancy, prefix_uniform_order, shipped
from skmixup.design.level_permutation import uniform_arrays
from skmixup.design.levels import Ints
from skmixup.design.repeats import repeated_runs, swap_repeats_apart
from skmixup.design.task import Task

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.designs import anneal, lattices, symmetric

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


#: A symmetric design up to so much worse than the known one is worth a last, free part.
_NEARLY = 1.005


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

    def lattice(self) -> Ints | None:
        """From columns of a lattice with folded levels."""
        found = lattices.start(self.size, self.rng)
        return None if found is None else self._gentle(found)

    def symmetric(self, symmetry: symmetric.Symmetry) -> Ints | None:
        """From the best symmetric design; it stays so until the last, cool part, if it is good."""
        temperatures = (anneal.WARM, anneal.HOT, anneal.COOL)[
            self.rng.choice(3, p=(0.5, 0.4, 0.1))
        ]
        found = symmetric.annealed(self.size, symmetry, self.proposals, temperatures, self.rng)
        if found is None or self.size not in self.known:
            return found
        q = self.size[2]
        good = discrepancy(found, q) < _NEARLY * discrepancy(self.known[self.size], q)
        return self._gentle(found) if good else found

    def _gentle(self, design: Ints) -> Ints:
        return self._anneal(np.asarray(design, dtype=np.intp), anneal.GENTLE)


Kind = Callable[[Start], Ints | None]
#: They take turns, one a round.
KINDS: tuple[Kind, ...] = (
    lambda start: start.random(anneal.settling(start.size)),
    lambda start: start.random(anneal.WARM),
    lambda start: start.mirrored(anneal.HOT),
    Start.array,
    Start.lattice,
    lambda start: start.mirrored(anneal.WARM),
    Start.fewer,
    lambda start: start.random(anneal.HOT),
    Start.more,
    lambda start: start.random(anneal.COOL),
    Start.again,
)


@cache
def kinds(size: Size) -> tuple[Kind, ...]:
    """The kinds of start for a size: those of all sizes and, as the runs are few, symmetries."""
    if size[0] > MOST_RUNS:
        return KINDS
    drawn = symmetric.symmetries(size)
    return KINDS + tuple(partial(Start.symmetric, symmetry=symmetry) for symmetry in drawn)


def annealed(size: Size, known: Designs, proposals: float, seed: int, turn: int) -> Ints | None:
    """A design from the kind of start whose turn it is, or None where there is no such start.

    It has no repeated runs where that is possible.
    """
    n, s, q = size
    rng = np.random.default_rng((seed, turn, *size))
    start = Start(size, known, proposals, rng)
    choices = kinds(size)
    found = choices[turn % len(choices)](start)
    if found is None and size not in known:
        found = start.random(anneal.WARM)
    if found is None:
        return None
    if n <= float(q) ** s and len(repeated_runs(found)):
        task = Task(n, (q,) * s, "CD", np.zeros((0, s), dtype=np.intp))
        found = swap_repeats_apart(task.chains(found[None]), rng)
    return found


def better(size: Size, known: Designs, proposals: float, seed: int, turn: int) -> Ints | None:
    """A better design than the known one, in prefix-uniform order, or None."""
    found, q = annealed(size, known, proposals, seed, turn), size[2]
    if found is None or not is_better(found, size, known):
        return None
    return found[prefix_uniform_order(found, q)]


def is_better(found: Ints, size: Size, known: Designs) -> bool:
    """Whether the found design is better than the known one by more than rounding."""
    q = size[2]
    return size not in known or discrepancy(found, q) < discrepancy(known[size], q) * (1 - 1e-10)


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


class Visits:
    """Which size to anneal next, from which kind of start, and for how long."""

    def __init__(self, sizes: list[Size], known: Designs, public: dict[Size, float], seed: int):
        self.sizes, self.known, self.public = sizes, known, public
        #: How often a size was visited from each kind of start.
        self.count: dict[Size, Counter[int]] = {size: Counter() for size in sizes}
        #: The smallest value each kind of start has led to; infinite where there is no such start.
        self.reached: dict[Size, dict[int, float]] = {size: {} for size in sizes}
        self.rng = np.random.default_rng(seed)

    def weight(self, size: Size) -> float:
        """How much a visit promises for its time, which grows with the number of runs."""
        weight = 0.35  # its value is not known
        if size in self.public:
            known = discrepancy(self.known[size], size[2]) if size in self.known else np.inf
            weight = 2.0 if known / self.public[size] - 1 > 1e-9 else 0.1
        return weight / (1 + self.count[size].total()) / max(size[0], 12) ** 0.7

    def kind(self, size: Size) -> int:
        """A kind not tried before, or one of those that have led furthest."""
        reached = self.reached[size]
        untried = [kind for kind in range(len(kinds(size))) if kind not in reached]
        if untried and (self.rng.random() < 0.7 or not reached):
            return int(self.rng.choice(untried))
        rank = min(int(self.rng.geometric(0.15)), len(reached)) - 1
        return sorted(reached, key=reached.__getitem__)[rank]

    def __call__(self, most: int, proposals: float) -> Iterator[tuple[Size, Ints]]:
        """Visit so many sizes; those at which a better design was found, with the design."""
        weights = np.array([self.weight(size) for size in self.sizes])
        for index in self.rng.choice(len(self.sizes), most, p=weights / weights.sum()):
            size = self.sizes[index]
            kind, seed = self.kind(size), int(self.rng.integers(2**63))
            longer = min(2 ** self.count[size][kind], 64)
            self.count[size][kind] += 1
            found = annealed(size, self.known, proposals * longer, seed, kind)
            value = np.inf if found is None else discrepancy(found, size[2])
            self.reached[size][kind] = min(value, self.reached[size].get(kind, np.inf))
            if found is not None and is_better(found, size, self.known):
                self.known[size] = found[prefix_uniform_order(found, size[2])]
                yield size, self.known[size]


def go_on(args: argparse.Namespace, known: Designs) -> int:
    """Visit sizes for so many minutes, saving every now and then; the number of better designs."""
    public = public_table(args.public) if args.public else {}
    visits, found = Visits(wanted(args, known), known, public, args.seed), Designs()
    end = time.monotonic() + 60 * args.minutes
    while time.monotonic() < end:
        found.update(visits(40, args.proposals))
        save(found)
        print(
            f"{sum(c.total() for c in visits.count.values())} visits: {len(found)} better",
            flush=True,
        )
    return len(found)


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
    parser.add_argument("--minutes", type=float, help="choose sizes by what they have given")
    parser.add_argument("--public", type=Path, help="the public table that guides --minutes")
    args = parser.parse_args()
    known = load()
    if args.minutes is not None:
        print(f"{go_on(args, known)} better")
        return
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

"""Search for better designs and put them into the shipped table.

Only a design with a smaller centred discrepancy than the one in the table replaces it, so this
can be run again, with another seed or more effort, at any time, and stopped at any time:

    python benchmarks/designs/design_table.py --seed 1 --effort 6
    python benchmarks/designs/design_table.py --runs 27 30 --factors 4 5 6 --effort 64
    python benchmarks/designs/design_table.py --seed 1 --anneal 100000
    python benchmarks/designs/design_table.py --seed 1 --anneal 100000 --fewer-levels
    python benchmarks/designs/design_table.py --runs 12 --factors 10 --anneal 1e6 --again

The last three anneal with ``design_anneal.c``, which needs a C compiler and finds in a second what
the package's own search finds in minutes: so many proposals for each run and factor.
"""

import argparse
import ctypes
import os
import subprocess
import tempfile
import time
from functools import lru_cache
from pathlib import Path

import numpy as np

from skmixup.design import discrepancy, prefix_uniform_order, shipped, uniform_design
from skmixup.design.exchange import descend
from skmixup.design.level_permutation import array_columns
from skmixup.design.repeats import repeated_runs, swap_repeats_apart
from skmixup.design.task import Task

PATH = Path(shipped.__file__).with_name(shipped.TABLE)
Size = tuple[int, int, int]

#: The table has designs of fewer levels than runs up to this many runs, and U36(6^12).
MOST_RUNS_OF_FEWER_LEVELS = 30


@lru_cache(maxsize=1)
def annealer() -> ctypes.CDLL:
    """The compiled design_anneal.c."""
    source = Path(__file__).with_name("design_anneal.c")
    flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "design_anneal.so"
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, *flags, "-o", library, source, "-lm"], check=True)
        return ctypes.CDLL(str(library))


def annealed(size: Size, known: np.ndarray | None, args: argparse.Namespace) -> np.ndarray:
    """A design annealed from a random one, or from the known one that is heated up again.

    It has no repeated runs where that is possible.
    """
    n, s, q = size
    steps = round(args.anneal * n * s)
    task = Task(n, (q,) * s, "CD", np.zeros((0, s), dtype=np.intp))
    rng = np.random.default_rng((args.seed, *size))
    begin = known if args.again and known is not None else task.random_design(rng)
    chains = task.chains(begin[None].astype(np.intp))
    descend(chains, n, 100 * s, rng)
    adds = np.stack([chains.differences(c, np.arange(n))[0] for c in range(s)])
    typical = float(np.median(adds[np.isfinite(adds)]))
    design = chains.best().astype(np.intc)
    factor = chains.kernels[0]
    doubles = ctypes.POINTER(ctypes.c_double)
    failed = annealer().anneal(
        n,
        s,
        q,
        np.ascontiguousarray(factor.pair).ctypes.data_as(doubles),
        np.ascontiguousarray(factor.single).ctypes.data_as(doubles),
        design.ctypes.data_as(ctypes.POINTER(ctypes.c_int)),
        ctypes.c_int64(steps),
        ctypes.c_double(args.hot * typical),
        ctypes.c_double(args.cold * typical),
        ctypes.c_uint64(int(rng.integers(2**63))),
    )
    if failed:
        raise MemoryError(f"no memory to anneal {size}")
    if n <= float(q) ** s and len(repeated_runs(design)):
        return swap_repeats_apart(task.chains(design[None].astype(np.intp)), rng)
    return design.astype(np.intp)


def better(known: np.ndarray | None, size: Size, args: argparse.Namespace) -> np.ndarray | None:
    """A better design than the known one, in prefix-uniform order, or None."""
    n, s, q = size
    candidates = []
    constructed = array_columns(n, (q,) * s) is not None or s == 1
    if not args.anneal or (known is None and constructed):
        method = "optimize" if known is None else "auto"
        effort = 1.0 if args.anneal else args.effort
        found = uniform_design(n, s, q, method=method, random_state=args.seed, effort=effort)
        candidates.append(found)
    if args.anneal and s > 1:
        candidates.append(annealed(size, known, args))
    values = [discrepancy(design, q) for design in candidates]
    if not values or (known is not None and min(values) >= discrepancy(known, q) * (1 - 1e-10)):
        return None
    found = candidates[int(np.argmin(values))]
    return found[prefix_uniform_order(found, q)]


def save(found: dict[Size, np.ndarray]) -> None:
    """Merge the found designs into the table as it is now; several runs may do so in turn."""
    designs = dict(shipped.read_table(PATH.read_bytes())) if PATH.exists() else {}
    for size, design in found.items():
        q = size[2]
        if size not in designs or discrepancy(design, q) < discrepancy(designs[size], q):
            designs[size] = design.astype(np.uint8)
    PATH.with_suffix(".new").write_bytes(shipped.table_bytes(designs))
    PATH.with_suffix(".new").replace(PATH)


def sizes(args: argparse.Namespace) -> list[Size]:
    """What to go through: as many levels as runs, or the divisors of the runs."""
    if args.fewer_levels:
        runs = args.runs or range(6, MOST_RUNS_OF_FEWER_LEVELS + 1)
        wanted = args.levels or range(3, MOST_RUNS_OF_FEWER_LEVELS)
        levels = {n: [q for q in wanted if q < n and n % q == 0] for n in runs}
    else:
        runs = args.runs or range(2, 61)
        levels = {n: [n] for n in runs}
    return [(n, s, q) for n in runs for q in levels[n] for s in args.factors]


def main() -> None:
    """Go through the sizes, saving whenever half a minute has passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+")
    parser.add_argument("--factors", type=int, nargs="+", default=range(1, 16))
    parser.add_argument("--fewer-levels", action="store_true", help="q < n, divisors of n")
    parser.add_argument("--levels", type=int, nargs="+", help="only these of them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--effort", type=float, default=6.0)
    parser.add_argument("--anneal", type=float, help="proposals for each run and factor")
    parser.add_argument("--again", action="store_true", help="anneal the shipped designs")
    share = "temperature at the {}, as a share of what the median swap adds to a good design"
    parser.add_argument("--hot", type=float, default=0.03, help=share.format("start"))
    parser.add_argument("--cold", type=float, default=0.003, help=share.format("end"))
    args = parser.parse_args()
    found: dict[Size, np.ndarray] = {}
    saved = time.monotonic()
    for size in sizes(args):
        design = better(shipped.shipped_designs().get(size), size, args)
        if design is not None:
            found[size] = design
        if time.monotonic() - saved > 30:
            save(found)
            saved = time.monotonic()
            print(f"(n, s, q) = {size}: {len(found)} better so far", flush=True)
    save(found)
    print(f"{len(found)} better")


if __name__ == "__main__":
    main()

"""Searches the designs with a run in the middle that ship, the default of tuning.

    OMP_NUM_THREADS=1 python benchmarks/designs/central_table.py --effort 1 --seed 0

Writes skmixup/design/shipped_central.bin: as many levels as runs, up to 60 runs and 10 factors,
and some larger numbers of runs, whose search would take seconds. A design is only ever replaced by
one of a smaller centred discrepancy, so that further seeds can only improve the table; the runs in
the middle are those of `central_runs`. It may be stopped at any time.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from skmixup.design import discrepancy, prefix_uniform_order, uniform_design
from skmixup.design.central import central_runs, with_first_runs
from skmixup.design.good_lattice import korobov_lattice
from skmixup.design.optimize import MANY_RUNS, optimized
from skmixup.design.shipped import CENTRAL_TABLE, read_table, table_bytes
from skmixup.design.task import Task

FILE = Path(__file__).parents[2] / "skmixup" / "design" / CENTRAL_TABLE
LARGE = (64, 72, 80, 90, 96, 100, 120, 128, 144, 150, 200, 250, 300, 400, 500, 1000)
SIZES = [(n, s) for n in (*range(4, 61), *LARGE) for s in range(1, 11) if s < n]
_SECONDS = 20  # between two times that the file is written


def searched(n: int, s: int, effort: float, seed: int) -> np.ndarray:
    """A design in the order in which it ships."""
    runs = central_runs(n, (n,) * s)
    if n > MANY_RUNS:  # which need a good start
        start = with_first_runs(korobov_lattice(n, s), runs)
        task = Task(n, (n,) * s, "CD", runs)
        rows = optimized(task, effort, np.random.default_rng(seed), start=start)
    else:
        rows = uniform_design(n, s, initial=runs, random_state=seed, effort=effort)
    return rows[prefix_uniform_order(rows, n_fixed=1)]


def holds_central_runs(design: np.ndarray) -> bool:
    """Whether the runs in the middle are among the design's."""
    n, s = design.shape
    runs = {tuple(row) for row in design.tolist()}
    return {tuple(row) for row in central_runs(n, (n,) * s).tolist()} <= runs


def main() -> None:
    """Improve every size once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--effort", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--missing", action="store_true", help="only sizes that are not there")
    arguments = parser.parse_args()
    table = read_table(FILE.read_bytes()) if FILE.exists() else {}
    table = {size: design for size, design in table.items() if size[:2] in SIZES}
    written, better = time.monotonic(), 0
    for n, s in SIZES:
        old = table.get((n, s, n))
        if old is not None and not holds_central_runs(old):
            old = None  # of an earlier rule
        if old is not None and arguments.missing:
            continue
        new = searched(n, s, arguments.effort, arguments.seed)
        if old is None or discrepancy(new) < discrepancy(old) * (1 - 1e-9):
            table[n, s, n] = new
            better += 1
        if time.monotonic() - written > _SECONDS:
            FILE.write_bytes(table_bytes(table))
            print(n, s, f"{better} better", flush=True)
            written = time.monotonic()
    FILE.write_bytes(table_bytes(table))
    print(f"{better} better, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()

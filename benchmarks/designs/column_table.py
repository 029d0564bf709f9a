"""Searches the columns that parameters take one by one, where they are not declared, that ship.

    OMP_NUM_THREADS=1 python benchmarks/designs/column_table.py --effort 1 --seed 0

Writes skmixup/design/shipped_columns.bin: for each number of runs up to ten columns, of which any
first ones form a uniform design with a run in the middle. Each is searched beside those before it.
Columns are only ever replaced by better ones (the geometric mean of their centred discrepancies),
so that further seeds can only improve the table. It may be stopped at any time.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from skmixup.design import discrepancy, prefix_uniform_order
from skmixup.design.central import central_runs
from skmixup.design.exchange import Chains, threshold_accepting
from skmixup.design.shipped import COLUMN_TABLE, read_table, table_bytes

FILE = Path(__file__).parents[2] / "skmixup" / "design" / COLUMN_TABLE
LARGE = (64, 72, 80, 90, 96, 100, 120, 128, 144, 150, 200, 250, 300, 400, 500, 1000)
SIZES = [(n, min(10, n - 1)) for n in (*range(4, 61), *LARGE)]
#: Columns by which the runs are put in order: few parameters come first.
_ORDERED_BY = 3


def searched(n: int, s: int, effort: float, seed: int) -> np.ndarray:
    """Columns in the order in which they ship; the runs so that every beginning is even."""
    rng = np.random.default_rng([seed, n])
    design = np.empty((n, 0), dtype=np.intp)
    n_chains = max(1, round(min(16, 400 / n)))
    for c in range(s):
        central = central_runs(n, (n,) * (c + 1))[:, c]
        others = np.setdiff1d(np.arange(n), central)
        designs = np.stack(
            [
                np.column_stack([design, np.append(central, rng.permutation(others))])
                for _ in range(n_chains)
            ]
        )
        if c:
            chains = Chains(designs, (n,) * (c + 1), "CD", n_fixed=len(central))
            steps, block = round(effort * min(40 * n, 4000)), min(64, n - len(central))
            threshold_accepting(chains, 0.01 * chains.values, steps, block, rng, first_column=c)
            designs = chains.best()[None]
        design = designs[0]
    return design[prefix_uniform_order(design[:, :_ORDERED_BY], n, n_fixed=1)]


def unevenness(design: np.ndarray) -> float:
    """The mean logarithm of the discrepancy of the first two, three, … columns."""
    return float(
        np.mean([np.log(discrepancy(design[:, :c])) for c in range(2, design.shape[1] + 1)])
    )


def main() -> None:
    """Improve every size once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--effort", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    table = read_table(FILE.read_bytes()) if FILE.exists() else {}
    for n, s in SIZES:
        old, new = table.get((n, s, n)), searched(n, s, arguments.effort, arguments.seed)
        if old is None or unevenness(new) < unevenness(old.astype(int)) - 1e-9:
            table[n, s, n] = new
            FILE.write_bytes(table_bytes(table))
            print(n, round(unevenness(new), 4), flush=True)


if __name__ == "__main__":
    main()

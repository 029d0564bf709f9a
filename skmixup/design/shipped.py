"""The shipped table: the best designs found so far, so that they need not be searched again.

``shipped.npz`` is written by ``benchmarks/designs/design_table.py``, which only ever replaces a
design by a better one. It holds centred-discrepancy designs U_n(q^s) in prefix-uniform row order.
"""

from functools import lru_cache
from importlib.resources import files
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from skmixup.design.levels import Ints
from skmixup.design.task import Task

TABLE = "shipped.npz"
#: Runs, factors and levels of each.
Size = tuple[int, int, int]


def table_bytes(designs: dict[Size, Ints]) -> bytes:
    """The table as a file: sizes (k, 3) of runs, factors, levels; all designs column by column."""
    sizes = sorted(designs)
    columns = [designs[size].T.ravel() for size in sizes]
    buffer = BytesIO()
    np.savez_compressed(
        buffer,
        sizes=np.array(sizes, dtype=np.uint8).reshape(-1, 3),
        levels=np.concatenate([*columns, []]).astype(np.uint8),
    )
    return buffer.getvalue()


def read_table(content: bytes) -> dict[Size, NDArray[np.uint8]]:
    """The designs (n_runs, n_factors) of a table, by their size."""
    with np.load(BytesIO(content)) as archive:
        sizes, levels = archive["sizes"].astype(int), archive["levels"]
    designs, start = {}, 0
    for n, s, q in sizes.tolist():
        designs[n, s, q] = levels[start : start + n * s].reshape(s, n).T
        start += n * s
    return designs


@lru_cache(maxsize=1)
def shipped_designs() -> dict[Size, NDArray[np.uint8]]:
    """Every shipped design, by (n_runs, n_factors, n_levels)."""
    return read_table((files("skmixup.design") / TABLE).read_bytes())


def shipped_design(task: Task) -> Ints | None:
    """The shipped design for a task, or None where the table has none."""
    if task.criterion != "CD" or len(task.initial) or len(set(task.n_levels)) > 1:
        return None
    design = shipped_designs().get((task.n_runs, task.n_factors, task.n_levels[0]))
    return None if design is None else design.astype(np.intp)

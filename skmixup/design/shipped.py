"""The shipped table: the best designs found so far, so that they need not be searched again.

``shipped.npz`` is written by ``benchmarks/design_table.py``, which only ever replaces a design by
a better one. It holds centred-discrepancy designs U_n(n^s) in prefix-uniform row order.
"""

from functools import lru_cache
from importlib.resources import files
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from skmixup.design.levels import Ints
from skmixup.design.search import Task

TABLE = "shipped.npz"


def pack(designs: dict[tuple[int, int], Ints]) -> bytes:
    """The table as a file: sizes (k, 2) of n_runs, n_factors; all levels column by column."""
    sizes = sorted(designs)
    columns = [designs[size].T.ravel() for size in sizes]
    buffer = BytesIO()
    np.savez_compressed(
        buffer,
        sizes=np.array(sizes, dtype=np.uint8).reshape(-1, 2),
        levels=np.concatenate([*columns, []]).astype(np.uint8),
    )
    return buffer.getvalue()


def unpack(content: bytes) -> dict[tuple[int, int], NDArray[np.uint8]]:
    """The designs (n_runs, n_factors) of a table, by their size."""
    with np.load(BytesIO(content)) as archive:
        sizes, levels = archive["sizes"].astype(int), archive["levels"]
    designs, start = {}, 0
    for n, s in sizes.tolist():
        designs[n, s] = levels[start : start + n * s].reshape(s, n).T
        start += n * s
    return designs


@lru_cache(maxsize=1)
def shipped_designs() -> dict[tuple[int, int], NDArray[np.uint8]]:
    """Every shipped design, by (n_runs, n_factors)."""
    return unpack((files("skmixup.design") / TABLE).read_bytes())


def shipped_design(task: Task) -> Ints | None:
    """The shipped design for a task, or None where the table has none."""
    whole = all(q == task.n_runs for q in task.n_levels)
    if task.criterion != "CD" or len(task.initial) or not whole:
        return None
    design = shipped_designs().get((task.n_runs, task.n_factors))
    return None if design is None else design.astype(np.intp)

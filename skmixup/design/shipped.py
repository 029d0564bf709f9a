"""The shipped table: the best designs found so far, so that they need not be searched again.

``shipped.bin`` is written by ``benchmarks/designs/design_table.py``, which only ever replaces a
design by a better one. It holds centred-discrepancy designs U_n(q^s) in prefix-uniform row order.

Designs of the same runs and levels stand together in a group that is compressed alone, so that a
call reads only its own. The file begins with the number of groups and, for each, its runs, levels
and compressed length; a group begins with how many designs it has and their numbers of factors.
"""

import zlib
from functools import lru_cache
from importlib.resources import files
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from skmixup.design.levels import Ints
from skmixup.design.task import Task

TABLE = "shipped.bin"
#: Designs of n levels with a run in the middle, written by benchmarks/designs/central_table.py.
CENTRAL_TABLE = "shipped_central.bin"
#: Columns of n levels that come up one by one, written by benchmarks/designs/column_table.py.
COLUMN_TABLE = "shipped_columns.bin"
#: Runs, factors and levels of each.
Size = tuple[int, int, int]
#: Numbers in the file's head and in a group's head.
_HEAD, _FACTORS = np.dtype("<u4"), np.dtype("u1")


def _levels_type(n_levels: int) -> np.dtype[np.unsignedinteger]:
    """How one level is stored."""
    return np.dtype("u1") if n_levels <= 256 else np.dtype("<u2")


def _runs_and_levels(size: Size) -> tuple[int, int]:
    return size[0], size[2]


def table_bytes(designs: dict[Size, Ints]) -> bytes:
    """The table as a file."""
    head: list[int] = []
    groups: list[bytes] = []
    for (n, q), members in groupby(sorted(designs, key=_runs_and_levels), _runs_and_levels):
        factors = sorted(s for _, s, _ in members)
        columns = [designs[n, s, q].T.astype(_levels_type(q)).tobytes() for s in factors]
        content = np.array([len(factors), *factors], dtype=_FACTORS).tobytes() + b"".join(columns)
        groups.append(zlib.compress(content, 9))
        head += [n, q, len(groups[-1])]
    return np.array([len(groups), *head], dtype=_HEAD).tobytes() + b"".join(groups)


def _groups(content: bytes) -> dict[tuple[int, int], slice]:
    """Where the file holds the designs of so many runs and levels."""
    n_groups = int(np.frombuffer(content, _HEAD, 1)[0])
    head = np.frombuffer(content, _HEAD, 3 * n_groups, offset=_HEAD.itemsize).reshape(-1, 3)
    start = _HEAD.itemsize * (1 + head.size)
    places = {}
    for n, q, length in head.tolist():
        places[n, q] = slice(start, start + length)
        start += length
    return places


def _read_group(packed: bytes, n: int, q: int) -> dict[Size, NDArray[np.unsignedinteger]]:
    """The designs (n_runs, n_factors) of one group."""
    content = zlib.decompress(packed)
    factors = np.frombuffer(content, _FACTORS, content[0], offset=1)
    levels = np.frombuffer(content, _levels_type(q), offset=1 + len(factors))
    designs, start = {}, 0
    for s in factors.tolist():
        designs[n, s, q] = levels[start : start + n * s].reshape(s, n).T
        start += n * s
    return designs


def read_table(content: bytes) -> dict[Size, NDArray[np.unsignedinteger]]:
    """The designs (n_runs, n_factors) of a whole table, by their size."""
    designs = {}
    for (n, q), place in _groups(content).items():
        designs.update(_read_group(content[place], n, q))
    return designs


@lru_cache(maxsize=3)
def _table(name: str) -> tuple[bytes, dict[tuple[int, int], slice]]:
    content = (files("skmixup.design") / name).read_bytes()
    return content, _groups(content)


@lru_cache(maxsize=64)
def _group(name: str, n: int, q: int) -> dict[Size, NDArray[np.unsignedinteger]]:
    content, places = _table(name)
    return _read_group(content[places[n, q]], n, q) if (n, q) in places else {}


def shipped_designs() -> dict[Size, NDArray[np.unsignedinteger]]:
    """Every shipped design, by (n_runs, n_factors, n_levels)."""
    return read_table(_table(TABLE)[0])


def shipped_design(task: Task) -> Ints | None:
    """The shipped design for a task, or None where the table has none."""
    if task.criterion != "CD" or len(task.initial) or len(set(task.n_levels)) > 1:
        return None
    n, s, q = task.n_runs, task.n_factors, task.n_levels[0]
    return _shipped(TABLE, n, s, q)


def shipped_central_design(n_runs: int, n_factors: int) -> Ints | None:
    """The shipped design with a run in the middle, or None where the table has none."""
    return _shipped(CENTRAL_TABLE, n_runs, n_factors, n_runs)


def shipped_columns(n_runs: int) -> Ints | None:
    """Columns that come up one by one, (n_runs, up to 10), or None where the table has none."""
    designs = [*_group(COLUMN_TABLE, n_runs, n_runs).values()]
    return designs[0].astype(np.intp) if designs else None


def _shipped(name: str, n: int, s: int, q: int) -> Ints | None:
    design = _group(name, n, q).get((n, s, q))
    return None if design is None else design.astype(np.intp)

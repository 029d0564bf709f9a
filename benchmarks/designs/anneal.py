"""Designs annealed by ``design_anneal.c``, which needs a C compiler.

It finds in a second what the package's own search finds in minutes.
"""

import ctypes
import os
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from skmixup.design.discrepancy import level_kernels

Size = tuple[int, int, int]

#: Temperatures at the start and at the end, as shares of what the mean swap adds to a good
#: design. Many factors or as many levels as runs want it cooler, few levels hotter.
WARM, HOT, COOL = (0.05, 0.005), (0.15, 0.015), (0.025, 0.002)
#: One that leaves most of a good design whole.
GENTLE = (0.02, 0.002)
#: Where few levels, more of them, and nearly as many factors as runs settle: see `settling`.
_FEW_LEVELS, _MANY_LEVELS, _MANY_FACTORS = (0.05, 0.012), (0.03, 0.006), (0.015, 0.002)
#: Proposals of one sweep, for each run and factor; of a longer sweep fewer are spent on updates.
_STAY = 4


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    """The compiled design_anneal.c."""
    source = Path(__file__).with_name("design_anneal.c")
    flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "design_anneal.so"
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, *flags, "-o", library, source, "-lm"], check=True)
        return ctypes.CDLL(str(library))


def annealed(
    design: np.ndarray,
    n_levels: int,
    proposals: float,
    temperatures: tuple[float, float],
    seed: int,
    mirrored: bool = False,
    distinct: bool = True,
) -> np.ndarray:
    """The design after so many proposals, of no larger centred discrepancy.

    ``mirrored``: run i + n//2 is the mirror image of run i, and stays so. ``distinct``: no move
    repeats a run, where there are as many level combinations as runs.
    """
    n, s = design.shape
    kernel = level_kernels((n_levels,), "CD")[0]
    result = np.ascontiguousarray(design, dtype=np.intc).copy()
    call(
        "anneal",
        (n, s, n_levels, kernel.pair, kernel.single, result),
        max(10, round(proposals / (_STAY * n * s))),
        temperatures,
        (n // 2 if mirrored else 0, int(distinct and n <= float(n_levels) ** s), seed),
        _STAY,
    )
    return result.astype(np.intp)


def settling(size: Size) -> tuple[float, float]:
    """Temperatures at which a design of this size settles into one of its many good orders.

    Above these every order is forgotten, below hardly any move is made: a long annealing, of 1e8
    proposals or more, is best spent in between.
    """
    n, s, q = size
    if q <= 6 and q < n:
        return _FEW_LEVELS
    return _MANY_FACTORS if s > 0.6 * n else _MANY_LEVELS


def call(
    name: str,
    design: tuple[int | np.ndarray, ...],
    steps: int,
    temperatures: tuple[float, float],
    options: tuple[int, ...],
    *stay: int,
) -> None:
    """Call a function of the library; arrays are passed as they are, the last option is a seed."""
    arrays = [np.ascontiguousarray(x) if isinstance(x, np.ndarray) else x for x in design]
    *flags, seed = options
    failed = getattr(_library(), name)(
        *(x.ctypes.data_as(ctypes.c_void_p) if isinstance(x, np.ndarray) else x for x in arrays),
        ctypes.c_int64(steps),
        *stay,
        *map(ctypes.c_double, temperatures),
        *flags,
        ctypes.c_uint64(seed),
    )
    if failed:
        raise MemoryError(f"no memory to anneal {design[0]} runs of {design[1]} factors")


def random_design(size: Size, rng: np.random.Generator) -> np.ndarray:
    """Balanced columns in random order."""
    n, s, q = size
    return np.stack([rng.permutation(np.arange(n) * q // n) for _ in range(s)], axis=1)


def can_be_mirrored(size: Size) -> bool:
    """Whether there is a balanced design that is its own mirror image, run by run.

    An odd run lies in the middle, so that there must be a middle level.
    """
    n, _, q = size
    return n % q == 0 and (q % 2 == 0 or (n // q) % 2 == n % 2)


def mirrored_design(size: Size, rng: np.random.Generator) -> np.ndarray:
    """A random design in which runs i and i + n//2 mirror each other."""
    n, s, q = size
    each, middle = n // q, (q - 1) // 2
    lower = np.repeat(np.arange(q // 2), each)
    if q % 2:
        lower = np.append(lower, np.full(each // 2, middle))
    columns = []
    for _ in range(s):
        column = rng.permutation(lower)
        columns.append(np.where(rng.random(len(column)) < 0.5, column, q - 1 - column))
    half = np.stack(columns, axis=1)
    odd = np.full((n % 2, s), middle)
    return np.concatenate([half, q - 1 - half, odd])

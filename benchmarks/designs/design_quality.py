"""How good are the designs? Discrepancies and seconds, side by side with what else there is.

    OMP_NUM_THREADS=1 python benchmarks/designs/design_quality.py

keeps one row for each size in results/design_quality.jsonl (delete it to measure anew) and writes
results/design_quality.md. Seconds are processor seconds of one thread.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from scipy.stats import qmc

from skmixup.design import (
    discrepancy,
    good_lattice_points,
    shipped,
    uniform_design,
)
from skmixup.design.good_lattice import max_factors
from skmixup.design.level_permutation import array_columns

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.designs import public_table
from benchmarks.records import Records, table, write_page

RECORDS = Records("design_quality", n_keys=3)  # n, s, q → columns by name
SEEDS = range(3)

#: The best public table, PyUniDOE's, U_n(n^s): six digits as printed by it.
TABLE_FACTORS = (2, 3, 4, 5, 6, 8, 10)
TABLE = {
    7: (0.00582388, 0.0142500, 0.0289219, 0.0527725, 0.0904449),
    9: (0.00358283, 0.00875761, 0.0188841, 0.0352661, 0.0606809, 0.155900),
    12: (0.00207620, 0.00533163, 0.0113839, 0.0221868, 0.0391385, 0.102125, 0.232751),
    15: (0.00134181, 0.00357912, 0.00778720, 0.0153700, 0.0273202, 0.0732804, 0.166763),
    20: (0.000769353, 0.00208707, 0.00483020, 0.00968419, 0.0176657, 0.0485254, 0.113751),
    27: (0.000436806, 0.00120728, 0.00291253, 0.00603622, 0.0111539, 0.0317212, 0.0752474),
    30: (0.000355249, 0.00101516, 0.00245478, 0.00510147, 0.00964345, 0.0271423, 0.0657705),
    100: (3.49735e-5, 1.17294e-4, 3.33683e-4, 7.85135e-4, 0.00161231, 0.00532949, 0.0138393),
    200: (9.2382e-6, 3.5116e-5, 1.07177e-4, 2.70353e-4, 5.91528e-4, 0.00209730, 0.00578639),
    1000: (4.76121e-7, 2.85617e-6, 1.07986e-5, 3.00655e-5, 7.00657e-5, 2.77122e-4, 0.00105524),
}
#: The same table where levels repeat: (n, s, q).
TABLE_FEWER_LEVELS = {
    (9, 4, 3): 0.0493643,
    (25, 6, 5): 0.0351643,
    (27, 13, 3): 0.397890,
    (18, 7, 3): 0.113591,
    (16, 5, 4): 0.0417239,
    (12, 4, 6): 0.0187811,
    (36, 12, 6): 0.166304,
}
#: Exact optima by enumeration of all designs.
OPTIMA = {
    (3, 2): 0.0295782,
    (4, 2): 0.0162625,
    (5, 2): 0.0110511,
    (6, 2): 0.00762764,
    (7, 2): 0.00582388,
    (8, 2): 0.00447506,
    (3, 3): 0.0615355,
    (4, 3): 0.0394756,
    (5, 3): 0.0263304,
    (6, 3): 0.0186368,
}
#: PyUniDOE's default call: mean squared CD and seconds of one thread, on another machine.
PYUNIDOE = {
    (9, 3): (0.0088344, 0.03),
    (15, 5): (0.0157064, 0.12),
    (27, 6): (0.0115653, 0.93),
    (30, 4): (0.0025036, 1.0),
    (30, 10): (0.0672108, 0.83),
    (50, 10): (0.0342212, 2.1),
    (100, 10): (0.0139744, 6.5),
}


def high_effort(n: int, s: int, q: int) -> float:
    """The effort of the column "high": less where a search takes long and wins all the same."""
    if n > 60:
        return 8.0 if n <= 100 else 2.0 if n <= 200 else 1.0
    return 4.0 if array_columns(n, (q,) * s) is not None else 48.0


def timed(make: Callable[[], np.ndarray], q: int) -> tuple[float, float]:
    """The squared CD of what ``make`` makes, and the processor seconds it took."""
    start = time.process_time()
    design = make()
    return discrepancy(design, q), time.process_time() - start


def continuous(samplers: Iterable[qmc.QMCEngine], n: int) -> float:
    """Mean squared CD of unrounded point sets."""
    with warnings.catch_warnings():  # Sobol points would like n to be a power of 2
        warnings.simplefilter("ignore", UserWarning)
        values = [qmc.discrepancy(sampler.random(n), method="CD") for sampler in samplers]
    return float(np.mean(values))


def measure(n: int, s: int, q: int) -> list[dict[str, float | str]]:
    """One row of the benchmark."""
    row: dict[str, float | str] = {}
    column = dict(zip(TABLE_FACTORS, TABLE.get(n, ()), strict=False))
    known = column.get(s) if q == n else TABLE_FEWER_LEVELS.get((n, s, q))
    if known is not None:
        row["table"] = known
    if q == n and (n, s) in OPTIMA:
        row["optimum"] = OPTIMA[n, s]
    if q == n and (n, s) in PYUNIDOE:
        row["pyunidoe"], row["pyunidoe_s"] = PYUNIDOE[n, s]
    if s <= max_factors(n):
        lattice = good_lattice_points(n, s)
        row["lattice"] = discrepancy(lattice * q // n, q)
    if q == n:
        row["sobol"] = continuous((qmc.Sobol(s, rng=seed) for seed in SEEDS), n)
        if n <= 200:
            hypercubes = (
                qmc.LatinHypercube(s, optimization="random-cd", rng=seed) for seed in SEEDS
            )
            row["lhs"] = continuous(hypercubes, n)
    seeds = SEEDS if n <= 200 else range(1)
    runs = [
        timed(lambda k=k: uniform_design(n, s, q, method="optimize", random_state=k), q)
        for k in seeds
    ]
    row["default"], row["default_s"] = np.mean(runs, axis=0)
    row["default_worst"] = max(value for value, _ in runs)
    if shipped_value(n, s, q) is None:
        effort = high_effort(n, s, q)
        row["high_from"] = f"effort {effort:g}"
        row["high"], row["high_s"] = (
            min(runs)
            if effort == 1
            else timed(lambda: uniform_design(n, s, q, method="optimize", effort=effort), q)
        )
    return [row]


def shipped_value(n: int, s: int, q: int) -> float | None:
    """The squared CD of the design in the shipped table, if it has this size."""
    design = shipped.shipped_designs().get((n, s, q))
    return None if design is None else discrepancy(design, q)


def sizes() -> list[tuple[int, int, int]]:
    """Every size measured, (n, s, q)."""
    whole = [(n, s, n) for n, row in TABLE.items() for s in TABLE_FACTORS[: len(row)]]
    whole += [(n, s, n) for n, s in [*OPTIMA, *PYUNIDOE]]
    whole += [(1000, 20, 1000)]
    fewer = [(n, s, q) for n, s, q in TABLE_FEWER_LEVELS]
    return sorted(dict.fromkeys([*whole, *fewer]), key=lambda size: (size[0] != size[2], *size))


def other_criteria() -> list[str]:
    """Lines on WD and MD at (30, 6): ours, the bar, the seconds."""
    lines = []
    for criterion, bar in (("WD", 0.0335), ("MD", 0.0555)):
        start = time.process_time()
        values = [
            discrepancy(
                uniform_design(30, 6, criterion=criterion, effort=8, random_state=seed),
                criterion=criterion,
            )
            for seed in SEEDS
        ]
        seconds = (time.process_time() - start) / len(values)
        each = ", ".join(f"{value:.6f}" for value in values)
        lines.append(
            f"* {criterion}²(30, 6), effort 8: {min(values):.6f}, the best of {len(values)} seeds "
            f"({each}; {seconds:.1f} s each); the bar is {bar}."
        )
    return lines


def measured_rows() -> list[dict[str, float]]:
    """The measured rows, with the shipped design's value as "high" where there is one now."""
    rows = []
    for (n, s, q), (columns,) in RECORDS.rows.items():
        row = {"n": n, "s": s, "q": q, **columns}
        known = shipped_value(n, s, q)
        if known is not None:
            row["high"], row["high_s"] = known, 0.0
        rows.append(row)
    return sorted(rows, key=lambda row: (row["n"] != row["q"], row["n"], row["s"]))


def number(row: dict[str, float], key: str, form: str = ".6g") -> str:
    """A cell of the page, empty where nothing was measured."""
    return format(row[key], form) if key in row else ""


def page(rows: list[dict[str, float]]) -> str:
    """The results page."""
    public = [row for row in rows if "table" in row]
    # The table's values have six digits: a relative difference below 1e-5 is none.
    below = [row for row in public if row["high"] < row["table"] * (1 - 1e-5)]
    above = [row for row in public if row["high"] > row["table"] * (1 + 1e-5)]
    exact = [row for row in rows if "optimum" in row]
    missed = [row for row in exact if row["high"] > row["optimum"] * (1 + 1e-5)]
    calls = [row for row in rows if "pyunidoe" in row]
    worse = [row for row in calls if row["default_worst"] > row["pyunidoe"]]
    slower = [row for row in calls if row["default_s"] > row["pyunidoe_s"]]

    def names(some: list[dict[str, float]]) -> str:
        labels = [f"({r['n']}, {r['s']}, {r['q']})" for r in some]
        return f" ({', '.join(labels)})" if labels else ""

    lines = [
        "# Quality of the designs",
        "",
        "Made by `benchmarks/designs/design_quality.py` from `design_quality.jsonl`.",
        "All values are squared centred discrepancies, smaller is better; seconds are processor "
        "seconds of one thread.",
        "",
        f"* High effort against the best public table, {len(public)} sizes: strictly below at "
        f"{len(below)}, equal at {len(public) - len(below) - len(above)}, above at "
        f"{len(above)}{names(above)}.",
        f"* Exact optima known at {len(exact)} sizes: reached at {len(exact) - len(missed)}"
        f"{names(missed)}.",
        f"* Default effort against the mean of PyUniDOE's default call, {len(calls)} sizes: our "
        f"worst seed is above it at {len(worse)}{names(worse)}, we are slower at "
        f"{len(slower)}{names(slower)}. Its values and seconds were "
        "measured before, on one thread, not side by side.",
        *other_criteria(),
        "",
        "Columns: *table* is PyUniDOE's shipped table (six digits); *optimum* by enumeration;",
        "*high* the design that the package ships (made by `benchmarks/designs/design_table.py`),",
        "or a search of the effort in `design_quality.jsonl`; *default* the mean of "
        f"{len(SEEDS)} seeds at",
        "effort 1 with the shipped table bypassed (one seed for n = 1000); *lattice* good lattice",
        'points; *LHS* scipy\'s Latin hypercube with `optimization="random-cd"`; *Sobol*',
        "scrambled Sobol points (means of three seeds; neither has levels). *vs table* is high",
        "against table. *default* and its seconds at 100 and more runs were measured before and",
        "not anew when the search changed last (delete those rows to do so).",
        "",
    ]
    cells = []
    for row in rows:
        gap = f"{100 * (row['high'] / row['table'] - 1):+.2f} %" if "table" in row else ""
        line = [
            *(str(row[key]) for key in ("n", "s", "q")),
            number(row, "table"),
            number(row, "optimum"),
            number(row, "high"),
            gap,
            number(row, "high_s", ".1f") if row["high_s"] else "shipped",
            number(row, "default"),
            number(row, "default_s", ".2f"),
            *(number(row, key, ".3g") for key in ("lattice", "lhs", "sobol")),
        ]
        cells.append(line)
    header = ["n", "s", "q", "table", "optimum", "high", "vs table", "sec", "default", "sec"]
    lines.append(table([*header, "lattice", "LHS", "Sobol"], cells))
    lines += public_table.section()
    lines += ["## PyUniDOE's default call", "", "As measured earlier:", ""]
    header = ["n", "s", "its mean", "its s", "our mean", "our worst", "our s"]
    keys = ("pyunidoe", "pyunidoe_s", "default", "default_worst", "default_s")
    cells = [[str(row["n"]), str(row["s"]), *(number(row, k) for k in keys)] for row in calls]
    return "\n".join([*lines, table(header, cells)])


def main() -> None:
    """Measure what is not there yet, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="*", help="measure these n only")
    only = parser.parse_args().runs
    RECORDS.run((size for size in sizes() if not only or size[0] in only), measure)
    if not only:
        public_table.run()
    write_page("design_quality", page(measured_rows()))


if __name__ == "__main__":
    main()

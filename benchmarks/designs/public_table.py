"""Every size of the best public table: what the default call gives, and the search alone.

The table, PyUniDOE's, is read from the file cd2_public_table.csv in the folder named by
SKMIXUP_DATA; its values are kept with what was measured, so that the page needs only these.
"""

import os
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks.designs.anneal import annealed, random_design, settling
from benchmarks.designs.design_table import Size, public_table
from benchmarks.records import Records, table
from skmixup.design import discrepancy, shipped, uniform_design

RECORDS = Records("public_table", n_keys=3)  # n, s, q → columns by name
#: Relative differences below this are the rounding of twelve digits.
SAME = 2e-9
#: Up to so many runs the search is tried where a design is shipped: it takes a third of a second.
_MOST_SEARCHED = 60
#: Tries where the shipped design is above the table: are repeated runs what it lacks?
_TRIES, _PROPOSALS = 6, 1e8

Row = dict[str, float]


def given() -> dict[Size, float]:
    """The table's values, or none where the file is not there."""
    path = Path(os.environ.get("SKMIXUP_DATA", ".")) / "cd2_public_table.csv"
    if not path.exists():
        print(f"there is no {path} (is SKMIXUP_DATA set?): sizes are not measured anew")
        return {}
    return public_table(path)


def measure(n: int, s: int, q: int, value: float) -> Row:
    """One size: the table's value; where no design is shipped, and at a third of the others, what
    the search finds alone, and its seconds.
    """
    if (n, s, q) in shipped.shipped_designs() and ((n + s + q) % 3 or n > _MOST_SEARCHED):
        return {"table": value}
    start = time.process_time()
    design = uniform_design(n, s, q, method="optimize")
    seconds = time.process_time() - start
    return {"table": value, "search": discrepancy(design, q), "seconds": round(seconds, 3)}


def with_repeats(n: int, s: int, q: int) -> float:
    """The smallest value annealing finds where runs may be repeated."""
    rng, heat = np.random.default_rng((n, s, q)), settling((n, s, q))
    designs = (
        annealed(random_design((n, s, q), rng), q, _PROPOSALS, heat, seed, distinct=False)
        for seed in range(_TRIES)
    )
    return min(discrepancy(design, q) for design in designs)


def run() -> None:
    """Measure what is not there yet."""
    values = given()
    RECORDS.run(values, lambda n, s, q: [measure(n, s, q, values[n, s, q])])
    known = shipped.shipped_designs()
    for (n, s, q), (row,) in sorted(RECORDS.rows.items()):
        if (n, s, q) not in known or "repeats" in row or q == n:
            continue
        if discrepancy(known[n, s, q], q) > row["table"] * (1 + SAME):
            RECORDS.append((n, s, q), [{**row, "repeats": with_repeats(n, s, q)}])


def _family(n: int, q: int) -> str:
    if n >= 100:
        return "n ≥ 100, q = n"
    if q == n:
        return "n ≤ 30, q = n"
    return f"n ≤ 60, q = {q}"


def _compared(rows: Iterable[Row], key: str) -> list[str]:
    """Cells: below, equal, above, and the mean difference."""
    gaps = np.array([row[key] / row["table"] - 1 for row in rows if key in row])
    if not len(gaps):
        return [""] * 4
    below, above = int((gaps < -SAME).sum()), int((gaps > SAME).sum())
    mean = f"{100 * gaps.mean():+.2f} %"
    return [str(below), str(len(gaps) - below - above), str(above), mean]


def _call_seconds() -> str:
    """Milliseconds of a first call and of the next one, of shipped designs."""
    shipped._table.cache_clear()
    shipped._group.cache_clear()
    stamps = [time.perf_counter()]
    for n_factors in (12, 12):
        uniform_design(30, n_factors)
        stamps.append(time.perf_counter())
    first, later = np.diff(stamps) * 1000
    return f"{first:.1f} ms for the first call, {later:.2f} ms for the next"


def section() -> list[str]:
    """The page's lines."""
    known = shipped.shipped_designs()
    families: dict[str, list[Row]] = {}
    for (n, s, q), (columns,) in sorted(RECORDS.rows.items(), key=lambda item: item[0][::-1]):
        design = known.get((n, s, q))
        default = columns["search"] if design is None else discrepancy(design, q)
        row = {"n": n, "s": s, "q": q, **columns, "default": default}
        families.setdefault(_family(n, q), []).append(row)
    rows = [row for family in families.values() for row in family]
    if not rows:
        return []
    above = [row for row in rows if row["default"] > row["table"] * (1 + SAME)]
    repeated = [
        row
        for row in above
        if row["q"] < row["n"] and row.get("repeats", np.inf) <= row["table"] * (1 + SAME)
    ]
    other = [row for row in above if row not in repeated]
    content = (Path(shipped.__file__).with_name(shipped.TABLE)).stat().st_size
    below, equal, _, mean = _compared(rows, "default")

    def names(some: list[Row], most: int = 30) -> str:
        gaps = sorted(
            ((r["default"] / r["table"] - 1, r) for r in some), key=lambda pair: -pair[0]
        )
        labels = [f"({r['n']}, {r['s']}, {r['q']}) {100 * gap:+.2f} %" for gap, r in gaps[:most]]
        mean = f", {100 * np.mean([gap for gap, _ in gaps]):.2f} % on average" if gaps else ""
        return mean + (f"; the furthest: {', '.join(labels)}" if labels else "")

    cells = []
    for name, family in {**families, "all": rows}.items():
        searched = [row["seconds"] for row in family if "seconds" in row]
        seconds = f"{np.mean(searched):.2f}" if searched else ""
        search = _compared(family, "search")
        cells.append([name, str(len(family)), *_compared(family, "default"), *search, seconds])
    header = ["sizes", "given", "below", "equal", "above", "mean"]
    header += [f"search: {name}" for name in ("below", "equal", "above", "mean", "sec")]
    return [
        "## The whole public table",
        "",
        f"The default call against all {len(rows)} values of the table that were given (the "
        f"others are kept aside): below at {below}, equal at {equal}, above at {len(above)}; "
        f'{mean} on average. *search* is what `method="optimize"` finds without the shipped '
        "table at a third of the sizes up to 60 runs, and at all that are not shipped (one seed, "
        "effort 1; processor seconds).",
        "",
        f"* Above, and the table's value is reached as soon as runs may be repeated, which "
        f"`uniform_design` does not do while there are other combinations: {len(repeated)} "
        f"sizes{names(repeated)}.",
        f"* Above otherwise: {len(other)} sizes{names(other)}.",
        f"* The shipped file has {len(known)} designs in {content / 1000:.0f} kB; "
        f"{_call_seconds()}.",
        "",
        table(header, cells),
    ]

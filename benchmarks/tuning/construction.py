"""Which design finds most in one shot, and where its levels belong: two decisions, apart.

    python benchmarks/tuning/construction.py run surfaces    # and: kept, smooth, bbob
    python benchmarks/tuning/construction.py report

On real tuning surfaces (`surfaces.py`, those to choose by and those kept for one look), on smooth
random functions and on COCO's BBOB (24 functions, 15 instances, 2, 3 and 5 dimensions; needs the
package coco-experiment). A run resumes; about half an hour of one core. Writes
benchmarks/results/tuning_construction.{jsonl,md}.
"""

import argparse
import sys
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.records import Records, command_line, table, write_page
from benchmarks.tuning import interpolators, surfaces
from benchmarks.tuning.arrangements import PEERS, drawn, placed, share_won
from benchmarks.tuning.smooth import PRIORS, SmoothFunctions

#: Part, problem group, arrangement, placement, n → share won from Sobol + middle, its error.
RECORDS = Records("tuning_construction", n_keys=5)
RIVAL = "Sobol + middle"
BUDGETS = (9, 16, 25, 50, 100)
PLACEMENTS = ("cells", "n + 1 parts", "c = 0.9", "w = 1/4")
#: The last one is the default up to 15 runs; what it is from 16 on is in joint.py.
ARRANGEMENTS = ("CD", "WD", "CD, 1 central run", "CD, 3 in the middle third", "CD, middle, pair")
#: Placements beside the two that are reported for all.
TRIED_WITH_ALL = ("CD, middle, pair",)
N_DRAWS, N_FUNCTIONS, BBOB_REPETITIONS = 75, 400, 4
#: Seeds: the constructions were chosen on blocks 1 to 5.
BLOCK = 11
FACTORS = (2, 3, 5, 8)
DIMENSIONS = (2, 3, 5)


def settings() -> list[tuple[str, str]]:
    """Arrangements with their placements."""
    both = product([*PEERS, *ARRANGEMENTS], PLACEMENTS[:2])
    return [*both, *product(TRIED_WITH_ALL, PLACEMENTS[2:])]


@lru_cache(maxsize=1)
def real_surfaces(part: str) -> list[interpolators.Surface]:
    """The surfaces that a Gaussian process explains by half at least."""
    tables = surfaces.CHOOSING if part == "surfaces" else surfaces.KEPT
    fitted = []
    tabulated = surfaces.RECORDS.rows
    for learner, name in surfaces.surfaces(tables):
        if (learner, name) in tabulated:
            points = surfaces.places(len(surfaces.LEARNERS[learner][1]))
            (losses,) = tabulated[learner, name]
            fitted.append(interpolators.fit(points, np.array(losses)))
    return [surface for surface in fitted if surface.explained > 0.5]


@lru_cache(maxsize=2)
def best_on_surfaces(part: str, name: str, placement: str, n: int) -> list[np.ndarray]:
    found = []
    for surface in real_surfaces(part):
        s = surface.points.shape[1]
        points = placed(drawn(name, n, s, N_DRAWS, BLOCK), placement, n, s)
        found.append(surface(points.reshape(-1, s)).reshape(N_DRAWS, n).min(axis=1))
    return found


def on_surfaces(part: str, name: str, placement: str, n: int) -> np.ndarray:
    """The share won on each surface, all pairs of draws."""
    rival = rival_on_surfaces(part, n)
    ours = best_on_surfaces(part, name, placement, n)
    return np.array([share_won(a, b) for a, b in zip(ours, rival, strict=True)])


@lru_cache(maxsize=10)
def rival_on_surfaces(part: str, n: int) -> list[np.ndarray]:
    return best_on_surfaces(part, RIVAL, "cells", n)


@lru_cache(maxsize=64)
def best_smooth(name: str, placement: str, prior: str, n: int, s: int) -> np.ndarray:
    functions = SmoothFunctions(N_FUNCTIONS, s, prior, BLOCK)
    points = placed(drawn(name, n, s, N_FUNCTIONS, BLOCK), placement, n, s)
    return np.asarray(functions(points).min(axis=1))


def on_smooth(prior: str, name: str, placement: str, n: int) -> np.ndarray:
    """Won, tied (half) or lost, function by function of every number of factors."""
    return np.concatenate(
        [
            _won(best_smooth(name, placement, prior, n, s), rival_smooth(prior, n, s))
            for s in FACTORS
        ]
    )


@lru_cache(maxsize=256)
def rival_smooth(prior: str, n: int, s: int) -> np.ndarray:
    # Points of its own: with the same ones a small move would win more often than it gains.
    functions = SmoothFunctions(N_FUNCTIONS, s, prior, BLOCK)
    return np.asarray(functions(drawn(RIVAL, n, s, N_FUNCTIONS, BLOCK + 1)).min(axis=1))


def _won(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return (ours < theirs) + 0.5 * (ours == theirs)


@lru_cache(maxsize=64)
def best_on_bbob(name: str, placement: str, n: int, block: int) -> np.ndarray:
    """The best values (functions and instances, repetitions) in all dimensions."""
    import cocoex

    found = []
    for s in DIMENSIONS:
        draws = drawn(name, n, s, 24 * 15 * BBOB_REPETITIONS, block)
        points = placed(draws, placement, n, s) * 10 - 5
        suite = cocoex.Suite("bbob", "", f"dimensions: {s} instance_indices: 1-15")
        for k, problem in enumerate(suite):
            rows = points[k * BBOB_REPETITIONS : (k + 1) * BBOB_REPETITIONS]
            found.append([min(problem(x) for x in run) for run in rows])
    return np.array(found)


def on_bbob(name: str, placement: str, n: int) -> np.ndarray:
    """The share won on every problem, all pairs of repetitions."""
    rival = best_on_bbob(RIVAL, "cells", n, BLOCK + 1)
    ours = best_on_bbob(name, placement, n, BLOCK)
    return np.array([share_won(a, b) for a, b in zip(ours, rival, strict=True)])


def measure(part: str, group: str, name: str, placement: str, n: int) -> list[float]:
    """The mean share and its standard error over the problems."""
    if part in ("surfaces", "kept"):
        won = on_surfaces(part, name, placement, n)
    elif part == "smooth":
        won = on_smooth(group, name, placement, n)
    else:
        won = on_bbob(name, placement, n)
    return [round(float(won.mean()), 4), round(float(won.std() / np.sqrt(len(won))), 4)]


GROUPS = {"surfaces": ("all",), "kept": ("all",), "smooth": PRIORS, "bbob": ("all",)}


def share_table(part: str, group: str, placement: str) -> str:
    """Arrangements by budget; in bold the best of a budget."""
    names = [n for n, p in settings() if p == placement]
    there = {
        n: all((part, group, m, placement, n) in RECORDS.rows for m in names) for n in BUDGETS
    }
    budgets = [n for n in BUDGETS if there[n]]
    if not budgets:
        return "Not measured yet.\n"
    value = {(m, n): RECORDS.rows[part, group, m, placement, n] for m in names for n in budgets}
    best = {n: max(value[m, n][0] for m in names) for n in budgets}
    rows = []
    for m in names:
        cells = [f"{v:.3f}".lstrip("0") for v in (value[m, n][0] for n in budgets)]
        bold = [value[m, n][0] == best[n] for n in budgets]
        mean = np.mean([value[m, n][0] for n in budgets])
        shown = [f"**{c}**" if b else c for c, b in zip(cells, bold, strict=True)]
        rows.append([m, *shown, f"{mean:.3f}".lstrip("0")])
    error = np.mean([e for _, e in value.values()])
    header = ["arrangement", *(f"n = {n}" for n in budgets), "mean"]
    return f"Standard error of a number about {error:.3f}.\n\n" + table(header, rows)


TITLES = {
    ("surfaces", "all"): "Real surfaces, those to choose by",
    ("kept", "all"): "Real surfaces, those kept for one look",
    ("bbob", "all"): "BBOB, whole: 24 functions, 15 instances, 2, 3 and 5 dimensions",
    **{("smooth", p): f"Smooth functions, optimum: {p}" for p in PRIORS},
}


def write() -> None:
    """The page, from what is measured; its first half is written by hand."""
    head = RECORDS.plain.with_name("tuning_construction_method.md")
    page = [head.read_text() if head.exists() else "# One-shot designs\n"]
    for (part, group), title in TITLES.items():
        if not any(key[:2] == (part, group) for key in RECORDS.rows):
            continue
        page.append(f"## {title}\n")
        for placement in PLACEMENTS:
            page.append(f"Levels: {placement}. {share_table(part, group, placement)}")
    write_page("tuning_construction", "\n".join(page))


def main() -> None:
    """Measure a part, or write the page."""
    parser: argparse.ArgumentParser = command_line(__doc__)
    parser.add_argument("command", choices=["run", "report"])
    parser.add_argument("part", nargs="?", choices=list(GROUPS), default="surfaces")
    arguments = parser.parse_args()
    if arguments.command == "report" or arguments.report:
        write()
        return
    part = arguments.part
    # Budget by budget, so that draws and rivals are made once.
    planned = product([part], GROUPS[part], BUDGETS, settings())
    RECORDS.run(((a, g, m, p, n) for a, g, n, (m, p) in planned), measure)


if __name__ == "__main__":
    main()

"""Arrangement and placement in one trial: every arrangement with every placement.

    python benchmarks/tuning/joint.py choose     # then: narrow, confirm, nine, noise
    python benchmarks/tuning/joint.py report

`construction.py` decided on the arrangement first and on the placement for it alone. Here they are
tried together, on seeds, problems and dimensions that nothing was decided by before: what is
confirmed stands on tables, instances and numbers of factors other than those it was chosen on.
Writes benchmarks/results/tuning_joint.{jsonl,md}.
"""

import argparse
import sys
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.records import Records, table, write_page
from benchmarks.tuning import interpolators, surfaces
from benchmarks.tuning.arrangements import DESIGNS, PEERS, drawn, placed, share_won
from benchmarks.tuning.smooth import PRIORS, SmoothFunctions

#: Look, group of problems, arrangement, placement, n → share won from the rival, its error.
RECORDS = Records("tuning_joint", n_keys=5)
#: What the default was when the trial began.
RIVAL, DEFAULT = "Sobol + middle", ("CD, middle, pair", "n + 1 parts")
ARRANGEMENTS = tuple(name for name in DESIGNS if not name.endswith("(the default)"))
PLACEMENTS = ("cells", "n + 1 parts", "c = 0.95", "c = 0.9", "c = 0.85", "ends kept 0.75")
#: Those not behind at ends by much; medians were added after the first look.
_BETWEEN = ("cells", "medians", "n + 1 parts")
GROUPS = ("surfaces", "BBOB", *PRIORS)


#: Surfaces whose best run is chosen as a user would, by one noisy cross-validation.
NOISY = "surfaces, noisy"


@dataclass(frozen=True)
class Look:
    """On which seeds and problems a setting is looked at."""

    block: int
    tables: tuple[str, ...]
    n_draws: int
    factors: tuple[int, ...]
    n_functions: int
    dimensions: tuple[int, ...]
    #: Of BBOB, as COCO writes them; "" are the 15 of its own, 1 to 5 and 71 to 80.
    instances: str
    n_instances: int


LOOKS = {
    "choose": Look(21, surfaces.CHOOSING, 50, (2, 3, 5, 8), 300, (2, 3, 5), "", 15),
    "confirm": Look(31, surfaces.FRESH, 50, (3, 4, 6), 600, (2, 5, 10), "instances: 16-30", 15),
}
BBOB_REPETITIONS = 2


@lru_cache(maxsize=2)
def real_surfaces(tables: tuple[str, ...]) -> list[interpolators.Surface]:
    """The surfaces that a Gaussian process explains by half at least."""
    rows, fitted = surfaces.RECORDS.rows, []
    for learner, name in surfaces.surfaces(tables):
        if (learner, name) in rows:
            points = surfaces.places(len(surfaces.LEARNERS[learner][1]))
            fitted.append(interpolators.fit(points, np.array(rows[learner, name][0])))
    return [surface for surface in fitted if surface.explained > 0.5]


def on_surfaces(
    look: Look, name: str, placement: str, n: int, block: int, noisy: bool = False
) -> list[np.ndarray]:
    """The values of what looks best on each surface, one for each draw.

    ``noisy``: it is chosen by values with the noise of one cross-validation, the share of the
    tabulated values that the surface does not explain.
    """
    found, rng = [], np.random.default_rng([block, n])
    for surface in real_surfaces(look.tables):
        s = surface.points.shape[1]
        points = placed(drawn(name, n, s, look.n_draws, block), placement, n, s)
        values = surface(points.reshape(-1, s)).reshape(look.n_draws, n)
        noise = np.sqrt(1 - surface.explained) if noisy else 0.0
        chosen = (values + noise * rng.standard_normal(values.shape)).argmin(axis=1)
        found.append(values[np.arange(look.n_draws), chosen])
    return found


def on_bbob(look: Look, name: str, placement: str, n: int, block: int) -> list[np.ndarray]:
    import cocoex

    found = []
    for s in (s for s in look.dimensions if s < n):
        n_problems = 24 * look.n_instances
        draws = drawn(name, n, s, n_problems * BBOB_REPETITIONS, block)
        points = placed(draws, placement, n, s) * 10 - 5
        suite = cocoex.Suite("bbob", look.instances, f"dimensions: {s}")
        assert len(suite) == n_problems
        for k, problem in enumerate(suite):
            rows = points[k * BBOB_REPETITIONS : (k + 1) * BBOB_REPETITIONS]
            found.append(np.array([min(problem(x) for x in run) for run in rows]))
    return found


def on_smooth(
    look: Look, prior: str, name: str, placement: str, n: int, block: int
) -> list[np.ndarray]:
    found = []
    for s in look.factors:
        functions = SmoothFunctions(look.n_functions, s, prior, look.block)
        points = placed(drawn(name, n, s, look.n_functions, block), placement, n, s)
        found.extend(functions(points).min(axis=1)[:, None])
    return found


def best(
    group: str, look: Look, name: str, placement: str, n: int, block: int
) -> list[np.ndarray]:
    """The best of n, problem by problem."""
    if group in ("surfaces", NOISY):
        return on_surfaces(look, name, placement, n, block, noisy=group == NOISY)
    if group == "BBOB":
        return on_bbob(look, name, placement, n, block)
    return on_smooth(look, group, name, placement, n, block)


@lru_cache(maxsize=64)
def rivals(group: str, look: str, n: int) -> list[np.ndarray]:
    # Points of its own: with the same ones a small move would win more often than it gains.
    return best(group, LOOKS[look], RIVAL, "cells", n, LOOKS[look].block + 1)


def measure(look: str, group: str, name: str, placement: str, n: int) -> list[float]:
    """The mean share and its standard error over the problems."""
    ours = best(group, LOOKS[look], name, placement, n, LOOKS[look].block)
    pairs = zip(ours, rivals(group, look, n), strict=True)
    won = np.array([share_won(a, b) for a, b in pairs])
    return [round(float(won.mean()), 4), round(float(won.std() / np.sqrt(len(won))), 4)]


#: What came out of the first stage and was looked at with more runs, and what was confirmed.
_THIRD = "CD, middle, 3 in the middle third"
NARROWED = (
    *product((_THIRD, "CD, middle, near pair", "CD, 3 in the middle third"), _BETWEEN),
    *product((DEFAULT[0],), _BETWEEN),
    (_THIRD, "ends kept 0.75"),
)
CONFIRMED = (*product((_THIRD,), ("medians", "n + 1 parts")), ("Hammersley + middle", "medians"))
#: At nine runs, after all these: the best of those that are behind nowhere in the first look.
_NEAR = tuple(product(("CD, middle, near pair",), ("n + 1 parts", "medians")))
#: How far noise hides differences.
HIDDEN = ((_THIRD, "n + 1 parts"), ("CD", "cells"), DEFAULT)
STAGES = {
    "choose": ("choose", (9, 25), tuple(product(ARRANGEMENTS, PLACEMENTS))),
    "narrow": ("choose", (9, 16, 25), NARROWED),
    "confirm": ("confirm", (9, 16, 25, 50, 100), (DEFAULT, *CONFIRMED)),
    "nine": ("confirm", (9,), (DEFAULT, *_NEAR)),
    "noise": ("choose", (25,), HIDDEN),
}


def settings(stage: str) -> tuple[tuple[str, str], ...]:
    """The peers as they come, and what a stage compares with them."""
    return (*product(PEERS, ["cells"]), *STAGES[stage][2])


def ahead_of_peers(look: str, budgets: tuple[int, ...], setting: tuple[str, str]) -> list[float]:
    """Cell by cell how far a setting is ahead of the best peer as it comes, in its errors."""
    rows = RECORDS.rows
    ahead = []
    for n, group in product(budgets, GROUPS):
        share, error = rows[look, group, *setting, n]
        rival, other = max(rows[look, group, peer, "cells", n] for peer in PEERS)
        ahead.append((share - rival) / float(np.hypot(error, other or error)))
    return ahead


def overview(stage: str) -> str:
    """Every setting of a stage: shares by group, and how it stands to the best peers."""
    look, budgets, _ = STAGES[stage]
    lines = []
    for setting in settings(stage):
        if any((look, g, *setting, n) not in RECORDS.rows for g in GROUPS for n in budgets):
            continue
        means = [
            float(np.mean([RECORDS.rows[look, g, *setting, n][0] for n in budgets]))
            for g in GROUPS
        ]
        ahead = ahead_of_peers(look, budgets, setting)
        worst, n_behind = min(ahead), sum(a < -1 for a in ahead)
        cells = [short(m) for m in (*means, float(np.mean(means)))]
        lines.append((n_behind, [*setting, *cells, str(n_behind), f"{worst:+.1f}"]))
    header = ["arrangement", "levels", *GROUPS, "mean", "behind", "worst"]
    return table(header, [line for _, line in lines])


def cells_table(stage: str, group: str) -> str:
    """Settings by budget; in bold what is within an error of the best."""
    look, budgets, _ = STAGES[stage]
    value = {
        (setting, n): RECORDS.rows[look, group, *setting, n]
        for setting in settings(stage)
        for n in budgets
        if (look, group, *setting, n) in RECORDS.rows
    }
    lines = []
    for setting in settings(stage):
        cells = []
        for n in budgets:
            share, error = value.get((setting, n), (np.nan, 0.0))
            best_of_all = max(v[0] for (_, m), v in value.items() if m == n)
            bold = share >= best_of_all - error
            cells.append(f"**{short(share)}**" if bold else short(share))
        lines.append([*setting, *cells])
    errors = [error for _, error in value.values() if error]
    return f"Standard error about {np.mean(errors):.3f}.\n\n" + table(
        ["arrangement", "levels", *(f"n = {n}" for n in budgets)], lines
    )


def short(share: float) -> str:
    return f"{share:.3f}".lstrip("0")


TITLES = {
    "choose": "Chosen on: 9 and 25 runs",
    "narrow": "What was left, at 9, 16 and 25 runs",
    "confirm": "Confirmed on other tables, instances, dimensions and seeds",
    "nine": "The same at nine runs, with a nearer pair",
}


def write() -> None:
    """The page, from what is measured; its first half is written by hand."""
    head = RECORDS.plain.with_name("tuning_joint_method.md")
    page = [head.read_text() if head.exists() else "# Arrangement and placement in one trial\n"]
    for stage, title in TITLES.items():
        page.append(f"## {title}\n\n{overview(stage)}")
    for group in GROUPS:
        page.append(f"## {TITLES['confirm']}: {group}\n\n{cells_table('confirm', group)}")
    write_page("tuning_joint", "\n".join(page))


def main() -> None:
    """Measure a stage, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=[*STAGES, "report"])
    command = parser.parse_args().command
    if command == "report":
        write()
        return
    look, budgets, _ = STAGES[command]
    # Budget by budget, so that draws and rivals are made once.
    groups = ("surfaces", NOISY) if command == "noise" else GROUPS
    planned = product([look], budgets, groups, settings(command))
    RECORDS.run(((k, g, m, p, n) for k, n, g, (m, p) in planned), measure)


if __name__ == "__main__":
    main()

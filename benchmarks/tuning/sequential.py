"""In sequence: then="zoom" against Optuna's TPE, CMA-ES and Gaussian process, as users call them.

    python benchmarks/tuning/sequential.py bbob   # and the other PARTS
    python benchmarks/tuning/sequential.py report

On COCO's BBOB (24 functions, instances 5 and 6, in 2, 3 and 5 dimensions; needs the packages
coco-experiment and cmaes) and on real tuning surfaces (`surfaces.py`). A run resumes; about a
quarter of an hour of one core, as much for the parts gp and botorch together, and for hebo. Writes
benchmarks/results/tuning_sequential.{jsonl,md}.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.records import Records, table, write_page
from benchmarks.tuning import construction
from benchmarks.tuning.rivals import HeboSampler, botorch_sampler
from skmixup.tuning import UniformDesignSampler

#: Part, problem, method, seed → the best value after each of the budgets.
RECORDS = Records("tuning_sequential", n_keys=4)
BUDGETS = (25, 48, 100)
SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "zoom after 10": lambda seed: UniformDesignSampler(n_runs=10, then="zoom", seed=seed),
    "zoom after 16": lambda seed: UniformDesignSampler(n_runs=16, then="zoom", seed=seed),
    "TPE": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "CMA-ES": lambda seed: optuna.samplers.CmaEsSampler(seed=seed),
    "GP": lambda seed: optuna.samplers.GPSampler(seed=seed),
    "BoTorch": botorch_sampler,
    "HEBO": HeboSampler,
}
RIVALS = ("TPE", "CMA-ES", "GP", "BoTorch", "HEBO")
#: Samplers that take a tenth of a second and more for a trial stop here, but for BoTorch on every
#: fourth function of BBOB.
SLOW, SHORTER = ("BoTorch", "HEBO"), 48
#: What each part is, its methods, and its seeds.
PARTS = {
    "bbob": ("BBOB in 2, 3 and 5 dimensions", ("zoom after 10", "zoom after 16", *RIVALS[:2]), 1),
    "surfaces": ("Real tuning surfaces", ("zoom after 10", "zoom after 16", "TPE"), 2),
    "noise": ("BBOB with noise", ("zoom after 10", "zoom after 16", "TPE"), 1),
    "noisy surfaces": (
        "Real tuning surfaces with the noise of one cross-validation",
        ("zoom after 10", "zoom after 16", "TPE"),
        1,
    ),
    "categories": ("BBOB, one or two parameters as categories", ("zoom after 10", "TPE"), 1),
    "ten": ("BBOB in 10 dimensions", ("zoom after 16", "TPE"), 1),
    "gp": (
        "BBOB in 2, 3 and 5 dimensions, instance 5",
        ("zoom after 10", "zoom after 16", "GP"),
        1,
    ),
    "botorch": (
        "BBOB in 2 dimensions, and odd functions in 5, instance 5",
        ("zoom after 10", "zoom after 16", "BoTorch"),
        1,
    ),
    "hebo": (
        "BBOB in 2 and 5 dimensions, instance 5, odd functions",
        ("zoom after 10", "zoom after 16", "HEBO"),
        1,
    ),
}
N_CHOICES = 4


def budgets_of(method: str, problem: str) -> list[int]:
    """How many runs are looked at: fewer of a slow sampler."""
    if method in SLOW and (method == "HEBO" or int(problem.split("_f")[1][:3]) % 4 != 1):
        return [n for n in BUDGETS if n <= SHORTER]
    return list(BUDGETS)


@dataclass
class Problem:
    """A function on the unit cube, of which the last parameters may be categories.

    ``noise`` is the standard deviation of what is added to the values that a search is told.
    """

    name: str
    f: Callable[[np.ndarray], float]
    n_factors: int
    n_categories: int = 0
    noise: float = 0.0

    def best(self, method: str, seed: int) -> list[float]:
        """The true values of the points that look best, after each budget."""
        rng = np.random.default_rng([seed, self.n_factors])
        levels = rng.permutation(N_CHOICES)
        true = []

        def objective(trial: optuna.Trial) -> float:
            n = self.n_factors - self.n_categories
            x = [trial.suggest_float(f"x{i}", 0, 1) for i in range(n)]
            for i in range(self.n_categories):
                kind = trial.suggest_categorical(f"kind{i}", ["a", "b", "c", "d"])
                x.append((levels["abcd".index(kind)] + 0.5) / N_CHOICES)
            true.append(self.f(np.array(x)))
            return true[-1] + self.noise * rng.standard_normal()

        study = optuna.create_study(sampler=SAMPLERS[method](seed))
        budgets = budgets_of(method, self.name)
        study.optimize(objective, n_trials=budgets[-1])
        told = [trial.value for trial in study.trials]
        return [true[int(np.argmin(told[:n]))] for n in budgets]


def bbob(dimensions: str, instances: str, **settings: Any) -> Iterator[Problem]:
    """Problems of the suite; ``spread`` is the noise, in shares of the middle half of values."""
    import cocoex

    spread, functions = settings.pop("spread", 0.0), settings.pop("functions", "1-24")
    chosen = f"dimensions:{dimensions} instance_indices:{instances} function_indices:{functions}"
    suite = cocoex.Suite("bbob", "", chosen)
    for problem in suite:

        def f(x: np.ndarray, problem: Any = problem) -> float:
            return float(problem(x * 10 - 5))

        points = np.random.default_rng(0).random((200, problem.dimension))
        low, high = np.quantile([f(x) for x in points], (0.25, 0.75)) if spread else (0, 0)
        yield Problem(problem.id, f, problem.dimension, noise=spread * (high - low), **settings)


def real_surfaces(noisy: bool = False) -> Iterator[Problem]:
    """With ``noisy`` a search is told what the surface does not explain, too."""
    for part in ("surfaces", "kept"):
        for k, surface in enumerate(construction.real_surfaces(part)):

            def f(x: np.ndarray, surface: Any = surface) -> float:
                return float(surface(x[None])[0])

            noise = float(np.sqrt(1 - surface.explained)) if noisy else 0.0
            yield Problem(f"{part} {k}", f, surface.points.shape[1], noise=noise)


def problems(part: str) -> Iterator[Problem]:
    if part == "bbob":
        yield from bbob("2,3,5", "5,6")
    elif "surfaces" in part:
        yield from real_surfaces(noisy=part == "noisy surfaces")
    elif part == "noise":
        yield from bbob("2,3,5", "5", spread=0.1)
    elif part == "categories":
        yield from bbob("3", "5", n_categories=1)
        yield from bbob("5", "5", n_categories=2)
    elif part in ("botorch", "hebo"):  # In this order until there is no more time.
        for first in (1, 3):
            functions = ",".join(map(str, range(first, 25, 4)))
            yield from bbob("2,5" if part == "hebo" else "5", "5", functions=functions)
        if part == "botorch":
            yield from bbob("2", "5")
    else:
        yield from bbob({"ten": "10", "gp": "2,3,5"}[part], "5")


def run(part: str) -> None:
    """Measure what is not there yet; every problem once for all, as BBOB's go one by one."""
    _, methods, n_seeds = PARTS[part]
    for problem in problems(part):
        for seed in range(n_seeds):
            for method in methods:
                key = (part, problem.name, method, seed)
                measured = RECORDS.rows.get(key, [[]])[0]
                if len(measured) < len(budgets_of(method, problem.name)):
                    found = problem.best(method, seed)
                    RECORDS.append(key, [[float(f"{v:.9g}") for v in found]])


Shares = dict[str, list[float]]


def shares(part: str, method: str, rival: str) -> tuple[Shares, list[int]]:
    """Group of problems → the share won after each budget; and how many problems there are."""
    won: dict[str, list[list[float]]] = {}
    compared: list[set[str]] = [set() for _ in BUDGETS]
    for name in sorted({key[1] for key in RECORDS.rows if key[0] == part}):
        group = "d" + name.split("_d")[1] if "_d" in name else "all"
        for seed in range(PARTS[part][2]):
            keys = [(part, name, m, seed) for m in (method, rival)]
            if all(key in RECORDS.rows for key in keys):
                ours, theirs = (RECORDS.rows[key][0] for key in keys)
                result = [(a < b) + 0.5 * (a == b) for a, b in zip(ours, theirs, strict=False)]
                for names in compared[: len(result)]:
                    names.add(name)
                result += [np.nan] * (len(BUDGETS) - len(result))
                for g in {group, "all"}:
                    won.setdefault(g, []).append(result)
    reached = sum(bool(names) for names in compared)
    mean = {
        g: np.nanmean([r[:reached] for r in results], axis=0).tolist()
        for g, results in won.items()
    }
    return mean, [len(names) for names in compared]


def losses(part: str, method: str, rival: str, budget: int) -> str:
    """The functions of BBOB on which the rival wins more often."""
    won: dict[str, list[float]] = {}
    at = BUDGETS.index(budget)
    for key, (ours,) in RECORDS.rows.items():
        if key[0] == part and key[2] == method and (*key[:2], rival, key[3]) in RECORDS.rows:
            (theirs,) = RECORDS.rows[(*key[:2], rival, key[3])]
            name = key[1].split("_")[1] if "_d" in key[1] else key[1]
            won.setdefault(name, []).append(
                (ours[at] < theirs[at]) + 0.5 * (ours[at] == theirs[at])
            )
    lost = {name: w for name, w in sorted(won.items()) if np.mean(w) < 0.5}
    return ", ".join(f"{name} ({sum(w):g} of {len(w)})" for name, w in lost.items()) or "none"


def against(part: str, title: str, ours: list[str], rival: str) -> list[str]:
    """The page's section on one rival, empty where nothing is measured."""
    rows = []
    for method in ours:
        by_group, n = shares(part, method, rival)
        for group, won in sorted(by_group.items()):
            empty = [""] * (len(BUDGETS) - len(won))
            rows.append([method, group, *(f"{w:.2f}" for w in won), *empty])
    if not rows:
        return []
    problems = f"{n[0]} problems" + (f", {n[-1]} of them at 100 runs" if 0 < n[-1] < n[0] else "")
    return [
        f"## {title}: against {rival}\n\nShare won from {rival}, {problems}.\n",
        table(["method", "problems", *(f"n = {b}" for b in BUDGETS)], rows),
        f"\nLost at 48 runs ({ours[0]}): {losses(part, ours[0], rival, 48)}.\n",
    ]


def write() -> None:
    """The page, from what is measured; its first half is written by hand."""
    head = RECORDS.plain.with_name("tuning_sequential_method.md")
    page = [head.read_text()]
    for part, (title, methods, _) in PARTS.items():
        ours = [method for method in methods if method not in RIVALS]
        for rival in [method for method in methods if method in RIVALS]:
            page += against(part, title, ours, rival)
    write_page("tuning_sequential", "\n".join(page))


def main() -> None:
    """Measure a part, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=[*PARTS, "report"])
    what = parser.parse_args().what
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if what == "report":
        write()
    else:
        run(what)


if __name__ == "__main__":
    main()

"""Best of n runs: designs against grid, random search, quasi-Monte Carlo, Latin hypercubes, TPE.

    python benchmarks/tuning/tuning_regret.py run functions --seeds 100 200
    python benchmarks/tuning/tuning_regret.py run anywhere --seeds 100 200
    python benchmarks/tuning/tuning_regret.py run anywhere-adaptive --seeds 100 150
    python benchmarks/tuning/tuning_regret.py run learners --seeds 100 110     # --only SVC, …
    python benchmarks/tuning/tuning_regret.py report

A run resumes where it stopped. Writes benchmarks/results/tuning_regret*.{jsonl,jsonl.xz,md,png}.
With OMP_NUM_THREADS=1 the functions take about 20 minutes, the learners an hour of one core.
"""

import argparse
import sys
import warnings
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.tuning import learners, report
from benchmarks.tuning.methods import ADAPTIVE, BUDGETS, METHODS, ONE_SHOT, longest, search
from benchmarks.tuning.problems import FUNCTIONS, moved, optimum_anywhere

# Test functions: the problem of a name and a seed, the methods, the budgets.
PARTS = {
    "functions": (lambda name, seed: moved(*FUNCTIONS[name], seed), METHODS, BUDGETS),
    # The optimum is at any place of the cube; first the methods that do not adapt.
    "anywhere": (optimum_anywhere, tuple(ONE_SHOT), BUDGETS[:4]),
    "anywhere-adaptive": (optimum_anywhere, ADAPTIVE, (50,)),
}


def run_functions(part: str, seeds: range) -> None:
    """The best loss by problem, method, budget and seed; null where the method has no design."""
    problem, methods, budgets = PARTS[part]

    @lru_cache(maxsize=1)
    def losses(name: str, method: str, n: int, seed: int) -> np.ndarray | None:
        return search(method, problem(name, seed), n, FUNCTIONS[name][1], seed)

    def best(name: str, method: str, n: int, seed: int) -> list[float | None]:
        found = losses(name, method, longest(method, n, budgets), seed)
        return [None if found is None else float(f"{np.min(found[:n]):.6g}")]

    planned = product(seeds, FUNCTIONS, methods, budgets)
    report.RECORDS[part].run(((name, m, n, seed) for seed, name, m, n in planned), best)


def run_learners(only: str, seeds: range) -> None:
    """The losses of what was chosen, by task, method, budget and seed.

    ``only`` is a part of the names of the tasks to run.
    """
    warnings.simplefilter("ignore")
    planned = product(seeds, (name for name in learners.TASKS if only in name), METHODS, BUDGETS)
    keys = ((name, m, n, seed) for seed, name, m, n in planned)
    report.RECORDS["learners"].run(keys, learners.chosen)


def main() -> None:
    """Run a part, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["run", "report"])
    parser.add_argument("part", nargs="?", choices=list(report.RECORDS), default="functions")
    parser.add_argument("--seeds", type=int, nargs=2, default=(100, 110), help="from, to")
    parser.add_argument("--only", default="", help="part of the names of the learners' tasks")
    arguments = parser.parse_args()
    seeds = range(*arguments.seeds)
    if arguments.command == "report":
        report.write()
    elif arguments.part == "learners":
        run_learners(arguments.only, seeds)
    else:
        run_functions(arguments.part, seeds)


if __name__ == "__main__":
    main()

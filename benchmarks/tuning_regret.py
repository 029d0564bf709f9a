"""Best of n runs: designs against grid, random search, quasi-Monte Carlo, Latin hypercubes, TPE.

    python benchmarks/tuning_regret.py run functions --seeds 100 200
    python benchmarks/tuning_regret.py run anywhere --seeds 100 200
    python benchmarks/tuning_regret.py run anywhere-adaptive --seeds 100 150
    python benchmarks/tuning_regret.py run learners --seeds 100 110     # --only SVC, …
    python benchmarks/tuning_regret.py report

A run resumes where it stopped. Writes benchmarks/results/tuning_regret*.{csv,md,png}. With
OMP_NUM_THREADS=1 the functions take about 20 minutes, the learners an hour of one core.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from tuning_methods import ADAPTIVE, BUDGETS, METHODS, ONE_SHOT, search
from tuning_problems import FUNCTIONS, moved, optimum_anywhere

RESULTS = Path(__file__).parent / "results"
ANYWHERE_CSV = RESULTS / "tuning_regret_anywhere.csv"
ANYWHERE_ADAPTIVE_CSV = RESULTS / "tuning_regret_anywhere_adaptive.csv"
FUNCTIONS_CSV = RESULTS / "tuning_regret_functions.csv"


def done(path: Path) -> set[tuple[str, ...]]:
    """The cells that a results file holds already."""
    if not path.exists():
        return set()
    with path.open(newline="") as file:
        return {tuple(row[:4]) for row in csv.reader(file)}


def best_of(losses: np.ndarray | None, n: int) -> str:
    return "" if losses is None else f"{np.min(losses[:n]):.6g}"


def run_functions(seeds: range) -> None:
    """One row per problem, method, budget and seed: the best loss."""
    before = done(FUNCTIONS_CSV)
    with FUNCTIONS_CSV.open("a", newline="") as file:
        writer = csv.writer(file)
        for seed in seeds:
            for name, (function, s) in FUNCTIONS.items():
                f = moved(function, s, seed)
                for method in METHODS:
                    if (name, method, str(BUDGETS[-1]), str(seed)) in before:
                        continue
                    # TPE does not know its budget: one run of the longest serves all.
                    longest = search(method, f, BUDGETS[-1], s, seed) if method == "TPE" else None
                    for n in BUDGETS:
                        losses = longest if method == "TPE" else search(method, f, n, s, seed)
                        writer.writerow([name, method, n, seed, best_of(losses, n)])
            file.flush()
            print(f"seed {seed}", flush=True)


def run_anywhere(seeds: range) -> None:
    """The methods that do not adapt, with the optimum at any place of the cube."""
    before = done(ANYWHERE_CSV)
    with ANYWHERE_CSV.open("a", newline="") as file:
        writer = csv.writer(file)
        for seed in seeds:
            for name, (_, s) in FUNCTIONS.items():
                f = optimum_anywhere(name, seed)
                for method in ONE_SHOT:
                    for n in BUDGETS[:4]:
                        if (name, method, str(n), str(seed)) not in before:
                            losses = search(method, f, n, s, seed)
                            writer.writerow([name, method, n, seed, best_of(losses, n)])
            file.flush()


def run_anywhere_adaptive(seeds: range) -> None:
    """TPE and the sequential design at 50 runs, with the optimum at any place of the cube."""
    before = done(ANYWHERE_ADAPTIVE_CSV)
    with ANYWHERE_ADAPTIVE_CSV.open("a", newline="") as file:
        writer = csv.writer(file)
        for seed in seeds:
            for name, (_, s) in FUNCTIONS.items():
                for method in ADAPTIVE:
                    if (name, method, "50", str(seed)) not in before:
                        losses = search(method, optimum_anywhere(name, seed), 50, s, seed)
                        writer.writerow([name, method, 50, seed, best_of(losses, 50)])
            file.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["run", "report"])
    parser.add_argument(
        "part",
        nargs="?",
        choices=["functions", "anywhere", "anywhere-adaptive", "learners"],
        default="functions",
    )
    parser.add_argument("--seeds", type=int, nargs=2, default=(100, 110), help="from, to")
    parser.add_argument("--only", default="", help="part of the names of the learners' tasks")
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    if arguments.command == "report":
        import tuning_report

        tuning_report.write()
    elif arguments.part == "functions":
        run_functions(range(*arguments.seeds))
    elif arguments.part == "anywhere":
        run_anywhere(range(*arguments.seeds))
    elif arguments.part == "anywhere-adaptive":
        run_anywhere_adaptive(range(*arguments.seeds))
    else:
        import tuning_learners

        tuning_learners.run(arguments.only, range(*arguments.seeds))


if __name__ == "__main__":
    main()

"""What asking for a trial costs, early and at trial 10 000, next to RandomSampler.

    python benchmarks/tuning/sampler_cost.py
    python benchmarks/tuning/sampler_cost.py --growing   # the parts beside TPE alone

Writes benchmarks/results/tuning_sampler_cost.md. A study is filled with finished trials, then 200
more are asked for, three parameters suggested, and told; the samplers take turns in blocks of ten.
Samplers that learn from the results grow studies of their own, in turns of 25 trials; designs
run whole studies beside TPE.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from skmixup.tuning import UniformDesignSampler

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.records import table, write_page

PAGE = Path(__file__).parents[1] / "results" / "tuning_sampler_cost.md"
SIZES = (100, 10_000)
SPACE = {name: optuna.distributions.FloatDistribution(0, 1) for name in "xyz"}
SAMPLERS: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
    "RandomSampler": lambda: optuna.samplers.RandomSampler(seed=0),
    "uniform, first pass": lambda: UniformDesignSampler(n_runs=11_000),
    "uniform, then=RandomSampler": lambda: UniformDesignSampler(
        n_runs=25, then=optuna.samplers.RandomSampler(seed=0)
    ),
    "uniform, then='augment'": lambda: UniformDesignSampler(n_runs=25, then="augment"),
}


#: Those that learn from the results.
SEQUENTIAL: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
    "RandomSampler": lambda: optuna.samplers.RandomSampler(seed=0),
    "TPE": lambda: optuna.samplers.TPESampler(seed=0),
    "TPE, multivariate": lambda: optuna.samplers.TPESampler(seed=0, multivariate=True),
    "uniform, then='zoom'": lambda: UniformDesignSampler(n_runs=10, then="zoom", seed=0),
}
_TURN, _MOST = 25, 1000
_SECTION = "\n## Samplers that learn from the results\n"
#: Runs of the designs that make a whole study, and how many studies of each sampler. No design of
#: 75 or 333 runs ships.
ONE_SHOT, N_STUDIES = (5, 10, 25, 50, 75, 100, 333, 400, 1000), 5
#: The same of parameters that have few values.
FEW_VALUES = (10, 25, 50, 100)


def filled(storage: BaseStorage, n_trials: int) -> optuna.Study:
    """A study with finished trials that hold the rows of their numbers."""
    study = optuna.create_study(storage=storage)
    values = dict.fromkeys("xyz", 0.5)
    for k in range(n_trials):
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                value=0.0,
                params=values,
                distributions=SPACE,
                system_attrs={"skmixup:row": k},
            )
        )
    return study


def cost(study: optuna.Study, n: int) -> float:
    """Milliseconds for one trial, objective excluded."""
    start = time.perf_counter()
    for _ in range(n):
        trial = study.ask()
        study.tell(trial, sum(trial.suggest_float(name, 0, 1) for name in "xyz"))
    return 1000 * (time.perf_counter() - start) / n


def measure(storage: Callable[[str], BaseStorage], n_trials: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder) / "0"
        study = filled(storage(str(first)), n_trials)
        studies = {}
        for i, (name, sampler) in enumerate(SAMPLERS.items(), start=1):
            copied = Path(folder) / str(i)
            if first.exists():
                shutil.copy(first, copied)
                studies[name] = optuna.load_study(
                    study_name=study.study_name, storage=storage(str(copied)), sampler=sampler()
                )
            else:
                studies[name] = filled(storage(""), n_trials)
                studies[name].sampler = sampler()
            cost(studies[name], 2)  # makes the design, fills the caches
        blocks = [{name: cost(study, 10) for name, study in studies.items()} for _ in range(20)]
        return {
            name: float(np.percentile([block[name] for block in blocks], 25)) for name in studies
        }


def waves(trial: optuna.Trial, n_factors: int) -> float:
    """A bowl with waves, in a few microseconds."""
    return bowl([trial.suggest_float(f"x{i}", 0, 1) for i in range(n_factors)])


def few_values(trial: optuna.Trial) -> float:
    """The same of five categories of four values."""
    return bowl([trial.suggest_categorical(f"x{i}", [0.0, 0.3, 0.6, 0.9]) for i in range(5)])


def bowl(values: list[float]) -> float:
    x = np.array(values)
    return float(((x - 0.3) ** 2).sum() + 0.1 * np.cos(20 * x).sum())


def sequential_costs(n_factors: int) -> dict[str, list[float]]:
    """Milliseconds of processor time for a trial, over each turn of a growing study."""
    studies = {n: optuna.create_study(sampler=make()) for n, make in SEQUENTIAL.items()}
    costs: dict[str, list[float]] = {name: [] for name in studies}
    for _ in range(_MOST // _TURN):
        for name, study in studies.items():
            start = time.process_time()
            for _ in range(_TURN):
                trial = study.ask()
                study.tell(trial, waves(trial, n_factors))
            costs[name].append(1000 * (time.process_time() - start) / _TURN)
    return costs


def sequential_section() -> str:
    """The page's second part."""
    parts = ((0, 1), (1, 2), (2, 4), (4, 8), (8, 16), (16, 24), (24, 32), (32, 40))
    rows = []
    for n_factors in (3, 10):
        costs = sequential_costs(n_factors)
        for begin, end in parts:
            cells = [f"{np.mean(ms[begin:end]):.2f}" for ms in costs.values()]
            label = f"{begin * _TURN + 1} to {end * _TURN}"
            rows.append([str(n_factors), label, *cells])
    return (
        f"{_SECTION}\nMilliseconds of processor time for `ask`, the suggestions and `tell`, in "
        "memory, of studies that grow from nothing\nwith the objective's own results, the "
        "samplers in turns of 25 trials. In the first turn are the making of the columns, "
        "as no space is declared,\nand ten random trials of TPE.\n\n"
        + table(["parameters", "trials", *SEQUENTIAL], rows)
    )


def space(n_factors: int) -> dict[str, optuna.distributions.BaseDistribution]:
    return {f"x{i}": optuna.distributions.FloatDistribution(0, 1) for i in range(n_factors)}


def categories() -> dict[str, optuna.distributions.BaseDistribution]:
    few = optuna.distributions.CategoricalDistribution([0.0, 0.3, 0.6, 0.9])
    return {f"x{i}": few for i in range(5)}


def study_cost(
    sampler: optuna.samplers.BaseSampler, objective: Callable[[optuna.Trial], float], n: int
) -> list[float]:
    """Milliseconds of processor time for a trial, of the first 25 and of all ``n``."""
    start = time.process_time()
    study, after = optuna.create_study(sampler=sampler), []
    for _ in range(n):
        trial = study.ask()
        study.tell(trial, objective(trial))
        after.append(1000 * (time.process_time() - start))
    return [after[min(n, 25) - 1] / min(n, 25), after[-1] / n]


def one_shot_row(
    declared: dict[str, optuna.distributions.BaseDistribution],
    objective: Callable[[optuna.Trial], float],
    n: int,
) -> list[str]:
    """TPE's cost and that of a design of n runs, its space declared and not, in turns."""
    makers: list[Callable[[int], optuna.samplers.BaseSampler]] = [
        lambda seed: optuna.samplers.TPESampler(seed=seed),
        lambda seed: UniformDesignSampler(declared, n_runs=n, seed=seed),
        lambda seed: UniformDesignSampler(n_runs=n, seed=seed),
    ]
    n_studies = 1 if n > 100 else N_STUDIES * (5 if n <= 10 else 1)
    costs = [
        [study_cost(make(seed), objective, n) for make in makers] for seed in range(n_studies)
    ]
    return [f"{a:.2f}, {b:.2f}" for a, b in np.median(costs, axis=0)]


def one_shot_section() -> str:
    """The page's third part."""
    study_cost(optuna.samplers.TPESampler(), few_values, 25)  # imports what it needs
    rows = [
        [str(s), str(n), *one_shot_row(space(s), lambda trial, s=s: waves(trial, s), n)]
        for s in (3, 10)
        for n in ONE_SHOT
        if n > s
    ]
    rows += [
        ["5 categories", str(n), *one_shot_row(categories(), few_values, n)] for n in FEW_VALUES
    ]
    header = [
        "parameters",
        "runs",
        "TPE",
        "uniform, space declared",
        "uniform, space not declared",
    ]
    return (
        "\n## One design, from the first trial to the last\n\nMilliseconds of processor time a "
        "trial, of the first 25 and of all, in memory; making the design is in it.\nMedians of "
        f"{N_STUDIES} studies with different seeds, of five times as many up to ten runs, of one "
        "from 333 runs on.\nThe categories have four values each. Designs that do not ship, as of "
        "75 or 333 runs and of categories, are searched once.\n\n" + table(header, rows)
    )


def main() -> None:
    """Measure all, writing the page as it grows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--growing", action="store_true")
    alone = parser.parse_args().growing
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    second = sequential_section() + one_shot_section()
    if alone:
        first = PAGE.read_text().partition(_SECTION)[0].rstrip("\n")
        write_page("tuning_sampler_cost", f"{first}\n{second}")
        return
    storages: dict[str, Callable[[str], BaseStorage]] = {
        "in memory": lambda path: InMemoryStorage(),
        "journal file": lambda path: JournalStorage(JournalFileBackend(path)),
        "SQLite": lambda path: RDBStorage(f"sqlite:///{path}"),
    }
    rows = []
    for name, storage in storages.items():
        for size in SIZES:
            costs = measure(storage, size)
            cells = [f"{ms:.2f} ({ms / costs['RandomSampler']:.2f})" for ms in costs.values()]
            rows.append([name, str(size), *cells])
            write(rows, second)


def write(rows: list[list[str]], second: str) -> None:
    write_page(
        "tuning_sampler_cost",
        "# What asking for a trial costs\n\n"
        "Milliseconds for `ask`, three `suggest_float` and `tell` in a study that holds this many "
        "finished trials,\nand in brackets the multiple of RandomSampler's cost on the same "
        "storage. Lower quartiles over twenty blocks of ten trials;\none thread of a shared "
        "two-core virtual machine. Optuna itself looks through all trials for enqueued ones,\n"
        "which is what grows. "
        f"From `benchmarks/tuning/sampler_cost.py`, Optuna {optuna.__version__}.\n\n"
        + table(["storage", "trials", *SAMPLERS], rows)
        + f"\n{second}",
    )


if __name__ == "__main__":
    main()

"""How the regressors' mixing was chosen: a uniform design, then a look at sets kept aside.

    OMP_NUM_THREADS=1 SKMIXUP_DATA=… python benchmarks/tables/regression_defaults.py design
    OMP_NUM_THREADS=1 SKMIXUP_DATA=… python benchmarks/tables/regression_defaults.py confirm
    python benchmarks/tables/regression_defaults.py report

The design is made by this project's sampler in an Optuna study, whose objective is the mean, over
the sets, of the logarithm of the squared error relative to that of ERM with the default network.
Every result is kept in results/regression_defaults.jsonl and is not computed again.
"""

import argparse
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import optuna
import skrub
import torch
from optuna.distributions import CategoricalDistribution as Choice

from skmixup import ManifoldMixupRegressor
from skmixup.effects import design_effects
from skmixup.tuning import UniformDesignSampler

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.datasets import REGRESSION, load_regression
from benchmarks.records import Records, table, write_page
from benchmarks.tables.regression import split

# part of the script, variant, set, seed → squared error in variances, seconds, point
RECORDS = Records("regression_defaults", n_keys=4)
SETS = tuple(sorted(REGRESSION))
CHOOSING, KEPT = SETS[0::2], SETS[1::2]
SEEDS = (20,)  # the page of regression.py has others
N_RUNS = 12
SPACE = {
    "alpha": Choice([0.1, 0.2, 0.5, 1.0, 2.0, 4.0]),
    "bandwidth": Choice([0.1, 0.2, 0.4, 0.8, 1.6, "any partner"]),
    "mix_per": Choice(["batch", "sample"]),
    "layers": Choice(["input", "auto"]),
    "partners": Choice(["batch", "all"]),
}
DESIGN_ROWS, CONFIRM_ROWS = 1000, 2000
SIMILAR = {"pairing": "similar", "bandwidth": 0.4}
VARIANTS = {  # after the design, one by one
    "ERM": {"alpha": 0.0},
    "the defaults": {},
    "input": {"layers": "input"},
    "mix_per='sample'": {"mix_per": "sample"},
    "α 1": {"alpha": 1.0},
    "similar, σ 0.4, α 2": {**SIMILAR, "alpha": 2.0},
    "similar, σ 0.1, α 2, of all rows": {**SIMILAR, "bandwidth": 0.1, "alpha": 2.0}
    | {"partners": "all"},
}


@cache
def arrays(name, seed, n_rows):
    """Training rows, at most so many, and test rows of a split, prepared by skrub's pipeline."""
    data = load_regression(name)
    train, test = split(data, seed)
    train = train[:n_rows]
    steps = skrub.tabular_pipeline(ManifoldMixupRegressor())[:-1].fit(data.X.iloc[train])
    X_train, X_test = (
        np.asarray(steps.transform(data.X.iloc[rows]), np.float32) for rows in (train, test)
    )
    return X_train, data.y[train], X_test, data.y[test]


def parameters(point):
    """From a point of the design to parameters of the regressor."""
    params = dict(point)
    bandwidth = params.pop("bandwidth")
    if bandwidth != "any partner":
        params |= {"pairing": "similar", "bandwidth": bandwidth}
    return params


def measured(part, variant, name, seed, params, **kept):
    """Squared error in variances of the test targets and seconds, unless they are there."""

    def measure(*_):
        rows = DESIGN_ROWS if part == "design" else CONFIRM_ROWS
        X, y, X_test, y_test = arrays(name, seed, rows)
        reg = ManifoldMixupRegressor(random_state=seed, **params)
        start = time.process_time()
        reg.fit(X, y)
        seconds = time.process_time() - start
        error = np.mean((reg.predict(X_test) - y_test) ** 2) / np.var(y_test)
        return [{"error": float(f"{error:.5g}"), "seconds": round(seconds, 3), **kept}]

    return RECORDS.measured((part, variant, name, seed), measure)[0]


def gap(part, variant, names, against="ERM", seeds=SEEDS):
    """Differences in the logarithm of the squared error, one for each set."""
    gaps = {}
    for name in names:
        pairs = [[RECORDS.rows.get((part, v, name, s)) for v in (variant, against)] for s in seeds]
        logs = [np.log(a[0]["error"] / b[0]["error"]) for a, b in pairs if a and b]
        if logs:
            gaps[name] = float(np.mean(logs))
    return gaps


def run_design():
    """Run the design as an Optuna study; resumes where it stopped."""

    def objective(trial):
        point = {name: trial.suggest_categorical(name, d.choices) for name, d in SPACE.items()}
        run = f"run {trial.number}"
        for name in CHOOSING:
            row = measured("design", run, name, SEEDS[0], parameters(point), point=point)
            if row["point"] != point:
                raise RuntimeError(f"{run} of the results has another point than the design")
            measured("design", "ERM", name, SEEDS[0], {"alpha": 0.0})
        return np.mean(list(gap("design", run, CHOOSING).values()))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=UniformDesignSampler(SPACE, n_runs=N_RUNS, seed=0))
    study.optimize(objective)


def run_confirm():
    """Change one thing at a time, on the sets that chose and then on those kept aside."""
    for names in (CHOOSING, KEPT):
        for seed in SEEDS:
            for name in names:
                for variant, params in VARIANTS.items():
                    measured("confirm", variant, name, seed, params)


HEAD = """# How the regressors' mixing was chosen

Written by `benchmarks/tables/regression_defaults.py report`. `ManifoldMixupRegressor` on the sets
of [the page of regression](regression.md), other splits, at most 1000 rows for training in the
design and 2000 after it, prepared by `skrub.tabular_pipeline`. Numbers are means over sets of the
difference in the logarithm of the squared error to ERM (`alpha=0`, everything else the default) on
the same split: −0.10 is a tenth less. The design ran on {choosing};
{kept} were kept aside and looked at once, with the changes below.
"""


def report():
    """Write results/regression_defaults.md."""
    head = HEAD.format(choosing=", ".join(CHOOSING), kept=", ".join(KEPT))
    write_page("regression_defaults", "\n".join([head, _design_report(), _confirm_report()]))


def _design_report():
    """The five best runs, and the mean response for each level."""
    done = [k for k in range(N_RUNS) if len(gap("design", f"run {k}", CHOOSING)) == len(CHOOSING)]
    if len(done) < N_RUNS:
        return f"The design was run to {len(done)} of its {N_RUNS} runs.\n"
    study = optuna.create_study()
    for k in done:
        point = RECORDS.rows["design", f"run {k}", CHOOSING[0], SEEDS[0]][0]["point"]
        value = float(np.mean(list(gap("design", f"run {k}", CHOOSING).values())))
        study.add_trial(optuna.trial.create_trial(params=point, distributions=SPACE, value=value))
    lines = [f"## A uniform design of {N_RUNS} runs in {len(SPACE)} factors\n"]
    lines.append("The five best runs:\n")
    for trial in sorted(study.trials, key=lambda t: t.value)[:5]:
        point = ", ".join(f"{k} {v}" for k, v in trial.params.items())
        lines.append(f"* {trial.value:+.3f}: {point}")
    lines.append("\nMean response for each level of a factor (`design_effects`):\n")
    shown = str(design_effects(study)).split("\nbest: ")[0]
    return "\n".join([*lines, "```", shown, "```", ""])


def _confirm_report():
    """Each change on both parts."""
    rows = []
    for variant in VARIANTS:
        cells = [variant]
        for names in (CHOOSING, KEPT):
            gaps = gap("confirm", variant, names)
            mean = f"{np.mean(list(gaps.values())):+.3f}" if gaps else ""
            cells += [mean, ", ".join(f"{value:+.2f}" for value in gaps.values())]
        rows.append(cells)
    header = ["change", "chosen on", "set by set", "kept aside", "set by set"]
    return "## One change at a time\n\n" + table(header, rows)


def main():
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="+", choices=["design", "confirm", "report"])
    torch.set_num_threads(1)
    steps = {"design": run_design, "confirm": run_confirm, "report": report}
    for part in parser.parse_args().parts:
        steps[part]()


if __name__ == "__main__":
    main()

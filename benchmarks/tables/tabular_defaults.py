"""How the defaults for tables were chosen: a uniform design over everything, then one by one.

    OMP_NUM_THREADS=1 SKMIXUP_DATA=… python benchmarks/tables/tabular_defaults.py design
    OMP_NUM_THREADS=1 SKMIXUP_DATA=… python benchmarks/tables/tabular_defaults.py one-by-one
    python benchmarks/tables/tabular_defaults.py report

The design is a search of this project: `UniformDesignSampler` in an Optuna study, whose objective
is the mean, over the sets, of the logarithm of the log-loss relative to that of the defaults.
Every result is kept in results/tabular_defaults.jsonl and is not computed again.
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
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skrub import SquashingScaler
from torch import nn

from skmixup import ManifoldMixupClassifier
from skmixup.effects import design_effects
from skmixup.networks.mlp import NARROW
from skmixup.tuning import UniformDesignSampler

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.records import Records, table, write_page
from benchmarks.tables.tabular import load_common, split
from benchmarks.tables.variants import LATER, ONLY_LATER, SPACE, VARIANTS

# part of the script, variant, set, seed → scores and, in the design, its point
RECORDS = Records("tabular_defaults", n_keys=4)
SETS = (
    *("heart", "htru2", "crx", "digits", "contraceptive", "ionosphere", "tic-tac-toe", "adult"),
    *("saheart", "breast_cancer", "marketing", "sonar", "mammographic", "movement_libras"),
    *("bands", "phishing", "led7digit", "banana", "abalone", "arrhythmia", "wine", "titanic"),
    "chess",
)
DESIGN_SETS = SETS[:12]
SEEDS = {"design": (10,), "one-by-one": (11, 12, 13)}
TRAIN_ROWS = 1000
N_RUNS = 36


@cache
def arrays(name, seed, scaler):
    """Training and test rows of a split, encoded and imputed, then scaled or not."""
    X, y = load_common(name)
    train, test = split(X, y, seed)
    train = train[:TRAIN_ROWS]
    encode = skrub.tabular_pipeline(ManifoldMixupClassifier())[:-2]
    last = {"squashing": SquashingScaler(max_absolute_value=5), "standard": StandardScaler()}
    if scaler in last:
        encode = make_pipeline(encode, last[scaler])
    encode.fit(X.iloc[train])
    X_train, X_test = (np.asarray(encode.transform(X.iloc[r]), np.float32) for r in (train, test))
    return X_train, y[train], X_test, y[test]


def measure(name, seed, params):
    """Log-loss, error and seconds of the classifier with these parameters."""
    params = dict(params)
    X, y, X_test, y_test = arrays(name, seed, params.pop("scaler", "squashing"))
    if "steps" in params:
        size = 2 ** round(np.log2(len(X) / params.pop("steps")))
        params["batch_size"] = int(np.clip(size, 16, 256))
    params = {"max_epochs": 32, **params}
    if "module" in params:
        params |= {"module__n_features": X.shape[1], "module__n_outputs": len(np.unique(y))}
    else:
        params = {f"module__{name}": value for name, value in NARROW.items()} | params
    clf = ManifoldMixupClassifier(random_state=seed, **params)
    start = time.process_time()
    clf.fit(X, y)
    seconds = time.process_time() - start
    proba = clf.predict_proba(X_test)
    loss = -np.log(np.clip(proba[np.arange(len(y_test)), y_test], 1e-7, 1)).mean()
    return {
        "loss": round(float(loss), 5),
        "error": round(float(np.mean(proba.argmax(axis=1) != y_test)), 5),
        "seconds": round(seconds, 3),
    }


def measured(part, variant, name, seed, params, **kept):
    """Measure, unless it has been; keep the result and what else is to be kept with it."""
    key = (part, variant, name, seed)
    return RECORDS.measured(key, lambda *_: [{**measure(name, seed, params), **kept}])[0]


def logarithms(row):
    """Log-loss and error on a scale where a tenth less counts the same on every set."""
    return np.array([np.log(row["loss"] + 0.02), np.log(row["error"] + 0.01)])


def classifier_parameters(point):
    """From a point of the design to parameters of the classifier."""
    params = dict(point)
    params["module__hidden_sizes"] = (params.pop("width"),) * params.pop("depth")
    params["module__activation"] = getattr(nn, params["module__activation"])
    params["layers"] = [int(k) for k in params["layers"].split()]
    if params["lr_schedule"] == "none":
        params["lr_schedule"] = None
    return params


def run_design():
    """Run the design as an Optuna study; resumes where it stopped.

    The points are kept with the results: a later version may have a better design of this size.
    """

    def objective(trial):
        point = {name: trial.suggest_categorical(name, d.choices) for name, d in SPACE.items()}
        run = f"run {trial.number}"
        for seed in SEEDS["design"]:
            for name in DESIGN_SETS:
                params = classifier_parameters(point)
                row = measured("design", run, name, seed, params, point=point)
                if row["point"] != point:
                    raise RuntimeError(f"{run} of the results has another point than the design")
                measured("design", "the defaults", name, seed, {})
        return gap(run)[0]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=UniformDesignSampler(SPACE, n_runs=N_RUNS, seed=0))
    study.optimize(objective)


def gap(run):
    """Log-loss and error of a run of the design against the defaults, mean over its sets."""
    pairs = [(name, seed) for seed in SEEDS["design"] for name in DESIGN_SETS]
    ours, default = (
        [logarithms(RECORDS.rows["design", variant, *pair][0]) for pair in pairs]
        for variant in (run, "the defaults")
    )
    return np.mean(np.subtract(ours, default), axis=0)


def run_one_by_one():
    """Change one thing at a time."""
    for seed in SEEDS["one-by-one"]:
        for name in SETS:
            for variant, params in VARIANTS.items():
                if variant in (LATER if seed > 11 else set(VARIANTS) - set(ONLY_LATER)):
                    measured("one-by-one", variant, name, seed, params)


HEAD = """# How the defaults for tables were chosen

**The network and its epochs were [chosen again](network_defaults.md) since then**: 2 × 256 with
embeddings, and as many epochs as rows held out say. What stands here is relative to the defaults
of before, 2 × 128 without embeddings and 32 epochs.

Written by `benchmarks/tables/tabular_defaults.py report`. Development sets as in
[the benchmark of tables](tabular.md), other splits, at most 1000 rows for training, encoded
and scaled by `skrub.tabular_pipeline`. The classifier is `ManifoldMixupClassifier`.

Numbers are means over sets and splits of the difference in log(log-loss + 0.02) and in
log(error + 0.01) to the defaults on the same split: −0.10 is a tenth less.

The defaults were first chosen in trials with a prototype of the network on the same sets (a design
of 36 runs, then one change at a time); what stands here is the check of that choice with the
library itself. What it says:

* Most of it does not matter much near the defaults: one run of 36 had a lower error, by less than
  1 %, and three a lower log-loss, by 2 % at most.
* More than one member is worth having (one: 3 to 4 % more log-loss); four are enough.
* An α much above 0.2 costs log-loss. ERM has 5 % more of it, but the spread is wide: mixing helps
  where labels are noisy and costs where they follow from the columns (chess).
* Scaling in the network costs nothing where X was scaled before, and saves the day where it was
  not (without any, 14 % more log-loss and 16 % more error).
* Periodic embeddings of every column: those of `rtdl_num_embeddings` gave 5 % less log-loss on
  split 11 and none on splits 12 and 13. Those of RealMLP (PBLD) gave 4 % less there, for a quarter
  more time, which would take the fit over a third of RealMLP-TD-S's. They stay out for that; a
  module of your own has them in fifteen lines (the class `PBLD` of `variants.py`).
* Other initial weights than torch's are no better; He's and Glorot's are worse.
* One dropout mask for all members of a row is as good as one for each, and a tenth faster.
* All else is within the noise or worse: early stopping on held-out rows, label smoothing, SiLU,
  one-cycle, wider or deeper networks, more epochs. Forty comparisons at this spread hold two of
  two standard errors by chance.

Split 11 was measured before members shared their dropout mask, splits 12 and 13 after.
"""


def report():
    """Write results/tabular_defaults.md."""
    write_page("tabular_defaults", "\n".join([HEAD, _design_report(), _one_by_one_report()]))


def _design_report():
    n_done = sum(key[0] == "design" for key in RECORDS.rows)
    if n_done < (N_RUNS + 1) * len(DESIGN_SETS) * len(SEEDS["design"]):
        return "The design has not been run to its end.\n"
    study = optuna.create_study()
    for k in range(N_RUNS):
        first = RECORDS.rows["design", f"run {k}", DESIGN_SETS[0], SEEDS["design"][0]][0]
        loss, error = gap(f"run {k}")
        study.add_trial(
            optuna.trial.create_trial(
                params=first["point"], distributions=SPACE, value=loss, user_attrs={"error": error}
            )
        )
    effects = design_effects(study)
    best = sorted(study.trials, key=lambda t: t.value)[:5]
    lines = [
        f"## A uniform design of {N_RUNS} runs in {len(SPACE)} factors\n",
        f"On {len(DESIGN_SETS)} sets. The five best runs of the design:\n",
    ]
    for trial in best:
        point = ", ".join(f"{k.split('__')[-1]} {v}" for k, v in trial.params.items())
        error = trial.user_attrs["error"]
        lines.append(f"* log-loss {trial.value:+.3f}, error {error:+.3f}: {point}")
    lines.append("\nMean response for each level of a factor (`design_effects`):\n")
    shown = str(effects).split("\nbest: ")[0]  # 36 runs do not support a prediction elsewhere
    return "\n".join([*lines, "```", shown, "```", ""])


def _one_by_one_report():
    rows = []
    for variant in VARIANTS:
        gaps, seconds = [], []
        for name in SETS:
            for seed in SEEDS["one-by-one"]:
                ours = RECORDS.rows.get(("one-by-one", variant, name, seed))
                default = RECORDS.rows.get(("one-by-one", "the defaults", name, seed))
                if ours and default:
                    gaps.append(logarithms(ours[0]) - logarithms(default[0]))
                    seconds.append(ours[0]["seconds"] / default[0]["seconds"])
        if len(gaps) > 1:
            mean, error = np.mean(gaps, axis=0), np.std(gaps, axis=0, ddof=1) / len(gaps) ** 0.5
            cells = [f"{m:+.3f} ± {e:.3f}" for m, e in zip(mean, error, strict=True)]
            rows.append([variant, str(len(gaps)), *cells, f"{np.median(seconds):.2f}"])
    return (
        f"## One change at a time\n\nOn {len(SETS)} sets, splits {SEEDS['one-by-one']}; ± is a "
        "standard error over these. Seconds are those of the processor, the median ratio to the "
        "defaults.\n\n" + table(["change", "splits", "log-loss", "error", "seconds"], rows)
    )


def main():
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="+", choices=["design", "one-by-one", "report"])
    torch.set_num_threads(1)
    steps = {"design": run_design, "one-by-one": run_one_by_one, "report": report}
    for part in parser.parse_args().parts:
        steps[part]()


if __name__ == "__main__":
    main()

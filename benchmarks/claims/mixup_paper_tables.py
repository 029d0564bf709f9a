"""The tabular table of the mixup paper: error of ERM, mixup, manifold mixup, and the default.

    OMP_NUM_THREADS=1 python benchmarks/claims/mixup_paper_tables.py  # what is missing
    python benchmarks/claims/mixup_paper_tables.py --methods default  # computes this anew
    python benchmarks/claims/mixup_paper_tables.py --report

Every result is kept in results/mixup_paper_tables.jsonl as soon as it is there; each run ends by
writing results/mixup_paper_tables.md from it.
"""

import platform
import sys
import time
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

from skmixup import ManifoldMixupClassifier, MixupClassifier

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.datasets import load
from benchmarks.records import Records, command_line, table, write_page

RECORDS = Records("mixup_paper_tables", n_keys=3)
TABLES = ("abalone", "arcene", "arrhythmia", "htru2", "iris", "phishing")
SEEDS = range(10)
ALPHA = 0.2
HEAD = f"""# The mixup paper's tables: error on held-out rows

Written by `benchmarks/claims/mixup_paper_tables.py` on {{machine}}.
Error in %, mean ± standard error over {len(SEEDS)} seeds. A seed draws the third of the rows that
is held out, the initial weights and the order of the rows; *ERM*, *mixup* and *manifold* share all
three, so that their differences are paired.

* *ERM*, *mixup*, *manifold*: the paper's network and training (Zhang et al., arXiv 1710.09412),
  two hidden layers of 128 ReLU, Adam with its defaults, 10 epochs, batches of 16. *mixup* mixes at
  the input, *manifold* at the input or after a hidden layer, one λ per minibatch.
* α = {ALPHA} for both, from the range 0.2 to 0.4 that this library names for small networks, fixed
  before the first run; nothing was tuned on these tables.
* *default*: `ManifoldMixupClassifier()` with all its defaults, on the same rows.
* Numbers are standardised by the training rows, gaps (arrhythmia) filled with the median, the one
  text column (abalone's sex) one-hot encoded. How the paper prepared and split its tables we do
  not know, so compare the columns here with each other and not with the paper's numbers.
"""


def paper_network(n_features, n_classes):
    """Two hidden layers of 128 ReLU."""
    return nn.Sequential(
        nn.Sequential(nn.Linear(n_features, 128), nn.ReLU()),
        nn.Sequential(nn.Linear(128, 128), nn.ReLU()),
        nn.Linear(128, n_classes),
    )


def make(method, n_features, n_classes, seed):
    """The classifier of one column of the table."""
    if method == "default":
        return ManifoldMixupClassifier(random_state=seed)
    estimator = ManifoldMixupClassifier if method == "manifold" else MixupClassifier
    return estimator(
        paper_network,
        module__n_features=n_features,
        module__n_classes=n_classes,
        alpha=0 if method == "ERM" else ALPHA,
        optimizer=torch.optim.Adam,
        lr=0.001,
        lr_schedule=None,
        max_epochs=10,
        batch_size=16,
        random_state=seed,
    )


METHODS = ("ERM", "mixup", "manifold", "default")


@lru_cache(maxsize=1)
def split(name, seed):
    """Training rows, test rows, their labels; numbers only."""
    data = load(name)
    X_train, X_test, y_train, y_test = train_test_split(
        data.X, data.y, test_size=1 / 3, random_state=seed
    )
    prepare = make_column_transformer(
        (
            make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
            make_column_selector(dtype_include="number"),
        ),
        (OneHotEncoder(sparse_output=False), make_column_selector(dtype_exclude="number")),
    )
    return prepare.fit_transform(X_train), prepare.transform(X_test), y_train, y_test


def result(name, method, seed):
    """Error on the held-out rows, and seconds of the fit."""
    X, X_test, y, y_test = split(name, seed)
    clf = make(method, X.shape[1], len(np.unique(y)), seed)
    start = time.process_time()
    clf.fit(X, y)
    seconds = round(time.process_time() - start, 2)
    return float(np.mean(clf.predict(X_test) != y_test)), seconds


def report():
    """Write the page."""
    errors, seconds = defaultdict(dict), defaultdict(list)
    for (name, method, seed), (error, spent) in RECORDS.rows.items():
        errors[name, method][seed] = 100 * error
        seconds[method].append(spent)
    methods = [method for method in METHODS if seconds[method]]
    machine = f"{platform.machine()} with one thread, torch {torch.__version__}"
    rows = [[name, *(_mean([*errors[name, m].values()]) for m in methods)] for name in TABLES]
    rows.append(["seconds a fit", *(f"{np.mean(seconds[m]):.1f}" for m in methods)])
    gaps, clear = [], defaultdict(list)
    for name in TABLES:
        gaps.append([name])
        for method in methods[1:]:
            both = sorted(set(errors[name, method]) & set(errors[name, "ERM"]))
            gap = np.array([errors[name, method][s] - errors[name, "ERM"][s] for s in both])
            gaps[-1].append(f"{_mean(gap, '+')} ({np.sum(gap < 0)}, {np.sum(gap > 0)})")
            if len(gap) > 1 and abs(gap.mean()) > 2 * gap.std(ddof=1) / np.sqrt(len(gap)):
                clear[method, gap.mean() < 0].append(name)
    lines = [HEAD.format(machine=machine), table(["", *methods], rows)]
    lines += ["## Against ERM, paired by seed", ""]
    lines += ["Difference of the errors, negative where ERM is worse (seeds won, lost).", ""]
    lines += [
        table(["", *methods[1:]], gaps),
        "By more than two standard errors of the difference:",
        "",
    ]
    for method in methods[1:]:
        better, worse = (", ".join(clear[method, sign]) or "none" for sign in (True, False))
        lines.append(f"* *{method}* is better than ERM on: {better}; worse on: {worse}.")
    write_page("mixup_paper_tables", "\n".join([*lines, ""]))


def _mean(values, sign=""):
    standard_error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{np.mean(values):{sign}.2f} ± {standard_error:.2f}" if len(values) else "–"


def main():
    """Compute what is missing, or what is named; then write the page."""
    parser = command_line(__doc__)
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="compute these anew")
    arguments = parser.parse_args()
    if not arguments.report:
        torch.set_num_threads(1)
        methods = arguments.methods or METHODS
        if arguments.methods:
            RECORDS.forget(lambda key: key[1] in methods)
        RECORDS.run(((n, method, k) for n in TABLES for k in SEEDS for method in methods), result)
    report()


if __name__ == "__main__":
    main()

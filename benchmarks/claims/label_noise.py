"""Error with wrong labels, best and last epoch: ERM, mixup at several α, manifold mixup.

    OMP_NUM_THREADS=1 python benchmarks/claims/label_noise.py [--report]

Digits as a table, 900 training rows, ten seeds; keeps every result in results/label_noise.jsonl,
computes what is missing, unless ``--report`` is given, and writes results/label_noise.md.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.robustness import HeldOutError, corrupt_labels

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.records import Records, command_line, table, write_page

RECORDS = Records("label_noise", n_keys=3)
NOISE = (0.0, 0.2, 0.5, 0.8)
SEEDS = range(10)
METHODS = {
    "ERM": (VicinalClassifier, {}),
    "mixup 0.4": (MixupClassifier, {"alpha": 0.4}),
    "mixup 8": (MixupClassifier, {"alpha": 8}),
    "mixup 32": (MixupClassifier, {"alpha": 32}),
    "manifold 8": (ManifoldMixupClassifier, {"alpha": 8}),
}
HEAD = """# Wrong labels: error on clean held-out rows

Written by `benchmarks/claims/label_noise.py`.
Digits as a table scaled to [−1, 1], 900 training rows of
which the given share has another class, drawn uniformly; a perceptron of two layers of 256 with
dropout 0.1, AdamW at a constant 0.002, 60 epochs, batches of 64. Best epoch / last epoch, mean ±
standard deviation of the last over seeds. The best epoch is picked on the rows it is measured on.
"""


def error(method, noise, seed):
    """Errors of the best and the last epoch."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 8 - 1, y, train_size=900, stratify=y, random_state=seed
    )
    kind, params = METHODS[method]
    clf = kind(
        **params,
        module__hidden_sizes=(256, 256),
        module__n_members=1,
        module__scale_inputs=False,
        lr=0.002,
        lr_schedule=None,
        max_epochs=60,
        batch_size=64,
        callbacks=[HeldOutError(X_test, y_test)],
        random_state=seed,
    )
    clf.fit(X_train, corrupt_labels(y_train, noise, random_state=seed))
    curve = clf.history_[:, "held_out_error"]
    return min(curve), curve[-1]


def report():
    """Write the table of what is there."""
    found = defaultdict(list)
    for (method, noise, _), values in RECORDS.rows.items():
        found[method, noise].append(values)
    rows = []
    for method in METHODS:
        cells = [method]
        for noise in NOISE:
            values = np.array(found[method, noise])
            if len(values):
                best, last = values.mean(axis=0)
                cells.append(f"{best:.3f} / {last:.3f} ± {values[:, 1].std():.3f}")
            else:
                cells.append("–")
        rows.append(cells)
    n_seeds = {len(values) for values in found.values() if values}
    seeds = f"Seeds: {min(n_seeds)}" + ("" if len(n_seeds) == 1 else f" to {max(n_seeds)}")
    errors = table(["", *(f"{noise:.0%} wrong" for noise in NOISE)], rows)
    write_page("label_noise", "\n".join([HEAD, errors, seeds, ""]))


def main():
    """Compute what is missing, then write the page."""
    if not command_line(__doc__).parse_args().report:
        torch.set_num_threads(1)
        planned = ((method, noise, k) for k in SEEDS for noise in NOISE for method in METHODS)
        RECORDS.run(planned, error)
    report()


if __name__ == "__main__":
    main()

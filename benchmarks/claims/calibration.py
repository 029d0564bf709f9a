"""Confidence of single networks and of ensembles, with and without mixing, at one temperature.

    OMP_NUM_THREADS=1 python benchmarks/claims/calibration.py [--report]

Digits as images, 900 for training, 200 for the temperature, 697 for the test; three networks that
differ in their seeds make an ensemble. Keeps every result in results/calibration.jsonl, computes
what is missing, and writes results/calibration.md.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.estimators.temperature import fit_temperature, with_temperature
from skmixup.robustness import expected_calibration_error

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.records import Records, command_line, table, write_page

RECORDS = Records("calibration", n_keys=2)
METHODS = {
    "ERM": (VicinalClassifier, {}),
    "mixup 0.2": (MixupClassifier, {"alpha": 0.2}),
    "mixup 1": (MixupClassifier, {"alpha": 1.0}),
    "manifold 2": (ManifoldMixupClassifier, {"alpha": 2.0}),
}
SEEDS = range(3)
N_MEMBERS = 3
HEAD = """# Confidence: one network, an ensemble, one temperature

Written by `benchmarks/claims/calibration.py`. Digits as 8 × 8 images, 900 for training, 200 for
the temperature, 697 for the test, splits: {n_splits}; the small pre-activation ResNet, width 8, 20
epochs. The ensemble is the mean of the probabilities of three networks. ECE: expected calibration
error of the predicted class in 10 equal bins; a positive *excess* is confidence above accuracy, a
negative one modesty. T: the temperature fitted on the 200 images; above 1 it lowers confidence.
"""


def measure(method, seed):
    """Scores of single networks (their mean) and of their ensemble."""
    X, y = load_digits(return_X_y=True)
    X = (X / 8 - 1).reshape(-1, 1, 8, 8).astype(np.float32)
    X, X_test, y, y_test = train_test_split(X, y, train_size=1100, random_state=seed, stratify=y)
    kind, params = METHODS[method]
    tests, held_out = [], []
    for member in range(N_MEMBERS):
        clf = kind(
            **params,
            module__width=8,
            lr=0.01,
            max_epochs=20,
            batch_size=64,
            random_state=100 * seed + member,
        ).fit(X[:900], y[:900])
        tests.append(clf.predict_proba(X_test))
        held_out.append(clf.predict_proba(X[900:]))
    pairs = zip(tests, held_out, strict=True)
    single = [_scores(proba, y_test, other, y[900:]) for proba, other in pairs]
    together = _scores(np.mean(tests, axis=0), y_test, np.mean(held_out, axis=0), y[900:])
    return [{key: float(np.mean([s[key] for s in single])) for key in together}, together]


def _scores(proba, y, held_out, y_held_out):
    temperature = float(fit_temperature(held_out, y_held_out, np.ones(len(held_out))))
    scores = {"T": temperature}
    for name, p in (("", proba), ("_T", with_temperature(proba, temperature))):
        top, right = p.max(axis=1), p.argmax(axis=1) == y
        picked = np.maximum(p[np.arange(len(y)), y], 1e-12)
        scores["error" + name] = float(1 - right.mean())
        scores["loss" + name] = float(-np.log(picked).mean())
        scores["ece" + name] = float(expected_calibration_error(y, p, n_bins=10))
        scores["excess" + name] = float(top.mean() - right.mean())
    return scores


def report():
    """Write the table of what is there, and whether the claim held."""
    found = defaultdict(list)
    for (method, _), (single, together) in RECORDS.rows.items():
        found[method, "one network"].append(single)
        found[method, "three"].append(together)
    mean = {key: {k: np.mean([v[k] for v in values]) for k in values[0]}
            for key, values in found.items()}  # fmt: skip
    keys = ("error", "ece", "excess", "loss", "T", "ece_T", "loss_T")
    head = ["", "", "error", "ECE", "excess", "log-loss", "T", "ECE at T", "log-loss at T"]
    rows = [
        [method, which, *(_number(k, mean[method, which][k]) for k in keys)]
        for method in METHODS
        for which in ("one network", "three")
        if (method, which) in mean
    ]  # fmt: skip
    n_splits = min((len(values) for values in found.values()), default=0)
    lines = [HEAD.format(n_splits=n_splits), table(head, rows), "## Did the claims hold?\n"]
    there = [m for m in METHODS if (m, "three") in mean]
    if "ERM" in there:
        mixed = [m for m in there if m != "ERM"]
        modest = [m for m in mixed if mean[m, "one network"]["excess"] < 0]
        more = [m for m in mixed if mean[m, "three"]["ece"] > mean[m, "one network"]["ece"]]
        mended = [m for m in there if mean[m, "three"]["ece_T"] < mean[m, "three"]["ece"]]
        lines += [
            f"* Probabilities after mixing are too modest: {_names(modest)} of {_names(mixed)}.",
            f"* Ensembles of mixed members are more so (larger ECE): {_names(more)}.",
            f"* One temperature lowers the ensemble's ECE: {_names(mended)} of {_names(there)}.",
        ]
    write_page("calibration", "\n".join([*lines, ""]))


def _number(key, value):
    return f"{value:+.3f}" if key == "excess" else f"{value:.3f}"


def _names(methods):
    return ", ".join(methods) or "none"


def main():
    """Compute what is missing, then write the page."""
    if not command_line(__doc__).parse_args().report:
        RECORDS.run([(method, seed) for seed in SEEDS for method in METHODS], measure)
    report()


if __name__ == "__main__":
    main()

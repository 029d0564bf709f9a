"""Accuracy, log-loss, calibration and seconds on tables, against what a user would pick instead.

    OMP_NUM_THREADS=1 SKMIXUP_DATA=… python benchmarks/tables/tabular.py [--sets crx heart …]
        [--methods "manifold mixup" CatBoost …] [--splits 5] [--again]
    python benchmarks/tables/tabular.py --report

Every result is kept in results/tabular.jsonl as soon as it is there and is not computed again;
``--again`` computes the methods that are named anew. ``--report`` writes results/tabular.md and
its picture. What is compared stands in `peers.py`, the page in `tabular_page.py`.
"""

import sys
import time
import warnings
from itertools import product
from pathlib import Path

import numpy as np
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedShuffleSplit

from skmixup.robustness import expected_calibration_error

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.datasets import TABULAR, load
from benchmarks.records import Records, command_line
from benchmarks.tables.peers import METHODS, make
from benchmarks.tables.tabular_page import report

RECORDS = Records("tabular", n_keys=3)  # set, split, method
SETS = (
    *TABULAR,
    *("abalone", "adult", "arrhythmia", "htru2", "phishing"),
    *("breast_cancer", "digits", "iris", "wine"),
)
TRAIN_ROWS, TEST_ROWS = 2000, 4000  # at most; and at most 3/4 of the rows for training
FIRST_SEED = 100  # the defaults were chosen on splits with smaller seeds
MIN_CLASS = 10  # rarer classes are left out: they cannot be in every split


def load_common(name):
    """Load a set without its rare classes; labels become codes."""
    data = load(name)
    return without_rare_classes(data.X, data.y)


def without_rare_classes(X, y):
    """Rows of classes that have enough of them, and codes of their labels."""
    _, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    kept = counts[codes] >= MIN_CLASS
    X, codes = X[kept].reset_index(drop=True), codes[kept]
    return X, np.unique(codes, return_inverse=True)[1]


def split(X, y, seed, train_rows=TRAIN_ROWS):
    """Rows for training and for testing, stratified."""
    n_train = min(train_rows, int(0.75 * len(y)))
    n_test = min(TEST_ROWS, len(y) - n_train)
    splitter = StratifiedShuffleSplit(1, train_size=n_train, test_size=n_test, random_state=seed)
    return next(splitter.split(X, y))


def measure(name, seed, method):
    """Fit on the training rows of a split; return the scores on its test rows and fit seconds."""
    return measure_on(*load_common(name), seed, method)


def measure_on(X, y, seed, method, train_rows=TRAIN_ROWS):
    """The same for any table with codes as labels."""
    train, test = split(X, y, seed, train_rows)
    X_train, X_test = X.iloc[train].reset_index(drop=True), X.iloc[test].reset_index(drop=True)
    model = make(method, seed)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the others: not converged, deprecations
        model.fit(X_train, y[train])
        seconds = time.process_time() - start
        proba = np.asarray(model.predict_proba(X_test), dtype=np.float64)
    proba = np.clip(proba, 1e-7, 1)
    proba /= proba.sum(axis=1, keepdims=True)
    labels = np.arange(y.max() + 1)
    scores = (
        float(np.mean(proba.argmax(axis=1) == y[test])),
        float(log_loss(y[test], proba, labels=labels)),
        float(expected_calibration_error(y[test], proba)),
        seconds,
    )
    return [round(score, 5) for score in scores]


def main():
    """Run or report, as the command line says."""
    parser = command_line(__doc__)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--again", action="store_true")
    arguments = parser.parse_args()
    if arguments.report:
        report(RECORDS.rows, SETS)
    else:
        if arguments.again:
            RECORDS.forget(lambda key: key[0] in arguments.sets and key[2] in arguments.methods)
        seeds = range(FIRST_SEED, FIRST_SEED + arguments.splits)
        RECORDS.run(product(arguments.sets, seeds, arguments.methods), measure)


if __name__ == "__main__":
    main()

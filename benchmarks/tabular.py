"""Accuracy, log-loss, calibration and seconds on tables, against what a user would pick instead.

    OMP_NUM_THREADS=1 SKMIXUP_DATA=… python benchmarks/tabular.py [--sets crx heart …]
        [--methods "manifold mixup" CatBoost …] [--splits 5] [--again]
    python benchmarks/tabular.py --report

Every result is kept in results/tabular.jsonl as soon as it is there and is not computed again;
``--again`` computes the methods that are named anew. ``--report`` writes results/tabular.md.
"""

import argparse
import json
import logging
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import skrub
from datasets import TABULAR, load
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.robustness import expected_calibration_error

RESULTS = Path(__file__).parent / "results"
SETS = (
    *TABULAR,
    *("abalone", "adult", "arrhythmia", "htru2", "phishing"),
    *("breast_cancer", "digits", "iris", "wine"),
)
NETWORKS = ("ERM", "mixup", "manifold mixup", "MLPClassifier", "RealMLP-TD-S")
METHODS = (
    *("LogisticRegression", "RandomForest", "HistGradientBoosting", "CatBoost"),
    *NETWORKS[::-1],
)
TRAIN_ROWS, TEST_ROWS = 2000, 4000  # at most; and at most 3/4 of the rows for training
MIN_CLASS = 10  # rarer classes are left out: they cannot be in every split


def table(name):
    """Load a set without its rare classes; labels become codes."""
    data = load(name)
    X, y = data.X, data.y
    _, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    kept = counts[codes] >= MIN_CLASS
    X, codes = X[kept].reset_index(drop=True), codes[kept]
    return X, np.unique(codes, return_inverse=True)[1]


def split(X, y, seed):
    """Rows for training and for testing, stratified."""
    n_train = min(TRAIN_ROWS, int(0.75 * len(y)))
    n_test = min(TEST_ROWS, len(y) - n_train)
    splitter = StratifiedShuffleSplit(1, train_size=n_train, test_size=n_test, random_state=seed)
    return next(splitter.split(X, y))


def text_columns(X):
    return [str(c) for c in X.columns if not pd.api.types.is_numeric_dtype(X[c])]


class NativeCategories:
    """CatBoost and RealMLP take text columns as they are, if told which they are."""

    def __init__(self, model, keyword):
        self.model, self.keyword = model, keyword

    @staticmethod
    def frame(X):
        X = X.copy()
        for column in text_columns(X):
            X[column] = X[column].astype(object).where(X[column].notna(), "missing").astype(str)
        return X

    def fit(self, X, y):
        self.model.fit(self.frame(X), y, **{self.keyword: text_columns(X)})
        return self

    def predict_proba(self, X):
        return self.model.predict_proba(self.frame(X))


def make(method, seed):
    """Return the classifier with its defaults, in the pipeline that a user would put it in."""
    if method == "CatBoost":
        from catboost import CatBoostClassifier

        model = CatBoostClassifier(
            thread_count=1, verbose=False, random_seed=seed, allow_writing_files=False
        )
        return NativeCategories(model, "cat_features")
    if method == "RealMLP-TD-S":
        from pytabkit import RealMLP_TD_S_Classifier

        logging.getLogger("lightning").setLevel(logging.ERROR)
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        model = RealMLP_TD_S_Classifier(device="cpu", n_threads=1, random_state=seed, verbosity=0)
        return NativeCategories(model, "cat_col_names")
    return skrub.tabular_pipeline(
        {
            "LogisticRegression": LogisticRegression(max_iter=1000),
            "RandomForest": RandomForestClassifier(random_state=seed),
            "HistGradientBoosting": HistGradientBoostingClassifier(random_state=seed),
            "MLPClassifier": MLPClassifier(random_state=seed),
            "ERM": VicinalClassifier(random_state=seed),
            "mixup": MixupClassifier(random_state=seed),
            "manifold mixup": ManifoldMixupClassifier(random_state=seed),
        }[method]
    )


def measure(method, name, seed):
    """Fit on the training rows of a split; return the scores on its test rows and fit seconds."""
    X, y = table(name)
    train, test = split(X, y, seed)
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
    return {
        "accuracy": float(np.mean(proba.argmax(axis=1) == y[test])),
        "log-loss": float(log_loss(y[test], proba, labels=labels)),
        "ECE": float(expected_calibration_error(y[test], proba)),
        "seconds": seconds,
    }


def run(names, methods, n_splits, again):
    """Compute what is missing."""
    file = RESULTS / "tabular.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    if again:
        rows = [r for r in rows if r["method"] not in methods or r["set"] not in names]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = {(row["set"], row["split"], row["method"]) for row in rows}
    for seed in range(n_splits):
        for name in names:
            for method in methods:
                if (name, seed, method) in done:
                    continue
                scores = measure(method, name, seed)
                row = {"set": name, "split": seed, "method": method}
                row |= {key: round(value, 5) for key, value in scores.items()}
                with file.open("a") as out:
                    out.write(json.dumps(row) + "\n")
                print(*row.values(), flush=True)


def main():
    """Run or report, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--report", action="store_true")
    arguments = parser.parse_args()
    if arguments.report:
        report()
    else:
        run(arguments.sets, arguments.methods, arguments.splits, arguments.again)


if __name__ == "__main__":
    main()

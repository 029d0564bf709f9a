"""Accuracy, log-loss, calibration and seconds on tables, against what a user would pick instead.

    OMP_NUM_THREADS=1 SKMIXUP_DATA=… python benchmarks/tables/tabular.py [--sets crx heart …]
        [--methods "manifold mixup" CatBoost …] [--splits 5] [--again]
    python benchmarks/tables/tabular.py --report

Every result is kept in results/tabular.jsonl as soon as it is there and is not computed again;
``--again`` computes the methods that are named anew. ``--report`` writes results/tabular.md.
"""

import logging
import os
import platform
import sys
import time
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import skrub
from scipy.stats import friedmanchisquare, studentized_range, wilcoxon
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.robustness import expected_calibration_error

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.datasets import TABULAR, load
from benchmarks.records import RESULTS, Records, command_line, table, write_page

SCORES = ("accuracy", "log-loss", "ECE", "seconds")
RECORDS = Records("tabular", n_keys=3)  # set, split, method
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
FIRST_SEED = 100  # the defaults were chosen on splits with smaller seeds
MIN_CLASS = 10  # rarer classes are left out: they cannot be in every split


def load_common(name):
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
    """CatBoost and RealMLP take text columns as they are, if told which they are.

    RealMLP takes no missing numbers: the mean of the column stands for them.
    """

    def __init__(self, model, keyword, *, impute):
        self.model, self.keyword, self.impute = model, keyword, impute

    def frame(self, X):
        X = X.copy()
        for column in text_columns(X):
            X[column] = X[column].astype(object).where(X[column].notna(), "missing").astype(str)
        return X.fillna(self.means) if self.impute else X

    def fit(self, X, y):
        self.means = X.mean(numeric_only=True).fillna(0)
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
        return NativeCategories(model, "cat_features", impute=False)
    if method == "RealMLP-TD-S":
        from pytabkit import RealMLP_TD_S_Classifier

        logging.getLogger("lightning").setLevel(logging.ERROR)
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        model = RealMLP_TD_S_Classifier(device="cpu", n_threads=1, random_state=seed, verbosity=0)
        return NativeCategories(model, "cat_col_names", impute=True)
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


def measure(name, seed, method):
    """Fit on the training rows of a split; return the scores on its test rows and fit seconds."""
    X, y = load_common(name)
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
    scores = (
        float(np.mean(proba.argmax(axis=1) == y[test])),
        float(log_loss(y[test], proba, labels=labels)),
        float(expected_calibration_error(y[test], proba)),
        seconds,
    )
    return [round(score, 5) for score in scores]


HEAD = """# Tables: against what a user would pick instead

Written by `benchmarks/tables/tabular.py --report`.
{n_sets} development sets (KEEL, UCI, scikit-learn's
own), {n_splits} random stratified splits each: at most 2000 rows for training (at most 3/4 of the
rows), up to 4000 others for testing; classes of fewer than 10 rows left out. Everything has its
own defaults. All but two are in `skrub.tabular_pipeline`, which encodes, imputes and scales as the
model needs; CatBoost and RealMLP-TD-S take text columns as they are, told which these are.
*ERM*, *mixup* and *manifold mixup* are `VicinalClassifier()`, `MixupClassifier()` and
`ManifoldMixupClassifier()`: the same default network, the same initial weights.

**These are the sets that the defaults were chosen on** (other splits of them, see
[how](tabular_defaults.md)): expect the network a little less far ahead on other tables.

Seconds are those of the processor for one fit on one core ({machine}); those of ours and of
RealMLP-TD-S were taken side by side, two fits at a time with nothing else running, the others
beside other work.
"""


def report():
    """Write results/tabular.md."""
    rows = [[*key, *scores] for key, scores in RECORDS.rows.items()]
    frame = pd.DataFrame(rows, columns=["set", "split", "method", *SCORES])
    wide = frame.pivot(index=["set", "split"], columns="method", values=["accuracy"])
    complete = wide.dropna().index
    left_out = sorted(set(SETS) - set(complete.get_level_values("set")))
    frame = frame.set_index(["set", "split"]).loc[lambda f: f.index.isin(complete)].reset_index()
    means = frame.pivot_table(index="set", columns="method", values=list(SCORES))
    means = means.round(9)  # so that equal means rank as equal
    machine = f"{platform.machine()}, {os.cpu_count()} virtual cores"
    n_splits = frame.groupby("set").split.nunique()
    splits = (
        str(n_splits.min()) if n_splits.nunique() == 1 else f"{n_splits.min()}–{n_splits.max()}"
    )
    parts = [HEAD.format(n_sets=len(means), n_splits=splits, machine=machine)]
    if left_out:
        parts.append(f"Not run to the end, and left out: {', '.join(left_out)}.\n")
    parts.append(_summary(means))
    parts.append(_ranks(means))
    parts.append(_duels(frame))
    for score in SCORES:
        parts.append(_all_sets(means[score], score))
    million = RESULTS / "tabular_million.md"
    if million.exists():
        parts.append("## A million rows\n\n" + million.read_text())
    write_page("tabular", "\n".join(parts))


def _summary(means):
    """Means over the sets, and seconds relative to RealMLP-TD-S."""
    real = means["seconds"]["RealMLP-TD-S"]
    rows = []
    for method in METHODS:
        ratio = (means["seconds"][method] / real).median()
        scores = [f"{means[s][method].mean():.3f}" for s in ("accuracy", "log-loss", "ECE")]
        seconds = means["seconds"][method]
        rows.append(
            [method, *scores, f"{seconds.median():.2f}", f"{seconds.max():.1f}", f"{ratio:.3f}"]
        )
    header = ["mean over sets", "accuracy", "log-loss", "ECE", "seconds, median", "largest"]
    return table([*header, "÷ RealMLP-TD-S, median"], rows)


def _ranks(means):
    """Mean ranks, Friedman's test and Nemenyi's critical difference."""
    lines = ["## Mean ranks\n"]
    for score, sign in (("accuracy", -1), ("log-loss", 1)):
        for group, what in ((METHODS, "all"), (NETWORKS, "networks")):
            table_ = means[score][list(group)] * sign
            ranks = table_.rank(axis=1).mean().sort_values()
            p = friedmanchisquare(*table_.T.to_numpy()).pvalue
            k, n = len(group), len(table_)
            gap = studentized_range.ppf(0.95, k, np.inf) / 2**0.5 * (k * (k + 1) / (6 * n)) ** 0.5
            order = ", ".join(f"{name} {rank:.2f}" for name, rank in ranks.items())
            lines.append(
                f"* **{score}, {what}**: {order}. Friedman p = {p:.1g}; means that differ by less "
                f"than {gap:.2f} are not told apart (Nemenyi, 5 %)."
            )
    return "\n".join([*lines, ""])


def _duels(frame):
    """Sets won, tied and lost by manifold mixup, a tie being less than a standard error."""
    rows = []
    for other in METHODS:
        if other == "manifold mixup":
            continue
        cells = [other]
        for score, sign in (("accuracy", 1), ("log-loss", -1)):
            wide = frame.pivot(index=["set", "split"], columns="method", values=score)
            gain = sign * (wide["manifold mixup"] - wide[other])
            mean, error = gain.groupby("set").mean().round(9), gain.groupby("set").sem()
            won, lost = (mean > error).sum(), (mean < -error).sum()
            p = wilcoxon(mean).pvalue
            cells += [f"{won} / {len(mean) - won - lost} / {lost}", f"{sign * mean.mean():+.4f}"]
            cells.append(f"{p:.2g}")
        rows.append(cells)
    header = ["manifold mixup against", "accuracy: won / tied / lost", "mean difference", "p"]
    header += ["log-loss: won / tied / lost", "mean difference", "p"]
    return (
        "## Duels\n\nA set is tied where the mean difference over its splits is within one "
        "standard error; p is of Wilcoxon's signed-rank test over the sets.\n\n"
        + table(header, rows)
    )


def _all_sets(values, score):
    best = values.max(axis=1) if score == "accuracy" else values.min(axis=1)
    rows = []
    for name, row in values[list(METHODS)].iterrows():
        cells = [f"{v:.3f}" if score != "seconds" else f"{v:.2f}" for v in row]
        rows.append(
            [
                name,
                *(f"**{c}**" if v == best[name] else c for c, v in zip(cells, row, strict=True)),
            ]
        )
    return f"## {score[0].upper()}{score[1:]}\n\n" + table(["", *METHODS], rows)


def main():
    """Run or report, as the command line says."""
    parser = command_line(__doc__)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--again", action="store_true")
    arguments = parser.parse_args()
    if arguments.report:
        report()
    else:
        if arguments.again:
            RECORDS.forget(lambda key: key[0] in arguments.sets and key[2] in arguments.methods)
        seeds = range(FIRST_SEED, FIRST_SEED + arguments.splits)
        RECORDS.run(product(arguments.sets, seeds, arguments.methods), measure)


if __name__ == "__main__":
    main()

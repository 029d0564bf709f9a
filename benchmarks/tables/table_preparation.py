"""From a table to the network's input: skrub's pipeline against scikit-learn's parts.

    OMP_NUM_THREADS=1 python benchmarks/tables/table_preparation.py crx chess abalone …
    python benchmarks/tables/table_preparation.py --report

Every result is kept in results/table_preparation.jsonl as soon as it is there and is not computed
again; ``--report`` writes results/table_preparation.md from what is there.
"""

import sys
import time
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, StandardScaler
from skrub import SquashingScaler, tabular_pipeline

from skmixup import ManifoldMixupClassifier

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.datasets import load
from benchmarks.records import Records, command_line, table, write_page

RECORDS = Records("table_preparation", n_keys=3)
TABLES = (
    "crx", "chess", "mushroom", "tic-tac-toe", "saheart", "adult", "abalone", "arrhythmia",
    "htru2", "ionosphere", "bands", "wisconsin",
)  # fmt: skip
MAX_ROWS = 4000
SPLITS = range(3)
NETWORK = {
    "module__hidden_sizes": (256, 256),
    "module__n_members": 1,
    "module__scale_inputs": False,
    "alpha": 0.4,
    "lr": 0.002,
    "lr_schedule": None,
    "max_epochs": 64,
}
HEAD = f"""# From a table to the network's input

Written by `benchmarks/tables/table_preparation.py --report`.
Means over {len(SPLITS)} splits, a third of
the rows held out; larger tables are cut to {MAX_ROWS} rows, classes of fewer than 6 rows left out.
The classifier is `ManifoldMixupClassifier` with a perceptron of two layers of 256 that does not
scale its inputs (dropout 0.1, α = 0.4, 64 epochs, constant learning rate 0.002), with the same
seeds in every column; only what comes before it differs.

* *skrub*: `skrub.tabular_pipeline(clf)`: one-hot text, dates as numbers, mean and indicator for
  missing values, all columns squashed into (−5, 5).
* the others: one-hot text; numbers imputed by the median, with an indicator, then *standard*:
  `StandardScaler`; *squashed*: skrub's `SquashingScaler` (robust scaling, smooth clipping at 3);
  *quantiles*: `QuantileTransformer` to a normal distribution.

A pipeline of our own would add nothing that stands out from the noise of the splits, so there is
none: `skrub.tabular_pipeline(ManifoldMixupClassifier())` is the way docs/guide/tables.md shows.
"""


def scikit_learn(*scaling):
    """One-hot encoded text; imputed, scaled numbers; the classifier."""

    def make(net):
        text = OneHotEncoder(handle_unknown="ignore", drop="if_binary", sparse_output=False)
        columns = make_column_transformer(
            (
                make_pipeline(SimpleImputer(strategy="median", add_indicator=True), *scaling),
                make_column_selector(dtype_include="number"),
            ),
            (text, make_column_selector(dtype_exclude="number")),
        )
        return make_pipeline(columns, net)

    return make


WAYS = {
    "skrub": tabular_pipeline,
    "standard": scikit_learn(StandardScaler()),
    "squashed": scikit_learn(SquashingScaler()),
    "quantiles": scikit_learn(QuantileTransformer(n_quantiles=100, output_distribution="normal")),
}


def result(name, way, split):
    """Accuracy, log-loss and seconds of one fit."""
    data = load(name)
    X, y = data.X, data.y
    common = np.isin(y, [c for c in np.unique(y) if np.sum(y == c) >= 6])  # else a class is lost
    X, y = X[common], y[common]
    if len(X) > MAX_ROWS:
        X, _, y, _ = train_test_split(X, y, train_size=MAX_ROWS, stratify=y, random_state=split)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=1 / 3, stratify=y, random_state=split
    )
    start = time.perf_counter()
    clf = WAYS[way](ManifoldMixupClassifier(**NETWORK, random_state=split)).fit(X_train, y_train)
    seconds = time.perf_counter() - start
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found unknown categories")
        proba = clf.predict_proba(X_test)
    accuracy = float(np.mean(clf.classes_[proba.argmax(axis=1)] == y_test))
    return accuracy, float(log_loss(y_test, proba, labels=clf.classes_)), round(seconds, 2)


def report():
    """Write the page."""
    found = defaultdict(list)
    for (name, way, _), values in RECORDS.rows.items():
        found[name, way].append(values)
    names = [name for name in TABLES if all((name, way) in found for way in WAYS)]
    means = np.array([[np.mean(found[name, way], axis=0) for way in WAYS] for name in names])
    parts = [HEAD]
    for k, (title, sign) in enumerate((("Accuracy", -1), ("Log-loss", 1))):
        values = means[:, :, k]
        ranks = rankdata(sign * values.round(6), axis=1).mean(axis=0)
        rows = [
            [name, *(f"{v:.3f}" for v in row)] for name, row in zip(names, values, strict=True)
        ]
        rows.append(["**mean**", *(f"{v:.3f}" for v in values.mean(axis=0))])
        rows.append(["**mean rank**", *(f"{r:.2f}" for r in ranks)])
        parts.append(table([title, *WAYS], rows))
    write_page("table_preparation", "\n".join(parts))


def main():
    """Compute what is missing of the tables that are named, or write the page."""
    parser = command_line(__doc__)
    parser.add_argument("names", nargs="*", metavar="table", help=", ".join(TABLES))
    arguments = parser.parse_args()
    if arguments.report:
        report()
    else:
        torch.set_num_threads(1)
        names = arguments.names or TABLES
        RECORDS.run(((name, way, k) for name in names for k in SPLITS for way in WAYS), result)


if __name__ == "__main__":
    main()

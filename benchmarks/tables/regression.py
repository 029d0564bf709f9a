"""RMSE, MAE, R² and seconds on tables with a numeric target, against what a user would pick.

    OMP_NUM_THREADS=1 SKMIXUP_DATA=… python benchmarks/tables/regression.py [--sets diabetes …]
        [--methods "manifold mixup" Ridge …] [--splits 5]
    python benchmarks/tables/regression.py --report

Every result is kept in results/regression.jsonl as soon as it is there and is not computed again.
CatBoost and RealMLP-TD-S are measured where they are installed and named with ``--methods``.
"""

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
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import ShuffleSplit
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skmixup import ManifoldMixupRegressor, MixupRegressor, VicinalRegressor

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.datasets import REGRESSION, load_regression
from benchmarks.records import Records, command_line, table, write_page

RECORDS = Records("regression", n_keys=3)  # set, split, method
SCORES = ("RMSE", "MAE", "R2", "seconds")
TRAIN_ROWS, TEST_ROWS = 2000, 4000
OURS = {
    "ERM": (VicinalRegressor, {}),
    "mixup": (MixupRegressor, {}),
    "C-Mixup": (MixupRegressor, {"alpha": 2.0, "pairing": "similar", "bandwidth": 0.3}),
    "manifold mixup": (ManifoldMixupRegressor, {}),
    "manifold C-Mixup": (
        ManifoldMixupRegressor,
        {"alpha": 2.0, "pairing": "similar", "bandwidth": 0.3},
    ),
}
NETWORKS = ("MLPRegressor", *OURS)
METHODS = ("Ridge", "RandomForest", "HistGradientBoosting", *NETWORKS)
OPTIONAL = ("CatBoost", "RealMLP-TD-S")


def make(method, seed):
    """Return the regressor with its defaults, in the pipeline that a user would put it in."""
    if method == "CatBoost":
        from catboost import CatBoostRegressor

        model = CatBoostRegressor(
            thread_count=1, verbose=False, random_seed=seed, allow_writing_files=False
        )
    elif method == "RealMLP-TD-S":
        from pytabkit import RealMLP_TD_S_Regressor

        model = RealMLP_TD_S_Regressor(device="cpu", n_threads=1, random_state=seed, verbosity=0)
    elif method == "MLPRegressor":  # which does not standardise the target itself
        model = TransformedTargetRegressor(
            MLPRegressor(random_state=seed), transformer=StandardScaler()
        )
        return skrub.tabular_pipeline(MLPRegressor())[:-1].steps, model
    elif method in OURS:
        kind, params = OURS[method]
        model = kind(random_state=seed, **params)
    else:
        model = {
            "Ridge": RidgeCV(np.logspace(-3, 3, 13)),
            "RandomForest": RandomForestRegressor(random_state=seed),
            "HistGradientBoosting": HistGradientBoostingRegressor(random_state=seed),
        }[method]
    return skrub.tabular_pipeline(model)[:-1].steps, model


def measure(name, seed, method):
    """Fit on the training rows of a split; return the scores on its test rows and fit seconds."""
    data = load_regression(name)
    n = len(data.y)
    n_train = min(TRAIN_ROWS, int(0.75 * n))
    splitter = ShuffleSplit(
        1, train_size=n_train, test_size=min(TEST_ROWS, n - n_train), random_state=seed
    )
    train, test = next(splitter.split(data.X))
    steps, model = make(method, seed)
    pipeline = Pipeline([*steps, ("model", model)])
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the others: not converged, deprecations
        pipeline.fit(data.X.iloc[train].reset_index(drop=True), data.y[train])
        seconds = time.process_time() - start
        predicted = pipeline.predict(data.X.iloc[test].reset_index(drop=True))
    y = data.y[test]
    scores = (
        root_mean_squared_error(y, predicted),
        mean_absolute_error(y, predicted),
        r2_score(y, predicted),
        seconds,
    )
    return [float(f"{score:.5g}") for score in scores]


HEAD = """# Tables with a numeric target

Written by `benchmarks/tables/regression.py --report`. {n_sets} sets, {n_splits} random splits
each: at most 2000 rows for training (at most 3/4 of the rows), up to 4000 others for testing. All
in `skrub.tabular_pipeline`, everything with its own defaults; `MLPRegressor` with its target
standardised. *ERM*, *mixup* and *manifold mixup* are `VicinalRegressor()`, `MixupRegressor()` and
`ManifoldMixupRegressor()`; *C-Mixup* has `pairing="similar"`, α = 2 (the paper's choice) and a
bandwidth of 0.3 standard deviations, which was set once and not searched for.

The network's defaults are those of the classifiers: none was chosen on these sets.
Seconds are those of the processor for one fit on one core ({machine}), beside other work.
"""


def report():
    """Write results/regression.md."""
    rows = [[*key, *scores] for key, scores in RECORDS.rows.items()]
    frame = pd.DataFrame(rows, columns=["set", "split", "method", *SCORES])
    methods = [m for m in (*METHODS, *OPTIONAL) if m in set(frame.method)]
    frame = frame[frame.method.isin(methods)]
    counts = frame.groupby(["set", "split"]).method.nunique()
    complete = counts.index[counts == len(methods)]
    frame = frame.set_index(["set", "split"]).loc[lambda f: f.index.isin(complete)].reset_index()
    n_splits = frame.groupby("set").split.nunique()
    machine = f"{platform.machine()}, {os.cpu_count()} virtual cores"
    parts = [HEAD.format(n_sets=len(n_splits), n_splits=n_splits.min(), machine=machine)]
    means = frame.pivot_table(index="set", columns="method", values=list(SCORES)).round(9)
    spread = frame.pivot_table(index="set", columns="method", values="R2", aggfunc="sem")
    ranks = means["RMSE"][methods].rank(axis=1).mean()
    of_networks = [m for m in (*NETWORKS, "RealMLP-TD-S") if m in methods]
    among = means["RMSE"][of_networks].rank(axis=1).mean()
    lines = [
        [
            m,
            f"{means['R2'][m].mean():.3f}",
            f"{ranks[m]:.2f}",
            f"{among[m]:.2f}" if m in among else "",
            f"{means['seconds'][m].median():.2f}",
        ]
        for m in methods
    ]
    header = ["mean over sets", "R²", "rank by RMSE", "rank among networks", "seconds, median"]
    parts.append(table(header, lines))
    lines = [
        [name, *(f"{means['R2'][m][name]:.3f} ± {spread[m][name]:.3f}" for m in methods)]
        for name in means.index
    ]
    parts.append("## R², mean and standard error over splits\n\n" + table(["", *methods], lines))
    for score in ("RMSE", "MAE"):
        lines = [[n, *(f"{means[score][m][n]:.4g}" for m in methods)] for n in means.index]
        parts.append(f"## {score}\n\n" + table(["", *methods], lines))
    write_page("regression", "\n".join(parts))


def main():
    """Run or report, as the command line says."""
    parser = command_line(__doc__)
    parser.add_argument("--sets", nargs="+", default=REGRESSION, choices=REGRESSION)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=(*METHODS, *OPTIONAL))
    parser.add_argument("--splits", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.report:
        report()
    else:
        planned = product(range(arguments.splits), arguments.sets, arguments.methods)
        RECORDS.run(((name, split, method) for split, name, method in planned), measure)


if __name__ == "__main__":
    main()

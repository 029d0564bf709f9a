"""RMSE, MAE, R² and seconds on tables with a numeric target, against what a user would pick.

    OMP_NUM_THREADS=1 SKMIXUP_DATA=… python benchmarks/tables/regression.py [--sets diabetes …]
        [--methods "manifold mixup" Ridge …] [--splits 5] [--again]
    python benchmarks/tables/regression.py --report

Every result is kept in results/regression.jsonl as soon as it is there and is not computed again;
``--again`` computes the methods that are named anew. What the others are stands in `peers.py`;
catboost and pytabkit are needed where they are named.
"""

import sys
import time
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import skrub
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import ShuffleSplit
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skmixup import (
    ManifoldMixupRegressor,
    MixupRegressor,
    MixupRegressorCV,
    VicinalRegressor,
)

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.datasets import REGRESSION, load_regression
from benchmarks.records import Records, command_line, table, write_page
from benchmarks.tables.comparison import (
    common,
    frame_of,
    machine,
    mean_ranks,
    rank_line,
    splits_text,
)
from benchmarks.tables.peers import NativeCategories, TunedCatBoost, catboost, pytabkit_model

RECORDS = Records("regression", n_keys=3)  # set, split, method
#: The network, the epochs and the mixing were chosen on the first half, on other splits.
CHOOSING, KEPT = sorted(REGRESSION)[0::2], sorted(REGRESSION)[1::2]
SCORES = ("RMSE", "MAE", "R2", "seconds")
TRAIN_ROWS, TEST_ROWS = 2000, 4000
OURS = {
    "ERM": (VicinalRegressor, {}),
    "mixup": (MixupRegressor, {}),
    "C-Mixup": (MixupRegressor, {"alpha": 2.0, "pairing": "similar", "bandwidth": 0.3}),
    "manifold mixup": (ManifoldMixupRegressor, {}),
}
NETWORKS = ("MLPRegressor", "RealMLP-TD-S", "RealMLP-TD", *OURS)
TREES = ("RandomForest", "HistGradientBoosting", "CatBoost", "CatBoost tuned")
TUNED = "MixupRegressorCV"
METHODS = ("Ridge", *TREES, *NETWORKS, TUNED)
#: Measured on fewer splits than the others, for their seconds.
SLOW = ("CatBoost tuned", "RealMLP-TD", TUNED)


def split(data, seed):
    """Rows for training and for testing."""
    n = len(data.y)
    n_train = min(TRAIN_ROWS, int(0.75 * n))
    n_test = min(TEST_ROWS, n - n_train)
    splitter = ShuffleSplit(1, train_size=n_train, test_size=n_test, random_state=seed)
    return next(splitter.split(data.X))


def make(method, seed):
    """Return the regressor with its defaults, in the pipeline that a user would put it in."""
    if method.startswith("CatBoost"):
        tuned = method == "CatBoost tuned"
        model = (TunedCatBoost if tuned else catboost)(seed, regression=True)
        return NativeCategories(model, "cat_features", impute=False)
    if method in ("RealMLP-TD-S", "RealMLP-TD"):
        model = pytabkit_model(method.replace("-", "_") + "_Regressor", seed, n_refit=1)
        return NativeCategories(model, "cat_col_names", impute=True)
    if method == "MLPRegressor":  # which does not standardise the target itself
        model = TransformedTargetRegressor(
            MLPRegressor(random_state=seed), transformer=StandardScaler()
        )
        return Pipeline([*skrub.tabular_pipeline(MLPRegressor())[:-1].steps, ("model", model)])
    if method in OURS:
        kind, params = OURS[method]
        model = kind(random_state=seed, **params)
    else:
        model = {
            TUNED: MixupRegressorCV(random_state=seed),
            "Ridge": RidgeCV(np.logspace(-3, 3, 13)),
            "RandomForest": RandomForestRegressor(random_state=seed),
            "HistGradientBoosting": HistGradientBoostingRegressor(random_state=seed),
        }[method]
    return skrub.tabular_pipeline(model)


def measure(name, seed, method):
    """Fit on the training rows of a split; return the scores on its test rows and fit seconds."""
    data = load_regression(name)
    train, test = split(data, seed)
    model = make(method, seed)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the others: not converged, deprecations
        model.fit(data.X.iloc[train].reset_index(drop=True), data.y[train])
        seconds = time.process_time() - start
        predicted = model.predict(data.X.iloc[test].reset_index(drop=True))
    y = data.y[test]
    scores = (
        root_mean_squared_error(y, predicted),
        mean_absolute_error(y, predicted),
        r2_score(y, predicted),
        seconds,
    )
    return [float(f"{score:.5g}") for score in scores]


HEAD = """# Tables with a numeric target

Written by `benchmarks/tables/regression.py --report`. {n_sets} sets, {n_splits} of each:
at most 2000 rows for training (at most 3/4 of the rows), up to 4000 others for testing. Everything
has its own defaults but for this: RealMLP trains again on all rows, as its authors advise;
*CatBoost tuned* tries ten settings and bags the best ([`peers.py`](../tables/peers.py));
`MLPRegressor` has its target standardised; *C-Mixup* is `pairing="similar"` with a bandwidth of
0.3 standard deviations and α = 2, the paper's. CatBoost and RealMLP take text columns as they are,
the rest is in `skrub.tabular_pipeline`. *ERM*, *mixup* and *manifold mixup* are
`VicinalRegressor()`, `MixupRegressor()` and `ManifoldMixupRegressor()`.

The network, how long it is trained and how it mixes were [chosen](regression_defaults.md) on other
splits of {choosing}; {kept} were kept
aside. What partners with similar targets are worth stands [on a page of its own](partners.md).
Four sets and four others are few: ranks that differ by less than the distance given are not told
apart. Seconds are those of the processor for one fit in one thread ({machine}), beside other work.
"""
FOUND = """
* On the sets kept aside ours are first by mean rank, of the networks and of all: plain training,
  then manifold mixup and mixup, then CatBoost; of the ten nothing is told apart. On the sets for
  choosing plain training is first, too, manifold mixup just after it.
* On bank32nh, cal_housing, cpu_act and kin8nm ours were measured again when
  [columns were weighted](regression_defaults.md#columns-weighted-by-importance) where trees find
  that few matter: the squared error of manifold mixup −3, +1, −2 and +1 %, in up to three times
  the seconds, since more epochs are wanted then. On auto_imports and diabetes, of less than a
  thousand rows, once more when [one pilot](network_defaults.md) was left: squared error of ERM −5
  and −4 %, of manifold mixup −1 and −2 %, in half and a quarter of the seconds.
* Mixing costs where the target follows from the columns (kin8nm, cpu_act), most with similar
  partners and the paper's α of 2, and gains a little in noise (winequality_red).
* CatBoost is better on cal_housing and winequality_red, than `MixupRegressorCV` as well. Of the
  test rows of winequality_red 92 of 400 are among the training rows too (split 0), which trees
  know by heart: on them R² is 0.90 for RandomForest, 0.89 for CatBoost and 0.70 for plain training
  of ours; on the others 0.33, 0.32 and 0.24.
* `MixupRegressorCV` is just behind tuned CatBoost on the sets kept aside, level with mixup, and
  first in R² on the others, at nine and at two times its seconds; two splits. On
  auto_imports, abalone, bank32nh and cal_housing one network with the defaults is as good. With
  SiLU units, which it had before, R² was lower on kin8nm (0.916) and auto_imports (0.933), 0.004
  lower on cal_housing, 0.004 to 0.005 higher on abalone and diabetes, and level on the other
  three; one network of its setting has R² 0.717 with them on cal_housing, with ReLU 0.749.
"""


def report():
    """Write results/regression.md."""
    frame = frame_of(RECORDS.rows, SCORES)
    fast = [m for m in METHODS if m not in SLOW]
    means, n_splits = common(frame, fast)
    text = [
        HEAD.format(
            n_sets=len(means),
            n_splits=splits_text(n_splits),
            machine=machine(),
            choosing=", ".join(CHOOSING),
            kept=", ".join(KEPT),
        )
        + FOUND
    ]
    halves = {"the four sets kept aside": KEPT, "the four sets for choosing": CHOOSING}
    for where, sets in halves.items():
        text.append(f"## On {where}\n\n" + _summary(means.loc[sets], fast))
    for title, left_out in (("What tunes itself too", "RealMLP-TD"), ("RealMLP-TD too", None)):
        methods = [m for m in METHODS if m != left_out]
        slow, n_splits = common(frame, methods)
        text.append(f"## {title}\n\nWhere all were measured, {splits_text(n_splits)}.\n")
        for where, sets in halves.items():
            text.append(f"On {where}:\n\n" + _summary(slow.loc[sets], methods))
        text.append(_by_set(slow, methods, "R2", ".3f"))
    text.append(f"## Set by set\n\nWithout {', '.join(SLOW)}, all splits.\n")
    for score, form in (("R2", ".3f"), ("RMSE", ".4g"), ("MAE", ".4g"), ("seconds", ".2f")):
        text.append(_by_set(means, fast, score, form))
    write_page("regression", "\n".join(text))


def _summary(means, methods):
    """Mean R² and ranks by RMSE, and seconds."""
    networks = [m for m in methods if m in NETWORKS]
    ranks = [mean_ranks(means["RMSE"][group]) for group in (methods, networks)]
    lines = [
        [
            m,
            f"{means['R2'][m].mean():.4f}",
            *(f"{rank[m]:.2f}" if m in rank else "" for rank in ranks),
            f"{means['seconds'][m].median():.2f}",
        ]
        for m in methods
    ]
    header = ["mean over sets", "R²", "rank by RMSE", "among single networks", "seconds, median"]
    ranked = rank_line(means["RMSE"][methods], "RMSE, all")
    among = rank_line(means["RMSE"][networks], "RMSE, single networks")
    return "\n".join([table(header, lines), ranked, among, ""])


def _by_set(means, methods, score, form):
    """One score of all methods on each set."""
    values = means[score][methods].to_numpy()
    lines = [
        [name, *(format(v, form) for v in row)]
        for name, row in zip(means.index, values, strict=True)
    ]
    return f"### {score.replace('2', '²')}\n\n" + table(["", *methods], lines)


def main():
    """Run or report, as the command line says."""
    parser = command_line(__doc__)
    parser.add_argument("--sets", nargs="+", default=REGRESSION, choices=REGRESSION)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--again", action="store_true")
    arguments = parser.parse_args()
    if arguments.report:
        report()
    else:
        if arguments.again:
            RECORDS.forget(lambda key: key[0] in arguments.sets and key[2] in arguments.methods)
        planned = product(range(arguments.splits), arguments.sets, arguments.methods)
        RECORDS.run(((name, split, method) for split, name, method in planned), measure)


if __name__ == "__main__":
    main()

"""Wall seconds of `MixupClassifierCV` on two cores, on the tables of `keel_tables.py`.

    OMP_NUM_THREADS=1 python benchmarks/tables/keel_seconds.py

Let nothing run beside it. Keeps every result in results/keel_seconds.jsonl; they stand on the page
of `keel_tables.py`.
"""

import sys
import time
import warnings
from pathlib import Path

import skrub

from skmixup import MixupClassifierCV

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.records import command_line
from benchmarks.tables.keel_tables import SECONDS, SEEDS, TABLES, load
from benchmarks.tables.tabular import split


def measure(name):
    """Seconds of the wall clock, and of all fits and predictions in the folds together."""
    X, y = load(name)
    train, _ = split(X, y, SEEDS[0])
    model = skrub.tabular_pipeline(MixupClassifierCV(random_state=SEEDS[0], n_jobs=2))
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X.iloc[train].reset_index(drop=True), y[train])
    wall = time.perf_counter() - start
    results = model[-1].cv_results_
    each = results["mean_fit_time"] + results["mean_score_time"]
    return round(wall, 1), round(float((each * results["n_splits"]).sum()), 1)


if __name__ == "__main__":
    command_line(__doc__).parse_args()
    SECONDS.run([(name,) for name in TABLES], measure)

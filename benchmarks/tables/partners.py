"""What C-Mixup's partners are worth, and whether all rows give better ones than the minibatch.

    OMP_NUM_THREADS=1 SKMIXUP_DATA=… python benchmarks/tables/partners.py [--splits 3]
    OMP_NUM_THREADS=1 python benchmarks/tables/partners.py --draws
    python benchmarks/tables/partners.py --report

Every result is kept in results/partners.jsonl and is not computed again.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import skrub
from sklearn.model_selection import ShuffleSplit

from skmixup import MixupRegressor
from skmixup.vicinal.all_rows import similar_rows

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.datasets import REGRESSION, load_regression
from benchmarks.records import Records, table, write_page

RECORDS = Records("partners", n_keys=3)  # set, split, variant → squared error / variance, seconds
SETS = tuple(sorted(REGRESSION))
SIMILAR = {"alpha": 1.0, "pairing": "similar"}
VARIANTS = {
    "ERM": {"alpha": 0.0},
    "any partner": {"alpha": 1.0},
    **{
        f"σ = {sigma}, {partners}": {**SIMILAR, "bandwidth": sigma, "partners": partners}
        for sigma in (0.1, 0.4)
        for partners in ("batch", "all")
    },
}
DRAWS = [(10**3, 1), (10**6, 1), (10**6, 3)]
SIGMAS = (0.01, 0.1, 0.4, 1.0)


def measure(name, seed, variant):
    """Squared error on test rows in variances of their targets, and CPU seconds of the fit."""
    data = load_regression(name)
    n_train = min(1000, int(0.75 * len(data.y)))
    rows = ShuffleSplit(1, train_size=n_train, test_size=0.25, random_state=seed)
    train, test = next(rows.split(data.X))
    steps = skrub.tabular_pipeline(MixupRegressor())[:-1].fit(data.X.iloc[train])
    X, X_test = (
        np.asarray(steps.transform(data.X.iloc[part]), np.float32) for part in (train, test)
    )
    reg = MixupRegressor(random_state=seed, **VARIANTS[variant])
    start = time.process_time()
    reg.fit(X, data.y[train])
    seconds = time.process_time() - start
    error = np.mean((reg.predict(X_test) - data.y[test]) ** 2) / np.var(data.y[test])
    return [float(f"{error:.5g}"), round(seconds, 3)]


def measure_draws(n, n_targets, sigma):
    """CPU seconds to prepare n rows once, and microseconds for each partner drawn."""
    rng = np.random.default_rng(0)
    target = rng.normal(size=(n, n_targets)).astype(np.float32)
    start = time.process_time()
    rows = similar_rows(target, sigma)
    prepared = time.process_time() - start
    batches = [target[rng.integers(n, size=256)] for _ in range(10)]
    start = time.process_time()
    for batch in batches:
        rows.draw(batch, rng)
    each = (time.process_time() - start) / 2560 * 1e6
    return [float(f"{prepared:.3g}"), float(f"{each:.3g}")]


HEAD = """# Partners with similar targets, from the minibatch or from all rows

Written by `benchmarks/tables/partners.py --report`. `MixupRegressor` with α = 1, all else its
defaults, on at most 1000 rows, prepared by `skrub.tabular_pipeline`; {splits} splits a set.
Numbers are the logarithm of the squared error relative to ERM (`alpha=0`) on the same split: −0.10
is a tenth less. σ is `bandwidth`, "batch" and "all" are `partners`.

With a small σ most rows of a minibatch are their own partners, since few others are similar, and
training is nearly ERM; from all rows there is always somebody similar to mix with.
"""


def report():
    """Write the page."""
    found = [row for row in RECORDS.rows if row[0] in SETS]
    seeds = sorted({seed for _, seed, _ in found})
    others = [v for v in VARIANTS if v != "ERM"]
    lines, gaps = [], {v: [] for v in others}
    for name in SETS:
        cells = []
        for variant in others:
            pairs = [[RECORDS.rows.get((name, s, v)) for v in (variant, "ERM")] for s in seeds]
            logs = [np.log(a[0] / b[0]) for a, b in pairs if a and b]
            gaps[variant] += [np.mean(logs)] if logs else []
            cells.append(f"{np.mean(logs):+.3f}" if logs else "")
        lines.append([name, *cells])
    lines.append(["**mean**", *(f"**{np.mean(g):+.3f}**" if g else "" for g in gaps.values())])
    seconds = {
        v: [RECORDS.rows[k][1] / RECORDS.rows[k[0], k[1], "any partner"][1]
            for k in found if k[2] == v and (k[0], k[1], "any partner") in RECORDS.rows]
        for v in others
    }  # fmt: skip
    times = [f"{np.median(s):.2f}" if s else "" for s in seconds.values()]
    lines.append(["time of a fit, ÷ any partner", *times])
    draws = []
    for n, d in DRAWS:
        costs = [RECORDS.rows.get((n, d, sigma)) for sigma in SIGMAS]
        if all(costs):
            cells = [f"{prepared:.2g} s + {each:.0f} µs" for prepared, each in costs]
            draws.append([f"{n} × {d}", *cells])
    page = [
        HEAD.format(splits=len(seeds)),
        table(["set", *others], lines),
        "## What a draw costs\n",
        "CPU seconds once in a fit, and then for each partner drawn from all rows, 256 at a time, "
        "with normal targets. The law is exact everywhere.\n",
        table(["rows × targets", *(f"σ = {s}" for s in SIGMAS)], draws),
    ]
    write_page("partners", "\n".join(page))


def main():
    """Measure, or write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--draws", action="store_true")
    parser.add_argument("--report", action="store_true")
    args = parser.parse_args()
    if args.report:
        report()
    elif args.draws:
        RECORDS.run([(n, d, s) for n, d in DRAWS for s in SIGMAS], measure_draws)
    else:
        planned = [(n, s, v) for s in range(args.splits) for n in SETS for v in VARIANTS]
        RECORDS.run(planned, measure)


if __name__ == "__main__":
    main()

"""Memory and time at 1 000 000 rows × 30 columns, with all defaults.

    OMP_NUM_THREADS=1 python benchmarks/tables/tabular_million.py [--epochs 1] [--rows 1000000]
        [--write]

Each kind of input runs in a process of its own. Prints a table, which ``tabular.py --report``
takes into its page; the peak is what fit and predict_proba take beyond X, in multiples of X as it
was given. Linux only.
"""

import argparse
import gc
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.records import table, write_page

N_COLUMNS = 30
KINDS = ("float32 array", "float64 array", "float64 DataFrame")


def rows_of(kind, n_rows):
    """X of this kind, and y of two classes."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    if kind == "float64 DataFrame":
        X = pd.DataFrame({f"c{i}": rng.standard_normal(n_rows) for i in range(N_COLUMNS)})
        return X, (X["c0"] * X["c1"] > 0).to_numpy()
    X = rng.standard_normal((n_rows, N_COLUMNS), dtype=kind.split()[0])
    return X, X[:, 0] * X[:, 1] > 0


def peak(*, forget=False):
    """Peak memory of this process in bytes, since the last time it was to be forgotten."""
    if forget:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def measure(kind, n_rows, n_epochs):
    """Peaks beyond X and seconds, in this process."""
    import numpy as np
    import torch

    from skmixup import ManifoldMixupClassifier

    clf = ManifoldMixupClassifier(max_epochs=n_epochs, random_state=0, device="cpu")
    few, y = rows_of(kind, 5000)
    clf.fit(few, y).predict_proba(few)  # libraries load and allocate what they keep
    X, y = rows_of(kind, n_rows)
    size = float(np.sum(X.memory_usage())) if hasattr(X, "memory_usage") else X.nbytes
    gc.collect()
    before = peak(forget=True)
    clf.fit(X, y)
    fit = peak() - before
    peak(forget=True)
    start = time.perf_counter()
    clf.predict_proba(X)
    prediction = time.perf_counter() - start
    return {
        "threads": torch.get_num_threads(),
        "X, MB": size / 1e6,
        "fit": fit / size,
        "predict": (peak() - before) / size,
        "epoch": float(np.mean(clf.history_[:, "dur"])),
        "prediction": prediction,
    }


def main(n_rows, n_epochs, write):
    """Print the table, as it grows; keep it for the page of tables."""
    header = ["X", "MB", "peak of fit beyond X", "of predict_proba", "s an epoch", "s to predict"]
    rows = []
    for kind in KINDS:
        one = [sys.executable, __file__, "--kind", kind, "--rows", str(n_rows)]
        one += ["--epochs", str(n_epochs)]
        found = json.loads(subprocess.run(one, check=True, stdout=subprocess.PIPE).stdout)
        row = [kind, f"{found['X, MB']:.0f}", f"{found['fit']:.2f} × X"]
        row += [f"{found['predict']:.2f} × X"]
        rows.append([*row, f"{found['epoch']:.1f}", f"{found['prediction']:.1f}"])
        print(*rows[-1], sep=", ", flush=True)
    threads = f"{found['threads']} thread{'s' * (found['threads'] > 1)}"
    head = f"`ManifoldMixupClassifier()` on {n_rows} × {N_COLUMNS}, {threads}.\n"
    if write:
        write_page("tabular_million", "\n".join([head, table(header, rows)]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--kind", choices=KINDS, help="measure this one here, print JSON")
    parser.add_argument(
        "--write", action="store_true", help="keep it in results/tabular_million.md"
    )
    arguments = parser.parse_args()
    if arguments.kind:
        print(json.dumps(measure(arguments.kind, arguments.rows, arguments.epochs)))
    else:
        main(arguments.rows, arguments.epochs, arguments.write)

"""Seconds per training epoch and per prediction, against what a user would write instead.

All contenders of a size train the same network on the same data with the same batch size and
AdamW, one after the other within each round, so that the ratios of a round share the machine's
state. Reported: the median over rounds, and the median ratio.

    python benchmarks/training/training_speed.py [--rounds 7] [--threads 1] [--wall]

Seconds are those of the process (CPU time), which other programs disturb less than the clock on
the wall; with several threads they count the time that a thread waits in, so that `--wall` on a
quiet machine is better there. Every number of threads runs in a process of its own, because OpenMP
reads its settings once. Images are measured by `image_speed.py`, and stand on the same page.
`--report` writes it from what is there.
"""

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.records import Records, command_line, table, write_page
from benchmarks.training import image_speed
from benchmarks.training.contenders import EPOCHS, hand_written, ours, plain_skorch, sklearn_mlp

SIZES = [(5_000, 20, (64, 64), 32), (10_000, 50, (256, 256), 128)]
OTHERS = ("hand-written mixup loop", "skorch default, no mixup")  # seconds are relative to


def cpu_seconds() -> float:
    """Seconds of this process and of those it has started and seen end."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


CLOCKS = {"cpu": cpu_seconds, "wall": time.perf_counter}
RECORDS = Records("training_speed", n_keys=2)  # threads, clock → what was measured


def timed(run: Callable[[], object]) -> float:
    """Seconds of one call."""
    clock = CLOCKS[os.environ.get("CLOCK", "cpu")]
    start = clock()
    run()
    return clock() - start


def rounds_of(
    contenders: dict[str, Callable[[], object]], n_rounds: int
) -> dict[str, list[float]]:
    """Time every contender once a round, after one round that does not count."""
    for run in contenders.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    rng = random.Random(0)
    for _ in range(n_rounds):
        # In a new order each round: threads that a contender leaves spinning slow the next one.
        for name in rng.sample(list(contenders), len(contenders)):
            seconds[name].append(timed(contenders[name]))
    return seconds


def training(n_rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds for `EPOCHS` epochs."""
    import numpy as np
    from sklearn.datasets import make_classification

    from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier

    result = {}
    for n, p, hidden, batch in SIZES:
        X, y = make_classification(n, p, n_informative=p // 2, n_classes=4, random_state=0)
        X, y = X.astype(np.float32), y.astype(np.int64)
        contenders = {
            "MixupClassifier": ours(X, y, hidden, batch, MixupClassifier),
            "ManifoldMixupClassifier": ours(X, y, hidden, batch, ManifoldMixupClassifier),
            "VicinalClassifier (ERM)": ours(X, y, hidden, batch, VicinalClassifier),
            "hand-written mixup loop": hand_written(X, y, hidden, batch, fused=False),
            "the same, AdamW(fused=True)": hand_written(X, y, hidden, batch, fused=True),
            "manifold mixup by hand, fused": hand_written(
                X, y, hidden, batch, fused=True, hidden_too=True
            ),
            "skorch default, no mixup": plain_skorch(X, y, hidden, batch),
            "sklearn MLPClassifier, no mixup": sklearn_mlp(X, y, hidden, batch),
        }
        name = f"{n} × {p}, hidden {'-'.join(map(str, hidden))}, batch {batch}"
        result[name] = rounds_of(contenders, n_rounds)
    return result


def prediction(n_rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds for predict_proba on 100 000 rows of few columns and of many, by columns."""
    import numpy as np
    import torch
    from sklearn.neural_network import MLPClassifier

    from skmixup import MixupClassifier
    from skmixup.training.tensor_net import MAX_PREDICTION_ROWS

    def rounds(n_columns):
        X = np.random.default_rng(0).standard_normal((100_000, n_columns), dtype=np.float32)
        y = (X[:, 0] > 0).astype(int)
        clf = MixupClassifier(max_epochs=1, device="cpu", random_state=0).fit(X[:2000], y[:2000])
        mlp = MLPClassifier((256, 256), max_iter=5).fit(X[:2000], y[:2000])
        tensor = torch.from_numpy(X)

        def bare():
            clf.module_.eval()
            with torch.no_grad():
                parts = tensor.split(MAX_PREDICTION_ROWS)
                return torch.cat([clf.module_(part) for part in parts]).softmax(1)

        calls = {
            "MixupClassifier": lambda: clf.predict_proba(X),
            "its module alone": bare,
            "MLPClassifier": lambda: mlp.predict_proba(X),
        }
        return rounds_of(calls, n_rounds)

    return {str(n_columns): rounds(n_columns) for n_columns in (4, 50)}


def one_row(n_rounds: int) -> dict[str, list[float]]:
    """Seconds for predict_proba on one row of 20 columns, 200 times."""
    import numpy as np
    import torch
    from sklearn.neural_network import MLPClassifier

    from skmixup import ManifoldMixupClassifier, MixupClassifier, MixupRegressor

    X = np.random.default_rng(0).standard_normal((1000, 20))
    y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
    mixup = MixupClassifier(max_epochs=1, device="cpu", random_state=0).fit(X, y)
    manifold = ManifoldMixupClassifier(max_epochs=1, device="cpu", random_state=0).fit(X, y)
    regressor = MixupRegressor(max_epochs=1, device="cpu", random_state=0).fit(X, X[:, 0])
    mlp = MLPClassifier((256, 256), max_iter=5).fit(X, y)
    row, tensor = X[:1], torch.from_numpy(X[:1]).float()

    def bare():
        with torch.no_grad():
            return mixup.module_(tensor).softmax(1)

    calls = {
        "MixupClassifier": lambda: mixup.predict_proba(row),
        "ManifoldMixupClassifier": lambda: manifold.predict_proba(row),
        "MixupRegressor": lambda: regressor.predict(row),
        "its module alone": bare,
        "MLPClassifier": lambda: mlp.predict_proba(row),
    }

    def often(call):
        return lambda: [call() for _ in range(200)]

    return rounds_of({name: often(call) for name, call in calls.items()}, 3 * n_rounds)


def memory() -> dict[str, float]:
    """Peak memory of one epoch on 1 000 000 × 50 beyond X, in multiples of X."""
    import numpy as np

    from skmixup import MixupClassifier

    rng = np.random.default_rng(0)
    X = rng.standard_normal((1_000_000, 50), dtype=np.float32)
    y = (X[:, 0] > 0).astype(np.int64)
    MixupClassifier(max_epochs=1, random_state=0, device="cpu").fit(X[:5000], y[:5000])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    net = MixupClassifier(max_epochs=1, random_state=0, device="cpu")
    seconds = timed(lambda: net.fit(X, y))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"beyond X, × X": (after - before) / X.nbytes, "seconds": seconds}


def run_python(code: str) -> None:
    """Run `code` in a fresh interpreter."""
    subprocess.run([sys.executable, "-c", code], check=True)


def imports(n_rounds: int) -> dict[str, float]:
    """What importing skmixup with its estimators adds to importing torch and scikit-learn."""
    base = "import torch, sklearn.base, sklearn.model_selection"
    # skorch is part of what is added: the estimators need it.
    full = base + "; from skmixup import MixupClassifier"
    seconds = rounds_of(
        {"base": lambda: run_python(base), "full": lambda: run_python(full)}, n_rounds
    )
    pairs = zip(seconds["full"], seconds["base"], strict=True)
    return {"added seconds": median(a - b for a, b in pairs)}


def measure(n_rounds: int) -> dict:
    """Everything but memory, in the threads of this process."""
    import torch

    return {
        "threads": torch.get_num_threads(),
        "training": training(n_rounds),
        "prediction": prediction(n_rounds),
        "one row": one_row(n_rounds),
    }


def ratio(seconds: dict[str, list[float]], name: str, other: str) -> float:
    """Median over rounds of the ratio within a round."""
    return median(a / b for a, b in zip(seconds[name], seconds[other], strict=True))


TRIED = """## What was tried to cost less than a loop

Gradients of the small network derived by hand, on flat parameters, take 0.23 of the loop below
(hidden 64-64) and 0.61 (256-256): that is what torch's autograd, optimizer and dispatch cost when
layers are small. Of that we took: fused AdamW; whole-tensor batches instead of a DataLoader;
members averaged only where somebody looks at the outputs (7 % of the default network's epoch);
skorch's profiling wrapper of a step skipped where it has nothing to do; one fetch of the losses
an epoch; AdamW's fused kernel called without the grouping of tensors and wrappers that torch has
around it, which took two thirds of its step (a tenth of the small network's epoch, bit for bit
the same).

Left out: an `autograd.Function` of the whole network with its gradients by hand gained 2 to 6 %;
autograd's engine called past `backward`, by a private method, would gain 5 % by its own time,
step counters of all weights in one tensor 3 %, minibatches as slices of an epoch gathered at once
2 %; `torch.autograd.grad` in the place of `backward` is slower. Hooks that mix at hidden layers
cost 4 % of manifold mixup's step more than a forward written around them. Only a step without
autograd comes to 0.6, and that would be a second definition of network, mixing at hidden layers
and loss beside the first: not built.
"""


def page(results: list[dict]) -> str:
    """The results as Markdown."""
    import torch

    lines = [
        "# Training speed",
        "",
        "Made by `python benchmarks/training/training_speed.py` and `image_speed.py`. Each round "
        "runs all contenders in a random order; medians over rounds, and a ratio is the median of "
        "the ratios within rounds. Ours run with their defaults (fused AdamW, whole-tensor "
        "batches, skorch's history and callbacks included).",
        "",
        f"Machine: {platform.machine()}, {os.cpu_count()} cores (virtual), "
        f"Python {platform.python_version()}, torch {torch.__version__}. It ran other programs at "
        "the same time, so that seconds are those of the process (CPU time) and not of the clock "
        "on the wall, unless said otherwise. Caches and memory are shared all the same: ratios "
        "that differ by 0.03 are equal. With several threads CPU time counts waiting, so those "
        "need a quiet machine.",
        "",
        image_speed.section(),
        TRIED,
    ]
    for result in results:
        threads, clock = result["threads"], {"cpu": "CPU time", "wall": "wall clock"}
        lines += [
            f"## Tables, {threads} thread{'s' * (threads > 1)}, {clock[result['clock']]}",
            "",
            f"The same ReLU network, batch size and AdamW for all, {result['rounds']} rounds; "
            f"load average {result['load']:.0f}.",
            "",
        ]
        for size, seconds in result["training"].items():
            rows = []
            for name, values in seconds.items():
                per = [v / EPOCHS for v in values]
                ratios = [ratio(seconds, name, other) for other in OTHERS]
                spread = f"{min(per):.3f} – {max(per):.3f}"
                rows.append([name, f"{median(per):.3f}", spread, *(f"{r:.2f}" for r in ratios)])
            header = ["", "s / epoch", "min – max", "÷ hand-written loop", "÷ skorch"]
            lines += [f"### {size}", "", table(header, rows)]
        for n_columns, seconds in result["prediction"].items():
            parts = (f"{name} {median(values):.3f} s" for name, values in seconds.items())
            of_module = ratio(seconds, "MixupClassifier", "its module alone")
            lines += [
                f"`predict_proba` on 100 000 × {n_columns} by the default network, four members "
                f"of 256-256: {', '.join(parts)} with one of 256-256. Ours takes {of_module:.2f} "
                "of its module alone on as many rows at once.",
                "",
            ]
        lines += [
            f"One row: {one_row_text(result['one row'])}. Few rows are filled up "
            "to nine, so that the probabilities of a row do not depend on how many come with it.",
            "",
            "One epoch on 1 000 000 × 50 float32 with the defaults: peak memory "
            f"{result['memory']['beyond X, × X']:.2f} × X beyond X itself, "
            f"{result['memory']['seconds']:.1f} s.",
            "",
        ]
        lines += [
            "Importing `skmixup.MixupClassifier` (and skorch with it) adds "
            f"{result['import']['added seconds']:.2f} s to importing torch and scikit-learn.",
            "",
        ]
    return "\n".join(lines)


def one_row_text(seconds: dict[str, list[float]]) -> str:
    """Milliseconds of each, the median and the least."""
    per = {name: [5 * s for s in values] for name, values in seconds.items()}  # of 200 calls
    return ", ".join(f"{n} {median(ms):.2f} ms (least {min(ms):.2f})" for n, ms in per.items())


def run_worker(what: str, n_rounds: int, env: dict[str, str]) -> dict:
    """Measure in a fresh process, whose threads and peak memory are its own."""
    command = [sys.executable, __file__, "--worker", what, "--rounds", str(n_rounds)]
    out = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def main() -> None:
    """Measure for each number of threads in a process of its own, and write the page."""
    parser = command_line(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--wall", action="store_true", help="seconds of the clock on the wall")
    parser.add_argument("--worker", choices=["speed", "memory", "import"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        workers = {"memory": memory, "import": lambda: imports(args.rounds)}
        print(json.dumps(workers.get(args.worker, lambda: measure(args.rounds))()))
        return
    clock = "wall" if args.wall else "cpu"
    for threads in [] if args.report else args.threads:
        number = str(threads)
        env = {**os.environ, "OMP_NUM_THREADS": number, "MKL_NUM_THREADS": number, "CLOCK": clock}
        result = {"clock": clock, "rounds": args.rounds, "load": os.getloadavg()[0]}
        result |= run_worker("speed", args.rounds, env)
        result["memory"] = run_worker("memory", args.rounds, env)
        result["import"] = run_worker("import", args.rounds, env)
        RECORDS.append((threads, clock), [result])
    write_page("training_speed", page([values[0] for values in RECORDS.rows.values()]))


if __name__ == "__main__":
    main()

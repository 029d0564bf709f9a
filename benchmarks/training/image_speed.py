"""Images a second in training, against loops written by hand for the same network.

All contenders of a size and a precision train the default network for images, one after the other
within each round, so that the ratios of a round share the machine's state. Measured in seconds of
one core (CPU time), which other programs disturb less than the clock on the wall.

    OMP_NUM_THREADS=1 python benchmarks/training/image_speed.py [--rounds 7]

With `--compile` it measures what `compile=True` costs and gives, in processes of their own.
It goes on where it was stopped; `training_speed.py --report` writes the page with it.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.records import Records, table

# channels, pixels a side
SIZES = [(1, 28), (3, 32)]
PRECISIONS = ("float32", "bfloat16")
N_IMAGES, BATCH_SIZE, EPOCHS = 1024, 128, 1
NAMES = (
    "MixupClassifier",
    "mixup written by hand",
    "ManifoldMixupClassifier",
    "manifold mixup written by hand",
    "mixup written by hand, channels first",
)
RECORDS = Records("image_speed", n_keys=4)  # channels, side, precision, round → seconds of NAMES
# precision, compiled → seconds of the first epoch, of a later one, of the first prediction
COMPILED = Records("image_speed_compiled", n_keys=2)
N_COMPILED = 512  # images


def hand_written(
    X: Any, y: Any, precision: str, *, manifold: bool = False, channels_last: bool = True
) -> Callable[[], None]:
    """The loop of a careful tutorial: normalised before, channels last, autocast, fused AdamW."""
    import numpy as np
    import torch
    import torch.nn.functional as F

    from skmixup.networks import PreActResNet

    order = torch.channels_last if channels_last else torch.contiguous_format
    X, y = torch.from_numpy(X).float(), torch.from_numpy(y)
    X = (X - X.mean(dim=(0, 2, 3), keepdim=True)) / X.std(dim=(0, 2, 3), keepdim=True)
    X = X.contiguous(memory_format=order)
    net = PreActResNet(X.shape[1], 10, scale_inputs=False).to(memory_format=order)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, fused=True)

    def mixed_output(x: Any, lam: float, partner: Any, layer: int) -> Any:
        h = lam * x + (1 - lam) * x[partner] if layer == 0 else x
        h = net.stem(h)
        for i, stage in enumerate(net.stages, start=1):
            h = stage(h)
            if i == layer:
                h = lam * h + (1 - lam) * h[partner]
        return net.head(net.relu(net.norm(h)).mean(dim=(2, 3)))

    def epochs() -> None:
        net.train()
        for _ in range(EPOCHS):
            order, total = torch.randperm(len(X)), 0.0
            for start in range(0, len(X), BATCH_SIZE):
                index = order[start : start + BATCH_SIZE]
                xb, yb = X[index], y[index]
                lam = float(np.random.beta(1.0, 1.0))  # noqa: NPY002 - as tutorials have it
                partner = torch.randperm(len(xb))
                layer = int(np.random.randint(3)) if manifold else 0  # noqa: NPY002
                with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                    output = mixed_output(xb, lam, partner, layer)
                    loss = lam * F.cross_entropy(output, yb)
                    loss = loss + (1 - lam) * F.cross_entropy(output, yb[partner])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item()

    return epochs


def ours(X: Any, y: Any, precision: str, estimator: Any) -> Callable[[], object]:
    """An estimator with its defaults: pixels of uint8 as they come, the network's own scaling."""
    net = estimator(
        alpha=1.0,
        precision=precision,
        batch_size=BATCH_SIZE,
        max_epochs=EPOCHS,
        random_state=0,
        device="cpu",
    ).fit(X[:256], y[:256])
    return lambda: net.partial_fit(X, y)


def contenders(n_channels: int, side: int, precision: str) -> dict[str, Callable[[], object]]:
    """What is timed on images of one size, in one precision."""
    import numpy as np

    from skmixup import ManifoldMixupClassifier, MixupClassifier

    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (N_IMAGES, n_channels, side, side), dtype=np.uint8)
    y = np.arange(N_IMAGES) % 10
    runs = (
        ours(X, y, precision, MixupClassifier),
        hand_written(X, y, precision),
        ours(X, y, precision, ManifoldMixupClassifier),
        hand_written(X, y, precision, manifold=True),
        hand_written(X, y, precision, channels_last=False),
    )
    return dict(zip(NAMES, runs, strict=True))


def measure(n_rounds: int) -> None:
    """Run the rounds that are not there yet."""
    import torch

    torch.set_num_threads(1)
    for n_channels, side in SIZES:
        for precision in PRECISIONS:
            keys = [(n_channels, side, precision, i) for i in range(n_rounds)]
            if all(key in RECORDS.rows for key in keys):
                continue
            timed = contenders(n_channels, side, precision)
            for run in timed.values():
                run()
            for key in keys:
                RECORDS.run([key], lambda *key, timed=timed: _round(timed, key[-1]))


def _round(timed: dict[str, Callable[[], object]], number: int) -> list[float]:
    seconds = {}
    for name in random.Random(number).sample(NAMES, len(NAMES)):
        start = time.process_time()
        timed[name]()
        seconds[name] = round(time.process_time() - start, 4)
    return [seconds[name] for name in NAMES]


def compiled(precision: str, compile: bool) -> list[float]:
    """Measure in a new process, with nothing compiled before."""
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **os.environ,
            "TORCHINDUCTOR_CACHE_DIR": folder,
            "TORCHINDUCTOR_COMPILE_THREADS": "1",  # others' time would not be seen
        }
        command = [sys.executable, __file__, "--worker", precision, str(int(compile))]
        out = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def worker(precision: str, compile: str) -> list[float]:
    """Train on minibatches of one shape, and predict; seconds of this process and its children."""
    import numpy as np
    import torch

    from skmixup import MixupClassifier

    def seconds(run: Callable[[], object]) -> float:
        before = _used()
        run()
        return round(_used() - before, 3)

    torch.set_num_threads(1)
    X = np.random.default_rng(0).integers(0, 256, (N_COMPILED, 1, 28, 28), dtype=np.uint8)
    y = np.arange(N_COMPILED) % 10
    net = MixupClassifier(alpha=1.0, precision=precision, compile=bool(int(compile)),
                          batch_size=BATCH_SIZE, iterator_train__drop_last=True, max_epochs=1,
                          random_state=0, device="cpu")  # fmt: skip
    first = seconds(lambda: net.fit(X, y))
    later = median(seconds(lambda: net.partial_fit(X, y)) for _ in range(5))
    return [first, later, seconds(lambda: net.predict(X))]


def _used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def compilation() -> list[str]:
    """What compiling costs and gives, in Markdown."""
    rows = []
    for precision in PRECISIONS:
        if not all((precision, on) in COMPILED.rows for on in (False, True)):
            continue
        plain, compiled = COMPILED.rows[precision, False], COMPILED.rows[precision, True]
        cost = sum(compiled[i] - plain[i] for i in (0, 2))
        saved = (plain[1] - compiled[1]) / N_COMPILED
        pays = (
            f"{cost / saved / 1000:.0f} 000 images"
            if saved > 0.02 * plain[1] / N_COMPILED
            else "never"
        )
        rows.append([precision, f"{compiled[0] - plain[0]:.0f}", f"{compiled[2] - plain[2]:.0f}",
                     f"{plain[1] / compiled[1]:.2f}", pays])  # fmt: skip
    header = [
        "precision",
        "s to compile training",
        "s to compile prediction",
        "images a second, times",
        "pays after",
    ]
    return [
        f"`compile=True` for {N_COMPILED} images of 1 × 28 × 28, minibatches of one shape "
        "(`iterator_train__drop_last=True`), nothing compiled before:",
        "",
        table(header, rows),
    ]


def section() -> str:
    """What has been measured, in Markdown."""
    rows = []
    for n_channels, side in SIZES:
        for precision in PRECISIONS:
            key = (n_channels, side, precision)
            rounds = [values for k, values in RECORDS.rows.items() if k[:3] == key]
            if not rounds:
                continue
            a_second = [N_IMAGES * EPOCHS / median(values) for values in zip(*rounds, strict=True)]
            own, manifold = (
                median(row[j] / row[i] for row in rounds) for i, j in ((0, 1), (2, 3))
            )
            cells = [f"{n_channels} × {side} × {side}", precision]
            cells += [f"{value:.0f}" for value in a_second]
            rows.append([*cells, f"{own:.2f}", f"{manifold:.2f}", str(len(rounds))])
    header = ["images", "precision", *NAMES, "mixup: ours ÷ by hand", "manifold", "rounds"]
    return "\n".join(
        [
            "## Images",
            "",
            "Images in a second of CPU time, one thread: the default network for images, "
            f"minibatches of {BATCH_SIZE}, {N_IMAGES} images of uint8 made up, one epoch a "
            "call. The loops written by hand have the images as normalised floats beforehand, "
            "channels last, autocast and fused AdamW, and draw the layer of manifold mixup from "
            "the same three; ours get uint8 and do all of that themselves. A ratio over 1 means "
            "that ours is faster: the median over rounds of the ratios within a round.",
            "",
            table(header, rows),
            *compilation(),
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compile", action="store_true", help="measure what compiling costs")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(worker(*args.worker)))
    elif args.compile:
        COMPILED.run([(p, on) for p in PRECISIONS for on in (False, True)], compiled)
    else:
        measure(args.rounds)
        print(section())

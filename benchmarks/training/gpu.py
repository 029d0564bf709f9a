"""What a GPU gives: the CUDA tests, images and table rows a second, many small networks at once.

    python benchmarks/training/gpu.py [--minutes 8]

is all there is to it: under nine minutes on one GPU, at whose end stands its page. Where there is
none the page stays as it is. ``--dry-run`` goes through all of it on the CPU with tiny sizes, and
writes nothing.

Ours and a hand-written loop train the same network on the same rows with the same precision,
memory order and optimizer, by turns; the data are on the device for both. A round is an epoch; the
first of each, which compiles, is not counted.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.records import table, write_page

ROOT = Path(__file__).parents[2]

# Images: rows, batch, depths, width, rounds. Table: rows, features. Small networks: number, rows,
# epochs.
FULL = {
    "images": (20_480, 512, (2, 2, 2, 2), 64, 4),
    "table": (200_000, 50),
    "many": (40, 4096, 5),
}
TINY = {"images": (64, 32, (1, 1), 4, 2), "table": (500, 10), "many": (2, 256, 1)}
COMMAND = "Made by `python benchmarks/training/gpu.py`."


def synchronised(device):
    """The time, once the device has done all that it was asked."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def cells(measure, n, device):
    """What `measure` returns; on a GPU, where it fails, why it does, and the rest goes on."""
    try:
        return measure()
    except Exception as error:
        if device != "cuda":
            raise
        told = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}".replace(
            "|", "/"
        )
        return (*["–"] * (n - 1), told)


# ---- tests


def tests(seconds):
    """The last line of what pytest says of the tests that need CUDA, and whether they pass."""
    pytest = [sys.executable, "-m", "pytest", "-q", "-m", "cuda", "-p", "no:cacheprovider"]
    if find_spec("xdist"):  # beside which pytest-benchmark warns
        pytest += ["-n", str(min(8, os.cpu_count() or 1)), "-p", "no:benchmark"]
    # Warnings of other versions of torch are no errors: it deprecates what it imports itself.
    pytest += ["-W", "ignore::DeprecationWarning"]
    files = [
        str(file)
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        if "pytest.mark.cuda" in file.read_text(encoding="utf-8")
    ]
    try:
        done = subprocess.run(
            [*pytest, *files],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not finished after {seconds:.0f} s", False
    told = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    lines = done.stdout.strip().splitlines() or ["no output"]
    return "; ".join([lines[-1], *told[:10]]), done.returncode in (0, 5)


# ---- images

VARIANTS = [
    ("float32", {}, False, False),
    ("bfloat16, channels last", {"precision": "bfloat16"}, True, False),
    ("bfloat16, channels last, compiled", {"precision": "bfloat16", "compile": True}, True, True),
]


def image_rows(n_rows):
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.normal(size=(n_rows, 3, 32, 32)).astype(np.float32), rng.integers(0, 10, n_rows)


def hand_written_epochs(X, y, sizes, device, low, compiled):
    """A generator of seconds: mixup of a ResNet as a careful user writes it."""
    import torch
    import torch.nn.functional as F

    from skmixup.networks import PreActResNet

    batch, depths, width = sizes[1:4]
    layout = torch.channels_last if low else torch.contiguous_format
    net = PreActResNet(3, 10, depths=depths, width=width).to(device, memory_format=layout)
    run = torch.compile(net) if compiled else net
    options = {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    optimizer = torch.optim.SGD(net.parameters(), **options, fused=True)
    X = torch.from_numpy(X).to(device, memory_format=layout)
    y = torch.from_numpy(y).to(device)
    beta = torch.distributions.Beta(1.0, 1.0)
    while True:
        begin = synchronised(device)
        losses = []
        order = torch.randperm(len(X), device=device)
        for index in order.split(batch):
            x, target = X[index], y[index]
            lam, partner = float(beta.sample()), torch.randperm(len(x), device=device)
            x = torch.lerp(x[partner], x, lam)
            with torch.autocast(device, torch.bfloat16, enabled=low):
                output = run(x)
            output = output.float()
            loss = lam * F.cross_entropy(output, target)
            loss = loss + (1 - lam) * F.cross_entropy(output, target[partner])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        torch.stack(losses).sum().item()
        yield synchronised(device) - begin


def our_epochs(X, y, sizes, device, params):
    """The same by an estimator: seconds of each epoch, by skorch's own clock."""
    import torch

    from skmixup import MixupClassifier

    batch, depths, width = sizes[1:4]
    net = MixupClassifier(
        alpha=1.0,
        module__depths=depths,
        module__width=width,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        optimizer__nesterov=True,
        optimizer__weight_decay=5e-4,
        lr=0.1,
        batch_size=batch,
        random_state=0,
        device=device,
        **params,
    )
    while True:  # two epochs a call, of which the first moves the data
        net.partial_fit(X, y, epochs=2)
        yield net.history_[-1, "dur"]


def images(sizes, device, deadline):
    """Images a second of ours and of the loop, and the median of their ratios."""
    n_rows, *_, rounds = sizes
    X, y = image_rows(n_rows)
    rows = []
    for name, params, low, compiled in VARIANTS:
        if compiled and device == "cpu":
            continue  # a dry run would take a minute
        if time.monotonic() > deadline:
            rows.append((name, "–", "–", "–", "no time left"))
            continue

        def pair(params=params, low=low, compiled=compiled):
            begin = time.perf_counter()
            ours = our_epochs(X, y, sizes, device, params)
            theirs = hand_written_epochs(X, y, sizes, device, low, compiled)
            next(ours), next(theirs)
            first = time.perf_counter() - begin
            pairs = [(next(ours), next(theirs)) for _ in range(rounds)]
            speeds = [f"{n_rows / median(column):.0f}" for column in zip(*pairs, strict=True)]
            ratio = median(loop / own for own, loop in pairs)
            return (*speeds, f"{ratio:.2f}", f"{first:.0f}")

        rows.append((name, *cells(pair, 4, device)))
    header = ("ResNet-18, 32 × 32", "ours, images / s", "loop, images / s", "ours ÷ loop")
    return table((*header, "s before the first round"), rows)


# ---- tables


def tables(sizes, device):
    """Rows a second of the default for tables, on the device and on the CPU."""
    import numpy as np

    from skmixup import MixupClassifier

    n_rows, n_features = sizes
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_features)).astype(np.float32)
    y = (X[:, 0] + 0.3 * rng.normal(size=n_rows) > 0).astype(int)
    graphs = {"compile": True, "compile__mode": "reduce-overhead"}
    kinds = [
        ("default", device, {}),
        ("default, batches of 4096", device, {"batch_size": 4096}),
        *([("CUDA graphs", device, graphs)] if device == "cuda" else []),
        ("default, on the CPU", "cpu", {}),
    ]
    rows = []
    for name, where, params in kinds:

        def fit(where=where, params=params):
            net = MixupClassifier(device=where, random_state=0, **params)
            net.partial_fit(X, y, epochs=3)
            seconds = min(net.history_[-2:, "dur"])
            return f"{n_rows / seconds:.0f}", f"{net.score(X, y):.3f}"

        rows.append((name, *cells(fit, 2, device)))
    return table((f"{n_rows} × {n_features}", "rows / s", "accuracy on these rows"), rows)


# ---- many small networks


def many(sizes, device):
    """Seconds for k small networks: fits one by one, and all in one by torch.func."""
    import numpy as np
    import torch
    import torch.nn.functional as F
    from torch import nn
    from torch.func import functional_call, grad, stack_module_state, vmap

    from skmixup import VicinalClassifier

    n_networks, n_rows, n_epochs = sizes
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 20)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(int)

    def network():
        return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(),
                             nn.Linear(64, 2))  # fmt: skip

    def one_by_one(k):
        params = {"batch_size": 128, "max_epochs": n_epochs, "lr_schedule": None, "lr": 1e-3}
        return [
            VicinalClassifier(network, device=device, random_state=i, **params).fit(X, y)
            for i in range(k)
        ]

    rows, labels = torch.from_numpy(X).to(device), torch.from_numpy(y).to(device)

    def at_once(k):
        nets = [network().to(device) for _ in range(k)]
        base = network().to("meta")
        weights, buffers = stack_module_state(nets)
        optimizer = torch.optim.AdamW(weights.values(), lr=1e-3, fused=True)

        def loss(own, x, target):
            return F.cross_entropy(functional_call(base, (own, buffers), (x,)), target)

        gradients = vmap(grad(loss))
        for _ in range(n_epochs):
            order = torch.rand(k, len(rows), device=device).argsort(dim=1)
            for index in order.split(128, dim=1):
                found = gradients(weights, rows[index], labels[index])
                for name, weight in weights.items():
                    weight.grad = found[name]
                optimizer.step()

    lines = []
    for name, train in (("estimators, one by one", one_by_one), ("torch.func.vmap", at_once)):
        train(2)
        begin = synchronised(device)
        train(n_networks)
        lines.append((name, f"{synchronised(device) - begin:.2f}"))
    return table((f"{n_networks} networks, {n_rows} rows, {n_epochs} epochs", "s"), lines)


# ---- the page


def page(sizes, device, minutes):
    """All sections, the tests first; a section that fails says why and the others go on."""
    import torch

    end = time.monotonic() + 60 * minutes
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    parts = [
        f"# On a GPU\n\n{COMMAND} {name}, torch {torch.__version__}, Python "
        f"{platform.python_version()}.\n\n## CUDA tests\n"
    ]
    told, passed = tests(20 * minutes) if device == "cuda" else ("not run", True)
    parts.append(f"{'Passed' if passed else 'NOT passed'}: {told}.\n")
    sections = [
        ("Images", lambda: images(sizes["images"], device, end - 120)),
        ("The default for tables", lambda: tables(sizes["table"], device)),
        ("Many small networks", lambda: many(sizes["many"], device)),
    ]
    for title, section in sections:
        try:
            text = section() if time.monotonic() < end - 30 else "No time was left.\n"
        except Exception as error:
            if device != "cuda":
                raise
            text = f"Failed: {type(error).__name__}: {str(error)[:500]}\n"
        parts += [f"## {title}\n", text]
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8, help="at most; default: 8")
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes, on the CPU, no page")
    args = parser.parse_args()
    import torch

    if args.dry_run:
        print(page(TINY, "cpu", args.minutes))
    elif torch.cuda.is_available():
        write_page("gpu", page(FULL, "cuda", args.minutes))
    else:
        sys.exit("no CUDA device: the page stays as it is (--dry-run tries all of it on the CPU)")


if __name__ == "__main__":
    main()

"""Error with few labels: supervised, mixup, interpolation consistency, self-training, spreading.

    OMP_NUM_THREADS=1 python benchmarks/semi_supervised.py digits phishing fashion digits_images
    python benchmarks/semi_supervised.py --report

Every result is kept in results/semi_supervised.jsonl as soon as it is there, and is not computed
again; ``--report`` writes results/semi_supervised.md from what is there.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from semi_supervised_data import split
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from torch import nn

from skmixup.estimators import (
    InterpolationConsistencyClassifier,
    MixupClassifier,
    VicinalClassifier,
)

RESULTS = Path(__file__).parent / "results"
# Settings were tried on seeds 0, 1, 2 of digits with 5 labels per class only.
SEEDS = range(10, 20)
LABELS_PER_CLASS = {
    "digits": (2, 5, 10),
    "digits_images": (2, 5, 10),
    "phishing": (5, 25),
    "fashion": (10, 50),
}
EPOCHS = {"digits": 128, "digits_images": 64, "phishing": 40, "fashion": 20}
METHODS = ("supervised", "mixup", "ours", "self-training", "spreading", "ours, labels mixed")


def small_cnn():
    """Two convolutions with BatchNorm for 8 × 8 images."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        nn.Sequential(nn.Conv2d(16, 32, 3, 2, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
        nn.Flatten(),
        nn.Linear(32 * 16, 10),
    )


def make(method, name, seed):
    """The classifier of one line of the table."""
    module = small_cnn if name == "digits_images" else None
    supervised = {"module": module, "lr": 0.003, "max_epochs": 100, "random_state": seed}
    if method == "supervised":
        return VicinalClassifier(**supervised)
    if method == "mixup":
        return MixupClassifier(alpha=0.4, **supervised)
    if method == "self-training":
        base = VicinalClassifier(**{**supervised, "max_epochs": 30, "batch_size": 64})
        return SelfTrainingClassifier(base, max_iter=5)
    if method == "spreading":
        return LabelSpreading(kernel="knn", n_neighbors=7)
    return InterpolationConsistencyClassifier(
        module,
        labeled_alpha=0 if method == "ours" else 1.0,
        unlabeled_weight=30.0,
        lr=0.01,
        batch_size=128,
        max_epochs=EPOCHS[name],
        random_state=seed,
    )


def error(method, name, labels_per_class, seed):
    """Error on test rows, and seconds of the processor."""
    X, y, X_test, y_test = split(name, labels_per_class, seed)
    if method == "spreading":
        X, X_test = X.reshape(len(X), -1), X_test.reshape(len(X_test), -1)
    if method in ("supervised", "mixup"):
        X, y = X[y >= 0], y[y >= 0]
    start = time.process_time()
    with warnings.catch_warnings():
        # rows that no label reaches in the neighbour graph
        warnings.filterwarnings("ignore", "invalid value encountered in divide")
        clf = make(method, name, seed).fit(X, y)
    seconds = time.process_time() - start
    return float(np.mean(clf.predict(X_test) != y_test)), seconds


def run(names):
    """Compute what is missing."""
    torch.set_num_threads(1)
    done = set(read())
    with (RESULTS / "semi_supervised.jsonl").open("a") as file:
        for seed in SEEDS:
            for name in names:
                for labels_per_class in LABELS_PER_CLASS[name]:
                    for method in METHODS:
                        key = (name, labels_per_class, method, seed)
                        skip = name == "digits_images" and method == "self-training"
                        if key in done or skip:
                            continue
                        found, seconds = error(method, name, labels_per_class, seed)
                        file.write(json.dumps([*key, found, round(seconds, 2)]) + "\n")
                        file.flush()
                        print(*key, f"{found:.3f} {seconds:.1f} s", flush=True)


def read():
    """Results so far: (name, labels, method, seed) → (error, seconds)."""
    file = RESULTS / "semi_supervised.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    rows = [json.loads(line) for line in lines]
    return {tuple(row[:4]): tuple(row[4:]) for row in rows}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*LABELS_PER_CLASS, []])
    parser.add_argument("--report", action="store_true")
    arguments = parser.parse_args()
    run(arguments.names)

"""Data sets of which a few rows of each class keep their label, for semi_supervised.py.

Files in the folder named by the environment variable SKMIXUP_DATA come first (Phishing), then
Debian's package dataset-fashion-mnist, then ``fetch_openml``.
"""

import gzip
import os
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.datasets import fetch_openml, load_digits
from sklearn.model_selection import train_test_split

FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
N_UNLABELED = {"digits": 1257, "digits_images": 1257, "phishing": 4000, "fashion": 10_000}


def split(name, labels_per_class, seed):
    """Training rows, their labels (−1: hidden), test rows and labels; features in [−1, 1]."""
    X, y = _load(name)
    n_train = N_UNLABELED[name]
    X_train, X_test, y_train, y_test = train_test_split(
        X,
        y,
        train_size=n_train,
        test_size=min(len(X) - n_train, 5000),
        stratify=y,
        random_state=seed,
    )
    rng = np.random.default_rng(seed)
    partly = np.full(len(y_train), -1)
    for c in np.unique(y):
        rows = rng.choice(np.flatnonzero(y_train == c), labels_per_class, replace=False)
        partly[rows] = c
    return X_train, partly, X_test, y_test


@cache
def _load(name):
    if name.startswith("digits"):
        X, y = load_digits(return_X_y=True)
        X = (X / 8 - 1).astype(np.float32)
        return (X.reshape(-1, 1, 8, 8) if name == "digits_images" else X), y
    return _phishing() if name == "phishing" else _fashion()


def _phishing():
    file = Path(os.environ.get("SKMIXUP_DATA", ".")) / "uci" / "phishing.csv.gz"
    if file.exists():
        table = np.loadtxt(file, delimiter=",", skiprows=1, dtype=np.float32)
        X, y = table[:, :-1], table[:, -1]
    else:
        X, y = fetch_openml("PhishingWebsites", version=1, return_X_y=True, as_frame=False)
    # its own label −1 would mean "unlabelled"
    return X.astype(np.float32), (y.astype(int) > 0).astype(int)


def _fashion():
    if FASHION_FOLDER.exists():
        X = _idx("train-images-idx3-ubyte.gz", 16).reshape(-1, 784)
        y = _idx("train-labels-idx1-ubyte.gz", 8).astype(int)
    else:
        X, y = fetch_openml("Fashion-MNIST", version=1, return_X_y=True, as_frame=False)
        X, y = X[:60_000], y[:60_000].astype(int)
    return (X / np.float32(127.5) - 1).astype(np.float32), y


def _idx(name, header):
    with gzip.open(FASHION_FOLDER / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)

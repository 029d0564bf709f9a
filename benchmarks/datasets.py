"""The one loader of real data for the benchmarks.

A table comes from the folder named by the environment variable SKMIXUP_DATA, from scikit-learn's
bundled sets, or from OpenML, in this order; Fashion-MNIST from Debian's package
dataset-fashion-mnist or from OpenML.

    table = load("crx")  # table.X: DataFrame, table.y: labels
"""

import gzip
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import (
    fetch_openml,
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
)

FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
FASHION_OPENML = 40996
BUNDLED = {
    "iris": load_iris,
    "wine": load_wine,
    "breast_cancer": load_breast_cancer,
    "digits": load_digits,
}
# rows, columns and OpenML's number of the same set; None: not there, or not in this form
_TABULAR = {
    "banana": (5300, 2, 1460),
    "bands": (365, 19, None),
    "chess": (3196, 36, 3),
    "contraceptive": (1473, 9, 23),
    "crx": (653, 15, 29),
    "heart": (270, 13, 53),
    "ionosphere": (351, 33, 59),
    "led7digit": (500, 7, 40496),
    "mammographic": (830, 5, None),
    "marketing": (6876, 13, None),
    "movement_libras": (360, 90, 299),
    "mushroom": (5644, 22, 24),
    "saheart": (462, 9, 1498),
    "sonar": (208, 60, 40),
    "tic-tac-toe": (958, 9, 50),
    "titanic": (2201, 3, 40704),
    "twonorm": (7400, 20, 1507),
    "wisconsin": (683, 9, 15),
}
_UCI = {
    "abalone": (4177, 8, 183),
    "adult": (48842, 14, 1590),
    "arcene": (200, 10000, 1458),
    "arrhythmia": (452, 279, 5),
    "htru2": (17898, 8, None),
    "phishing": (11055, 30, 4534),
}
TABULAR = tuple(_TABULAR)  # the development sets, from the KEEL collection
UCI = tuple(_UCI)


@dataclass(frozen=True)
class Table:
    """A table and one label per row.

    Numbers are numeric columns, codes of categories included where the source has only codes;
    text columns hold strings; a missing value is NaN.
    """

    name: str
    X: pd.DataFrame
    y: NDArray[Any]


@dataclass(frozen=True)
class Images:
    """Grey images of one byte a pixel, (n, height, width), and their labels, 0 … 9."""

    X: NDArray[np.uint8]
    y: NDArray[np.int64]
    X_test: NDArray[np.uint8]
    y_test: NDArray[np.int64]


def load(name: str) -> Table:
    """Load a table by its name: one of `TABULAR`, `UCI` or `BUNDLED`."""
    if name in BUNDLED:
        bunch = BUNDLED[name](as_frame=True)
        return Table(name, bunch.data, bunch.target.to_numpy())
    if name not in _TABULAR and name not in _UCI:
        raise ValueError(f"no table {name!r}; there are {[*BUNDLED, *TABULAR, *UCI]}")
    folder, sets = ("tabular", _TABULAR) if name in _TABULAR else ("uci", _UCI)
    file = Path(os.environ.get("SKMIXUP_DATA", ".")) / folder / f"{name}.csv.gz"
    if file.exists():
        frame = pd.read_csv(file)
        return Table(name, frame.drop(columns="target"), _labels(frame["target"]))
    return _from_openml(name, *sets[name], file=file)


def _from_openml(name: str, n_rows: int, n_columns: int, number: int | None, file: Path) -> Table:
    missing = f"{name}: there is no file {file} (is SKMIXUP_DATA set?)"
    if number is None:
        raise FileNotFoundError(f"{missing}, and OpenML does not have this set in this form")
    try:
        bunch = fetch_openml(data_id=number, as_frame=True, parser="auto")
    except (URLError, OSError) as error:
        raise FileNotFoundError(f"{missing}, and OpenML could not be reached: {error}") from error
    X, y = bunch.data.apply(_plain), _labels(_plain(bunch.target))
    if name in _TABULAR:  # KEEL leaves out rows with missing values
        complete = X.notna().all(axis=1).to_numpy()
        X, y = X[complete].reset_index(drop=True), y[complete]
    if X.shape != (n_rows, n_columns):
        warnings.warn(
            f"{name}: OpenML's set {number} has shape {X.shape}, the one of the result pages "
            f"{(n_rows, n_columns)}; results will differ",
            stacklevel=3,
        )
    return Table(name, X, y)


def _plain(column: pd.Series) -> pd.Series:
    """OpenML's nominal columns as numbers where all their values are numbers, else as strings."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return column
    text = column.astype("str")
    numbers = pd.to_numeric(text, errors="coerce")
    return numbers if numbers.notna().equals(text.notna()) else text


def _labels(column: pd.Series) -> NDArray[Any]:
    if not pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=str)
    codes = column.to_numpy().astype(np.int64)
    if np.any(codes != column.to_numpy()):
        raise ValueError("labels that are numbers must be integers")
    return codes


def load_fashion() -> Images:
    """Fashion-MNIST: 60 000 training and 10 000 test images, 28 × 28."""
    if FASHION_FOLDER.exists():
        parts = []
        for part in ("train", "t10k"):
            parts.append(_idx(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28))
            parts.append(_idx(f"{part}-labels-idx1-ubyte.gz", 8).astype(np.int64))
        return Images(*parts)
    try:
        X, y = fetch_openml(data_id=FASHION_OPENML, return_X_y=True, as_frame=False)
    except (URLError, OSError) as error:
        raise FileNotFoundError(
            f"Fashion-MNIST: neither {FASHION_FOLDER} is there (Debian's package "
            f"dataset-fashion-mnist), nor could OpenML be reached: {error}"
        ) from error
    X, y = X.astype(np.uint8).reshape(-1, 28, 28), y.astype(np.int64)
    return Images(X[:60_000], y[:60_000], X[60_000:], y[60_000:])


def _idx(name: str, header: int) -> NDArray[np.uint8]:
    with gzip.open(FASHION_FOLDER / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)

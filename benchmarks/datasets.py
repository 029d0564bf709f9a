"""The one loader of real data for the benchmarks.

A table comes from the folder named by the environment variable SKMIXUP_DATA, from scikit-learn's
bundled sets, or from OpenML, in this order; Fashion-MNIST from Debian's package
dataset-fashion-mnist or from OpenML; CIFAR-10, as JPEG, from that folder only.

    table = load("crx")  # table.X: DataFrame, table.y: labels
"""

import gzip
import os
import tarfile
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
    load_diabetes,
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
# Rows, columns and OpenML's number of the same set; empty: not there, or not in this form.
_SETS = pd.read_csv(
    Path(__file__).with_suffix(".csv"), index_col="name", dtype={"openml": "Int64"}
)
TABULAR = tuple(
    _SETS.index[_SETS.folder == "tabular"]
)  # the development sets, from the KEEL collection
UCI = tuple(_SETS.index[_SETS.folder == "uci"])


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
    """Images of one byte a pixel and their labels, 0 … 9.

    (n, height, width) grey, (n, 3, height, width) coloured.
    """

    X: NDArray[np.uint8]
    y: NDArray[np.int64]
    X_test: NDArray[np.uint8]
    y_test: NDArray[np.int64]


def load(name: str) -> Table:
    """Load a table by its name: one of `TABULAR`, `UCI` or `BUNDLED`."""
    if name in BUNDLED:
        bunch = BUNDLED[name](as_frame=True)
        return Table(name, bunch.data, bunch.target.to_numpy())
    if name not in _SETS.index:
        raise ValueError(f"no table {name!r}; there are {[*BUNDLED, *TABULAR, *UCI]}")
    source = _SETS.loc[name]
    file = Path(os.environ.get("SKMIXUP_DATA", ".")) / source.folder / f"{name}.csv.gz"
    if file.exists():
        frame = pd.read_csv(file)
        return Table(name, frame.drop(columns="target"), _labels(frame["target"]))
    return _from_openml(name, source, file)


REGRESSION = (
    *("abalone", "auto_imports", "bank32nh", "cal_housing", "cpu_act", "kin8nm"),
    *("winequality_red", "diabetes"),
)


def load_regression(name: str) -> Table:
    """Load a table whose `y` is a number: one of `REGRESSION`."""
    if name not in REGRESSION:
        raise ValueError(f"no table {name!r}; there are {list(REGRESSION)}")
    if name == "diabetes":
        bunch = load_diabetes(as_frame=True)
        return Table(name, bunch.data, bunch.target.to_numpy(dtype=float))
    file = Path(os.environ.get("SKMIXUP_DATA", ".")) / "regression" / f"{name}.csv.gz"
    if not file.exists():
        raise FileNotFoundError(f"{name}: there is no file {file} (is SKMIXUP_DATA set?)")
    frame = pd.read_csv(file)
    return Table(name, frame.drop(columns="target"), frame["target"].to_numpy(dtype=float))


def _from_openml(name: str, source: pd.Series, file: Path) -> Table:
    missing = f"{name}: there is no file {file} (is SKMIXUP_DATA set?)"
    if pd.isna(source.openml):
        raise FileNotFoundError(f"{missing}, and OpenML does not have this set in this form")
    try:
        bunch = fetch_openml(data_id=int(source.openml), as_frame=True, parser="auto")
    except (URLError, OSError) as error:
        raise FileNotFoundError(f"{missing}, and OpenML could not be reached: {error}") from error
    X, y = bunch.data.apply(_plain), _labels(_plain(bunch.target))
    if source.folder == "tabular":  # KEEL leaves out rows with missing values
        complete = X.notna().all(axis=1).to_numpy()
        X, y = X[complete].reset_index(drop=True), y[complete]
    if X.shape != (source.rows, source.columns):
        warnings.warn(
            f"{name}: OpenML's set {source.openml} has shape {X.shape}, the one of the result "
            f"pages {(source.rows, source.columns)}; results will differ",
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


def load_cifar10() -> Images:
    """CIFAR-10 in lossy JPEG: 50 000 training and 10 000 test images, 3 × 32 × 32."""
    file = Path(os.environ.get("SKMIXUP_DATA", ".")) / "cifar10-jpeg.tar.xz"
    if not file.exists():
        raise FileNotFoundError(f"CIFAR-10: there is no file {file} (is SKMIXUP_DATA set?)")
    from PIL import Image  # comes with matplotlib

    found: dict[str, tuple[list[Any], list[str]]] = {"train": ([], []), "test": ([], [])}
    with tarfile.open(file) as archive:
        for member in archive:  # train/<class>/NNNN.jpg
            part, *names = member.name.split("/")
            if member.isfile() and part in found and len(names) == 2:
                pixels, labels = found[part]
                pixels.append(np.asarray(Image.open(archive.extractfile(member)).convert("RGB")))
                labels.append(names[0])
    classes = sorted(set(found["train"][1]))
    parts: list[Any] = []
    for pixels, labels in found.values():
        parts += [np.stack(pixels).transpose(0, 3, 1, 2).copy(), np.searchsorted(classes, labels)]
    return Images(*parts)


def _idx(name: str, header: int) -> NDArray[np.uint8]:
    with gzip.open(FASHION_FOLDER / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def halved(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means of 2 × 2 pixels, in 0 … 1: (n, height, width) → (n, 1, height / 2, width / 2)."""
    n, height, width = images.shape
    squares = images.reshape(n, 1, height // 2, 2, width // 2, 2)
    return squares.mean(axis=(3, 5), dtype=np.float32) / np.float32(255)

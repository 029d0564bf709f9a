"""Learners on real data for tuning_regret.py: what a search finds, on data it has not seen.

Each seed splits a table into halves for training, a quarter to choose by and a quarter to report.
Tables longer than 400 rows give each seed its own 400.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.tuning.methods import BUDGETS, longest, search
from skmixup.design.factors import Category, Continuum, LogIntegers

BOOSTING = {
    "learning_rate": Continuum(0.01, 0.5, log=True),
    "max_leaf_nodes": LogIntegers(4, 64),
    "min_samples_leaf": LogIntegers(2, 50),
    "l2_regularization": Continuum(1e-4, 10, log=True),
    "max_iter": LogIntegers(10, 60),
}
SUPPORT_VECTORS = {"C": Continuum(1e-2, 1e4, log=True), "gamma": Continuum(1e-6, 1e0, log=True)}
NETWORK = {
    "alpha": Continuum(0.05, 4, log=True),
    "lr": Continuum(1e-4, 3e-2, log=True),
    "weight_decay": Continuum(1e-5, 1e-1, log=True),
    "dropout": Continuum(0.0, 0.6),
    "layers": Category(("input", "auto", "hidden")),
}


def boosting_regressor(parameters: dict[str, Any], seed: int) -> Any:
    return HistGradientBoostingRegressor(random_state=seed, early_stopping=False, **parameters)


def support_vectors(parameters: dict[str, Any], seed: int) -> Any:
    return make_pipeline(StandardScaler(), SVC(**parameters))


def network(parameters: dict[str, Any], seed: int) -> Any:
    import torch

    from skmixup import ManifoldMixupClassifier
    from skmixup.networks import MLP

    torch.manual_seed(seed)
    optimizer = partial(torch.optim.AdamW, weight_decay=parameters["weight_decay"])
    return make_pipeline(
        StandardScaler(),
        ManifoldMixupClassifier(
            MLP(
                64,
                10,
                hidden_sizes=(64, 64),
                dropout=parameters["dropout"],
                n_members=1,
                scale_inputs=False,
            ),
            alpha=parameters["alpha"],
            layers={"input": [0], "auto": "auto", "hidden": [1, 2]}[parameters["layers"]],
            lr=parameters["lr"],
            lr_schedule=None,
            optimizer=optimizer,
            max_epochs=8,
            random_state=seed,
            device="cpu",
        ),
    )


def probabilistic(model: Any, X: np.ndarray, y: np.ndarray) -> float:
    return float(log_loss(y, model.predict_proba(X), labels=model.classes_))


def error(model: Any, X: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(model.predict(X) != y))


def rmse(model: Any, X: np.ndarray, y: np.ndarray) -> float:
    return float(root_mean_squared_error(y, model.predict(X)))


Task = tuple[Callable[..., Any], dict[str, Any], Callable[..., Any], Callable[..., float]]
TASKS: dict[str, Task] = {
    "SVC on digits": (support_vectors, SUPPORT_VECTORS, load_digits, error),
    "boosting on diabetes": (boosting_regressor, BOOSTING, load_diabetes, rmse),
    "manifold mixup on digits": (network, NETWORK, load_digits, probabilistic),
}
N_ROWS = 400


class Tuning:
    """Losses of one learner on one split, remembered by parameters."""

    def __init__(self, task: Task, seed: int):
        self.make, self.space, load, self.loss = task
        X, y = load(return_X_y=True)
        kept = np.random.default_rng(seed).permutation(len(X))[:N_ROWS]
        X, y = X[kept], y[kept]
        is_class = np.issubdtype(y.dtype, np.integer)
        rest, test, y_rest, y_test = train_test_split(
            X, y, test_size=0.25, random_state=seed, stratify=y if is_class else None
        )
        train, choose, y_train, y_choose = train_test_split(
            rest, y_rest, test_size=1 / 3, random_state=seed, stratify=y_rest if is_class else None
        )
        self.train, self.choose, self.test = (train, y_train), (choose, y_choose), (test, y_test)
        self.seed = seed
        self.seen: dict[str, tuple[float, float]] = {}
        self.order: list[tuple[float, float]] = []

    def __call__(self, u: np.ndarray) -> float:
        values = [factor.at(float(v)) for factor, v in zip(self.space.values(), u, strict=True)]
        parameters = dict(zip(self.space, values, strict=True))
        key = repr(parameters)
        if key not in self.seen:
            model = self.make(parameters, self.seed).fit(*self.train)
            self.seen[key] = self.loss(model, *self.choose), self.loss(model, *self.test)
        self.order.append(self.seen[key])
        return self.seen[key][0]


# Methods take turns on one task and seed, and share what was fitted.
tuning_of = lru_cache(maxsize=1)(lambda name, seed: Tuning(TASKS[name], seed))


@lru_cache(maxsize=1)
def losses(name: str, method: str, n: int, seed: int) -> list[tuple[float, float]]:
    """The losses that a search met, by the quarter to choose by and the one to report."""
    tuning = tuning_of(name, seed)
    tuning.order.clear()
    search(method, tuning, n, len(tuning.space), seed)
    return list(tuning.order)


def chosen(name: str, method: str, n: int, seed: int) -> list[float | None]:
    """The best loss by one quarter and what it is on the other; None without a design."""
    met = losses(name, method, longest(method, n, BUDGETS), seed)[:n]
    return [float(f"{loss:.6g}") for loss in min(met)] if met else [None, None]

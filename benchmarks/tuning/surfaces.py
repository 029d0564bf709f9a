"""Tuning surfaces of real learners, tabulated once so that any design can be tried on them.

    SKMIXUP_DATA=… OMP_NUM_THREADS=1 python benchmarks/tuning/surfaces.py

A surface is one learner on one table: its cross-validated loss at some hundred settings that
cover the ranges a user would give, the corners of the ranges among them. `interpolators.py` makes
a function of it. The points follow from their number, so only losses are kept, in
benchmarks/results/tuning_surfaces.jsonl(.xz). A run goes on where it stopped; about 40 minutes of
one core.
"""

import argparse
import itertools
import sys
import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import qmc
from sklearn.base import is_classifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.datasets import load
from benchmarks.records import Records
from skmixup.design.factors import Continuum, LogIntegers

#: Learner, table → the losses at `places(s)`.
RECORDS = Records("tuning_surfaces", n_keys=2)
N_POINTS, N_ROWS, N_FOLDS = 256, 400, 3

#: Tables to choose a method by, and tables for one last look at what was chosen.
CHOOSING = (
    "breast_cancer", "heart", "banana", "crx", "digits", "mammographic", "contraceptive", "sonar",
)  # fmt: skip
KEPT = ("ionosphere", "saheart", "led7digit", "twonorm")
#: Tables of a third look, for which only the quick learners and those of values are tabulated.
FRESH = (
    "bands", "glass", "titanic", "balance_scale", "tic-tac-toe", "winequality_white", "phishing",
    "ecoli", "htru2",
)  # fmt: skip
QUICK = (
    "support vectors", "nearest neighbours", "decision tree", "linear model, SGD",
    "selection, support vectors",
)  # fmt: skip
REGRESSION = {"diabetes": FRESH, "abalone": FRESH}


def _log(low: float, high: float) -> Continuum:
    return Continuum(low, high, log=True)


class DistanceWeights:
    """Neighbours weigh distance to the power of minus an exponent."""

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent

    def __call__(self, distances: np.ndarray) -> np.ndarray:
        return (distances + 1e-3) ** -self.exponent


def neighbours(exponent: float, **parameters: Any) -> Any:
    return KNeighborsClassifier(weights=DistanceWeights(exponent), **parameters)


def selected_support_vectors(k: float, **parameters: Any) -> Any:
    class Share(SelectKBest):
        def fit(self, X: Any, y: Any) -> "Share":
            self.k = max(1, int(k * X.shape[1]))
            return super().fit(X, y)

    return make_pipeline(Share(), SVC(**parameters))


def network(width: int, **parameters: Any) -> Any:
    return MLPClassifier((width,), max_iter=15, random_state=0, **parameters)


def mixed_network(weight_decay: float, dropout: float, **parameters: Any) -> Any:
    import torch

    from skmixup import MixupClassifier

    return MixupClassifier(
        module__hidden_sizes=(32,),
        module__dropout=dropout,
        module__n_members=1,
        module__scale_inputs=False,
        optimizer=partial(torch.optim.AdamW, weight_decay=weight_decay),
        max_epochs=10,
        batch_size=64,
        lr_schedule=None,
        random_state=0,
        device="cpu",
        **parameters,
    )


TREE = {"max_depth": LogIntegers(1, 20), "min_samples_leaf": LogIntegers(1, 50)}
#: Learner → how it is made, the ranges of its parameters, the tables it is not run on (slow).
LEARNERS: dict[str, tuple[Callable[..., Any], dict[str, Any], tuple[str, ...]]] = {
    "support vectors": (SVC, {"C": _log(1e-2, 1e4), "gamma": _log(1e-6, 1)}, ()),
    "nearest neighbours": (
        neighbours,
        {"n_neighbors": LogIntegers(1, 60), "p": Continuum(1, 4), "exponent": Continuum(0, 3)},
        (),
    ),
    "decision tree": (
        partial(DecisionTreeClassifier, random_state=0),
        {**TREE, "max_features": Continuum(0.1, 1), "ccp_alpha": _log(1e-5, 1e-1)},
        (),
    ),
    "linear model, SGD": (
        partial(
            SGDClassifier,
            loss="log_loss",
            penalty="elasticnet",
            learning_rate="invscaling",
            max_iter=20,
            tol=None,
            random_state=0,
        ),
        {
            "alpha": _log(1e-6, 1),
            "l1_ratio": Continuum(0, 1),
            "eta0": _log(1e-4, 1),
            "power_t": Continuum(0, 0.75),
        },
        (),
    ),
    "boosting, histograms": (
        partial(HistGradientBoostingClassifier, random_state=0, early_stopping=False),
        {
            "learning_rate": _log(0.01, 0.5),
            "max_leaf_nodes": LogIntegers(3, 63),
            "min_samples_leaf": LogIntegers(2, 60),
            "l2_regularization": _log(1e-4, 1e2),
            "max_iter": LogIntegers(5, 50),
        },
        ("digits", "led7digit"),
    ),
    "random forest": (
        partial(RandomForestClassifier, n_estimators=20, random_state=0),
        {
            "max_depth": LogIntegers(2, 20),
            "min_samples_leaf": LogIntegers(1, 30),
            "max_features": Continuum(0.1, 1),
            "max_samples": Continuum(0.1, 1),
        },
        (),
    ),
    "extra trees": (
        partial(ExtraTreesClassifier, n_estimators=20, random_state=0),
        {
            "min_samples_split": LogIntegers(2, 60),
            "max_features": Continuum(0.1, 1),
            "ccp_alpha": _log(1e-5, 1e-1),
        },
        ("digits",),
    ),
    "gradient boosting": (
        partial(GradientBoostingClassifier, n_estimators=20, random_state=0),
        {
            "learning_rate": _log(0.01, 1),
            "max_depth": LogIntegers(1, 8),
            "subsample": Continuum(0.2, 1),
            "max_features": Continuum(0.1, 1),
        },
        ("digits", "led7digit"),
    ),
    "selection, support vectors": (
        selected_support_vectors,
        {"k": Continuum(0.05, 1), "C": _log(1e-2, 1e4), "gamma": _log(1e-5, 1)},
        ("banana",),
    ),
    "network": (
        network,
        {
            "learning_rate_init": _log(1e-4, 1e-1),
            "alpha": _log(1e-6, 10),
            "width": LogIntegers(4, 64),
            "batch_size": LogIntegers(8, 128),
        },
        ("digits", "twonorm"),
    ),
    "mixup network": (
        mixed_network,
        {
            "alpha": _log(0.05, 8),
            "lr": _log(1e-4, 1e-1),
            "weight_decay": _log(1e-5, 1),
            "dropout": Continuum(0, 0.6),
        },
        ("banana", "digits", "mammographic", "contraceptive", "led7digit", "twonorm"),
    ),
    "kernel ridge": (
        partial(KernelRidge, kernel="rbf"),
        {"alpha": _log(1e-6, 1e2), "gamma": _log(1e-5, 1e1)},
        (),
    ),
    "support vectors, regression": (
        SVR,
        {"C": _log(1e-2, 1e3), "gamma": _log(1e-4, 1e1), "epsilon": _log(1e-3, 1)},
        (),
    ),
}


def places(s: int) -> np.ndarray:
    """The settings of every surface of s parameters: a shifted Sobol' sequence, the corners."""
    points = qmc.Sobol(s, scramble=False).random(N_POINTS)
    shift = np.random.default_rng(s).random(s)
    corners = np.array(list(itertools.product((0.0, 1.0), repeat=s)))
    return np.vstack([(points + shift) % 1.0, corners])


@lru_cache(maxsize=2)
def data(name: str) -> tuple[np.ndarray, np.ndarray]:
    """At most `N_ROWS` rows of a table in numbers, standardised; targets too for regression."""
    if name == "diabetes":
        from sklearn.datasets import load_diabetes

        X, y = load_diabetes(return_X_y=True)
    else:
        import pandas as pd

        table = load(name)
        X, y = pd.get_dummies(table.X, dtype=float).to_numpy(), table.y
    kept = np.random.default_rng(0).permutation(len(X))[:N_ROWS]
    X, y = StandardScaler().fit_transform(X[kept]), y[kept]
    return X, (y - y.mean()) / y.std() if name in REGRESSION else np.unique(y, return_inverse=1)[1]


def loss(model: Any, X: np.ndarray, y: np.ndarray, n_classes: int) -> float:
    """Squared error of values or of probabilities (Brier score); of labels the error rate."""
    if not is_classifier(model):
        return float(np.mean((model.predict(X) - y) ** 2))
    if not hasattr(model, "predict_proba"):
        return float(np.mean(model.predict(X) != y))
    proba = np.zeros((len(X), n_classes))
    proba[:, model.classes_] = model.predict_proba(X)
    return float(np.mean(np.sum((proba - np.eye(n_classes)[y]) ** 2, axis=1)))


def cross_validated(learner: str, table: str, u: np.ndarray) -> float:
    """The mean loss over the folds of a setting at a point of the unit cube."""
    make, space, _ = LEARNERS[learner]
    X, y = data(table)
    parameters = {n: f.at(min(float(v), 1.0)) for (n, f), v in zip(space.items(), u, strict=True)}
    regression = table in REGRESSION
    n_classes = 0 if regression else int(y.max()) + 1
    folds = (KFold if regression else StratifiedKFold)(N_FOLDS, shuffle=True, random_state=0)
    losses = []
    for train, test in folds.split(X, y):
        # One column stands for the constant, so that a model of no other exists too.
        X_train, y_train = X[train].astype(np.float32), y[train]
        model = make(**parameters).fit(X_train, y_train)
        losses.append(loss(model, X[test].astype(np.float32), y[test], n_classes))
    return float(np.mean(losses))


def tabulate(learner: str, table: str) -> list[list[float]]:
    """A surface's losses, as they are kept."""
    points = places(len(LEARNERS[learner][1]))
    return [[float(f"{cross_validated(learner, table, u):.5g}") for u in points]]


def surfaces(tables: tuple[str, ...] | None = None) -> list[tuple[str, str]]:
    """Learners and tables, all or those of some tables; every table in turn."""
    first = tuple(t for pair in itertools.zip_longest(CHOOSING, KEPT) for t in pair if t)
    names = tables or first + FRESH
    names += tuple(r for r, where in REGRESSION.items() if tables is None or tables == where)
    regression = ("kernel ridge", "support vectors, regression")
    return [
        (learner, table)
        for table in names
        for learner in LEARNERS
        if (table in REGRESSION) == (learner in regression)
        and table not in LEARNERS[learner][2]
        and (table not in FRESH or learner in QUICK)
    ]


def main() -> None:
    """Tabulate what is not there yet."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    warnings.simplefilter("ignore")
    RECORDS.run(surfaces(), tabulate)


if __name__ == "__main__":
    main()

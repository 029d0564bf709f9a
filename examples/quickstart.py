"""ERM, Gaussian noise, mixup and manifold mixup on real data, in a scikit-learn pipeline.

Prints a table of held-out scores, tunes `alpha` and `layers` by grid search, and draws decision
regions. Run with ``make quickstart``, or ``python examples/quickstart.py``.
"""

import time
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_digits, make_moons
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from tqdm import tqdm

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.robustness import expected_calibration_error
from skmixup.vicinal import Gaussian

mpl.use("Agg")
import matplotlib.pyplot as plt

PICTURE = Path("quickstart.png")


def classifiers(**params):
    """Return the four ways of training, with the same network."""
    return {
        "ERM": VicinalClassifier(random_state=0, **params),
        "Gaussian vicinity": VicinalClassifier(vicinity=Gaussian(0.2), random_state=0, **params),
        "mixup": MixupClassifier(random_state=0, **params),
        "manifold mixup": ManifoldMixupClassifier(random_state=0, **params),
    }


def pipeline(scaler, clf):
    """Scaling, then the network."""
    return Pipeline([("scale", scaler), ("net", clf)])


def scale_pixels(X):
    """Bring pixels of 0 … 16 to about zero mean and unit variance; keeps the shape of images."""
    return (X - 5.0) / 6.0


def datasets():
    """Yield name, X, y, scaler and the parameters of the network."""
    X, y = load_digits(return_X_y=True)
    yield "digits, table", X, y, StandardScaler(), {"max_epochs": 40}
    images = X.reshape(-1, 1, 8, 8)
    small = {"max_epochs": 8, "module__width": 16}
    yield "digits, images", images, y, FunctionTransformer(scale_pixels), small
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    yield "breast cancer", X, y, StandardScaler(), {"max_epochs": 40}


def compare():
    """Fit every classifier on every data set and score it on rows held out."""
    rows = []
    work = [
        (data, X, y, scaler, name, clf)
        for data, X, y, scaler, params in datasets()
        for name, clf in classifiers(**params).items()
    ]
    for data, X, y, scaler, name, clf in (bar := tqdm(work, desc="fitting")):
        bar.set_postfix_str(f"{data}: {name}")
        parts = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
        X_train, X_test, y_train, y_test = parts
        start = time.perf_counter()
        model = pipeline(scaler, clf).fit(X_train, y_train)
        seconds = time.perf_counter() - start
        proba = model.predict_proba(X_test)
        rows.append(
            {
                "data": data,
                "training": name,
                "accuracy": accuracy_score(y_test, model.classes_[proba.argmax(axis=1)]),
                "log-loss": log_loss(y_test, proba),
                "ECE": expected_calibration_error(y_test, proba, labels=model.classes_),
                "seconds": seconds,
            }
        )
    table = pd.DataFrame(rows).set_index(["data", "training"])
    print("\nHeld-out scores on 30 % of the rows (one split: differences of a few rows are noise)")
    print(table.to_string(float_format="{:.3f}".format))


def tune():
    """Search `alpha` and `layers` of manifold mixup by cross-validation."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    model = pipeline(StandardScaler(), ManifoldMixupClassifier(max_epochs=20, random_state=0))
    grid = {"net__alpha": [0.2, 1.0, 4.0], "net__layers": [[0], [0, 1], "auto"]}
    search = GridSearchCV(model, grid, scoring="neg_log_loss", cv=3, n_jobs=2, verbose=1)
    search.fit(X, y)
    print(f"Best by cross-validated log-loss: {search.best_params_} ({-search.best_score_:.3f})\n")


def draw():
    """Decision regions of three ways of training on two moons."""
    X, y = make_moons(120, noise=0.25, random_state=0)
    nets = classifiers(max_epochs=300)
    chosen = {"ERM": nets["ERM"], "mixup": nets["mixup"], "manifold mixup": nets["manifold mixup"]}
    chosen["mixup"].set_params(alpha=1.0)
    chosen["manifold mixup"].set_params(alpha=1.0)
    figure, axes = plt.subplots(1, 3, figsize=(12, 4), sharex=True, sharey=True)
    for axis, (name, net) in zip(axes, tqdm(chosen.items(), desc="drawing"), strict=True):
        net.fit(X, y)
        DecisionBoundaryDisplay.from_estimator(
            net,
            X,
            response_method="predict_proba",
            plot_method="contourf",
            levels=np.linspace(0, 1, 11),
            cmap="RdBu",
            alpha=0.8,
            ax=axis,
        )
        axis.scatter(*X.T, c=y, cmap="RdBu", edgecolor="black", s=25)
        axis.set(title=name, xticks=[], yticks=[])
    figure.suptitle("Probability of the blue class: mixup is less sure between the classes")
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=120)
    print(f"Decision regions: {PICTURE.resolve()}")


if __name__ == "__main__":
    compare()
    tune()
    draw()

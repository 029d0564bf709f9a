"""
Mixup loses confidence, a temperature mends it; a design tunes it in twelve runs
================================================================================

The same small network is trained in four ways on three data sets, inside a scikit-learn pipeline:
on the training rows as they are (empirical risk minimisation, *ERM*), on rows with noise around
them, and on mixtures of two rows, mixed at the input or at a hidden layer. Then one of them is
tuned with twelve evenly spread runs, which also say what mattered.

Run it with ``make quickstart`` or ``python examples/quickstart.py``: about a minute on two idle
cores. It writes ``quickstart.png`` and ``quickstart_effects.png``.
"""

# sphinx_gallery_thumbnail_number = 3

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import loguniform, uniform
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, make_moons
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from tqdm import tqdm

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.effects import design_effects, plot_effects
from skmixup.robustness import expected_calibration_error
from skmixup.tuning import UniformDesignSearchCV
from skmixup.vicinal import Gaussian

# %%
# The data
# --------
#
# Handwritten digits, once as a table of 64 columns and once as images of 8 × 8 pixels, and a table
# of 30 measurements of cells.

digits, digit_labels = load_digits(return_X_y=True)
cells, cell_labels = load_breast_cancer(return_X_y=True, as_frame=True)

figure, axes = plt.subplots(1, 8, figsize=(9, 1.4), layout="constrained")
for axis, image, label in zip(axes, digits.reshape(-1, 8, 8), digit_labels, strict=False):
    axis.imshow(image, cmap="gray_r")
    axis.set(title=label, xticks=[], yticks=[])


def scale_pixels(X):
    """Bring pixels of 0 … 16 to about zero mean and unit variance; keeps the shape of images."""
    return (X - 5.0) / 6.0


pixels = FunctionTransformer(scale_pixels)
images = digits.reshape(-1, 1, 8, 8)
small_resnet = {"max_epochs": 8, "module__width": 16}
data_sets = {
    "digits, table": (digits, digit_labels, StandardScaler(), {"max_epochs": 24}),
    "digits, images": (images, digit_labels, pixels, small_resnet),
    "breast cancer": (cells, cell_labels, StandardScaler(), {"max_epochs": 24}),
}

# %%
# Four ways to train one network
# ------------------------------


def classifiers(**params):
    """Return the four ways, with the same network."""
    return {
        "ERM": VicinalClassifier(random_state=0, **params),
        "Gaussian vicinity": VicinalClassifier(vicinity=Gaussian(0.2), random_state=0, **params),
        "mixup": MixupClassifier(random_state=0, **params),
        "manifold mixup": ManifoldMixupClassifier(random_state=0, **params),
    }


def split(X, y):
    """Hold out 30 % of the rows."""
    return train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)


work = [
    (data, name, Pipeline([("scale", clone(scaler)), ("net", clf)]))
    for data, (_, _, scaler, params) in data_sets.items()
    for name, clf in classifiers(**params).items()
]
rows = {}
for data, name, model in tqdm(work, desc="fitting"):
    X_train, X_test, y_train, y_test = split(*data_sets[data][:2])
    proba = model.fit(X_train, y_train).predict_proba(X_test)
    rows[data, name] = {
        "accuracy": accuracy_score(y_test, model.classes_[proba.argmax(axis=1)]),
        "log-loss": log_loss(y_test, proba),
        "ECE": expected_calibration_error(y_test, proba, labels=model.classes_),
    }
print("Held-out scores on 30 % of the rows (one split: differences of a few rows are noise)")
print(pd.DataFrame(rows).T.to_string(float_format="{:.3f}".format))

# %%
# Where the confidence went
# -------------------------
#
# On digits mixup is about as accurate, by a few rows more or less, and has the worse log-loss: a
# network that is trained on labels such as 0.8 *two* and 0.2 *seven* does not learn to say 1.0. It
# is right more often than it says. One number mends that: divide the logits by a *temperature*,
# chosen on predictions for rows held out. The classifiers do so by themselves for tables where
# you do not say how many epochs to train, as above, but leave ``max_epochs`` at ``"auto"``: a
# part of the rows tells the number of epochs and the temperature, then all rows are trained on.

X_train, X_test, y_train, y_test = split(digits, digit_labels)
found = {}
for name, clf in list(classifiers().items())[::2]:
    model = Pipeline([("scale", StandardScaler()), ("net", clf)]).fit(X_train, y_train)
    proba = model.predict_proba(X_test)
    found["digits, table", name] = {
        "log-loss": rows["digits, table", name]["log-loss"],
        "left to itself": log_loss(y_test, proba),
        "ECE": expected_calibration_error(y_test, proba, labels=model.classes_),
        "epochs": str(clf.n_epochs_),
        "temperature": f"{clf.temperature_:.2f}",
    }
print(pd.DataFrame.from_dict(found, orient="index").to_string(float_format="{:.3f}".format))

# %%
# Tuning with twelve runs
# -----------------------
#
# A grid of three values for each of four parameters would be 81 runs. A uniform design spreads
# twelve evenly over the whole box (:class:`~skmixup.tuning.UniformDesignSearchCV`).

space = {
    "net__alpha": uniform(0, 2),
    "net__layers": [[0], [0, 1], "auto"],
    "net__lr": loguniform(5e-4, 2e-2),
    "net__mix_epochs": uniform(0.4, 0.6),  # the fraction of the epochs with mixing
}
model = Pipeline([("scale", StandardScaler()), ("net", ManifoldMixupClassifier(random_state=0))])
search = UniformDesignSearchCV(
    model.set_params(net__max_epochs=12), space, n_runs=12, scoring="neg_log_loss", cv=3, n_jobs=2
)
search.fit(cells, cell_labels)
print(f"best of twelve: log-loss {-search.best_score_:.3f} with {search.best_params_}")

# %%
# What the runs say about each parameter comes at no extra run
# (:func:`~skmixup.effects.design_effects`): here a quadratic surface through all twelve.

effects = design_effects(search)
print(effects)
plot_effects(effects).savefig(Path("quickstart_effects.png"), dpi=120)

# %%
# What mixing does to decisions
# -----------------------------
#
# Two moons, and the probability of the blue class: ERM is sure everywhere, also between the
# classes, where no training row is.

X, y = make_moons(120, noise=0.25, random_state=0)
nets = classifiers(max_epochs=100)
chosen = [
    ("ERM", nets["ERM"]),
    ("mixup, α = 1", nets["mixup"].set_params(alpha=1.0)),
    ("manifold mixup, α = 1", nets["manifold mixup"].set_params(alpha=1.0)),
]
figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for axis, (name, net) in zip(axes, chosen, strict=True):
    DecisionBoundaryDisplay.from_estimator(
        net.fit(X, y),
        X,
        response_method="predict_proba",
        plot_method="contourf",
        levels=np.linspace(0, 1, 11),
        cmap="RdBu",
        alpha=0.8,
        ax=axis,
    )
    axis.scatter(*X.T, c=y, cmap="RdBu", edgecolor="white", linewidth=0.5, s=30)
    axis.set(title=name, xticks=[], yticks=[])
figure.suptitle("Probability of the blue class: mixup is less sure between the classes")
figure.savefig(Path("quickstart.png"), dpi=120)
print("drawn in quickstart.png and quickstart_effects.png")

# %%
# What next
# ---------
#
# * A table with text, dates and gaps: :ref:`sphx_glr_getting_started_first_table.py`.
# * A classifier that does all of this itself: :class:`~skmixup.MixupClassifierCV`.

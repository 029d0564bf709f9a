"""Two moons with three labels each: the boundary with and without the unlabelled rows.

A case where interpolation consistency does *not* help: a mixture of two rows of one moon often
lies in the other, and the boundary is straightened rather than bent. Spreading labels along the
graph of neighbours suits this shape; benchmarks/results/semi_supervised.md has data where
interpolation consistency pays. Writes semi_supervised_moons.png.
Run with ``python examples/semi_supervised_moons.py``.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.datasets import make_moons
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.semi_supervised import LabelSpreading

from skmixup import InterpolationConsistencyClassifier, VicinalClassifier

mpl.use("Agg")
import matplotlib.pyplot as plt

PICTURE = Path("semi_supervised_moons.png")


def data(n_rows=500, n_labels=3, seed=0):
    """Rows, true labels, and labels with −1 for all but `n_labels` of each class."""
    X, y = make_moons(n_rows, noise=0.1, random_state=seed)
    rng = np.random.default_rng(seed)
    partly = np.full(n_rows, -1)
    for c in (0, 1):
        rows = rng.choice(np.flatnonzero(y == c), n_labels, replace=False)
        partly[rows] = c
    return X, y, partly


def main(max_epochs=100):
    """Fit, print accuracies on the unlabelled rows, draw the boundaries."""
    X, y, partly = data()
    known = partly >= 0
    alone = VicinalClassifier(max_epochs=max_epochs, random_state=0).fit(X[known], partly[known])
    consistent = InterpolationConsistencyClassifier(
        labeled_alpha=0, lr=0.01, batch_size=128, max_epochs=max_epochs, random_state=0
    ).fit(X, partly)
    spreading = LabelSpreading(gamma=20).fit(X, partly)
    models = {
        "labels alone": alone,
        "interpolation consistency": consistent,
        "LabelSpreading": spreading,
    }
    _, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    for ax, (name, clf) in zip(axes, models.items(), strict=True):
        accuracy = np.mean(clf.predict(X[~known]) == y[~known])
        print(f"{name:28} accuracy on rows without a label: {accuracy:.3f}")
        DecisionBoundaryDisplay.from_estimator(
            clf, X, response_method="predict_proba", ax=ax, cmap="RdBu", alpha=0.7, vmin=0, vmax=1
        )
        ax.scatter(*X[~known].T, s=6, c="0.35")
        ax.scatter(*X[known].T, s=90, c=partly[known], cmap="RdBu", edgecolor="k", vmin=0, vmax=1)
        ax.set_title(f"{name}: {accuracy:.1%}")
        ax.set(xticks=[], yticks=[])
    axes[0].figure.savefig(PICTURE, dpi=120)
    print(f"picture: {PICTURE.resolve()}")


if __name__ == "__main__":
    main()

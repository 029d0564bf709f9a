"""Six parameters of three values each: 27 runs of an orthogonal array instead of a grid of 729.

    python examples/points_27_of_729.py [effects.png]

Prints which parameter matters and how much, picks the best of all 729 settings by these effects,
runs that one setting too (effects add up, interactions do not: believe it only when it has been
run), and draws the effects where a file name is given.
"""

import sys

from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_score

from skmixup.effects import design_effects, plot_effects
from skmixup.tuning import OrthogonalDesignSearchCV

GRID = {
    "learning_rate": [0.05, 0.1, 0.2],
    "max_bins": [8, 32, 128],
    "max_leaf_nodes": [4, 8, 16],
    "min_samples_leaf": [5, 15, 45],
    "l2_regularization": [0.01, 0.1, 1.0],
    "max_features": [0.2, 0.5, 1.0],
}


def main() -> None:
    X, y = load_digits(return_X_y=True)
    X, y = X[:500], y[:500] % 2
    model = HistGradientBoostingClassifier(max_iter=40, early_stopping=False, random_state=0)
    search = OrthogonalDesignSearchCV(model, GRID, cv=3, scoring="neg_log_loss").fit(X, y)
    print(f"{len(search.cv_results_['params'])} runs, best {search.best_score_:.4f}")
    effects = design_effects(search)
    print(effects)
    model.set_params(**effects.best)
    score = cross_val_score(model, X, y, cv=3, scoring="neg_log_loss").mean()
    print(f"best combination by its effects: {score:.4f} when run")
    if len(sys.argv) > 1:
        plot_effects(effects).savefig(sys.argv[1], dpi=120, bbox_inches="tight")


if __name__ == "__main__":
    main()

"""Four parameters of a pipeline, one of two values and three of three: 18 runs instead of 54.

    python examples/effects_of_a_pipeline.py

Prints which parameters matter, hands the best setting to the pipeline, and draws the effects
(effects.png) and the runs (runs.png).
"""

from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skmixup.effects import design_effects, plot_effects, plot_runs
from skmixup.tuning import OrthogonalDesignSearchCV

# Whitening changes how far apart the rows are, and gamma says how far a row reaches: in L18 the
# first factor of three levels is the one whose interaction with the factor of two can be told.
GRID = {
    "pca__whiten": [False, True],
    "svc__gamma": [0.01, 0.1, 1.0],
    "svc__C": [1.0, 10.0, 100.0],
    "pca__n_components": [10, 15, 20],
}


def main() -> None:
    X, y = load_digits(return_X_y=True)
    X, y = X[:500] / 16, y[:500]
    pipeline = make_pipeline(PCA(random_state=0), SVC())
    search = OrthogonalDesignSearchCV(pipeline, GRID, cv=3).fit(X, y)
    effects = design_effects(search, log=["svc__C", "svc__gamma"])
    print(effects)
    print(effects.to_frame("interactions").iloc[:, :5].to_string())
    score = cross_val_score(pipeline.set_params(**effects.best), X, y, cv=3).mean()
    print(f"best run {search.best_score_:.3f}, best by the effects, when run: {score:.3f}")
    plot_effects(effects)
    plt.savefig(Path("effects.png"), dpi=70)
    plot_runs(effects)
    plt.savefig(Path("runs.png"), dpi=70)


if __name__ == "__main__":
    main()

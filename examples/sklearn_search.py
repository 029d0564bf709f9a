"""
Zooming in four rounds finds more than one round of as many runs
================================================================

Twenty settings of gradient boosting, cross-validated by
:class:`~skmixup.tuning.UniformDesignSearchCV`: all at once, evenly spread; or in four rounds,
where each round looks at what the ones before have found. The search takes any scikit-learn
estimator and the same spaces as ``RandomizedSearchCV``, which stands beside it with as many runs.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import loguniform, randint
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import RandomizedSearchCV, train_test_split

from skmixup.tuning import UniformDesignSearchCV

# %%
# The data and the space
# ----------------------

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
space = {
    "learning_rate": loguniform(0.01, 0.5),
    "max_leaf_nodes": randint(4, 32),
    "l2_regularization": loguniform(1e-4, 10),
}
model = HistGradientBoostingClassifier(max_iter=40, random_state=0)

# %%
# Three searches of twenty runs
# -----------------------------

options = {"cv": 3, "scoring": "neg_log_loss"}
searches = {
    "random": RandomizedSearchCV(model, space, n_iter=20, random_state=0, **options),
    "uniform design": UniformDesignSearchCV(model, space, n_runs=20, **options),
    "four rounds": UniformDesignSearchCV(model, space, n_runs=20, n_rounds=4, **options),
}
for name, search in searches.items():
    search.fit(X_train, y_train)
    held_out = search.score(X_test, y_test)
    print(f"{name:15} cross-validated {search.best_score_:.4f}, held out {held_out:.4f}")

# %%
# Where they looked, and the best so far
# --------------------------------------

figure, axes = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained")
for ax, (name, search) in zip(axes, searches.items(), strict=False):
    runs = search.cv_results_["params"]
    points = ax.scatter(
        [run["learning_rate"] for run in runs],
        [run["l2_regularization"] for run in runs],
        c=search.cv_results_["mean_test_score"],
        vmin=-0.2,
        cmap="viridis",
    )
    ax.set(title=name, xscale="log", yscale="log", xlabel="learning rate")
    scores = np.maximum.accumulate(search.cv_results_["mean_test_score"])
    axes[3].step(range(1, 21), scores, where="post", label=name)
axes[0].set_ylabel("L2 penalty")
axes[3].set(title="best so far", xlabel="runs", ylabel="cross-validated score", ylim=(-0.16, None))
axes[3].legend()
plt.show()

# %%
# One data set and one seed, so take the order of these three as an illustration; :doc:`what was
# measured </benchmarks/tuning_sequential>` has many problems, and those where rounds lose. Rounds
# run one after the other: where you have twenty machines, take one round.

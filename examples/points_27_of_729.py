"""
27 runs tell which of six parameters matters; a grid needs 729
==============================================================

Six parameters of gradient boosting, three values each. An orthogonal array tries every pair of
values of any two parameters equally often, in 27 runs, so that the effect of each can be read off
as if the others had not moved.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_score

from skmixup.effects import design_effects, plot_effects
from skmixup.tuning import OrthogonalDesignSearchCV

# %%
# The data and the grid
# ---------------------
#
# 500 handwritten digits: odd or even?

X, y = load_digits(return_X_y=True)
X, y = X[:500], y[:500] % 2
figure, axes = plt.subplots(1, 8, figsize=(9, 1.4), layout="constrained")
for axis, image, odd in zip(axes, X.reshape(-1, 8, 8), y, strict=False):
    axis.imshow(image, cmap="gray_r")
    axis.set(title="odd" if odd else "even", xticks=[], yticks=[])

GRID = {
    "learning_rate": [0.05, 0.1, 0.2],
    "max_bins": [8, 32, 128],
    "max_leaf_nodes": [4, 8, 16],
    "min_samples_leaf": [5, 15, 45],
    "l2_regularization": [0.01, 0.1, 1.0],
    "max_features": [0.2, 0.5, 1.0],
}

# %%
# 27 of 729 settings
# ------------------

model = HistGradientBoostingClassifier(max_iter=40, early_stopping=False, random_state=0)
search = OrthogonalDesignSearchCV(model, GRID, cv=3, scoring="neg_log_loss").fit(X, y)
n_settings = np.prod([len(values) for values in GRID.values()])
n_runs = len(search.cv_results_["params"])
print(f"{n_runs} runs of {n_settings}, best {search.best_score_:.4f}")

# %%
# What each parameter is worth
# ----------------------------
#
# The learning rate stands out from noise, the others do not: leave them alone, and look at smaller
# and larger rates next.

effects = design_effects(search)
print(effects)
plot_effects(effects)
plt.show()

# %%
# Effects add up, interactions do not: run the best before you believe it
# -----------------------------------------------------------------------
#
# The best level of each parameter together is a setting that was never run. Run, it may be worse
# than the best of the 27, as here.

score = cross_val_score(
    model.set_params(**effects.best), X, y, cv=3, scoring="neg_log_loss"
).mean()
print(f"predicted by the effects, when run: {score:.4f}; best of the 27: {search.best_score_:.4f}")

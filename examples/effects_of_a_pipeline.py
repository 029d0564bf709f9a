"""
18 runs find the interaction that makes a pipeline fail
=======================================================

Principal components, then a support vector machine: one parameter of two values and three of
three are 54 settings. An orthogonal array of mixed levels, L18, takes 18 of them. No parameter
stands out alone; two of them together do.
"""

# sphinx_gallery_thumbnail_number = 3

from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skmixup.effects import design_effects, plot_effects, plot_runs
from skmixup.tuning import OrthogonalDesignSearchCV

# %%
# The data
# --------
#
# 500 digits by their first two principal components; whitening changes how far apart rows are.

X, y = load_digits(return_X_y=True)
X, y = X[:500] / 16, y[:500]
figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
for axis, whiten in zip(axes, (False, True), strict=True):
    axis.scatter(*PCA(2, whiten=whiten).fit_transform(X).T, c=y, cmap="tab10", s=8)
    axis.set(title=f"whiten={whiten}")

# %%
# The design
# ----------
#
# gamma says how far a row reaches, so its interaction with whitening is to be expected. In L18 the
# first factor of three levels is the one whose interaction with the factor of two can be told.

GRID = {
    "pca__whiten": [False, True],
    "svc__gamma": [0.01, 0.1, 1.0],
    "svc__C": [1.0, 10.0, 100.0],
    "pca__n_components": [10, 15, 20],
}
pipeline = make_pipeline(PCA(random_state=0), SVC())
search = OrthogonalDesignSearchCV(pipeline, GRID, cv=3).fit(X, y)
effects = design_effects(search, log=["svc__C", "svc__gamma"])
print(effects)

# %%
# Level means of each parameter, one panel each:

plot_effects(effects)
plt.savefig(Path("effects.png"), dpi=70)

# %%
# The runs say why
# ----------------
#
# Only whitened rows together with the largest gamma go wrong (the top left panel, its top right
# corner). It is the first interaction of the table.

print(effects.to_frame("interactions").iloc[:, :5].to_string())
plot_runs(effects)
plt.savefig(Path("runs.png"), dpi=70)

# %%
# The best setting goes to ``set_params`` as it is, and is worth a run of its own:

score = cross_val_score(pipeline.set_params(**effects.best), X, y, cv=3).mean()
print(f"best run {search.best_score_:.3f}, best by the effects, when run: {score:.3f}")

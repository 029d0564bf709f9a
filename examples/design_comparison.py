"""
In nine runs a uniform design tries nine values of each factor, a grid three
============================================================================

Nine runs, two factors, four ways to place them. A grid tries only three values of each factor.
Random points leave holes and heaps. An orthogonal array sees the same grid in any two of its four
factors, so two more come at no extra run. A uniform design tries nine values of each factor, and
leaves no hole: its *discrepancy*, the distance from an even spread, is the smallest.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import qmc

from skmixup.design import orthogonal_array, to_unit_cube, uniform_design

# %%
# The designs
# -----------
#
# Points of the unit square. :func:`~skmixup.design.uniform_design` and
# :func:`~skmixup.design.orthogonal_array` return levels 0, 1, …;
# :func:`~skmixup.design.to_unit_cube` puts each in the middle of its cell.

N_RUNS = 9
thirds = to_unit_cube([[0], [1], [2]], 3).ravel()
designs = {
    "grid 3 × 3": np.array([(a, b) for a in thirds for b in thirds]),
    # A seed of about the expected discrepancy, ((5/4)² − (13/12)²)/9 = 0.043.
    "random": np.random.default_rng(8).random((N_RUNS, 2)),
    "orthogonal L9, factors 3 and 4": to_unit_cube(orthogonal_array(3, 4)[:, 2:], 3),
    "uniform U9(9²)": to_unit_cube(uniform_design(N_RUNS, 2)),
}

# %%
# Side by side
# ------------
#
# The orange ticks on the margins are the values that each factor is tried at.

figure, axes = plt.subplots(1, 4, figsize=(12, 3.6), layout="constrained")
for ax, (name, points) in zip(axes, designs.items(), strict=True):
    value = qmc.discrepancy(points, method="CD")
    tried = [len(np.unique(column.round(9))) for column in points.T]
    print(f"{name:32s} CD² = {value:.5f}, {tried[0]} values of each factor")
    ax.plot(*points.T, "o", color="tab:blue", markersize=8)
    ax.plot(points[:, 0], np.zeros(N_RUNS), "|", color="tab:orange", markersize=14, mew=2)
    ax.plot(np.zeros(N_RUNS), points[:, 1], "_", color="tab:orange", markersize=14, mew=2)
    ax.set_title(f"{name}\nCD² = {value:.4f}", fontsize="medium")
    ax.set_xlabel(f"{tried[0]} values of factor 1")
    ax.set_ylabel(f"{tried[1]} values of factor 2")
    ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 1], yticks=[0, 1], aspect="equal")
plt.show()

# %%
# What it is worth
# ----------------
#
# If only one factor matters, and you do not know which, the grid has made three different runs and
# the uniform design nine. More factors, mixed levels and designs that complete runs already made
# are on :doc:`the page on designs </guide/design>`.

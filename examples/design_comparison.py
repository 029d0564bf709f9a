"""Nine runs in two factors: a grid, random points, an orthogonal array, a uniform design.

    python examples/design_comparison.py

prints each design's discrepancy and writes design_comparison.png. A grid of nine runs
tries only three values of each factor; the uniform design tries nine, and leaves no hole.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import qmc

from skmixup.design import orthogonal_array, to_unit_cube, uniform_design

N_RUNS = 9


def designs() -> dict[str, np.ndarray]:
    """Nine points of the unit square by each method."""
    thirds = to_unit_cube([[0], [1], [2]], 3).ravel()
    return {
        "grid 3 × 3": np.array([(a, b) for a in thirds for b in thirds]),
        # A seed of about the expected discrepancy, ((5/4)² − (13/12)²)/9 = 0.043.
        "random": np.random.default_rng(8).random((N_RUNS, 2)),
        # Any two of the four factors of L9(3⁴) see the grid; two more come at no extra run.
        "orthogonal L9, factors 3 and 4": to_unit_cube(orthogonal_array(3, 4)[:, 2:], 3),
        "uniform U9(9²)": to_unit_cube(uniform_design(N_RUNS, 2)),
    }


def draw(points_of: dict[str, np.ndarray]) -> Figure:
    """Side by side, with the values that each factor is tried at as ticks on the margins."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    for axes, (name, points) in zip(figure.subplots(1, 4), points_of.items(), strict=True):
        value = qmc.discrepancy(points, method="CD")
        axes.plot(*points.T, "o", color="tab:blue", markersize=8)
        axes.plot(points[:, 0], np.zeros(N_RUNS), "|", color="tab:orange", markersize=14, mew=2)
        axes.plot(np.zeros(N_RUNS), points[:, 1], "_", color="tab:orange", markersize=14, mew=2)
        tried = [len(np.unique(column.round(9))) for column in points.T]
        axes.set_title(f"{name}\nCD² = {value:.4f}", fontsize="medium")
        axes.set_xlabel(f"{tried[0]} values of factor 1")
        axes.set_ylabel(f"{tried[1]} values of factor 2")
        axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 1], yticks=[0, 1], aspect="equal")
    return figure


def main() -> None:
    """Print the discrepancies and write the picture."""
    points_of = designs()
    for name, points in points_of.items():
        print(f"{name:32s} CD² = {qmc.discrepancy(points, method='CD'):.5f}")
    path = Path("design_comparison.png")
    draw(points_of).savefig(path, dpi=120)
    print(f"picture: {path}")


if __name__ == "__main__":
    main()

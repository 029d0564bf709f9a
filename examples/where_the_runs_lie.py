"""
The most even design has no run near the middle; tuning begins there
====================================================================

In several dimensions the points of a design with the smallest centred discrepancy (CD) lie at
nearly the same distance from the middle of the cube: good for learning a response surface, bad
luck where the best setting lies near the middle, as it does when ranges were chosen with sense.
So samplers and searches have a default of their own, ``criterion="CD+middle"``.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from scipy.stats import qmc

from skmixup.tuning import UniformDesignSampler

# %%
# The runs
# --------
#
# 25 runs of five parameters, as a study with :class:`~skmixup.tuning.UniformDesignSampler` asks
# for them, and beside them the first 25 points of a scrambled Sobol' sequence.

N_RUNS, N_FACTORS = 25, 5
optuna.logging.set_verbosity(optuna.logging.WARNING)


def runs_of(criterion: str) -> np.ndarray:
    """The points, in [0, 1], that a study with a design asks for."""
    space = {f"x{i}": FloatDistribution(0, 1) for i in range(N_FACTORS)}
    sampler = UniformDesignSampler(space, n_runs=N_RUNS, criterion=criterion, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: sum(trial.suggest_float(name, 0, 1) for name in space), N_RUNS)
    return np.array([[trial.params[name] for name in space] for trial in study.trials])


methods = {
    'criterion="CD"': runs_of("CD"),
    'criterion="CD+middle"': runs_of("CD+middle"),
    "scrambled Sobol'": qmc.Sobol(N_FACTORS, seed=0).random(32)[:N_RUNS],
}

# %%
# How far from the middle
# -----------------------
#
# Above, two of the five parameters, coloured by the distance from the middle of all five; below,
# how many runs lie at which distance.

figure, axes = plt.subplots(2, 3, figsize=(8.4, 5.2), layout="constrained", sharex="row")
for (name, x), (above, below) in zip(methods.items(), axes.T, strict=True):
    distance = np.linalg.norm(x - 0.5, axis=1)
    print(f"{name}: nearest run to the middle {distance.min():.2f} away")
    above.scatter(*x[:, :2].T, c=distance, vmin=0, vmax=1, cmap="viridis", s=24)
    above.set(title=name, aspect="equal", xlim=(0, 1), ylim=(0, 1), xlabel="first parameter")
    below.hist(distance, bins=np.linspace(0, 1.15, 24), color="tab:blue")
    below.set(xlabel="distance from the middle", ylim=(0, 12))
axes[0, 0].set_ylabel("second parameter")
axes[1, 0].set_ylabel("runs")
figure.savefig(Path("where_the_runs_lie.png"), dpi=80)

# %%
# What it is worth on functions and on real tuning surfaces is on
# :doc:`the benchmark's page </benchmarks/tuning_construction>`, with the case where it loses.

"""Why the first run is the middle: 25 runs of five parameters, drawn and seen by their distance.

    python examples/where_the_runs_lie.py

Draws where_the_runs_lie.png: above, two of the parameters; below, how far each run is from the
middle of all five ranges. Prints the distance from the middle to the nearest run.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from scipy.stats import qmc

from skmixup.tuning import UniformDesignSampler

N_RUNS, N_FACTORS = 25, 5


def runs_of(criterion: str) -> np.ndarray:
    """The points, in [0, 1], that a study with a design asks for."""
    space = {f"x{i}": FloatDistribution(0, 1) for i in range(N_FACTORS)}
    sampler = UniformDesignSampler(space, n_runs=N_RUNS, criterion=criterion, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: sum(trial.suggest_float(name, 0, 1) for name in space), N_RUNS)
    return np.array([[trial.params[name] for name in space] for trial in study.trials])


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    methods = {
        'criterion="CD"': runs_of("CD"),
        'criterion="CD+middle"': runs_of("CD+middle"),
        "scrambled Sobol'": qmc.Sobol(N_FACTORS, rng=0).random(32)[:N_RUNS],
    }
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
    path = Path("where_the_runs_lie.png")
    figure.savefig(path, dpi=80)
    print(f"drawn in {path}")


if __name__ == "__main__":
    main()

"""
Fifteen evenly spread trials are a surer start for TPE than random ones
=======================================================================

Optuna's TPE begins with random trials. With few of them, luck decides whether one falls into the
region that matters. :class:`~skmixup.tuning.UniformDesignSampler` spreads the first fifteen evenly
and then hands over (``then=``).
"""

import matplotlib.pyplot as plt
import numpy as np
import optuna
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skmixup.tuning import UniformDesignSampler

optuna.logging.set_verbosity(optuna.logging.WARNING)
X, y = load_breast_cancer(return_X_y=True)

# %%
# The objective
# -------------
#
# A support vector machine with two parameters, each over six orders of magnitude and more. Most of
# this box is bad.


def objective(trial: optuna.Trial) -> float:
    """Cross-validated accuracy."""
    C = trial.suggest_float("C", 1e-2, 1e4, log=True)
    gamma = trial.suggest_float("gamma", 1e-6, 1e1, log=True)
    model = make_pipeline(StandardScaler(), SVC(C=C, gamma=gamma))
    return float(cross_val_score(model, X, y, cv=3).mean())


# %%
# Two ways to start
# -----------------


def study_with(sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    """Run 25 trials."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=25)
    return study


def tpe(seed: int) -> optuna.samplers.TPESampler:
    """Return a TPE sampler that learns from the first fifteen trials."""
    return optuna.samplers.TPESampler(n_startup_trials=15, seed=seed)


designed = study_with(UniformDesignSampler(n_runs=15, then=tpe(0)))
random = [study_with(tpe(seed)) for seed in range(5)]
for n_trials in (5, 15, 25):
    best = max(trial.value for trial in designed.trials[:n_trials])
    others = [max(trial.value for trial in study.trials[:n_trials]) for study in random]
    print(f"best of {n_trials:2}: design {best:.4f}, random {min(others):.4f} … {max(others):.4f}")

# %%
# Where they looked, and the best so far
# --------------------------------------

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
for ax, (title, study) in zip(
    (left, middle), {"design, then TPE": designed, "TPE, seed 0": random[0]}.items(), strict=True
):
    first, later = study.trials[:15], study.trials[15:]
    for trials, marker in ((first, "o"), (later, "^")):
        places = np.array([(t.params["C"], t.params["gamma"]) for t in trials])
        values = [t.value for t in trials]
        ax.scatter(*places.T, c=values, marker=marker, vmin=0.6, vmax=1, cmap="viridis")
    ax.set(title=title, xscale="log", yscale="log", xlabel="C", ylabel="gamma")
for study, style in [(designed, {"color": "tab:orange", "lw": 3})] + [
    (study, {"color": "0.6"}) for study in random
]:
    best = np.maximum.accumulate([trial.value for trial in study.trials])
    right.step(range(1, 26), best, where="post", **style)
right.set(title="best so far: design (orange), random starts", xlabel="trials", ylim=(0.9, None))
plt.show()

# %%
# Any sampler may follow, or none: without ``then`` the study ends by itself.
# :doc:`The page on tuning </guide/tuning>` has many workers, failures and pruning.

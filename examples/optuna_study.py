"""Tune a classifier in Optuna with 15 evenly spread trials, then let TPE take over for 10 more.

python examples/optuna_study.py
"""

import optuna
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skmixup.tuning import UniformDesignSampler

X, y = load_breast_cancer(return_X_y=True)


def objective(trial: optuna.Trial) -> float:
    C = trial.suggest_float("C", 1e-2, 1e4, log=True)
    gamma = trial.suggest_float("gamma", 1e-6, 1e1, log=True)
    model = make_pipeline(StandardScaler(), SVC(C=C, gamma=gamma))
    return float(cross_val_score(model, X, y, cv=3).mean())


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tpe = optuna.samplers.TPESampler(n_startup_trials=15, seed=0)
    sampler = UniformDesignSampler(n_runs=15, then=tpe)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=15)
    print(f"15 trials: {study.best_value:.4f} with {study.best_params}")
    study.optimize(objective, n_trials=10)
    print(f"25 trials: {study.best_value:.4f} with {study.best_params}")


if __name__ == "__main__":
    main()

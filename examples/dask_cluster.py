"""
A study and a search run on a Dask cluster as they are
======================================================

Optuna's ``DaskStorage`` lets workers of a cluster share a study, and joblib's Dask backend runs
the candidates of a scikit-learn search there. Designs need nothing for either. Give ``Client``
the address of a scheduler to use a real cluster.
"""

import warnings

import joblib
import optuna
from dask.distributed import Client, LocalCluster, wait
from optuna_integration import DaskStorage
from scipy.stats import loguniform
from sklearn.datasets import load_iris
from sklearn.svm import SVC

from skmixup.tuning import UniformDesignSampler, UniformDesignSearchCV


def objective(trial: optuna.Trial) -> float:
    """Something to minimise."""
    return (trial.suggest_float("x", -5, 5) - 1) ** 2 + trial.suggest_int("k", 1, 4)


def main() -> None:
    """Run a study of twelve trials, then a search of twelve candidates, on two workers."""
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        study = optuna.create_study(
            storage=DaskStorage(client=client), sampler=UniformDesignSampler(n_runs=12)
        )
        wait([client.submit(study.optimize, objective, pure=False) for _ in range(2)])
        print(f"study: {len(study.trials)} trials, best {study.best_value:.3f}")

        X, y = load_iris(return_X_y=True)
        space = {"C": loguniform(1e-2, 1e2), "gamma": loguniform(1e-3, 1e1)}
        search = UniformDesignSearchCV(SVC(), space, n_runs=12, cv=3)
        with joblib.parallel_backend("dask"):
            search.fit(X, y)
        print(f"search: {search.best_score_:.3f} with {search.best_params_}")


if __name__ == "__main__":
    main()

# %%
# Without a cluster: :ref:`sphx_glr_gallery_two_processes.py`.

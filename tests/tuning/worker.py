"""One worker process of test_processes.py: joins a study and runs its design.

    python worker.py STORAGE STUDY N_RUNS [hang]

With ``hang`` the worker's second trial never returns, so that it can be killed in its middle.
"""

import os
import sys
import time
import warnings

import optuna

from skmixup.tuning import UniformDesignSampler


def open_storage(description):
    """A storage from a text: ``journal:path``, ``heartbeat:url``, ``grpc:port`` or a URL."""
    kind, _, rest = description.partition(":")
    if kind == "journal":
        return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(rest))
    if kind == "heartbeat":
        return optuna.storages.RDBStorage(rest, heartbeat_interval=1, grace_period=2)
    if kind == "grpc":
        return optuna.storages.GrpcStorageProxy(host="127.0.0.1", port=int(rest))
    return optuna.storages.RDBStorage(description)


def main(description, name, n_runs, hang):
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = UniformDesignSampler(n_runs=n_runs)
    study = optuna.load_study(study_name=name, storage=open_storage(description), sampler=sampler)
    trials = 0

    def objective(trial):
        nonlocal trials
        trials += 1
        x = trial.suggest_float("x", 0, 1)
        if hang and trials == 2:
            if description.startswith("heartbeat"):
                # Optuna gives up no trial without one; the first one comes from a thread.
                time.sleep(2)
            trial.set_user_attr("hangs", os.getpid())
            time.sleep(600)
        time.sleep(0.05)
        return x + trial.suggest_int("k", 1, 5)

    study.optimize(objective)


if __name__ == "__main__":
    main(*sys.argv[1:3], int(sys.argv[3]), "hang" in sys.argv)

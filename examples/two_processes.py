"""
Two processes share a design without talking to each other
==========================================================

Trial number k runs row k of the design, and Optuna's storages hand out trial numbers atomically.
So any number of processes and machines work on one study, and no point is run twice. Here two
processes meet in a file; on two machines it is a database or Optuna's gRPC proxy, and the same
script.
"""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from skmixup.tuning import UniformDesignSampler

# %%
# What each process does
# ----------------------
#
# The same lines as for one process, and a name for the study.


def objective(trial: optuna.Trial) -> float:
    """Something to minimise that takes a little while."""
    x = trial.suggest_float("x", -5, 5)
    y = trial.suggest_float("y", -5, 5)
    trial.set_user_attr("worker", sys.argv[2])
    time.sleep(0.05)
    return (x - 1) ** 2 + (y + 2) ** 2


def work(path: str) -> None:
    """Join the study, or begin it, and run what is left."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        study_name="shared",
        storage=JournalStorage(JournalFileBackend(path)),
        sampler=UniformDesignSampler(n_runs=24, stale_after=60),  # gives up dead workers
        load_if_exists=True,
    )
    study.optimize(objective)  # ends by itself when all 24 points are run


# %%
# Two of them
# -----------
#
# The script starts itself twice, as you would start it on two machines.


def main() -> None:
    """Start two workers and say what each has done."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "study.log")
        workers = [
            subprocess.Popen([sys.executable, sys.argv[0], path, f"worker {i}"]) for i in (1, 2)
        ]
        for worker in workers:
            worker.wait()
        storage = JournalStorage(JournalFileBackend(path))
        study = optuna.load_study(study_name="shared", storage=storage)
        trials = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
        print(dict(Counter(trial.user_attrs["worker"] for trial in trials)))
        print(f"{len({(t.params['x'], t.params['y']) for t in trials})} different points")
        print(f"best {study.best_value:.3f} at {study.best_params}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        work(sys.argv[1])
    else:
        main()

# %%
# A worker that dies, one that was slow, clocks that differ: :doc:`many workers </guide/tuning>`. A
# cluster with a scheduler of its own: :ref:`sphx_glr_gallery_dask_cluster.py`.

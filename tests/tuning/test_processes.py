"""Real worker processes on real storages, one of them killed in the middle of a trial."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from skmixup.tuning import UniformDesignSampler
from tests.tuning.studies import assert_every_row_once, row
from tests.tuning.worker import open_storage

WORKER = Path(__file__).with_name("worker.py")
N_RUNS = 18

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@contextmanager
def processes(*commands):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    running = [subprocess.Popen([sys.executable, *c], env=environment) for c in commands]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(params=["sqlite", "journal", "grpc", "postgresql"])
def storage(request, tmp_path):
    """A description that worker.py understands, of a storage that is empty."""
    sqlite = f"sqlite:///{tmp_path / 'study.db'}"
    if request.param == "sqlite":
        yield f"heartbeat:{sqlite}"
    elif request.param == "journal":
        yield f"journal:{tmp_path / 'study.log'}"
    elif request.param == "postgresql":
        url = os.environ.get("SKMIXUP_TEST_POSTGRESQL")
        if url is None:
            pytest.skip("SKMIXUP_TEST_POSTGRESQL holds no database URL")
        yield f"heartbeat:{url}"
    else:
        port = free_port()
        serve = (
            "import optuna, sys; optuna.storages.run_grpc_proxy_server("
            "optuna.storages.RDBStorage(sys.argv[1]), host='127.0.0.1', port=int(sys.argv[2]))"
        )
        with processes(["-W", "ignore", "-c", serve, sqlite, str(port)]):
            proxy = open_storage(f"grpc:{port}")
            proxy.wait_server_ready(timeout=240)
            yield f"grpc:{port}"
            proxy.close()


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError("the workers did not get there")


def hanging(study):
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    # A storage may read a trial's parameters before they are written and its attributes after.
    return next((t for t in running if "hangs" in t.user_attrs and t.params), None)


def n_complete(study):
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def test_a_killed_worker_costs_no_point_and_doubles_none(storage):
    opened = open_storage(storage)
    name = f"design-{uuid.uuid4().hex}"
    study = optuna.create_study(study_name=name, storage=opened)
    worker = [str(WORKER), storage, name, str(N_RUNS)]
    with processes([*worker, "hang"]) as (victim,):
        lost = wait_for(lambda: hanging(study))
        with processes(worker) as (survivor,):  # not before, or it may leave nothing to hang in
            wait_for(lambda: n_complete(study) > 3)
            os.kill(victim.pid, signal.SIGKILL)
            assert survivor.wait(timeout=600) == 0
    # The lost point is all that may be missing: a worker notices it only through a heartbeat.
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    assert set(range(N_RUNS)) - {row(t) for t in complete} <= {row(lost)}

    stale_after = None if storage.startswith("heartbeat") else 1.0
    # a heartbeat's grace period of 2 s, which SQLite's clock rounds to seconds
    time.sleep(stale_after or 4.0)
    study.sampler = UniformDesignSampler(n_runs=N_RUNS, stale_after=stale_after)
    study.optimize(lambda t: t.suggest_float("x", 0, 1) + t.suggest_int("k", 1, 5))
    trials = study.get_trials()
    assert trials[lost.number].state == TrialState.FAIL
    (again,) = (t for t in trials if row(t) == row(lost) and t.state == TrialState.COMPLETE)
    assert again.params["x"] == lost.params["x"]
    assert_every_row_once(study, N_RUNS)


@pytest.mark.filterwarnings("ignore")
def test_dask_storage_and_a_cluster_of_processes():
    distributed = pytest.importorskip("distributed")
    from optuna_integration import DaskStorage

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        study = optuna.create_study(
            storage=DaskStorage(client=client), sampler=UniformDesignSampler(n_runs=12)
        )
        futures = [client.submit(optimize, study, pure=False) for _ in range(4)]
        distributed.wait(futures, timeout=300)  # workers may be lost where a machine stood still
        for future in futures:
            future.result()
        assert_every_row_once(study, 12)


def optimize(study):
    """What each Dask task does; everything it needs travels in the study."""
    study.optimize(lambda t: t.suggest_float("x", 0, 1) + t.suggest_int("k", 1, 5))

"""A fitted estimator in a server: rows one at a time, threads, other processes."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import cloudpickle
import joblib
import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier

RNG = np.random.default_rng(0)
CODES = np.arange(60) % 3
X = (RNG.normal(size=(60, 4)) + 3 * np.eye(3, 4)[CODES]).astype(np.float32)
Y = np.array(["ant", "bee", "cow"])[CODES]
FAST = {"max_epochs": 5, "lr": 0.02, "random_state": 0}


def normalised():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))


@pytest.fixture(scope="module")
def classifiers():
    made = [
        ManifoldMixupClassifier(module__hidden_sizes=(8,), **FAST),
        VicinalClassifier(normalised, **FAST),
        make_pipeline(StandardScaler(), MixupClassifier(module__hidden_sizes=(8,), **FAST)),
    ]
    return [clf.fit(X, Y) for clf in made]


def test_threads_get_what_one_after_another_gets(classifiers):
    for clf in classifiers:
        alone = [clf.predict_proba(X[i : i + 1]) for i in range(60)]
        start = Barrier(4)

        def serve(worker, clf=clf, start=start):
            start.wait()
            rows = range(worker, 60, 4)
            return {i: clf.predict_proba(X[i : i + 1]) for i in rows for _ in range(5)}

        with ThreadPoolExecutor(4) as pool:
            served = {i: p for part in pool.map(serve, range(4)) for i, p in part.items()}
        assert len(served) == 60
        assert all(np.array_equal(served[i], alone[i]) for i in range(60))


def test_every_method_at_once(classifiers):
    clf = classifiers[0]
    methods = ["predict", "predict_proba", "predict_log_proba", "decision_function"] * 8
    expected = {name: getattr(clf, name)(X) for name in set(methods)}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda name: getattr(clf, name)(X), methods))
    for name, answer in zip(methods, answers, strict=True):
        assert np.array_equal(answer, expected[name])


def test_one_row_is_predicted_as_among_others(classifiers):
    for clf in classifiers:
        together = clf.predict_proba(X)
        alone = np.concatenate([clf.predict_proba(row[None]) for row in X])
        np.testing.assert_allclose(alone, together, atol=1e-6)


@pytest.mark.parametrize("dump", [cloudpickle.dump, joblib.dump])
def test_another_process_predicts_the_same(classifiers, dump, tmp_path):
    with open(tmp_path / "estimator", "wb") as file:
        dump(classifiers[0], file)
    np.save(tmp_path / "rows.npy", X)
    load = "import joblib" if dump is joblib.dump else "import cloudpickle as joblib"
    code = f"""{load}, numpy as np
        with open("estimator", "rb") as file:
            clf = joblib.load(file)
        np.save("proba.npy", clf.predict_proba(np.load("rows.npy")))"""
    code = "\n".join(line.removeprefix(" " * 8) for line in code.splitlines())
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert np.array_equal(np.load(tmp_path / "proba.npy"), classifiers[0].predict_proba(X))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_worker_with_one_thread_predicts(classifiers, tmp_path):
    """With torch's threads of the parent it would wait for them forever."""
    joblib.dump((classifiers[0], np.tile(X, (200, 1))), tmp_path / "server")
    # a process of its own: threads of other tests may hold locks, which a fork would keep forever
    code = """if True:
        import joblib, os, signal, torch
        torch.set_num_threads(2)
        clf, rows = joblib.load("server")
        expected = clf.predict(rows)
        worker = os.fork()
        if worker == 0:
            signal.alarm(60)
            torch.set_num_threads(1)
            os._exit(0 if (clf.predict(rows) == expected).all() else 1)
        status = os.waitpid(worker, 0)[1]
        assert status == 0, status"""
    run = [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", code]
    subprocess.run(run, cwd=tmp_path, check=True)

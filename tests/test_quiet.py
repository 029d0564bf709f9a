"""Warnings are ignored by the thread that wants so, and the filters of the process stay."""

import ast
import pickle
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils.parallel import Parallel, delayed

import skmixup
from skmixup import quiet
from skmixup.ensemble import MixupClassifierCV
from skmixup.quiet import _FILTER, ignoring
from tests.ensemble.toys import toy


def is_ignored(text):
    """Whether a UserWarning with this text would be ignored."""
    actions = (
        action
        for action, message, category, *_ in warnings.filters
        if issubclass(UserWarning, category) and (message is None or message.match(text))
    )
    return next(actions, "default") == "ignore"


def test_only_what_is_said_is_ignored_and_only_inside():
    with ignoring("first"), ignoring("second"):
        warnings.warn("first of all", UserWarning, stacklevel=1)
        warnings.warn("second of all", UserWarning, stacklevel=1)
        assert not is_ignored("not the first")
    assert not is_ignored("first of all")


@pytest.mark.skipif(sys.version_info < (3, 14), reason="filters are those of the process")
def test_where_filters_are_kept_by_context():
    code = "with ignoring('first'): warn('first of all')"
    by_context = [sys.executable, "-X", "context_aware_warnings=1", "-W", "error", "-c"]
    imports = "from warnings import warn; from skmixup.quiet import ignoring\n"
    subprocess.run([*by_context, imports + code], check=True)
    heard = subprocess.run([*by_context, imports + code + "\nwarn('later')"], check=False)
    assert heard.returncode


def test_other_threads_hear_of_everything():
    before = list(warnings.filters)
    inside, done = threading.Event(), threading.Event()

    def ignores():
        with ignoring():
            inside.set()
            done.wait(20)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(ignores)
        inside.wait(20)
        with pytest.warns(UserWarning, match="heard"):
            warnings.warn("heard", UserWarning, stacklevel=1)
        done.set()
    assert warnings.filters == before


def test_fits_in_threads_leave_no_warning_ignored():
    """Each is in the check of its scorer when the other enters; the first one in leaves first."""
    first, second, left = threading.Event(), threading.Event(), threading.Event()

    class Scorer:
        n_calls = 0

        def __init__(self, is_first):
            self.is_first = is_first

        def __call__(self, estimator, X, y):
            self.n_calls += 1
            if self.is_first:
                (first if self.n_calls == 1 else left).set()
                assert second.wait(20)
            elif self.n_calls == 1:
                second.set()
                assert left.wait(20)
            return 0.5

    X, y = np.arange(24.0).reshape(12, 2), np.arange(12) % 2
    fold = [(np.arange(8), np.arange(8, 12))]

    def fit(is_first):
        if not is_first:
            first.wait(20)
        search = MixupClassifierCV(
            toy(),
            param_distributions={"beta": [1.0, 2.0]},
            n_runs=2,
            cv=fold,
            scoring=Scorer(is_first),
        )
        search.fit(X, y)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fit, [True, False]))
    assert not is_ignored("of something else")


def warns():
    warnings.warn("in a task", UserWarning, stacklevel=1)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_tasks_that_get_the_filters_do_not_ignore_by_them(n_jobs):
    assert pickle.loads(pickle.dumps(_FILTER))[1] is _FILTER[1]
    with ignoring("nothing"), pytest.warns(UserWarning, match="in a task"):
        Parallel(n_jobs, backend="threading")(delayed(warns)() for _ in range(2))


def test_nothing_swaps_the_filters_of_the_process():
    """Two threads that do so at once leave one's filters to all, for good."""
    names = {"catch_warnings", "simplefilter", "filterwarnings", "resetwarnings"}
    for file in set(Path(skmixup.__file__).parent.rglob("*.py")) - {Path(quiet.__file__)}:
        used = {
            node.attr
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Attribute)
        }
        assert not used & names, file

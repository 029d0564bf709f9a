"""How many runs: ``n_runs="auto"``, its reasons, and the numbers that docstrings state."""

import math
import warnings
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy import stats
from sklearn.dummy import DummyClassifier

from skmixup.design.completion import MAX_SEARCHED_ROWS
from skmixup.design.factors import as_factors
from skmixup.design.shipped import shipped_columns
from skmixup.tuning import UniformDesignSampler, UniformDesignSearchCV
from skmixup.tuning.plans import MAX_SEARCHED_RUNS
from skmixup.tuning.publishing import MAX_STORED_CHARACTERS, levels_to_text
from skmixup.tuning.runs import auto_n_runs, resolve_n_runs
from tests.tuning.studies import study_with


@given(
    n_factors=st.integers(1, 40),
    n_levels=st.lists(st.integers(2, 12), max_size=4),
)
def test_the_automatic_number_of_runs_keeps_its_promises(n_factors, n_levels):
    n_levels = n_levels[:n_factors]
    n_runs = auto_n_runs(n_factors, n_levels)
    if len(n_levels) == n_factors and math.prod(n_levels) <= n_runs:
        assert n_runs == math.prod(n_levels)
        return
    start = max(min(10 * n_factors, 50), 3 * n_factors, 2 * max(n_levels, default=0))
    assert start <= n_runs <= 1.5 * start
    if n_levels and start % math.lcm(*n_levels) != 0 and math.lcm(*n_levels) <= start / 2:
        assert n_runs % math.lcm(*n_levels) == 0


def test_parameters_of_one_value_each_are_run_once():
    space = {"lr": FloatDistribution(0.1, 0.1), "on": CategoricalDistribution([True])}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = study_with(UniformDesignSampler(space, n_runs="auto"))
    study.optimize(lambda trial: trial.suggest_float("lr", 0.1, 0.1))
    assert len(study.trials) == 1
    search = UniformDesignSearchCV(DummyClassifier(), {"strategy": ["prior"]}, n_runs="auto", cv=2)
    assert search.fit([[0]] * 4, [0, 1, 0, 1]).cv_results_["params"] == [{"strategy": "prior"}]


def test_every_category_comes_equally_often():
    space = {
        "lr": FloatDistribution(1e-5, 1e-1, log=True),
        "wd": FloatDistribution(0, 1),
        "kind": CategoricalDistribution(list("abcdefg")),
        "on": CategoricalDistribution([False, True]),
    }
    study = study_with(UniformDesignSampler(space, n_runs="auto"))

    def objective(trial):
        x = trial.suggest_float("lr", 1e-5, 1e-1, log=True) + trial.suggest_float("wd", 0, 1)
        on = trial.suggest_categorical("on", [False, True])
        return x + on + ord(trial.suggest_categorical("kind", list("abcdefg")))

    study.optimize(objective)
    assert len(study.trials) == 42
    assert set(Counter(t.params["kind"] for t in study.trials).values()) == {6}
    assert set(Counter(t.params["on"] for t in study.trials).values()) == {21}


@pytest.mark.parametrize(
    ("space", "n_runs"),
    [
        ({"a": IntDistribution(1, 3), "b": CategoricalDistribution("xy")}, 6),
        ({"n": IntDistribution(1, 1000)}, 10),
        ({"n": IntDistribution(1, 14), "m": IntDistribution(5, 5)}, 10),
        ({"c": CategoricalDistribution([str(i) for i in range(30)])}, 30),
        ({"x": FloatDistribution(0, 1), "y": FloatDistribution(0.5, 0.5)}, 10),
        ({"n": stats.randint(1, 4), "m": stats.randint(3, 4), "c": ["x", "x"]}, 3),
    ],
)
def test_spaces_of_few_values(space, n_runs):
    assert resolve_n_runs("auto", as_factors(space, "search_space")) == n_runs


def test_the_number_cannot_follow_from_names_that_are_not_known_yet():
    with pytest.raises(ValueError, match=r"n_runs='auto' follows from .* needs a search_space"):
        UniformDesignSampler(n_runs="auto")
    with pytest.raises(ValueError, match="n_runs='many' must be an integer or 'auto'"):
        UniformDesignSampler({"x": FloatDistribution(0, 1)}, n_runs="many")


def test_the_docstring_says_the_sizes_of_the_code():
    text = " ".join((UniformDesignSampler.__doc__ or "").split())
    assert f"declared design of more than {MAX_SEARCHED_RUNS} runs" in text
    assert f"one of more than {MAX_SEARCHED_ROWS} whose columns" in text
    larger = [n for n in (500, 600, 800, 1000) if shipped_columns(n) is not None]
    assert f"but for {larger[0]} and {larger[1]}, is a Sobol' sequence" in text
    assert (
        len(levels_to_text(range(1100), 1100))
        < MAX_STORED_CHARACTERS
        < len(levels_to_text(range(1300), 1300))
    )

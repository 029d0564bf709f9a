"""Which settings a search runs: each once, the given ones first, as many as there are."""

import numpy as np
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skmixup.effects import design_effects
from skmixup.tuning import OrthogonalDesignSearchCV, UniformDesignSearchCV
from skmixup.tuning.runs import auto_n_runs

X, y = load_iris(return_X_y=True)


class Anything(ClassifierMixin, BaseEstimator):
    """Takes any settings and is good where its numbers are small."""

    def __init__(self, a=0.3, b="x", c=None):
        self.a = a
        self.b = b
        self.c = c

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.arange(len(X)) % 3

    def score(self, X, y):
        numbers = [v for v in (self.a, self.b, self.c) if isinstance(v, int | float)]
        return -float(np.nansum(numbers))


def candidates(space, search=UniformDesignSearchCV, **settings):
    found = search(Anything(), space, cv=2, **settings).fit(X, y)
    assert found.n_completed_ == len(found.cv_results_["params"])
    return found.cv_results_["params"]


def as_set(settings):
    return {tuple(map(repr, setting.values())) for setting in settings}


SMALL = [
    ({"a": [1, 2], "b": ["x", "y"]}, 4),
    ({"a": stats.randint(1, 4), "b": ["x", "y"]}, 6),
    ({"a": IntDistribution(1, 3), "b": IntDistribution(1, 8, log=True)}, 24),
    ({"a": [1, 1, 2]}, 2),
    ({"a": [1, 1.0, True, "1"]}, 4),
    ({"a": [[1, 2], [3, 4], {"k": 1}], "b": ["x"]}, 3),
    ({"a": [1], "b": ["x"]}, 1),
    ({"a": [0.5, None, np.nan, "auto"], "b": [(1, 2), (2, 1)]}, 8),
]


@pytest.mark.parametrize(("space", "n_different"), SMALL)
@pytest.mark.parametrize("settings", [{}, {"n_rounds": 3}, {"random_state": 1}])
def test_more_runs_than_settings_run_each_once(space, n_different, settings):
    expected = f"n_runs=30 is more than the {n_different} different candidates .* evaluated once"
    with pytest.warns(UserWarning, match=expected):
        found = candidates(space, n_runs=30, **settings)
    assert len(found) == len(as_set(found)) == n_different


@pytest.mark.parametrize("settings", [{}, {"n_rounds": 2}, {"criterion": "CD"}])
def test_what_has_one_value_is_no_parameter_to_search(settings):
    space = {"a": stats.uniform(0, 1), "b": stats.randint(3, 4)}
    assert {p["b"] for p in candidates(space, n_runs=4, **settings)} == {3}
    space = {"b": ["x", "x"], "a": FloatDistribution(0.1, 0.1)}
    with pytest.warns(UserWarning, match="more than the 1 different candidates"):
        assert candidates(space, n_runs=2) == [{"b": "x", "a": 0.1}]


def test_the_present_estimator_is_a_setting_of_the_space():
    space = {"a": [PCA(2), PCA(3)], "b": ["x", "y"]}
    search = UniformDesignSearchCV(Anything(PCA(2), "x"), space, n_runs=4, cv=2, initial_params={})
    found = search.fit(X, y).cv_results_["params"]  # none twice, and no warning of too many runs
    assert len(found) == len(as_set(found)) == 4
    assert "outside" not in str(design_effects(search).responses.notes)


@pytest.mark.parametrize("value", [0, 1.5, True])
def test_bad_numbers_of_rounds(value):
    with pytest.raises(ValueError, match=f"'n_rounds' .*range .1, inf.. Got {value} instead"):
        candidates({"a": [1, 2]}, n_runs=4, n_rounds=value)


@pytest.mark.parametrize("distribution", [stats.poisson(3), stats.binom(1000, 0.003)])
@pytest.mark.parametrize("n_rounds", [1, 3])
def test_values_that_hardly_ever_come_are_no_candidates(distribution, n_rounds):
    with pytest.warns(UserWarning, match="n_runs=40, but no more than .* different candidates"):
        found = candidates({"a": distribution}, n_runs=40, n_rounds=n_rounds)
    assert 10 <= len(found) == len(as_set(found)) < 40


def test_very_many_values_of_which_few_have_a_probability():
    found = candidates({"a": stats.boltzmann(0.1, 10**19), "b": [1, 2]}, n_runs=6)
    assert len(as_set(found)) == 6


@pytest.mark.parametrize("n_runs", [5, 8, 12])
@pytest.mark.parametrize(
    "space",
    [
        {"a": [1, 2, 3], "b": ["w", "x", "y", "z"]},
        {"a": stats.randint(1, 4), "b": ["w", "x", "y", "z"]},
        {"a": IntDistribution(1, 3, log=True), "b": stats.binom(3, 0.4)},
        {"a": [1, 1, 2, 3], "b": IntDistribution(0, 6, step=2)},
    ],
)
@pytest.mark.parametrize("settings", [{}, {"n_rounds": 2}, {"initial_params": {"a": 2, "b": 2}}])
def test_as_many_runs_as_settings_or_fewer_run_none_twice(space, n_runs, settings):
    if isinstance(space["b"], list) and "initial_params" in settings:
        settings = {"initial_params": {"a": 2, "b": "y"}}
    found = candidates(space, n_runs=n_runs, **settings)
    assert len(found) == len(as_set(found)) == n_runs


def test_rounds_over_lists_run_none_twice_and_go_on_beside_the_box():
    space = {"a": [*range(6)], "b": [*range(6)]}
    found = candidates(space, n_runs=30, n_rounds=8)
    assert len(as_set(found)) == 30
    # The best corner has been looked at closely: 9 settings with a + b ≤ 3 and less.
    assert sum(p["a"] + p["b"] <= 3 for p in found) >= 8


def test_very_many_rounds_start_again_instead_of_repeating_a_point():
    found = candidates({"a": stats.uniform(0, 1)}, n_runs=126, n_rounds=60)
    places = np.array([p["a"] for p in found])
    assert len(np.unique(np.round(places, 7))) == 126
    assert places.min() < 1e-3
    assert (places[-20:] > 0.2).any()


# What is run first.


def test_initial_settings_come_first_and_the_design_completes_them():
    space = {"a": stats.uniform(0, 1)}
    found = candidates(space, n_runs=5, initial_params=[{"a": 0.13}, {"a": 0.55}])
    assert found[:2] == [{"a": 0.13}, {"a": 0.55}]
    # One run in each fifth of the range.
    assert sorted(int(5 * p["a"]) for p in found) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("n_runs", [6, 12, 13])
@pytest.mark.parametrize("value", [0.99, 1.0, 1.01])
@pytest.mark.parametrize("ends", [(1e-1, 1e1), (1e-4, 1e4)])
def test_an_initial_setting_in_the_middle_is_not_run_again(n_runs, value, ends):
    space = {"a": stats.loguniform(*ends)}
    found = candidates(space, n_runs=n_runs, initial_params={"a": value})
    places = np.sort(np.log([p["a"] for p in found]) / np.log(ends[1] / ends[0]))
    assert np.diff(places).min() > 0.25 / n_runs


@pytest.mark.parametrize(
    ("initial", "first"),
    [
        ({"a": 0.2, "b": "y"}, [{"a": 0.2, "b": "y"}]),
        ([{"a": 0.2}], [{"a": 0.2, "b": "x"}]),
        ({}, [{"a": 0.3, "b": "x"}]),
        (Anything().get_params(), [{"a": 0.3, "b": "x"}]),
        ([{}, {"a": 0.3}, {"b": "x", "a": 0.3}], [{"a": 0.3, "b": "x"}]),
        (({"a": np.float64(0.2)},), [{"a": 0.2, "b": "x"}]),
        ([{"a": 7.0, "b": "y"}, {"a": "auto", "b": "z"}], None),
        ([], []),
        (None, []),
    ],
)
@pytest.mark.parametrize("n_rounds", [1, 2])
def test_what_initial_params_may_be(initial, first, n_rounds):
    space = {"a": stats.uniform(0, 1), "b": ["x", "y"]}
    settings = {"n_runs": 9, "n_rounds": n_rounds, "initial_params": initial}
    found = candidates(space, **settings)
    first = list(initial) if first is None else first
    assert found[: len(first)] == first
    assert len(as_set(found)) == 9
    assert candidates(space, **settings) == found


def test_initial_settings_are_known_to_later_rounds():
    space = {"a": stats.uniform(0, 1), "b": stats.uniform(0, 1)}
    best = {"a": 0.01, "b": 0.02}
    found = candidates(space, n_runs=16, n_rounds=4, initial_params=best)
    near = [abs(p["a"] - 0.01) < 0.5 and abs(p["b"] - 0.02) < 0.5 for p in found[-3:]]
    assert all(near)


def test_the_present_settings_of_an_svc_lie_outside_the_space():
    """gamma="scale" is no number: it is run, and the design does without it."""
    space = {"C": stats.loguniform(1e-2, 1e2), "gamma": stats.loguniform(1e-3, 1e1)}
    search = UniformDesignSearchCV(SVC(), space, n_runs=12, n_rounds=2, initial_params={}, cv=3)
    found = search.fit(X, y)
    assert found.cv_results_["params"][0] == {"C": 1.0, "gamma": "scale"}
    assert found.cv_results_["mean_test_score"][0] > 0.9
    assert found.n_completed_ == 12


@pytest.mark.parametrize(("n_runs", "n_rounds", "n_outside"), [(12, 4, 5), (6, 2, 3), (6, 2, 4)])
def test_settings_outside_may_fill_the_first_round(n_runs, n_rounds, n_outside):
    space = {"a": stats.uniform(0, 1), "c": stats.uniform(0, 1)}
    first = [{"a": 2.0 + k} for k in range(n_outside)]
    found = candidates(space, n_runs=n_runs, n_rounds=n_rounds, initial_params=first)
    assert [p["a"] for p in found[:n_outside]] == [p["a"] for p in first]
    assert len(as_set(found)) == n_runs


def test_effects_leave_out_what_lies_outside_the_space():
    space = {"C": stats.loguniform(1e-2, 1e2), "gamma": stats.loguniform(1e-3, 1e1)}
    first = [{}, {"gamma": 0.5}]
    found = UniformDesignSearchCV(SVC(), space, n_runs=14, initial_params=first, cv=3).fit(X, y)
    effects = design_effects(found)
    assert isinstance(effects.best["gamma"], float)
    assert "1 of initial_params lie outside the space" in str(effects)


def test_initial_settings_are_what_a_time_limit_leaves():
    search = UniformDesignSearchCV(
        Anything(), {"a": stats.uniform(0, 1)}, n_runs=5, initial_params={}, time_limit=1e-9, cv=2
    )
    with pytest.warns(UserWarning, match="time_limit"):
        search.fit(X, y)
    assert search.best_params_ == {"a": 0.3}


def test_a_time_limit_before_all_settings_outside_were_run():
    space, outside = {"a": stats.uniform(0, 1)}, [{"a": 2.0}, {"a": 3.0}]
    search = UniformDesignSearchCV(
        Anything(), space, n_runs=6, n_rounds=2, initial_params=outside, time_limit=1e-9, cv=2
    )
    with pytest.warns(UserWarning, match="time_limit"):
        search.fit(X, y)
    assert search.cv_results_["params"] == outside[:1]


@pytest.mark.parametrize(
    ("initial", "error", "message"),
    [
        ("current", ValueError, "'initial_params' parameter"),
        ([0.3], TypeError, r"initial_params\[0\]=0.3 must be a dict"),
        ([{"c": 1}], ValueError, r"initial_params\[0\] sets \['c'\]"),
        ([{}, {"alpha": 1}], ValueError, r"initial_params\[1\] sets \['alpha'\].*\['a', 'b'\]"),
        ([{"a": k / 9} for k in range(7)], ValueError, "has 7 settings, but .* only 4 runs"),
    ],
)
def test_bad_initial_params(initial, error, message):
    with pytest.raises(error, match=message):
        candidates({"a": stats.uniform(0, 1), "b": ["x", "y"]}, n_runs=4, initial_params=initial)


def test_an_initial_setting_that_the_estimator_cannot_complete():
    with pytest.raises(ValueError, match=r"no value of .*z.*, and Anything has no such .* give a"):
        candidates({"a": [1, 2], "z": [1, 2]}, n_runs=4, initial_params={"a": 1})


# How many.


def test_automatic_numbers_of_runs():
    space = {"a": stats.uniform(0, 1), "b": ["x", "y"]}
    assert len(candidates(space, n_runs="auto")) == auto_n_runs(2, [2])
    assert len(candidates(space, n_runs="auto", n_rounds=3)) == auto_n_runs(2, [2])
    assert len(candidates({"a": [1, 2], "b": ["x", "y"]}, n_runs="auto")) == 4
    with pytest.raises(ValueError, match="'n_runs' parameter"):
        candidates(space, n_runs="many")


# Orthogonal arrays.


def test_orthogonal_search_takes_lists_of_one_value():
    grid = {"a": [1, 2, 3], "b": ["x"], "c": [4, 5, 6]}
    found = candidates(grid, OrthogonalDesignSearchCV)
    assert len(as_set(found)) == 9
    assert {p["b"] for p in found} == {"x"}


def test_orthogonal_search_runs_the_values_of_one_parameter_once():
    found = candidates({"a": [1, 2, 3], "b": ["x"]}, OrthogonalDesignSearchCV)
    assert sorted(p["a"] for p in found) == [1, 2, 3]


def test_orthogonal_search_with_nothing_to_search():
    with pytest.raises(ValueError, match="one value of every parameter"):
        candidates({"a": [1], "b": ["x"]}, OrthogonalDesignSearchCV)


def test_frozen_estimators_of_equal_parameters_are_two_values():
    """What they have learnt is not among their parameters, and stays when they are cloned."""
    frozen = [FrozenEstimator(PCA(2).fit(rows)) for rows in (X, X * [9, 1, 1, 0.1])]
    model = make_pipeline(PCA(2), SVC())
    space = {"pca": frozen, "svc__C": [0.1, 1.0]}
    for search in (
        UniformDesignSearchCV(model, space, n_runs=4, cv=2),
        OrthogonalDesignSearchCV(model, space, cv=2),
    ):
        tried = search.fit(X, y).cv_results_["params"]
        assert len(tried) == 4
        assert [sum(setting["pca"] is one for setting in tried) for one in frozen] == [2, 2]
        assert any(design_effects(search).best["pca"] is one for one in frozen)

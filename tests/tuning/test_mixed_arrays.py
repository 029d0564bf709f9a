"""Orthogonal arrays of mixed levels, run by the sampler and by the search."""

from collections import Counter
from itertools import combinations

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from sklearn.datasets import load_iris
from sklearn.linear_model import Ridge
from sklearn.svm import SVC

from skmixup.design import orthogonal_array
from skmixup.effects import design_effects
from skmixup.tuning import OrthogonalDesignSampler, OrthogonalDesignSearchCV


def test_orthogonal_search_of_different_lengths_runs_the_smallest_mixed_array():
    X, y = load_iris(return_X_y=True)
    grid = {
        "C": [0.1, 1.0, 10.0],
        "gamma": [0.01, 0.1, 1.0],
        "shrinking": [True, False],
        "tol": [1e-4, 1e-3, 1e-2],
        "kernel": ["rbf"],
    }
    search = OrthogonalDesignSearchCV(SVC(), grid, cv=3).fit(X, y)
    vary = [name for name, values in grid.items() if len(values) > 1]
    expected = [
        {**{n: grid[n][v] for n, v in zip(vary, levels, strict=True)}, "kernel": "rbf"}
        for levels in orthogonal_array((3, 3, 2, 3))
    ]
    assert search.cv_results_["params"] == expected
    assert len(expected) == 18
    effects = design_effects(search)
    scores = search.cv_results_["mean_test_score"]
    for mean in effects.level_means:
        has = [run[mean.factor] == mean.level for run in expected]
        assert mean.runs == 18 / len(grid[mean.factor])
        assert mean.mean == pytest.approx(scores[has].mean())
    # Of an orthogonal array the sums of squares add up to the whole variation.
    total = sum(row.ss for row in effects.anova if not row.pooled) + effects.error_ss
    assert total == pytest.approx(((scores - scores.mean()) ** 2).sum())
    assert (
        effects.best["gamma"]
        == max((m for m in effects.level_means if m.factor == "gamma"), key=lambda m: m.mean).level
    )


def test_shuffled_mixed_arrays_are_the_same_array():
    grid = {"alpha": [0.1, 1.0, 10.0, 100.0], "fit_intercept": [True, False],
            "positive": [True, False], "copy_X": [True, False]}  # fmt: skip
    X, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30.0)
    ran = {}
    for seed in (None, 0, 1):
        search = OrthogonalDesignSearchCV(Ridge(), grid, cv=2, random_state=seed).fit(X, y)
        ran[seed] = [tuple(run.values()) for run in search.cv_results_["params"]]
        assert len(ran[seed]) == 8
        for a, b in combinations(range(4), 2):
            pairs = Counter((run[a], run[b]) for run in ran[seed])
            assert len(set(pairs.values())) == 1
            assert len(pairs) == len({run[a] for run in ran[seed]}) * len(
                {run[b] for run in ran[seed]}
            )
    assert ran[0] != ran[1]


def test_a_whole_grid_as_the_smallest_array_is_said():
    grid = {"alpha": [0.1, 1.0], "tol": [1e-4, 1e-3, 1e-2], "max_iter": [1, 2, 3, 4, 5]}
    X, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30.0)
    with pytest.warns(UserWarning, match="the whole grid of 30 runs"):
        search = OrthogonalDesignSearchCV(Ridge(), grid, cv=2).fit(X, y)
    assert len({tuple(run.values()) for run in search.cv_results_["params"]}) == 30


def test_an_orthogonal_sampler_of_different_levels_runs_the_mixed_array():
    kinds = list("ab")
    space = {
        "kind": CategoricalDistribution(kinds),
        **{name: FloatDistribution(0, 1) for name in "xyz"},
    }
    sampler = OrthogonalDesignSampler(space, n_levels={"x": 3})
    study = optuna.create_study(sampler=sampler)
    study.optimize(
        lambda t: (
            sum(t.suggest_float(n, 0, 1) for n in "xyz")
            + kinds.index(t.suggest_categorical("kind", kinds))
        )
    )
    ran = [
        [kinds.index(t.params["kind"]), *(int(3 * t.params[n]) for n in "xyz")]
        for t in study.trials
    ]
    np.testing.assert_array_equal(ran, orthogonal_array((2, 3, 3, 3)))
    effects = design_effects(study)
    assert effects.best["kind"] == "a"
    assert effects.ranges["kind"] == pytest.approx(1)
    assert effects.ranges["x"] == pytest.approx(2 / 3)
    # Every worker makes the same design; another one is refused.
    again = OrthogonalDesignSampler(space, n_levels={"x": 3, "y": 3})
    study.sampler = again
    study.optimize(lambda t: 0.0)
    assert len(study.trials) == 18
    study.sampler = OrthogonalDesignSampler(space, n_levels={"x": 4, "y": 2, "z": 2})
    with pytest.raises(ValueError, match="n_levels"):
        study.optimize(lambda t: 0.0)


@pytest.mark.parametrize(
    ("n_levels", "runs"),
    [({}, 18), ({"kind": 2, "x": 4, "y": 2, "z": 2}, 8), ({"x": 4, "y": 4, "z": 4}, 16),
     ({"x": 2, "y": 2, "z": 2}, 8), ({"x": 2, "y": 2}, 12)],
)  # fmt: skip
def test_levels_of_an_orthogonal_sampler_by_name(n_levels, runs):
    space = {
        "kind": CategoricalDistribution(["a", "b"]),
        **{name: FloatDistribution(0, 1) for name in "xyz"},
    }
    sampler = OrthogonalDesignSampler(space, n_levels=n_levels)
    assert sampler._plan.n_runs == runs

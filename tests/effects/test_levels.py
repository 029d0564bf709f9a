"""Levels keep their type and value, and the best setting lies where runs have a response."""

import numpy as np
import optuna
import pandas as pd
import polars as pl
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from scipy.sparse import eye_array
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skmixup.design import orthogonal_array, to_unit_cube, uniform_design
from skmixup.design.settings import level_key
from skmixup.effects import design_effects, plot_effects

COMPLETE, FAIL, PRUNED = TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED


def study_of(distributions, rows, values, states=None, direction="maximize"):
    """A study whose trials have these parameters, values and states."""
    study = optuna.create_study(direction=direction)
    for row, value, state in zip(rows, values, states or [COMPLETE] * len(rows), strict=True):
        study.add_trial(
            create_trial(
                params=dict(zip(distributions, row, strict=True)),
                distributions=distributions,
                value=float(value) if state is COMPLETE else None,
                state=state,
            )
        )
    return study


def by_level(effects, name):
    return [(m.level, type(m.level), m.mean) for m in effects.level_means if m.factor == name]


# -- what is one level ----------------------------------------------------------------------------


def test_one_as_integer_as_number_and_as_truth_are_three_levels():
    rows = [[1], [1.0], [True], [1], [1.0], [True]]
    for table in (rows, pd.DataFrame({"x0": pd.Series([r[0] for r in rows], dtype=object)})):
        effects = design_effects(table, [0, 5, 2, 0, 5, 2])
        assert by_level(effects, "x0") == [(1, int, 0), (1.0, float, 5), (True, bool, 2)]
        assert type(effects.best["x0"]) is float
        frame = effects.to_frame("levels")
        assert [type(level) for level in frame["level"]] == [int, float, bool]
        assert "mean by x0: 1: 0, 1.0: 5, True: 2" in str(effects)
        assert "best: x0=1.0" in str(effects)
        ticks = plot_effects(effects).axes[0].get_xticklabels()
        assert [tick.get_text() for tick in ticks] == ["1", "1.0", "True"]


def test_one_feature_and_all_features_of_a_grid_are_two_levels():
    X, y = load_iris(return_X_y=True)
    grid = {"max_features": [1, 1.0], "max_depth": [1, 2, 3]}
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), grid, cv=2).fit(X, y)
    score = search.cv_results_["mean_test_score"].reshape(3, 2)
    effects = design_effects(search)
    assert by_level(effects, "max_features") == [
        (1, int, pytest.approx(score[:, 0].mean())),
        (1.0, float, pytest.approx(score[:, 1].mean())),
    ]


def test_equal_numbers_of_two_types_lose_their_order_and_that_is_told():
    effects = design_effects([[1], [1.0], [2], [3]] * 2, [0, 5, 2, 1] * 2, kind="quadratic")
    assert effects.best == {"x0": 1.0}
    assert "x0: 1, 1.0, 2, 3 count as levels without an order" in str(effects)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (0, False),
        (1, "1"),
        (None, "None"),
        ((1, 2), (1.0, 2.0)),
        ([1, 2], (1, 2)),
        ([1, [2]], [1, [2.0]]),
        ({"a": 1}, {"a": True}),
        (np.array([1, 2]), np.array([1.0, 2.0])),
        (np.arange(5000), np.append(np.arange(4999), 0)),
        (pd.Series(np.arange(100)), pd.Series(np.arange(100)).replace(50, 0)),
        (pd.DataFrame({"a": np.arange(100)}), pd.DataFrame({"a": np.arange(100)}).replace(50, 0)),
        (pl.Series(np.arange(100)), pl.Series(np.arange(100)).replace(50, 0)),
        (eye_array(3, format="csr"), 2 * eye_array(3, format="csr")),
        (FrozenEstimator(MinMaxScaler().fit([[0]])), FrozenEstimator(MinMaxScaler().fit([[1]]))),
    ],
)
def test_keys_tell_apart_what_differs_in_type_or_value(one, other):
    assert level_key(one) != level_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, np.int64(1)),
        (0.5, np.float64(0.5)),
        (True, np.bool_(True)),
        ("a", np.str_("a")),
        (float("nan"), np.float32("nan")),
        ([1, 2], [1, 2]),
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}),
        (np.array([1, 2]), np.array([1, 2])),
        (pd.DataFrame({"a": np.arange(100)}), pd.DataFrame({"a": np.arange(100)})),
        (eye_array(3, format="csr"), eye_array(3, format="csr")),
        ({1, 2}, {2, 1}),
    ],
)
def test_keys_of_equal_settings_are_equal(one, other):
    assert level_key(one) == level_key(other)


def test_levels_that_look_alike_are_numbered():
    frozen = [FrozenEstimator(MinMaxScaler().fit([[k]])) for k in (0, 1)]
    effects = design_effects([[frozen[k]] for k in (0, 1, 0, 1, 1)], [1.0, 3.0, 1.1, 3.1, 2.9])
    assert effects.best["x0"] is frozen[1]
    assert "mean by x0: 1: FrozenEstimator(" in str(effects)
    assert "best: x0=2: FrozenEstimator(" in str(effects)


def test_lists_arrays_and_dicts_come_back_as_they_are():
    weights = np.array([1.0, 2.0])
    rows = [[[64, 32], None, weights], [[64], {0: 1}, 0], [[64, 32], {0: 1}, 0]]
    rows += [[[64], None, weights], [[64, 32], None, 0], [[64], {0: 1}, weights]]
    effects = design_effects(rows, [3, 1, 2.5, 2, 2, 0])
    assert effects.best["x0"] == [64, 32]
    assert effects.best["x1"] is None
    assert {str(level) for level, *_ in by_level(effects, "x2")} == {"[1. 2.]", "0"}
    assert "mean by x0: [64, 32]: 2.5, [64]: 1" in str(effects)
    plot_effects(effects)


def test_lists_of_an_optuna_category_come_back_as_lists():
    with pytest.warns(UserWarning, match="Choices for a categorical"):
        distributions = {"h": CategoricalDistribution([[64, 32], [64], None])}
    rows = [([64, 32],), ([64],), (None,)] * 2
    effects = design_effects(study_of(distributions, rows, [1, 3, 2] * 2))
    assert effects.best == {"h": [64]}


def test_estimators_and_functions_of_a_grid_are_levels():
    X, y = load_iris(return_X_y=True)

    def mirrored(X):
        return -X

    scalers = [StandardScaler(), MinMaxScaler(), "passthrough"]
    models = [LogisticRegression(max_iter=200), DummyClassifier()]
    pipeline = make_pipeline(StandardScaler(), FunctionTransformer(), DummyClassifier())
    grid = {
        "standardscaler": scalers,
        "functiontransformer__func": [np.abs, mirrored],
        "dummyclassifier": models,
    }
    effects = design_effects(GridSearchCV(pipeline, grid, cv=2).fit(X, y))
    assert effects.best["dummyclassifier"] is models[0]
    assert effects.best["standardscaler"] in scalers
    assert "mean by functiontransformer__func: absolute:" in str(effects)
    plot_effects(effects)


def test_text_beside_numbers_leaves_numbers_numbers():
    rows = [["a", 1, 0.5], ["b", 2, 0.1], ["a", 3, 0.9], ["b", 4, 0.3], ["a", 5, 0.7]] * 2
    numbers = [row[1] for row in rows]
    frames = [pd.DataFrame(rows), pl.DataFrame(rows, orient="row", schema=["0", "1", "2"])]
    for table in (rows, tuple(rows), np.array(rows, dtype=object), *frames):
        effects = design_effects(table, numbers)
        text, count, share = effects.responses.factors
        assert (text.numeric, count.numeric, share.numeric) == (False, True, True)
        assert set(count.levels) == {1, 2, 3, 4, 5}
        assert list(effects.best.values())[1] == 5


def test_categories_of_a_dataframe_are_levels_even_where_they_are_numbers():
    table = pd.DataFrame({"size": pd.Categorical([3, 1, 2] * 3, categories=[3, 1, 2, 9])})
    effects = design_effects(table, [1, 5, 2] * 3, kind="quadratic")
    assert [level for level, *_ in by_level(effects, "size")] == [3, 1, 2]
    assert "size: no run with a response has 9: not judged" in str(effects)


# -- where the best setting may lie ---------------------------------------------------------------


@pytest.mark.parametrize("state", [FAIL, PRUNED])
def test_a_choice_that_never_completes_is_left_out_and_told(state):
    distributions = {
        "opt": CategoricalDistribution(["sgd", "adam", "lbfgs"]),
        "lr": FloatDistribution(0, 1),
    }
    rows = [(["sgd", "adam", "lbfgs"][i % 3], i / 20) for i in range(18)]
    states = [state if i % 3 == 2 else COMPLETE for i in range(18)]
    effects = design_effects(study_of(distributions, rows, range(18), states))
    assert [level for level, *_ in by_level(effects, "opt")] == ["sgd", "adam"]
    assert "opt: no run with a response has lbfgs: not judged" in str(effects)
    assert f"({6} {'failed' if state is FAIL else 'pruned'})" in str(effects)


@pytest.mark.filterwarnings(
    "ignore:One or more of the test scores", "ignore::sklearn.exceptions.FitFailedWarning"
)
def test_a_choice_of_a_search_whose_fits_all_fail_is_left_out_and_told():
    X, y = load_iris(return_X_y=True)
    grid = {"criterion": ["gini", "entropy", "nonsense"], "max_depth": [1, 2, 3]}
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), grid, cv=2)
    effects = design_effects(search.fit(X, y))
    assert "criterion: no run with a response has nonsense" in str(effects)
    assert effects.best["criterion"] in ("gini", "entropy")


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("log", [False, True])
def test_best_stays_inside_the_range_that_has_responses(direction, log):
    sign = 1 if direction == "maximize" else -1
    x = [2.0**k for k in range(11)] if log else [float(k) for k in range(1, 12)]
    distributions = {"x": FloatDistribution(0.5, 2000, log=log)}
    states = [COMPLETE] * 7 + [FAIL] * 4
    study = study_of(distributions, [(v,) for v in x], [sign * v for v in x], states, direction)
    effects = design_effects(study, kind="quadratic")
    assert effects.best == {"x": x[6]}
    assert effects.best_was_run
    assert "x: 4 runs outside" in str(effects)
    assert effects.ranges["x"] < 1.5 * (x[6] - x[0])  # the curve is not followed beyond either


def test_without_failures_nothing_is_said():
    effects = design_effects(study_of({"x": IntDistribution(0, 9)}, [(k,) for k in range(10)],
                                      range(10)))  # fmt: skip
    assert effects.responses.notes == ()


def test_a_combination_of_levels_whose_runs_all_failed_is_not_the_best():
    # By the level means solver 2 and penalty 2 are best, but together they never work.
    rows = [[a, b, c] for a in range(3) for b in range(3) for c in range(2)]
    y = np.array([a + b + 0.1 * c if (a, b) != (2, 2) else np.nan for a, b, c in rows])
    effects = design_effects(rows, y)
    assert (effects.best["x0"], effects.best["x1"]) in [(1, 2), (2, 1)]
    assert effects.best_was_run
    assert "would be better yet by the effects, but such runs have no response" in str(effects)


@pytest.mark.parametrize("maximize", [True, False])
def test_a_corner_of_two_numbers_whose_runs_all_failed_is_kept_out_of(maximize):
    # Wide and deep runs out of memory: both ranges have responses, their corner has none.
    x = to_unit_cube(uniform_design(40, 2))
    failed = (x > 0.6).all(axis=1)
    y = np.where(failed, np.nan, x.sum(axis=1) * (1 if maximize else -1))
    effects = design_effects(x, y, names=["width", "depth"], maximize=maximize)
    best = np.array(list(effects.best.values()))
    distance = ((x - best) ** 2).sum(axis=1)
    assert not failed[distance.argmin()]
    assert best.sum() > 1.4  # the best that has a response is about 1.6
    assert "would be better yet by the effects, but such runs have no response" in str(effects)


def test_failures_by_two_of_several_factors_are_kept_out_of():
    levels = uniform_design(30, 4, (30, 30, 7, 3))
    lr, width = to_unit_cube(levels, (30, 30, 7, 3)).T[:2]
    fails = (width > 0.65) & (lr > 0.5)
    table = {"lr": lr, "width": width, "dropout": levels[:, 2]}
    table["act"] = [["a", "b", None][k] for k in levels[:, 3]]
    y = np.where(
        fails, np.nan, -((lr - 0.6) ** 2) + 0.3 * width - levels[:, 2] / 7 + (levels[:, 3] == 1)
    )
    assert 3 <= fails.sum() <= 8
    best = design_effects(table, y).best
    assert best["width"] < 0.7 or best["lr"] < 0.55
    assert (best["dropout"], best["act"]) == (0, "b")


def test_a_failure_far_from_the_best_changes_nothing():
    x = to_unit_cube(uniform_design(40, 2))
    y = x.sum(axis=1)
    complete = design_effects(x, y).best
    y[x.sum(axis=1).argmin()] = np.nan
    assert list(design_effects(x, y).best.values()) == pytest.approx(list(complete.values()))


def test_a_failed_run_whose_point_was_run_again_does_not_count_against_it():
    array = orthogonal_array(3, 4).tolist()
    y = [sum(row) for row in array]
    effects = design_effects([*array, array[int(np.argmax(y))]], [*y, np.nan])
    assert effects.best == {"x0": 2, "x1": 2, "x2": 2, "x3": 2}


# -- values on a grid -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (IntDistribution(-10, -1), list(range(-10, 0))),
        (IntDistribution(-10, 0, step=2), list(range(-10, 1, 2))),
        (FloatDistribution(-1, 0, step=0.25), [-1.0, -0.75, -0.5, -0.25, 0.0]),
        (FloatDistribution(-0.9, -0.3, step=0.1), [-0.9, -0.8, -0.7, -0.6, -0.5, -0.4, -0.3]),
        (FloatDistribution(0, 0.7, step=0.1), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        (IntDistribution(1, 8, log=True), list(range(1, 9))),
    ],
)
@pytest.mark.parametrize("which", [-1, 0, 3])
def test_best_is_a_value_of_the_distribution(distribution, values, which):
    scale = np.log if getattr(distribution, "log", False) else float
    target = values[which]
    y = [-((scale(v) - scale(target)) ** 2) for v in values]
    study = study_of({"x": distribution}, [(v,) for v in values], y)
    effects = design_effects(study, kind="quadratic")
    assert effects.best == {"x": target}
    assert type(effects.best["x"]) is type(values[1])


def test_an_integer_among_the_floats_of_a_range_is_a_float():
    distributions = {"x": FloatDistribution(0, 4)}
    effects = design_effects(
        study_of(distributions, [(1,), (1.0,), (2.5,), (4,), (0.0,)], range(5))
    )
    (factor,) = effects.responses.factors
    assert factor.levels == (0.0, 1.0, 2.5, 4.0)
    assert all(type(level) is float for level in factor.levels)


def test_steps_that_were_added_up_are_the_levels_that_they_mean():
    distribution = FloatDistribution(0.1, 0.9, step=0.1)
    rows = [(0.1 + k * 0.1,) for k in range(9)] + [(k / 10,) for k in range(1, 10)]
    assert len(set(rows)) > 9
    effects = design_effects(study_of({"x": distribution}, rows, [r[0] for r in rows]))
    assert [level for level, *_ in by_level(effects, "x")] == [k / 10 for k in range(1, 10)]


def test_integers_with_a_negative_or_zero_maximum():
    for top in (-1, 0):
        x = [[top - k] for k in range(8)]
        effects = design_effects(x, [row[0] for row in x])
        assert effects.best == {"x0": top}


def test_powers_of_two_on_a_logarithmic_scale_are_fitted_exactly():
    units = [1, 2, 4, 8, 16, 32, 64, 128]
    study = study_of(
        {"units": IntDistribution(1, 128, log=True)},
        [(u,) for u in units],
        [-((np.log2(u) - 5) ** 2) for u in units],
    )
    effects = design_effects(study)
    assert effects.best == {"units": 32}
    assert effects.best_predicted == pytest.approx(0, abs=1e-9)

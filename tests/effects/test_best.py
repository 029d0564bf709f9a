"""The best setting as an estimator takes it."""

import itertools

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import loguniform, randint
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from skmixup.effects import design_effects


def test_a_pipeline_takes_objects_nested_names_and_what_never_varied():
    X, y = load_iris(return_X_y=True)
    scalers = [StandardScaler(), MinMaxScaler(), "passthrough"]
    pipeline = Pipeline([("scale", StandardScaler()), ("svc", SVC())])
    grid = {
        "scale": scalers,
        "svc__C": np.logspace(-2, 2, 3),
        "svc__kernel": np.array(["rbf", "linear"]),
        "svc__shrinking": np.array([True, False]),
        "svc__cache_size": [150],
    }
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    best = design_effects(search).best
    assert set(best) == set(grid)
    assert any(best["scale"] is scaler for scaler in scalers)
    assert [type(best[f"svc__{name}"]) for name in ("C", "kernel", "shrinking")] == [
        float, str, bool,
    ]  # fmt: skip
    assert best["svc__cache_size"] == 150
    fitted = pipeline.set_params(**best).fit(X, y)
    assert fitted.get_params()["svc__C"] in grid["svc__C"]
    assert fitted.get_params()["svc__cache_size"] == 150


def test_a_random_search_over_ranges():
    X, y = load_iris(return_X_y=True)
    space = {
        "n_estimators": randint(2, 9),
        "max_features": [1, 0.5, "sqrt", None],
        "min_impurity_decrease": loguniform(1e-4, 1e-1),
        "max_leaf_nodes": [5, 10],
    }
    search = RandomizedSearchCV(
        RandomForestClassifier(random_state=0), space, n_iter=30, cv=2, random_state=0
    ).fit(X, y)
    best = design_effects(search).best
    assert type(best["n_estimators"]) is int
    assert type(best["min_impurity_decrease"]) is float
    assert any(best["max_features"] is value for value in space["max_features"])
    RandomForestClassifier().set_params(**best).fit(X, y)


def test_a_study():
    space = {
        "C": FloatDistribution(1e-2, 1e2, log=True),
        "max_iter": IntDistribution(100, 500, step=100),
        "fit_intercept": CategoricalDistribution([True, False]),
        "solver": CategoricalDistribution(["lbfgs"]),
    }
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0)
    )
    for _ in range(20):
        trial = study.ask(space)
        study.tell(trial, np.log(trial.params["C"]) + trial.params["fit_intercept"])
    best = design_effects(study).best
    assert {name: type(value) for name, value in best.items()} == {
        "C": float, "max_iter": int, "fit_intercept": bool, "solver": str,
    }  # fmt: skip
    X, y = load_iris(return_X_y=True)
    LogisticRegression().set_params(**best | {"max_iter": 5000}).fit(X, y)


def test_columns_of_a_frame_come_back_as_python_scalars():
    table = pd.DataFrame(
        {
            "n": np.array([1, 1, 2, 2] * 2, dtype=np.int32),
            "share": np.array([0.5, 0.25] * 4, dtype=np.float32),
            "kind": pd.Categorical(["a", "a", "a", "a", "b", "b", "b", "b"]),
            "flag": np.array([True, False, False, True] * 2),
            "same": [7] * 8,
        }
    )
    effects = design_effects(table, range(8))
    assert {name: type(value) for name, value in effects.best.items()} == {
        "n": int, "share": float, "kind": str, "flag": bool, "same": int,
    }  # fmt: skip
    assert "same never varies: left out" in effects.responses.notes
    assert "same" not in effects.ranges
    assert effects.best["same"] == 7


@pytest.mark.parametrize("best", [3, 0])
def test_what_was_run_is_known_with_constants_too(best):
    effects = design_effects(
        {"a": [0, 0, 3, 3] * 2, "c": [1] * 8}, [float(a == best) for a in [0, 0, 3, 3] * 2]
    )
    assert effects.best == {"a": best, "c": 1}
    assert effects.best_was_run


def test_a_level_that_is_best_without_the_largest_mean_is_explained():
    # b runs mostly with high x, a with low: a is better by 1 at the same x.
    kind = np.array(["a"] * 8 + ["b"] * 8)
    x = np.r_[[0] * 6, [1] * 2, [0] * 2, [1] * 6]
    y = 1.0 * (kind == "a") + 10 * x
    for sign in (1, -1):
        effects = design_effects({"kind": kind, "x": x}, sign * y, maximize=sign > 0)
        means = {m.level: sign * m.mean for m in effects.level_means if m.factor == "kind"}
        assert means["b"] > means["a"]
        assert effects.best == {"kind": "a", "x": 1}
        expected = "kind: b has the better mean, a the better effect: the runs"
        assert expected in str(effects)
        assert "x: " not in str(effects).replace("by x: ", "")
    balanced = design_effects({"kind": kind, "x": np.tile([0, 1], 8)}, y)
    assert "better effect" not in str(balanced)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kinds", ["ii", "iii", "il", "sis", "if", "iif", "lf"])
def test_integers_on_a_ridge_are_the_best_of_all_not_the_nearest(kinds, seed):
    """Of −100 (a + b − 5)² − (a − b)² the optimum is 2.5, 2.5, and (3, 3) is as bad as (2, 2)."""
    spaces = {
        "i": IntDistribution(0, 5),
        "l": IntDistribution(1, 8, log=True),
        "s": FloatDistribution(0.1, 0.5, step=0.1),
        "f": FloatDistribution(0, 1),
    }
    values = {"i": range(6), "l": range(1, 9), "s": [0.1, 0.2, 0.3, 0.4, 0.5], "f": [0, 0.5, 1]}
    codes = {"i": lambda v: v / 5, "l": lambda v: np.log(v) / np.log(8), "s": lambda v: 2 * v}
    rng = np.random.default_rng(seed)
    ridge = rng.normal(size=(2, len(kinds)))
    centre = rng.uniform(0.3, 0.7, size=len(kinds))

    def response(run):
        x = [codes.get(kind, float)(v) for kind, v in zip(kinds, run, strict=True)] - centre
        return -((ridge @ x) ** 2 @ [1, 30]) - 0.1 * x @ x

    runs = list(itertools.product(*(values[kind] for kind in kinds)))
    study = optuna.create_study(direction="maximize")
    for run in runs:
        study.add_trial(
            optuna.trial.create_trial(
                params={f"x{k}": v for k, v in enumerate(run)},
                distributions={f"x{k}": spaces[kind] for k, kind in enumerate(kinds)},
                value=response(run),
            )
        )
    effects = design_effects(study, kind="quadratic")
    assert effects.best_predicted >= max(map(response, runs)) - 1e-9
    assert effects.best_predicted == pytest.approx(response([*effects.best.values()]))

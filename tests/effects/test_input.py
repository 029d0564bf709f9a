"""What design_effects reads from arrays, studies and searches, and what it refuses."""

from types import SimpleNamespace

import numpy as np
import optuna
import pandas as pd
import polars as pl
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from scipy.stats import loguniform, randint
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skmixup.design import orthogonal_array
from skmixup.effects import design_effects, plot_effects
from skmixup.tuning import UniformDesignSearchCV

L4 = [[0, 0], [0, 1], [1, 0], [1, 1]]

# -- arrays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "options"),
    [
        (L4 * 2, {"names": ["a", "a"]}),
        (pd.DataFrame(L4 * 2, columns=["a", "a"]), {}),
        (pd.DataFrame(L4 * 2, columns=[1, "1"]), {}),
    ],
)
def test_two_factors_of_one_name_are_refused(result, options):
    with pytest.raises(ValueError, match="occur more than once"):
        design_effects(result, range(8), **options)


def test_names_tell_columns_of_one_name_apart():
    table = pd.DataFrame(L4 * 2, columns=["a", "a"])
    effects = design_effects(table, [0, 1, 4, 5] * 2, names=["p", "q"])
    assert effects.ranges == pytest.approx({"p": 4, "q": 1})


@pytest.mark.parametrize(
    "column",
    [
        np.array([1.0, 2, np.nan, 4, 5]),
        np.array([1.0, 2, np.inf, 4, 5]),
        pd.array([1, 2, None, 4, 5], dtype="Int64"),
        pd.Series(["a", "b", None, "a", "b"], dtype="string"),
        pd.Series([1, 2, pd.NA, "a", "b"], dtype=object),
    ],
)
def test_a_missing_setting_is_named_with_its_run(column):
    table = pd.DataFrame({"lr": column})
    with pytest.raises(ValueError, match=r"factor 'lr' is .* in run 2\. Leave such runs out"):
        design_effects(table, range(5))
    y = [0.0, 1, np.nan, 3, 4]  # a run without response needs no settings
    assert len(design_effects(table, y).responses.y) == 4


def test_a_missing_setting_of_polars_and_of_a_masked_array_is_named():
    with pytest.raises(ValueError, match="factor 'a' is nan in run 3"):
        design_effects(pl.DataFrame({"a": [1, 2, 3, None], "b": [1, 2, 1, 2]}), range(4))
    masked = np.ma.masked_array(L4 * 2, mask=False)
    masked[1, 1] = np.ma.masked
    with pytest.raises(ValueError, match="factor 'x1' is -- in run 1"):
        design_effects(masked, range(8))


def test_none_in_a_list_is_a_setting():
    effects = design_effects([[None], ["balanced"]] * 3, [1, 2] * 3)
    assert [m.level for m in effects.level_means] == [None, "balanced"]


@pytest.mark.parametrize(
    "y",
    [
        np.ma.masked_array([0.0, 1, 4, 1e9, 0, 1, 4, 5], mask=[0, 0, 0, 1, 0, 0, 0, 0]),
        pd.Series([0.0, 1, 4, None, 0, 1, 4, 5]),
        pd.Series([0, 1, 4, None, 0, 1, 4, 5], dtype="Int64"),
        pl.Series([0.0, 1, 4, None, 0, 1, 4, 5]),
        [0, 1, 4, float("inf"), 0, 1, 4, 5],
        [0, 1, 4, None, 0, 1, 4, 5],
    ],
)
def test_masked_missing_and_infinite_responses_are_left_out(y):
    effects = design_effects(L4 * 2, y)
    assert effects.responses.y.tolist() == [0, 1, 4, 0, 1, 4, 5]
    assert "1 of 8 runs have no finite response: left out" in str(effects)
    assert effects.best == {"x0": 1, "x1": 1}


def test_columns_may_be_a_dict_a_dataframe_or_rows():
    columns = {"a": [0, 0, 1, 1] * 2, "b": ["u", "v"] * 4}
    tables = [columns, pd.DataFrame(columns), pl.DataFrame(columns)]
    texts = {str(design_effects(table, [0, 1, 4, 5] * 2)) for table in tables}
    assert len(texts) == 1
    rows = list(zip(*columns.values(), strict=True))
    assert str(design_effects(rows, [0, 1, 4, 5] * 2, names=["a", "b"])) in texts


@pytest.mark.parametrize("maximize", ["min", "minimize", 0, 1, "False"])
def test_maximize_is_a_truth_value(maximize):
    with pytest.raises(TypeError, match=f"maximize={maximize!r} must be True, False or None"):
        design_effects(L4 * 2, range(8), maximize=maximize)
    assert design_effects(L4 * 2, range(8), maximize=np.bool_(False)).best == {"x0": 0, "x1": 0}


@pytest.mark.parametrize(
    ("result", "options", "message"),
    [
        ([[1, 2], [3]], {"y": [1, 2]}, "rows of different lengths"),
        ({"a": [1, 2], "b": [1]}, {"y": [1, 2]}, "factor 'b' has 1 of 2 runs"),
        (L4, {"y": ["a", "b", "c", "d"]}, "y must hold one number per run"),
        (L4, {"y": [1e308, 1, 2, 3]}, "response of 1e\\+308"),
        (L4, {"y": range(4), "names": "ab"}, "names='ab' must name 2 factors"),
        (L4, {"y": range(4), "objective": 0}, "objective=0 goes with a study or a search"),
        ([["a"], ["b"]] * 3, {"y": range(6), "log": ["x0"]}, "'x0' has the levels a, b"),
        (np.zeros((0, 2)), {"y": []}, "result has 0 runs with a finite response"),
        (L4, {"y": range(4), "names": 2}, "names=2 must name 2 factors"),
        (pl.LazyFrame({"a": [1, 2]}), {"y": [1, 2]}, r"result is a lazy.*pass result.collect\(\)"),
        (L4, {"y": pl.LazyFrame({"y": range(4)})}, r"y is a lazy frame; pass y.collect\(\)"),
    ],
)
def test_bad_arrays_are_named(result, options, message):
    with pytest.raises(ValueError, match=message):
        design_effects(result, **options)


@pytest.mark.parametrize("options", [{"log": True}, {"pool": None}])
def test_options_that_are_no_lists_are_named(options):
    ((name, value),) = options.items()
    with pytest.raises(TypeError, match=rf"{name}={value} must be .*list of factors from \['x0'"):
        design_effects(L4, range(4), **options)


def test_responses_of_pandas_that_are_in_another_order_are_an_error():
    """They went by their places, and the effects were those of other runs."""
    runs = pd.DataFrame(L4, columns=["a", "b"])
    y = pd.Series([1.0, 4.0, 2.0, 8.0])
    for other in (y.sort_values(), y.sort_values().to_frame()):
        with pytest.raises(ValueError, match=r"another order: pass y.reindex\(result.index\)"):
            design_effects(runs, other)
    expected = design_effects(runs, y.to_numpy()).ranges
    for same in (y, y.sort_values().reindex(runs.index), y.set_axis(list("wxyz"))):
        assert design_effects(runs, same).ranges == expected


# -- studies --------------------------------------------------------------------------------------


def two_objectives():
    study = optuna.create_study(directions=["maximize", "minimize"])
    for x in np.linspace(0, 1, 11):
        study.add_trial(
            create_trial(
                params={"x": x},
                distributions={"x": FloatDistribution(0, 1)},
                values=[-((x - 0.3) ** 2), (x - 0.7) ** 2],
            )
        )
    return study


def test_an_objective_of_a_study_with_several():
    study = two_objectives()
    assert design_effects(study, objective=0).best["x"] == pytest.approx(0.3)
    assert design_effects(study, objective=1).best["x"] == pytest.approx(0.7)
    assert design_effects(study, objective=np.int64(1)).best["x"] == pytest.approx(0.7)
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.set_metric_names(["gain", "loss"])
    assert design_effects(study, objective="loss").best["x"] == pytest.approx(0.7)
    plot_effects(study, objective=1)


def test_an_objective_may_be_a_function_of_the_trial():
    study = two_objectives()

    def distance(trial):
        return (trial.params["x"] - 0.5) ** 2

    assert design_effects(study, objective=distance, maximize=False).best["x"] == pytest.approx(
        0.5
    )
    with pytest.raises(ValueError, match="say with maximize=True or False"):
        design_effects(study, objective=distance)


@pytest.mark.parametrize("objective", [2, -1, True, "loss", 0.0])
def test_an_unknown_objective_is_refused(objective):
    with pytest.raises(ValueError, match=r"objective=.*choose 0 … 1, or a function"):
        design_effects(two_objectives(), objective=objective)


def test_trials_that_do_not_count_are_told_by_their_state():
    study = two_objectives()
    for state in ("FAIL", "FAIL", "PRUNED", "RUNNING", "WAITING"):
        values = {"params": {"x": 0.5}, "distributions": {"x": FloatDistribution(0, 1)}}
        study.add_trial(create_trial(state=TrialState[state], **values))
    note = "5 trials are not complete: left out (2 failed, 1 pruned, 1 running, 1 waiting)"
    assert note in design_effects(study, objective=0).responses.notes


def test_trials_that_break_a_constraint_are_told():
    study = optuna.create_study()
    for x in range(6):
        study.add_trial(
            create_trial(
                params={"x": x},
                distributions={"x": IntDistribution(0, 9)},
                value=float(x),
                system_attrs={"constraints": (x - 3.0,)},
            )
        )
    assert "2 trials break a constraint" in str(design_effects(study))


def test_a_range_that_moves_during_the_study_is_taken_whole():
    study = optuna.create_study(direction="maximize")
    for low, x in [(0, 1), (0, 2), (4, 5), (4, 7), (4, 9)]:
        study.add_trial(
            create_trial(
                params={"x": float(x)},
                distributions={"x": FloatDistribution(low, low + 6)},
                value=float(x),
            )
        )
    responses = design_effects(study).responses
    (factor,) = responses.factors
    assert (factor.low, factor.high) == (0, 10)
    assert responses.notes == (
        "x had other ranges in other trials: the best setting need not lie in any of them",
    )


def test_numbers_that_a_study_has_as_choices_can_be_numbers_on_a_logarithmic_scale():
    study = optuna.create_study(direction="maximize")
    choices = [10.0**k for k in range(-5, 0)]
    for lr in choices:
        study.add_trial(
            create_trial(
                params={"lr": lr},
                distributions={"lr": CategoricalDistribution(choices)},
                value=-((np.log10(lr) + 3) ** 2),
            )
        )
    assert design_effects(study, log=["lr"]).best["lr"] == pytest.approx(1e-3)
    assert not design_effects(study, kind="quadratic").responses.factors[0].numeric


# -- searches -------------------------------------------------------------------------------------

X, Y = load_iris(return_X_y=True)


def test_optuna_distributions_of_a_search_keep_scale_and_range():
    space = {
        "C": FloatDistribution(1e-3, 1e1, log=True),
        "tol": FloatDistribution(0.001, 0.005, step=0.001),
        "degree": IntDistribution(1, 8, log=True),
        "kernel": CategoricalDistribution(["rbf", "poly"]),
    }
    search = UniformDesignSearchCV(SVC(), space, n_runs=12, cv=2).fit(X, Y)
    found = {f.name: f for f in design_effects(search).responses.factors}
    assert [found[name].log for name in ("C", "tol", "degree")] == [True, False, True]
    assert (found["C"].low, found["C"].high) == (1e-3, 1e1)
    assert (found["degree"].low, found["degree"].high) == (1, 8)
    assert found["tol"].levels == (0.001, 0.002, 0.003, 0.004, 0.005)
    assert not found["kernel"].numeric


def test_discrete_and_logarithmic_scipy_distributions():
    space = {"max_depth": randint(1, 20), "ccp_alpha": loguniform(1e-4, 1e-1)}
    tree = DecisionTreeClassifier(random_state=0)
    search = RandomizedSearchCV(tree, space, n_iter=12, random_state=0, cv=2).fit(X, Y)
    effects = design_effects(search)
    alpha, depth = effects.responses.factors
    assert (depth.low, depth.high, depth.log) == (1, 19, False)
    assert (alpha.low, alpha.high, alpha.log) == (1e-4, 1e-1, True)
    assert type(effects.best["max_depth"]) is int


def test_a_search_over_lists_takes_logarithmic_factors():
    values = [10.0**k for k in range(-4, 5)]
    grid = GridSearchCV(LogisticRegression(max_iter=500), {"C": values}, cv=2).fit(X, Y)
    effects = design_effects(grid, log=["C"])
    (factor,) = effects.responses.factors
    np.testing.assert_allclose(factor.coded(), np.linspace(-1, 1, 9), atol=1e-12)
    assert effects.ranges["C"] != pytest.approx(design_effects(grid).ranges["C"])
    with pytest.raises(ValueError, match=r"log=\['gamma'\] are no factors"):
        design_effects(grid, log=["gamma"])


@pytest.mark.parametrize(
    ("scoring", "refit"),
    [
        ("accuracy", "accuracy"),
        ("accuracy", False),
        ("accuracy", lambda results: 0),
        (["accuracy"], False),
        ({"hits": "accuracy"}, "hits"),
        ({"hits": "accuracy"}, lambda results: 0),
    ],
)
def test_a_single_metric_is_the_response_whatever_refit(scoring, refit):
    grid = {"C": [0.01, 1.0, 100.0], "kernel": ["rbf", "linear"]}
    search = GridSearchCV(SVC(), grid, scoring=scoring, refit=refit, cv=2).fit(X, Y)
    reference = design_effects(GridSearchCV(SVC(), grid, cv=2).fit(X, Y))
    assert str(design_effects(search)) == str(reference)


def test_one_of_several_scores():
    grid = {"C": [0.01, 1.0, 100.0, 1e4]}
    scoring = ["accuracy", "neg_log_loss"]
    model = LogisticRegression(max_iter=500)
    search = GridSearchCV(model, grid, scoring=scoring, refit=False, cv=2).fit(X, Y)
    for name in scoring:
        y = design_effects(search, objective=name).responses.y
        np.testing.assert_array_equal(y, search.cv_results_[f"mean_test_{name}"])
    with pytest.raises(ValueError, match="objective='f1' is no score of the search: choose"):
        design_effects(search, objective="f1")


def test_a_setting_that_is_nan_is_a_level_of_a_search():
    grid = {"monotonic_cst": [None], "max_leaf_nodes": [None, 2], "max_depth": [1, 2, 3]}
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), grid, cv=2).fit(X, Y)
    for run in search.cv_results_["params"]:
        run["max_leaf_nodes"] = run["max_leaf_nodes"] or float("nan")
    effects = design_effects(search)
    assert len([m for m in effects.level_means if m.factor == "max_leaf_nodes"]) == 2
    assert all(np.isfinite([row.ss for row in effects.anova]))


# -- the numbers ----------------------------------------------------------------------------------


L9_SURFACE = np.random.default_rng(0).uniform(size=(9, 2))


@pytest.mark.parametrize(
    ("value", "wobble"),
    [*((v, 0) for v in (0.0, 0.1, -3e7, 1e300, 1e-300, 5e-324)), (0.1, 1), (-3e7, 1), (1e300, 1)],
)
def test_a_constant_response_has_no_significant_factor(value, wobble):
    y = np.full(9, value)
    y[::2] += wobble * np.spacing(value)  # the last binary digit
    for design in (orthogonal_array(3, 3), orthogonal_array(3, 4), L9_SURFACE):
        effects = design_effects(design, y)
        assert not any(row.p < 0.9 for row in effects.anova)
        assert "the response never varies: no factor has an effect" in str(effects)
        plot_effects(effects)


def test_a_factor_without_effect_is_not_significant_where_nothing_is_left_over():
    design = orthogonal_array(3, 3)
    effects = design_effects(design, 0.1 * design[:, 0])
    assert [row.p for row in effects.anova] == pytest.approx([0, np.nan, np.nan], nan_ok=True)


@pytest.mark.parametrize("factor", [1e300, 1e-300, 1e-9, -1e-150])
def test_effects_do_not_depend_on_the_unit_of_the_response(factor):
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(30, 3))
    y = x[:, 0] - 3 * (x[:, 1] - 0.4) ** 2 + x[:, 0] * x[:, 2] + 0.05 * rng.normal(size=30)
    one, other = design_effects(x, y), design_effects(x, factor * y, maximize=factor > 0)
    assert list(one.best.values()) == pytest.approx(list(other.best.values()), rel=1e-4)
    assert [r.p for r in one.anova] == pytest.approx([r.p for r in other.anova], rel=1e-6)
    assert [r.f for r in one.anova] == pytest.approx([r.f for r in other.anova], rel=1e-6)
    assert other.best_predicted == pytest.approx(factor * one.best_predicted, rel=1e-6, abs=0)
    assert other.best_se == pytest.approx(abs(factor) * one.best_se, rel=1e-4, abs=0)
    tables = [np.array([c[1:] for c in e.coefficients()]) for e in (one, other)]
    np.testing.assert_allclose(tables[1][:, 0], factor * tables[0][:, 0], rtol=1e-6)
    np.testing.assert_allclose(tables[1][:, 1], abs(factor) * tables[0][:, 1], rtol=1e-6)
    np.testing.assert_allclose(tables[1][:, 2], tables[0][:, 2], rtol=1e-6)
    plot_effects(other)


def test_responses_may_be_the_only_column_of_a_dataframe():
    y = pd.DataFrame({"score": [0, 1, 4, 5] * 2})
    assert design_effects(L4 * 2, y).ranges == pytest.approx({"x0": 4, "x1": 1})


def test_the_search_of_optuna_is_read_by_its_study():
    # OptunaSearchCV of optuna-integration: its cv_results_ has no settings, its study_ has.
    search = SimpleNamespace(study_=two_objectives(), cv_results_={"mean_test_score": [0.0]})
    assert design_effects(search, objective=1).best["x"] == pytest.approx(0.7)

"""Effects against a textbook example by hand and against statsmodels."""

import subprocess
import sys

import numpy as np
import optuna
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import loguniform, uniform
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.svm import SVC
from statsmodels.formula.api import ols

from skmixup.design import orthogonal_array, to_unit_cube, uniform_design
from skmixup.effects import design_effects, plot_effects

L9_RESPONSES = np.array([60.0, 65.0, 71.0, 62.0, 70.0, 66.0, 75.0, 68.0, 72.0])


@pytest.fixture
def l9():
    return design_effects(orthogonal_array(3, 4), L9_RESPONSES, names=list("ABCD"))


def test_l9_worked_by_hand(l9):
    # A: (60+65+71, 62+70+66, 75+68+72)/3 = 196/3, 66, 215/3, and likewise for B, C, D;
    # SS_A = (196² + 198² + 215²)/3 − 609²/9 = 218/3.
    means = {(m.factor, m.level): m.mean for m in l9.level_means}
    assert [means["A", k] for k in range(3)] == pytest.approx([196 / 3, 66, 215 / 3])
    assert [means["B", k] for k in range(3)] == pytest.approx([197 / 3, 203 / 3, 209 / 3])
    assert [means["C", k] for k in range(3)] == pytest.approx([194 / 3, 199 / 3, 216 / 3])
    assert [means["D", k] for k in range(3)] == pytest.approx([202 / 3, 201 / 3, 206 / 3])
    assert list(l9.ranges) == ["C", "A", "B", "D"]
    assert list(l9.ranges.values()) == pytest.approx([22 / 3, 19 / 3, 4, 5 / 3])
    rows = {row.name: row for row in l9.anova}
    assert rows["A"].ss == pytest.approx(218 / 3)
    assert rows["B"].ss == pytest.approx(24)
    assert rows["C"].ss == pytest.approx(266 / 3)
    assert rows["D"].ss == pytest.approx(14 / 3)
    assert all(row.df == 2 for row in l9.anova)


def test_saturated_array_pools_the_smallest_factor(l9):
    rows = {row.name: row for row in l9.anova}
    assert [name for name, row in rows.items() if row.pooled] == ["D"]
    assert l9.error_df == 2
    assert l9.error_ss == pytest.approx(14 / 3)
    assert rows["C"].f == pytest.approx((266 / 6) / (14 / 6))
    assert rows["C"].p == pytest.approx(1 / 20)  # F(2, 2): p = 1/(1 + F)
    assert np.isnan(rows["D"].p)


def test_best_combination_may_never_have_been_run(l9):
    assert l9.best == {"A": 2, "B": 2, "C": 2, "D": 2}
    assert not l9.best_was_run
    grand_mean = L9_RESPONSES.mean()
    gains = [215 / 3, 209 / 3, 72, 206 / 3]
    assert l9.best_predicted == pytest.approx(sum(gains) - 3 * grand_mean)


def test_minimizing_turns_the_best_around():
    array = orthogonal_array(3, 4)
    effects = design_effects(array, L9_RESPONSES, maximize=False)
    assert effects.best == {"x0": 0, "x1": 0, "x2": 0, "x3": 1}


def test_factors_can_be_pooled_by_name():
    array = orthogonal_array(3, 4)
    effects = design_effects(array, L9_RESPONSES, names=list("ABCD"), pool=["B", "D"])
    assert effects.error_df == 4
    assert effects.error_ss == pytest.approx(24 + 14 / 3)


@pytest.mark.parametrize(("q", "s"), [(3, 3), (2, 6), (3, 7), (4, 4)])
def test_anova_agrees_with_statsmodels(q, s):
    array = orthogonal_array(q, s)
    y = np.random.default_rng(q).normal(size=len(array)) + array[:, 0]
    effects = design_effects(array, y)
    table = pd.DataFrame(array, columns=[f"x{c}" for c in range(s)]).assign(y=y)
    formula = "y ~ " + " + ".join(f"C(x{c})" for c in range(s))
    reference = sm.stats.anova_lm(ols(formula, table).fit(), typ=2)
    for row in effects.anova:
        expected = reference.loc[f"C({row.name})"]
        assert (row.ss, row.df) == pytest.approx((expected["sum_sq"], expected["df"]))
        assert (row.f, row.p) == pytest.approx((expected["F"], expected["PR(>F)"]))


def test_unbalanced_level_means_are_adjusted_like_type_two():
    design = uniform_design(20, 3, (3, 4, 5), effort=0.2)
    y = np.random.default_rng(1).normal(size=20) + design[:, 1]
    effects = design_effects(design, y)
    table = pd.DataFrame(design, columns=["a", "b", "c"]).assign(y=y)
    reference = sm.stats.anova_lm(ols("y ~ C(a) + C(b) + C(c)", table).fit(), typ=2)
    for row, name in zip(effects.anova, "abc", strict=True):
        assert row.ss == pytest.approx(reference.loc[f"C({name})"]["sum_sq"])
        assert row.p == pytest.approx(reference.loc[f"C({name})"]["PR(>F)"])


def test_response_surface_agrees_with_statsmodels():
    x = to_unit_cube(uniform_design(30, 3))
    rng = np.random.default_rng(0)
    y = x[:, 0] - 3 * (x[:, 1] - 0.4) ** 2 + x[:, 0] * x[:, 2] + 0.05 * rng.normal(size=30)
    effects = design_effects(x, y)
    low, high = x.min(axis=0), x.max(axis=0)
    a, b, c = (2 * (x - low) / (high - low) - 1).T
    matrix = np.column_stack([a, a**2, b, b**2, c, c**2, a * b, a * c, b * c])
    reference = sm.OLS(y, sm.add_constant(matrix)).fit()
    _, estimates, errors, p = zip(*effects.coefficients(), strict=True)
    np.testing.assert_allclose(estimates, reference.params, atol=1e-10)
    np.testing.assert_allclose(errors, reference.bse, rtol=1e-8)
    np.testing.assert_allclose(p, reference.pvalues, rtol=1e-6, atol=1e-12)
    assert effects.error_variance == pytest.approx(reference.scale)


def test_optimum_inside_the_box_is_found():
    x = to_unit_cube(uniform_design(40, 3))
    target = np.array([0.3, 0.6, 0.45])
    d = x - target
    y = 5 - (d**2).sum(axis=1) - d[:, 0] * d[:, 1]
    effects = design_effects(x, y)
    np.testing.assert_allclose(list(effects.best.values()), target, atol=1e-6)
    assert effects.best_predicted == pytest.approx(5)


def test_optimum_at_the_edge_stays_in_the_box():
    x = to_unit_cube(uniform_design(30, 2))
    effects = design_effects(x, x[:, 0] - x[:, 1] + 0.01 * x[:, 0] ** 2)
    assert effects.best["x0"] == pytest.approx(x[:, 0].max())
    assert effects.best["x1"] == pytest.approx(x[:, 1].min())


def test_logarithmic_arrays():
    rate = 10.0 ** (-5 + 4 * to_unit_cube(uniform_design(20, 2))[:, 0])
    other = to_unit_cube(uniform_design(20, 2))[:, 1]
    y = -((np.log10(rate) + 3) ** 2) + other
    table = pd.DataFrame({"rate": rate, "other": other})
    effects = design_effects(table, y, log=["rate"])
    assert effects.best["rate"] == pytest.approx(1e-3, rel=1e-3)


def mixed_study(direction="maximize", n=36):
    """A study over a log float, an integer and a category, with a known best setting."""
    distributions = {
        "lr": optuna.distributions.FloatDistribution(1e-5, 1e-1, log=True),
        "depth": optuna.distributions.IntDistribution(1, 9),
        "act": optuna.distributions.CategoricalDistribution(["relu", "gelu", "tanh"]),
    }
    study = optuna.create_study(direction=direction)
    sign = 1 if direction == "maximize" else -1
    for a, b, c in to_unit_cube(uniform_design(n, 3, (n, 9, 3), effort=0.2), (n, 9, 3)):
        act = ["relu", "gelu", "tanh"][int(3 * c)]
        params = {"lr": float(10 ** (-5 + 4 * a)), "depth": int(1 + 9 * b), "act": act}
        value = -((np.log10(params["lr"]) + 2.5) ** 2) - 0.1 * (params["depth"] - 6) ** 2
        value += {"relu": 0.0, "gelu": 0.5, "tanh": -0.5}[act]
        trial = optuna.trial.create_trial(
            params=params, distributions=distributions, value=sign * value
        )
        study.add_trial(trial)
    return study


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_study_with_log_floats_integers_and_categories(direction):
    study = mixed_study(direction)
    effects = design_effects(study, kind="quadratic")
    assert effects.best["lr"] == pytest.approx(10**-2.5, rel=1e-3)
    assert effects.best["depth"] == 6
    assert isinstance(effects.best["depth"], int)
    assert effects.best["act"] == "gelu"
    by_level = design_effects(study)
    assert {m.factor for m in by_level.level_means} == {"depth", "act"}
    assert by_level.best["depth"] == 6
    assert by_level.best["act"] == "gelu"


def test_best_setting_is_on_a_step_of_the_distribution():
    distribution = optuna.distributions.FloatDistribution(0.0, 1.0, step=0.25)
    study = optuna.create_study(direction="maximize")
    for x in (0.0, 0.25, 0.5, 0.75, 1.0):
        study.add_trial(
            optuna.trial.create_trial(
                params={"x": x}, distributions={"x": distribution}, value=-((x - 0.6) ** 2)
            )
        )
    assert design_effects(study).best == {"x": 0.5}
    edge = design_effects([[0], [3], [7], [10]], [0, 3, 7, 10])
    assert edge.best == {"x0": 10}


def test_study_leaves_out_failed_trials_and_says_so():
    study = mixed_study()
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
    effects = design_effects(study)
    assert len(effects.responses.y) == 36
    assert "1 trials are not complete: left out" in str(effects)


def test_fitted_searches():
    X, y = load_iris(return_X_y=True)
    search = RandomizedSearchCV(
        SVC(),
        {"C": loguniform(1e-3, 1e3), "gamma": loguniform(1e-4, 1e1), "coef0": uniform(0, 1)},
        n_iter=25,
        random_state=0,
        cv=3,
    ).fit(X, y)
    effects = design_effects(search)
    factors = {factor.name: factor for factor in effects.responses.factors}
    assert factors["C"].log
    assert (factors["C"].low, factors["C"].high) == pytest.approx((1e-3, 1e3))
    assert not factors["coef0"].log
    assert effects.ranges["coef0"] < effects.ranges["C"]  # coef0 does nothing to an RBF kernel
    grid = GridSearchCV(
        LogisticRegression(max_iter=500),
        {"C": [1e-4, 1e-2, 1.0], "class_weight": [None, "balanced"]},
        cv=3,
    ).fit(X, y)
    effects = design_effects(grid)
    assert effects.best["C"] == grid.best_params_["C"]
    assert {m.factor for m in effects.level_means} == {"C", "class_weight"}


def test_missing_responses_and_constant_factors_are_noted():
    array = orthogonal_array(3, 4)
    y = L9_RESPONSES.copy()
    y[4] = np.nan
    table = pd.DataFrame(array, columns=list("ABCD")).assign(E=1).drop(columns="D")
    effects = design_effects(table, y)
    assert len(effects.responses.y) == 8
    assert "1 of 9 runs have no finite response" in str(effects)
    assert "E never varies" in str(effects)


def test_few_runs_fall_back_to_a_plainer_surface_and_say_so():
    x = to_unit_cube(uniform_design(8, 5))
    effects = design_effects(x, x.sum(axis=1))
    assert str(effects.model) == "linear surface"
    assert str(effects).startswith("linear surface, 8 runs")


def test_frames(l9):
    anova = l9.to_frame()
    assert list(anova["factor"]) == ["A", "B", "C", "D", "error"]
    assert anova["ss"].sum() == pytest.approx(((L9_RESPONSES - L9_RESPONSES.mean()) ** 2).sum()
                                              + 14 / 3)  # fmt: skip
    assert len(l9.to_frame("levels")) == 12
    assert len(l9.to_frame("coefficients")) == 9
    with pytest.raises(ValueError, match="table='x' is unknown"):
        l9.to_frame("x")


def test_printed_summary(l9):
    text = str(l9)
    assert "best: A=2, B=2, C=2, D=2 (not among the runs)" in text
    assert "mean by A: 0: 65.33, 1: 66, 2: 71.67" in text


@pytest.mark.parametrize(
    ("result", "options", "error", "message"),
    [
        ([[0, 1], [1, 0]], {}, TypeError, "result is list: pass an Optuna study"),
        (SVC(), {}, ValueError, "has not been fitted"),
        ([[0, 1], [1, 0]], {"y": [1, 2, 3]}, ValueError, r"y has shape \(3,\): it must be \(2,\)"),
        ([[0, 1], [1, 0]], {"y": [1, 2]}, ValueError, "at least 3 runs and 1 factor"),
        ([0, 1], {"y": [1, 2]}, ValueError, r"result has shape \(2,\)"),
        (np.eye(4), {"y": range(4), "kind": "x"}, ValueError, "kind='x' is unknown"),
        (np.eye(4), {"y": range(4), "names": ["a"]}, ValueError, "must name 4 factors"),
        (np.eye(4), {"y": range(4), "log": ["a"]}, ValueError, r"log=\['a'\] are no factors"),
        (np.eye(4), {"y": range(4), "log": ["x0"]}, ValueError, "'x0' goes down to 0.0"),
        (np.eye(4), {"y": range(4), "pool": "x"}, ValueError, "pool='x' must be 'auto'"),
        (np.eye(4), {"y": range(4), "pool": ["x"]}, ValueError, r"pool=\['x'\] are no factors"),
        ([[0, 0], [1, 1], [0, 0], [1, 1]], {"y": range(4)}, ValueError, "cannot tell the effects"),
    ],
)
def test_bad_input_is_named(result, options, error, message):
    with pytest.raises(error, match=message):
        design_effects(result, **options)


def test_a_study_of_two_objectives_is_refused():
    study = optuna.create_study(directions=["maximize", "minimize"])
    with pytest.raises(ValueError, match="study of 2 objectives"):
        design_effects(study)


def test_several_scores_without_a_choice_are_refused():
    X, y = load_iris(return_X_y=True)
    grid = GridSearchCV(
        LogisticRegression(max_iter=500),
        {"C": [0.1, 1.0, 10.0]},
        scoring=["accuracy", "neg_log_loss"],
        refit=False,
        cv=2,
    ).fit(X, y)
    with pytest.raises(ValueError, match=r"several scores.*mean_test_accuracy"):
        design_effects(grid)


def test_plots_have_a_panel_per_factor_ordered_by_range(l9, tmp_path):
    figure = plot_effects(l9)
    assert [axes.get_xlabel() for axes in figure.axes] == ["C", "A", "B", "D"]
    drawn = figure.axes[1].lines[2].get_ydata()
    np.testing.assert_allclose(drawn, [196 / 3, 66, 215 / 3])
    figure.savefig(tmp_path / "effects.png")
    mixed = plot_effects(mixed_study())
    assert len(mixed.axes) == 3
    log_axes = next(axes for axes in mixed.axes if axes.get_xlabel() == "lr")
    assert log_axes.get_xscale() == "log"
    mixed.savefig(tmp_path / "mixed.png")
    with pytest.raises(ValueError, match="already computed"):
        plot_effects(l9, maximize=True)


def test_importing_the_designs_stays_light():
    code = (
        "import sys, skmixup.design; "
        "heavy = {'torch', 'pandas', 'matplotlib', 'optuna', 'sklearn', 'scipy.stats'}; "
        "sys.exit(str(heavy & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.stderr == b"\n"

"""Which factors are said to stand out from noise: rarely by chance, and nearly always if large."""

import numpy as np
import pytest

from skmixup.design import orthogonal_array, to_unit_cube, uniform_design
from skmixup.effects import design_effects
from skmixup.effects.noise import holm, orthogonal_contrasts, pseudo_standard_error

SATURATED = {"L9": orthogonal_array(3, 4), "L8": orthogonal_array(2, 7)}
DESIGNS = {**SATURATED, "L18": orthogonal_array([2, 3, 3, 3]), "L12": orthogonal_array([2] * 8)}


@pytest.mark.parametrize("name", DESIGNS)
def test_noise_alone_seldom_has_an_active_factor(name):
    rng = np.random.default_rng(1)
    design = DESIGNS[name]
    named = sum(bool(design_effects(design, rng.normal(size=len(design))).active)
                for _ in range(200))  # fmt: skip
    assert named <= 20  # 10 are expected; more than 20 of 200 have a chance of 0.1 %


@pytest.mark.parametrize("name", DESIGNS)
def test_a_large_effect_is_active_and_the_others_are_not(name):
    design = DESIGNS[name]
    factor = design[:, 0] - design[:, 0].mean()
    rng = np.random.default_rng(2)
    found = [design_effects(design, 6 * factor / factor.std() + rng.normal(size=len(design)))
             for _ in range(30)]  # fmt: skip
    assert sum("x0" in effects.active for effects in found) >= 27
    assert sum(effects.active == ("x0",) for effects in found) >= 24


def test_the_method_goes_by_what_is_left_for_an_error():
    y = np.random.default_rng(0).normal(size=9)
    assert design_effects(SATURATED["L9"], y).noise_test == "Lenth's method"
    assert design_effects(SATURATED["L9"], y, pool=["x3"]).noise_test == "F tests"
    assert design_effects(SATURATED["L9"][:, :3], y).noise_test == "F tests"


def test_holm_by_hand():
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": np.nan})
    assert adjusted == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


def test_pseudo_standard_error_by_hand():
    # s0 = 1.5 · 2 = 3; 100 is beyond 7.5, and the median of 1, 1, 2, 3 is 1.5.
    assert pseudo_standard_error(np.array([1.0, -1, 2, 3, -100])) == pytest.approx(2.25)


def test_contrasts_hold_all_the_variation_of_a_saturated_array():
    y = np.random.default_rng(3).normal(size=9)
    effects = design_effects(SATURATED["L9"], y)
    contrasts = orthogonal_contrasts(effects.model.fit, y)
    total = np.sum((y - y.mean()) ** 2)
    assert len(contrasts) == 8
    assert np.sum(contrasts**2) * 4.0**effects.model.fit.unit == pytest.approx(total)


@pytest.mark.parametrize("unit", [1.0, 1e-200, 1e200, -3.0])
def test_the_unit_of_the_response_does_not_matter(unit):
    y = 5.0 * SATURATED["L8"][:, 2] + np.random.default_rng(4).normal(size=8) / 9
    assert design_effects(SATURATED["L8"], unit * y).active == ("x2",)


def test_a_response_without_noise_or_without_any_effect():
    design = SATURATED["L8"]
    assert design_effects(design, 2.0 * design[:, 1]).active == ("x1",)
    assert design_effects(design, np.ones(8)).active == ()
    x = to_unit_cube(uniform_design(20, 2))
    assert design_effects(x, x[:, 0] ** 2).active == ("x0",)


def test_the_table_says_so():
    design = DESIGNS["L18"]
    noise = np.random.default_rng(5).normal(size=18)
    names = ["pipe__svc__C", "pipe__svc__gamma", "pipe__pca__whiten", "pipe__svc__tol"]
    text = str(design_effects(design, noise, names=names))
    assert "no factor stands out from noise (F tests, 5 % over all factors)" in text
    assert "all names begin with pipe__\n" in text
    assert "\nsvc__gamma " in text
    assert "mean by pca__whiten: 0:" in text
    text = str(design_effects(design, noise + 20 * design[:, 1], names=names))
    assert "active, standing out from noise: svc__gamma (F tests" in text

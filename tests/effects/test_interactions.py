"""Interactions: sums of squares by hand, and what a design confounds them with."""

from itertools import combinations, product

import numpy as np
import pytest

from skmixup.design import orthogonal_array, to_unit_cube, uniform_design
from skmixup.effects import design_effects


def by_pair(effects):
    return {x.factors: x for x in effects.interactions()}


def test_a_replicated_factorial_by_hand():
    design = np.array(list(product(range(2), range(3))) * 2)
    y = np.random.default_rng(0).normal(size=12)
    (found,) = design_effects(design, y).interactions()
    cells = {(a, b): y[(design == (a, b)).all(axis=1)] for a, b in product(range(2), range(3))}
    rows = [y[design[:, 0] == a].mean() for a in range(2)]
    columns = [y[design[:, 1] == b].mean() for b in range(3)]
    ss = sum(2 * (cell.mean() - rows[a] - columns[b] + y.mean()) ** 2
             for (a, b), cell in cells.items())  # fmt: skip
    error = sum(((cell - cell.mean()) ** 2).sum() for cell in cells.values())
    assert found.df == 2
    assert found.ss == pytest.approx(ss)
    assert found.f == pytest.approx((ss / 2) / (error / 6))
    assert found.main_effects == found.interactions == ()


def test_a_half_fraction_hides_interactions_behind_main_effects():
    design = np.array([(a, b, (a + b) % 2) for a, b in product(range(2), repeat=2)] * 2)
    y = np.random.default_rng(0).normal(size=8)
    found = by_pair(design_effects(design, y))
    for (i, j), k in {(0, 1): "x2", (0, 2): "x1", (1, 2): "x0"}.items():
        pair = found[f"x{i}", f"x{j}"]
        assert pair.main_effects == (k,)
        assert pair.df == 0
        assert np.isnan([pair.ss, pair.f, pair.p]).all()
    text = str(design_effects(design, y))
    assert "interactions: these runs cannot tell them from main effects and noise" in text


def test_a_quarter_fraction_hides_interactions_behind_each_other():
    a, b, c = np.array(list(product(range(2), repeat=3)) * 2).T
    design = np.column_stack([a, b, c, (a + b + c) % 2])  # of resolution IV
    y = 3.0 * (a == b) + np.random.default_rng(0).normal(size=16) / 9
    effects = design_effects(design, y)
    found = by_pair(effects)
    assert all(not x.main_effects and x.df == 1 for x in found.values())
    for i, j in combinations(range(4), 2):
        k, m = sorted({0, 1, 2, 3} - {i, j})
        assert found[f"x{i}", f"x{j}"].interactions == (f"x{k} × x{m}",)
        assert found[f"x{i}", f"x{j}"].ss == pytest.approx(found[f"x{k}", f"x{m}"].ss)
    assert "interaction: x0 × x1 (p = " in str(effects) or "interaction: x2 × x3 (p" in str(
        effects
    )
    assert "not told apart from x" in str(effects)
    assert str(effects).count("interaction: ") == 1


def test_a_full_factorial_tells_all_of_them_at_once():
    design = np.array(list(product(range(3), repeat=3)))
    y = design[:, 0] * design[:, 1] + np.random.default_rng(0).normal(size=27) / 9
    effects = design_effects(design, y)
    first, *others = effects.interactions()
    assert first.factors == ("x0", "x1")
    assert first.p < 1e-6
    assert all(x.p > 0.01 and not x.interactions and not x.main_effects for x in others)
    # Main effects, interactions and what is left add up to the whole.
    main = sum(row.ss for row in effects.anova)
    left = effects.error_ss - sum(x.ss for x in effects.interactions())
    assert main + effects.error_ss == pytest.approx(np.sum((y - y.mean()) ** 2))
    assert left > 0
    assert first.f == pytest.approx((first.ss / 4) / (left / 8))
    assert "interaction: x0 × x1 (p = " in str(effects)
    assert "the best setting takes no account of it" in str(effects)


def test_products_of_a_surface_are_its_coefficients():
    x = to_unit_cube(uniform_design(30, 3))
    y = x[:, 0] * x[:, 1] + np.random.default_rng(0).normal(size=30) / 50
    effects = design_effects(x, y)
    assert str(effects.model) == "full quadratic surface"
    p = {term: p for term, _, _, p in effects.coefficients()}
    for (one, two), found in by_pair(effects).items():
        assert found.p == pytest.approx(p[f"{one}·{two}"])
    assert "takes no account" not in str(effects)


@pytest.mark.parametrize("unit", [1e-200, -1e200])
def test_the_unit_of_the_response_does_not_matter(unit):
    design = np.array(list(product(range(2), range(3))) * 2)
    y = np.random.default_rng(0).normal(size=12)
    (one,), (other,) = (design_effects(design, u * y).interactions() for u in (1, unit))
    assert other.p == pytest.approx(one.p)


def test_a_saturated_array_can_tell_none_from_noise():
    effects = design_effects(orthogonal_array(3, 4), np.random.default_rng(0).normal(size=9))
    assert all(np.isnan(x.p) and len(x.main_effects) == 2 for x in effects.interactions())


def test_one_factor_has_no_interactions():
    assert design_effects(np.arange(6)[:, None] % 3, range(6)).interactions() == ()


def test_frame():
    design = np.array([(a, b, (a + b) % 2) for a, b in product(range(2), repeat=2)] * 2)
    table = design_effects(design, np.arange(8.0)).to_frame("interactions")
    assert list(table.columns) == ["interaction", "ss", "df", "F", "p", "confounded with"]
    assert table.set_index("interaction").loc["x0 × x1", "confounded with"] == "x2"


@pytest.mark.parametrize("seed", range(3))
def test_noise_alone_seldom_has_an_interaction(seed):
    design = np.array(list(product(range(2), repeat=4)))
    rng = np.random.default_rng(seed)
    texts = [str(design_effects(design, rng.normal(size=16))) for _ in range(60)]
    assert sum("interaction: " in text for text in texts) <= 9  # 3 are expected
    assert any("no interaction stands out from noise" in text for text in texts)


def test_names_lose_their_common_beginning_only():
    """The same letters further on are part of the name."""
    names = ["clf__lr", "clf__my_clf__lr", "clf__my_clf__b"]
    design = np.array(list(product(range(2), repeat=3)) * 2)
    y = 5 * design[:, 0] * design[:, 1] + 0.1 * np.random.default_rng(0).normal(size=16)
    assert "interaction: lr × my_clf__lr (p = " in str(design_effects(design, y, names=names))

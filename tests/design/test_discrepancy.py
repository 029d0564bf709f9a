"""Discrepancies against scipy, hand-computed values and their symmetries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from skmixup.design import discrepancy, to_unit_cube

CRITERIA = ("CD", "WD", "MD")


@st.composite
def designs(draw):
    """Balanced random designs (levels, n_levels) of mixed levels."""
    n_levels = draw(st.lists(st.integers(2, 6), min_size=1, max_size=4))
    n = draw(st.integers(max(n_levels), 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    columns = [rng.permutation(np.arange(n) % q) for q in n_levels]
    return np.stack(columns, axis=1), tuple(n_levels)


@pytest.mark.parametrize(
    ("criterion", "value"),
    [("CD", 0.02957818930), ("WD", 0.06069958848), ("MD", 0.05549125514)],
)
def test_three_runs_by_hand(criterion, value):
    assert discrepancy([[0, 1], [2, 2], [1, 0]], 3, criterion) == pytest.approx(value, abs=1e-10)


@given(designs(), st.sampled_from(CRITERIA))
def test_agrees_with_scipy(design, criterion):
    levels, n_levels = design
    ours = discrepancy(levels, n_levels, criterion)
    theirs = qmc.discrepancy(to_unit_cube(levels, n_levels), method=criterion)
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)


@given(designs(), st.sampled_from(CRITERIA), st.integers(0, 2**32))
def test_permuting_runs_and_factors_changes_nothing(design, criterion, seed):
    levels, n_levels = design
    rng = np.random.default_rng(seed)
    columns = rng.permutation(len(n_levels))
    moved = rng.permutation(levels)[:, columns]
    assert discrepancy(moved, np.array(n_levels)[columns], criterion) == pytest.approx(
        discrepancy(levels, n_levels, criterion), rel=1e-9, abs=1e-12
    )


@given(designs(), st.sampled_from(("CD", "MD")))
def test_mirroring_a_factor_changes_nothing(design, criterion):
    levels, n_levels = design
    mirrored = levels.copy()
    mirrored[:, 0] = n_levels[0] - 1 - mirrored[:, 0]
    assert discrepancy(mirrored, n_levels, criterion) == pytest.approx(
        discrepancy(levels, n_levels, criterion), rel=1e-9, abs=1e-12
    )


@given(designs(), st.integers(1, 5))
def test_wrap_around_does_not_see_cyclic_shifts(design, shift):
    levels, n_levels = design
    shifted = levels.copy()
    shifted[:, 0] = (shifted[:, 0] + shift) % n_levels[0]
    assert discrepancy(shifted, n_levels, "WD") == pytest.approx(
        discrepancy(levels, n_levels, "WD"), rel=1e-9, abs=1e-12
    )


@given(designs())
@settings(max_examples=30)
def test_unit_cube_holds_cell_midpoints(design):
    levels, n_levels = design
    points = to_unit_cube(levels, n_levels)
    assert (points > 0).all()
    assert (points < 1).all()
    np.testing.assert_array_equal(np.floor(points * n_levels).astype(int), levels)
    np.testing.assert_allclose(points * n_levels % 1, 0.5)


@pytest.mark.parametrize(
    ("levels", "n_levels", "criterion", "message"),
    [
        ([[0, 1]], 2, "L2", r"criterion='L2' is unknown: choose one of \['CD', 'WD', 'MD'\]"),
        ([[0, 2]], 2, "CD", r"levels\[0, 1\]=2 is out of range: factor 1 has the levels 0 … 1"),
        ([[0, -1]], 2, "CD", r"levels\[0, 1\]=-1 is out of range"),
        ([[0, 0.5]], 2, "CD", "levels must hold integers"),
        ([["a", "b"]], 2, "CD", "levels must hold integers"),
        ([0, 1], 2, "CD", "levels must be a 2-D array"),
        (np.ma.masked_equal([[0, 1]], 1), 2, "CD", "levels has masked values"),
        ([[0, 1]], (2, 2, 2), "CD", "n_levels=.* has 3 entries for 2 factors"),
        ([[0, 1]], (2, 1), "CD", r"n_levels\[1\]=1 must be at least 2"),
    ],
)
def test_bad_designs_are_named(levels, n_levels, criterion, message):
    with pytest.raises(ValueError, match=message):
        discrepancy(levels, n_levels, criterion)


def test_n_levels_of_another_type_is_named():
    with pytest.raises(TypeError, match="n_levels='3' must be None, an integer"):
        discrepancy([[0, 1]], "3")

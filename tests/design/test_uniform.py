"""Uniform designs: what every design keeps, and how good the searched ones are."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skmixup.design import (
    discrepancy,
    good_lattice_points,
    prefix_uniform_order,
    to_unit_cube,
    uniform_design,
)
from skmixup.design.level_permutation import array_columns, uniform_arrays

CRITERIA = ("CD", "WD", "MD")


def assert_balanced(design, n_levels):
    for column, q in zip(design.T, n_levels, strict=True):
        assert column.min() >= 0
        assert column.max() < q
        counts = np.bincount(column, minlength=q)
        assert counts.max() - counts.min() <= (len(column) % q > 0)


@st.composite
def sizes(draw):
    n_levels = tuple(draw(st.lists(st.integers(2, 7), min_size=1, max_size=4)))
    return draw(st.integers(max(n_levels), 16)), n_levels


@given(sizes(), st.sampled_from(CRITERIA), st.integers(0, 100))
@settings(max_examples=40)
def test_balanced_in_range_and_deterministic(size, criterion, seed):
    n, n_levels = size
    options = {"criterion": criterion, "random_state": seed, "effort": 0.1}
    design = uniform_design(n, len(n_levels), n_levels, **options)
    assert design.shape == (n, len(n_levels))
    assert_balanced(design, n_levels)
    if n <= np.prod(n_levels):
        assert len(np.unique(design, axis=0)) == n
    again = uniform_design(n, len(n_levels), n_levels, **options)
    np.testing.assert_array_equal(design, again)


@given(sizes(), st.integers(0, 100), st.data())
@settings(max_examples=40)
def test_initial_runs_are_kept_and_completed(size, seed, data):
    n, n_levels = size
    whole = uniform_design(n, len(n_levels), n_levels, effort=0.1, random_state=seed)
    k = data.draw(st.integers(0, n))
    initial = np.random.default_rng(seed).permutation(whole)[:k]
    design = uniform_design(n, len(n_levels), n_levels, initial=initial, effort=0.1)
    np.testing.assert_array_equal(design[:k], initial)
    assert_balanced(design, n_levels)


def test_completing_beats_completing_at_random():
    first = uniform_design(10, 3, 20 // 2)
    completed = uniform_design(20, 3, 10, initial=first)
    rng = np.random.default_rng(0)
    random = [
        np.concatenate([first, np.stack([rng.permutation(10) for _ in range(3)], axis=1)])
        for _ in range(50)
    ]
    assert discrepancy(completed, 10) < min(discrepancy(design, 10) for design in random)


def enumerated_optimum(n, s, criterion="CD"):
    columns = [np.array(p) for p in permutations(range(n))]
    first = np.arange(n)
    if s == 2:
        pairs = ((first, a) for a in columns)
    else:
        pairs = ((first, a, b) for a in columns for b in columns)
    return min(discrepancy(np.stack(p, axis=1), criterion=criterion) for p in pairs)


@pytest.mark.parametrize(
    ("n", "s", "optimum"),
    [(3, 2, .0295782), (4, 2, .0162625), (5, 2, .0110511), (6, 2, .00762764), (7, 2, .00582388),
     (8, 2, .00447506), (3, 3, .0615355), (4, 3, .0394756), (5, 3, .0263304), (6, 3, .0186368)],
)  # fmt: skip
def test_exact_optima_are_found_by_the_search(n, s, optimum):
    design = uniform_design(n, s, method="optimize")
    assert discrepancy(design) == pytest.approx(optimum, rel=2e-5)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize(("n", "s"), [(4, 2), (6, 2), (4, 3)])
def test_exact_optima_of_every_criterion(n, s, criterion):
    design = uniform_design(n, s, criterion=criterion, method="optimize")
    value = discrepancy(design, criterion=criterion)
    assert value == pytest.approx(enumerated_optimum(n, s, criterion), rel=1e-9)


@pytest.mark.parametrize(
    ("n", "s", "q", "table"),
    [(9, 4, 3, 0.0493643), (25, 6, 5, 0.0351643), (27, 13, 3, 0.397890), (16, 5, 4, 0.0417239)],
)
def test_saturated_arrays_reach_the_public_table(n, s, q, table):
    design = uniform_design(n, s, q, method="optimize")
    assert discrepancy(design, q) == pytest.approx(table, rel=2e-6)


@pytest.mark.parametrize(
    ("n", "s", "q"), [(18, 7, 3), (32, 9, 4), (50, 11, 5), (36, 12, 3), (36, 13, 3)]
)
def test_arrays_beyond_prime_powers_start_the_search(n, s, q):
    array = array_columns(n, (q,) * s)
    assert array is not None
    assert array_columns(n, (q,) * (s + 2)) is None
    pairs = [np.bincount(q * a + b) for a, b in combinations(array.T, 2)]
    assert all(np.ptp(counts) == 0 for counts in pairs)
    design = uniform_design(n, s, q, method="optimize", effort=0.01)
    renamed = uniform_arrays(n, (q,) * s, "CD", 0.01, np.random.default_rng(0))[0]
    assert discrepancy(design, q) <= discrepancy(renamed, q) * (1 + 1e-12)


@pytest.mark.parametrize(
    ("n", "s", "mean_of_pyunidoe"), [(9, 3, 0.0088344), (15, 5, 0.0157064), (30, 4, 0.0025036)]
)
def test_default_effort_beats_the_public_default(n, s, mean_of_pyunidoe):
    for seed in range(2):
        design = uniform_design(n, s, method="optimize", random_state=seed)
        assert discrepancy(design) <= mean_of_pyunidoe


@pytest.mark.parametrize(("criterion", "bar"), [("WD", 0.0335), ("MD", 0.0557)])
def test_other_criteria_are_searched_with_their_own_differences(criterion, bar):
    design = uniform_design(30, 6, criterion=criterion, effort=8)
    assert discrepancy(design, criterion=criterion) < bar


def test_search_beats_good_lattice_points_with_many_runs():
    lattice = discrepancy(good_lattice_points(300, 4))
    assert discrepancy(uniform_design(300, 4, effort=0.02)) < lattice


def test_more_effort_goes_on_from_the_shipped_design():
    shipped = uniform_design(14, 6)
    assert discrepancy(uniform_design(14, 6, effort=1.5)) <= discrepancy(shipped) + 1e-12


def test_seeds_turn_the_shipped_design_without_changing_it():
    shipped = uniform_design(20, 4)
    images = [uniform_design(20, 4, random_state=seed) for seed in range(6)]
    assert any((image != shipped).any() for image in images)
    for image in images:
        assert discrepancy(image) == pytest.approx(discrepancy(shipped), rel=1e-12)
        for k in (5, 10):
            prefixes = [discrepancy(rows[:k], 20) for rows in (image, shipped)]
            assert prefixes[0] == pytest.approx(prefixes[1], rel=1e-10)


def test_random_states_of_every_kind():
    by_seed = uniform_design(11, 2, 5, random_state=3)
    generator = uniform_design(11, 2, 5, random_state=np.random.default_rng(3))
    np.testing.assert_array_equal(by_seed, generator)
    legacy = [uniform_design(11, 2, 5, random_state=np.random.RandomState(1)) for _ in range(2)]
    np.testing.assert_array_equal(*legacy)
    np.testing.assert_array_equal(uniform_design(11, 2, 5), uniform_design(11, 2, 5))


def test_global_random_state_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    uniform_design(11, 3, 5, random_state=0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_good_lattice_by_name():
    design = uniform_design(31, 3, method="good_lattice")
    lattice = good_lattice_points(31, 3)
    assert {tuple(row) for row in design} == {tuple(row) for row in lattice}
    fewer = uniform_design(31, 3, 4, method="good_lattice")
    assert_balanced(fewer, (4, 4, 4))


@pytest.mark.parametrize(("n", "s", "n_levels"), [(30, 4, 30), (16, 5, 4), (40, 3, (2, 8, 40))])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_prefixes_are_more_uniform_than_in_random_order(n, s, n_levels, criterion):
    design = uniform_design(n, s, n_levels, criterion=criterion, effort=0.3)
    rng = np.random.default_rng(0)
    orders = [rng.permutation(n) for _ in range(30)]
    prefixes = range(3, n - 1)
    ours = np.array([discrepancy(design[:k], n_levels, criterion) for k in prefixes])
    random = np.array(
        [[discrepancy(design[o][:k], n_levels, criterion) for k in prefixes] for o in orders]
    )
    assert (ours < random.mean(axis=0)).all()
    assert np.log(ours).mean() < np.log(random).mean(axis=1).min()


def test_order_keeps_the_first_runs_and_loses_none():
    design = uniform_design(12, 2, method="good_lattice")
    order = prefix_uniform_order(design, n_fixed=5)
    assert order[:5].tolist() == list(range(5))
    assert sorted(order) == list(range(12))
    with pytest.raises(ValueError, match="n_fixed=13 must be between 0 and the 12 runs"):
        prefix_uniform_order(design, n_fixed=13)
    with pytest.raises(TypeError, match=r"n_fixed=1.5 must be an integer from 0 to 12"):
        prefix_uniform_order(design, n_fixed=1.5)


@pytest.mark.parametrize(
    ("n", "s", "n_levels"), [(2, 1, None), (2, 5, 2), (3, 1, 3), (13, 2, 13), (31, 3, 4)]
)
def test_small_and_prime_sizes(n, s, n_levels):
    design = uniform_design(n, s, n_levels, method="optimize", effort=0.2)
    assert_balanced(design, (n_levels or n,) * s)
    points = to_unit_cube(design, n_levels)
    assert points.min() > 0


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((5, 3, 7), {}, "n_levels=7 is more than n_runs=5"),
        ((5, 2, (3, 6)), {}, r"n_levels\[1\]=6 is more than n_runs=5"),
        ((5, 0), {}, "n_factors=0 must be at least 1"),
        ((1, 2), {}, "n_runs=1 must be at least 2"),
        ((5, 2, 1), {}, "n_levels=1 must be at least 2"),
        ((5, 2, (3, 3, 3)), {}, "has 3 entries for 2 factors"),
        ((5, 2), {"criterion": "L2"}, "criterion='L2' is unknown: choose one of"),
        ((5, 2), {"method": "sobol"}, "method='sobol' is unknown: choose one of"),
        ((5, 2), {"effort": -1}, "effort=-1 must be a finite number of at least 0"),
        ((5, 2), {"effort": float("nan")}, "effort=nan must be a finite number"),
        (
            (5, 2),
            {"initial": [[0, 5]]},
            r"initial\[0, 1\]=5 is out of range",
        ),
        ((5, 2), {"initial": [[0, 1], [0, 1]]}, r"initial has duplicated runs: \[0, 1\]"),
        ((5, 2), {"initial": [[0, 1], [0, 2]]}, "initial is unbalanced in factor 0"),
        ((5, 2), {"initial": np.ma.masked_equal([[0, 1]], 1)}, "initial has masked values"),
        ((5, 2), {"effort": True}, "effort=True must be a finite number"),
        ((5, 2), {"initial": [[0, 1, 2]]}, r"initial has shape \(1, 3\)"),
        ((2, 2), {"initial": [[0, 1], [1, 0], [1, 1]]}, "initial has 3 runs, more than n_runs=2"),
        ((5, 2), {"initial": [[0, 1]], "method": "good_lattice"}, "cannot complete initial runs"),
        ((5, 2), {"random_state": -1}, "random_state=-1 must be at least 0"),
    ],
)
def test_bad_input_is_named(args, options, message):
    with pytest.raises(ValueError, match=message):
        uniform_design(*args, **options)


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((5.5, 2), {}, "n_runs=5.5 must be an integer"),
        ((5, "2"), {}, "n_factors='2' must be an integer"),
        ((5, 2, 2.5), {}, "n_levels=2.5 must be None, an integer"),
        ((5, 2), {"random_state": "x"}, "random_state='x' must be an integer"),
    ],
)
def test_wrong_types_are_named(args, options, message):
    with pytest.raises(TypeError, match=message):
        uniform_design(*args, **options)

"""Unit cube → value: equal-width bins, plain Python scalars, errors that name the parameter."""

import math
import sys
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy import stats

from skmixup.design.factors import (
    Continuum,
    LogIntegers,
    Steps,
    as_factor,
    as_factors,
    nearest_value,
)
from skmixup.design.places import place_of
from skmixup.tuning.surface import coded

MIDDLES = (np.arange(1000) + 0.5) / 1000

DISTRIBUTIONS = [
    FloatDistribution(-1, 1),
    FloatDistribution(1e-7, 10, log=True),
    FloatDistribution(-10.2, 10.2, step=0.1),
    FloatDistribution(3.0, 3.0),
    FloatDistribution(-1.7e308, 1.7e308),
    IntDistribution(0, 10),
    IntDistribution(-10, 8, step=3),
    IntDistribution(1, 1000, log=True),
    IntDistribution(2**60, 2**60 + 3),
    CategoricalDistribution(["a", "b", "c"]),
    CategoricalDistribution([None]),
]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=str)
@given(u=st.floats(0, 1, exclude_max=True))
def test_every_point_lies_in_the_optuna_distribution(distribution, u):
    value = as_factor("x", distribution).at(u)
    assert distribution._contains(distribution.to_internal_repr(value))
    assert not isinstance(value, np.generic)


@pytest.mark.parametrize(
    "distribution",
    [
        IntDistribution(0, 9),
        IntDistribution(0, 90, step=10),
        FloatDistribution(0, 0.9, step=0.1),
        CategoricalDistribution(list(range(10))),
        list(range(10)),
    ],
    ids=str,
)
def test_bins_are_equally_wide_also_at_the_ends(distribution):
    factor = as_factor("x", distribution)
    values, counts = np.unique([factor.at(u) for u in MIDDLES], return_counts=True)
    assert len(values) == factor.n_values == 10
    assert set(counts) == {100}


def test_log_scale_puts_a_third_of_the_interval_on_each_decade():
    factor = as_factor("lr", FloatDistribution(1e-3, 1, log=True))
    values = np.array([factor.at(u) for u in MIDDLES])
    assert abs(np.mean(values < 1e-2) - 1 / 3) < 2e-3
    assert abs(np.mean(values < 1e-1) - 2 / 3) < 2e-3


def test_log_integers_have_bins_of_equal_ratio():
    factor = as_factor("k", IntDistribution(1, 7, log=True))
    values = [factor.at(u) for u in MIDDLES]
    for k in range(1, 8):
        assert values.count(k) / 1000 == pytest.approx(math.log((k + 1) / k, 8), abs=2e-3)


@pytest.mark.parametrize("low", [10**6, 10**9, 10**12, 10**15])
@pytest.mark.parametrize("n", [1, 9, 100, 1000])
def test_narrow_logarithmic_ranges_of_large_numbers_are_as_fine_as_others(low, n):
    """The logarithms of 10¹⁵ and 10¹⁵ + 100 differ in the last four digits only."""
    factor = as_factor("k", IntDistribution(low, low + n, log=True))
    places = (np.arange(n + 1) + 0.5) / (n + 1)
    values = [factor.at(u) for u in places]
    assert values == list(range(low, low + n + 1))
    found = [factor.place(value) for value in values]
    assert [place_of(factor, value) for value in values] == found
    assert [factor.at(u) for u in found] == values
    assert coded(np.array(found)[:, None], [factor], 1.0).ravel() == pytest.approx(found)
    continuum = as_factor("x", FloatDistribution(low, low + n, log=True))
    values = [continuum.at(u) for u in places]
    assert np.array(values) - low == pytest.approx(n * places, abs=0.15 + low * 2e-16)
    found = [continuum.place(value) for value in values]
    assert found == pytest.approx(places, abs=low / n * 2e-16 + 1e-12)


def test_steps_are_decimals_as_written():
    factor = as_factor("x", FloatDistribution(-10.2, 10.2, step=0.1))
    assert factor.at(3.5 / factor.n_values) == -9.9


@pytest.mark.filterwarnings("ignore:The distribution is specified by:UserWarning")
@pytest.mark.parametrize(
    ("low", "step", "n"), [(0.3, 1 / 3, 3), (2.9, 2 / 3, 12), (-5.35, 1 / 7, 17)]
)
def test_steps_that_are_no_decimals_have_the_last_one_too(low, step, n):
    """Optuna makes 1.2999999999999998 of the end 0.3 + 3 · ⅓."""
    distribution = FloatDistribution(low, low + n * step, step=step)
    factor = as_factor("x", distribution)
    values = [factor.at((k + 0.5) / factor.n_values) for k in range(factor.n_values)]
    assert values == pytest.approx([low + k * step for k in range(n + 1)])
    assert all(distribution._contains(value) for value in values)


def test_scipy_distributions_go_through_their_quantiles():
    assert as_factor("C", stats.loguniform(1e-2, 1e2)).at(0.5) == pytest.approx(1)
    assert as_factor("x", stats.norm(3, 2)).at(0.5) == pytest.approx(3)
    depth = as_factor("depth", stats.randint(1, 5))
    values = [depth.at(u) for u in MIDDLES]
    assert {type(v) for v in values} == {int}
    assert [values.count(k) for k in range(1, 5)] == [250] * 4


@pytest.mark.parametrize("frozen", [False, True])
def test_listed_values_of_scipy_keep_their_type(frozen):
    for listed in ([1, 10, 100], [0.1, 0.5, 2.0]):
        distribution = stats.rv_discrete(values=(listed, [0.2, 0.3, 0.5]))
        factor = as_factor("p", distribution() if frozen else distribution)
        values = [factor.at(u) for u in MIDDLES]
        assert [values.count(value) for value in listed] == [200, 300, 500]
        assert {type(value) for value in values} == {type(listed[0])}


@pytest.mark.parametrize("distribution", [stats.zipf(2, loc=3), stats.yulesimon(1.5)])
def test_heavy_tails_that_scipy_finds_no_quantile_in(distribution):
    factor = as_factor("k", distribution)
    for u in np.random.default_rng(0).random(200):  # scipy's own search fails at some of them
        assert distribution.cdf(factor.at(u)) >= u > distribution.cdf(factor.at(u) - 1)
    # where scipy ends when memory does
    assert as_factor("k", stats.zipf(1.5)).at(1 - 1e-12) == 2**20


def test_lists_give_their_own_elements_without_numpy_scalars():
    grid = as_factor("C", np.logspace(-2, 2, 5))
    assert [type(grid.at(u)) for u in (0.1, 0.9)] == [float, float]
    marker = object()
    assert as_factor("step", ["passthrough", marker]).at(0.7) is marker


def test_only_rising_or_falling_numbers_have_an_order():
    ordered = {True: [[1, 2, 5], [3.0, 1.0], [7]], False: [[1, 3, 2], [True, False], ["a", "b"]]}
    for expected, lists in ordered.items():
        assert [as_factor("x", values).ordered for values in lists] == [expected] * len(lists)
    assert not as_factor("x", CategoricalDistribution([1, 2, 3])).ordered


class NoQuantiles:
    def rvs(self, random_state=None):
        return 1.0


@pytest.mark.parametrize(
    ("distribution", "error", "message"),
    [
        (NoQuantiles(), TypeError, "'x'.*has no ppf"),
        (stats.loguniform, TypeError, "'x'.*must be frozen"),
        (stats.norm(0, np.nan), ValueError, "'x'.*median"),
        (stats.zipf(1.1), ValueError, r"'x'.*0.99 of zipf\(1.1\).*zipfian\(a, n\)"),
        (stats.zipf, TypeError, "'x'.*must be frozen"),
        (stats.randint(0, 2**64), ValueError, r"'x'.*0.5 of randint\(0, 18446744073709551616\)"),
        ([], ValueError, "'x'.*empty"),
        ("abc", TypeError, "'x'.*'abc' must be a list"),
        (3.0, TypeError, "'x'.*3.0 must be a list"),
        (np.ma.masked_equal([1, 2], 2), ValueError, "'x'.*masked values"),
        (np.ones((2, 2)), ValueError, r"'x'.*shape \(2, 2\)"),
    ],
)
def test_errors_name_the_parameter(distribution, error, message):
    with np.errstate(all="ignore"), pytest.raises(error, match=message):
        as_factor("x", distribution)


@pytest.mark.parametrize(
    ("space", "error", "message"),
    [
        ([{"x": [1]}, {"y": [2]}], TypeError, "grid is a list of 2 spaces"),
        ({}, ValueError, "grid is empty"),
        ({1: [1, 2]}, TypeError, "grid has the key 1"),
        (None, TypeError, "grid=None must be a dict"),
    ],
)
def test_errors_name_the_space(space, error, message):
    with pytest.raises(error, match=message):
        as_factors(space, "grid")


@given(st.integers(-(10**6), 10**6), st.integers(0, 10**4), st.integers(1, 50), st.floats(0, 1))
def test_integers_come_back_from_their_place(low, n, step, u):
    for scale in (Steps(low, low + n * step, step), LogIntegers(abs(low) + 1, abs(low) + 1 + n)):
        value = scale.at(u)
        assert scale.at(scale.place(value)) == nearest_value(scale, scale.place(value)) == value
        assert type(value) is int


@given(st.integers(-99, 99), st.integers(0, 300), st.sampled_from(["0.1", "0.25", "0.003"]),
       st.floats(0, 1))  # fmt: skip
def test_steps_come_back_from_their_place(low, n, step, u):
    high = float(Decimal(low) / 10 + n * Decimal(step))
    scale = Steps(low / 10, high, float(step))
    value = scale.at(u)
    assert scale.n_values == n + 1
    assert scale.at(scale.place(value)) == value
    assert scale.low <= value <= high


@given(st.floats(1e-300, 1e300), st.floats(1e-3, 1e3), st.floats(0, 1), st.booleans())
def test_a_continuum_comes_back_from_its_place(low, ratio, u, log):
    scale = Continuum(low, low * (1 + ratio), log)
    assert scale.place(scale.at(u)) == pytest.approx(u, abs=1e-9)


def test_the_ends_of_the_largest_range_have_places():
    largest = sys.float_info.max
    assert Continuum(-largest, largest).place(0.0) == 0.5

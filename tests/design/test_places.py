"""From values back to the unit interval."""

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy import stats
from sklearn.decomposition import PCA, FastICA
from sklearn.pipeline import Pipeline

from skmixup.design.factors import as_factor
from skmixup.design.places import n_different_values, place_of, places_of_values
from skmixup.design.settings import level_key

FINITE = {
    "list": (["a", "b", 3], 3),
    "equal values": ([1, 2, 1, 3], 3),
    "types": ([1, 1.0, True], 3),
    "unhashable": ([[1], {"k": 2}, [1]], 2),
    "numpy": (np.array([0.1, 0.2]), 2),
    "estimators": ([PCA(2), PCA(2), PCA(3), FastICA(2), Pipeline([("p", PCA(2))]), PCA], 5),
    "category": (CategoricalDistribution([None, "x"]), 2),
    "integers": (IntDistribution(3, 9, step=2), 4),
    "logarithmic integers": (IntDistribution(1, 40, log=True), 40),
    "steps": (FloatDistribution(-0.3, 0.3, step=0.1), 7),
    "randint": (stats.randint(2, 6), 4),
    "binomial": (stats.binom(3, 0.2), 4),
    "listed integers": (stats.rv_discrete(values=([1, 10, 100], [0.2, 0.3, 0.5])), 3),
    "frozen": (stats.rv_discrete(values=([1, 10, 100], [0.2, 0.3, 0.5]))(loc=5), 3),
    "listed shares": (stats.rv_discrete(values=([0.1, 0.5, 2.0], [0.5, 0.0, 0.5]))(), 2),
}
CONTINUA = {
    "interval": FloatDistribution(-2.0, 5.0),
    "logarithmic": FloatDistribution(1e-5, 1e2, log=True),
    "huge": FloatDistribution(-1.7e308, 1.7e308),
    "loguniform": stats.loguniform(1e-4, 1e3),
    "normal": stats.norm(3, 2),
}


@pytest.mark.parametrize(("distribution", "n"), FINITE.values(), ids=FINITE)
def test_every_value_has_a_place_where_it_lies(distribution, n):
    factor = as_factor("p", distribution)
    places = places_of_values(factor)
    assert len(places) == n_different_values(factor) == n
    values = [factor.at(u) for u in places]
    assert len({level_key(v) for v in values}) == n
    assert [place_of(factor, v) for v in values] == pytest.approx(places)
    assert all(0 <= u <= 1 for u in places)


@pytest.mark.parametrize("distribution", CONTINUA.values(), ids=CONTINUA)
def test_places_of_numbers(distribution):
    factor = as_factor("p", distribution)
    assert n_different_values(factor) == np.inf
    for u in (0.001, 0.25, 0.5, 0.77):
        assert place_of(factor, factor.at(u)) == pytest.approx(u)


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (["a", "b"], ["c", None, 0]),
        ([1, 2], [True, 3, "1", np.nan]),
        (IntDistribution(1, 5), [0, 6, "3", True, None, np.nan]),
        (IntDistribution(1, 5, log=True), [0, 6]),
        (FloatDistribution(0, 1), [-0.1, 1.1, np.inf, "scale"]),
        (stats.loguniform(1, 10), [0.5, 11, "scale", np.nan]),
        (stats.randint(2, 6), [1, 6, np.inf]),
        (stats.rv_discrete(values=([0.1, 0.5], [0.5, 0.5])), [0, 0.2, np.inf, None]),
    ],
)
def test_values_that_a_factor_does_not_have(distribution, values):
    factor = as_factor("p", distribution)
    assert [place_of(factor, v) for v in values] == [None] * len(values)


def test_estimators_are_found_by_their_parameters():
    factor = as_factor("p", [PCA(2), "passthrough", Pipeline([("p", PCA(3))])])
    values = [PCA(2), "passthrough", Pipeline([("p", PCA(3))]), Pipeline([("p", PCA(4))]), PCA]
    assert [place_of(factor, v) for v in values] == pytest.approx(
        [1 / 6, 1 / 2, 5 / 6, None, None]
    )


def test_numbers_are_found_among_equal_ones():
    assert place_of(as_factor("p", [1.0, 10.0]), 10) == 0.75
    assert place_of(as_factor("p", FloatDistribution(0, 10)), np.int64(10)) == 1.0
    assert place_of(as_factor("p", stats.uniform(0, 1)), 1.0) == 1.0
    assert place_of(as_factor("p", FloatDistribution(2, 2)), 2) == 0.5


def test_numbers_between_steps_lie_at_the_nearest_one():
    for distribution in (IntDistribution(1, 9), IntDistribution(1, 9, log=True)):
        factor = as_factor("p", distribution)
        assert place_of(factor, 3.2) == place_of(factor, 3)
    assert place_of(as_factor("p", stats.randint(2, 6)), 3.8) == 0.625


@pytest.mark.parametrize("value", [10**9, 1e25])
def test_integers_far_out_have_a_place_at_once_where_scipy_would_sum_up_to_them(value):
    for far in (stats.zipf(2.0), stats.zipf(1.5, loc=-3), stats.logser(1 - 1e-6)):
        factor = as_factor("k", far)
        assert far.cdf(10**6) < place_of(factor, value) < 1


def test_integers_far_out_have_the_place_that_scipy_knows():
    known = stats.geom(1e-9)
    for value in (10**7, 10**9):
        place = place_of(as_factor("k", known), value)
        assert place == pytest.approx((known.cdf(value - 1) + known.cdf(value)) / 2)

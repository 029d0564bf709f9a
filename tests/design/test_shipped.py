"""The shipped table: every design is what it is said to be."""

from importlib.resources import files

import numpy as np
import pytest
from scipy.stats import qmc

from skmixup.design import (
    discrepancy,
    good_lattice_points,
    prefix_uniform_order,
    shipped,
    uniform_design,
)
from skmixup.design.good_lattice import max_factors
from skmixup.design.shipped import TABLE, read_table, shipped_designs, table_bytes

#: Values of the best public table that the shipped designs must not exceed.
PUBLIC = {
    (7, 4, 7): 0.0289219,
    (9, 5, 9): 0.0352661,
    (12, 5, 12): 0.0221868,
    (12, 10, 12): 0.232751,
    (15, 5, 15): 0.0153700,
    (20, 6, 20): 0.0176657,
    (27, 6, 27): 0.0111539,
    (30, 4, 30): 0.00245478,
    (30, 10, 30): 0.0657705,
    (9, 4, 3): 0.0493643,
    (12, 4, 6): 0.0187811,
    (16, 5, 4): 0.0417239,
    (18, 7, 3): 0.113591,
    (25, 6, 5): 0.0351643,
    (27, 13, 3): 0.397890,
    (36, 12, 6): 0.166304,
}


def test_table_is_complete_and_small():
    whole = {(n, s, n) for n in range(2, 61) for s in range(1, 16)}
    whole |= {(n, s, n) for n in range(17, 31) for s in range(16, n)}
    fewer = {
        (n, s, q)
        for n in range(6, 61)
        for q in range(3, n)
        if n % q == 0 and (n <= 30 or q <= 6)
        for s in range(1, 16)
    }
    many = {(9, 3): 20, (12, 3): 21, (15, 3): 22, (60, 6): 40}
    fewer |= {(n, s, q) for (n, q), most in many.items() for s in range(16, most + 1)}
    assert set(shipped_designs()) == whole | fewer
    assert len(files("skmixup.design").joinpath(TABLE).read_bytes()) < 400_000


def test_discrepancies_are_what_scipy_says():
    for (n, s, q), design in shipped_designs().items():
        other = qmc.discrepancy((design + 0.5) / q, method="CD")
        # both are differences of terms near (13/12)^s
        assert discrepancy(design, q) == pytest.approx(other, rel=1e-9, abs=1e-13 * 1.5**s), (n, s)


def test_one_call_reads_one_group_of_the_table(monkeypatch):
    shipped._group.cache_clear()
    read = []
    whole = shipped._read_group
    monkeypatch.setattr(
        shipped, "_read_group", lambda packed, n, q: read.append((n, q)) or whole(packed, n, q)
    )
    uniform_design(24, 5, 6)
    uniform_design(24, 7, 6)
    uniform_design(24, 16, 6, effort=0)  # not there: nothing else is read
    assert read == [(24, 6)]


def test_every_design_is_balanced():
    for (n, s, q), design in shipped_designs().items():
        assert design.shape == (n, s)
        assert (np.sort(design, axis=0) == np.arange(n)[:, None] * q // n).all()


def test_no_design_repeats_a_run_without_need():
    for (n, s, q), design in shipped_designs().items():
        if n <= q**s:
            assert len(np.unique(design, axis=0)) == n, (n, s, q)


def test_every_design_is_at_least_as_good_as_random_ones():
    rng = np.random.default_rng(0)
    for (n, s, q), design in shipped_designs().items():
        random = rng.permuted(np.tile(np.arange(n) * q // n, (3, s, 1)), axis=2)
        unrepeated = [x.T for x in random if q**s < n or len(np.unique(x, axis=1).T) == n]
        best = min((discrepancy(x, q) for x in unrepeated), default=np.inf)
        assert discrepancy(design, q) <= best * (1 + 1e-9), (n, s, q)


@pytest.mark.parametrize("n", [4, 5, 13, 24, 37, 48, 59])
@pytest.mark.parametrize("most", [2, 3, 6, 12])
def test_no_design_is_worse_than_good_lattice_points(n, most):
    s = min(most, max_factors(n))
    lattice = discrepancy(good_lattice_points(n, s))
    assert discrepancy(shipped_designs()[n, s, n]) <= lattice * (1 + 1e-9)


@pytest.mark.parametrize(("size", "value"), PUBLIC.items())
def test_public_table_is_not_exceeded(size, value):
    assert float(f"{discrepancy(uniform_design(*size), size[2]):.6g}") <= value  # its six digits


@pytest.mark.parametrize("size", [(5, 3), (12, 7), (30, 5), (60, 15)])
def test_rows_are_in_prefix_uniform_order(size):
    design = uniform_design(*size)
    ordered = design[prefix_uniform_order(design)]
    ours = [np.log(discrepancy(design[:k], size[0])) for k in range(1, size[0])]
    again = [np.log(discrepancy(ordered[:k], size[0])) for k in range(1, size[0])]
    assert np.mean(ours) <= np.mean(again) + 1e-9


def test_callers_cannot_change_the_table():
    design = uniform_design(10, 3)
    design[:] = 0
    assert uniform_design(10, 3).max() == 9


def test_packing_and_unpacking_is_exact():
    designs = {(3, 2, 3): np.array([[0, 2], [1, 0], [2, 1]]), (2, 1, 2): np.array([[1], [0]])}
    back = read_table(table_bytes(designs))
    assert set(back) == set(designs)
    for size, design in designs.items():
        np.testing.assert_array_equal(back[size], design)

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
    (9, 3, 3): 0.0330337,
    (12, 5, 3): 0.0733174,
    (15, 22, 3): 4.13791,
    (18, 9, 3): 0.190437,
    (24, 12, 3): 0.352942,
    (30, 9, 3): 0.172509,
    (36, 13, 3): 0.377796,
    (39, 13, 3): 0.370577,
    (51, 11, 3): 0.239913,
    (12, 3, 4): 0.0209514,
    (16, 6, 4): 0.0603499,
    (24, 6, 4): 0.0544902,
    (32, 8, 4): 0.0885321,
    (40, 8, 4): 0.0878043,
    (48, 7, 4): 0.0660279,
    (52, 15, 4): 0.427326,
    (25, 5, 5): 0.0251016,
    (50, 5, 5): 0.0236142,
    (50, 11, 5): 0.11682,
    (18, 3, 6): 0.00909,
    (60, 19, 6): 0.712774,
    (60, 38, 6): 60.9005,
    (8, 7, 8): 0.122268,
    (11, 5, 11): 0.025386,
    (14, 3, 14): 0.00406414,
    (16, 6, 16): 0.0250483,
    (17, 13, 17): 0.408749,
    (19, 10, 19): 0.121136,
    (21, 9, 21): 0.0707841,
    (22, 3, 22): 0.00173949,
    (22, 13, 22): 0.29509,
    (24, 6, 24): 0.0134373,
    (25, 8, 25): 0.035304,
    (26, 12, 26): 0.169317,
    (27, 13, 27): 0.227045,
    (28, 11, 28): 0.106739,
    (29, 13, 29): 0.207147,
    (100, 4, 100): 0.000333683,
    (150, 4, 150): 0.000170785,
    (200, 3, 200): 3.5116e-05,
    (250, 3, 250): 2.38773e-05,
    (500, 4, 500): 3.56699e-05,
}


def test_table_is_complete_and_small():
    whole = {(n, s, n) for n in range(2, 61) for s in range(1, 16)}
    whole |= {(n, s, n) for n in range(17, 31) for s in range(16, n)}
    whole |= {(n, s, n) for n in (100, 150, 200, 250) for s in range(1, 21)}
    whole |= {(500, s, 500) for s in range(1, 16)}
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
    assert len(files("skmixup.design").joinpath(TABLE).read_bytes()) < 600_000


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
        rounding = 1e-15  # of a difference of terms near 1; one factor has a single design
        assert discrepancy(design, q) <= best * (1 + 1e-9) + rounding, (n, s, q)


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

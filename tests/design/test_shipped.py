"""The shipped table: every design is what it is said to be."""

from importlib.resources import files

import numpy as np
import pytest

from skmixup.design import discrepancy, good_lattice_points, prefix_uniform_order, uniform_design
from skmixup.design.good_lattice import max_factors
from skmixup.design.shipped import TABLE, pack, shipped_designs, unpack

#: Values of the best public table that the shipped designs must not exceed.
PUBLIC = {
    (7, 4): 0.0289219,
    (9, 5): 0.0352661,
    (12, 5): 0.0221868,
    (15, 5): 0.0153700,
    (20, 6): 0.0176657,
    (27, 6): 0.0111539,
    (30, 4): 0.00245478,
    (30, 10): 0.0657705,
}


def test_table_is_complete_and_small():
    assert set(shipped_designs()) == {(n, s) for n in range(2, 61) for s in range(1, 16)}
    assert len(files("skmixup.design").joinpath(TABLE).read_bytes()) < 400_000


def test_every_design_is_balanced():
    for (n, s), design in shipped_designs().items():
        assert design.shape == (n, s)
        assert (np.sort(design, axis=0) == np.arange(n)[:, None]).all()


def test_every_design_is_at_least_as_good_as_random_ones():
    rng = np.random.default_rng(0)
    for (n, s), design in shipped_designs().items():
        random = rng.permuted(np.tile(np.arange(n), (3, s, 1)), axis=2)
        best = min(discrepancy(columns.T) for columns in random)
        assert discrepancy(design) <= best * (1 + 1e-9), (n, s)


@pytest.mark.parametrize("n", [4, 5, 13, 24, 37, 48, 59])
@pytest.mark.parametrize("most", [2, 3, 6, 12])
def test_no_design_is_worse_than_good_lattice_points(n, most):
    s = min(most, max_factors(n))
    lattice = discrepancy(good_lattice_points(n, s))
    assert discrepancy(shipped_designs()[n, s]) <= lattice * (1 + 1e-9)


@pytest.mark.parametrize(("size", "value"), PUBLIC.items())
def test_public_table_is_not_exceeded(size, value):
    assert discrepancy(uniform_design(*size)) <= value * (1 + 2e-6)


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
    designs = {(3, 2): np.array([[0, 2], [1, 0], [2, 1]]), (2, 1): np.array([[1], [0]])}
    back = unpack(pack(designs))
    assert set(back) == set(designs)
    for size, design in designs.items():
        np.testing.assert_array_equal(back[size], design)

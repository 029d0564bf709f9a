"""Arrays developed from difference schemes: orthogonal, and as wide as the books say."""

from itertools import combinations

import numpy as np
import pytest

from skmixup.design.difference_schemes import array_from_scheme, difference_scheme
from skmixup.design.galois import field_tables

#: (runs, levels) → columns, as tabulated by Hedayat, Sloane & Stufken (1999).
WIDTHS = {
    (4, 2): 3, (16, 2): 15, (9, 3): 4, (18, 3): 7, (27, 3): 13, (36, 3): 13, (54, 3): 25,
    (81, 3): 40, (16, 4): 5, (32, 4): 9, (48, 4): 13, (64, 4): 21, (25, 5): 6, (50, 5): 11,
    (49, 7): 8, (98, 7): 15, (64, 8): 9, (81, 9): 10, (162, 9): 19,
}  # fmt: skip


@pytest.mark.parametrize(("size", "width"), WIDTHS.items())
def test_every_pair_of_columns_has_every_pair_of_levels_equally_often(size, width):
    n, q = size
    array = array_from_scheme(n, q)
    assert array.shape == (n, width)
    for a, b in combinations(array.T, 2):
        assert (np.bincount(q * a + b, minlength=q * q) == n // q**2).all()


@pytest.mark.parametrize(("rows", "q"), [(6, 3), (12, 3), (18, 3), (8, 4), (12, 4), (10, 5)])
def test_differences_of_columns_have_every_element_equally_often(rows, q):
    scheme = difference_scheme(rows, q)
    add = field_tables(q)[0]
    minus = np.argmax(add == 0, axis=1)
    for a, b in combinations(scheme.T, 2):
        assert (np.bincount(add[a, minus[b]], minlength=q) == rows // q).all()


@pytest.mark.parametrize(("n", "q"), [(12, 6), (36, 6), (10, 5), (15, 3), (20, 4)])
def test_one_column_where_no_scheme_is_known(n, q):
    assert array_from_scheme(n, q).shape == (n, 1)

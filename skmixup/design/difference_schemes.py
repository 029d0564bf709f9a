"""Orthogonal arrays of many factors in few runs, developed from difference schemes.

In a difference scheme of r rows the difference of any two columns has every element of the field
equally often. Each row plus each element gives an orthogonal array of r·q runs, in which the row
it came from, and any array of r runs read off from that, are more factors: L18, L27, L32, L36,
L48, L50, L54 and all arrays of q^k runs come this way (Hedayat, Sloane & Stufken 1999, chapter 6).
"""

import numpy as np

from skmixup.design.galois import field_tables, prime_power
from skmixup.design.levels import Ints
from skmixup.design.sizes import MOST_FIELD_LEVELS

#: Two that no formula gives: (rows, q) → the scheme, its own transpose up to the order of rows.
_FOUND = {
    (12, 3): (
        "000101220110", "001010221001", "100001012201", "010010102210", "011000010122",
        "100100101022", "220110000101", "221001001010", "012201100001", "102210010010",
        "010122011000", "101022100100",
    ),
    (12, 4): (
        "000000000000", "023010323121", "020312132013", "003123212103", "031122320310",
        "010202213331", "003201331212", "012233130120", "031330211022", "022113001332",
        "032321103201", "011031022233",
    ),
}  # fmt: skip


def _projected(rows: int, q: int) -> Ints:
    """The multiplication table of GF(rows), its elements' last digits (base p) as elements of
    GF(q): the map keeps sums (Bose & Bush 1952).
    """
    return field_tables(rows)[1] % q


def _doubled(q: int) -> Ints:
    """2q rows for odd q (Addelman & Kempthorne 1961).

    Rows and columns are (block, element): quadratics in y whose leading coefficients differ by a
    square in one block and by a non-square in the other, so that the two together take every
    value twice.
    """
    add, multiply = field_tables(q)
    x = np.arange(q)
    squares = set(multiply[x, x].tolist())
    a = next(i for i in range(q) if i not in squares)

    def inverse(u: int) -> int:
        return int(np.flatnonzero(multiply[u] == 1)[0])

    def minus(u: Ints | int) -> Ints:
        return np.argmax(add[u] == 0, axis=-1)

    quarter = inverse(int(add[add[1, 1], add[1, 1]]))
    shift = add[multiply[quarter, inverse(a)], minus(quarter)]
    other_shift = add[quarter, minus(multiply[a, quarter])]
    square, product = multiply[x, x], multiply
    first = [product, add[product, multiply[shift, square][:, None]]]
    second = [
        add[product, minus(square)],
        add[
            add[multiply[a, product], multiply[other_shift, square][:, None]],
            minus(multiply[a, square]),
        ],
    ]
    return np.block([first, second]).T


def difference_scheme(rows: int, q: int) -> Ints | None:
    """A scheme of so many rows and columns over GF(q), or None where none is known here."""
    field = prime_power(q)
    if field is None or rows % q or rows > MOST_FIELD_LEVELS:
        return None
    other = prime_power(rows)
    if other is not None and other[0] == field[0]:
        return _projected(rows, q)
    if (rows, q) in _FOUND:
        return np.array([[int(x) for x in row] for row in _FOUND[rows, q]], dtype=np.intp)
    if rows == 2 * q and q % 2:
        return _doubled(q)
    inner, outer = difference_scheme(rows // q, q), difference_scheme(q, q)
    if inner is None or outer is None:
        return None
    add = field_tables(q)[0]
    sums = add[outer[:, None, :, None], inner[None, :, None, :]]
    return sums.reshape(rows, rows)


def array_from_scheme(n_runs: int, q: int) -> Ints:
    """An orthogonal array of n_runs runs, a multiple of q, and as many columns as are known here;
    one column at least.
    """
    scheme = difference_scheme(n_runs // q, q)
    if scheme is None:
        return (np.arange(n_runs) % q)[:, None]
    add = field_tables(q)[0]
    developed = np.concatenate([add[scheme, element] for element in range(q)])
    smaller = array_from_scheme(len(scheme), q)
    return np.concatenate([developed, np.tile(smaller, (q, 1))], axis=1)

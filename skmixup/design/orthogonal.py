"""Orthogonal arrays, from linear algebra over finite fields where levels are equal."""

from collections.abc import Sequence
from itertools import product
from math import log2, prod

import numpy as np

from skmixup.design.galois import combinations_over_field, field_tables, prime_power
from skmixup.design.levels import Ints, check_count, level_numbers
from skmixup.design.mixed_arrays import smallest_array
from skmixup.design.sizes import MOST_ENTRIES, MOST_FIELD_LEVELS


def _projective_points(q: int, k: int) -> Ints:
    """The (q^k − 1)/(q − 1) points of the projective space, (k, points), unit vectors first.

    Any two are linearly independent, so their columns have strength 2 (Rao 1947).
    """
    points = np.concatenate([_starting_with_one(q, k, zeros) for zeros in range(k)[::-1]])
    unit = (points != 0).sum(axis=1) == 1
    return np.asarray(np.concatenate([points[unit][::-1], points[~unit]]).T)


def _starting_with_one(q: int, k: int, zeros: int) -> Ints:
    """The vectors of k entries that start with so many zeros and a 1, in lexicographic order."""
    free = k - zeros - 1
    tails = np.arange(q**free)[:, None] // q ** np.arange(free)[::-1] % q
    return np.pad(np.pad(tails, ((0, 0), (1, 0)), constant_values=1), ((0, 0), (zeros, 0)))


def _moment_curve(q: int, k: int) -> Ints:
    """Points of which any k are independent: (1, x, …, x^(k−1)), and (0, …, 0, 1) (Bush 1952)."""
    _, multiply = field_tables(q)
    points = np.zeros((k, q + 1), dtype=np.intp)
    points[0, :q] = 1
    for i in range(1, k):
        points[i, :q] = multiply[points[i - 1, :q], np.arange(q)]
    points[-1, q] = 1
    if k == 3 and q % 2 == 0:  # a conic's nucleus
        points = np.concatenate([points, [[0], [1], [0]]], axis=1)
    return points


def _identity_and_sum(k: int) -> Ints:
    """The k unit vectors and their sum: any k of these k + 1 are independent."""
    return np.concatenate([np.eye(k, dtype=np.intp), np.ones((k, 1), dtype=np.intp)], axis=1)


def _odd_vectors(k: int) -> Ints:
    """The 2^(k−1) binary vectors that start with 1: any three are independent."""
    tails = np.array(list(product(range(2), repeat=k - 1)), dtype=np.intp)
    return np.concatenate([np.ones((1, len(tails)), dtype=np.intp), tails.T])


def _ovoid(q: int) -> Ints:
    """The q² + 1 points of an elliptic quadric in 4-space, no three on a line."""
    add, multiply = field_tables(q)
    x = np.arange(q)
    square = multiply[x, x]
    u, v = next(  # t² + u t + v without roots, so that the form vanishes at (0, 0) alone
        (u, v)
        for u, v in product(range(q), repeat=2)
        if (add[add[square, multiply[u, x]], v] != 0).all()
    )
    a, b = (axis.ravel() for axis in np.meshgrid(x, x, indexing="ij"))
    form = add[add[square[a], multiply[u, multiply[a, b]]], multiply[v, square[b]]]
    points = np.stack([np.ones_like(a), a, b, form])
    return np.concatenate([points, [[0], [0], [0], [1]]], axis=1)


def _most_factors(q: int, k: int, strength: int) -> int:
    """How many factors the constructions have in q^k runs; 0 where there is none."""
    if strength == 1:
        return MOST_ENTRIES
    if strength == 2:
        return (q**k - 1) // (q - 1)
    if k == strength:
        return max(k + 1, q + 1 + (k == 3 and q % 2 == 0))
    if strength == 3 and q == 2:
        return 2 ** (k - 1)
    return q**2 + 1 if strength == 3 and k == 4 else 0


def _check_levels(q: int, strength: int) -> None:
    """Raise an error unless a field of q elements exists and is small enough."""
    most = MOST_ENTRIES if strength == 1 else MOST_FIELD_LEVELS
    if q > most:
        raise ValueError(f"n_levels={q} is too many at strength {strength}: at most {most}")
    if prime_power(q) is None:
        below = next(p for p in range(q - 1, 1, -1) if prime_power(p))
        above = next(p for p in range(q + 1, 2 * q) if prime_power(p))
        raise ValueError(
            f"n_levels={q} is no prime power, and the construction needs one: the nearest are "
            f"{below} and {above}. uniform_design takes any number of levels"
        )


def _exponent(q: int, n_factors: int, strength: int) -> int:
    """The smallest k for which q^k runs hold the factors, or an error with the largest sizes."""
    if strength > max(n_factors, 2):
        raise ValueError(
            f"strength={strength} is more than the {n_factors} factors: at most {n_factors}"
        )
    exponents = [k for k in range(1, MOST_ENTRIES.bit_length()) if q**k <= MOST_ENTRIES]
    exist = {k: _most_factors(q, k, strength) for k in exponents if k >= strength}
    fit = {k: min(most, MOST_ENTRIES // q**k) for k, most in exist.items()}
    if not any(most >= strength for most in fit.values()):
        largest = max(t for t in exponents if t * q**t <= MOST_ENTRIES)
        raise ValueError(
            f"strength={strength} of {q} levels needs {q}^{strength} runs of as many factors: too "
            f"large an array. The largest strength that works is {largest}"
        )
    for k, most in fit.items():
        if n_factors <= most:
            return k
    most = max(fit.values())
    if most < max(exist.values()):
        raise ValueError(
            f"n_factors={n_factors} of {q} levels at strength {strength}: too large an array, at "
            f"most {most} factors work"
        )
    raise ValueError(
        f"n_factors={n_factors} is too many for strength {strength} and {q} levels: at most "
        f"{most} are available. Strength 2 has more"
    )


def _columns(q: int, k: int, strength: int, n_factors: int) -> Ints:
    """Generating columns (k, at least n_factors), any ``strength`` of them independent."""
    if strength == 2:
        return _projective_points(q, k)
    if k == strength:
        return _identity_and_sum(k) if n_factors <= k + 1 else _moment_curve(q, k)
    return _odd_vectors(k) if q == 2 else _ovoid(q)


def _smaller(n_levels: Sequence[int]) -> Ints | None:
    """An array for equal levels with fewer runs than their smallest power; or None."""
    q, n_factors = n_levels[0], len(n_levels)
    if q > MOST_FIELD_LEVELS or q * q * n_factors > MOST_ENTRIES:
        return None  # The error for one number of levels says so.
    if prime_power(q) is None:
        return smallest_array(n_levels)
    return smallest_array(n_levels, below=q ** _exponent(q, n_factors, 2))


def _shortened(n_levels: Sequence[int]) -> str:
    """The levels of all factors; of many, the first ones."""
    return repr(n_levels) if len(n_levels) <= 40 else f"{n_levels[:20]} and so on"


def _of_each(n_levels: Sequence[int], strength: int) -> Ints:
    """The smallest array that is known for these levels, or an error that names what exists."""
    if strength != 2:
        raise ValueError(
            f"strength={strength}: levels that differ, n_levels={_shortened(n_levels)}, "
            "have arrays with strength 2 only. The grid of all combinations has any strength"
        )
    array = smallest_array(n_levels)
    if array is None:
        small = sum(map(log2, n_levels)) < 64  # of many factors the product itself takes long
        size = f"{prod(n_levels)} runs" if small else "more than 2⁶⁴ runs"
        raise ValueError(
            f"n_levels={_shortened(n_levels)} differ, and the only orthogonal array of strength 2 "
            f"that is known here is the grid of {size}, or all would be too large. Arrays are "
            "known for levels that are powers of one prime, as L8 (a factor of 4, four of 2 "
            "levels), for 2 beside 3 (L12, L18, L36), for 2 beside 5 or 7, and for levels without "
            "a prime in common. uniform_design takes any numbers of levels in as many runs as you "
            "like"
        )
    return array


def orthogonal_array(
    n_levels: int | Sequence[int], n_factors: int | None = None, *, strength: int = 2
) -> Ints:
    """Orthogonal array: any two factors see every pair of their levels equally often.

    For one number of levels q it comes from linear algebra over the field GF(q). Strength 2 has
    q^k runs, k the smallest number with (q^k − 1)/(q − 1) ≥ n_factors: L4(2³), L8(2⁷), L9(3⁴),
    L16(4⁵), L25(5⁶), L27(3¹³), L49(7⁸), L64(8⁹), L81(9¹⁰), … The runs are all combinations of k
    basic factors in lexicographic order, and the first k columns are these basic factors.

    For one number per factor it is the smallest array that is known: mixed levels as in
    L8(4 2⁴), L12(3 2⁴), L16(4³ 2⁶), L18(2 3⁷), L36(2¹¹ 3¹²), L36(2⁴ 3¹³), L32(8 4⁸), L50(2 5¹¹),
    and equal ones also where that is no power: L12(2¹¹), L18(3⁷), L20(2¹⁹), L36(3¹³), L50(5¹¹).

    Parameters
    ----------
    n_levels : int, or one int per factor
        Levels q of every factor: a prime power (2, 3, 4, 5, 7, 8, 9, 11, 13, 16, …) of at most
        2048. Or the levels of each factor, in any order.
    n_factors : int, at least 1
        Columns; may be left out where n_levels is a sequence.
    strength : int, default 2
        Any ``strength`` factors see every combination of their levels equally often; levels that
        differ have 2 only. Strength t above 2 needs at least q^t runs: available are max(q, t) + 1
        factors in q^t runs (q + 2 for strength 3 and even q), for strength 3 also q² + 1 factors
        in q⁴ runs, and for strength 3 and two levels any number n in about 2n runs.

    Returns
    -------
    int array of shape (n_runs, n_factors)
        Levels 0 … q − 1 of each factor.

    Raises
    ------
    ValueError
        q is no prime power, the strength is above the number of factors, no construction has so
        many factors or, for levels that differ, less than the whole grid, or the array would have
        more than 2²⁷ entries; the message names what is possible.

    Notes
    -----
    L12(2¹¹) and its like (Plackett & Burman 1946) spread an interaction of two factors thinly over
    the effects of all the others; in q^k runs it falls on one of them altogether.

    See Also
    --------
    uniform_design : chooses an array's columns and permutes its levels to make it uniform too.

    References
    ----------
    A. S. Hedayat, N. J. A. Sloane, J. Stufken (1999), *Orthogonal Arrays*, chapter 3 (Rao 1947,
    Bush 1952), section 5.9 (caps), chapters 6 and 7 (difference schemes, Hadamard matrices) and 9
    (mixed levels).

    Examples
    --------
    Nine runs try every pair of levels of four factors; a full grid would need 81.

    >>> from skmixup.design import orthogonal_array
    >>> orthogonal_array(3, 4)
    array([[0, 0, 0, 0],
           [0, 1, 1, 2],
           [0, 2, 2, 1],
           [1, 0, 1, 1],
           [1, 1, 2, 0],
           [1, 2, 0, 2],
           [2, 0, 2, 2],
           [2, 1, 0, 1],
           [2, 2, 1, 0]])

    An optimizer (two of them) beside three factors of three levels:

    >>> orthogonal_array((2, 3, 3, 3)).shape
    (18, 4)
    """
    strength = check_count("strength", strength, 1)
    if isinstance(n_levels, Sequence | np.ndarray):
        n_factors = len(n_levels) if n_factors is None else n_factors
        counts = level_numbers(n_levels, check_count("n_factors", n_factors, 1), 2)
        if len(set(counts)) > 1:
            return _of_each(counts, strength)
        n_levels = counts[0]
        if strength == 2 and (smaller := _smaller(counts)) is not None:
            return smaller
    q = check_count("n_levels", n_levels, 2)
    n_factors = check_count("n_factors", n_factors, 1)
    _check_levels(q, strength)
    k = _exponent(q, n_factors, strength)
    if strength == 1:
        return np.repeat(np.arange(q)[:, None], n_factors, axis=1)
    columns = _columns(q, k, strength, n_factors)[:, :n_factors]
    return combinations_over_field(q, columns)

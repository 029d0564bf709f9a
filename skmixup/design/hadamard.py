"""Hadamard matrices: two levels in a multiple of four runs, from quadratic residues."""

from functools import lru_cache

import numpy as np

from skmixup.design.galois import field_tables, prime_power
from skmixup.design.levels import Ints
from skmixup.design.sizes import MOST_FIELD_LEVELS


def _residue_table(q: int) -> Ints:
    """χ(x − y) for all x, y of GF(q): 1 where it is a square, −1 where it is none, 0 at 0."""
    elements = np.arange(q)
    if prime_power(q) == (q, 1):
        squares, differences = elements**2 % q, (elements[:, None] - elements) % q
    else:
        add, multiply = field_tables(q)
        squares, differences = np.diag(multiply), add[:, np.argmax(add == 0, axis=1)]
    character = np.full(q, -1, dtype=np.intp)
    character[squares] = 1
    character[0] = 0
    return np.asarray(character[differences])


def _bordered(q: int, corner: int) -> Ints:
    """The residue table in a frame of ones: a conference matrix of order q + 1."""
    matrix = np.ones((q + 1, q + 1), dtype=np.intp)
    matrix[1:, 1:] = _residue_table(q)
    matrix[0, 0] = 0
    matrix[1:, 0] = corner
    return matrix


@lru_cache(maxsize=64)
def hadamard(order: int) -> Ints | None:
    """A Hadamard matrix of zeros and ones, any two columns of which agree in half of the rows.

    The first column is zero. Paley's two constructions (1933), and Sylvester's doubling; None
    where none of them has this order (92 is the first multiple of 4).
    """
    if order in (1, 2):
        return np.array([[0, 0], [0, 1]], dtype=np.intp)[:order, :order]
    if order < 4 or order % 4 or order > MOST_FIELD_LEVELS:
        return None
    half = order // 2 - 1
    if prime_power(order - 1):
        signs = _bordered(order - 1, -1) + np.eye(order, dtype=np.intp)
    elif (smaller := hadamard(order // 2)) is not None:
        return np.block([[smaller, smaller], [smaller, 1 - smaller]])
    elif half % 4 == 1 and prime_power(half):
        conference, eye = _bordered(half, 1), np.eye(half + 1, dtype=np.intp)
        signs = np.block(
            [[conference + eye, conference - eye], [conference - eye, -conference - eye]]
        )
    else:
        return None
    return np.asarray(signs * signs[:, :1] < 0, dtype=np.intp)

"""Finite fields GF(q), as addition and multiplication tables."""

from functools import lru_cache
from itertools import product

import numpy as np

from skmixup.design.levels import Ints

#: Large arrays are built in blocks, which need little memory beside the array itself.
_ROWS_AT_ONCE = 2**14


def prime_power(q: int) -> tuple[int, int] | None:
    """The prime p and the exponent m with q = p^m, or None."""
    p = next((d for d in range(2, int(q**0.5) + 1) if q % d == 0), q)
    m = 0
    while q % p == 0 and q > 1:
        q //= p
        m += 1
    return (p, m) if q == 1 and m else None


def _powers_of_x(p: int, m: int, tail: tuple[int, ...]) -> list[int] | None:
    """1, x, x², … in GF(p)[x] with x^m = Σ tail_i x^i; None where they repeat before p^m − 1.

    An element Σ a_i x^i is the integer Σ a_i p^i.
    """
    element = [1] + [0] * (m - 1)
    seen: dict[int, None] = {}
    for _ in range(p**m - 1):
        number = sum(a * p**i for i, a in enumerate(element))
        if number in seen or number == 0:
            return None
        seen[number] = None
        top = element[-1]
        shifted = [0, *element[:-1]]
        element = [(a + top * r) % p for a, r in zip(shifted, tail, strict=True)]
    return list(seen)


@lru_cache(maxsize=32)
def _logarithms(q: int) -> tuple[Ints, Ints]:
    """The powers 1, x, x², … of a primitive element x of GF(q), and every element's exponent."""
    found = prime_power(q)
    if found is None:
        raise ValueError(f"q={q} is no prime power: no field has {q} elements")
    p, m = found
    tails = product(range(p), repeat=m)
    powers = np.array(next(x for x in (_powers_of_x(p, m, tail) for tail in tails) if x))
    exponent = np.zeros(q, dtype=np.intp)
    exponent[powers] = np.arange(q - 1)
    return powers, exponent


def times_powers(q: int, n_powers: int) -> Ints:
    """Every element of GF(q) times 1, x, …, (q, n_powers).

    The element x is the integer p, and its powers are p², p³, … as long as these are below q.
    """
    powers, exponent = _logarithms(q)
    table = powers[(exponent[:, None] + np.arange(n_powers)) % (q - 1)]
    table[0] = 0
    return np.asarray(table)


@lru_cache(maxsize=32)
def field_tables(q: int) -> tuple[Ints, Ints]:
    """Addition and multiplication tables (q, q) of GF(q); 0 and 1 are the field's own.

    Multiplication adds exponents of a primitive element, the root of the first primitive
    polynomial found: for a prime that is its smallest primitive root.
    """
    powers, exponent = _logarithms(q)
    multiply = powers[(exponent[:, None] + exponent) % (q - 1)]
    multiply[0] = multiply[:, 0] = 0
    p, m = prime_power(q) or (q, 1)
    add = np.zeros((q, q), dtype=np.intp)
    for i in range(m):
        digit = np.arange(q) // p**i % p
        add += (digit[:, None] + digit) % p * p**i
    return add, multiply


def combinations_over_field(q: int, columns: Ints) -> Ints:
    """Every vector of GF(q)^k times the (k, n) matrix of columns: (q^k, n), lexicographic."""
    add, multiply = field_tables(q)
    k = len(columns)
    total = np.zeros((q**k, columns.shape[1]), dtype=np.intp)
    for start in range(0, len(total), _ROWS_AT_ONCE):
        block = total[start : start + _ROWS_AT_ONCE]
        number = np.arange(start, start + len(block))
        for i in range(k):
            digit = number // q ** (k - 1 - i) % q
            block[:] = add[block, multiply[digit[:, None], columns[i]]]
    return total

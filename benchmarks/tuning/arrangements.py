"""What construction.py compares: arrangements of n runs, and where their levels are placed.

Of every arrangement many draws are made: peers are drawn anew, of a design columns change places
and some are mirrored. A placement is one formula for all, so that it can be told apart.
"""

import zlib
from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np
from scipy.stats import qmc

from benchmarks.tuning.methods import latin, random, sobol
from skmixup.design import to_unit_cube, uniform_design
from skmixup.design.central import central_design
from skmixup.tuning.plans import search_effort

Draw = Callable[[int, int, np.random.Generator], np.ndarray]


def with_middle(draw: Draw) -> Draw:
    """Another way to draw, whose first point is moved to the middle."""

    def draw_with_middle(n: int, s: int, rng: np.random.Generator) -> np.ndarray:
        points = draw(n, s, rng)
        points[0] = 0.5
        return points

    return draw_with_middle


def hammersley_middle(n: int, s: int, rng: np.random.Generator) -> np.ndarray:
    """The middle, then a scrambled Hammersley set: what Nevergrad advises for one shot."""
    even = (np.arange(n - 1) + 0.5) / (n - 1)
    others = qmc.Halton(s - 1, scramble=True, rng=rng).random(n - 1)
    return np.vstack([np.full(s, 0.5), np.column_stack([even, others])])


PEERS: dict[str, Draw] = {
    "random": random,
    "Sobol": sobol,
    "Sobol + middle": with_middle(sobol),
    "Latin hypercube": latin,
    "Latin hypercube + middle": with_middle(latin),
    "Hammersley + middle": hammersley_middle,
}
_VARIANTS = 3


def mini_latin(n: int, s: int) -> np.ndarray:
    """Three runs on three levels of the middle third, no level of a factor twice."""
    levels = np.floor((n - 1) / 2 + np.array([-1, 0, 1]) * max(1.0, n / 9) + 0.5).astype(int)
    rows = uniform_design(3, s) if s < 3 else np.arange(3)[:, None] + np.arange(s)
    return np.asarray(levels[rows % 3])


def middle_levels(n: int, s: int) -> np.ndarray:
    return np.full((1, s), n // 2)


def middle_and_pair(n: int, s: int, distance: float) -> np.ndarray:
    """The middle and two opposite runs so many levels beside it."""
    low = int((n - 1) / 2 - distance)
    below = np.arange(s) % 2 == 0
    pair = [np.where(side, low, n - 1 - low) for side in (below, ~below)]
    return np.vstack([middle_levels(n, s), *pair])


def middle_and_third(n: int, s: int) -> np.ndarray:
    """The middle and three runs of the middle third, no level of a factor twice."""
    distance = max(1.0, n / 9)
    low, high = int((n - 1) / 2 - distance), int(np.ceil((n - 1) / 2 + distance))
    between = n // 2 + 1 if n // 2 + 1 != high else n // 2 - 1
    levels = np.array([low, between, high] if between != low else [low - 1, low, high])
    rows = uniform_design(3, s) if s < 3 else np.arange(3)[:, None] + np.arange(s)
    return np.vstack([middle_levels(n, s), levels[rows % 3]])


DESIGNS: dict[str, Callable[[int, int, int], np.ndarray]] = {
    "CD": lambda n, s, k: _searched(n, s, k, "CD", None),
    "WD": lambda n, s, k: _searched(n, s, k, "WD", None),
    "CD, 1 central run": lambda n, s, k: _searched(n, s, k, "CD", middle_levels(n, s)),
    "CD, 3 in the middle third": lambda n, s, k: _searched(n, s, k, "CD", mini_latin(n, s)),
    "WD, 1 central run": lambda n, s, k: _searched(n, s, k, "WD", middle_levels(n, s)),
    "CD, middle, near pair": lambda n, s, k: _searched(
        n, s, k, "CD", middle_and_pair(n, s, max(1, n / 9))
    ),
    "CD, middle, pair": lambda n, s, k: _searched(
        n, s, k, "CD", middle_and_pair(n, s, max(2, n / 9))
    ),
    "WD, middle, pair": lambda n, s, k: _searched(
        n, s, k, "WD", middle_and_pair(n, s, max(2, n / 9))
    ),
    "CD, middle, 3 in the middle third": lambda n, s, k: _searched(
        n, s, k, "CD", middle_and_third(n, s)
    ),
    "CD + middle (the default)": lambda n, s, k: central_design(
        n, s, random_state=None if k == 0 else k, effort=search_effort(n)
    ),
}


def _searched(n: int, s: int, k: int, criterion: str, initial: np.ndarray | None) -> np.ndarray:
    return uniform_design(
        n, s, criterion=criterion, initial=initial, random_state=k, effort=search_effort(n)
    )


@cache
def base(name: str, n: int, s: int, k: int) -> np.ndarray:
    """The levels of a design's k-th variant."""
    return DESIGNS[name](n, s, k)


def images(name: str, n: int, s: int, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Points (draws, n, s): images of the design's variants, each as often."""
    columns = np.argsort(rng.random((n_draws, s)), axis=1)
    mirrored = rng.random((n_draws, 1, s)) < 0.5
    k = np.arange(n_draws) % _VARIANTS
    points = np.stack(
        [to_unit_cube(base(name, n, s, int(v)))[:, c] for v, c in zip(k, columns, strict=True)]
    )
    points = np.where(mirrored, 1 - points, points)
    if any(text in name for text in ("(the default)", "1 central", "middle,")):
        points[:, 0] = 0.5
    return points


@lru_cache(maxsize=300)
def drawn(name: str, n: int, s: int, n_draws: int, block: int) -> np.ndarray:
    """Points (draws, n, s) of an arrangement in a block of seeds, levels in middles of cells."""
    key = [block, n, s, zlib.crc32(name.encode())]
    if name in DESIGNS:
        return images(name, n, s, n_draws, np.random.default_rng(key))
    return np.stack([PEERS[name](n, s, np.random.default_rng([*key, r])) for r in range(n_draws)])


def placed(points: np.ndarray, placement: str, n: int, s: int) -> np.ndarray:
    """The points drawn towards the middle."""
    if placement.startswith("ends kept"):
        a, z = float(placement.rpartition(" ")[2]), 2 * points - 1
        return np.asarray(0.5 + (a * z + (1 - a) * z**3) / 2)
    factors = {
        "cells": 1.0,
        "n + 1 parts": n / (n + 1),  # the means of n random draws in order
        "medians": n / (n + 0.4),  # and their medians, nearly
        "c = 0.95": 0.95,
        "c = 0.9": 0.9,
        "c = 0.85": 0.85,
        "w = 1/4": 1 - 0.25 * (1 - (1 - n ** (-1 / s)) / (1 - 1 / n)),
    }
    return np.asarray(0.5 + (points - 0.5) * factors[placement])


def share_won(ours: np.ndarray, theirs: np.ndarray) -> float:
    """How often a value of ours is smaller than one of theirs, all pairs; ties half."""
    theirs = np.sort(theirs)
    low = np.searchsorted(theirs, ours, "left")
    high = np.searchsorted(theirs, ours, "right")
    return float(1 - (low + high).mean() / 2 / len(theirs))

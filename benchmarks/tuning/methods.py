"""The searches that tuning_regret.py compares: points of the unit cube, and what they found."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import optuna
from scipy.stats import qmc

from skmixup.design import orthogonal_array, to_unit_cube, uniform_design
from skmixup.design.factors import Continuum
from skmixup.tuning.plans import search_effort
from skmixup.tuning.rounds import next_box, round_sizes, whole_cube
from skmixup.tuning.surface import guided_points

Objective = Callable[[np.ndarray], float]
BUDGETS = (9, 16, 25, 50, 100)
ROUNDS = {9: 2, 16: 3, 25: 4, 50: 6, 100: 8}


def symmetric_image(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Columns in another order, some of them mirrored: as uniform as before."""
    mirrored = np.where(rng.random(points.shape[1]) < 0.5, 1 - points, points)
    return mirrored[:, rng.permutation(points.shape[1])]


@lru_cache
def base_design(n: int, s: int) -> np.ndarray:
    return to_unit_cube(uniform_design(n, s, effort=search_effort(n)))


@lru_cache
def base_array(n: int, s: int) -> tuple[np.ndarray, int] | None:
    """The array of at most n runs that holds s factors: most runs first, then most levels."""
    best = None
    for q in (2, 3, 4, 5, 7, 8, 9):
        rows = orthogonal_array(q, s)
        if len(rows) <= n and (best is None or (len(rows), q) > (len(best[0]), best[1])):
            best = rows, q
    return best


def grid(n: int, s: int, rng: np.random.Generator) -> np.ndarray:
    """N points of the smallest full grid that has as many, in random order as Optuna runs it."""
    q = int(np.ceil(n ** (1 / s) - 1e-9))
    cells = rng.choice(q**s, size=n, replace=False)
    return (np.stack(np.unravel_index(cells, (q,) * s), axis=1) + 0.5) / q


def random(n: int, s: int, rng: np.random.Generator) -> np.ndarray:
    return rng.random((n, s))


def sobol(n: int, s: int, rng: np.random.Generator) -> np.ndarray:
    return qmc.Sobol(s, scramble=True, seed=rng).random_base2(int(np.ceil(np.log2(n))))[:n]


def latin(n: int, s: int, rng: np.random.Generator) -> np.ndarray:
    return qmc.LatinHypercube(s, seed=rng).random(n)


def uniform(n: int, s: int, rng: np.random.Generator) -> np.ndarray:
    return symmetric_image(base_design(n, s), rng)


@lru_cache
def base_wrap_around_design(n: int, s: int) -> np.ndarray:
    return uniform_design(n, s, criterion="WD", effort=search_effort(n))


def uniform_wd(n: int, s: int, rng: np.random.Generator) -> np.ndarray:
    # The wrap-around discrepancy does not change when levels are shifted cyclically either.
    levels = (base_wrap_around_design(n, s) + rng.integers(n, size=s)) % n
    return symmetric_image(to_unit_cube(levels), rng)


def orthogonal(n: int, s: int, rng: np.random.Generator) -> np.ndarray | None:
    found = base_array(n, s)
    if found is None:
        return None
    rows, q = found
    return to_unit_cube(np.stack([rng.permutation(q)[c] for c in rows.T], axis=1), q)


ONE_SHOT = {
    "grid": grid,
    "random": random,
    "Sobol": sobol,
    "Latin hypercube": latin,
    "orthogonal": orthogonal,
    "uniform": uniform,
    "uniform (WD)": uniform_wd,
}
ADAPTIVE = ("TPE", "sequential uniform")
METHODS = (*ONE_SHOT, *ADAPTIVE)
_STREAMS = {name: i for i, name in enumerate(METHODS)} | {
    "TPE": 6,
    "sequential uniform": 7,
    "uniform (WD)": 8,
}


def sequential_uniform(f: Objective, n: int, s: int, rng: np.random.Generator) -> np.ndarray:
    """The values found, in order, by the engine of UniformDesignSearchCV(n_rounds > 1)."""
    first, *others = round_sizes(n, ROUNDS[n])
    points = symmetric_image(base_design(first, s), rng)
    values = np.array([f(x) for x in points])
    boxes, factors = [whole_cube(s)], [Continuum(0.0, 1.0)] * s
    seed = int(rng.integers(2**31))
    for size in others:
        boxes.append(replace(next_box(points, values, boxes), n_told=size))
        new = guided_points(boxes[-1], points, values, size, factors, seed)
        points = np.vstack([points, new])
        values = np.append(values, [f(x) for x in new])
    return values


def tpe(f: Objective, n: int, s: int, rng: np.random.Generator) -> np.ndarray:
    """Optuna's TPESampler as it comes."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=int(rng.integers(2**31))))
    study.optimize(
        lambda t: f(np.array([t.suggest_float(f"x{i}", 0, 1) for i in range(s)])), n_trials=n
    )
    return np.array([t.value for t in study.trials])


def longest(method: str, n: int, budgets: tuple[int, ...]) -> int:
    """The runs to search with for a budget: TPE does not know it, one search serves all."""
    return budgets[-1] if method == "TPE" else n


def search(method: str, f: Objective, n: int, s: int, seed: int) -> np.ndarray | None:
    """The losses that a method meets in n runs, in order; None where it has no design."""
    rng = np.random.default_rng([seed, n, _STREAMS[method]])
    if method in ONE_SHOT:
        points = ONE_SHOT[method](n, s, rng)
        return None if points is None else np.array([f(x) for x in points])
    return (tpe if method == "TPE" else sequential_uniform)(f, n, s, rng)

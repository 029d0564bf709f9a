"""Standard test functions on the unit cube, moved at random from seed to seed.

The optimum of several of them lies in the middle of the cube, which a design with a centre point
would meet by luck: every seed shifts the cube by up to a fifth in each direction and mirrors some
axes.
"""

from collections.abc import Callable

import numpy as np

Function = Callable[[np.ndarray], float]

_HARTMANN_WEIGHTS = np.array([1, 1.2, 3, 3.2])
_HARTMANN_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def branin(x: np.ndarray) -> float:
    a, b = -5 + 15 * x[0], 15 * x[1]
    bowl = b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6
    return float(bowl**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10)


def rosenbrock(x: np.ndarray) -> float:
    z = -2 + 4 * x
    return float(np.log1p(np.sum(100 * (z[1:] - z[:-1] ** 2) ** 2 + (1 - z[:-1]) ** 2)))


def ackley(x: np.ndarray) -> float:
    z = 32 * (2 * x - 1)
    valley = -20 * np.exp(-0.2 * np.sqrt(np.mean(z**2)))
    return float(valley - np.exp(np.mean(np.cos(2 * np.pi * z))) + 20 + np.e)


def levy(x: np.ndarray) -> float:
    w = 1 + (20 * x - 11) / 4
    middle = (w[:-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:-1] + 1) ** 2)
    end = (w[-1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[-1]) ** 2)
    return float(np.sin(np.pi * w[0]) ** 2 + middle.sum() + end)


def griewank(x: np.ndarray) -> float:
    z = 100 * x - 50
    waves = np.cos(z / np.sqrt(np.arange(1, len(z) + 1)))
    return float(np.sum(z**2) / 4000 - np.prod(waves) + 1)


def hartmann(x: np.ndarray) -> float:
    return float(
        -_HARTMANN_WEIGHTS @ np.exp(-np.sum(_HARTMANN_A * (x - _HARTMANN_P) ** 2, axis=1))
    )


def ellipsoid(x: np.ndarray) -> float:
    return float(np.sum(np.arange(1, len(x) + 1) * (x - 0.5) ** 2))


FUNCTIONS: dict[str, tuple[Function, int]] = {
    "Branin, 2": (branin, 2),
    "Griewank, 3": (griewank, 3),
    "Levy, 4": (levy, 4),
    "Rosenbrock (log), 4": (rosenbrock, 4),
    "Ackley, 5": (ackley, 5),
    "Hartmann, 6": (hartmann, 6),
    "Ellipsoid, 8": (ellipsoid, 8),
    "Levy, 8": (levy, 8),
}


def moved(function: Function, s: int, seed: int) -> Function:
    """The function on a shifted and mirrored cube."""
    rng = np.random.default_rng([seed, s])
    shift, mirrored = rng.uniform(-0.2, 0.2, s), rng.random(s) < 0.5
    return lambda x: function(np.where(mirrored, 1 - x, x) + shift)


#: Where the optimum lies on the unit cube.
OPTIMA = {
    "Branin, 2": np.array([(np.pi + 5) / 15, 2.275 / 15]),
    "Griewank, 3": np.full(3, 0.5),
    "Levy, 4": np.full(4, 0.55),
    "Rosenbrock (log), 4": np.full(4, 0.75),
    "Ackley, 5": np.full(5, 0.5),
    "Hartmann, 6": np.array([0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573]),
    "Ellipsoid, 8": np.full(8, 0.5),
    "Levy, 8": np.full(8, 0.55),
}


def optimum_anywhere(name: str, seed: int) -> Function:
    """The function moved so that its optimum is equally likely at every place of the cube."""
    function, s = FUNCTIONS[name]
    rng = np.random.default_rng([seed, s, 1])
    optimum, mirrored = rng.random(s), rng.random(s) < 0.5
    return lambda x: function(np.where(mirrored, 1 - x, x) - optimum + OPTIMA[name])

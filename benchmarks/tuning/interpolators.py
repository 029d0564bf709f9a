"""A function through a tabulated surface: a Gaussian process, evaluated anywhere in the cube.

Only the order of values matters to a search that takes the best of n, so losses are put on a
logarithmic scale above the smallest one first: a learner that fails at an end of its ranges has a
loss a hundred times the best one, and a process on the plain scale would see nothing else.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

Floats = np.ndarray


def warped(losses: Floats) -> Floats:
    """The logarithm of losses above the best one and a tenth of the median's rise."""
    rise = losses - losses.min()
    y = np.log(rise + 0.1 * max(np.median(rise), 1e-9))
    return np.asarray((y - y.mean()) / (y.std() or 1.0))


def matern(distances: Floats) -> Floats:
    """The Matérn kernel with ν = 5/2."""
    r = np.sqrt(5.0) * distances
    return np.asarray((1 + r + r**2 / 3) * np.exp(-r))


def distances(a: Floats, b: Floats, scales: Floats) -> Floats:
    a, b = a / scales, b / scales
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))


@dataclass(frozen=True)
class Surface:
    """The mean of a Gaussian process: length scales, noise and weights of the tabulated points."""

    points: Floats
    scales: Floats
    weights: Floats
    best: float
    explained: float  # share of the variance explained with each point left out

    def __call__(self, x: Floats) -> Floats:
        """The values at the rows of ``x``."""
        return np.asarray(matern(distances(x, self.points, self.scales)) @ self.weights)


def _negative_likelihood(theta: Floats, points: Floats, y: Floats) -> tuple[float, Floats]:
    """Profiled over the process's variance; with the gradient by scales and noise (both logs)."""
    scales, noise = np.exp(theta[:-1]), np.exp(theta[-1])
    r = distances(points, points, scales)
    kernel = matern(r)
    lower = cholesky(kernel + (noise + 1e-8) * np.eye(len(y)), lower=True)
    inverse = cho_solve((lower, True), np.eye(len(y)))
    alpha = inverse @ y
    variance = y @ alpha / len(y)
    value = len(y) / 2 * np.log(variance) + np.log(np.diag(lower)).sum()
    inner = inverse - np.outer(alpha, alpha) / variance
    slope = 5 / 3 * (1 + np.sqrt(5.0) * r) * np.exp(-np.sqrt(5.0) * r)
    weighted = inner * slope
    gradient = [
        0.5 * np.sum(weighted * np.subtract.outer(column, column) ** 2) / scale**2
        for column, scale in zip(points.T, scales, strict=True)
    ]
    return float(value), np.array([*gradient, 0.5 * noise * np.trace(inner)])


def fit(points: Floats, losses: Floats) -> Surface:
    """The surface through some losses, its parameters of the largest likelihood."""
    y, s = warped(np.asarray(losses)), points.shape[1]
    bounds = [(np.log(0.05), np.log(20.0))] * s + [(np.log(1e-4), np.log(1.0))]
    starts = ([np.log(0.5)] * s + [np.log(0.01)], [np.log(2.0)] * s + [np.log(0.1)])
    runs = [
        minimize(_negative_likelihood, start, (points, y), jac=True, bounds=bounds)
        for start in starts
    ]
    theta = min(runs, key=lambda run: run.fun).x
    scales, noise = np.exp(theta[:-1]), np.exp(theta[-1])
    kernel = matern(distances(points, points, scales)) + (noise + 1e-8) * np.eye(len(y))
    lower = cholesky(kernel, lower=True)
    weights = cho_solve((lower, True), y)
    roots = solve_triangular(lower, np.eye(len(y)), lower=True)
    left_out = weights / (roots**2).sum(axis=0)
    explained = 1 - np.mean(left_out**2) / np.mean(y**2)
    surface = Surface(points, scales, weights, 0.0, float(explained))
    return Surface(points, scales, weights, _smallest(surface, s), float(explained))


def _smallest(surface: Surface, s: int) -> float:
    """The smallest value of many random points, a third of them at ends of some ranges."""
    x = np.random.default_rng(s).random((6000, s))
    x[:2000] = np.clip(x[:2000] * 1.5 - 0.25, 0.0, 1.0)
    return float(surface(x).min())

"""Smooth random functions of any number of factors, their optimum where it is wanted."""

import zlib

import numpy as np

#: How the optimum is drawn, coordinate by coordinate.
PRIORS = ("middle", "anywhere", "Beta(2,2)", "at an end")
_N_WAVES = 12


def optima(prior: str, n_functions: int, s: int, rng: np.random.Generator) -> np.ndarray:
    """One optimum per function; "at an end": half of its coordinates, rounded up, are 0 or 1."""
    if prior == "middle":
        return rng.uniform(0.3, 0.7, (n_functions, s))
    if prior == "Beta(2,2)":
        return rng.beta(2, 2, (n_functions, s))
    anywhere = rng.random((n_functions, s))
    if prior == "anywhere":
        return anywhere
    at_end = rng.random((n_functions, s)).argsort(axis=1) < (s + 1) // 2
    ends = rng.integers(2, size=(n_functions, s)).astype(float)
    return np.where(at_end, ends, anywhere)


class SmoothFunctions:
    """A squared distance in skewed coordinates, times e to the power of some waves.

    Factors differ in importance (log-normally), interact a little, and the waves make other
    valleys; the optimum stays where it is.
    """

    def __init__(self, n_functions: int, s: int, prior: str, seed: int) -> None:
        rng = np.random.default_rng([seed, s, zlib.crc32(prior.encode())])
        self.optima = optima(prior, n_functions, s, rng)
        skew = rng.normal(size=(n_functions, s, s)) * 0.3
        skew[:, range(s), range(s)] = 1
        self.skew = skew * np.exp(rng.normal(size=(n_functions, 1, s)))
        self.waves = rng.normal(size=(n_functions, _N_WAVES, s)) * 4
        self.phases = rng.uniform(0, 2 * np.pi, (n_functions, _N_WAVES))
        self.height = rng.uniform(0, 0.8, (n_functions, 1))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The values (functions, n) at points (functions, n, s), own points for each function."""
        distance = np.einsum("pij,pnj->pni", self.skew, x - self.optima[:, None])
        waves = np.cos(np.einsum("pkj,pnj->pnk", self.waves, x) + self.phases[:, None])
        ripple = waves.mean(axis=2) * np.sqrt(_N_WAVES)
        return np.asarray((distance**2).sum(axis=2) * np.exp(self.height * ripple))

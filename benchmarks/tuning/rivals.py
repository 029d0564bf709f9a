"""Samplers of other packages that sequential.py compares with, where they are installed."""

import warnings
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.search_space import IntersectionSearchSpace


def botorch_sampler(seed: int) -> optuna.samplers.BaseSampler:
    """BoTorch as Optuna has it: needs optuna-integration, botorch and gpytorch."""
    from optuna_integration import BoTorchSampler

    warnings.simplefilter("ignore")  # of numerical trouble, which it gets over by itself
    return BoTorchSampler(seed=seed)


def quicker_pymoo() -> None:
    """Let HEBO's search of its surface take a third of the time and find the same.

    Pymoo compares the settings of a population pair by pair, and sorts it in loops of Python. Here
    both are done at once; order and results stay.
    """
    from pymoo.core.mixed import MixedVariableDuplicateElimination
    from pymoo.util.dominator import Dominator
    from pymoo.util.nds import fast_non_dominated_sort as module

    def duplicates(_: Any, pop: Any, other: Any, found: np.ndarray) -> np.ndarray:
        settings = [tuple(p.X.items()) for p in pop]
        seen = set() if other is None else {tuple(p.X.items()) for p in other}
        for i in reversed(range(len(settings))):
            found[i] = settings[i] in seen
            if other is None:
                seen.add(settings[i])
        return found

    def fronts(values: np.ndarray, **_: Any) -> list[list[int]]:
        order = Dominator.calc_domination_matrix(values)
        left = (order < 0).sum(axis=1)
        found = [np.flatnonzero(left == 0).tolist()]
        while sum(map(len, found)) < len(order):
            following: list[int] = []
            for i in found[-1]:
                below = np.flatnonzero(order[i] > 0)
                left[below] -= 1
                following += below[left[below] == 0].tolist()
            found.append(following)
        return found

    MixedVariableDuplicateElimination._do = duplicates
    module.fast_non_dominated_sort = fronts


class HeboSampler(optuna.samplers.BaseSampler):
    """HEBO with its defaults, one suggestion at a time, of floats in the unit interval."""

    def __init__(self, seed: int) -> None:
        warnings.simplefilter("ignore")
        self.seed = seed
        self.space = IntersectionSearchSpace()
        self.random = optuna.samplers.RandomSampler(seed=seed)
        self.hebo: Any = None
        self.asked: dict[int, Any] = {}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self.space.calculate(study)

    def sample_relative(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        if not search_space:  # the very first trial
            return {}
        if self.hebo is None:
            from hebo.design_space.design_space import DesignSpace
            from hebo.optimizers.hebo import HEBO

            quicker_pymoo()
            np.random.seed(self.seed)  # noqa: NPY002 - pymoo's own, which HEBO leaves alone
            names = [{"name": n, "type": "num", "lb": 0, "ub": 1} for n in search_space]
            self.hebo = HEBO(DesignSpace().parse(names), scramble_seed=self.seed)
        self.asked[trial.number] = rows = self.hebo.suggest(n_suggestions=1)
        return {name: float(rows[name].iloc[0]) for name in search_space}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self.random.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        state: optuna.trial.TrialState,
        values: Any,
    ) -> None:
        if trial.number in self.asked and values is not None:
            self.hebo.observe(self.asked.pop(trial.number), np.array([values]))

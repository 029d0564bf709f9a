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

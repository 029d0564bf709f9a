"""The sampler that takes over after a design (``then=``), and what it is shown of the design."""

from collections.abc import Iterator, Sequence

from optuna.samplers import BaseGASampler, BaseSampler, GridSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState


def samplers_within(sampler: BaseSampler) -> Iterator[BaseSampler]:
    """A sampler and those that it is built from."""
    found = [sampler]
    for outer in found:
        yield outer
        inner = (part for part in vars(outer).values() if isinstance(part, BaseSampler))
        found += [part for part in inner if all(part is not known for known in found)]


def join_first_generation(successor: BaseSampler, study: Study, trial: FrozenTrial) -> None:
    """Count a trial of the design to the generation that a genetic algorithm is breeding.

    Other samplers learn from whatever trials there are; these only from their own generations.
    """
    for sampler in samplers_within(successor):
        if isinstance(sampler, BaseGASampler):
            sampler.get_trial_generation(study, trial)


def after_any_trial(
    successor: BaseSampler,
    study: Study,
    trial: FrozenTrial,
    state: TrialState,
    values: Sequence[float] | None,
) -> None:
    """Let the successor do what it does after each trial: compute constraints, above all.

    A grid is the exception, which looks for its own number in every trial.
    """
    has_grid = any(isinstance(sampler, GridSampler) for sampler in samplers_within(successor))
    if not has_grid or "grid_id" in trial.system_attrs:
        successor.after_trial(study, trial, state, values)

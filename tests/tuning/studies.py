"""What the sampler tests share: spaces, objectives, and what must hold of a finished study."""

from collections import Counter

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

SPACE = {
    "lr": FloatDistribution(1e-5, 1e-1, log=True),
    "depth": IntDistribution(1, 8),
    "kind": CategoricalDistribution(["a", "b"]),
}


def suggest(trial):
    """The parameters of SPACE."""
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    depth = trial.suggest_int("depth", 1, 8)
    return lr, depth, trial.suggest_categorical("kind", ["a", "b"])


def objective(trial):
    lr, depth, kind = suggest(trial)
    return lr + depth + (kind == "a")


def row(trial):
    """The row that a finished or a running trial runs."""
    if isinstance(trial, optuna.Trial):
        trial = trial.storage.get_trial(trial._trial_id)
    return trial.system_attrs.get("skmixup:row")


def finished_rows(study):
    """How often each row has been completed or pruned."""
    done = (TrialState.COMPLETE, TrialState.PRUNED)
    return Counter(row(t) for t in study.trials if t.state in done and row(t) is not None)


def assert_every_row_once(study, n_runs):
    assert finished_rows(study) == dict.fromkeys(range(n_runs), 1)


def study_with(sampler, **settings):
    return optuna.create_study(sampler=sampler, **settings)

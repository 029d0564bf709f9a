"""What a user with a type checker writes: `make lint` checks it with mypy, as it stands."""

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import loguniform
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmixup import ManifoldMixupClassifier, MixupClassifierCV, MixupRegressor
from skmixup.design import discrepancy, orthogonal_array, to_unit_cube, uniform_design
from skmixup.effects import DesignEffects, design_effects
from skmixup.robustness import corrupt_labels, expected_calibration_error, fgsm
from skmixup.tuning import UniformDesignSampler, UniformDesignSearchCV
from skmixup.vicinal import Gaussian, Mixup, Vicinity


def train(frame: pd.DataFrame, y: NDArray[np.int64]) -> ManifoldMixupClassifier:
    """Fit by hand, and by a search."""
    clf = ManifoldMixupClassifier(alpha=0.4, layers=[0, 1], max_epochs=10, random_state=0)
    clf.fit(frame, corrupt_labels(y, 0.1, random_state=0))
    moved: NDArray[np.float32] = fgsm(clf, frame.to_numpy(), y, eps=0.1)
    error: float = expected_calibration_error(y, clf.predict_proba(moved))
    history: list[float] = clf.loss_curve_
    print(error, history[-1], clf.n_iter_)
    return clf


def tune(frame: pd.DataFrame, y: NDArray[np.int64]) -> DesignEffects:
    """Search as in scikit-learn, and read the effects."""
    pipeline = make_pipeline(StandardScaler(), MixupRegressor(pairing="similar", bandwidth=0.5))
    space = {"mixupregressor__lr": loguniform(1e-4, 1e-2)}
    search = UniformDesignSearchCV(pipeline, space, n_runs="auto", n_rounds=2, cv=3).fit(frame, y)
    tuned = MixupClassifierCV(cv=3, time_limit=60, random_state=0).fit(frame, y)
    print(search.best_params_, tuned.weights_.sum(), tuned.temperature_)
    return design_effects(search, log=["mixupregressor__lr"])


def study() -> optuna.Study:
    """A design in Optuna."""
    sampler = UniformDesignSampler(n_runs=12, then="zoom", seed=0)
    return optuna.create_study(sampler=sampler)


def designs() -> list[float]:
    """Designs and how even they are."""
    runs: NDArray[np.int64] = uniform_design(12, 3)
    array: NDArray[np.int64] = orthogonal_array((2, 3, 3))
    points: NDArray[np.float64] = to_unit_cube(runs)
    return [discrepancy(runs), discrepancy(array), float(points.min())]


VICINITIES: list[Vicinity] = [Mixup(alpha=1.0, mix_per="sample"), Gaussian(0.1)]

"""scikit-learn's whole estimator-check suite."""

from sklearn.model_selection import KFold
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmixup import (
    ManifoldMixupClassifier,
    ManifoldMixupRegressor,
    MixupClassifierCV,
    MixupRegressorCV,
)
from tests.expected_failures import expected_failures

SPACE = {"param_distributions": {"alpha": [0.0, 0.2]}, "n_runs": 2, "cv": 2}
# Targets of some checks are sorted: half of them do not vary.
SHUFFLED = {**SPACE, "cv": KFold(2, shuffle=True, random_state=0)}


@parametrize_with_checks(
    [
        MixupClassifierCV(
            ManifoldMixupClassifier(module__hidden_sizes=(16,), max_epochs=5), **SPACE
        ),
        MixupRegressorCV(ManifoldMixupRegressor(max_epochs=5), **SHUFFLED),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learns_estimator_checks(estimator, check):
    check(estimator)

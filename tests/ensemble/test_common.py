"""scikit-learn's whole estimator-check suite."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skmixup import ManifoldMixupClassifier, MixupClassifierCV
from tests.expected_failures import expected_failures

SPACE = {"param_distributions": {"alpha": [0.0, 0.2]}, "n_runs": 2, "cv": 2}


@parametrize_with_checks(
    [MixupClassifierCV(ManifoldMixupClassifier(max_epochs=5), **SPACE)],
    expected_failed_checks=expected_failures,
)
def test_scikit_learns_estimator_checks(estimator, check):
    check(estimator)

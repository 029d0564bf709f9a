"""scikit-learn's whole estimator-check suite."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from tests.expected_failures import expected_failures

# No module__…: check_no_attributes_set_in_init knows only what the signature names.
FAST = {"max_epochs": 5}


@parametrize_with_checks(
    [
        VicinalClassifier(**FAST),
        MixupClassifier(**FAST),
        ManifoldMixupClassifier(**FAST),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learns_estimator_checks(estimator, check):
    check(estimator)

"""scikit-learn's whole estimator-check suite."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.vicinal import Gaussian

FAST = {"module__hidden_sizes": (16,), "max_epochs": 20, "lr": 0.02}


def expected_failures(estimator):
    return {
        "check_sample_weight_equivalence_on_dense_data": (
            "training is on stochastic minibatches: a row of weight two shares its minibatch with "
            "other rows than two rows of weight one do"
        )
    }


@pytest.mark.filterwarnings("ignore:.*is not in the list of supported:UserWarning")
@parametrize_with_checks(
    [
        VicinalClassifier(**FAST),
        VicinalClassifier(vicinity=Gaussian(0.05), **FAST),
        MixupClassifier(**FAST),
        ManifoldMixupClassifier(**FAST),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learns_estimator_checks(estimator, check):
    check(estimator)

"""scikit-learn's whole estimator-check suite."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier

# No module__…: check_no_attributes_set_in_init knows only what the signature names.
FAST = {"max_epochs": 10}


def expected_failures(estimator):
    return {
        "check_sample_weight_equivalence_on_dense_data": (
            "training is on stochastic minibatches: a row of weight two shares its minibatch with "
            "other rows than two rows of weight one do"
        )
    }


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

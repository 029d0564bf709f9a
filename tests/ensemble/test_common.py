"""scikit-learn's whole estimator-check suite."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skmixup import ManifoldMixupClassifier, MixupClassifierCV

SPACE = {"param_distributions": {"alpha": [0.0, 0.2]}, "n_runs": 2, "cv": 2}


def expected_failures(estimator):
    return {
        "check_sample_weight_equivalence_on_dense_data": (
            "training is on stochastic minibatches: a row of weight two shares its minibatch with "
            "other rows than two rows of weight one do"
        )
    }


@parametrize_with_checks(
    [MixupClassifierCV(ManifoldMixupClassifier(max_epochs=5), **SPACE)],
    expected_failed_checks=expected_failures,
)
def test_scikit_learns_estimator_checks(estimator, check):
    check(estimator)

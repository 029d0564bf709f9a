"""What scikit-learn's estimator checks ask and training on stochastic minibatches cannot give."""

EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": (
        "training is on stochastic minibatches: a row of weight two shares its minibatch with "
        "other rows than two rows of weight one do"
    )
}


def expected_failures(estimator):
    """As ``parametrize_with_checks`` wants them."""
    return EXPECTED_FAILURES

"""Data and an estimator for tests of the ensemble."""

import pytest
from scipy.stats import loguniform
from sklearn.datasets import make_blobs

from skmixup import MixupClassifierCV


@pytest.fixture
def blobs():
    """Three clouds that overlap: 90 rows, labels that are strings."""
    X, y = make_blobs(90, centers=3, cluster_std=3.0, random_state=0)
    return X, y.astype(str).astype(object)


@pytest.fixture
def searching():
    """Return a function that makes a search over the sharpness of a toy."""

    def make(estimator, **params):
        space = {"beta": loguniform(1e-3, 1e1)}
        given = {"param_distributions": space, "n_runs": 6, "cv": 3, "random_state": 0} | params
        return MixupClassifierCV(estimator, **given)

    return make

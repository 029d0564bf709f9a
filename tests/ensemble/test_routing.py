"""Metadata: weights and groups reach whoever they are meant for."""

import numpy as np
import pytest
import sklearn
from sklearn.datasets import load_iris
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.metrics import get_scorer
from sklearn.model_selection import GroupKFold, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmixup import ManifoldMixupClassifier, MixupClassifierCV
from tests.ensemble.toys import toy

X, y = load_iris(return_X_y=True)
GROUPS = np.arange(150) % 7
WEIGHT = 1.0 + np.arange(150) % 3


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def weights_of_fits(estimator):
    return [fit[3] for fit in type(estimator).log]


def expected_weights(cv):
    return [WEIGHT[train].sum() for train, _ in cv.split(X, y, groups=GROUPS)]


@pytest.mark.usefixtures("routing")
def test_groups_and_weights():
    estimator, cv = toy(), GroupKFold(3)
    clf = MixupClassifierCV(estimator, param_distributions={}, cv=cv)
    clf.fit(X, y, sample_weight=WEIGHT, groups=GROUPS)
    assert weights_of_fits(estimator) == expected_weights(cv)


@pytest.mark.usefixtures("routing")
def test_inside_a_cross_validation():
    estimator = toy()
    clf = MixupClassifierCV(estimator, param_distributions={}, cv=GroupKFold(2))
    clf.set_fit_request(sample_weight=True)
    params = {"groups": GROUPS, "sample_weight": WEIGHT}
    scorer = get_scorer("accuracy").set_score_request(sample_weight=False)
    found = cross_validate(
        clf, X, y, cv=GroupKFold(3), params=params, scoring=scorer, error_score="raise"
    )
    assert len(found["test_score"]) == 3
    for outer, (train, _) in enumerate(GroupKFold(3).split(X, y, groups=GROUPS)):
        inner = GroupKFold(2).split(X[train], y[train], groups=GROUPS[train])
        expected = [WEIGHT[train][rows].sum() for rows, _ in inner]
        assert weights_of_fits(estimator)[2 * outer : 2 * outer + 2] == expected


@pytest.mark.usefixtures("routing")
def test_the_default_network_leaves_groups_to_the_splitter():
    space = {"max_epochs": [1, 2, 3]}
    clf = MixupClassifierCV(param_distributions=space, n_runs=3, cv=GroupKFold(2), time_limit=0.01)
    clf.fit(X, y, groups=GROUPS)
    assert clf.n_completed_ == 1


@pytest.mark.usefixtures("routing")
def test_an_iterator_of_folds_is_not_used_up():
    folds = KFold(2, shuffle=True, random_state=0).split(X)
    net = ManifoldMixupClassifier().set_fit_request(epochs=True)
    clf = MixupClassifierCV(net, param_distributions={}, cv=folds)
    assert clf.fit(X, y, epochs=1).n_splits_ == 2


@pytest.mark.usefixtures("routing")
def test_what_nobody_has_asked_for_is_an_error():
    clf = MixupClassifierCV(ManifoldMixupClassifier(), cv=GroupKFold(2))
    with pytest.raises(UnsetMetadataPassedError, match="groups"):
        clf.fit(X, y, groups=GROUPS)  # for the network, or for the splitter alone?
    with pytest.raises(TypeError, match="colour"):
        MixupClassifierCV().fit(X, y, colour=GROUPS)


@pytest.mark.usefixtures("routing")
def test_weights_in_a_pipeline_go_where_they_were_asked_for():
    estimator = toy()
    pipeline = make_pipeline(StandardScaler(), estimator)
    clf = MixupClassifierCV(pipeline, param_distributions={}, cv=GroupKFold(3))
    params = {"sample_weight": WEIGHT, "groups": GROUPS}
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        clf.fit(X, y, **params)
    pipeline.set_params(
        standardscaler=StandardScaler().set_fit_request(sample_weight=False),
        counted=estimator.set_fit_request(sample_weight=True),
    )
    clf.fit(X, y, **params)
    assert weights_of_fits(estimator) == expected_weights(GroupKFold(3))


def test_without_routing_a_pipeline_hands_weights_to_its_last_step():
    estimator = toy()
    pipeline = make_pipeline(StandardScaler(), make_pipeline(estimator))
    clf = MixupClassifierCV(pipeline, param_distributions={}, cv=GroupKFold(3))
    clf.fit(X, y, sample_weight=WEIGHT, groups=GROUPS)
    assert weights_of_fits(estimator) == expected_weights(GroupKFold(3))


def test_arguments_of_the_estimators_fit():
    net = ManifoldMixupClassifier(max_epochs=5)
    clf = MixupClassifierCV(net, param_distributions={}, cv=2).fit(X, y, epochs=2)
    assert [network.n_iter_ for network in clf.estimators_] == [2, 2]

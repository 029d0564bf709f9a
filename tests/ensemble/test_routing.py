"""Metadata: weights and groups reach whoever they are meant for."""

import numpy as np
import pytest
import sklearn
from sklearn.datasets import load_iris
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metadata_routing import get_routing_for_object

from skmixup import (
    ManifoldMixupClassifier,
    ManifoldMixupRegressor,
    MixupClassifierCV,
    MixupRegressor,
    MixupRegressorCV,
    VicinalRegressor,
)
from skmixup.estimators.pilot_watch import Length
from skmixup.estimators.validation import HeldOut
from skmixup.tuning import UniformDesignSearchCV
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


NAMES = np.array(list("abcdefg"), dtype=object)[GROUPS]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.where(np.arange(150) == 3, np.nan, NAMES), "groups contains NaN.* in row 3; give"),
        (np.where(NAMES == "a", None, NAMES), "groups contains NaN, None or NA in 22 of 150 rows"),
        (np.where(NAMES == "a", 1, NAMES), "groups mixes kinds .* make all of them strings"),
    ],
)
@pytest.mark.parametrize("cv", [GroupKFold(3), StratifiedGroupKFold(3)])
@pytest.mark.parametrize("tuned", [MixupClassifierCV, MixupRegressorCV])
def test_groups_that_no_splitter_takes_are_told_of(tuned, cv, groups, message):
    with pytest.raises(ValueError, match=message):
        tuned(cv=cv).fit(X, y, groups=groups)


@pytest.mark.usefixtures("routing")
def test_the_default_network_leaves_groups_that_it_cannot_use_to_the_splitter():
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


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("who", ["scorer", "estimator"])
def test_weights_stay_away_from_who_was_told_that_there_are_none(who):
    estimator, scorer, cv = toy(), get_scorer("accuracy"), KFold(3, shuffle=True, random_state=0)
    {"scorer": scorer.set_score_request, "estimator": estimator.set_fit_request}[who](
        sample_weight=False
    )
    clf = MixupClassifierCV(estimator, param_distributions={}, cv=cv, scoring=scorer)
    clf.set_params(store_oof=True).fit(X, y, sample_weight=WEIGHT)
    folds = [*cv.split(X)]
    weight = WEIGHT if who == "scorer" else np.ones(150)
    assert weights_of_fits(estimator) == [weight[train].sum() for train, _ in folds]
    right = clf.oof_proba_.argmax(axis=1) == y
    weight = np.ones(150) if who == "scorer" else WEIGHT
    expected = [np.average(right[test], weights=weight[test]) for _, test in folds]
    assert clf.best_score_ == pytest.approx(np.mean(expected))
    expected = np.average(clf.predict(X) == y, weights=weight)
    assert clf.score(X, y, sample_weight=WEIGHT) == pytest.approx(expected)


@pytest.mark.usefixtures("routing")
def test_weights_by_other_names_are_those_of_who_asked_for_them():
    estimator, scorer = toy().set_fit_request(sample_weight="in_training"), get_scorer("accuracy")
    scorer.set_score_request(sample_weight="in_scores")
    cv = KFold(3, shuffle=True, random_state=0)
    clf = MixupClassifierCV(
        estimator, param_distributions={}, cv=cv, scoring=scorer, store_oof=True
    )
    for more in ({}, {"in_training": WEIGHT**2, "in_scores": WEIGHT**3}):
        clf.fit(X, y, sample_weight=WEIGHT, **more)
        trained, scored = more.values() or (np.ones(150), np.ones(150))
        folds = [*cv.split(X)]
        assert weights_of_fits(estimator)[-3:] == [trained[train].sum() for train, _ in folds]
        right = clf.oof_proba_.argmax(axis=1) == y
        expected = [np.average(right[test], weights=scored[test]) for _, test in folds]
        assert clf.best_score_ == pytest.approx(np.mean(expected))


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


# ---- networks that hold out rows of their own


@pytest.fixture
def groups_of_fits(monkeypatch):
    """The groups by which pilots, or a `train_split`, are to deal the rows of each fit."""
    seen = []

    def find_length(net, rows):
        seen.append(rows.groups)
        return Length(2, 1.0)

    class Spy(HeldOut):
        def __call__(self, dataset, y=None):
            seen.append(self.groups)
            return super().__call__(dataset, y)

    monkeypatch.setattr("skmixup.estimators.piloted.find_length", find_length)
    monkeypatch.setattr("skmixup.estimators.validation.HeldOut", Spy)
    return seen


def assert_groups(found, cv):
    expected = [GROUPS[train] for train, _ in cv.split(X, y, groups=GROUPS)]
    assert len(found) == len(expected)
    assert all(map(np.array_equal, found, expected))


NUMBERS = X[:, 0]
SEARCHES = {
    "classifier": (MixupClassifierCV, ManifoldMixupClassifier, y),
    "regressor": (MixupRegressorCV, MixupRegressor, NUMBERS),
}


@pytest.mark.parametrize("kind", SEARCHES)
@pytest.mark.parametrize("params", [{}, {"max_epochs": 2, "train_split": 0.2}], ids=str)
def test_groups_reach_what_networks_hold_out(groups_of_fits, kind, params):
    search, network, target = SEARCHES[kind]
    cv = GroupKFold(2)
    search(network(**params), param_distributions={}, cv=cv).fit(X, target, groups=GROUPS)
    assert_groups(groups_of_fits, cv)
    groups_of_fits.clear()
    pipeline = make_pipeline(StandardScaler(), network(**params))
    clf = search(pipeline, param_distributions={}, cv=cv, refit=True).fit(X, target, groups=GROUPS)
    assert np.array_equal(groups_of_fits.pop(), GROUPS)
    assert_groups(groups_of_fits, cv)
    assert len(clf.estimators_) == 1


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("asked", ["by default", "alone", "in a pipeline"])
def test_they_do_so_where_metadata_are_routed(groups_of_fits, asked):
    cv, space = GroupKFold(2), {"max_epochs": ["auto"], "module__embedding": [None]}
    network = ManifoldMixupClassifier(max_epochs=2).set_fit_request(groups=True)
    if asked == "in a pipeline":
        space = {}
        network = make_pipeline(StandardScaler(), network.set_params(max_epochs="auto"))
    clf = MixupClassifierCV(
        None if asked == "by default" else network, param_distributions=space, n_runs=2, cv=cv
    )
    clf.fit(X, y, groups=GROUPS)
    train, _ = next(cv.split(X, y, groups=GROUPS))
    assert np.array_equal(groups_of_fits[0], GROUPS[train])


def test_settings_and_splits_without_a_use_for_groups_do_not_get_them(groups_of_fits):
    def split(dataset, y=None):
        return dataset, None

    space = {"max_epochs": [2, "auto"], "train_split": [None, split]}
    network = ManifoldMixupClassifier(max_epochs=2)
    clf = MixupClassifierCV(network, param_distributions=space, n_runs=4, cv=GroupKFold(2))
    clf.fit(X, y, groups=GROUPS)
    assert clf.n_completed_ == 2
    assert all(groups is not None for groups in groups_of_fits)
    images = np.repeat(X, 16, axis=1).reshape(150, 4, 4, 4)
    small = ManifoldMixupClassifier(module__depths=(1,), module__width=2)
    clf = MixupClassifierCV(small, param_distributions={}, cv=GroupKFold(2))
    assert clf.fit(images, y, groups=GROUPS).n_splits_ == 2
    several = MixupClassifierCV(
        ManifoldMixupClassifier(module__hidden_sizes=(8,), batch_size=64),
        param_distributions={},
        cv=GroupKFold(2),
    )
    assert several.fit(X, np.c_[y == 1, X[:, 0] > 5].astype(int), groups=GROUPS).n_splits_ == 2


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("search", [GridSearchCV, UniformDesignSearchCV])
def test_searches_hand_groups_to_networks_that_ask_for_them(groups_of_fits, search):
    cv, network = GroupKFold(2), ManifoldMixupClassifier().set_fit_request(groups=True)
    options = {} if search is GridSearchCV else {"n_runs": 2}
    search(network, {"alpha": [0.0, 1.0]}, cv=cv, refit=False, **options).fit(X, y, groups=GROUPS)
    assert_groups(groups_of_fits[:2], cv)
    assert_groups(groups_of_fits[2:], cv)


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("kind", [VicinalRegressor, MixupRegressor, ManifoldMixupRegressor])
def test_regressors_ask_for_metadata_as_classifiers_do(kind):
    quick = {"max_epochs": 2, "module__hidden_sizes": (8,), "random_state": 0}
    cv, params = KFold(2, shuffle=True, random_state=0), {"sample_weight": WEIGHT}
    plain = cross_validate(kind(**quick), X, NUMBERS, cv=cv, params={}, error_score="raise")
    asking = (
        kind(**quick).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    )
    routed = cross_validate(asking, X, NUMBERS, cv=cv, params=params, error_score="raise")
    for (train, test), found in zip(cv.split(X), routed["test_score"], strict=True):
        net = kind(**quick).fit(X[train], NUMBERS[train], sample_weight=WEIGHT[train])
        assert found == net.score(X[test], NUMBERS[test], sample_weight=WEIGHT[test])
    assert not np.array_equal(routed["test_score"], plain["test_score"])
    requests = get_routing_for_object(asking.set_partial_fit_request(groups=True))
    assert requests.consumes("partial_fit", ["classes", "groups"]) == {"groups"}


@pytest.mark.usefixtures("routing")
def test_the_default_regressor_is_asked_too():
    reg = MixupRegressorCV(cv=GroupKFold(2), param_distributions={})
    groups = {"groups": GROUPS}
    found = cross_validate(reg, X, NUMBERS, cv=GroupKFold(2), params=groups, error_score="raise")
    assert np.isfinite(found["test_score"]).all()

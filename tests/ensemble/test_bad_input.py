"""What cannot work is an error that names it, before the first fit."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from skorch.helper import SliceDataset
from torch.utils.data import DataLoader, TensorDataset

from skmixup import InterpolationConsistencyClassifier, ManifoldMixupClassifier, MixupClassifierCV
from tests.ensemble.toys import Toy, toy


def refused(error, match, X, y, fit_params=None, **params):
    estimator = params.pop("estimator", toy())
    given = {"param_distributions": {"beta": [0.1, 1.0, 2.0]}, "n_runs": 3, "cv": 3} | params
    with pytest.raises(error, match=match):
        MixupClassifierCV(estimator, **given).fit(X, y, **(fit_params or {}))
    assert not getattr(type(estimator), "log", None)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"n_runs": 0}, "'n_runs' parameter of MixupClassifierCV must be .* Got 0"),
        ({"n_runs": 1}, "n_runs=1"),
        ({"n_runs": "some"}, "'n_runs'"),
        ({"cv": 1}, "'cv' parameter .* Got 1"),
        ({"time_limit": 0}, "'time_limit' parameter .* Got 0"),
        ({"time_limit": True}, "'time_limit' parameter .* Got True"),
        ({"n_runs": True}, "'n_runs' parameter of MixupClassifierCV must be .* Got True"),
        ({"time_limit": -1.0}, "'time_limit'"),
        ({"scoring": "acuracy"}, "'scoring' parameter .* Got 'acuracy'"),
        ({"scoring": ["accuracy"]}, "'scoring'"),
        ({"param_distributions": "all"}, "'param_distributions' parameter .* Got 'all'"),
        ({"param_distributions": [{"beta": [1, 2]}]}, "'param_distributions'"),
        ({"param_distributions": {"gamma": [1, 2]}}, "names .'gamma'.*its parameters are beta"),
        ({"param_distributions": {"beta": []}}, "'beta': the list of values is empty"),
        ({"param_distributions": "auto"}, "param_distributions='auto' is made for"),
        ({"estimator": "net"}, "'estimator' parameter"),
        ({"ensemble": 3}, "'ensemble'"),
        ({"random_state": "seed"}, "'random_state'"),
    ],
)
def test_parameters(blobs, params, match):
    refused(ValueError, match, *blobs, **params)


def test_estimators_without_probabilities(blobs):
    space = {"C": [0.1, 1.0, 2.0]}
    refused(TypeError, "predict_proba", *blobs, estimator=LinearSVC(), param_distributions=space)
    net = InterpolationConsistencyClassifier()
    refused(TypeError, "InterpolationConsistency", *blobs, estimator=net)


def test_a_class_instead_of_an_instance(blobs):
    refused(TypeError, r"pass an instance, Toy\(\)", *blobs, estimator=Toy)


def test_a_class_with_fewer_rows_than_folds(blobs):
    X, y = blobs
    y = np.where(np.arange(90) < 2, "rare", y)
    refused(ValueError, "class 'rare' has 2 rows in y, fewer than the cv=3 folds.*cv=2", X, y)
    one = r"class 'rare' has 1 row in y, .* needs one: give more rows of this class$"
    refused(ValueError, one, X[1:], y[1:])
    numbers = np.where(y == "rare", 7, y == "0")
    refused(ValueError, "class 7 has 1 row in y", X[1:], numbers[1:])


def test_one_class(blobs):
    refused(ValueError, "y has one class only, \\['a'\\]", blobs[0], np.full(90, "a"))


def test_a_class_that_is_missing_in_a_fold(blobs):
    X, y = blobs
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    refused(ValueError, "leaves fold 0 without a row of the classes \\['0'\\]", X, y, cv=KFold(3))
    groups = np.repeat([0, 1, 2], 30)
    refused(
        ValueError,
        r"cv=GroupKFold.* leaves fold \d without",
        X,
        y,
        cv=GroupKFold(3),
        fit_params={"groups": groups},
    )


def test_folds_without_rows(blobs):
    rows = np.arange(90)
    refused(ValueError, "fold 1 without a row to predict", *blobs, cv=[(rows, rows), (rows, [])])
    refused(ValueError, "gives no folds", *blobs, cv=PredefinedSplit(np.full(90, -1)))


@pytest.mark.parametrize(
    "rows",
    [
        np.tile([1.0, 0.0], 45),  # a mask of floats: its positions would be rows 1 and 0
        np.tile(np.array([True, False], dtype=object), 45),
        np.arange(89.0),
        np.arange(2, 91),
        np.arange(-91, -1),
        np.ones(89, dtype=bool),
        np.arange(90)[:, None],
    ],
)
def test_folds_that_are_no_rows(blobs, rows):
    match = r"gives for fold 1 an array .* integers below 90, or a mask of 90 booleans"
    whole = np.arange(90)
    refused(ValueError, match, *blobs, cv=[(whole, whole), (rows, whole)])
    refused(ValueError, match, *blobs, cv=[(whole, whole), (whole, rows)])


def of_module(estimator, X, y):
    return float(estimator.module_ is not None)


def of_other_rows(estimator, X, y):
    return estimator.predict(X[:3]).size


def two(estimator, X, y):
    return {"a": 1.0, "b": 2.0}


@pytest.mark.parametrize(
    ("scoring", "match"),
    [
        ("roc_auc", "scoring='roc_auc' cannot score .* fold 0.*multi"),
        ("f1", "scoring='f1' cannot score"),
        (of_module, "of_module.*AttributeError.*module_"),
        (of_other_rows, "may predict the 30 rows that it is given only; got 3"),
        (two, "must give one finite number .* for fold 0 it gives {'a'"),
        (lambda estimator, X, y: np.nan, "must give one finite number"),
    ],
)
def test_scorers_that_need_what_is_not_there(blobs, scoring, match):
    refused(ValueError, match, *blobs, scoring=scoring)


def test_a_metric_of_classes_that_a_fold_lacks():
    X, y = make_blobs(60, centers=3, random_state=0)
    y = np.sort(y)
    fold = np.where(np.arange(60) % 20 < 10, -1, np.arange(60) // 20)  # one class held out each
    cv = PredefinedSplit(fold)
    refused(ValueError, "scoring='roc_auc_ovr' ", X, y, cv=cv, scoring="roc_auc_ovr")
    space = {"beta": [0.1, 1.0, 2.0]}
    clf = MixupClassifierCV(toy(), param_distributions=space, n_runs=3, cv=cv).fit(X, y)
    assert np.isfinite(clf.best_score_)  # log-loss takes any classes
    assert np.isfinite(clf.score(X[y == 1], y[y == 1]))


def test_rows_and_labels(blobs):
    X, y = blobs
    refused(ValueError, "inconsistent numbers of samples", X, y[1:])
    refused(ValueError, "y to be passed", X, None)
    refused(ValueError, "Unknown label type", X, np.random.default_rng(0).random(90))
    refused(ValueError, "NaN, None or NA in 1 of 90 rows", X, np.where(np.arange(90), y, None))
    refused(ValueError, "sample_weight", X, y, fit_params={"sample_weight": np.ones(3)})
    refused(ValueError, "one non-zero", X, y, fit_params={"sample_weight": np.zeros(90)})
    refused(
        ValueError, "sample_weight has negative", X, y, fit_params={"sample_weight": -np.ones(90)}
    )


def test_rows_to_train_on_that_have_no_weight(blobs):
    weight = np.arange(90) >= 60
    cv = [(np.arange(60), np.arange(60, 90))]
    match = "leaves fold 0 with rows to train on that all have a sample_weight of zero"
    refused(ValueError, match, *blobs, cv=cv, fit_params={"sample_weight": weight * 1.0})


def test_a_class_whose_rows_to_train_on_have_no_weight(blobs):
    X, y = blobs
    test = np.arange(90) % 3 == 0
    weight = np.where((y == "1") & ~test, 0.0, 1.0)  # as if those rows were absent
    cv = [(np.flatnonzero(~test), np.flatnonzero(test))]
    match = r"leaves fold 0 without a row of the classes \['1'\] to train on"
    refused(ValueError, match, X, y, cv=cv, fit_params={"sample_weight": weight})
    everywhere = np.where(y == "1", 0.0, 1.0)  # is left out by who wrote that
    clf = MixupClassifierCV(LogisticRegression(), param_distributions={}, cv=cv)
    assert clf.fit(X, y, sample_weight=everywhere).n_completed_ == 1


def test_data_that_the_network_cannot_take_are_an_error_of_the_first_fit(blobs):
    X, y = blobs
    X = np.where(np.arange(180).reshape(90, 2) == 7, np.nan, X)
    pipeline = make_pipeline(StandardScaler(), ManifoldMixupClassifier(max_epochs=1))
    with pytest.raises(ValueError, match="contains NaN"):
        MixupClassifierCV(pipeline, cv=3).fit(X, y)


def test_names_of_columns_that_cannot_be_kept_are_an_error_before_the_first_fit(blobs):
    X, y = blobs
    clf = MixupClassifierCV(toy(), param_distributions={"beta": [0.1, 1.0]}, n_runs=2, cv=3)
    clf.fit(X, y)
    n_fits = len(type(clf.estimator).log)
    with pytest.raises(TypeError, match="only supported if all input features have string names"):
        clf.fit(pd.DataFrame(X, columns=[0, "b"]), y)
    assert len(type(clf.estimator).log) == n_fits
    assert clf.n_features_in_ == 2


def test_a_dict_of_columns_at_prediction(blobs):
    X, y = blobs
    net = ManifoldMixupClassifier(max_epochs=1)
    clf = MixupClassifierCV(net, param_distributions={"alpha": [0.0, 1.0]}, n_runs=2, cv=2)
    with pytest.raises(ValueError, match="X is a dict, but ManifoldMixupClassifier"):
        clf.fit(X, y).predict({"a": X[:, 0], "b": X[:, 1]})


def test_python_booleans_are_labels_in_scores_too(blobs):
    X, y = blobs
    space = {"beta": [0.1, 1.0]}
    clf = MixupClassifierCV(toy(), param_distributions=space, n_runs=2, cv=3).fit(X, y == "1")
    assert clf.score(X, (y == "1").astype(object)) == clf.score(X, y == "1")


def test_data_sets_are_to_be_sliced(blobs):
    X, y = blobs
    codes = (y == "1").astype(int)
    data = TensorDataset(torch.from_numpy(X).float(), torch.from_numpy(codes))
    net = ManifoldMixupClassifier(max_epochs=1)
    clf = MixupClassifierCV(net, param_distributions={}, n_runs=1, cv=2, random_state=0)
    for given in (data, DataLoader(data)):
        with pytest.raises(TypeError, match=r"X is a (Tensor|DataLoader)"):
            clf.fit(given, codes)
    with pytest.raises(TypeError, match=r"pass skorch.helper.SliceDataset\(X\)"):
        clf.fit(data, codes)
    clf.fit(SliceDataset(data), codes)
    assert clf.score(SliceDataset(data), codes) == clf.score(X, codes)

"""Folds of partly labelled data, and rows that lost their mark."""

import warnings

import numpy as np
import pytest
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier

from skmixup.estimators import LabeledStratifiedKFold
from tests.training.partly_labeled import quick


def test_folds_keep_every_label_in_a_scored_fold_and_unlabeled_rows_in_training(moons):
    X, _, partly = moons
    scored = []
    for train, test in LabeledStratifiedKFold(4).split(X, partly):
        assert (partly[test] >= 0).all()
        assert set(np.flatnonzero(partly < 0)) <= set(train)
        assert set(train) & set(test) == set()
        assert len(train) + len(test) == 120
        scored += test.tolist()
    assert sorted(scored) == np.flatnonzero(partly >= 0).tolist()


@pytest.mark.parametrize(
    "around",
    [
        lambda clf: VotingClassifier([("a", clf)]),
        lambda clf: StackingClassifier([("a", clf)], cv=2),
        lambda clf: BaggingClassifier(clf, n_estimators=1),
        lambda clf: clf.set_params(unlabeled_weight=0.1),
    ],
    ids=["voting", "stacking", "bagging", "all labelled"],
)
def test_rows_whose_mark_was_numbered_anew_are_told_of(moons, around):
    X, y, partly = moons
    clf = around(quick(module=None, max_epochs=1))
    with pytest.warns(UserWarning, match="y holds no -1, .* number labels anew"):
        clf.fit(X, y if type(clf) is type(quick()) else partly)


def test_labelled_rows_alone_are_not_told_of_where_they_were_meant(moons):
    X, y, partly = moons
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick(max_epochs=1, unlabeled_weight=0).fit(X, y)
        clf = quick(max_epochs=1).fit(X, partly)
        clf.partial_fit(X[partly >= 0], y[partly >= 0])

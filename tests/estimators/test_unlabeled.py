"""Folds of partly labelled data."""

import numpy as np

from skmixup.estimators import LabeledStratifiedKFold


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

"""Greedy weights against a search through all multisets, and against the algorithm's own rules."""

import itertools

import numpy as np
import pytest
from scipy.special import softmax

from skmixup.ensemble.selection import greedy_weights


@pytest.fixture
def members():
    """Four members' probabilities for 300 rows of 3 classes, each with noise of its own."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(300, 3))
    return [softmax(2 * truth + s * rng.normal(size=(300, 3)), axis=1) for s in (1, 1.2, 2, 4)]


@pytest.fixture
def score():
    truth = np.random.default_rng(0).normal(size=(300, 3)).argmax(axis=1)
    return lambda proba: np.log(proba[np.arange(300), truth]).mean()


def mean(weights, members):
    return np.tensordot(weights, np.array(members), axes=1)


def test_each_pick_is_the_best_next_one(members, score):
    picked = []
    for n in range(1, 6):
        weights = greedy_weights(members, score, n_picks=n)
        added = [
            score(np.mean([members[j] for j in [*picked, i]], axis=0)) for i in range(len(members))
        ]
        picked.append(int(np.argmax(added)))
        expected = np.bincount(picked, minlength=4) / n
        if score(mean(expected, members)) >= score(mean(weights, members)):
            np.testing.assert_allclose(weights, expected)


def test_nearly_as_good_as_the_best_of_all_multisets(members, score):
    weights = greedy_weights(members, score, n_picks=6)
    sets = itertools.combinations_with_replacement(range(4), 6)
    best = max(score(np.mean([members[i] for i in chosen], axis=0)) for chosen in sets)
    single = max(map(score, members))
    reached = score(mean(weights, members))
    assert weights.sum() == pytest.approx(1)
    assert reached > single
    assert (best - reached) < 0.02 * (best - single)


def test_picks_that_make_it_worse_do_not_count(score, members):
    good, bad = members[0], members[3][::-1]
    weights = greedy_weights([bad, good], score, n_picks=12)
    np.testing.assert_array_equal(weights, [0, 1])


def test_a_score_without_preference_takes_the_first_member(members):
    np.testing.assert_array_equal(greedy_weights(members, lambda proba: 0.0), [1, 0, 0, 0])


def test_one_member(members, score):
    np.testing.assert_array_equal(greedy_weights(members[2:3], score), [1])

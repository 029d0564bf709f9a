"""How candidates stand after a round."""

import numpy as np
import pytest

from skmixup.tuning.standing import candidate_losses


def results(**metrics):
    first = next(iter(metrics.values()))
    columns = {f"mean_test_{name}": np.array(values, float) for name, values in metrics.items()}
    ranks = {f"rank_test_{name}": np.arange(len(first)) for name in metrics}
    return {"params": [{"a": i} for i in range(len(first))], **columns, **ranks}


@pytest.mark.parametrize("refit", [True, False, "score", "accuracy", lambda r: 0])
def test_one_metric_is_one_metric_whatever_refit_says(refit):
    losses = candidate_losses(results(score=[0.1, np.nan, 0.3]), refit)
    np.testing.assert_array_equal(losses, [-0.1, np.nan, -0.3])


def test_refit_names_one_of_several_metrics():
    both = results(score=[0.1, 0.2], good=[0.5, 0.4])
    np.testing.assert_array_equal(candidate_losses(both, "good"), [-0.5, -0.4])
    np.testing.assert_array_equal(candidate_losses(both, "score"), [-0.1, -0.2])


def test_a_callable_is_asked_for_its_three_best():
    def refit(found):
        return int(np.argmax(found["mean_test_a"] + found["mean_test_b"]))

    both = results(a=[0.1, 0.9, 0.3, 0.5], b=[0.1, 0.0, 0.1, 0.1])
    losses = candidate_losses(both, refit)
    assert np.argsort(losses).tolist()[:3] == [1, 3, 2]
    assert np.isnan(losses[0])
    # A later pick has the smaller loss: the round has brought something better.
    more = results(a=[0.1, 0.9, 0.3, 0.5, 0.8], b=[0.1, 0.0, 0.1, 0.1, 0.9])
    after = candidate_losses(more, refit)
    assert np.nanargmin(after) == 4
    assert np.nanmin(after) < np.nanmin(losses)


def test_a_callable_that_bears_no_smaller_table_still_says_which_is_best():
    losses = candidate_losses(results(a=[1, 2], b=[1, 2]), lambda found: 1)
    assert np.nanargmin(losses) == 1


def test_an_infinitely_good_score_is_the_best_and_none_overflows():
    scores = np.array([0.5, np.inf, np.nan, -np.inf, -np.finfo(float).max])
    results = {"params": [{}] * 5, "rank_test_score": None, "mean_test_score": scores}
    losses = candidate_losses(results, True)
    assert np.nanargmin(losses) == 1
    assert np.isnan(losses[2])
    assert losses[3] == np.inf
    assert np.isfinite(losses[[0, 1, 4]].sum())

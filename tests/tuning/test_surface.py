"""Where the rounds of a zoom lie: the box's rules, and the surface that points to places in it."""

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from skmixup.design.factors import Category, Continuum, LogIntegers, Steps
from skmixup.tuning import UniformDesignSampler
from skmixup.tuning.rounds import GROWTH, PATIENCE, Box, next_box, whole_cube
from skmixup.tuning.surface import WEIGHTS, best_of_each_place, guided_points
from tests.tuning.studies import study_with

SQUARE = [Continuum(0.0, 1.0)] * 2
CUBE = whole_cube(2)


def spread(n, s=2, seed=0):
    return np.random.default_rng(seed).random((n, s))


def bowl(points, at=(0.3, 0.7)):
    return ((points - np.array(at)) ** 2).sum(axis=1)


# The box.


def test_the_box_is_around_the_best_point_and_shrinks_after_three_runs_in_vain():
    points, losses = np.array([[0.2, 0.3], [0.8, 0.9]]), np.array([1.0, 0.5])
    boxes = [CUBE, next_box(points, losses, [CUBE])]
    assert boxes[-1] == Box((0.8, 0.9), 1.0, 0.5)
    widths = []
    for _ in range(2 * PATIENCE + 1):
        boxes[-1] = Box(boxes[-1].centre, boxes[-1].width, boxes[-1].best_before, n_told=1)
        boxes.append(next_box(points, losses, boxes))
        widths.append(boxes[-1].width)
    assert widths == [1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_the_box_grows_after_an_improvement_but_not_beyond_the_cube():
    points, losses = spread(2), np.array([1.0, 0.2])
    assert next_box(points, losses, [CUBE, Box((0.5, 0.5), 0.25, 1.0, 1)]).width == 0.25 * GROWTH
    assert next_box(points, losses, [CUBE, Box((0.5, 0.5), 0.9, 1.0, 1)]).width == 1.0


def test_a_box_whose_runs_have_told_nothing_does_not_shrink():
    points, losses = spread(9), np.append([0.5], np.full(8, np.nan))
    waiting = [Box((0.5, 0.5), 0.5, 0.5)] * 8
    assert next_box(points, losses, [CUBE, *waiting]).width == 0.5


@pytest.mark.parametrize("nothing", [np.nan, np.inf])
def test_without_any_value_the_last_box_stays(nothing):
    last = Box((0.2, 0.4), 0.5, np.inf)
    assert next_box(spread(3), np.full(3, nothing), [CUBE, last]) == last


# The surface.


def test_the_points_of_full_weight_are_near_the_lowest_place():
    points = spread(15)
    new = guided_points(CUBE, points, bowl(points), len(WEIGHTS), SQUARE, seed=0)
    straight = [p for k, p in enumerate(new) if WEIGHTS[(len(points) + k) % len(WEIGHTS)] == 1.0]
    assert len(straight) == 1
    assert np.abs(straight[0] - [0.3, 0.7]).max() < 0.1
    assert bowl(new).mean() < bowl(spread(400)).mean()


def test_points_stay_in_the_box_and_apart():
    box = Box((0.95, 0.5), 0.2, 0.0)
    points = spread(20)
    new = guided_points(box, points, bowl(points), 12, SQUARE, seed=3)
    assert (new[:, 0] >= 0.8).all()
    assert (np.abs(new[:, 1] - 0.5) <= 0.1).all()
    both = np.vstack([points, new])
    gaps = np.abs(both[:, None] - both).max(axis=2) + np.eye(len(both))
    assert gaps.min() > 1e-4


def test_the_same_study_gets_the_same_points_and_another_seed_others():
    points = spread(12)
    first, again, other = (
        guided_points(CUBE, points, bowl(points), 3, SQUARE, seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_a_run_that_others_are_busy_with_keeps_points_away():
    points = spread(15)
    best = guided_points(CUBE, points, bowl(points), 4, SQUARE, 0)[0]
    n = next(n for n in range(15, 19) if WEIGHTS[n % len(WEIGHTS)] < 0.5)
    pending = np.vstack([points, np.tile(best, (n - 15, 1)), [[0.9, 0.1]]])
    losses = np.append(bowl(points), np.full(len(pending) - 15, np.nan))
    (new,) = guided_points(CUBE, pending, losses, 1, SQUARE, 0)
    assert np.abs(new - pending).max(axis=1).min() > 0.02


def test_runs_without_a_value_count_as_bad_ones():
    """The slope goes down to the right, where all runs fail."""
    points = spread(40)
    losses = np.where(points[:, 0] > 0.6, np.inf, 1 - points[:, 0])
    new = guided_points(CUBE, points, losses, 12, SQUARE, 0)
    straight = new[[k for k in range(12) if WEIGHTS[k % 4] >= 0.9]]
    assert (straight[:, 0] < 0.75).all()


def test_orders_of_magnitude_among_the_bad_ones_do_not_matter():
    points = spread(15)
    losses = bowl(points)
    worse = np.where(losses > np.median(losses), 1e9 * losses, losses)
    np.testing.assert_array_equal(
        *(guided_points(CUBE, points, v, 4, SQUARE, 0) for v in (losses, worse))
    )


def test_categories_are_told_apart_by_their_means():
    kinds = [Continuum(0.0, 1.0), Category(("a", "b", "c", "d"))]
    points = spread(24)
    losses = (points[:, 0] - 0.3) ** 2 + (np.floor(4 * points[:, 1]) != 2)
    new = guided_points(CUBE, points, losses, 8, kinds, 0)
    straight = new[[k for k in range(8) if WEIGHTS[k % 4] == 1.0]]
    assert np.floor(4 * straight[:, 1]).tolist() == [2, 2]
    # In a small box, too, other categories keep having their chance.
    small = Box((0.3, 0.6), 0.01, 0.0)
    new = guided_points(small, points, losses, 40, kinds, 0)
    assert len({*np.floor(4 * new[:, 1])}) > 1
    assert (np.floor(4 * new[:, 1]) == 2).sum() >= 10


@pytest.mark.parametrize("factor", [Steps(1, 5, 1), LogIntegers(1, 32)])
def test_settings_that_were_run_are_not_the_first_to_come_again(factor):
    points = np.array([[0.05], [0.95]])
    known = {factor.at(float(u)) for u in points[:, 0]}
    new = guided_points(whole_cube(1), points, np.array([0.0, 1.0]), 3, [factor], 0)
    values = [factor.at(float(u)) for u in new[:, 0]]
    assert len({*values} - known) == 3


def test_equal_losses_and_no_losses_at_all_are_no_error():
    points = spread(5)
    for losses in (np.ones(5), np.full(5, np.inf), np.full(5, np.nan)):
        assert guided_points(CUBE, points, losses, 2, SQUARE, 0).shape == (2, 2)
    assert guided_points(CUBE, points[:0], np.empty(0), 2, SQUARE, 0).shape == (2, 2)


def test_of_runs_at_one_place_the_best_counts():
    places = np.array([[0.5, 0.2], [0.1, 0.9], [0.5, 0.2], [0.1, 0.3]])
    kept, losses = best_of_each_place(places, np.array([3.0, 1.0, 2.0, np.inf]))
    assert kept.tolist() == [[0.1, 0.3], [0.1, 0.9], [0.5, 0.2]]
    assert losses.tolist() == [np.inf, 1.0, 2.0]


# Studies.


def objective(trial):
    x, y = (trial.suggest_float(name, 0, 1) for name in "xy")
    return (x - 0.37) ** 2 + 10 * (y - x) ** 2


def test_a_narrow_bowl_is_found_in_few_runs():
    study = study_with(UniformDesignSampler(n_runs=8, then="zoom"))
    study.optimize(objective, n_trials=60)
    assert study.best_value < 1e-3  # The best of 60 points spread evenly has about 1e-2.


def test_a_resumed_study_goes_on_as_if_it_had_not_stopped():
    def params(*parts):
        study = study_with(UniformDesignSampler(n_runs=6, then="zoom"))
        for n in parts:
            study.sampler = UniformDesignSampler(n_runs=6, then="zoom")
            study.optimize(objective, n_trials=n)
        return [trial.params for trial in study.trials]

    assert params(9, 1, 10) == params(20)


def test_pruned_runs_count_as_bad_ones_and_are_not_run_again():
    def pruned_on_the_right(trial):
        value = objective(trial)
        if trial.params["x"] > 0.5:
            raise optuna.TrialPruned
        return value

    study = study_with(UniformDesignSampler(n_runs=8, then="zoom"))
    study.optimize(pruned_on_the_right, n_trials=40)
    pruned = study.get_trials(states=[TrialState.PRUNED])
    assert len({(t.params["x"], t.params["y"]) for t in study.trials}) == 40
    assert sum(t.number >= 20 for t in pruned) < 10
    assert study.best_value < 1e-3


def test_eight_workers_run_different_points_and_still_close_in():
    study = study_with(UniformDesignSampler(n_runs=8, then="zoom"))
    for _ in range(8):
        trials = [study.ask() for _ in range(8)]
        for trial in trials:
            study.tell(trial, objective(trial))
    assert len({(t.params["x"], t.params["y"]) for t in study.trials}) == 64
    assert study.best_value < 1e-3

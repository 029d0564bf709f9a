"""Noisy losses: told from rugged ones, and averaged before a zoom goes by them."""

import numpy as np
import optuna
import pytest

from skmixup.tuning import UniformDesignSampler, valleys
from skmixup.tuning.noise import N_AVERAGED, averaged, noisy
from skmixup.tuning.rounds import GROWTH, Box, next_box


def zoomed_in(n: int, seed: int) -> np.ndarray:
    """Points of a zoom: the closer to the middle the later."""
    rng = np.random.default_rng(seed)
    widths = np.geomspace(1.0, 0.01, n)[:, None]
    return 0.5 + widths * (rng.random((n, 3)) - 0.5)


def bowl(points: np.ndarray) -> np.ndarray:
    return ((points - 0.4) ** 2).sum(axis=1)


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_seen_where_close_runs_differ(seed: int) -> None:
    points = zoomed_in(60, seed)
    noise = 0.3 * np.random.default_rng(seed + 50).standard_normal(60)
    assert noisy(points, bowl(points) + noise)


@pytest.mark.parametrize("seed", range(5))
def test_one_good_place_alone_is_no_noise(seed: int) -> None:
    points = zoomed_in(60, seed)
    losses = bowl(points)
    losses[40] = -5.0
    assert not noisy(points, losses)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_without_noise_none_is_seen(seed: int, scale: float) -> None:
    points = zoomed_in(40, seed)
    assert not noisy(points, scale * bowl(points))
    assert not noisy(points, scale * np.sqrt(bowl(points)))
    assert not noisy(points, scale * bowl(points * [100, 1, 10]))


def test_equal_losses_and_repeats_are_no_noise() -> None:
    points = zoomed_in(40, 0)
    assert not noisy(points, np.full(40, 3.0))
    points[20:] = points[20]
    assert not noisy(points, bowl(points))


def test_runs_spread_evenly_cannot_tell() -> None:
    points = (np.arange(40)[:, None] + 0.5) / 40
    assert not noisy(points, np.random.default_rng(0).standard_normal(40))


def test_few_runs_cannot_tell() -> None:
    points = zoomed_in(40, 1)
    losses = np.random.default_rng(0).standard_normal(40)
    losses[13:] = np.nan
    losses[20:] = np.inf
    assert not noisy(points, losses)
    assert noisy(points, np.random.default_rng(0).standard_normal(40))


def test_a_long_study_is_looked_at_near_its_best_run() -> None:
    rng = np.random.default_rng(3)
    points = np.vstack([zoomed_in(60, 2), rng.random((400, 3))])
    losses = bowl(points)
    assert not noisy(points, losses)
    assert noisy(points, losses + 0.1 * rng.standard_normal(460))


def test_averages_are_of_a_run_and_those_next_to_it() -> None:
    points = (
        np.repeat([[0.1], [0.9]], N_AVERAGED, axis=0) + np.arange(2 * N_AVERAGED)[:, None] / 1e3
    )
    losses = np.arange(2.0 * N_AVERAGED)
    middle = (N_AVERAGED - 1) / 2
    expected = np.repeat([middle, middle + N_AVERAGED], N_AVERAGED)
    np.testing.assert_allclose(averaged(points, losses), expected)


def test_runs_without_a_loss_stay_so_and_count_in_no_average() -> None:
    points = zoomed_in(20, 4)
    losses = bowl(points)
    known = averaged(points[:18], losses[:18])
    losses[18:] = np.nan, np.inf
    found = averaged(points, losses)
    np.testing.assert_array_equal(found[:18], known)
    assert np.isnan(found[18])
    assert found[19] == np.inf
    few = np.array([1.0, np.nan, np.inf])
    np.testing.assert_array_equal(averaged(points[:3], few), few)


def test_with_noise_another_centre_is_an_improvement() -> None:
    points, losses = zoomed_in(4, 5), np.array([3.0, 1.0, 2.0, 4.0])
    elsewhere = Box(tuple(points[0].tolist()), 0.25, 0.5, 1)
    assert next_box(points, losses, [elsewhere]).width == 0.25
    box = next_box(points, losses, [elsewhere], noise=True)
    assert (box.centre, box.width) == (tuple(points[1].tolist()), 0.25 * GROWTH)
    # Averages change, and still nothing has become better.
    waiting = [Box(box.centre, 0.25, best, 1) for best in (3.0, 1.5, 2.0)]
    assert next_box(points, losses, waiting, noise=True).width == 0.125
    assert next_box(points, losses, waiting[1:], noise=True).width == 0.25


def losses_of_a_study(noise: float) -> list[float]:
    rng = np.random.default_rng(0)

    def objective(trial: optuna.Trial) -> float:
        x = np.array([[trial.suggest_float(name, 0, 1) for name in "abc"]])
        return float(bowl(x)[0] + noise * rng.standard_normal())

    study = optuna.create_study(sampler=UniformDesignSampler(n_runs=10, then="zoom", seed=0))
    study.optimize(objective, n_trials=60)
    return [trial.value or 0.0 for trial in study.trials]


def test_without_noise_a_zoom_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    clean, with_noise = losses_of_a_study(0.0), losses_of_a_study(0.05)
    monkeypatch.setattr(valleys, "noisy", lambda *_: False)
    assert losses_of_a_study(0.0) == clean
    assert losses_of_a_study(0.05) != with_noise


def test_a_category_is_no_neighbour_of_another() -> None:
    """Each category has its own losses, which is no noise."""

    def objective(trial: optuna.Trial) -> float:
        x = np.array([[trial.suggest_float("x", 0, 1)]])
        return float(bowl(x)[0]) + "abcd".index(trial.suggest_categorical("kind", [*"abcd"]))

    seen = []

    def asked(places: np.ndarray, losses: np.ndarray) -> bool:
        seen.append(noisy(places, losses))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(valleys, "noisy", asked)
        sampler = UniformDesignSampler(n_runs=10, then="zoom", seed=0)
        optuna.create_study(sampler=sampler).optimize(objective, n_trials=40)
    assert seen
    assert not any(seen)

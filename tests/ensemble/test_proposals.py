"""Which settings are tried: the own one, the rows of a design, and rounds near the best."""

import numpy as np
import pytest
from scipy.stats import loguniform, uniform

from skmixup import ManifoldMixupClassifier
from skmixup.ensemble.net import Net
from skmixup.ensemble.proposals import Proposals
from skmixup.ensemble.settings import own_setting, space_of


def space(estimator, distributions="auto"):
    return space_of(distributions, Net(estimator), 2)


def proposed(*args):
    return Proposals(*args).settings


# The design.


def test_the_own_setting_comes_first_and_the_design_completes_it():
    factors = space(ManifoldMixupClassifier())
    own = own_setting(Net(ManifoldMixupClassifier()), factors)
    settings = proposed(factors, own, 10, 0)
    assert settings[0] == own
    assert len(settings) == 10
    alphas = [setting["alpha"] for setting in settings]
    assert {alphas.count(a) for a in (0.0, 0.1, 0.2, 0.4, 1.0)} == {2}  # ten runs, five values
    assert all(
        type(v) in (float, int, str, tuple, type(None)) for s in settings for v in s.values()
    )
    assert proposed(factors, own, 10, 0) == settings
    assert proposed(factors, own, 10, 1) != settings


def test_an_own_setting_outside_the_space_is_run_beside_the_design():
    factors = space(ManifoldMixupClassifier(), distributions={"lr": uniform(0.01, 0.09)})
    settings = proposed(factors, {"lr": 0.003}, 10, 0)
    assert [s["lr"] for s in settings if s["lr"] < 0.01] == [0.003]
    places = np.sort([(s["lr"] - 0.01) / 0.09 for s in settings[1:]])
    np.testing.assert_array_equal(np.floor(5 * places), np.arange(5))


def test_every_setting_is_tried_once():
    factors = space(ManifoldMixupClassifier(), distributions={"alpha": [0.0, 0.2, 0.4]})
    with pytest.warns(UserWarning, match="n_runs=9 is more than the 3 different settings"):
        settings = proposed(factors, {"alpha": 0.2}, 9, 0)
    assert settings[0] == {"alpha": 0.2}
    assert sorted(s["alpha"] for s in settings) == [0.0, 0.2, 0.4]
    assert len(proposed(factors, {"alpha": 0.3}, "auto", 0)) == 4


def test_a_space_without_choice():
    fixed = space(ManifoldMixupClassifier(), distributions={"alpha": [0.4]})
    assert proposed(fixed, {"alpha": 0.2}, "auto", 0) == [{"alpha": 0.2}, {"alpha": 0.4}]
    assert proposed(fixed, {"alpha": 0.4}, "auto", 0) == [{"alpha": 0.4}]
    assert proposed(space(ManifoldMixupClassifier(), distributions={}), {}, 7, 0) == [{}]


def test_more_parameters_than_runs():
    names = {"alpha": [0.0, 0.2], "lr": loguniform(1e-3, 1e-2), "max_epochs": [1, 2]}
    factors = space(ManifoldMixupClassifier(), distributions=names)
    with pytest.raises(ValueError, match="n_runs=3 is too few for 3 parameters"):
        proposed(factors, own_setting(Net(ManifoldMixupClassifier()), factors), 3, 0)


# Rounds.


def rounds(loss, space, own, n_runs, seed=0):
    proposals = Proposals(space, own, n_runs, seed)
    sizes = [len(proposals.settings)]
    while new := proposals.next_round([-loss(s) for s in proposals.settings]):
        sizes.append(len(new))
    return proposals.settings, sizes


SQUARE = {"a": uniform(0, 1), "b": loguniform(1e-3, 1e1)}


def valley(setting):
    return (setting["a"] - 0.8) ** 2 + (np.log10(setting["b"]) / 4 + 0.6) ** 2


def test_the_last_runs_go_where_the_first_ones_were_good():
    own = {"a": 0.5, "b": 0.1}
    settings, sizes = rounds(valley, SQUARE, own, 20)
    assert sizes == [12, 4, 4]
    assert settings[0] == own
    losses = [valley(setting) for setting in settings]
    assert np.median(losses[12:]) < 0.5 * np.median(losses[:12])
    assert min(losses[12:]) < min(losses[:12])
    assert rounds(valley, SQUARE, own, 20)[0] == settings


def test_the_design_has_more_runs_than_parameters():
    names = {f"p{k}": uniform(0, 1) for k in range(7)}
    own = dict.fromkeys(names, 0.5)
    assert rounds(lambda s: s["p0"], names, own, 8)[1] == [8]
    assert rounds(lambda s: s["p0"], names, own, 10)[1] == [9, 1]
    assert rounds(lambda s: s["p0"], names, own, "auto")[1] == [12, 4, 4]
    many = {f"p{k}": uniform(0, 1) for k in range(30)}
    assert rounds(lambda s: s["p0"], many, dict.fromkeys(many, 0.5), "auto")[1] == [32]


def test_settings_that_failed_are_kept_away_from():
    def loss(setting):
        return np.nan if setting["a"] > 0.6 else valley(setting)

    settings, _ = rounds(loss, SQUARE, {"a": 0.5, "b": 0.1}, 20)
    assert np.mean([setting["a"] > 0.6 for setting in settings[12:]]) < 0.5
    assert rounds(lambda _: np.nan, SQUARE, {"a": 0.5, "b": 0.1}, 20)[1] == [12]


def test_the_own_setting_may_lie_outside_and_be_the_best():
    settings, sizes = rounds(lambda s: abs(s["a"] - 2), SQUARE, {"a": 2.0, "b": 0.1}, 10)
    assert sizes == [6, 4]
    assert max(setting["a"] for setting in settings[6:]) > 0.9


def test_a_space_with_few_settings_is_run_as_a_whole():
    few = {"a": [0.0, 0.5, 1.0], "b": [1.0, 2.0]}
    settings, sizes = rounds(lambda s: s["a"], few, {"a": 0.0, "b": 1.0}, 6)
    assert sizes == [6]
    assert len({tuple(setting.values()) for setting in settings}) == 6
    settings, sizes = rounds(lambda s: s["a"], few, {"a": 0.0, "b": 1.0}, 5)
    assert sizes == [4, 1]
    assert len({tuple(setting.values()) for setting in settings}) == 5

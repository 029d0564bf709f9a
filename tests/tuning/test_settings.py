"""No setting twice, where there are few; names of ``n_levels`` that never come up."""

import logging
import math
import re
import warnings

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from skmixup.tuning import DesignExhausted, OrthogonalDesignSampler, UniformDesignSampler
from skmixup.tuning.publishing import DESIGN
from skmixup.tuning.storage import StudyStorage
from skmixup.tuning.trials import _made_again
from tests.tuning.studies import finished_rows, study_with

TWO_BY_TWO = {"a": CategoricalDistribution(["x", "y"]), "b": IntDistribution(0, 1)}
UNIT = FloatDistribution(0, 1)
SIX = {"a": CategoricalDistribution(["x", "y"]), "b": IntDistribution(1, 9, log=True)}


def settings_of(study, space, n_trials=None):
    def objective(trial):
        for name, distribution in space.items():
            trial._suggest(name, distribution)
        return 0.0

    study.optimize(objective, n_trials=n_trials)
    return [tuple(trial.params[name] for name in space) for trial in study.trials]


@pytest.mark.parametrize("n_runs", [4, 5, 12, 2000])
def test_more_runs_than_settings_run_each_setting_once(n_runs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sampler = UniformDesignSampler(TWO_BY_TWO, n_runs=n_runs)
    ran = settings_of(study_with(sampler), TWO_BY_TWO)
    assert sorted(ran) == [("x", 0), ("x", 1), ("y", 0), ("y", 1)]
    texts = [str(w.message) for w in caught]
    if n_runs == 4:
        assert texts == []
    else:
        assert texts == [
            f"n_runs={n_runs} is more than the 4 different settings of search_space: each of them "
            "is run once, in 4 trials"
        ]
        assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("space", "n_levels", "n_settings"),
    [
        (SIX, None, 18),
        ({"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}, 3, 9),
        ({"x": FloatDistribution(0, 1), "k": IntDistribution(1, 50)}, {"x": 2, "k": 3}, 6),
        ({"x": FloatDistribution(0, 1, step=0.25), "k": IntDistribution(2, 2)}, None, 5),
        ({"k": IntDistribution(1, 22, log=True)}, 14, 11),  # one level in three is of 1 or 2
        ({"only": CategoricalDistribution([7])}, None, 1),
        ({"k": IntDistribution(1, 3), "x": FloatDistribution(0.5, 0.5)}, None, 3),
        ({"k": IntDistribution(1, 3), "x": FloatDistribution(9, 9, log=True)}, None, 3),
    ],
)
def test_every_kind_of_few_values(space, n_levels, n_settings):
    with pytest.warns(UserWarning, match=f"more than the {n_settings} different settings"):
        sampler = UniformDesignSampler(space, n_runs=60, n_levels=n_levels)
    ran = settings_of(study_with(sampler), space)
    assert len(ran) == len(set(ran)) == n_settings


@pytest.mark.parametrize("n_runs", range(4, 18))
@pytest.mark.parametrize("seed", [0, 1])
def test_no_setting_is_run_twice_where_there_are_enough(n_runs, seed):
    space = (
        SIX if n_runs > 6 else {"a": CategoricalDistribution("xyz"), "b": IntDistribution(0, 1)}
    )
    sampler = UniformDesignSampler(space, n_runs=n_runs, seed=seed)
    ran = settings_of(study_with(sampler), space)
    assert len(ran) == len(set(ran)) == n_runs


@pytest.mark.parametrize("n_runs", [7, 12, 40])
def test_values_of_a_logarithmic_range_differ(n_runs):
    space = {"n": IntDistribution(1, 100, log=True)}
    ran = settings_of(study_with(UniformDesignSampler(space, n_runs=n_runs)), space)
    assert len(set(ran)) == n_runs
    middle = sorted(n for (n,) in ran)[n_runs // 2]
    assert 6 <= middle <= 30  # half of them below the geometric mean, or near it


def test_an_orthogonal_array_with_more_runs_than_settings():
    space = {"a": CategoricalDistribution("xy"), "b": CategoricalDistribution("pqr")}
    with pytest.warns(UserWarning, match=r"array has 9 runs, more than the 6 different settings"):
        sampler = OrthogonalDesignSampler(space)
    ran = settings_of(study_with(sampler), space)
    assert len(ran) == len(set(ran)) == 6


def test_runs_of_an_array_that_repeat_one_another_are_told():
    switches = {name: CategoricalDistribution("xy") for name in "ab"}
    space = {**switches, "c": CategoricalDistribution("pqr")}
    message = r"9 runs .* have 8 different settings only, as \['a', 'b'\] have fewer values than"
    with pytest.warns(UserWarning, match=message) as caught:
        sampler = OrthogonalDesignSampler(space)
    assert caught[0].filename == __file__
    assert len(set(settings_of(study_with(sampler), space))) == 8
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OrthogonalDesignSampler({"x": UNIT, "y": UNIT, **switches})


@pytest.mark.parametrize(
    ("space", "n_levels", "few"),
    [
        ({"b": UNIT, **dict.fromkeys("cd", IntDistribution(1, 2))}, {"a": 2, "c": 4}, ["c"]),
        (dict.fromkeys("cd", IntDistribution(1, 2)), 4, ["c", "d"]),
    ],
)
def test_levels_with_one_value_are_told_of_each_parameter(space, n_levels, few):
    space = {"a": UNIT, **space}
    message = f"different settings only, as {re.escape(str(few))} have fewer values"
    with pytest.warns(UserWarning, match=message):
        sampler = OrthogonalDesignSampler(space, n_levels=n_levels)
    ran = settings_of(study_with(sampler), space)
    assert len(set(ran)) < len(ran)


@pytest.mark.filterwarnings("ignore:an orthogonal array has:UserWarning")
@pytest.mark.parametrize(
    ("make", "others"),
    [
        (lambda space: OrthogonalDesignSampler(space, n_levels=5), {}),
        (OrthogonalDesignSampler, {"c": CategoricalDistribution("vwxyz")}),
        (lambda space: UniformDesignSampler(space, n_runs=20, n_levels={"k": 5}), {}),
    ],
)
def test_logarithmic_integers_that_levels_leave_out_are_told(make, others):
    space = {"k": IntDistribution(1, 5, log=True), "x": UNIT, **others}
    with pytest.warns(UserWarning, match="n_levels=5 runs 4 of the 5 values of 'k'") as caught:
        sampler = make(space)
    assert {warning.filename for warning in caught} == {__file__}
    assert {k for k, *_ in settings_of(study_with(sampler), space)} == {1, 2, 3, 5}


@pytest.mark.parametrize("then", ["augment", "zoom"])
def test_nothing_comes_after_all_settings(then):
    study = study_with(UniformDesignSampler(TWO_BY_TWO, n_runs=4, then=then))
    for _ in range(2):
        study.optimize(
            lambda t: t.suggest_int("b", 0, 1) + (t.suggest_categorical("a", ["x", "y"]) == "x"),
            n_trials=9,
        )
    assert len({tuple(t.params.items()) for t in study.trials}) == len(study.trials) == 4


ARRAY = dict.fromkeys("abcd", UNIT)
NINE = {"a": CategoricalDistribution("xyz"), "b": IntDistribution(1, 3)}


@pytest.mark.parametrize(
    ("space", "settings", "n_settings"),
    [
        ({"k": IntDistribution(1, 60, log=True)}, {"n_runs": 10}, 60),
        ({"k": IntDistribution(1, 5000, log=True)}, {"n_runs": 10}, 5000),
        (SIX, {"n_runs": 5}, 18),
        (NINE, {"n_runs": 5, "criterion": "WD"}, 9),
        ({"x": FloatDistribution(0, 1, step=0.05), **NINE}, {"n_runs": 7}, 189),
        ({"x": UNIT, "k": IntDistribution(1, 9)}, {"n_runs": 7, "n_levels": 4}, 16),
        ({"x": UNIT, "k": IntDistribution(0, 1)}, {"n_runs": 5, "n_levels": {"k": 2}}, math.inf),
        ({"x": UNIT}, {"n_runs": 4, "n_levels": 4}, math.inf),
        (ARRAY, {}, 81),
        (
            SIX | {name: CategoricalDistribution("pqr") for name in "cd"},
            {"n_levels": {"b": 3}},
            54,
        ),
    ],
)
def test_what_completes_a_design_are_other_settings_as_long_as_there_are_any(
    space, settings, n_settings
):
    design = UniformDesignSampler if "n_runs" in settings else OrthogonalDesignSampler
    n_trials = int(min(n_settings, 45))
    ran = settings_of(study_with(design(space, then="augment", **settings)), space, n_trials)
    assert len(ran) == len(set(ran)) == n_trials
    another = study_with(design(space, then="augment", **settings))  # as another process makes it
    assert settings_of(another, space, n_trials) == ran


def test_all_settings_have_been_run_before_one_is_repeated():
    study = study_with(UniformDesignSampler(NINE, n_runs=5, then="augment"))
    ran = settings_of(study, NINE, n_trials=12)
    assert len(ran) == 12
    assert len(set(ran[:9])) == 9


@pytest.mark.parametrize(("n_trials", "n_jobs"), [(12, 1), (24, 3)])
def test_points_whose_numbers_went_to_other_trials_complete_the_design_later(n_trials, n_jobs):
    study = study_with(UniformDesignSampler(NINE, n_runs=5, then="augment"))
    study.enqueue_trial({"a": "x", "b": 1})

    def objective(trial):
        trial.suggest_categorical("a", "xyz")
        trial.suggest_int("b", 1, 3)
        if trial.number == 6:
            study.enqueue_trial({"a": "x", "b": 1})
        if trial.number == 2:  # trial 6 or so, not 5, runs its row
            raise RuntimeError
        return 0.0

    study.optimize(objective, n_trials=n_trials, n_jobs=n_jobs, catch=RuntimeError)
    if n_jobs > 1:  # the trial that fails may have been the last to end
        study.optimize(objective, n_trials=3)
    rows = finished_rows(study)
    assert {*range(9)} <= {*rows}  # 12 trials without two enqueued ones and one that failed
    assert max(rows.values()) == 1


def test_a_batch_is_filled_up_with_other_settings():
    space = {"k": IntDistribution(1, 60, log=True)}
    study = study_with(UniformDesignSampler(space, n_runs=10))
    for _ in range(2):
        for trial in [study.ask(space) for _ in range(9)]:
            study.tell(trial, 0.0)
    assert len({trial.params["k"] for trial in study.trials}) == len(study.trials) == 18


def test_a_batch_is_not_filled_up_with_settings_that_were_run():
    study = study_with(UniformDesignSampler(TWO_BY_TWO, n_runs=4))
    for _ in range(3):
        study.tell(study.ask(TWO_BY_TWO), 0.0)
    study.ask(TWO_BY_TWO)
    with pytest.raises(DesignExhausted):
        study.ask(TWO_BY_TWO)


@pytest.mark.parametrize(("space", "n_runs"), [(TWO_BY_TWO, 12), (NINE | SIX, 16)])
def test_names_that_come_up_later_may_run_settings_again(space, n_runs, caplog):
    study = study_with(UniformDesignSampler(n_runs=n_runs))
    with caplog.at_level(logging.WARNING, logger="skmixup"):
        ran = settings_of(study, space)
    (record,) = caplog.records
    n_again = n_runs - len(set(ran))
    message = f"{n_again} of the {n_runs} points had the setting of another one, as the parameters"
    assert message in record.getMessage()
    assert "declared search_space" in record.getMessage()


def test_declared_parameters_that_no_trial_asks_for_are_told(caplog):
    study = study_with(UniformDesignSampler(NINE | {"x": UNIT}, n_runs=9))
    with caplog.at_level(logging.WARNING, logger="skmixup"):
        settings_of(study, NINE)
    (record,) = caplog.records
    assert "search_space declares ['x'], but no trial has suggested" in record.getMessage()


@pytest.mark.parametrize("name", ["x", "b"])
def test_nothing_is_told_where_settings_differ(name, caplog):
    study = study_with(UniformDesignSampler(n_runs=9))
    with caplog.at_level(logging.WARNING, logger="skmixup"):
        study.optimize(
            lambda trial: (
                trial.suggest_int(name, 0, 90 - trial.number)
                if name == "b"
                else trial.suggest_float(name, 0, 1)
            )
        )
        study_with(UniformDesignSampler(n_runs=4)).optimize(lambda trial: 0.0)  # no parameters
    assert not caplog.records


@pytest.mark.parametrize("n_levels", [3, {"x": 3, "kind": 3}])
def test_choices_that_no_level_runs_are_told(n_levels):
    space = {"x": UNIT, "kind": CategoricalDistribution("abcde")}
    message = "n_levels=3 is fewer than the 5 choices of 'kind', of which the others are never run"
    for make in (
        lambda: UniformDesignSampler(space, n_runs=9, n_levels=n_levels),
        lambda: OrthogonalDesignSampler(space, n_levels=n_levels),
    ):
        with pytest.warns(UserWarning, match=message) as caught:
            make()
        assert [w.filename for w in caught] == [__file__]
    study = study_with(UniformDesignSampler(n_runs=9, n_levels=n_levels))
    with pytest.warns(UserWarning, match=message) as caught:
        settings_of(study, space)
    assert len(caught) == 1  # not in each trial
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        UniformDesignSampler(space, n_runs=9, n_levels={"x": 3})
        UniformDesignSampler(space, n_runs=4)
        OrthogonalDesignSampler(space)
        OrthogonalDesignSampler(space, n_levels=5)


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
@pytest.mark.parametrize("then", [None, "zoom", "augment"])
def test_choices_that_are_lists(then):
    space = {"sizes": CategoricalDistribution([[64], [64, 64], {"a": 1}]), "x": UNIT}
    for declared in (space, None):
        study = study_with(UniformDesignSampler(declared, n_runs=6, then=then))
        assert len(settings_of(study, space, n_trials=9)) == (9 if then else 6)


@pytest.mark.parametrize("then", [None, "augment"])
def test_levels_for_a_name_that_never_comes_up_are_told(then):
    study = study_with(UniformDesignSampler(n_runs=6, n_levels={"lr": 3, "x": 2}, then=then))
    with pytest.warns(
        UserWarning, match=r"n_levels names \['lr'\].* parameters were \['x', 'y'\]"
    ):
        study.optimize(
            lambda t: t.suggest_float("x", 0, 1) + t.suggest_float("y", 0, 1), n_trials=7
        )


@pytest.mark.parametrize("high", [2**63, 10**30])
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("then", ["zoom", "augment"])
def test_integers_beyond_those_of_numpy(high, log, then):
    space = {"k": IntDistribution(1, high, log=log), "x": FloatDistribution(0, 1)}
    ran = settings_of(study_with(UniformDesignSampler(space, n_runs=4, then=then)), space, 12)
    assert len({k for k, _ in ran}) >= 10
    assert all(type(k) is int and 1 <= k <= high for k, _ in ran)


@pytest.mark.parametrize("choices", [[True, 1], ["a", 2, 2.0], [0, None, False]])
def test_choices_that_optuna_cannot_tell_apart_are_an_error(choices):
    space = {"k": CategoricalDistribution(choices), "x": FloatDistribution(0, 1)}
    for make in (
        lambda: UniformDesignSampler(space, n_runs=9),
        lambda: OrthogonalDesignSampler(space),
    ):
        with pytest.raises(ValueError, match=r"'k' has the choices .* equal: Optuna would store"):
            make()
    with pytest.raises(ValueError, match=r"'k' has the choices"):
        settings_of(study_with(UniformDesignSampler(n_runs=9)), space)


@pytest.mark.filterwarnings("ignore:n_runs=20 is more than")
def test_a_study_of_another_version_with_other_values_is_told_how_to_go_on():
    space = {"a": IntDistribution(1, 5, log=True), "b": CategoricalDistribution([1, 2])}
    study = study_with(UniformDesignSampler(space, n_runs=20, n_levels=4))
    settings_of(study, space, n_trials=2)
    storage = StudyStorage(study)
    settings = storage.attrs()[DESIGN]
    assert settings["n_runs"] == 6  # 0.2.0 took four levels for four values
    storage.set_attr(DESIGN, {**settings, "n_runs": 8, "values": [4, 2]})
    study.sampler = UniformDesignSampler(space, n_runs=20, n_levels=4)
    with pytest.raises(ValueError, match=r"n_runs was 8 and is now 6.*, or version of skmixup, "):
        settings_of(study, space, n_trials=1)


@pytest.mark.filterwarnings("ignore:The distribution is specified by:UserWarning")
@pytest.mark.parametrize("again", [False, True])
def test_steps_of_a_third_have_the_last_one_too(again):
    """Suggested by its own low and high, Optuna rounds the end down once more: a step less."""
    third = FloatDistribution(0.3, 1.3, step=1 / 3)
    study = study_with(UniformDesignSampler({"x": third}, n_runs=4))
    high = third.high if again else 1.3
    study.optimize(lambda trial: trial.suggest_float("x", third.low, high, step=third.step))
    expected = [0.3, 0.3 + 1 / 3, 0.3 + 2 / 3, 1.3][: 3 if again else 4]
    assert sorted({t.params["x"] for t in study.trials}) == pytest.approx(expected)


def test_of_choices_optuna_warns_whoever_makes_them_and_nobody_again():
    with pytest.warns(UserWarning, match="Choices for a categorical"):
        declared = CategoricalDistribution([(1, 2), (3, 4)])
    assert _made_again(declared).choices == ([1, 2], [3, 4])

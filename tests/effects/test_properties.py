"""Whatever was run: effects or an error that says why not, and a best setting that exists."""

import math

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from skmixup.design.settings import level_key
from skmixup.effects import design_effects

CHOICES = [None, True, 1, 2.5, "a", "1", False, 3, "None"]
STATES = [TrialState.COMPLETE] * 5 + [TrialState.FAIL, TrialState.PRUNED, TrialState.RUNNING]


@st.composite
def distributions(draw):
    """Any distribution that Optuna has."""
    kind = draw(st.sampled_from(["choices", "integer", "step", "log integer", "float", "log"]))
    low, width = draw(st.integers(-12, 3)), draw(st.integers(0, 9))
    if kind == "choices":
        values = draw(
            st.lists(st.sampled_from(CHOICES), min_size=1, max_size=4, unique_by=level_key)
        )
        return CategoricalDistribution(values)
    if kind == "integer":
        step = draw(st.integers(1, 3))
        return IntDistribution(low, low + step * width, step=step)
    if kind == "step":
        return FloatDistribution(low / 10, round(low / 10 + width * 0.1, 1), step=0.1)
    if kind == "log integer":
        return IntDistribution(13 + low, 13 + low + 10 * width, log=True)
    if kind == "float":
        return FloatDistribution(low, low + width)
    return FloatDistribution(1e-6, 10.0 ** (width - 6), log=True)


def value_at(distribution, u):
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(u * len(distribution.choices))]
    if distribution.log:
        x = math.exp(math.log(distribution.low) * (1 - u) + math.log(distribution.high) * u)
    else:
        x = distribution.low * (1 - u) + distribution.high * u
    if distribution.step:
        x = distribution.low + distribution.step * round(
            (x - distribution.low) / distribution.step
        )
    x = min(max(x, distribution.low), distribution.high)
    return int(x) if isinstance(distribution, IntDistribution) else round(x, 12)


@st.composite
def studies(draw):
    space = {f"p{i}": draw(distributions()) for i in range(draw(st.integers(1, 4)))}
    n_trials = draw(st.integers(0, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([1.0, 1e300, 1e-300, 1e-9, 0.0]))
    study = optuna.create_study(direction=draw(st.sampled_from(["minimize", "maximize"])))
    for _ in range(n_trials):
        state = STATES[rng.integers(len(STATES))]
        value = scale * float(rng.normal()) if state is TrialState.COMPLETE else None
        params = {name: value_at(d, rng.uniform()) for name, d in space.items()}
        study.add_trial(create_trial(params=params, distributions=space, value=value, state=state))
    return space, study


@given(studies(), st.sampled_from(["auto", "levels", "quadratic"]))
@settings(max_examples=100)
def test_the_best_setting_exists_and_lies_among_what_was_completed(drawn, kind):
    space, study = drawn
    done = [trial.params for trial in study.trials if trial.state is TrialState.COMPLETE]
    try:
        effects = design_effects(study, kind=kind)
    except ValueError as error:
        if not str(error).startswith("result"):  # too few runs, and it says so
            raise
        return
    assert str(effects)
    for table in ("anova", "levels", "coefficients"):
        assert len(effects.to_frame(table).columns)
    assert all(math.isnan(row.p) or 0 <= row.p <= 1 for row in effects.anova)
    assert math.isfinite(effects.best_predicted)
    for name, best in effects.best.items():
        completed = [params[name] for params in done]
        if isinstance(space[name], CategoricalDistribution):
            assert level_key(best) in set(map(level_key, completed))
        else:
            assert min(completed) <= best <= max(completed)
            assert type(best) is type(space[name].low)
            assert space[name]._contains(best)
    was_run = any(
        all(level_key(params[name]) == level_key(best) for name, best in effects.best.items())
        for params in done
    )
    assert was_run == effects.best_was_run


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_the_order_of_runs_and_factors_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    names = ["opt", "depth", "rate"]
    rows = [[["a", 1, None][rng.integers(3)], int(rng.integers(4)), rng.uniform()]
            for _ in range(24)]  # fmt: skip
    y = rng.normal(size=24)
    runs, factors = rng.permutation(24), rng.permutation(3)
    one = design_effects(rows, y, names=names)
    other = design_effects(
        [[rows[i][c] for c in factors] for i in runs], y[runs], names=[names[c] for c in factors]
    )
    assert one.ranges == pytest.approx({name: other.ranges[name] for name in names})
    assert {r.name: r.p for r in one.anova} == pytest.approx({r.name: r.p for r in other.anova})
    assert one.best_predicted == pytest.approx(other.best_predicted)

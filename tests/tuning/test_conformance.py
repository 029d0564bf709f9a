"""Optuna's own conformance suite for samplers."""

import optuna
import pytest

from skmixup.tuning import UniformDesignSampler

suite = pytest.importorskip(
    "optuna.testing.pytest_samplers", reason="Optuna ships its conformance suite from 5.0 on"
)

SAMPLERS = {
    "stop": lambda: UniformDesignSampler(n_runs=300),
    "augment": lambda: UniformDesignSampler(n_runs=9, then="augment"),
    "zoom": lambda: UniformDesignSampler(n_runs=30, then="zoom"),
    "tpe": lambda: UniformDesignSampler(n_runs=5, then=optuna.samplers.TPESampler(seed=0)),
}


class TestBasic(suite.BasicSamplerTestCase):
    @pytest.fixture(params=SAMPLERS)
    def sampler(self, request):
        return SAMPLERS[request.param]


class TestRelative(suite.RelativeSamplerTestCase):
    # No declared space: the suite brings its own. Every name is looked up column by column.
    @pytest.fixture(params=["stop", "augment", "zoom"])
    def sampler(self, request):
        return SAMPLERS[request.param]


class TestMultiObjective(suite.MultiObjectiveSamplerTestCase):
    @pytest.fixture(params=["stop", "augment"])
    def sampler(self, request):
        return SAMPLERS[request.param]


class TestSingleObjectiveOnly(suite.SingleOnlySamplerTestCase):
    """Zooming in needs one objective."""

    @pytest.fixture
    def sampler(self):
        return SAMPLERS["zoom"]

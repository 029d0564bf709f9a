"""skorch's parse_args makes command lines out of estimators and their docstrings."""

import re
from ast import literal_eval
from inspect import Parameter, signature

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.helper import parse_args
from torch import nn

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    ManifoldMixupRegressor,
    MixupClassifier,
    MixupRegressor,
    VicinalClassifier,
    VicinalRegressor,
)
from skmixup.estimators.docstrings import documents_every_parameter
from skmixup.vicinal import Gaussian

KINDS = [
    VicinalClassifier,
    MixupClassifier,
    ManifoldMixupClassifier,
    InterpolationConsistencyClassifier,
    VicinalRegressor,
    MixupRegressor,
    ManifoldMixupRegressor,
]


def options_shown(estimator, capsys, **defaults):
    """What ``--help`` prints, as {option: what stands behind it}."""
    with pytest.raises(SystemExit):
        parse_args({"help": True}, defaults=defaults)(estimator)
    return dict(re.findall(r"^  --(.*?) : (.*)$", capsys.readouterr().out, re.MULTILINE))


@pytest.mark.parametrize("kind", KINDS)
def test_help_shows_every_parameter_once_with_its_default(kind, capsys):
    shown = options_shown(kind(), capsys)
    parameters = signature(kind).parameters
    assert set(shown) == {n for n, p in parameters.items() if p.kind is not Parameter.VAR_KEYWORD}
    for name, text in shown.items():
        _, told, default = text.partition("default=")
        if told and not default.startswith(("nn.", "torch.")):
            assert literal_eval(default) == parameters[name].default, name


def test_help_of_a_pipeline_takes_the_programs_defaults(capsys):
    clf = make_pipeline(StandardScaler(), MixupClassifier())
    shown = options_shown(clf, capsys, mixupclassifier__lr=0.25)
    assert shown["mixupclassifier__lr"].endswith("default=0.25")
    assert "standardscaler__with_mean" in shown


def test_what_the_command_line_says_is_set():
    given = {
        "vicinity": "skmixup.vicinal.Gaussian(0.5)",
        "module__hidden_sizes": (4,),
        "module__activation": "torch.nn.SiLU",
        "max_epochs": 2,
        "train_split": None,
    }
    clf = parse_args(given, defaults={"lr": 0.02, "max_epochs": 9})(VicinalClassifier())
    assert isinstance(clf.vicinity, Gaussian)
    assert clf.vicinity.sigma == 0.5
    clf.fit(np.arange(20.0).reshape(10, 2), np.arange(10) % 2)
    assert (clf.lr, clf.n_iter_) == (0.02, 2)
    assert any(isinstance(layer, nn.SiLU) for layer in clf.module_.modules())


def test_a_docstring_without_parameters_stays_as_it_is():
    @documents_every_parameter(MixupClassifier)
    class Plain(MixupClassifier):
        """One line."""

    assert Plain.__doc__ == "One line."

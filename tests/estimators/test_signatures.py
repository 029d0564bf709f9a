"""Facts about constructors: they write out what their parents take, and static checkers see it."""

import subprocess
import sys
from inspect import Parameter, signature
from typing import get_overloads, get_type_hints

import pytest
import torch
from sklearn.base import is_classifier
from skorch import NeuralNet, NeuralNetClassifier
from torch import nn
from torch.utils.data import DataLoader

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    ManifoldMixupRegressor,
    MixupClassifier,
    MixupRegressor,
    VicinalClassifier,
    VicinalRegressor,
)
from skmixup.estimators.arguments import ClassifierParameters, PartArguments, SharedParameters
from skmixup.networks import MLP, PreActResNet
from skmixup.training.batches import TensorBatches

# Each with its parent and the parameters that have another default than there.
PARENTS = [
    (MixupClassifier, VicinalClassifier, set()),
    (ManifoldMixupClassifier, MixupClassifier, set()),
    (InterpolationConsistencyClassifier, MixupClassifier, {"alpha", "ema_decay", "max_epochs"}),
    (MixupRegressor, VicinalRegressor, set()),
    (ManifoldMixupRegressor, MixupRegressor, set()),
]
KINDS = [VicinalClassifier, VicinalRegressor, *(child for child, _, _ in PARENTS)]
OPEN = (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)


def written(constructor):
    """Parameters that a constructor names, without ``self``."""
    named = {n: p for n, p in signature(constructor).parameters.items() if p.kind not in OPEN}
    named.pop("self", None)
    return named


@pytest.mark.parametrize(("child", "parent", "different"), PARENTS)
def test_a_constructor_writes_out_what_its_parent_takes(child, parent, different):
    own, inherited = written(child), written(parent)
    inherited.pop("vicinity", None)  # its parameters stand in its place
    assert "vicinity" not in own
    for name, parameter in inherited.items():
        assert own[name].kind is parameter.kind, name
        assert own[name].annotation == parameter.annotation, name
        assert (own[name].default == parameter.default) is (name not in different), name


def test_the_base_writes_out_what_skorch_takes():
    inherited = {**written(NeuralNetClassifier), **written(NeuralNet)}
    assert inherited.keys() <= written(VicinalClassifier).keys()


@pytest.mark.parametrize("kind", KINDS)
def test_every_argument_is_stored_as_it_is(kind):
    class Own(kind):
        def __init__(self, *, width=64, **kwargs):
            super().__init__(**kwargs)
            self.width = width

    given = {name: object() for name in written(kind)}
    for net in (kind(**given, module__x=1), Own(**given, module__x=1, width=3)):
        params = net.get_params(deep=False)
        assert all(params[name] is value for name, value in given.items())
        assert params.keys() - given.keys() == {"module__x"} | {"width"} & params.keys()
    assert params["width"] == 3


@pytest.mark.parametrize("kind", KINDS)
def test_static_checkers_see_the_names_and_types_of_the_constructor(kind):
    without_module, with_module = get_overloads(kind.__init__)
    seen = written(without_module)
    listed = ClassifierParameters if is_classifier(kind()) else SharedParameters
    own, shared = get_type_hints(without_module), get_type_hints(listed)
    plain = {n: t for n, t in shared.items() if n not in get_type_hints(PartArguments)}
    runtime = get_type_hints(kind.__init__)
    assert seen.keys().isdisjoint(plain)
    assert seen.keys() | plain.keys() == written(kind).keys()
    for name in written(kind).keys() - {"module"}:
        assert (own | plain)[name] == runtime[name], name
    assert [*written(with_module)] == ["module"]
    assert written(with_module)["module"].default is Parameter.empty


def test_the_listed_arguments_of_parts_are_arguments_of_theirs():
    takes = {
        "module": [MLP, PreActResNet],
        "criterion": [nn.CrossEntropyLoss],
        "optimizer": [torch.optim.AdamW, torch.optim.SGD],
        "iterator_train": [TensorBatches, DataLoader],
        "iterator_valid": [TensorBatches, DataLoader],
    }
    listed = {part: set() for part in takes}
    for name in get_type_hints(PartArguments):
        part, _, argument = name.partition("__")
        listed.setdefault(part, set()).add(argument)
    for part, kinds in takes.items():
        known = set().union(*map(written, kinds))
        assert listed[part] <= known | {"param_groups"}, part  # skorch's, of any optimizer
    assert listed["module"] == {*written(MLP), *written(PreActResNet)}
    callbacks = {name for name, _ in VicinalClassifier().get_default_callbacks()}
    assert listed["callbacks"] == callbacks


PROGRAM = """
from torch import nn
from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier

class Network(nn.Module): ...

class Own(MixupClassifier):
    def __init__(self, *, width: int = 64, **kwargs: object) -> None:
        super().__init__(None, **kwargs)

reveal_type(MixupClassifier(alpha=0.2, lr=1e-3))
reveal_type(MixupClassifier().fit([[0.0], [1.0]], [0, 1]))
MixupClassifier(module__hidden_sizes=(64,), optimizer__weight_decay=0.1)
MixupClassifier(Network, module__hidden=64, lr=1e-3)
MixupClassifier(train_split=0.2, iterator_train__num_workers=2, callbacks__print_log=None)
ManifoldMixupClassifier(layers=[0, "blocks.1"], mix_epochs=0.8)
Own(width=3, lr=1e-3)
MixupClassifier(alhpa=1)  # wrong
MixupClassifier(module__hiden_sizes=(64,))  # wrong
MixupClassifier(lr="fast")  # wrong
MixupClassifier(layers=[0])  # wrong
ManifoldMixupClassifier(vicinity=None)  # wrong
VicinalClassifier(alpha=0.2)  # wrong
"""


def test_mypy_tells_a_wrong_name(tmp_path):
    """All but these lines are right: names it cannot know it lets pass."""
    file, config = tmp_path / "program.py", tmp_path / "mypy.ini"
    file.write_text(PROGRAM)
    config.write_text(  # the library itself is checked elsewhere; torch alone takes a minute
        "[mypy]\nignore_missing_imports = True\n[mypy-torch.*,numpy.*]\nfollow_imports = skip\n"
    )
    told = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(config), "--cache-dir",
         str(tmp_path), str(file)],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    lines = PROGRAM.splitlines()
    wrong = {i for i, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert {int(line.split(":")[1]) for line in told.splitlines() if ": error:" in line} == wrong
    revealed = [line for line in told.splitlines() if "Revealed type" in line]
    assert len(revealed) == 2
    assert all(line.endswith('skmixup.estimators.mixup.MixupClassifier"') for line in revealed)

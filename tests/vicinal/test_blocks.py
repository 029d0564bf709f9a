"""Facts about what counts as a block, and about the names of layers."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from skmixup.networks import MLP, PreActResNet
from skmixup.vicinal.blocks import block_names, resolve_layers


def named(**children):
    return nn.Sequential(OrderedDict(children))


class Parts(nn.Module):
    """A module with the children given, whose forward does not matter here."""

    def __init__(self, **children):
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, x):
        return x


def conv():
    return nn.Conv2d(2, 2, 3, padding=1, bias=False)


def norm():
    return nn.BatchNorm2d(2)


def residual():
    return Parts(conv1=conv(), bn1=norm(), relu=nn.ReLU(), conv2=conv(), bn2=norm())


def stage():
    return nn.Sequential(residual(), residual())


def conv_norm():
    return nn.Sequential(conv(), norm(), nn.ReLU())


def stages():
    return {f"layer{k}": stage() for k in (1, 2, 3, 4)}


def encoder_layer():
    return nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)


RESNET = ["layer1", "layer2", "layer3", "layer4"]
LIKE = {
    "torchvision ResNet": (
        Parts(conv1=conv(), bn1=norm(), relu=nn.ReLU(), maxpool=nn.MaxPool2d(2), **stages(),
              avgpool=nn.AdaptiveAvgPool2d(1), fc=nn.Linear(2, 3)),
        RESNET,
    ),
    "timm ResNet": (
        Parts(conv1=conv(), bn1=norm(), act1=nn.ReLU(), maxpool=nn.MaxPool2d(2), **stages(),
              global_pool=nn.AdaptiveAvgPool2d(1), fc=nn.Linear(2, 3)),
        RESNET,
    ),
    "a wrapped ResNet": (
        Parts(net=Parts(conv1=conv(), bn1=norm(), **stages(), fc=nn.Linear(2, 3))),
        [f"net.{name}" for name in RESNET],
    ),
    "VGG": (
        Parts(features=nn.Sequential(conv(), nn.ReLU(), conv(), nn.ReLU(), nn.MaxPool2d(2)),
              avgpool=nn.AdaptiveAvgPool2d(1),
              classifier=nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3))),
        ["features"],
    ),
    "DenseNet": (
        Parts(features=named(conv0=conv(), norm0=norm(), pool0=nn.MaxPool2d(2),
                             denseblock1=stage(), transition1=conv_norm(), denseblock2=stage(),
                             norm5=norm()),
              classifier=nn.Linear(2, 3)),
        ["features.denseblock1", "features.denseblock2"],
    ),
    "MobileNet": (
        Parts(features=nn.Sequential(conv_norm(), residual(), residual(), conv_norm()),
              classifier=nn.Sequential(nn.Dropout(0.1), nn.Linear(2, 3))),
        ["features.1", "features.2"],
    ),
    "RegNet": (
        Parts(stem=conv_norm(), trunk_output=named(block1=stage(), block2=stage()),
              avgpool=nn.AdaptiveAvgPool2d(1), fc=nn.Linear(2, 3)),
        ["trunk_output.block1", "trunk_output.block2"],
    ),
    "torchvision ViT": (
        Parts(conv_proj=conv(),
              encoder=Parts(dropout=nn.Dropout(0.0),
                            layers=named(encoder_layer_0=encoder_layer(),
                                         encoder_layer_1=encoder_layer()),
                            ln=nn.LayerNorm(4)),
              heads=named(head=nn.Linear(4, 3))),
        ["encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_1"],
    ),
    "BERT": (
        Parts(bert=Parts(embeddings=Parts(word=nn.Embedding(9, 4), position=nn.Embedding(5, 4)),
                         encoder=Parts(layer=nn.ModuleList([encoder_layer(), encoder_layer()])),
                         pooler=Parts(dense=nn.Linear(4, 4))),
              dropout=nn.Dropout(0.1), classifier=nn.Linear(4, 3)),
        ["bert.encoder.layer.0", "bert.encoder.layer.1"],
    ),
    "torch's TransformerEncoder": (
        Parts(embed=nn.Linear(3, 4),
              encoder=nn.TransformerEncoder(encoder_layer(), 2, enable_nested_tensor=False),
              head=nn.Linear(4, 3)),
        ["encoder.layers.0", "encoder.layers.1"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LIKE)
def test_whole_blocks_are_taken_not_the_layers_of_the_stem(kind):
    module, expected = LIKE[kind]
    assert block_names(module) == expected
    assert resolve_layers(module, "auto") == ("input", *expected[:2])


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 2)),
        nn.Sequential(
            nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8)), nn.Tanh(), nn.LSTM(8, 8),
            nn.Linear(8, 2)
        ),
        nn.Sequential(weight_norm(nn.Linear(4, 8)), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 2)),
    ],
)  # fmt: skip
def test_of_single_layers_each_is_a_block(module):
    assert block_names(module) == ["0", "2"]


def test_one_composite_part_among_single_layers_changes_nothing():
    body = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    assert block_names(Parts(embed=nn.Linear(3, 4), body=body, head=nn.Linear(4, 2))) == [
        "embed",
        "body",
    ]


def test_a_lone_layer_with_normalised_weights_has_no_blocks():
    assert block_names(Parts(net=weight_norm(nn.Linear(4, 2)))) == []


# ---- containers without a forward


@pytest.mark.parametrize(
    "holder",
    [nn.ModuleList, lambda layers: nn.ModuleDict({str(i): m for i, m in enumerate(layers)})],
)
def test_containers_without_a_forward_are_entered(holder):
    layers = [nn.Linear(4, 4) for _ in range(3)]
    assert block_names(Parts(layers=holder(layers), head=nn.Linear(4, 2))) == [
        "layers.0",
        "layers.1",
        "layers.2",
    ]
    assert block_names(Parts(layers=holder(layers))) == ["layers.0", "layers.1"]


def test_lists_within_lists_are_entered_and_lists_of_parameters_are_no_blocks():
    pairs = nn.ModuleList([nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)]) for _ in range(2)])
    bias = nn.ParameterList([torch.zeros(4)])
    module = Parts(bias=bias, layers=pairs, head=nn.Linear(4, 2))
    assert block_names(module) == ["layers.0.0", "layers.0.1", "layers.1.0", "layers.1.1"]


@pytest.mark.parametrize("declared", [False, True])
def test_a_container_named_as_a_layer_is_refused_with_what_it_holds(declared):
    module = Parts(layers=nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)]), head=nn.Linear(4, 2))
    if declared:
        module.mixup_layers = ["layers"]
    with pytest.raises(ValueError, match=r"'layers'.*ModuleList.*'layers\.0', 'layers\.1'"):
        resolve_layers(module, 1 if declared else "layers")


# ---- declarations


def test_what_an_inner_module_declares_gets_its_name_in_front():
    mlp = MLP(4, 3, hidden_sizes=(8, 8))
    assert block_names(nn.Sequential(mlp)) == ["0.blocks.0", "0.blocks.1"]
    assert block_names(Parts(a=Parts(b=mlp))) == ["a.b.blocks.0", "a.b.blocks.1"]
    assert block_names(nn.Sequential(nn.BatchNorm1d(4), mlp))[0] == "1.blocks.0"
    assert block_names(nn.DataParallel(mlp)) == ["module.blocks.0", "module.blocks.1"]
    assert block_names(nn.Sequential(torch.compile(mlp, backend="eager"))) == [
        "0._orig_mod.blocks.0",
        "0._orig_mod.blocks.1",
    ]


def test_the_outer_declaration_counts():
    module = nn.Sequential(MLP(4, 3, hidden_sizes=(8, 8)))
    module.mixup_layers = ["0.blocks.1"]
    assert block_names(module) == ["0.blocks.1"]


def test_a_wrong_declaration_inside_is_named():
    inner = Parts(body=nn.Linear(4, 4), head=nn.Linear(4, 2))
    inner.mixup_layers = ["tail"]
    with pytest.raises(ValueError, match=r"Parts.mixup_layers names 'tail'.*'body', 'head'"):
        block_names(nn.Sequential(inner))


def test_stages_of_one_convolution_after_a_bare_stem_are_the_blocks():
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4)
            for k in range(1, 4):
                stage = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
                setattr(self, f"layer{k}", stage)
            self.fc = nn.Linear(4, 2)

    assert block_names(Small()) == ["layer1", "layer2", "layer3"]
    plain = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2))
    assert block_names(plain) == ["0", "1"]


# ---- names


def sequential():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))


class Wrapper(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.net = inner

    def forward(self, x):
        return self.net(x)


def test_blocks_are_the_children_with_parameters_without_the_head():
    assert block_names(sequential()) == ["0", "2"]


def test_a_lone_wrapper_is_entered_as_deep_as_it_goes():
    assert block_names(Wrapper(sequential())) == ["net.0", "net.2"]
    assert block_names(Wrapper(Wrapper(sequential()))) == ["net.net.0", "net.net.2"]


def test_a_linear_model_has_no_blocks():
    assert block_names(nn.Linear(3, 2)) == []
    assert block_names(Wrapper(nn.Linear(3, 2))) == []
    assert resolve_layers(nn.Linear(3, 2), "auto") == ("input",)


def test_the_default_networks_name_their_blocks():
    assert block_names(MLP(3, 2, hidden_sizes=(4, 4, 4))) == ["blocks.0", "blocks.1", "blocks.2"]
    assert block_names(PreActResNet(1, 2, width=4)) == ["stages.0", "stages.1", "stages.2"]


def test_mixup_layers_names_the_blocks():
    net = sequential()
    net.mixup_layers = ["3", "0"]
    assert block_names(net) == ["3", "0"]
    assert resolve_layers(net, [1, 2]) == ("3", "0")


@pytest.mark.parametrize("declared", [["9"], [""], ["0", "body"]])
def test_mixup_layers_that_do_not_exist_are_named(declared):
    net = sequential()
    net.mixup_layers = declared
    with pytest.raises(ValueError, match=rf"mixup_layers names '{declared[-1]}'.*'0', '1', '2'"):
        block_names(net)


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        ("auto", ("input", "0", "2")),
        (0, ("input",)),
        ("input", ("input",)),
        (2, ("2",)),
        ([0, 1, 2], ("input", "0", "2")),
        ([2, 0], ("2", "input")),
        (["1", 1], ("1", "0")),  # the name "1" is the ReLU, the integer 1 the first block
        ([1, "0", 1], ("0",)),
        ((0,), ("input",)),
        (np.int64(1), ("0",)),
        (np.array([0, 2]), ("input", "2")),
    ],
)
def test_integers_count_blocks_and_strings_are_names(layers, names):
    assert resolve_layers(sequential(), layers) == names


def test_nested_names_are_dotted():
    net = nn.Sequential(Wrapper(sequential()), nn.Linear(2, 2))
    assert resolve_layers(net, ["0.net.3", "0"]) == ("0.net.3", "0")


def test_names_are_those_of_the_module_behind_torch_compile():
    compiled = torch.compile(sequential(), backend="eager")
    assert resolve_layers(compiled, "auto") == ("input", "0", "2")


@pytest.mark.parametrize(
    "bad", [3, -1, "body", "", [0, 7], ["0", "9"], True, 1.5, [1.0], None, [[0]]]
)
def test_unknown_layers_are_named_with_those_that_exist(bad):
    valid = (
        r"layers has .*Valid integers: 0 \('input'\), 1 \('0'\), 2 \('2'\)\. "
        r"Valid names: 'input', '0', '1', '2', '3', '4'"
    )
    with pytest.raises(ValueError, match=valid):
        resolve_layers(sequential(), bad)


def test_an_empty_set_of_layers_is_refused():
    with pytest.raises(ValueError, match="layers is empty"):
        resolve_layers(sequential(), [])

"""Modules whose draws no generator can be handed to are recognised."""

import pytest
import torch
from torch import nn

from skmixup.networks import MLP
from skmixup.randomness.unseen import draws_nothing, draws_unseen


def through_a_function(function, x):
    from torch.utils.checkpoint import checkpoint as again

    return again(function, x, use_reentrant=False)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_modules_that_have_to_wait_are_known():
    from torch.utils.checkpoint import checkpoint as again

    class Checkpointed(nn.Linear):
        def forward(self, x):
            return again(super().forward, x, use_reentrant=False)

    class Indirectly(nn.Linear):
        def forward(self, x):
            return through_a_function(super().forward, x)

    assert draws_unseen(nn.Sequential(Checkpointed(2, 2)))
    assert draws_unseen(nn.Sequential(Indirectly(2, 2)))
    assert draws_unseen(nn.Sequential(torch.jit.script(nn.Linear(2, 2))))
    compiled = nn.Linear(2, 2)
    compiled.compile(backend="eager")
    assert draws_unseen(nn.Sequential(compiled))
    assert draws_unseen(torch.compile(nn.Linear(2, 2), backend="eager"))
    assert not draws_unseen(nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.LSTM(2, 2)))


def noisy(module, args, output):
    return output + torch.randn_like(output)


@pytest.mark.parametrize(
    ("module", "quiet"),
    [
        (MLP(3, 2), True),
        (nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.RReLU(), nn.Linear(4, 2)), True),
        (nn.Sequential(nn.FractionalMaxPool2d(2, output_ratio=0.5)), False),
        (nn.Sequential(type("Own", (nn.Linear,), {"__module__": "theirs"})(3, 2)), False),
    ],
)
def test_modules_of_torch_and_of_this_package_draw_nothing_in_evaluation(module, quiet):
    assert not draws_nothing(module.train())
    assert draws_nothing(module.eval()) == quiet


def test_a_hook_may_draw():
    module = nn.Sequential(nn.Linear(3, 2)).eval()
    assert draws_nothing(module)
    handle = module[0].register_forward_hook(noisy)
    assert not draws_nothing(module)
    handle.remove()
    assert draws_nothing(module)

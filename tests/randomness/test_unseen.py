"""Modules whose draws no generator can be handed to are recognised."""

import pytest
import torch
from torch import nn

from skmixup.randomness.unseen import draws_unseen


def through_a_function(function, x):
    from torch.utils.checkpoint import checkpoint as again

    return again(function, x, use_reentrant=False)


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
    with pytest.warns(DeprecationWarning, match="script"):
        scripted = torch.jit.script(nn.Linear(2, 2))
    assert draws_unseen(nn.Sequential(scripted))
    compiled = nn.Linear(2, 2)
    compiled.compile(backend="eager")
    assert draws_unseen(nn.Sequential(compiled))
    assert draws_unseen(torch.compile(nn.Linear(2, 2), backend="eager"))
    assert not draws_unseen(nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.LSTM(2, 2)))

"""Facts about interpolation consistency: the formulas, against ones written out by hand."""

import math

import pytest
import torch
from torch import nn

from skmixup.vicinal.consistency import consistency_loss, decay_at, move_average, ramp_up


def test_the_ramp_rises_from_e_to_the_minus_five_and_stays_at_one():
    assert ramp_up(0.0) == pytest.approx(math.exp(-5))
    assert ramp_up(0.5) == pytest.approx(math.exp(-5 / 4))
    assert ramp_up(1.0) == ramp_up(3.0) == 1.0


def test_the_decay_is_small_at_first_and_at_most_the_one_given():
    assert decay_at(0, 0.999) == pytest.approx(0.1)
    assert decay_at(8, 0.999) == pytest.approx(0.5)
    assert decay_at(10**6, 0.999) == 0.999
    assert decay_at(5, 0.0) == 0.0


@pytest.mark.parametrize("n_members", [1, 3])
def test_the_loss_is_the_mean_over_rows_and_members_of_squared_distances(n_members):
    p, q = torch.rand(7 * n_members, 4).double(), torch.rand(7, 4).double()
    expected = sum(
        ((p[i * n_members + k] - q[i]) ** 2).sum() for i in range(7) for k in range(n_members)
    ) / (7 * n_members)
    torch.testing.assert_close(consistency_loss(p, q), expected)


def test_the_average_moves_weights_and_statistics_and_copies_counts():
    teacher, student = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    student(torch.randn(8, 3))
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    move_average(teacher, student, 0.75)
    for name, value in teacher.state_dict().items():
        current = student.state_dict()[name]
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * before[name] + 0.25 * current)
        else:
            assert torch.equal(value, current)
    assert not torch.equal(teacher.running_mean, before["running_mean"])

"""Facts about interpolation consistency: the formulas, against ones written out by hand."""

import math

import pytest
import torch

from skmixup.vicinal.consistency import consistency_loss, ramp_up


def test_the_ramp_rises_from_e_to_the_minus_five_and_stays_at_one():
    assert ramp_up(0.0) == pytest.approx(math.exp(-5))
    assert ramp_up(0.5) == pytest.approx(math.exp(-5 / 4))
    assert ramp_up(1.0) == ramp_up(3.0) == 1.0


@pytest.mark.parametrize("n_members", [1, 3])
def test_the_loss_is_the_mean_over_rows_and_members_of_squared_distances(n_members):
    p, q = torch.rand(7 * n_members, 4).double(), torch.rand(7, 4).double()
    expected = sum(
        ((p[i * n_members + k] - q[i]) ** 2).sum() for i in range(7) for k in range(n_members)
    ) / (7 * n_members)
    torch.testing.assert_close(consistency_loss(p, q), expected)

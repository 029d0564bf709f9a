"""Facts about partners with similar targets: the law of C-Mixup, and what it is given."""

import numpy as np
import pytest
import torch
from scipy import stats

from skmixup.vicinal import CutMix, ManifoldMixup, Mixup, pairing
from skmixup.vicinal.pairing import similar_partners


def law(distances, bandwidth):
    weight = np.exp(-distances / (2 * bandwidth**2))
    return weight / weight.sum(axis=1, keepdims=True)


def counts(target, bandwidth, n_draws=4000, seed=0):
    rng, n = np.random.default_rng(seed), len(target)
    found = np.zeros((n, n))
    for _ in range(n_draws):
        found[np.arange(n), similar_partners(target, bandwidth, rng).numpy()] += 1
    return found


@pytest.mark.parametrize("bandwidth", [0.3, 1.0, 10.0])
@pytest.mark.parametrize("n_targets", [1, 3])
def test_partners_follow_the_law_of_c_mixup(bandwidth, n_targets):
    y = np.random.default_rng(5).normal(size=(7, n_targets))
    distances = ((y[:, None] - y[None]) ** 2).sum(axis=2)
    found = counts(torch.from_numpy(y if n_targets > 1 else y[:, 0]), bandwidth)
    for row, expected in zip(found, 4000 * law(distances, bandwidth), strict=True):
        rare = expected < 5
        observed = [*row[~rare], row[rare].sum()] if rare.any() else row
        wanted = [*expected[~rare], expected[rare].sum()] if rare.any() else expected
        if len(wanted) > 1 and wanted[-1] > 0:
            assert sum(wanted) == pytest.approx(sum(observed))
            wanted = np.multiply(wanted, sum(observed) / sum(wanted))  # to the last digit
            assert stats.chisquare(observed, wanted).pvalue > 1e-4


def test_classes_that_differ_are_as_far_apart_as_their_one_hot_labels():
    codes = np.array([0, 0, 1, 2, 5])
    one_hot = np.eye(6)[codes]
    distances = ((one_hot[:, None] - one_hot[None]) ** 2).sum(axis=2)
    found, expected = counts(torch.from_numpy(codes), 1.0), 4000 * law(distances, 1.0)
    expected *= found.sum() / expected.sum()  # to the last digit
    assert stats.chisquare(found.ravel(), expected.ravel()).pvalue > 1e-4


def test_many_rows_are_paired_block_by_block_with_the_same_outcome(monkeypatch):
    target = torch.randn(50, 2)
    whole = similar_partners(target, 0.5, np.random.default_rng(0))
    monkeypatch.setattr(pairing, "_BLOCK", 160)  # three rows at a time
    assert torch.equal(similar_partners(target, 0.5, np.random.default_rng(0)), whole)


@pytest.mark.parametrize("scale", [1e-12, 1e6])
def test_far_apart_rows_are_their_own_partners(scale):
    target = torch.arange(5.0) * 1e4
    if scale == 1e6:  # all alike: any partner
        partners = {tuple(similar_partners(target, scale * 1e4, np.random.default_rng(i)).tolist())
                    for i in range(50)}  # fmt: skip
        assert len(partners) > 40
    else:
        assert similar_partners(target, scale, np.random.default_rng(0)).tolist() == [*range(5)]


@pytest.mark.parametrize("vicinity", [Mixup, ManifoldMixup, CutMix])
def test_similar_pairs_are_part_of_the_draw(vicinity):
    x, target = torch.rand(6, 1, 4, 4), torch.arange(6.0) * 100
    draw = vicinity(1.0, pairing="similar").draw(x, np.random.default_rng(0), target=target)
    assert draw.partner.tolist() == [*range(6)]
    with pytest.raises(ValueError, match="compares targets"):
        vicinity(1.0, pairing="similar").draw(x, np.random.default_rng(0))


@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan"), "1", True])
def test_the_bandwidth_is_checked(value):
    with pytest.raises(ValueError, match="bandwidth must be a finite number above 0; got"):
        Mixup(pairing="similar", bandwidth=value).validate()


def test_the_pairing_is_checked():
    with pytest.raises(ValueError, match="pairing must be one of 'uniform', 'similar'; got 'kde'"):
        Mixup(pairing="kde").validate()

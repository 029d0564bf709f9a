"""Facts about partners from all rows: the exact law of C-Mixup, whatever the boxes."""

import numpy as np
import pytest
from scipy import stats

from skmixup.vicinal import all_rows
from skmixup.vicinal.all_rows import similar_rows

RNG = np.random.default_rng(0)
TARGETS = {
    "one": RNG.normal(size=40),
    "three": RNG.normal(size=(40, 3)),
    "far apart": np.r_[RNG.normal(size=30), 50 + RNG.normal(size=9), 1000.0],
    "few values": RNG.integers(0, 4, size=(40, 1)) / 3,
    "all equal": np.zeros((40, 2)),
    "classes": np.r_[np.zeros(30, int), np.ones(8, int), 3, 3],
    "several labels": RNG.integers(0, 2, size=(40, 5)).astype(np.float32),
}


def law(target, bandwidth):
    """The formula itself, for all pairs."""
    if target.dtype.kind == "i":
        target = np.eye(4)[target]
    y = target.reshape(len(target), -1).astype(float)
    weight = np.exp(-((y[:, None] - y[None]) ** 2).sum(axis=2) / (2 * bandwidth**2))
    return weight / weight.sum(axis=1, keepdims=True)


def check_law(target, bandwidth, *, drawn_with=None, n_draws=400, seed=1):
    """χ² over all rows together, of the pairs that are expected five times or more."""
    rows, n, rng = (
        similar_rows(target, drawn_with or bandwidth),
        len(target),
        np.random.default_rng(seed),
    )
    found = np.zeros((n, n))
    for _ in range(n_draws // 20):
        partner = rows.draw(np.concatenate([target] * 20), rng)
        np.add.at(found, (np.tile(np.arange(n), 20), partner), 1)
    expected = n_draws * law(target, bandwidth)
    often = expected >= 5
    statistic = (np.square(found - expected)[often] / expected[often]).sum()
    rest, rest_found = np.where(often, 0, expected).sum(axis=1), np.where(often, 0, found).sum(1)
    pooled = rest >= 5
    statistic += (np.square(rest_found - rest)[pooled] / rest[pooled]).sum()
    assert (rest_found[rest < 1e-9] == 0).all()
    free = often.sum() + pooled.sum() - (often.any(axis=1) | pooled).sum()
    assert stats.chi2.sf(statistic, max(free, 1)) > 1e-3


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("bandwidth", [0.05, 0.5, 3.0])
def test_partners_follow_the_law(kind, bandwidth):
    check_law(TARGETS[kind], bandwidth)


@pytest.mark.parametrize("kind", ["three", "far apart"])
@pytest.mark.parametrize(
    ("boxes", "offers", "at_once", "worth"),
    [(1, 32, 4096, 64), (3, 32, 4096, 64), (3, 1, 4096, 0.1), (5, 1, 100, 1000), (40, 32, 1, 64)],
)
def test_boxes_and_offers_do_not_change_the_law(kind, boxes, offers, at_once, worth, monkeypatch):
    for name, value in {"_MAX_BOXES": boxes, "_OFFERS": offers, "_AT_ONCE": at_once,
                        "_WORTH": worth, "_NARROW": 0.0}.items():  # fmt: skip
        monkeypatch.setattr(all_rows, name, value)
    check_law(TARGETS[kind], 0.3)


def test_another_law_is_found_out():
    """The check above has the power to tell bandwidths apart."""
    with pytest.raises(AssertionError):
        check_law(TARGETS["one"], 0.5, drawn_with=0.55, n_draws=2000)


def test_all_draws_come_from_the_generator():
    rows = similar_rows(TARGETS["three"], 0.2)
    first, second = (rows.draw(TARGETS["three"], np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("shape", [(20_000,), (20_000, 3)])
def test_memory_does_not_grow_with_the_square_of_the_rows(shape):
    """Pairs of 20 000 rows are 3.2 GB; what is kept here is a few columns and a small table."""
    target = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    rows = similar_rows(target, 0.2)
    kept = sum(value.nbytes for value in vars(rows).values() if isinstance(value, np.ndarray))
    assert kept < 12e6
    partner = rows.draw(target[:64], np.random.default_rng(0))
    gap = np.abs(target[partner].reshape(64, -1) - target[:64].reshape(64, -1))
    assert gap.max() < 6 * 0.2

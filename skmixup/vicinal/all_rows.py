r"""Partners with similar targets from all training rows, drawn by the exact law of C-Mixup.

.. math::  P(j \mid i) \propto \exp\left(-\frac{\|y_i - y_j\|^2}{2σ^2}\right), \quad j = 1 … n

Its weights for all pairs are n² numbers: at a million rows they fit no memory. Here rows are
grouped into boxes of similar targets. With d(a, b) the distance of two boxes, a row i in box a
first draws a box b with probability ∝ n_b exp(−d(a, b)²/2σ²), then any of its rows j, which is
accepted with probability exp(−(‖y_i − y_j‖² − d(a, b)²)/2σ²) ≤ 1: what is accepted follows the
law. Memory is O(n), and with one target a draw costs about as much at a million rows as at a
thousand.

Yao, Wang, Zhang, Zou, Finn: C-Mixup: Improving Generalization in Regression. NeurIPS 2022,
arXiv:2210.05775, equation (6).
"""

import heapq
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Boxes at most; a table of all pairs of them is kept.
_MAX_BOXES = 1024

# Boxes narrower than this, in bandwidths, are not split: most of what they offer is accepted.
_NARROW = 0.125

# Offers that a row may reject before it is asked how many rows are near it. Where these are more
# than _WORTH times the offers, more offers cost less than the weights of all of them.
_OFFERS = 32
_WORTH = 64

# Offers made at once, to the few rows that are left.
_AT_ONCE = 4096

# Of a law whose weights sum to at least one (a row's own), what is left out below this is nothing.
_NOTHING = 1e-18


def similar_rows(target: NDArray[Any], bandwidth: float) -> Any:
    """Return an object whose ``draw(target, rng)`` gives positions of partners.

    Parameters
    ----------
    target : ndarray of shape (n,) or (n, n_targets)
        Of all rows: real values, or class codes, of which two are at a squared distance of 2
        (that of one-hot labels) where they differ.
    bandwidth : float
        σ, in the units of the targets.
    """
    if target.dtype.kind in "iub" and target.ndim == 1:
        return SimilarClasses(target, bandwidth)
    return SimilarTargets(target.reshape(len(target), -1), bandwidth)


class SimilarClasses:
    """Rows with class codes: those of the own class have weight 1, all others exp(−1/σ²)."""

    def __init__(self, codes: NDArray[Any], bandwidth: float):
        self.order = np.argsort(codes, kind="stable")
        self.count = np.bincount(codes)
        self.start = np.cumsum(self.count) - self.count
        self.other = float(np.exp(-1 / bandwidth**2))

    def draw(self, codes: NDArray[Any], rng: Generator) -> Ints:
        """Draw a partner for each code.

        The law is a mixture: with weight n·r any row, with weight n_c·(1 − r) one of the class.
        """
        n, r, count = len(self.order), self.other, self.count[codes]
        anybody = rng.random(len(codes)) * (n * r + count * (1 - r)) < n * r
        place = self.start[codes] + _position(rng, count)
        place = np.where(anybody, rng.integers(n, size=len(codes)), place)
        return self.order[place]


class SimilarTargets:
    """Rows with real targets, in boxes.

    Parameters
    ----------
    target : ndarray of shape (n, n_targets)
    bandwidth : float
    """

    def __init__(self, target: NDArray[Any], bandwidth: float):
        self.target = target.astype(np.float64)
        self.scale = -0.5 / float(bandwidth) ** 2
        self._split(_NARROW * float(bandwidth))
        bound = np.exp(self.scale * self._gaps(slice(None), slice(None)))
        self.table = np.cumsum(bound * self.count, axis=1)

    # ---- boxes

    def _split(self, narrow: float) -> None:
        """Halve the fullest box that is not narrow, again and again."""
        y = self.target
        boxes: list[Ints] = []
        self.axis, self.cut, self.child = [-1], [0.0], [(-1, -1)]
        heap = [(-len(y), 0, np.arange(len(y)))]
        while heap:
            _, node, rows = heapq.heappop(heap)
            low, high = y[rows].min(axis=0), y[rows].max(axis=0)
            axis = int(np.argmax(high - low))
            full = len(boxes) + len(heap) + 1 >= _MAX_BOXES
            if full or high[axis] - low[axis] <= narrow:
                self.child[node] = (-1, len(boxes))  # a leaf: its number
                boxes.append(rows)
                continue
            values = y[rows, axis]
            cut = float(np.median(values))
            cut = cut if cut < high[axis] else float(low[axis])
            above = values > cut
            children = len(self.axis), len(self.axis) + 1
            self.axis[node], self.cut[node], self.child[node] = axis, cut, children
            for child, part in zip(children, (rows[~above], rows[above]), strict=True):
                self.axis.append(-1)
                self.cut.append(0.0)
                self.child.append((-1, -1))
                heapq.heappush(heap, (-len(part), child, part))
        self.axes, self.cuts = np.array(self.axis), np.array(self.cut)
        self.children = np.array(self.child)
        self.order = np.concatenate(boxes)
        self.count = np.array([len(rows) for rows in boxes])
        self.start = np.cumsum(self.count) - self.count
        self.low = np.array([y[rows].min(axis=0) for rows in boxes])
        self.high = np.array([y[rows].max(axis=0) for rows in boxes])

    def _box_of(self, target: Floats) -> Ints:
        """Return the box that each row is in."""
        node = np.zeros(len(target), dtype=np.int64)
        rows = np.arange(len(target))
        while len(rows):
            here = node[rows]
            rows = rows[self.axes[here] >= 0]
            here = node[rows]
            above = target[rows, self.axes[here]] > self.cuts[here]
            node[rows] = self.children[here, above.astype(np.int64)]
        return self.children[node, 1]

    def _gaps(self, a: Any, b: Any) -> Floats:
        """Squared distances of boxes: of all pairs for two slices, else box by box."""
        pairs = isinstance(a, slice)
        total: Any = 0.0
        for low, high in zip(self.low.T, self.high.T, strict=True):
            high_a, low_a = (high[:, None], low[:, None]) if pairs else (high[a], low[a])
            gap = np.maximum(low[b] - high_a, low_a - high[b])
            total = total + np.square(np.maximum(gap, 0.0))
        return np.asarray(total)

    # ---- partners

    def draw(self, target: NDArray[Any], rng: Generator) -> Ints:
        """Draw a partner for each of some of the rows, given by their targets."""
        target = target.reshape(len(target), -1).astype(np.float64)
        box = self._box_of(target)
        partner = np.empty(len(target), dtype=np.int64)
        left, n_offers, limit = np.arange(len(target)), 0, np.full(len(target), _OFFERS)
        while len(left):
            # The fewer rows are left, the more offers each gets at once.
            n = 1 if n_offers < _OFFERS else max(1, _AT_ONCE // len(left))
            offer, accepted = self._offers(target[left], box[left], n, rng)
            any_accepted, first = accepted.any(axis=1), accepted.argmax(axis=1)
            partner[left[any_accepted]] = offer[any_accepted, first[any_accepted]]
            left, n_offers = left[~any_accepted], n_offers + n
            if n_offers == _OFFERS:
                limit[left] = [self._near(box[i])[1].sum() // _WORTH for i in left]
            if n_offers >= _OFFERS:
                for i in left[limit[left] <= n_offers]:
                    partner[i] = self._draw_among_near(target[i], box[i], rng)
                left = left[limit[left] > n_offers]
        return partner

    def _offers(
        self, target: Floats, box: Ints, n: int, rng: Generator
    ) -> tuple[Ints, NDArray[np.bool_]]:
        """Offer each row n others, and say which of them it accepts; both of shape (m, n)."""
        own = np.repeat(box, n)
        other = self._search(own, rng.random(len(own)) * self.table[own, -1])
        offer = self.order[self.start[other] + _position(rng, self.count[other])]
        distance = np.square(self.target[offer] - np.repeat(target, n, axis=0)).sum(axis=1)
        excess = self.scale * (distance - self._gaps(own, other))
        accepted = rng.random(len(own)) < np.exp(excess)
        return offer.reshape(-1, n), accepted.reshape(-1, n)

    def _search(self, row: Ints, value: Floats) -> Ints:
        """First place of each `row` of the table above a value: halving, for all at once."""
        low = np.zeros(len(row), dtype=np.int64)
        high = np.full(len(row), self.table.shape[1] - 1)
        for _ in range(int(self.table.shape[1] - 1).bit_length()):
            middle = (low + high) // 2
            above = self.table[row, middle] > value
            high = np.where(above, middle, high)
            low = np.where(above, low, np.minimum(middle + 1, high))
        return high

    def _near(self, box: int) -> tuple[Ints, Ints]:
        """Boxes whose rows weigh anything beside those of one, and how many rows they have."""
        near = np.flatnonzero(np.diff(self.table[box], prepend=0.0) > _NOTHING)
        return near, self.count[near]

    def _draw_among_near(self, target: Floats, box: int, rng: Generator) -> int:
        """Draw with the weights of all rows in boxes that weigh anything."""
        near, _ = self._near(box)
        rows = np.concatenate(
            [self.order[self.start[b] : self.start[b] + self.count[b]] for b in near]
        )
        distance = np.square(self.target[rows] - target).sum(axis=1)
        shares = np.cumsum(np.exp(self.scale * distance))
        place = np.searchsorted(shares, rng.random() * shares[-1], side="right")
        return int(rows[min(place, len(rows) - 1)])


def _position(rng: Generator, count: Ints) -> Ints:
    """Any of so many places, 0 … count − 1, for each."""
    return np.minimum((rng.random(len(count)) * count).astype(np.int64), count - 1)

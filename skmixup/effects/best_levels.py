"""The best combination of levels, where combinations that only ever failed are passed over."""

from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import combinations

import numpy as np

from skmixup.design.levels import Floats, Ints

#: So many combinations are looked at before the failures are taken for chance.
_MOST = 10_000


def failed_pairs(done: Ints, lost: Ints) -> list[tuple[int, int, frozenset[tuple[int, int]]]]:
    """For two factors each: the pairs of levels that runs had, none of them with a response."""
    found = []
    for a, b in combinations(range(done.shape[1]), 2):
        tried = set(map(tuple, lost[:, [a, b]].tolist()))
        only = tried - set(map(tuple, done[:, [a, b]].tolist()))
        if only:
            found.append((a, b, frozenset(only)))
    return found


def best_levels(gains: Sequence[Floats], done: Ints, lost: Ints) -> Ints:
    """The combination of levels with the largest sum of gains that no failure speaks against.

    Against it speaks a run without response of just these levels, and a pair of its levels that
    runs had and none of them with a response. Combinations are looked at from the largest sum
    on; where failures speak against all of the first ones, the very first is returned.

    Parameters
    ----------
    gains : list of float array (levels,), one per factor
    done, lost : int array (runs, factors)
        The levels of the runs with and without a response; −1 where a level never had one.
    """
    orders = [np.argsort(-gain, kind="stable") for gain in gains]
    pairs = failed_pairs(done, lost)
    failed = set(map(tuple, lost.tolist())) - set(map(tuple, done.tolist()))
    start = (0,) * len(orders)
    first = combination = np.array([order[0] for order in orders], dtype=np.intp)
    heap, seen = [(0.0, start)], {start}
    for _ in range(_MOST):
        _, ranks = heappop(heap)
        combination = np.array([o[r] for o, r in zip(orders, ranks, strict=True)], dtype=np.intp)
        against = tuple(combination.tolist()) in failed or any(
            (int(combination[a]), int(combination[b])) in only for a, b, only in pairs
        )
        if not against:
            return combination
        for c, order in enumerate(orders):
            if ranks[c] + 1 < len(order):
                following = (*ranks[:c], ranks[c] + 1, *ranks[c + 1 :])
                if following not in seen:
                    seen.add(following)
                    pairs_of = zip(gains, orders, following, strict=True)
                    loss = sum(float(gain[o[0]] - gain[o[r]]) for gain, o, r in pairs_of)
                    heappush(heap, (loss, following))
        if not heap:
            break
    return first

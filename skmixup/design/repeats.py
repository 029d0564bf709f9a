"""No run twice: a repeated run would tell a tuner nothing new."""

from collections import Counter

import numpy as np

from skmixup.design.exchange import Chains
from skmixup.design.levels import Ints

#: A repeated run is swapped with one of so many others.
_MOST_PARTNERS = 200


def repeated_runs(design: Ints) -> Ints:
    """Indices of the runs that repeat an earlier one."""
    first: dict[bytes, int] = {}
    return np.array(
        [i for i, run in enumerate(design) if first.setdefault(run.tobytes(), i) < i],
        dtype=np.intp,
    )


def _swap_repeated(chains: Chains, run: int, rng: np.random.Generator) -> None:
    """Make the swap of this run with another one that leaves fewest repeats, at the least cost.

    Among equals the smallest addition to the criterion wins; where no swap removes a repeat, a
    random one is made, so that the next attempt starts elsewhere.
    """
    design = chains.designs[0]
    occurs = Counter(row.tobytes() for row in design)
    block = chains.free
    if len(block) > _MOST_PARTNERS:  # all swaps of a thousand runs would take a second
        others = rng.permutation(block[block != run])[:_MOST_PARTNERS]
        block = np.append(others, run)
    options = []
    for column in range(design.shape[1]):
        costs = chains.differences_of_run(column, run, block)
        useful = np.flatnonzero(np.isfinite(costs))
        options += [(float(costs[k]), column, int(block[k])) for k in useful]
    options.sort()
    for _, column, other in options:
        before = [design[i].tobytes() for i in (run, other)]
        design[[run, other], column] = design[[other, run], column]
        after = [design[i].tobytes() for i in (run, other)]
        design[[run, other], column] = design[[other, run], column]
        if _n_new(occurs, before, after) > 0:
            chains.exchange(column, run, other)
            return
    if options:
        _, column, other = options[rng.integers(len(options))]
        chains.exchange(column, run, other)


def _n_new(occurs: Counter[bytes], before: list[bytes], after: list[bytes]) -> int:
    """How many more different runs there are where two of them become two others."""
    return sum(
        (occurs[run] - before.count(run) + after.count(run) > 0) - (occurs[run] > 0)
        for run in {*before, *after}
    )


def swap_repeats_apart(chains: Chains, rng: np.random.Generator, patience: int = 20) -> Ints:
    """The design of a single chain with its repeated runs swapped apart.

    Makes ``patience`` swaps for each run at most: 20 practically always free a design that has
    fewer runs than there are level combinations. The initial runs stay as they are.
    """
    best = chains.designs[0].copy()
    for _ in range(patience * len(chains.free)):
        repeats = repeated_runs(chains.designs[0])
        if len(repeats) < len(repeated_runs(best)):
            best = chains.designs[0].copy()
        movable = repeats[repeats >= chains.free[0]]
        if not len(movable):
            break
        _swap_repeated(chains, int(rng.choice(movable)), rng)
    return best

"""Uniform designs: n runs over s factors, spread as evenly as a search can make them."""

from collections import Counter
from collections.abc import Sequence
from math import prod
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike

from skmixup.design.discrepancy import check_criterion
from skmixup.design.levels import Ints, as_levels, check_count, level_numbers
from skmixup.design.optimize import lattice_design, optimized, with_distinct_runs
from skmixup.design.ordering import prefix_uniform_order
from skmixup.design.shipped import shipped_design
from skmixup.design.sizes import check_design_size
from skmixup.design.task import Task

RandomState = int | np.random.RandomState | np.random.Generator | None

_METHODS = ("auto", "good_lattice", "optimize")


def _check_initial(
    initial: ArrayLike | None, n_runs: int, n_factors: int, n_levels: tuple[int, ...]
) -> Ints:
    """The runs made already: in range, of the right width, none twice."""
    if initial is None:
        return np.zeros((0, n_factors), dtype=np.intp)
    shape = np.shape(initial)
    if 0 in shape:
        return np.zeros((0, n_factors), dtype=np.intp)
    if len(shape) != 2 or shape[1] != n_factors:
        raise ValueError(f"initial has shape {shape}: it must be (runs already made, {n_factors})")
    rows, _ = as_levels(initial, n_levels, name="initial")
    if len(rows) > n_runs:
        raise ValueError(f"initial has {len(rows)} runs, more than n_runs={n_runs}")
    ((run, times),) = Counter(map(tuple, rows.tolist())).most_common(1)
    if times > 1 and n_runs <= prod(n_levels):
        raise ValueError(f"initial has duplicated runs: {[*run]} occurs {times} times")
    return rows


def _check_task(
    n_runs: int,
    n_factors: int,
    n_levels: int | Sequence[int] | None,
    criterion: str,
    initial: ArrayLike | None,
) -> Task:
    """The task, or an error that names what is wrong with it."""
    n_runs = check_count("n_runs", n_runs, 2)
    n_factors = check_count("n_factors", n_factors, 1)
    check_design_size(n_runs, n_factors)
    counts = level_numbers(n_levels, n_factors, n_runs)
    for c, q in enumerate(counts):
        if q > n_runs:
            name = "n_levels" if isinstance(n_levels, Integral) else f"n_levels[{c}]"
            raise ValueError(
                f"{name}={q} is more than n_runs={n_runs}, so that a level would never occur: "
                f"use at most {n_runs} levels, or at least {q} runs"
            )
    check_criterion(criterion)
    task = Task(n_runs, counts, criterion, _check_initial(initial, n_runs, n_factors, counts))
    task.random_design(np.random.default_rng(0))  # raises where the initial runs are unbalanced
    return task


def generator(random_state: RandomState) -> np.random.Generator:
    """A generator of its own; None is a fixed seed, so that a default call is reproducible."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31))
    if random_state is None:
        return np.random.default_rng(0)
    return np.random.default_rng(check_count("random_state", random_state, 0))


def _image(design: Ints, n_levels: int, rng: np.random.Generator) -> Ints:
    """The design with its factors exchanged and mirrored at random.

    The centred discrepancy of every prefix stays the same.
    """
    n_factors = design.shape[1]
    turned = design[:, rng.permutation(n_factors)]
    mirror = rng.integers(2, size=n_factors) == 1
    return np.where(mirror, n_levels - 1 - turned, turned)


def uniform_design(
    n_runs: int,
    n_factors: int,
    n_levels: int | Sequence[int] | None = None,
    *,
    criterion: str = "CD",
    method: str = "auto",
    initial: ArrayLike | None = None,
    random_state: RandomState = None,
    effort: float = 1.0,
) -> Ints:
    """Uniform design U_n(q^s): n runs over s factors, spread as evenly as is known or found.

    Every level of a factor occurs equally often (to within one where n is no multiple of q), and
    among all such designs one with a small discrepancy is returned. Rows come in prefix-uniform
    order (:func:`prefix_uniform_order`): a sweep that stops early has still made a good design.
    No run occurs twice unless there are fewer level combinations than runs, or initial runs leave
    no other balanced choice.

    Parameters
    ----------
    n_runs : int, at least 2
        Runs n, at most 10,000, and fewer for more than ten factors: n²·s up to 10⁹.
    n_factors : int, from 1 to 1000
        Factors s.
    n_levels : int, one int per factor, or None
        Levels q of each factor, 2 ≤ q ≤ n; they may differ (a category of three beside a learning
        rate of thirty). None: q = n, each level once, which suits continuous parameters.
    criterion : {"CD", "WD", "MD"}, default "CD"
        The squared discrepancy to minimise, see :func:`discrepancy`.
    method : {"auto", "optimize", "good_lattice"}, default "auto"
        "auto" takes a design from the shipped table where it has one (CD, up to 15 factors: as
        many levels as runs for n ≤ 60 and for n = 500, three to six levels that divide n for
        n ≤ 60, three or more that divide n for n ≤ 30; n levels for up to n − 1 factors where
        n ≤ 30, and for up to 20 where n = 100, 150, 200, 250: a millisecond) and searches
        elsewhere. "optimize" always searches, without the table. "good_lattice" takes
        :func:`good_lattice_points`, their n levels merged into q neighbouring ones where q < n,
        and runs that have become equal swapped apart: milliseconds for some hundred runs, at a
        discrepancy a quarter to a half larger.
    initial : int array of shape (n_initial, n_factors), optional
        Runs that have been made already (levels 0 … q − 1). They stay the first rows, and the
        runs that complete them best are found.
    random_state : int, numpy Generator or RandomState, or None
        None gives the same design on every call, as parallel workers need it (a searched one may
        differ between kinds of processors, by rounding; a shipped one never does). A
        seed gives one of many equally good designs: it starts the search, and of a shipped design
        it returns an image with factors exchanged and mirrored, which has the same discrepancy.
        Good lattice points do not depend on it.
    effort : float, default 1.0
        How long to search, counted in steps, so that (seed, effort) gives the same design however
        fast the machine is. 1 takes 0.03 s for 9 runs of 3 factors, 0.5 s for (30, 10), 2 s for
        (100, 10); the time grows in proportion. With method="auto", an effort above 1 searches on
        from the shipped design.

    Returns
    -------
    int array of shape (n_runs, n_factors)
        Levels 0 … q − 1; :func:`to_unit_cube` makes them points of the unit cube.

    Raises
    ------
    TypeError, ValueError
        Fewer runs than levels, fewer than one factor or two levels, too large a design (answered
        at once, with the largest that works), an unknown criterion or
        method, initial runs that are out of range, duplicated, too many, or that no completion
        can balance. The message names the parameter, its value and what would be valid.

    See Also
    --------
    orthogonal_array : every pair of levels equally often, in q² runs.
    skmixup.effects.design_effects : what the responses say, once the runs have been made.

    Notes
    -----
    The search is threshold accepting (Winker & Fang 1997; Fang, Lu & Winker 2003) over swaps of
    two levels within a factor, with the differences of all swaps in a block of runs from one
    matrix product. It starts from random balanced designs, good lattice points, designs that are
    their own mirror images (where factors are few for the runs) and, where q < n and an orthogonal
    array of n runs exists, from its columns with levels renamed (Tang, Xu & Lin 2012).

    References
    ----------
    K.-T. Fang, R. Li, A. Sudjianto (2006), *Design and Modeling for Computer Experiments*,
    chapter 3; P. Winker, K.-T. Fang (1997), "Application of threshold-accepting to the evaluation
    of the discrepancy of a set of points", SIAM J. Numer. Anal. 34.

    Examples
    --------
    >>> from skmixup.design import discrepancy, uniform_design
    >>> design = uniform_design(30, 5)
    >>> design.shape, discrepancy(design) < 0.0052
    ((30, 5), True)

    Twelve runs of an optimizer (3 choices), a batch size (4) and a learning rate (12 levels):

    >>> mixed = uniform_design(12, 3, n_levels=(3, 4, 12))
    >>> [sorted(column) == sorted(list(range(q)) * (12 // q))
    ...  for column, q in zip(mixed.T.tolist(), (3, 4, 12))]
    [True, True, True]

    Six more runs that complete those six best:

    >>> first = uniform_design(6, 2, n_levels=6)
    >>> both = uniform_design(12, 2, n_levels=6, initial=first)
    >>> bool((both[:6] == first).all())
    True
    """
    task = _check_task(n_runs, n_factors, n_levels, criterion, initial)
    if method not in _METHODS:
        raise ValueError(f"method={method!r} is unknown: choose one of {list(_METHODS)}")
    number = isinstance(effort, Real) and not isinstance(effort, bool)
    if not number or not 0 <= effort < np.inf:
        raise ValueError(f"effort={effort!r} must be a finite number of at least 0")
    rng = generator(random_state)
    if method == "good_lattice":
        if len(task.initial):
            raise ValueError(
                "method='good_lattice' cannot complete initial runs: use 'auto' or 'optimize'"
            )
        design = with_distinct_runs(task, lattice_design(task), np.random.default_rng(0))
    elif not task.n_free:
        return task.initial.copy()
    else:
        known = shipped_design(task) if method == "auto" else None
        if known is not None and random_state is not None:
            known = _image(known, task.n_levels[0], rng)
        if known is not None and effort <= 1:
            return known
        design = optimized(task, effort, rng, start=known)
    order = prefix_uniform_order(
        design, task.n_levels, criterion=criterion, n_fixed=len(task.initial)
    )
    return np.asarray(design[order])

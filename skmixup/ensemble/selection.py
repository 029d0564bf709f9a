"""Weights of an ensemble's members by greedy selection.

References
----------
R. Caruana, A. Niculescu-Mizil, G. Crew, A. Ksikes (2004), "Ensemble selection from libraries of
models", International Conference on Machine Learning.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: As many picks as our trial had: a member's weight is a multiple of a twelfth at the most.
N_PICKS = 12


def greedy_weights(
    members: Sequence[Floats], score: Callable[[Floats], Any], n_picks: int = N_PICKS
) -> Floats:
    """Weights, with sum 1, that make the mean of the members' predictions score well.

    It begins with the best member, and adds to the ensemble again and again the member with which
    the mean of all that were picked so far scores best; a member may be picked more than once.
    The weights are those after the pick with the best score.

    Parameters
    ----------
    members : sequence of ndarray of shape (n, n_classes)
        Predictions of each member for the same rows, which it was not trained on.
    score : callable
        Of such an array; what is greater is better. Anything that can be compared.
    n_picks : int
        How many picks at the most.

    Returns
    -------
    ndarray of shape (n_members,)
    """
    counts = np.zeros(len(members))
    total = np.zeros_like(members[0])
    best, best_counts = None, counts
    for n in range(1, n_picks + 1):
        scores = [score((total + member) / n) for member in members]
        pick = max(range(len(members)), key=scores.__getitem__)  # of equals the first
        counts[pick] += 1
        total = total + members[pick]
        if best is None or scores[pick] > best:
            best, best_counts = scores[pick], counts.copy()
    return best_counts / best_counts.sum()

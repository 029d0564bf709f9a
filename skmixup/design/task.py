"""What a design is asked for, and where its search begins."""

from dataclasses import dataclass

import numpy as np

from skmixup.design.exchange import Chains
from skmixup.design.levels import Ints, balanced_counts


@dataclass(frozen=True)
class Task:
    """What is asked for: the sizes, the criterion, and the runs that are there already."""

    n_runs: int
    n_levels: tuple[int, ...]
    criterion: str
    initial: Ints

    @property
    def n_factors(self) -> int:
        """Columns of the design."""
        return len(self.n_levels)

    @property
    def n_free(self) -> int:
        """Runs still to be chosen."""
        return self.n_runs - len(self.initial)

    def random_design(self, rng: np.random.Generator, *, random_extras: bool = True) -> Ints:
        """The initial runs, completed by balanced columns in random order."""
        columns = []
        for c, q in enumerate(self.n_levels):
            used = np.bincount(self.initial[:, c], minlength=q)
            counts = balanced_counts(self.n_runs, q, used, rng if random_extras else None)
            if counts is None:
                raise ValueError(
                    f"initial is unbalanced in factor {c}: its {q} levels occur {used.tolist()} "
                    f"times, but in {self.n_runs} runs {self.n_runs % q or q} of them may occur "
                    f"{-(-self.n_runs // q)} times and the others {self.n_runs // q} times"
                )
            columns.append(rng.permutation(np.repeat(np.arange(q), counts)))
        return np.concatenate([self.initial, np.stack(columns, axis=1)])

    def chains(self, designs: Ints) -> Chains:
        """Chains that search for this task from the given designs (chains, n_runs, s)."""
        return Chains(designs.copy(), self.n_levels, self.criterion, n_fixed=len(self.initial))

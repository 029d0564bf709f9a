"""The points that a plan runs: where every row lies in every column, on the unit interval."""

from collections.abc import Callable, Sequence

import numpy as np

from skmixup.design.central import central_runs, mirrored, places_of_levels, with_first_runs
from skmixup.design.completion import MAX_SEARCHED_ROWS, complete_column, sobol_column
from skmixup.design.factors import Factor
from skmixup.design.levels import Floats, Ints, cell, middle
from skmixup.design.shipped import shipped_columns
from skmixup.tuning.distinct import moved_apart


class PointTable:
    """Where every row lies in every column, on the unit interval.

    Rows 0 … n_runs − 1 are the design. Rows beyond it complete the design, block by block of
    n_runs rows. Everything follows from the arguments, so any process computes the same table.

    Parameters
    ----------
    n_runs : int
        Runs of the design.
    n_levels : int, sequence of int, or None
        Levels of every column (None: as many as runs), or of each column of the design.
    criterion : {"CD", "WD", "MD"}
    seed : int
    n_columns : int, default 0
        Columns that ``design`` makes as a whole. Those beyond are made one by one as they are
        asked for, each so that it forms a uniform design with those before it.
    design : callable, optional
        Makes the levels (n_runs, n_columns) of the design, or None where these columns too are
        made one by one. It may take seconds, so it is only called when one of its columns is
        asked for that :meth:`set_levels` has not put in place.
    central : bool, default False
        Whether the first run is in the middle, and the levels of columns that have as many as
        runs lie as in a central design.
    factors : sequence of Factor, default ()
        What the columns of the design stand for, where there are finitely many settings: as long
        as some are left, rows that complete the design are searched among these.
    """

    def __init__(
        self,
        n_runs: int,
        n_levels: int | Sequence[int] | None,
        criterion: str,
        seed: int,
        n_columns: int = 0,
        design: Callable[[], Ints | None] = lambda: None,
        *,
        central: bool = False,
        factors: Sequence[Factor] = (),
    ):
        self.n_runs = n_runs
        self.criterion = criterion
        self.central = central
        self.seed = seed
        self.n_columns = n_columns
        self._n_levels = n_levels
        self._design = design
        self._factors = factors
        self._columns: dict[tuple[int, int], Floats] = {}
        #: The columns that were shared with other workers, as the study holds them.
        self.texts: dict[int, str] = {}

    def n_levels(self, column: int) -> int:
        """The number of levels of a column of the design."""
        if self._n_levels is None:
            return self.n_runs
        return self._n_levels if isinstance(self._n_levels, int) else self._n_levels[column]

    def levels(self, column: int) -> Ints:
        """The design's levels in one column."""
        return cell(self._block(0, column), self.n_levels(column))

    def set_levels(self, column: int, levels: Ints) -> None:
        """Put a column of the design in place."""
        self._columns[0, column] = self._places(levels, self.n_levels(column))

    def at(self, row: int, column: int) -> float:
        """The place of a row in a column."""
        block, i = divmod(row, self.n_runs)
        return float(self._block(block, column)[i])

    def design_points(self) -> Floats:
        """The points (n_runs, n_columns) of the design."""
        columns = [self._block(0, column) for column in range(self.n_columns)]
        return np.column_stack(columns or [np.empty((self.n_runs, 0))])

    def _block(self, block: int, column: int) -> Floats:
        key = block, column
        if key not in self._columns and column < self.n_columns:
            if block == 0:
                self._make_design()
            elif self._factors and self._is_searched(block):
                self._make_other_settings(block)
        if key not in self._columns:
            self._columns[key] = self._make_block(block, column)
        return self._columns[key]

    def _is_searched(self, block: int) -> bool:
        return (block + 1) * self.n_runs <= MAX_SEARCHED_ROWS

    def _make_design(self) -> None:
        design = self._design()
        if design is not None:
            for column, levels in enumerate(design.T):
                if (0, column) not in self._columns:
                    self.set_levels(column, levels)

    def _make_other_settings(self, block: int) -> None:
        """A block whose settings no earlier row has, while there are such."""
        columns: list[Floats] = []
        for column in range(self.n_columns):
            columns.append(self._make_block(block, column, columns))
        known = [self._rows(block * self.n_runs, column) for column in range(self.n_columns)]
        rng = np.random.default_rng([self.seed, block])
        new = moved_apart(self._factors, np.column_stack(columns), np.column_stack(known), rng)
        for column, places in enumerate(new.T):
            self._columns[block, column] = places

    def _make_block(self, block: int, column: int, before: Sequence[Floats] = ()) -> Floats:
        """One column of a block; ``before`` are those before it that are not yet in place."""
        if block == 0 and (shipped := self._shipped(column)) is not None:
            return self._places(shipped, self.n_runs)
        n_rows = (block + 1) * self.n_runs
        # Where there are as many as runs, rows that complete the design lie between them.
        has_levels = self.n_levels(column) != self.n_runs
        if not self._is_searched(block):
            u = sobol_column(block * self.n_runs, self.n_runs, column, self.seed)
            q = self.n_levels(column)
            if block == 0:
                return self._places(cell(self._ranked(u, column), q), q)
            return middle(cell(u, q), q) if has_levels else u
        q = self.n_levels(column) if has_levels else n_rows
        known = self._rows(block * self.n_runs, column)
        others = [
            np.append(self._rows(len(known), c), before[c]) if before else self._rows(n_rows, c)
            for c in range(column)
        ]
        if block == 0 and self.central:
            known = middle(central_runs(n_rows, [q] * (column + 1))[:, column], q)
        rng = np.random.default_rng([self.seed, block, column])
        table = np.column_stack(others or [np.empty((n_rows, 0))])
        levels = complete_column(table, known, self.criterion, rng, q)
        if block > 0:
            return middle(levels, q)
        return self._places(np.concatenate([cell(known, q), levels]), q)

    def _shipped(self, column: int) -> Ints | None:
        """A column that ships, mirrored by many seeds; None where those before it are others."""
        table = shipped_columns(self.n_runs) if self.central and self._n_levels is None else None
        if table is None or column >= table.shape[1]:
            return None
        for c, levels in enumerate(table.T[: column + 1]):
            if self.seed and np.random.default_rng([self.seed, 0, c]).random() < 0.5:
                levels = mirrored(levels, self.n_runs)
            if c < column and (levels != self.levels(c)).any():
                return None
        return levels

    def _ranked(self, u: Floats, column: int) -> Floats:
        """Evenly spaced numbers in the order of u, the first in the middle where it is central."""
        ranks = np.argsort(np.argsort(u, kind="stable"), kind="stable")[:, None]
        if self.central:
            runs = central_runs(self.n_runs, [self.n_runs] * (column + 1))
            ranks = with_first_runs(ranks, runs[:, column:])
        return np.asarray(middle(ranks[:, 0], self.n_runs))

    def _places(self, levels: Ints, q: int) -> Floats:
        return places_of_levels(levels, q, self.n_runs) if self.central else middle(levels, q)

    def _rows(self, n_rows: int, column: int) -> Floats:
        blocks = [self._block(b, column) for b in range(n_rows // self.n_runs)]
        return np.concatenate(blocks) if blocks else np.empty(0)

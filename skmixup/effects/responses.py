"""What was run and what came out: the factors' settings and the responses that count."""

import sys
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmixup.design.factors import Continuum, LogIntegers, Scale, Steps, nearest_value
from skmixup.design.levels import Floats
from skmixup.design.settings import is_number, labels, level_key, plain

_LARGEST = sys.float_info.max
_LARGEST_RESPONSE = 1e305


@dataclass(frozen=True)
class ObservedFactor:
    """One factor's settings over the runs that count.

    Numbers lie on a ``scale``, and their ``levels`` are in ascending order; without a scale they
    are categories. Levels are those that have a response.
    """

    name: str
    settings: tuple[Any, ...]
    levels: tuple[Any, ...]
    scale: Scale | None = None

    @property
    def numeric(self) -> bool:
        """Whether the settings are ordered numbers."""
        return self.scale is not None

    @property
    def log(self) -> bool:
        """Whether they lie on a logarithmic scale."""
        return isinstance(self.scale, LogIntegers) or getattr(self.scale, "log", False)

    @property
    def low(self) -> float:
        """The lower end of the scale: the declared one, or the smallest setting."""
        return self._scale.low

    @property
    def high(self) -> float:
        """The upper end of the scale."""
        return self._scale.high

    def indices(self, settings: Iterable[Any] | None = None) -> NDArray[np.intp]:
        """The level index of every run, or of other settings; −1 for one that is no level."""
        position = {level_key(level): i for i, level in enumerate(self.levels)}
        wanted = self.settings if settings is None else settings
        return np.array([position.get(level_key(v), -1) for v in wanted], dtype=np.intp)

    def coded(self, values: Iterable[Any] | None = None) -> Floats:
        """Numbers as −1 … 1 between low and high, after the logarithm where it applies."""
        low, width = self._places()
        places = [self._scale.place(v) for v in (self.settings if values is None else values)]
        return np.asarray(2 * (np.array(places) - low) / width - 1)

    def box(self) -> tuple[float, float]:
        """The coded range that has responses: nothing is known beyond it."""
        low, high = self.coded((self.levels[0], self.levels[-1]))
        return float(low), float(high)

    def decoded(self, z: float) -> Any:
        """The setting nearest to a coded value, inside the range that has responses."""
        first, last = self.box()
        if z <= first + 1e-12 * (last - first):
            return self.levels[0]
        if z >= last - 1e-12 * (last - first):
            return self.levels[-1]
        low, width = self._places()
        value = nearest_value(self._scale, low + (z + 1) / 2 * width)
        return min(max(value, self.levels[0]), self.levels[-1])

    def _places(self) -> tuple[float, float]:
        low = self._scale.place(self._scale.low)
        return low, self._scale.place(self._scale.high) - low

    @property
    def _scale(self) -> Scale:
        if self.scale is None:
            raise AttributeError(f"{self.name} is a category: it has no scale")
        return self.scale


@dataclass(frozen=True)
class Responses:
    """The runs that count: their factors, responses, and whether larger is better.

    ``lost`` holds the settings of the runs without response, as far as they have all factors, and
    ``constants`` those that all runs with a response have in common.
    """

    factors: tuple[ObservedFactor, ...]
    y: Floats
    maximize: bool
    notes: tuple[str, ...] = ()
    lost: tuple[Mapping[str, Any], ...] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Declared:
    """What is declared of a factor: its levels where it is a list, else its range and scale.

    ``number`` is the type of all settings of a range: 1 among a range's floats is 1.0.
    """

    levels: tuple[Any, ...] = ()
    category: bool = False
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    number: type[int] | type[float] | None = None

    def setting(self, value: Any) -> Any:
        """A value as the Python object that this factor has."""
        value = plain(value)
        if self.number is None or not is_number(value) or self.number(value) != value:
            return value
        value = self.number(value)
        if self.step is None or self.low is None or self.high is None or self.number is int:
            return value
        # Optuna adds up steps: 0.1 + 2 · 0.1 is 0.30000000000000004, and the same level as 0.3.
        steps = Steps(self.low, self.high, self.step)
        nearest = float(steps.at(min(max(steps.place(value), 0.0), 1.0)))
        return nearest if abs(nearest - value) <= 1e-9 * self.step else value


@dataclass
class Runs:
    """Runs as they were read: settings by factor name, one response each, nan where none came.

    ``lost`` holds further runs, which have no response for a reason that is in ``notes``.
    """

    settings: Mapping[str, Sequence[Any]]
    y: Floats
    maximize: bool
    declared: dict[str, Declared] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lost: Sequence[Mapping[str, Any]] = ()


def _different(values: Iterable[Any]) -> dict[Hashable, Any]:
    """The different settings, by their keys, in the order of their first appearance.

    Of a grid's arrays they are Python scalars, as an estimator takes them.
    """
    found: dict[Hashable, Any] = {}
    for value in values:
        found.setdefault(level_key(value), plain(value))
    return found


def _are_numbers(levels: Sequence[Any]) -> bool:
    """Whether levels are finite numbers no two of which are equal (as 1 and 1.0 are)."""
    if not all(is_number(v) and -_LARGEST <= v <= _LARGEST for v in levels):
        return False
    return len(set(levels)) == len(levels)


def _scale(name: str, levels: Sequence[Any], declared: Declared) -> Scale:
    """The scale that holds all the levels, and the declared range."""
    if declared.log and min(levels) <= 0:
        raise ValueError(
            f"log: factor {name!r} goes down to {min(levels)}, which has no logarithm"
        )
    ends = [*levels, *(end for end in (declared.low, declared.high) if end is not None)]
    low, high = min(ends), max(ends)
    log = declared.log and low > 0
    if all(isinstance(v, Integral) for v in levels):
        low, high = int(np.floor(low)), int(np.ceil(high))
        if log:
            return LogIntegers(low, high)
        return Steps(low, high, declared.step if isinstance(declared.step, int) else 1)
    if declared.step and not log:
        return Steps(float(low), float(high), float(declared.step))
    return Continuum(float(low), float(high), log)


def _observed(
    name: str, settings: Sequence[Any], declared: Declared, lost: Sequence[Any], notes: list[str]
) -> ObservedFactor:
    """A factor from its settings, what is declared of it, and the settings without response."""
    done = _different(settings)
    unknown = {k: v for k, v in _different([*declared.levels, *lost]).items() if k not in done}
    everything = [*done.values(), *unknown.values()]
    numbers = _are_numbers(everything)
    if declared.log and not numbers:
        raise ValueError(
            f"log: factor {name!r} has the levels {', '.join(labels(tuple(everything)))}, which "
            "are not different numbers"
        )
    if declared.category or not numbers:
        order = _different([*declared.levels, *settings])
        levels = tuple(level for key, level in order.items() if key in done)
        if not declared.category and all(map(is_number, everything)) and not numbers:
            notes.append(f"{name}: {', '.join(labels(levels))} count as levels without an order")
        if unknown:
            texts = labels((*levels, *unknown.values()))[len(levels) :]
            notes.append(f"{name}: no run with a response has {', '.join(texts)}: not judged")
        return ObservedFactor(name, tuple(settings), levels)
    levels = tuple(sorted(done.values()))
    beyond = sum(not levels[0] <= v <= levels[-1] for v in lost)
    if beyond:
        notes.append(
            f"{name}: {beyond} runs outside {levels[0]:.4g} to {levels[-1]:.4g} have no response: "
            "the best setting is sought inside"
        )
    return ObservedFactor(name, tuple(settings), levels, _scale(name, everything, declared))


def unfinished(done: NDArray[np.bool_]) -> str:
    """The note about runs without response."""
    return f"{int((~done).sum())} of {len(done)} runs have no finite response: left out"


def collect(runs: Runs) -> Responses:
    """Leave out runs without response and factors that never vary, and say so."""
    notes = list(runs.notes)
    done = np.isfinite(runs.y)
    if not done.all():
        notes.append(unfinished(done))
    declared = {name: runs.declared.get(name, Declared()) for name in runs.settings}
    settings = {
        name: [declared[name].setting(v) for v in column] for name, column in runs.settings.items()
    }
    rows = [
        {name: known.setting(row[name]) for name, known in declared.items() if name in row}
        for row in runs.lost
    ]
    rows += [{name: settings[name][i] for name in settings} for i in np.flatnonzero(~done)]
    factors: list[ObservedFactor] = []
    constants: dict[str, Any] = {}
    for name, values in settings.items():
        kept = [value for value, keep in zip(values, done, strict=True) if keep]
        lost = [row[name] for row in rows if name in row]
        if len(_different(kept)) < 2:
            where = " in the runs with a response" if len(_different(kept + lost)) > 1 else ""
            notes.append(f"{name} never varies{where}: left out")
            if kept:
                constants[name] = kept[0]
        else:
            factors.append(_observed(name, kept, declared[name], lost, notes))
    if done.sum() < 3 or not factors:
        raise ValueError(
            f"result has {int(done.sum())} runs with a finite response and {len(factors)} factors "
            "that vary: effects need at least 3 runs and 1 factor"
            + "".join(f"; {note}" for note in notes)
        )
    y = runs.y[done]
    if np.abs(y).max() > _LARGEST_RESPONSE:
        raise ValueError(
            f"result has a response of {y[np.abs(y).argmax()]:.4g}, and the effects of numbers "
            f"beyond ±{_LARGEST_RESPONSE:g} overflow: make it nan, which leaves the run out"
        )
    whole = tuple(row for row in rows if all(factor.name in row for factor in factors))
    return Responses(tuple(factors), y, runs.maximize, tuple(notes), whole, constants)

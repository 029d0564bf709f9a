"""Settings that a search runs first: the estimator's present ones, or last month's best."""

from collections.abc import Mapping, Sequence
from typing import Any

from skmixup.design.factors import Factor
from skmixup.design.places import place_of
from skmixup.design.settings import Setting, level_key


def initial_settings(
    initial_params: Any, names: Sequence[str], estimator: Any, n_runs: int
) -> list[Setting]:
    """The settings of ``initial_params``, complete and none twice.

    A parameter that is left out has the value that the estimator has now; one that is not searched
    may be given as it is now, so that ``estimator.get_params()`` is such a setting.
    """
    if initial_params is None:
        return []
    given = [initial_params] if isinstance(initial_params, Mapping) else list(initial_params)
    present = estimator.get_params()
    settings: dict[Any, Setting] = {}
    for i, setting in enumerate(given):
        if not isinstance(setting, Mapping):
            raise TypeError(
                f"initial_params[{i}]={setting!r} must be a dict of parameter name → value"
            )
        unknown = [
            name
            for name in setting
            if name not in names and not _is_present(name, setting[name], present)
        ]
        if unknown:
            raise ValueError(
                f"initial_params[{i}] sets {unknown}: the parameters that are searched are "
                f"{list(names)}"
            )
        missing = [name for name in names if name not in setting and name not in present]
        if missing:
            raise ValueError(
                f"initial_params[{i}] has no value of {missing}, and {type(estimator).__name__} "
                "has no such parameter, or does not list its present value, as skorch's nets do "
                "with arguments of a module that were not set: give a value"
            )
        complete = {n: setting[n] if n in setting else present[n] for n in names}
        settings.setdefault(tuple(level_key(v) for v in complete.values()), complete)
    if len(settings) > n_runs:
        raise ValueError(
            f"initial_params has {len(settings)} settings, but there are only {n_runs} runs to "
            "begin with: more n_runs, or fewer n_rounds, make room for them"
        )
    return list(settings.values())


def _is_present(name: str, value: Any, present: Setting) -> bool:
    return name in present and level_key(present[name]) == level_key(value)


def place_of_setting(setting: Setting, factors: Mapping[str, Factor]) -> list[float] | None:
    """A setting's point in the unit cube of these factors; None where it lies outside."""
    places = [place_of(factor, setting[name]) for name, factor in factors.items()]
    known = [place for place in places if place is not None]
    return known if len(known) == len(places) else None

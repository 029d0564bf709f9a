"""Docstrings that list every parameter: what ``**kwargs`` hand on is documented in one place."""

import re
from collections.abc import Callable
from inspect import cleandoc, signature
from itertools import chain
from typing import TypeVar

_Class = TypeVar("_Class", bound=type)

# The first line of an entry, such as "alpha, beta : float, default=0.2" or "**kwargs".
_ENTRY = re.compile(r"^(?P<names>\*{0,2}\w+(?:, \w+)*)(?P<kind> : .*)?$")


def documents_every_parameter(parent: type | None = None) -> Callable[[_Class], _Class]:
    """Complete the section Parameters of a class, for ``help`` and for command lines.

    Names that share an entry get one each, and the entry ``**kwargs`` makes room for those of
    `parent` that the signature has and the docstring does not. skorch's ``parse_args`` prints
    one option for each entry.
    """

    def decorate(cls: _Class) -> _Class:
        if cls.__doc__ is None:  # python -OO
            return cls
        before, entries, after = _parameters(cls.__doc__)
        if parent is not None and entries.pop("**kwargs", None) is not None:
            known = signature(cls).parameters
            inherited = _parameters(parent.__doc__ or "")[1]
            missing = {n: e for n, e in inherited.items() if n in known and n not in entries}
            entries.update(missing)
        cls.__doc__ = "\n".join([*before, *chain.from_iterable(entries.values()), *after])
        return cls

    return decorate


def _parameters(doc: str) -> tuple[list[str], dict[str, list[str]], list[str]]:
    """Lines before the entries of Parameters, the lines of each entry, lines after."""
    lines = cleandoc(doc).splitlines()
    if "Parameters" not in lines:
        return lines, {}, []
    start = lines.index("Parameters") + 2
    rules = (i for i in range(start, len(lines)) if re.fullmatch("-{3,}", lines[i]))
    end = next(rules, len(lines) + 2) - 2  # the blank line before the next section's title
    entries: dict[str, list[str]] = {}
    names: list[str] = []
    for line in lines[start:end]:
        match = _ENTRY.match(line)
        if match:
            names = match["names"].split(", ")
            entries.update({name: [name + (match["kind"] or "")] for name in names})
        else:
            for name in names:
                entries[name].append(line)
    return lines[:start], entries, lines[end:]

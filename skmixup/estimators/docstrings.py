"""Docstrings that list every parameter: what a class shares with its parent is written once."""

import re
from collections.abc import Callable
from inspect import cleandoc, signature
from typing import TypeVar

_Class = TypeVar("_Class", bound=type)


def documents_every_parameter(parent: type) -> Callable[[_Class], _Class]:
    """Put entries of the parent's section Parameters in the place of the entry ``**kwargs``.

    Those of parameters that the class has and does not describe itself. ``help`` then shows all,
    and skorch's ``parse_args`` prints one option for each entry.
    """

    def decorate(cls: _Class) -> _Class:
        if cls.__doc__ is None or parent.__doc__ is None:  # python -OO
            return cls
        doc = cleandoc(cls.__doc__)
        own, known = _entries(doc), signature(cls).parameters
        if "**kwargs" in own:
            inherited = _entries(cleandoc(parent.__doc__))
            missing = [e for name, e in inherited.items() if name in known and name not in own]
            doc = doc.replace(own["**kwargs"], "\n".join(missing))
        cls.__doc__ = doc
        return cls

    return decorate


def _entries(doc: str) -> dict[str, str]:
    """Name and text of each entry of the section Parameters, which ends at a blank line."""
    section = doc.partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    entries = re.split(r"\n(?=\S)", section)
    return {re.split(r"\s", entry, maxsplit=1)[0]: entry for entry in entries}

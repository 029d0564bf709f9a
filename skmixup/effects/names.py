"""Long names of parameters, made to fit."""

from collections.abc import Iterable
from itertools import takewhile

#: Names of pipelines' and nested estimators' parameters are joined by this.
_JOINT = "__"


def common_prefix(names: Iterable[str]) -> str:
    """The steps that all parameters' names begin with, as ``clf__mlp__``; "" for one name."""
    parts = [name.split(_JOINT)[:-1] for name in names]
    if len(parts) < 2:
        return ""
    shared = takewhile(lambda steps: len(set(steps)) == 1, zip(*parts, strict=False))
    return "".join(steps[0] + _JOINT for steps in shared)


def wrapped(name: str, width: int = 26, most_lines: int = 3) -> str:
    """A name in lines of at most ``width`` characters, broken after "__", "_", "." or a space.

    What is longer than all the lines together loses its middle.
    """
    most = width * most_lines
    if len(name) > most:
        name = name[: most // 3] + "…" + name[len(name) - (most - most // 3 - 1) :]
    lines = []
    while len(name) > width:
        ends = [name.rfind(mark, 0, width) + len(mark) for mark in ("_", ".", " ")]
        end = max((e for e in ends if width // 3 < e <= width), default=width)
        lines.append(name[:end])
        name = name[end:]
    return "\n".join([*lines, name])

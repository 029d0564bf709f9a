"""Ignoring warnings in one thread, with all others' filters as they were.

``warnings.catch_warnings`` copies the filters of the whole process and puts the copy back. Where
two threads are in it at once, one may put back what the other ignores, which nobody then hears of
any more. Only where Python keeps filters by context (``-X context_aware_warnings``, from 3.14 on,
and without a global lock always) it does what is wanted, and nothing else would be heeded.
"""

import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class _Ignored(threading.local):
    """Stands for the message in a filter; matches what this thread ignores at the moment."""

    #: What scikit-learn makes filters of in other threads and processes: nothing matches it.
    pattern = "(?!)"

    def __init__(self) -> None:
        self.patterns: tuple[re.Pattern[str], ...] = ()

    def match(self, message: str) -> bool:
        """Whether the filter applies, as of a regular expression."""
        return any(pattern.match(message) for pattern in self.patterns)

    def __reduce__(self) -> str:
        return "_IGNORED"  # filters are handed on to other processes


_IGNORED = _Ignored()
_FILTER: Any = ("ignore", _IGNORED, Warning, None, 0)


@contextmanager
def ignoring(message: str = "") -> Iterator[None]:
    """Context in which this thread ignores warnings.

    Parameters
    ----------
    message : str, default=""
        Regular expression for the beginning of their texts; "": all warnings.
    """
    if getattr(sys.flags, "context_aware_warnings", 0):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message)
            yield
        return
    before = _IGNORED.patterns
    _IGNORED.patterns = (*before, re.compile(message))
    filters: Any = warnings.filters
    filters.insert(0, _FILTER)
    try:
        yield
    finally:
        _IGNORED.patterns = before
        filters = warnings.filters  # by now another thread may have put back a copy
        with suppress(ValueError):
            filters.remove(_FILTER)

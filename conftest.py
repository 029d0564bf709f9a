"""Runs the examples in docstrings, README.md and docs/ as tests."""

from doctest import ELLIPSIS, NORMALIZE_WHITESPACE

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser as MarkdownCodeBlockParser
from sybil.parsers.markdown import SkipParser as MarkdownSkipParser
from sybil.parsers.rest import DocTestParser
from sybil.sybil import SybilCollection

pytest_collect_file = SybilCollection(
    [
        Sybil(
            parsers=[DocTestParser(optionflags=ELLIPSIS | NORMALIZE_WHITESPACE)],
            patterns=["skmixup/**/*.py"],
        ),
        Sybil(
            parsers=[MarkdownCodeBlockParser(), MarkdownSkipParser()],
            patterns=["README.md", "docs/**/*.md"],
            # copies that the site is built from, and the page whose output is compared as well
            excludes=["docs/benchmarks/*.md", "docs/index.md"],
        ),
    ]
).pytest()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the examples: the longest file would keep one worker when all else is done."""
    items.sort(key=lambda item: item.path.name != "test_examples.py")

"""Runs the examples in docstrings, README.md and docs/ as tests."""

from doctest import ELLIPSIS, NORMALIZE_WHITESPACE

import pytest
from sybil import Sybil
from sybil.integration.pytest import SybilItem
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
            patterns=["README.md", "docs/*.md"],
        ),
    ]
).pytest()


def pytest_collection_modifyitems(items):
    """Keep the examples of a file in one worker: each builds on those before it."""
    for item in items:
        if isinstance(item, SybilItem):
            item.add_marker(pytest.mark.xdist_group(str(item.path)))

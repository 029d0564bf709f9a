"""Facts about docs/: every page has its place, every default its value, every link its target."""

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

import skmixup
from skmixup import networks, tuning
from tools import check_pages

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)
WRITTEN = [page for page in PAGES if page.parent != DOCS / "benchmarks" or page.stem == "index"]
INDEXES = [page for page in WRITTEN if page.stem == "index"]
DEFAULTS = (DOCS / "guide" / "defaults.md").read_text()


def entries_of_toctrees(page):
    """Pages that the toctrees of a page name, as paths."""
    for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(), re.S):
        for line in block.splitlines():
            if line and not line.startswith((":", "*")):
                yield (page.parent / line.strip()).resolve()


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_page_stands_in_a_toctree(page):
    named = {entry for index in INDEXES for entry in entries_of_toctrees(index)}
    assert page.with_suffix("") in named or page == DOCS / "index.md"


@pytest.mark.parametrize("page", INDEXES, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_entry_of_a_toctree_is_a_page(page):
    made = {"gallery", "getting_started"}  # of the examples, when the site is built
    for entry in entries_of_toctrees(page):
        copied = ROOT / "benchmarks" / "results" / f"{entry.name}.md"
        here = copied if entry.parent.name == "benchmarks" else entry.with_suffix(".md")
        assert here.exists() or entry.parent.name in made or entry.name == "index", entry


@pytest.mark.parametrize(
    "script", [*ROOT.glob("examples/*.py"), *ROOT.glob("docs/start/*.py")], ids=lambda s: s.stem
)
def test_every_example_begins_with_its_claim(script):
    """As sphinx-gallery wants it: a title, underlined in full."""
    first = script.read_text().split("\n")[:3]
    assert first[0] == '"""'
    assert len(first[1]) == len(first[2]) > 10
    assert set(first[2]) == {"="}


@pytest.mark.parametrize(
    "room",
    ["", ".augment", ".design", ".effects", ".networks", ".robustness", ".tuning", ".vicinal"],
)
def test_every_public_name_stands_in_the_reference(room):
    page = (DOCS / "api" / "index.md").read_text()
    blocks = re.split(r"\.\. currentmodule:: ", page)[1:]
    listed = {
        block.split("\n", 1)[0]: set(re.findall(r"(?m)^   (\w+)$", block)) for block in blocks
    }
    assert listed[f"skmixup{room}"] == set(import_module(f"skmixup{room}").__all__)


def test_links_of_pages_have_their_targets():
    faults = {page.name: list(check_pages.broken_links(page)) for page in check_pages.pages()}
    assert {name: found for name, found in faults.items() if found} == {}


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](page.md#one) [b](page.md#two) [c](other.md) `[d](no.md)`\n")
    assert len(list(check_pages.broken_links(page))) == 3


def test_the_landing_page_prints_what_it_shows(capsys):
    text = (DOCS / "index.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.S)
    assert len(blocks) == text.count("```python") > 3
    names = {}
    for code, output in blocks:
        exec(code, names)
        assert capsys.readouterr().out == output


def defaults_on_page(section):
    """Parameter → default, of one section of the page of defaults."""
    body = re.split(r"(?m)^## ", DEFAULTS)
    (text,) = [part for part in body if part.startswith(section)]
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.+?) \|", text)
    return {name: re.findall(r"`([^`]+)`", value) for name, value in rows}


@pytest.mark.parametrize(
    ("section", "classes"),
    [
        (
            "Training",
            [
                skmixup.VicinalClassifier,
                skmixup.MixupClassifier,
                skmixup.ManifoldMixupClassifier,
                skmixup.ManifoldMixupRegressor,
            ],
        ),
        ("Rows without", [skmixup.InterpolationConsistencyClassifier]),
        ("The default networks", [networks.MLP, networks.PreActResNet]),
        ("The estimators that tune", [skmixup.MixupClassifierCV, skmixup.MixupRegressorCV]),
        ("Tuning", [tuning.UniformDesignSampler, tuning.OrthogonalDesignSampler]),
        ("Tuning", [tuning.UniformDesignSearchCV]),
    ],
)
def test_defaults_on_the_page_are_those_of_the_code(section, classes):
    said = defaults_on_page(section)
    differing = {("ManifoldMixupRegressor", "criterion")}  # the page says so beside it
    for cls in classes:
        for name, parameter in inspect.signature(cls).parameters.items():
            if name not in said or parameter.default is inspect.Parameter.empty:
                assert section != "Training" or parameter.kind is parameter.VAR_KEYWORD, name
                continue
            value = parameter.default
            shown = value.__name__ if isinstance(value, type) else repr(value).replace("'", '"')
            assert shown in said[name] or (cls.__name__, name) in differing, (cls, name, value)

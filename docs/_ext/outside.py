"""Pages and links that lie outside docs/: benchmark pages, examples, files of the repository.

On GitHub a page links to ``../../benchmarks/results/tabular.md`` and
``../../examples/quickstart.py``. On the site the first is a page of the section on benchmarks, the
second one of the gallery, and any other file of the repository a link to it there. So each link is
written once and works in both.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
RESULTS = ROOT / "benchmarks" / "results"
LINK = re.compile(r"(\]\()([^)#\s]*)((?:#[^)\s]*)?\))")


def parts_of_pages() -> set[str]:
    """Names of the pages that others contain, and that are no pages of their own."""
    names = {page.stem for page in RESULTS.glob("*_method.md")}
    return {*names, "tabular_million"}


def pages() -> list[Path]:
    """The pages of results, as the scripts of benchmarks/ wrote them."""
    return [page for page in sorted(RESULTS.glob("*.md")) if page.stem not in parts_of_pages()]


def copy_results(app: Sphinx) -> None:
    """Bring pages and pictures of results into the section on benchmarks; drop what is gone."""
    folder = Path(app.srcdir) / "benchmarks"
    wanted = {file.name: file for file in [*pages(), *RESULTS.glob("*.png")]}
    for old in folder.iterdir():
        if old.name != "index.md" and old.name not in wanted:
            old.unlink()
    for name, file in wanted.items():
        copy = folder / name
        if not copy.exists() or copy.read_bytes() != file.read_bytes():
            shutil.copy2(file, copy)


def target_on_site(target: Path, repository: str) -> str | Path:
    """Where a file of the repository stands on the site: a path in docs/, or an address."""
    if target.parent == RESULTS and target.stem not in parts_of_pages():
        return DOCS / "benchmarks" / target.name
    if target.parent == RESULTS:
        return DOCS / "benchmarks" / f"{target.stem.rpartition('_')[0]}.md"
    if target.parent == ROOT / "examples" and target.suffix == ".py":
        return DOCS / "gallery" / f"{target.stem}.rst"
    if target.parent == DOCS / "start" and target.suffix == ".py":
        return DOCS / "getting_started" / f"{target.stem}.rst"
    if DOCS in target.parents:
        return target
    kind = "tree" if target.is_dir() else "blob"
    return f"{repository}/{kind}/main/{target.relative_to(ROOT).as_posix()}"


def rewrite(text: str, home: Path, written_in: Path, repository: str) -> str:
    """Point the links of a page to where their targets stand on the site.

    Parameters
    ----------
    text : str
        The page.
    home : Path
        The folder that the page is in on the site, as a path in docs/.
    written_in : Path
        The folder that its links are relative to.
    repository : str
        Address of the repository.
    """

    def mend(match: re.Match[str]) -> str:
        link = match[2]
        if not link or "://" in link or link.startswith(("mailto:", "/")):
            return match[0]
        target = Path(os.path.normpath(written_in / link))
        if not target.exists() or ROOT not in target.parents:
            return match[0]
        there = target_on_site(target, repository)
        if isinstance(there, Path):
            there = os.path.relpath(there, home)
        return f"{match[1]}{there}{match[3]}"

    return LINK.sub(mend, text)


def read_page(app: Sphinx, docname: str, source: list[str]) -> None:
    """Mend the links of one page, when Sphinx reads it."""
    page = DOCS / docname
    copied = page.parent == DOCS / "benchmarks" and page.name != "index"
    source[0] = rewrite(
        source[0], page.parent, RESULTS if copied else page.parent, app.config.repository
    )


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("repository", "", "env")
    app.connect("builder-inited", copy_results)
    app.connect("source-read", read_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Check links, anchors and quoted numbers of every page that the site is made of.

    python tools/check_pages.py [--list]

Prints what is wrong and exits with 1; links to other sites are listed, never fetched.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MADE = {"gallery", "getting_started"}  # folders that come of the examples, when the site is built
LINK = re.compile(r"\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    """Every Markdown page of the repository that is written by hand or by a benchmark."""
    found = [*ROOT.glob("*.md"), *ROOT.glob(".github/**/*.md"), *ROOT.glob("benchmarks/**/*.md")]
    for page in DOCS.rglob("*.md"):
        copied = page.parent == DOCS / "benchmarks" and page.stem != "index"
        if "_build" not in page.parts and not copied:
            found.append(page)
    return sorted(found)


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"```.*?```", "", page.read_text(), flags=re.S)


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as GitHub and MyST make them."""
    headings = re.findall(r"(?m)^#+ (.+)$", prose(page))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def broken_links(page: Path) -> Iterator[str]:
    """Say which links of a page lead nowhere in the repository."""
    for link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = (page.parent / path).resolve() if path else page
        if target.suffix == ".rst" and target.parent.name in MADE:
            target = target.with_suffix(".py")
            homes = [ROOT / "examples", DOCS / "start"]
            if target.stem != "index" and not any((h / target.name).exists() for h in homes):
                yield f"{link}: no such example"
        elif not target.exists():
            yield f"{link}: no such file"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            yield f"{link}: no such heading"


def unfound_numbers(index: Path) -> Iterator[str]:
    """Say which numbers of the front table of benchmarks are not on the page beside them."""
    for row in re.findall(r"(?m)^\| \[.*$", index.read_text()):
        link = LINK.search(row)
        assert link is not None
        page = (index.parent / link[1]).resolve()
        text = page.read_text()
        for number in re.findall(r"\d+(?:\.\d+)?", LINK.sub("]", row)):
            if not re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", text):
                leading = number.removeprefix("0")  # .447 beside 0.447
                if leading == number or leading not in text:
                    yield f"{page.name} does not have {number}"


def missing_benchmarks(index: Path) -> Iterator[str]:
    """Say which pages of results the front table lacks."""
    for page in (ROOT / "benchmarks" / "results").glob("*.md"):
        is_part = page.stem.endswith("_method") or page.stem == "tabular_million"
        if not is_part and f"results/{page.name}" not in index.read_text():
            yield f"{page.name} has no row"


def main() -> int:
    """Check all pages."""
    wrong = [
        f"{page.relative_to(ROOT)}: {fault}" for page in pages() for fault in broken_links(page)
    ]
    index = DOCS / "benchmarks" / "index.md"
    faults = [*unfound_numbers(index), *missing_benchmarks(index)]
    wrong += [f"docs/benchmarks/index.md: {fault}" for fault in faults]
    if "--list" in sys.argv:
        links = {link for page in pages() for link in LINK.findall(prose(page))}
        print(*sorted(link for link in links if "://" in link), sep="\n")
    print(*wrong, sep="\n")
    print(f"{len(pages())} pages, {len(wrong)} faults")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())

"""Where the benchmarks keep what they measure: append, resume, pages.

Results are lines of JSON, each a list: first what was measured, then what came out.

    RECORDS = Records("label_noise", n_keys=3)  # results/label_noise.jsonl
    RECORDS.run([("ERM", 0.2, seed) for seed in range(10)], measure)  # what is not there yet
    RECORDS.rows["ERM", 0.2, 3]  # its values

A run that was interrupted goes on where it stopped. Results over 100 kB are kept compressed, as
results/<name>.jsonl.xz; what is measured later stands in results/<name>.jsonl beside it, until

    python benchmarks/records.py

is run (while no benchmark runs), which compresses what has grown.
"""

import argparse
import json
import lzma
import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
LARGEST = 100_000  # bytes of a file that is not compressed
Key = tuple[Any, ...]


class Records:
    """The results of one benchmark by their keys, the first `n_keys` entries of a line."""

    def __init__(self, name: str, n_keys: int, folder: Path = RESULTS) -> None:
        self.plain = folder / f"{name}.jsonl"
        self.packed = folder / f"{name}.jsonl.xz"
        self.n_keys = n_keys

    @cached_property
    def rows(self) -> dict[Key, list[Any]]:
        """Key → values; of two lines with one key the later counts."""
        lines = [json.loads(line) for line in self._text().splitlines()]
        return {tuple(line[: self.n_keys]): line[self.n_keys :] for line in lines}

    def _text(self) -> str:
        """All whole lines: one without its end was being written when the run was stopped."""
        packed = lzma.decompress(self.packed.read_bytes()) if self.packed.exists() else b""
        plain = self.plain.read_bytes() if self.plain.exists() else b""
        return (packed + plain[: plain.rfind(b"\n") + 1]).decode()

    def append(self, key: Key, values: Sequence[Any]) -> None:
        """Keep a result, on disk when this returns."""
        self.rows[key] = list(values)
        with self.plain.open("a+b") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read() != b"\n":  # half a line, of a run that was stopped
                    file.seek(0)
                    file.truncate(file.read().rfind(b"\n") + 1)
            file.write(_line([*key, *values]).encode())

    def measured(self, key: Key, measure: Callable[..., Sequence[Any]]) -> list[Any]:
        """The values of a key, from ``measure(*key)`` if they are not there yet."""
        if key not in self.rows:
            self.append(key, measure(*key))
        return self.rows[key]

    def run(self, planned: Iterable[Key], measure: Callable[..., Sequence[Any]]) -> None:
        """Measure what is not there yet, and say how far it is, at most once a second."""
        told = 0.0
        for key in planned:
            if key not in self.rows:
                values = self.measured(key, measure)
                if time.monotonic() - told > 1:
                    print(*key, *values, flush=True)
                    told = time.monotonic()

    def forget(self, which: Callable[[Key], bool]) -> None:
        """Drop the results whose keys are such."""
        self.rows = {key: values for key, values in self.rows.items() if not which(key)}
        self._write("".join(_line([*key, *values]) for key, values in self.rows.items()))

    def pack(self) -> None:
        """Compress what has more than `LARGEST` bytes; not while a run is going on."""
        if self.plain.exists() and (self.packed.exists() or self.plain.stat().st_size > LARGEST):
            # A line stands twice where packing was stopped between its last two steps.
            self._write("".join(dict.fromkeys(self._text().splitlines(keepends=True))))

    def _write(self, text: str) -> None:
        content, path, other = text.encode(), self.plain, self.packed
        if len(content) > LARGEST:
            path, other = other, path
            content = lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)
        new = path.with_suffix(".new")
        new.write_bytes(content)
        new.replace(path)
        other.unlink(missing_ok=True)


def _line(entries: Sequence[Any]) -> str:
    return json.dumps(entries, ensure_ascii=False) + "\n"


def command_line(doc: str) -> argparse.ArgumentParser:
    """A parser with the first line of a script's docstring, and ``--report``."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--report", action="store_true", help="write the page, compute nothing")
    return parser


def write_page(name: str, text: str) -> None:
    """Write results/<name>.md, and show it."""
    (RESULTS / f"{name}.md").write_text(text)
    print(text)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, its last line ended."""
    lines = ["| " + " | ".join(row) + " |\n" for row in (header, *rows)]
    return "".join([lines[0], "|---" * len(header) + "|\n", *lines[1:]])


if __name__ == "__main__":
    argparse.ArgumentParser(description="Compress the results that have grown.").parse_args()
    for file in RESULTS.glob("*.jsonl"):
        Records(file.stem, n_keys=1).pack()

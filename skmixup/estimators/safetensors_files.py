"""Parameters in the format of safetensors, with notes in its header."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from torch import Tensor

_NOTES = "skmixup"


def write(state: Mapping[str, Tensor], file: Any, notes: Mapping[str, Any]) -> None:
    """Write tensors that share no memory, and notes of plain values."""
    from safetensors.torch import save

    data = save(dict(state), metadata={_NOTES: json.dumps(notes)})
    if isinstance(file, (str, os.PathLike)):
        Path(file).write_bytes(data)
    else:
        file.write(data)


def read(file: Any) -> dict[str, Tensor]:
    """Return the tensors, and leave an open file where it was."""
    from safetensors.torch import load

    with _opened(file) as opened:
        return dict(load(opened.read()))


def notes_in(file: Any) -> dict[str, Any]:
    """Return the notes, and leave an open file where it was."""
    with _opened(file) as opened:
        # eight bytes for its length, then a header in JSON, then the tensors
        header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    notes: dict[str, Any] = json.loads(header.get("__metadata__", {}).get(_NOTES, "{}"))
    return notes


@contextmanager
def _opened(file: Any) -> Iterator[BinaryIO]:
    if isinstance(file, (str, os.PathLike)):
        with open(file, "rb") as opened:
            yield opened
        return
    position = file.tell()
    try:
        yield file
    finally:
        file.seek(position)

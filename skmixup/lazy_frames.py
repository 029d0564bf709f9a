"""Lazy frames, which hold no rows yet."""

from typing import Any


def refuse_lazy_frame(table: Any, name: str = "X") -> None:
    """Raise ValueError for a lazy frame, as of polars, whose rows nobody has read yet."""
    lazy = hasattr(table, "collect") and hasattr(table, "collect_schema")
    if lazy and not hasattr(table, "shape"):
        raise ValueError(f"{name} is a lazy frame; pass {name}.collect()")

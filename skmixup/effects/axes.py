"""A factor's axis in a picture: its ticks and its scale."""

from collections.abc import Sequence
from typing import Any

from skmixup.design.settings import labels
from skmixup.effects.responses import ObservedFactor

#: Text that is drawn as it is: "$" begins no formula, "_" no index.
PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}
_LONGEST_LABEL, _MOST_TICKS = 16, 12


def characters(width: int) -> int:
    """How many characters take the room of `width` ones of ten points, in an axis' label."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    points = FontProperties(size=rcParams["axes.labelsize"]).get_size_in_points()
    return max(round(width * 10 / points), 8)


def tick_labels(factor: ObservedFactor) -> list[str]:
    """One short label for each level, all of them different."""
    if factor.numeric:
        texts = [f"{v:.3g}" if isinstance(v, float) else str(v) for v in factor.levels]
        if len(set(texts)) == len(texts):
            return texts
    whole = labels(factor.levels)
    short = [
        text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "…" for text in whole
    ]
    if len(set(short)) < len(short):  # they differ further on
        short = [
            text if len(text) <= _LONGEST_LABEL else "…" + text[1 - _LONGEST_LABEL :]
            for text in whole
        ]
    if len(set(short)) < len(short):
        short = [f"{k}: {text}" for k, text in enumerate(short, start=1)]
    return short


def _shown_ticks(factor: ObservedFactor, texts: Sequence[str]) -> list[int]:
    """The levels that have a label; of many numbers every second, or third, …."""
    step = -(-len(texts) // _MOST_TICKS) if factor.numeric else 1
    return list(range(0, len(texts), step))


def level_ticks(axis: Any, factor: ObservedFactor, room: int = 26) -> None:
    """Ticks of an axis on which levels lie at 0, 1, …; ``room`` is the axis' length in characters.

    Labels that would overlap are smaller, and if that is not enough slanted.
    """
    texts = tick_labels(factor)
    shown = _shown_ticks(factor, texts)
    axis.set_ticks(shown, [texts[k] for k in shown], **PLAIN)
    needed = len(shown) * (max(len(texts[k]) for k in shown) + 1)
    for label in axis.get_ticklabels():
        if needed > room or len(shown) > 8:
            label.set_fontsize("small")
        if axis.axis_name == "x" and needed > 1.3 * room:
            label.set(rotation=40, ha="right", rotation_mode="anchor")


def number_scale(axis: Any, factor: ObservedFactor) -> None:
    """The scale of a continuous factor's axis: logarithmic where the factor is."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter

    if not factor.log:
        axis.set_major_locator(MaxNLocator(5, integer=isinstance(factor.levels[0], int)))
        return
    set_scale = axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale
    set_scale("log")
    axis.set_minor_formatter(NullFormatter())
    if factor.high < 100 * factor.low:  # too few decades to be labelled alone
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FormatStrFormatter("%g"))
    else:
        axis.set_major_locator(LogLocator(numticks=6))

"""The page of `tabular.py`: ranks, duels, calibration and seconds, in two parts."""

import numpy as np

from benchmarks.records import RESULTS, table, write_page
from benchmarks.tables.comparison import (
    PARTS,
    common,
    duel,
    frame_of,
    machine,
    mean_ranks,
    measured_on_most,
    part_of,
    rank_line,
    splits_text,
)
from benchmarks.tables.peers import METHODS, NETWORKS, SLOW

SCORES = ("accuracy", "log-loss", "ECE", "seconds")
SIGNS = {"accuracy": -1, "log-loss": 1}  # what is small is good, for ranks
OURS = ("MixupClassifierCV", "manifold mixup")  # what the duels are about

HEAD = """# Tables: against what a user would pick instead

Written by `benchmarks/tables/tabular.py --report`. {n_sets} sets (KEEL, UCI, scikit-learn's own),
{n_splits} of each, stratified: at most 2000 rows for training (at most 3/4 of the rows), up to
4000 others for testing; classes of fewer than 10 rows left out.

**Two parts.** In alphabetical order every other set, from the first, is of the part on which the
default network, its training and the space of `MixupClassifierCV` were chosen (on other splits or
on the same); the others were **kept aside** for this page. Earlier defaults were chosen on sets
of both parts, so "kept aside" is said of the choices made since. What counts is the part kept
aside; both are reported.

*ERM*, *mixup* and *manifold mixup* are `VicinalClassifier()`, `MixupClassifier()` and
`ManifoldMixupClassifier()`: the same default network. The others are set as their authors advise
where probabilities count, which [`peers.py`](../tables/peers.py) spells out: RealMLP chooses its
epoch by cross-entropy, without label smoothing, and trains on all rows; TabM is TabArena's;
CatBoost tuned tries ten settings on one fold and bags the best on five, where `MixupClassifierCV`
tries twenty on one and at most six on five. CatBoost, RealMLP and TabM take text columns as they
are, told which these are; the rest is in `skrub.tabular_pipeline`.

Seconds are those of the processor for one fit in one thread ({machine}), taken beside other work:
compare them by their ratios, and roughly.
"""

LEFT_OUT = """Left out are {} sets on which not all of these were measured, for want of time on two
cores: {}.
"""


def report(rows, sets):
    """Write results/tabular.md and its picture."""
    frame = frame_of(rows, SCORES)
    parts = part_of(sets)
    kept = frame[frame.set.map(parts) == PARTS[0]]
    fast = measured_on_most(kept, [m for m in METHODS if m not in SLOW], len(sets) // 2)
    means, n_splits = common(frame, fast)
    splits = splits_text(n_splits)
    text = [HEAD.format(n_sets=len(means), n_splits=splits, machine=machine())]
    left_out = [name for name in sorted(sets) if name not in means.index]
    if left_out:
        text.append(LEFT_OUT.format(len(left_out), ", ".join(left_out)))
    for part in PARTS:
        here = means.loc[[name for name in means.index if parts[name] == part]]
        text.append(f"## The sets {part} ({len(here)})\n\n" + _summary(here, fast))
        text.append(_losses(here, fast))
        text.append(_ranks(here, fast))
        text.append(_duels(here, fast))
        if part == PARTS[0] and draw(here, fast):
            text.append(PICTURE)
    text.append(_partly(frame, [m for m in METHODS if m not in fast], parts))
    for score in SCORES:
        text.append(_all_sets(means[score], score, fast, parts))
    million = RESULTS / "tabular_million.md"
    if million.exists():
        text.append("## A million rows\n\n" + million.read_text())
    write_page("tabular", "\n".join(text))


def _summary(means, methods):
    """Means over the sets, mean ranks, and seconds."""
    ranks = {s: mean_ranks(means[s][methods] * sign) for s, sign in SIGNS.items()}
    rows = [
        [
            method,
            *(f"{means[s][method].mean():.4f}" for s in ("accuracy", "log-loss", "ECE")),
            *(f"{ranks[s][method]:.2f}" for s in SIGNS),
            f"{means['seconds'][method].median():.2f}",
            f"{means['seconds'][method].max():.1f}",
        ]
        for method in methods
    ]
    header = ["mean over sets", "accuracy", "log-loss", "ECE", "rank, accuracy"]
    return table([*header, "rank, log-loss", "seconds, median", "largest"], rows)


def _ranks(means, methods):
    """Mean ranks, Friedman's test and Nemenyi's critical difference."""
    networks = [m for m in methods if m in NETWORKS]
    lines = ["Mean ranks:\n"]
    for score, sign in SIGNS.items():
        for group, what in ((methods, "all"), (networks, "single networks")):
            lines.append(rank_line(means[score][group] * sign, f"{score}, {what}"))
    return "\n".join([*lines, ""])


def _losses(means, methods):
    """Where ours are furthest behind, by log-loss."""
    lines = ["Where ours lose, by log-loss:\n"]
    for mine in (m for m in OURS if m in methods):
        for other in ("CatBoost tuned", "CatBoost", "RealMLP-TD-S", "LogisticRegression"):
            if other not in methods:
                continue
            behind = means["log-loss"][mine] - means["log-loss"][other]
            worst = behind[behind > 0.005].sort_values(ascending=False)
            named = ", ".join(f"{name} +{gap:.3f}" for name, gap in worst.head(5).items())
            lines.append(
                f"* **{mine}** behind {other} by more than .005 on {len(worst)} of {len(means)}"
                + (f": {named}." if named else ".")
            )
    return "\n".join([*lines, ""])


def _duels(means, methods):
    """Sets won and lost by ours against each of the others."""
    rows = []
    for mine in (m for m in OURS if m in methods):
        for other in methods:
            if other == mine:
                continue
            cells = [mine, other]
            for score, sign in SIGNS.items():
                gain = -sign * (means[score][mine] - means[score][other])
                won, p = duel(gain)
                cells += [won, f"{-sign * gain.mean():+.4f}", p]
            rows.append(cells)
    header = ["", "against", "accuracy: won / lost", "mean difference", "p"]
    header += ["log-loss: won / lost", "mean difference", "p"]
    return "Duels; p is of Wilcoxon's signed-rank test over the sets.\n\n" + table(header, rows)


def _partly(frame, methods, parts):
    """What was measured on some of the sets, beside ours and CatBoost on just these."""
    present = set(frame.method)
    rows, missing = [], [m for m in methods if m not in present]
    for method in (m for m in methods if m in present):
        for part in PARTS:
            here = frame[frame.set.map(parts) == part]
            beside = [m for m in (*OURS, "CatBoost") if m in present and m != method]
            means, _ = common(here, [method, *beside])
            for name in (method, *beside) if len(means) else ():
                scores = [f"{means[s][name].mean():.4f}" for s in ("accuracy", "log-loss", "ECE")]
                seconds = f"{means['seconds'][name].median():.2f}"
                lower = (means["log-loss"][name] < means["log-loss"][method]).sum()
                won = "" if name == method else f"{lower} of {len(means)}"
                rows.append([method, part, str(len(means)), name, *scores, seconds, won])
    if not rows and not missing:
        return ""
    header = ["measured on some sets", "part", "sets", "method", "accuracy", "log-loss", "ECE"]
    header += ["seconds, median", "lower log-loss than it"]
    text = "## Measured on some of the sets only\n\nFor want of time on two cores. "
    text += f"Not measured at all: {', '.join(missing) or 'nothing'}.\n\n"
    return text + table(header, rows)


def _all_sets(values, score, methods, parts):
    best = values.max(axis=1) if score == "accuracy" else values.min(axis=1)
    rows = []
    for name, row in values[methods].iterrows():
        cells = [f"{v:.3f}" if score != "seconds" else f"{v:.2f}" for v in row]
        cells = [f"**{c}**" if v == best[name] else c for c, v in zip(cells, row, strict=True)]
        rows.append([name + (" (kept)" if parts[name] == PARTS[0] else ""), *cells])
    return f"## {score[0].upper()}{score[1:]}\n\n" + table(["", *methods], rows)


PICTURE = """Seconds to reach a log-loss: means over these sets, seconds of one core for one fit
of each set in turn; the line joins what nothing else beats in both.

![mean log-loss against total seconds](tabular_seconds.png)
"""


def draw(means, methods):
    """Mean log-loss against total seconds; False where there is no matplotlib."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        return False
    points = {m: (means["seconds"][m].sum(), means["log-loss"][m].mean()) for m in methods}
    figure, axes = plt.subplots(figsize=(8, 5.2), layout="constrained")
    front, lowest = [], np.inf
    for x, y in sorted(points.values()):
        if y < lowest:
            front.append((x, y))
            lowest = y
    axes.plot(*zip(*front, strict=True), color="0.8", zorder=1, drawstyle="steps-post")
    axes.scatter(*zip(*points.values(), strict=True), color="0.25", zorder=2)
    axes.set(xscale="log", xlabel="seconds of one core, all sets", ylabel="mean log-loss")
    axes.margins(x=0.2, y=0.08)
    axes.spines[["top", "right"]].set_visible(False)
    figure.draw_without_rendering()
    taken = []
    for method, point in sorted(points.items(), key=lambda item: item[1]):
        taken.append(_label(axes, method, point, taken))
    figure.savefig(RESULTS / "tabular_seconds.png", dpi=120)
    plt.close(figure)
    return True


def _label(axes, method, point, taken):
    """Write a method's name beside its point, where no other name is; return its box."""
    colour = "tab:red" if method in (*OURS, "mixup") else "0.25"
    for offset, side in (((6, 3), "left"), ((-6, 3), "right"), ((6, -11), "left")):
        text = axes.annotate(
            method, point, offset, textcoords="offset points", ha=side, color=colour, size=9
        )
        box = text.get_window_extent()
        if not any(box.overlaps(other) for other in taken):
            break
        text.remove()
    else:
        axes.add_artist(text)
    return box

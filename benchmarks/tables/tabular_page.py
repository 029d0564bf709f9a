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
of both parts, so "kept aside" is said of the choices made since, but for one: the scale of columns
of mostly one value was found on adult, arrhythmia and bands, on other splits
([network_defaults](network_defaults.md)). What counts is the part kept aside; both are reported.

*ERM*, *mixup* and *manifold mixup* are `VicinalClassifier()`, `MixupClassifier()` and
`ManifoldMixupClassifier()`: the same default network, number of epochs and temperature found on
held-out rows, so that ERM is ERM with a temperature. The others are set as their authors advise
where probabilities count, which [`peers.py`](../tables/peers.py) spells out: RealMLP chooses its
epoch by cross-entropy, without label smoothing, and trains on all rows (*bagged*: the mean of five
folds' networks instead); TabM is TabArena's; CatBoost tuned tries ten settings on one fold and
bags the best on five, where `MixupClassifierCV` tries twenty on one and at most six on five.
CatBoost, RealMLP and TabM take text columns as they are, told which these are; the rest is in
`skrub.tabular_pipeline`.

ERM, mixup and manifold mixup were measured again on all sets when one pilot was left, on two
thirds of the rows of small tables; `MixupClassifierCV` on those in which few of many columns
matter, when it weighed columns. The others were measured before.

Seconds are those of the processor for one fit in one thread ({machine}), taken beside other work
and on different days: compare them by their ratios, and roughly. In turns on one day, one split of
16 sets of both parts, manifold mixup takes as long as RealMLP-TD-S in the median, 0.2 (heart) to
2.3 times (soybean), ERM 0.7 times as long.
"""

LEFT_OUT = """Left out are {} sets on which not all of these were measured, for want of time: {}.
"""


def report(rows, sets):
    """Write results/tabular.md and its picture."""
    frame = frame_of(rows, SCORES)
    frame = frame[frame.split.isin(frame[frame.method == "RealMLP-TD-S"].split)]
    parts = part_of(sets)
    n_splits = frame.groupby("set").split.nunique()
    text = [HEAD.format(n_sets=len(sets), n_splits=splits_text(n_splits), machine=machine())]
    missing = [m for m in METHODS if m not in set(frame.method)]
    if missing:
        text.append(f"Not measured at all, for want of time: {', '.join(missing)}.\n")
    for part in PARTS:
        here = frame[frame.set.map(parts) == part]
        singles = measured_on_most(here, [m for m in METHODS if m not in (*SLOW, OURS[0])], 20)
        means, _ = common(here, singles)
        text.append(_section(means, singles, f"Single models and trees, sets {part}", sets, parts))
        tuned = here[here.set.isin(here[here.method == "MixupClassifierCV"].set)]
        everything = measured_on_most(tuned, METHODS, 1.8 * tuned.set.nunique())
        means, _ = common(tuned, everything)
        if len(means) >= 5:
            title = f"What tunes itself too, sets {part}"
            text.append(_section(means, everything, title, sets, parts))
            if part == PARTS[0] and draw(means, everything):
                text.append(PICTURE)
        text.append(_duels(here, part))
    text.append(_partly(frame, parts))
    present = [m for m in METHODS if m not in missing]
    values = frame.pivot_table(index="set", columns="method", values=list(SCORES)).round(9)
    for score in SCORES:
        text.append(all_sets(values[score], score, present, parts))
    million = RESULTS / "tabular_million.md"
    if million.exists():
        text.append("## A million rows\n\n" + million.read_text())
    write_page("tabular", "\n".join(text))


def write_unseen(name, head, said, rows, n_tables):
    """Write the page of tables that nothing was chosen on."""
    frame = frame_of(rows, SCORES)
    methods = measured_on_most(frame, METHODS, 2 * 0.9 * n_tables)
    lines = [head.format(n_tables=n_tables, machine=machine()), said]
    tuning = "MixupClassifierCV"
    singles = [m for m in methods if m not in (*SLOW, tuning)]
    for title, compared in (
        ("Means", singles),
        ("What tunes itself too: means", [*methods, *({tuning} - {*methods})]),
    ):
        means, _ = common(frame, compared)
        lines += [f"## {title} over {len(means)} tables\n", summary(means, compared)]
        lines.append(rank_lines(means, compared))
    values = frame.pivot_table(index="set", columns="method", values=list(SCORES)).round(9)
    present = [m for m in METHODS if m in set(frame.method)]
    lines += [all_sets(values[score], score, present, {}) for score in ("accuracy", "log-loss")]
    write_page(name, "\n".join(lines))


def _section(means, methods, title, sets, parts):
    """Means, losses and ranks of a part."""
    part = {parts[name] for name in means.index}
    left_out = [n for n in sorted(sets) if parts[n] in part and n not in means.index]
    text = [f"## {title} ({len(means)})\n"]
    if left_out:
        text.append(LEFT_OUT.format(len(left_out), ", ".join(left_out)))
    ours = [summary, _losses, rank_lines]
    return "\n".join([*text, *(write(means, methods) for write in ours)])


def summary(means, methods):
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


def rank_lines(means, methods):
    """Mean ranks, Friedman's test and Nemenyi's critical difference."""
    networks = [m for m in methods if m in NETWORKS]
    lines = ["Mean ranks:\n"]
    for score, sign in SIGNS.items():
        for group, what in ((methods, "all"), (networks, "single networks")):
            if len(group) > 2:
                lines.append(rank_line(means[score][group] * sign, f"{score}, {what}"))
    return "\n".join([*lines, ""])


def _losses(means, methods):
    """Where ours are furthest behind, by log-loss."""
    if not set(OURS) & set(methods):
        return ""
    lines = ["Where ours lose, by log-loss:\n"]
    for mine in (m for m in OURS if m in methods):
        for other in ("CatBoost tuned", "CatBoost", "RealMLP-TD-S", "ERM", "LogisticRegression"):
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


def _duels(here, part):
    """Sets won and lost by ours, each pair on all sets where both were measured."""
    values = here.pivot_table(index="set", columns="method", values=list(SCORES)).round(9)
    rows = []
    for mine in (m for m in OURS if m in values["log-loss"]):
        for other in (m for m in METHODS if m in values["log-loss"] and m != mine):
            pair = values.loc[:, (slice(None), [mine, other])].dropna()
            if len(pair) < 5:
                continue
            cells = [mine, other, str(len(pair))]
            for score, sign in SIGNS.items():
                gain = -sign * (pair[score][mine] - pair[score][other])
                won, p = duel(gain)
                cells += [won, f"{-sign * gain.mean():+.4f}", p]
            rows.append(cells)
    header = ["", "against", "sets", "accuracy: won / lost", "mean difference", "p"]
    header += ["log-loss: won / lost", "mean difference", "p"]
    text = f"## Duels, sets {part}\n\nEach on all sets where both were measured; "
    return f"{text}p is of Wilcoxon's signed-rank test over the sets.\n\n" + table(header, rows)


def _partly(frame, parts):
    """What was measured on some of the sets only, beside ours on just these."""
    rows = []
    for method in (m for m in SLOW if m not in OURS and m in set(frame.method)):
        for part in PARTS:
            here = frame[frame.set.map(parts) == part]
            for mine in OURS:
                means, _ = common(here, [method, mine])
                if not len(means):
                    continue
                won = (means["log-loss"][mine] < means["log-loss"][method]).sum()
                cells = [
                    f"{means[s][m].mean():.4f}"
                    for s in ("accuracy", "log-loss", "ECE")
                    for m in (method, mine)
                ]
                rows.append([method, part, mine, *cells, f"{won} of {len(means)}"])
    if not rows:
        return ""
    header = ["it", "part", "ours", "accuracy: it", "ours", "log-loss: it", "ours"]
    header += ["ECE: it", "ours", "ours has the lower log-loss on"]
    return "## The slow ones, one by one\n\n" + table(header, rows)


def all_sets(values, score, methods, parts):
    """The scores set by set; – where there is none."""
    best = values.max(axis=1) if score == "accuracy" else values.min(axis=1)
    rows = []
    for name, row in values[methods].iterrows():
        cells = [f"{v:.3f}" if score != "seconds" else f"{v:.2f}" for v in row]
        cells = ["–" if c == "nan" else c for c in cells]
        cells = [f"**{c}**" if v == best[name] else c for c, v in zip(cells, row, strict=True)]
        rows.append([name + (" (kept)" if parts.get(name) == PARTS[0] else ""), *cells])
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

"""The page of `tabular.py`: ranks, duels, calibration and seconds, in two parts."""

import os
import platform

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, studentized_range, wilcoxon

from benchmarks.records import RESULTS, table, write_page
from benchmarks.tables.peers import METHODS, NETWORKS

SCORES = ("accuracy", "log-loss", "ECE", "seconds")
SIGNS = {"accuracy": -1, "log-loss": 1}  # what is small is good, for ranks
OURS = ("MixupClassifierCV", "manifold mixup")  # what the duels are about

HEAD = """# Tables: against what a user would pick instead

Written by `benchmarks/tables/tabular.py --report`. {n_sets} sets (KEEL, UCI, scikit-learn's own),
{n_splits} each: at most 2000 rows for training (at most 3/4 of the rows), up to
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
CatBoost tuned tries ten settings, as `MixupClassifierCV` does, and is the mean of five folds'
models. CatBoost, RealMLP and TabM take text columns as they are, told which these are; the rest
is in `skrub.tabular_pipeline`.

Seconds are those of the processor for one fit in one thread ({machine}), beside other work, which
makes them up to twice what they would be alone; compare them by their ratios.
"""


def part_of(names):
    """Which sets chose and which were kept aside: by turns, in alphabetical order."""
    ordered = sorted(names)
    return {name: "chosen on" if i % 2 == 0 else "kept aside" for i, name in enumerate(ordered)}


def frame_of(rows):
    """One row for each measurement."""
    lines = [[*key, *scores] for key, scores in rows.items()]
    return pd.DataFrame(lines, columns=["set", "split", "method", *SCORES])


def common(frame, methods):
    """The splits on which all of these methods were measured, averaged for each set."""
    frame = frame[frame.method.isin(methods)]
    counts = frame.groupby(["set", "split"]).method.nunique()
    complete = counts.index[counts == len(methods)]
    frame = frame.set_index(["set", "split"]).loc[lambda f: f.index.isin(complete)].reset_index()
    means = frame.pivot_table(index="set", columns="method", values=list(SCORES))
    return means.round(9), frame.groupby("set").split.nunique()  # equal means rank as equal


def report(rows, sets):
    """Write results/tabular.md and its picture."""
    frame = frame_of(rows)
    measured = frame.groupby("method").set.nunique()
    everywhere = [m for m in METHODS if measured.get(m, 0) == len(sets)]
    means, n_splits = common(frame, everywhere)
    many = sorted(set(n_splits))
    parts = part_of(sets)
    machine = f"{platform.machine()}, {os.cpu_count()} virtual cores"
    splits = " to ".join(map(str, dict.fromkeys([many[0], many[-1]])))
    splits += " random stratified split" + ("s" if many[-1] > 1 else "")
    text = [HEAD.format(n_sets=len(means), n_splits=splits, machine=machine)]
    for part in ("kept aside", "chosen on"):
        here = means.loc[[name for name in means.index if parts[name] == part]]
        text.append(f"## The sets {part} ({len(here)})\n\n" + _summary(here, everywhere))
        text.append(_ranks(here, everywhere))
        text.append(_losses(here, everywhere))
        text.append(_duels(here, everywhere))
        if part == "kept aside" and draw(here, everywhere):
            text.append(PICTURE)
    text.append(_partly(frame, [m for m in METHODS if m not in everywhere], parts))
    for score in SCORES:
        text.append(_all_sets(means[score], score, everywhere, parts))
    million = RESULTS / "tabular_million.md"
    if million.exists():
        text.append("## A million rows\n\n" + million.read_text())
    write_page("tabular", "\n".join(text))


def _summary(means, methods):
    """Means over the sets, mean ranks, and seconds."""
    ranks = {s: (means[s][methods] * sign).rank(axis=1).mean() for s, sign in SIGNS.items()}
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
            table_ = means[score][group] * sign
            ranks = table_.rank(axis=1).mean().sort_values()
            p = friedmanchisquare(*table_.T.to_numpy()).pvalue
            k, n = len(group), len(table_)
            gap = studentized_range.ppf(0.95, k, np.inf) / 2**0.5 * (k * (k + 1) / (6 * n)) ** 0.5
            order = ", ".join(f"{name} {rank:.2f}" for name, rank in ranks.items())
            lines.append(
                f"* **{score}, {what}**: {order}. Friedman p = {p:.1g}; means that differ by less "
                f"than {gap:.2f} are not told apart (Nemenyi, 5 %)."
            )
    return "\n".join([*lines, ""])


def _losses(means, methods):
    """Where ours are furthest behind, by log-loss."""
    lines = ["Furthest behind, by log-loss:\n"]
    for mine in (m for m in OURS if m in methods):
        for other in ("CatBoost", "RealMLP-TD-S", "LogisticRegression"):
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
                p = wilcoxon(gain).pvalue if gain.any() else 1.0
                cells += [
                    f"{(gain > 0).sum()} / {(gain < 0).sum()}",
                    f"{-sign * gain.mean():+.4f}",
                ]
                cells.append(f"{p:.2g}")
            rows.append(cells)
    header = ["", "against", "accuracy: won / lost", "mean difference", "p"]
    header += ["log-loss: won / lost", "mean difference", "p"]
    return "Duels; p is of Wilcoxon's signed-rank test over the sets.\n\n" + table(header, rows)


def _partly(frame, methods, parts):
    """What was measured on some of the sets, beside ours and CatBoost on just these."""
    present = set(frame.method)
    rows, missing = [], [m for m in methods if m not in present]
    for method in (m for m in methods if m in present):
        for part in ("kept aside", "chosen on"):
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
        rows.append([name + (" (kept)" if parts[name] == "kept aside" else ""), *cells])
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
    for method, (x, y) in points.items():
        colour = "tab:red" if method in (*OURS, "mixup") else "0.25"
        axes.scatter(x, y, color=colour, zorder=2)
        axes.annotate(method, (x, y), (5, 4), textcoords="offset points", color=colour, size=9)
    axes.set(xscale="log", xlabel="seconds of one core, all sets", ylabel="mean log-loss")
    axes.margins(x=0.18)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(RESULTS / "tabular_seconds.png", dpi=120)
    plt.close(figure)
    return True

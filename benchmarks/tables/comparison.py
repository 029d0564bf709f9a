"""What the pages that compare methods on tables have in common: parts, common splits, ranks."""

import os
import platform

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, studentized_range, wilcoxon

from benchmarks.records import command_line

PARTS = ("kept aside", "chosen on")


def part_of(names):
    """Which sets chose and which were kept aside: by turns, in alphabetical order."""
    return {name: PARTS[1 - i % 2] for i, name in enumerate(sorted(names))}


def frame_of(rows, scores):
    """One row for each measurement of a set, a split and a method."""
    lines = [[*key, *values] for key, values in rows.items()]
    return pd.DataFrame(lines, columns=["set", "split", "method", *scores])


def measured_on_most(frame, methods, n_sets):
    """The methods, in their order, that were measured on at least half of the sets."""
    sets = frame.groupby("method").set.nunique()
    return [m for m in methods if 2 * sets.get(m, 0) >= n_sets]


def common(frame, methods):
    """Means for each set over the splits where all of these methods were measured.

    Returns
    -------
    DataFrame of sets × (score, method), and the number of splits of each set
    """
    frame = frame[frame.method.isin(methods)]
    counts = frame.groupby(["set", "split"]).method.nunique()
    complete = counts.index[counts == len(methods)]
    frame = frame.set_index(["set", "split"]).loc[lambda f: f.index.isin(complete)].reset_index()
    scores = [c for c in frame.columns if c not in ("set", "split", "method")]
    means = frame.pivot_table(index="set", columns="method", values=scores)
    return means.round(9), frame.groupby("set").split.nunique()  # equal means rank as equal


def splits_text(n_splits):
    """How many splits there are of each set, in words."""
    least, most = n_splits.min(), n_splits.max()
    number = str(least) if least == most else f"{least} to {most}"
    return f"{number} random split" + ("s" if most > 1 else "")


def machine():
    """The processor, in words."""
    return f"{platform.machine()}, {os.cpu_count()} virtual cores"


def mean_ranks(values):
    """Mean rank of each method over the sets, 1 the smallest value."""
    return values.rank(axis=1).mean()


def rank_line(values, what):
    """Mean ranks in their order, Friedman's test and Nemenyi's critical difference."""
    ranks = mean_ranks(values).sort_values()
    p = friedmanchisquare(*values.T.to_numpy()).pvalue
    n, k = values.shape
    gap = studentized_range.ppf(0.95, k, np.inf) / 2**0.5 * (k * (k + 1) / (6 * n)) ** 0.5
    order = ", ".join(f"{name} {rank:.2f}" for name, rank in ranks.items())
    return (
        f"* **{what}**: {order}. Friedman p = {p:.1g}; means that differ by less than {gap:.2f} "
        "are not told apart (Nemenyi, 5 %)."
    )


def duel(gain):
    """Sets won and lost, the mean gain and p of Wilcoxon's signed-rank test, as cells."""
    p = wilcoxon(gain).pvalue if gain.any() else 1.0
    return [f"{(gain > 0).sum()} / {(gain < 0).sum()}", f"{p:.2g}"]


def run_or_report(doc, records, planned, measure, report):
    """What a script does: compute what is missing of the methods asked for, or write the page."""
    planned = list(planned)  # set, split, method
    methods = list(dict.fromkeys(method for *_, method in planned))
    parser = command_line(doc)
    parser.add_argument("--methods", nargs="+", default=methods, choices=methods)
    arguments = parser.parse_args()
    if arguments.report:
        report(records.rows)
    else:
        records.run((key for key in planned if key[2] in arguments.methods), measure)

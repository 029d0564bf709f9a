"""Accuracy and log-loss where there are 10 000 rows for training.

    OMP_NUM_THREADS=1 SKMIXUP_DATA=… python benchmarks/tables/tabular_large.py
        [--methods "manifold mixup" CatBoost …]
    python benchmarks/tables/tabular_large.py --report

Peers and scores are those of `tabular.py`; diamonds comes with the package pydataset. Keeps every
result in results/tabular_large.jsonl and writes results/tabular_large.md.
"""

import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.records import Records, write_page
from benchmarks.tables import r_tables
from benchmarks.tables.comparison import common, frame_of, machine, measured_on_most, run_or_report
from benchmarks.tables.peers import METHODS
from benchmarks.tables.tabular import load_common, measure_on
from benchmarks.tables.tabular_page import SCORES, all_sets, rank_lines, summary

RECORDS = Records("tabular_large", n_keys=3)  # table, split, method
SEEDS = (100,)
TRAIN_ROWS = 10_000  # at most; and at most 3/4 of the rows
#: All that have ten thousand rows and more.
TABLES = ("adult", "diamonds", "htru2", "mammography", "nursery", "phishing")


def measure(name, seed, method):
    """The scores of `tabular.py`, of more rows for training."""
    load = r_tables.load if name in r_tables.TABLES else load_common
    return measure_on(*load(name), seed, method, TRAIN_ROWS)


HEAD = """# Tables of ten thousand rows

Written by `benchmarks/tables/tabular_large.py --report`. One split of each set that has so many
rows: at most 10 000 for training (at most 3/4 of the rows), up to 4000 others for testing. Four of
the sets are among those on which the defaults were chosen, with 2000 rows; adult was kept aside
and diamonds nobody chose. Peers, their settings and the scores are those of [tabular](tabular.md).

Seconds are those of the processor for one fit in one thread ({machine}), taken beside much other
work: compare them by their ratios, and roughly.
"""


def report(rows):
    """Write the page of what is there."""
    frame = frame_of(rows, SCORES)
    methods = measured_on_most(frame, METHODS, 2 * 0.9 * len(TABLES))
    means, _ = common(frame, methods)
    lines = [HEAD.format(machine=machine()), SAID, f"## Means over {len(means)} sets\n"]
    lines += [summary(means, methods), rank_lines(means, methods)]
    values = frame.pivot_table(index="set", columns="method", values=list(SCORES)).round(9)
    lines += [all_sets(values[score], score, methods, {}) for score in ("accuracy", "log-loss")]
    write_page("tabular_large", "\n".join(lines))


# What came out; written by hand.
SAID = """\
**The default networks have the lowest log-loss by mean rank of what is not tuned**, and in the
mean as much as CatBoost, 0.1837 (ERM), 0.1843 (manifold mixup) and 0.1843, with the best
calibration of these; in accuracy CatBoost and ERM are level. Logistic regression is ahead of them
on none. Mixing is level with ERM: a little better on diamonds and mammography, a little worse on
the others.

**Tuned CatBoost is first in log-loss**, 0.1770, ahead of ERM on five of six, in a third more
seconds at the median and up to four times as many.

They lose to trees on adult, text columns with gaps: 0.314 and 0.319 to CatBoost's 0.291; and take
four times CatBoost's seconds. There the pilots stop after a few epochs, and a weight decay a
hundred times as large would be better, which loses elsewhere
([network_defaults](network_defaults.md)). RealMLP-TD-S was measured on two sets: adult 0.335,
diamonds 0.708.

**`MixupClassifierCV` is second**, 0.1822, by mean rank 2.17 to tuned CatBoost's 1.83, which are
not told apart; in accuracy as good as the best. It is first of all on htru2 and mammography, and
ahead of both single networks on five of six: not on diamonds, 0.593, where manifold mixup has
0.587 in 42 seconds, by a lucky seed ([network_defaults](network_defaults.md)). It takes eighteen
times tuned CatBoost's seconds. Its networks have one member, and seem too small for so many rows
([self_tuning](self_tuning.md)). That it tries few epochs where rows are many gave 0.0014 on adult,
where it took 820 seconds before and 337 since, and 0.0031 on phishing.
"""


if __name__ == "__main__":
    run_or_report(__doc__, RECORDS, product(TABLES, SEEDS, METHODS), measure, report)

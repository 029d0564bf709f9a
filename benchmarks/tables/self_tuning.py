"""What the parts of MixupClassifierCV's race give: ranges, rounds near the best, who goes on.

    OMP_NUM_THREADS=1 SKMIXUP_DATA=… python benchmarks/tables/self_tuning.py [--sets car …]
    python benchmarks/tables/self_tuning.py --report

Single fits are made once for a set and put together in several ways. Every result is kept in
results/self_tuning.jsonl and is not computed again; ``--report`` writes results/self_tuning.md.
"""

import sys
import time
from functools import cached_property
from pathlib import Path

import numpy as np
import skrub
from scipy.stats import loguniform, uniform
from sklearn.model_selection import StratifiedKFold
from torch import nn

from skmixup import ManifoldMixupClassifier
from skmixup.design import uniform_design
from skmixup.design.factors import as_factors
from skmixup.ensemble.selection import greedy_weights
from skmixup.estimators.temperature import fit_temperature, mean_log_loss, with_temperature
from skmixup.networks import MLP
from skmixup.networks.embeddings import PeriodicEmbeddings
from skmixup.networks.scaling import RobustScaling
from skmixup.tuning.candidates import first_points, settings_at
from skmixup.tuning.distinct import new_points
from skmixup.tuning.initial import place_of_setting
from skmixup.tuning.rounds import Box

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.records import Records, command_line, table, write_page
from benchmarks.tables.tabular import FIRST_SEED, load_common, split

SETS = (
    *("car", "anneal", "waveform5000", "winequality_white", "contraceptive"),
    *("banknote_authentication", "phishing"),
)
TRAIN_ROWS, N_FOLDS, FITTED_FOLDS = 1000, 5, 3  # networks of three folds, to save time
RECORDS = Records("self_tuning", n_keys=2)  # set, way → log-loss, accuracy, seconds
NARROW = {
    "alpha": [0.0, 0.1, 0.2, 0.4, 1.0],
    "dropout": [0.0, 0.08, 0.16, 0.24, 0.32],
    "lr": np.geomspace(3e-4, 3e-3, 10).round(6).tolist(),
    "weight_decay": np.geomspace(1e-3, 1e-1, 10).round(5).tolist(),
    "epochs": [24, 32, 44, 60, 80],
    "depth": [2, 3],
}
WIDE = {
    "alpha": [0.0, 0.1, 0.2, 0.4, 1.0],
    "dropout": uniform(0, 0.4),
    "lr": loguniform(3e-4, 1e-2),
    "weight_decay": loguniform(1e-3, 2e-1),
    "epochs": [16, 24, 36, 48, 64, 96],
    "depth": [2, 3],
    "spread": [0.0, 0.1, 0.4],  # of the embeddings' frequencies; 0: no embeddings
}
OWN = {
    **{"alpha": 0.2, "dropout": 0.1, "lr": 0.0015, "weight_decay": 0.01, "epochs": 48},
    **{"depth": 3, "spread": 0.1},
}
N_WIDE, N_NEAR = 14, 3  # of the wide design; in each of two rounds near the best
TRIAL = "narrow ranges: 10, the better 5 go on"
WAYS = {  # which design, with rounds or not, how many go on, and how many of the rounds' at most
    TRIAL: ("narrow", 0, 5, 0),
    "wide ranges: 14, 5 go on": ("wide", 0, 5, 0),
    "wide: 14 and 6 near the best, 5 go on": ("wide", 2, 5, 5),
    "wide: 14 and 6, 6 go on, at most 3 of the rounds": ("wide", 2, 6, 3),
    "wide: 14 and 6, 6 go on, at most 2 of the rounds": ("wide", 2, 6, 2),
}
CHOSEN = [*WAYS][-1]
WEIGHTS = ("the same weights for all", "half greedy, half the same", "no temperature of each")


class Network(nn.Module):
    """Blocks of 256 units on embedded columns."""

    def __init__(self, n_features, n_outputs, depth, dropout, spread):
        super().__init__()
        self.scaling, self.embed = RobustScaling(n_features), nn.Identity()
        if spread:
            self.embed = PeriodicEmbeddings(n_features, spread=spread)
            n_features = self.embed.n_outputs
        options = {"n_members": 1, "dropout": dropout, "scale_inputs": False}
        sizes = (256,) * depth
        self.mlp = MLP(n_features, n_outputs, hidden_sizes=sizes, activation=nn.SiLU, **options)
        self.mixup_layers = [f"mlp.blocks.{k}" for k in range(depth)]

    def adapt_to_data(self, X):
        """Fit the scaling."""
        self.scaling.adapt_to_data(X)

    def forward(self, x):
        """Logits."""
        return self.mlp(self.embed(self.scaling(x)))


class Fits:
    """Fits of settings in the folds of one set, each made once."""

    def __init__(self, name):
        X, y = load_common(name)
        train, test = split(X, y, FIRST_SEED)
        train = train[:TRAIN_ROWS]
        encode = skrub.tabular_pipeline(ManifoldMixupClassifier())[:-1].fit(X.iloc[train])
        self.X, self.X_test = (
            np.ascontiguousarray(encode.transform(X.iloc[rows]), np.float32)
            for rows in (train, test)
        )
        self.y, self.y_test = y[train], y[test]
        folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0)
        self.folds = [*folds.split(self.X, self.y)]
        self.made = {}

    def __call__(self, setting, fold):
        """Probabilities for the held-out and for the test rows, and seconds."""
        key = (*setting.values(), fold)
        if key not in self.made:
            train, held_out = self.folds[fold]
            s = dict(setting)
            clf = ManifoldMixupClassifier(
                Network,
                mix_per="sample",
                batch_size=64,
                random_state=1000 * fold + 7,
                alpha=s["alpha"],
                lr=s["lr"],
                max_epochs=s["epochs"],
                optimizer__weight_decay=s["weight_decay"],
                module__n_features=self.X.shape[1],
                module__n_outputs=len(np.unique(self.y)),
                module__depth=s["depth"],
                module__dropout=s["dropout"],
                module__spread=s.get("spread", 0.1),
            )
            start = time.process_time()
            clf.fit(self.X[train], self.y[train])
            seconds = time.process_time() - start
            probas = (clf.predict_proba(rows) for rows in (self.X[held_out], self.X_test))
            self.made[key] = (*probas, seconds)
        return self.made[key]

    def first_score(self, setting):
        """Log-loss on the first fold after a temperature."""
        return loss(tempered(self(setting, 0)[0], self.y[self.folds[0][1]]), self.labels(1))

    def labels(self, n_folds):
        """Labels of the held-out rows of the first folds."""
        return np.concatenate([self.y[rows] for _, rows in self.folds[:n_folds]])

    @cached_property
    def narrow(self):
        """The settings of the narrow design."""
        levels = [len(values) for values in NARROW.values()]
        design = uniform_design(10, len(levels), levels, random_state=0)
        return [
            {name: NARROW[name][level] for name, level in zip(NARROW, row, strict=True)}
            for row in design.tolist()
        ]

    @cached_property
    def wide(self):
        """The settings of the wide design, then those of the rounds near the best."""
        factors = as_factors(WIDE, "space")
        points = np.array([place_of_setting(OWN, factors)])
        points = np.vstack([points, first_points(factors, N_WIDE - 1, points, "CD", 0)])
        settings, width = [OWN, *settings_at(factors, factors, points[1:])], 0.5
        for _ in range(2):
            losses = np.array([self.first_score(setting) for setting in settings])
            box = Box(tuple(points[losses.argmin()]), width, losses.min())
            new = new_points(box, points, N_NEAR, [*factors.values()], "CD", 0, losses)
            settings += settings_at(factors, factors, new)
            points, width = np.vstack([points, new]), width / 1.5
        return settings


def tempered(proba, labels):
    return with_temperature(proba, fit_temperature(proba, labels, np.ones(len(labels))))


def loss(proba, labels):
    return mean_log_loss(np.clip(proba, 1e-7, 1), labels, np.ones(len(labels)))


def outcome(fits, way, weighing="greedy"):
    """Test log-loss and accuracy, and seconds of all fits, of one way to put them together."""
    kind, n_rounds, n_kept, n_near = WAYS[way]
    settings = fits.narrow if kind == "narrow" else fits.wide[: N_WIDE + N_NEAR * n_rounds]
    scores = np.array([fits.first_score(setting) for setting in settings])
    order = np.argsort(scores, kind="stable").tolist()
    near = [i for i in order if i >= N_WIDE][:n_near]
    kept = [i for i in order if i < N_WIDE or i in near][:n_kept]
    labels = fits.labels(FITTED_FOLDS)
    seconds = sum(fits(setting, 0)[2] for setting in settings)
    held_out, test = [], []
    for i in kept:
        made = [fits(settings[i], fold) for fold in range(FITTED_FOLDS)]
        seconds += sum(each[2] for each in made[1:])
        stacked = np.concatenate([each[0] for each in made])
        T = fit_temperature(stacked, labels, np.ones(len(labels)))
        T = 1.0 if weighing == "no temperature of each" else T
        held_out.append(with_temperature(stacked, T))
        test.append(np.mean([with_temperature(each[1], T) for each in made], axis=0))
    weights = greedy_weights(held_out, lambda proba: -loss(proba, labels))
    share = {"the same weights for all": 1.0, "half greedy, half the same": 0.5}.get(weighing, 0.0)
    weights = (1 - share) * weights + share / len(kept)
    mean, proba = (np.tensordot(weights, np.array(each), 1) for each in (held_out, test))
    proba = with_temperature(proba, fit_temperature(mean, labels, np.ones(len(labels))))
    accuracy = np.mean(proba.argmax(axis=1) == fits.y_test)
    values = loss(proba, fits.y_test), accuracy, seconds
    return [round(float(value), 5) for value in values]


def run(sets):
    """Measure what is not there yet."""
    for name in sets:
        fits = None
        for way, weighing in [*((w, "greedy") for w in WAYS), *((CHOSEN, w) for w in WEIGHTS)]:
            key = (name, way if weighing == "greedy" else weighing)
            if key not in RECORDS.rows:
                fits = fits or Fits(name)
                RECORDS.append(key, outcome(fits, way, weighing))
                print(*key, *RECORDS.rows[key], flush=True)


HEAD = """# The estimator that tunes itself: what its parts give

Written by `benchmarks/tables/self_tuning.py --report`. Test log-loss on development sets of which
at most 1000 rows are for training, one split; networks of three of five folds, 256 units wide,
SiLU, λ for each pair. Settings are tried on the first fold, the better ones go on to the others;
temperatures and greedy weights as in `MixupClassifierCV`. *Narrow* and *wide* ranges are those in
the script: rates up to 3e-3 or 1e-2, 24 to 80 or 16 to 96 epochs, embeddings as in RealMLP always
or as a factor. The last column is the mean logarithm of the ratio to the first row, log-losses
raised by 0.01, over the sets that both have. (These numbers are a forerunner's of this script,
with other initial weights; and with one split a single row moves the log-loss of `anneal` by .02.)

"""
TAIL = """
So ranges must be wide: half of the log-loss on `car` and `anneal` was rates and epochs that the
narrow design does not have, while `waveform5000` wants the lowest of them: no default serves both.
Rounds near the best help most where the design is far from what a set needs, and mislead where the
first fold has few rows (`anneal`: 133): so few of their settings go on. Greedy weights are better
than equal ones everywhere. The number of greedy picks (12 or 25) and a temperature for each mean
that is looked at changed nothing. Not tried for want of time: eight folds.

## Two kinds of embeddings

By trials beside this script, split 20 of `network_defaults.py`, without rows kept; differences are
means over sets in log(log-loss + 0.02) and log(error + 0.01), ± a standard error over sets.

Fixed settings, 9 sets (anneal, autos, contraceptive, dermatology, ecoli, glass, ionosphere,
phishing, sick), at most 400 rows, three folds, temperatures and greedy weights as above. A and B
are the two best of four settings on the first fold; a third member is either A with other seeds or
A with piecewise linear embeddings (`module__embedding="piecewise"`), at the same cost:

| members | log-loss | sets better / worse | error | better / worse |
|---|---|---|---|---|
| A, A with other seeds → A, A piecewise | −0.058 ± 0.035 | 7 / 0 | −0.108 ± 0.066 | 4 / 0 |
| A, B, A with other seeds → A, B, A piecewise | −0.053 ± 0.035 | 6 / 0 | −0.127 ± 0.065 | 5 / 0 |
| the same, equal weights | −0.038 ± 0.029 | 6 / 3 | −0.071 ± 0.054 | 3 / 3 |
| A alone → A piecewise alone | −0.028 ± 0.042 | 6 / 3 | +0.021 ± 0.085 | 2 / 4 |

(The order of the sets was fixed before; there were to be 18, for which time was short. Without
anneal, the second row is −0.019 ± 0.009, error −0.083 ± 0.054.)

In three whole races (autos, ecoli, glass; five folds) the best three settings, each with both
kinds, instead of six settings: −0.038 ± 0.021, worse on none. So piecewise linear embeddings are
one more level in the space of the classifier. Five races with that level and without (autos,
dermatology, ecoli, glass, ionosphere): −0.061 ± 0.042, better on 4, most of it chance, since every
setting of the design is another then (on dermatology, −0.205, no piecewise network has a weight);
error −0.08 ± 0.09, a quarter more seconds. `MixupRegressorCV` is as before.

On the sets kept aside, splits 100 and 101 of [the benchmark](tabular.md), 44 races: accuracy
.8726 where it was .8675, higher on 21 and lower on 9, error −0.08 ± 0.03; by mean rank among
twelve it is first, 4.31, where it was 5.55 behind CatBoost tuned. Log-loss lower on 27, −0.06 ±
0.04 in its logarithm (balance_scale .059 → .006 and .078 → .011; arrhythmia .797 → .826 and .787
→ .824, sonar, 52 rows for the test, .364 → .446 and .312 → .279), mean .308 where it was .310.
The same seconds.

## Columns weighted by importance

Where trees find that few of the columns matter ([why](network_defaults.md)),
`module__column_weights` is a factor of the design too, with all columns alike or weighted. By
trials beside this script, split 20, races with that factor and without: mlc_churn .228 → .175,
accuracy .921 → .945; waveform5000 .301 → .292; attrition .314 → .309; hpc_data .457 and .457; OJ
.366 → .377, sick .041 → .047, anneal .007 → .009: other settings are drawn, which alone moves a
log-loss so far. A third level, their square root: mlc_churn .177. Then, on sets kept aside, splits
100 and 101 of [the benchmark](tabular.md), against what it had there: hypothyroid −0.12, crx
−0.06, arrhythmia −0.03, adult −0.02, eucalyptus −0.02; lower on 9 of 10 splits, error −0.06, the
same seconds. On 23 of [R's tables](r_tables.md), two splits, it gains nothing: −0.005 ± 0.007,
error +0.001 ± 0.005.

## Given up after the second fold

By trials beside this script: eleven races (abalone, banana, car, contraceptive, dermatology,
ecoli, glass, htru2, ionosphere, led7digit, waveform5000; split 20, at most 2000 rows) of which
every network's predictions were kept. What if not all of the six settings went on from the second
fold to the third?

| who goes on | log-loss | error | time of all fits |
|---|---|---|---|
| those with a greedy weight on two folds | +0.003 ± 0.003 | +0.018 ± 0.016 | 0.76 |
| these and the best three | −0.003 ± 0.001 | +0.017 ± 0.016 | 0.82 |
| the best four | −0.003 ± 0.002 | +0.007 ± 0.005 | 0.87 |
| from the third to the fourth: those with a weight | −0.000 ± 0.003 | +0.023 ± 0.016 | 0.85 |
| from the third to the fourth: the best three | +0.003 ± 0.004 | +0.024 ± 0.016 | 0.87 |

(The error is one row of ionosphere and little else.) So the second row is what it does, and takes
a sixth less time. Looked at once, on [the tables of KEEL](keel_tables.md): +0.001 ± 0.001, lower
on 3 and higher on 4 of 16, error −0.003 ± 0.004. `MixupRegressorCV`, 1000 rows of abalone,
bank32nh, cpu_act and kin8nm: RMSE lower by 0.3 % and 0.1 % on two, the same on two, 0.89 of the
time. The pages with many sets were measured before, where they do not say so.

The order of the fits: with two workers and the fits' seconds of these eleven races, waiting for
each other made them take 1.11 times what a half of all seconds is, the longest settings first and
larger batches 1.04.

## What gained nothing

By races like those of the two kinds of embeddings:

* **Greedy weights by accuracy, log-loss where that is equal** (5 sets, both spaces): error
  −0.005 ± 0.028, log-loss +0.006 ± 0.014. Accuracy and log-loss added up: as log-loss alone.
* 6 or 24 greedy picks: +0.008 and −0.001. Three or four settings on all folds instead of six:
  +0.012 and +0.013 ± 0.014. Eight or ten of them, 14 sets for choosing, up to 2000 rows: −0.000 ±
  0.001 and −0.002 ± 0.003, error +0.002 and −0.005 ± 0.005, for up to a third more fits. There
  half of the weight shared equally is +0.009 ± 0.007, all of it with ten +0.051 ± 0.023.
* **Networks on all rows** in place of those of the folds, three of each setting with a weight
  (autos −0.06, glass +0.07); both together −0.004 ± 0.021.
* **ReLU units instead of SiLU**, up to 2000 rows: on nine sets for choosing better on seven,
  −0.019 ± 0.017, error −0.08 ± 0.05; but worse on all four tables [of KEEL](keel_tables.md) that
  were run, +0.04 (letter .278 → .300), on adult and arrhythmia, two splits each, level, +0.001 ±
  0.011. Both kinds as a level of the design, 14 sets, up to 2000 rows: −0.006 ± 0.019, better
  on ten, by 0.012 in the median; on dermatology +0.20, on glass −0.15: nothing that tells.
* **Minibatches of twice as many rows**, at 1.5 times the learning rate. One network of 24 or 48
  epochs, nine sets, the mean of two seeds: −0.009 ± 0.027 and −0.007 ± 0.008 in 0.63 of the time;
  of 96 epochs +0.037 ± 0.021. Six races (banana, car, contraceptive, ecoli, glass, waveform5000):
  +0.011 ± 0.008 in 0.71 of the time, worse on four.
* **An additive model**, piecewise linear curves without hidden layers, as one more member: −0.024
  ± 0.012 on three sets, which the level above gives too: both together −0.041.

## More than 2000 rows

One network of the own setting (phishing 8291, winequality_white 3669, diamonds 10 000 rows;
log-loss at the best temperature .090, 1.036, .653): twice as wide .082, 1.023, .619 in half as
much time again, four members .082, 1.020, .647, ReLU .086, .990, not run. In a race it comes to
less: with the wide network as a third size winequality_white .909 → .902, accuracy .631 → .656;
with ReLU as a level besides .891, .645, but on waveform5000 (3750 rows) .266 → .282, accuracy
.880 → .883, since other settings are drawn. Four members of each network: waveform5000 .266 → .263
in two to three times the seconds. So nothing of it is taken; with as many rows a race gains little
over the default network ([tabular_large](tabular_large.md)).
"""


def report():
    """Write results/self_tuning.md."""
    ways = [*WAYS, *WEIGHTS]
    rows = []
    for way in ways:
        cells, ratios, seconds = [], [], []
        for name in SETS:
            found, base = RECORDS.rows.get((name, way)), RECORDS.rows.get((name, TRIAL))
            cells.append("–" if found is None else f"{found[0]:.4f}")
            if found and base:
                ratios.append(np.log((found[0] + 0.01) / (base[0] + 0.01)))
            if found:
                seconds.append(found[2])
        label = f"the last, {way}" if way in WEIGHTS else way
        rows.append([label, *cells, f"{np.median(seconds):.0f}", f"{np.mean(ratios):+.3f}"])
    header = ["", *SETS, "seconds, median", "against the first"]
    write_page("self_tuning", HEAD + table(header, rows) + TAIL)


def main():
    """Run or report, as the command line says."""
    parser = command_line(__doc__)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    arguments = parser.parse_args()
    if arguments.report:
        report()
    else:
        run(arguments.sets)


if __name__ == "__main__":
    main()

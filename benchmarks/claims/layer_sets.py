"""Which layers to mix at, and how strongly: a uniform design over both, and what it says.

    OMP_NUM_THREADS=1 python benchmarks/claims/layer_sets.py [--full] [--report]

Fifteen settings of manifold mixup on Fashion-MNIST at half its size, 1000 training images, each
with three seeds. ``--full`` takes 20 000 images at full size, a ResNet-18 and a GPU. Keeps every
result in results/layer_sets.jsonl (layer_sets_full.jsonl), computes what is missing, and writes
results/layer_sets.md.
"""

import sys
from pathlib import Path

import numpy as np

from skmixup import ManifoldMixupClassifier
from skmixup.design import uniform_design
from skmixup.effects import design_effects, plot_effects

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.claims.images import RECIPE
from benchmarks.datasets import halved, load_fashion
from benchmarks.records import RESULTS, Records, command_line, table, write_page

ALPHAS = (0.2, 0.5, 1.25, 3.2, 8.0)
LAYERS = ("0", "1", "0 1", "0 1 2", "1 2")
N_RUNS = 15
SEEDS = range(3)
ERM = (0.0, "0")
QUICK = {"n": 1000, "epochs": 30, "module__width": 16}
FULL = {"n": 20_000, "epochs": 60, "module__width": 64, "module__depths": (2, 2, 2, 2)}
HEAD = """# Which layers to mix at, and how strongly

Written by `benchmarks/claims/layer_sets.py`. `uniform_design({n_runs}, 2, 5)` over α and the set
of layers that manifold mixup draws from (0 is the input, k the output of stage k), each run with
{n_seeds} seeds (each its own images and weights), and read with `design_effects`, in which the
seed is a third factor. Fashion-MNIST{size}, {n} training images, 10 000 test images;
pre-activation ResNet of width {width}, {epochs} epochs of SGD (momentum 0.9, weight decay 5e-4,
learning rate 0.05 along a cosine, minibatches of 64), bfloat16; one core of an Intel Xeon.

Claim of the manifold-mixup paper: drawing from the input and the first layers, {{0, 1, 2}}, with
α = 2 is better than mixing at the input alone.
"""

# What came out with the quick settings; written by hand.
SAID = """\
**Not seen in the error, seen in the log-loss, but in favour of the hidden layers.** In the error
neither factor stands out from noise: 18.5 to 19.0 % by layers, 18.5 to 18.8 % by α, ERM 19.2. In
the log-loss both do: {1} has 0.563, {0} and the paper's {0, 1, 2} 0.583 in the mean over α, and α
of 3.2 and 8 have 0.564, α = 0.2 0.588. Which α is best does not visibly depend on the layers,
though at the input alone the error rises with α, from 18.4 to 19.3 %.
"""


def settings_of_runs():
    """The runs of the design, (α, layers), and ERM."""
    design = uniform_design(N_RUNS, 2, 5, random_state=0)
    return [(ALPHAS[i], LAYERS[j]) for i, j in design]


def measure(alpha, layers, seed, settings):
    """Error and log-loss of one network."""
    settings = dict(settings)
    n, epochs = settings.pop("n"), settings.pop("epochs")
    data = load_fashion()
    rows = np.random.default_rng(seed).permutation(len(data.X))[:n]
    shrink = halved if n == QUICK["n"] else _whole
    clf = ManifoldMixupClassifier(
        alpha=alpha,
        layers=[int(k) for k in layers.split()],
        **settings,
        **RECIPE,
        max_epochs=epochs,
        random_state=seed,
    ).fit(shrink(data.X[rows]), data.y[rows])
    proba = clf.predict_proba(shrink(data.X_test))
    picked = np.maximum(proba[np.arange(len(proba)), data.y_test], 1e-12)
    wrong = proba.argmax(axis=1) != data.y_test
    return [float(wrong.mean()), float(-np.log(picked).mean())]


def _whole(pixels):
    return pixels[:, None].astype(np.float32) / 255


def report(rows, settings, name):
    """Write the page of what is there."""
    runs = [key for key in rows if key[:2] != ERM]
    seeds = sorted({seed for *_, seed in runs})
    lines = [
        HEAD.format(
            n_runs=N_RUNS,
            n_seeds=len(seeds),
            size=" at 14 × 14" if settings is QUICK else "",
            n=settings["n"],
            width=settings["module__width"],
            epochs=settings["epochs"],
        )
    ]
    lines += [] if settings is FULL else [SAID]
    plain = np.array([value for key, value in sorted(rows.items()) if key[:2] == ERM])
    if len(plain):
        error, loss = plain.mean(axis=0)
        spread = 100 * plain[:, 0].std(ddof=1) / np.sqrt(len(plain)) if len(plain) > 1 else np.nan
        lines.append(f"ERM: error {100 * error:.2f} ± {spread:.2f} %, log-loss {loss:.3f}.\n")
    for which, what in enumerate(("Error", "Log-loss")):
        effects = design_effects(
            {"alpha": [a for a, *_ in runs], "layers": [f"{{{k.replace(' ', ',')}}}" for _, k, _ in
             runs], "seed": [f"seed {seed}" for *_, seed in runs]},
            [(100 if which == 0 else 1) * rows[key][which] for key in runs],
            maximize=False, kind="levels",
        )  # fmt: skip
        unit = ", %" if which == 0 else ""
        lines += [f"## {what}{unit}\n", f"```\n{effects}\n```\n"]
        if which == 0:
            _draw(effects)
            lines.append("![level means of the error](layer_sets.png)\n")
    lines += ["## The runs\n", "Error, %, mean over the seeds.\n", _runs(rows)]
    write_page(name, "\n".join(lines))


def _runs(rows):
    cells = {}
    for (alpha, layers, _), (error, _) in rows.items():
        cells.setdefault((alpha, layers), []).append(100 * error)
    return table(["α", *(f"{{{k.replace(' ', ', ')}}}" for k in LAYERS)], [
        [f"{alpha:g}", *(f"{np.mean(cells[alpha, k]):.2f}" if (alpha, k) in cells else ""
                         for k in LAYERS)]
        for alpha in ALPHAS
    ])  # fmt: skip


def _draw(effects):
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    plot_effects(effects)
    plt.savefig(RESULTS / "layer_sets.png", dpi=90)
    plt.close()


def main():
    """Compute what is missing, then write the page."""
    parser = command_line(__doc__)
    parser.add_argument("--full", action="store_true", help="more images, a ResNet-18, a GPU")
    arguments = parser.parse_args()
    name = "layer_sets" + "_full" * arguments.full
    records = Records(name, n_keys=3)
    settings = FULL if arguments.full else QUICK
    if not arguments.report:
        planned = ((*run, seed) for seed in SEEDS for run in [*settings_of_runs(), ERM])
        records.run(planned, lambda *key: measure(*key, settings))
    report(records.rows, settings, name)


if __name__ == "__main__":
    main()

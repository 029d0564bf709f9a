"""The pages of images.py: methods and blocked gradients, confidence, hidden states."""

import numpy as np
from scipy import stats

from benchmarks.records import RESULTS, table, write_page

SETTINGS = """Written by `benchmarks/claims/images.py`. {data}, {n} training images and
{n_test} test images, seeds: {seeds} (each its own subset and weights); pre-activation ResNet
{network}, {epochs} epochs of SGD (momentum 0.9, weight decay 5e-4, learning rate {lr} along a
cosine, minibatches of {batch_size}), bfloat16, {hardware}. Mean ± standard deviation over
seeds. A difference is by seeds, ± its standard error, and *clear* where its 95 % interval leaves
out 0.
"""
# By the end of a page's name.
DATA = {
    "": "Fashion-MNIST",
    "_full": "Fashion-MNIST",
    "_cifar": "CIFAR-10 as lossy JPEG, flipped at random and cropped after padding by 4",
}
HARDWARE = {"": "one core of an Intel Xeon", "_full": "a GPU", "_cifar": "an NVIDIA H200"}


# What came out, by page; written by hand.
SAID = {
    "image_methods": """\
**Held for the likelihood, and by a little for the error.** Every way of mixing has a clearly
lower log-loss than ERM, and about one of its 16 % errors less; CutMix is the best at both, and
its error and that of mixup with α = 0.2 are clearly lower. Gaussian noise lowers the log-loss
alone. Between mixup and manifold mixup no difference is to be seen. **Blocked gradients:** as in
the deck, changing one side alone is worth less: with the layers below the mixed one left as they
are the error lies between that of mixing and ERM's, with those above it is higher than ERM's.
None of these gaps is clear with three seeds.
""",
    "image_calibration": """\
**Held.** ERM is too sure of images (T = 1.56). Mixing with α of 1 and more makes networks too
modest (T about 0.8); α = 0.2, or mixing half of the minibatches, is about right: ECE 0.009
without a temperature. After one temperature the ECE hardly differs, and mixing keeps a lower
log-loss than ERM, CutMix the lowest.
""",
    "hidden_states": """\
**Held in part.** Mixing of any kind flattens the last stage, input mixup as much as manifold
mixup, of which alone the paper claims it. The pooled features, which the last layer sees, are
less flat than ERM's with mixup of either kind, and flatter with CutMix.
""",
    "image_methods_cifar": """\
**Did not hold in 24 epochs.** Of a ResNet-18 that sees flipped and cropped images 24 times every
way of mixing costs errors and log-loss: mixup 1.3 % and CutMix 1.7 % of the images, clearly;
manifold mixup is level with ERM in errors. Noise of 0.1 of the range of a pixel is far too much.
The papers train for 200 epochs and more; so long a training was not tried here.
""",
    "image_calibration_cifar": """\
**Held.** ERM is too sure (T = 1.5), mixing makes networks too modest (T = 0.64 to 0.70), more so
than on Fashion-MNIST. One temperature mends either: ECE 0.016 to 0.024. The log-loss of ERM is
then still the lowest, after 24 epochs.
""",
    "hidden_states_cifar": """\
**Held for the last stage.** Its states of one class are clearly flatter with every kind of mixing,
most with manifold mixup and mixup; the pooled features are not: those of ERM are the flattest.
""",
}


class Found:
    """What was measured, by method."""

    def __init__(self, rows, methods):
        self.by = {
            m: [value for (k, _), (value,) in sorted(rows.items()) if k == m] for m in methods
        }
        self.methods = [m for m in methods if self.by[m]]

    def values(self, method, *path):
        """One number for each seed."""
        found = []
        for value in self.by[method]:
            for name in path:
                value = value[name]
            found.append(value)
        return np.array(found, dtype=float)

    def cell(self, method, *path, digits=3, percent=False):
        """Mean ± standard deviation."""
        values = self.values(method, *path) * (100 if percent else 1)
        spread = values.std(ddof=1) if len(values) > 1 else float("nan")
        return f"{values.mean():.{digits}f} ± {spread:.{digits}f}"

    def gap(self, method, other, *path):
        """Mean difference and its standard error, by seeds that both have."""
        pairs = zip(self.values(method, *path), self.values(other, *path), strict=False)
        gaps = np.array([a - b for a, b in pairs])
        return gaps.mean(), gaps.std(ddof=1) / np.sqrt(len(gaps)) if len(gaps) > 1 else np.inf


def write_pages(rows, methods, settings, suffix=""):
    """Write the three pages from what is there."""
    found = Found(rows, methods)
    if not found.methods:
        return
    bins = next(iter(rows.values()))[0]["before"]["bins"]
    head = SETTINGS.format(
        n=settings["n"],
        n_test=sum(count for count, *_ in bins),
        seeds=min(len(found.by[m]) for m in found.methods),
        network=f"with width {settings['module__width']}",
        epochs=settings["epochs"],
        lr=settings["lr"],
        batch_size=settings["batch_size"],
        data=DATA[suffix],
        hardware=HARDWARE[suffix],
    )
    for name, page in (
        ("image_methods", _methods),
        ("image_calibration", _calibration),
        ("hidden_states", _hidden),
    ):
        title, *lines = page(found, suffix)
        said = [SAID[name + suffix]] if name + suffix in SAID else []
        write_page(name + suffix, "\n".join([title, head, *said, *lines, ""]))


def _verdict(found, method, other, path, what):
    mean, error = found.gap(method, other, *path)
    way = "lower" if mean < 0 else "higher"
    sure = "clear" if _is_clear(found, method, other, *path) else "not clear"
    by = f"{abs(mean):.4f} ± {error:.4f}"
    return f"* {what} of *{method}* is {way} than of *{other}* by {by}: {sure}."


def _is_clear(found, method, other, *path):
    mean, error = found.gap(method, other, *path)
    n = min(len(found.by[method]), len(found.by[other]))
    return bool(n > 1 and abs(mean) > stats.t.ppf(0.975, n - 1) * error)


def _methods(found, _suffix):
    shown = [m for m in found.methods if not m.startswith("half")]
    halves = [m for m in found.methods if m.startswith("half")]
    header = ["", "test error, %", "log-loss"]
    lines = ["# What is mixed: error and likelihood\n"]
    lines.append(table(header, [
        [m, found.cell(m, "error", percent=True, digits=2), found.cell(m, "before", "log_loss")]
        for m in shown
    ]))  # fmt: skip
    lines.append("## Against ERM\n")
    for m in shown:
        if m != "ERM" and "ERM" in found.methods:
            lines.append(_verdict(found, m, "ERM", ("error",), "the error"))
            lines.append(_verdict(found, m, "ERM", ("before", "log_loss"), "the log-loss"))
    if halves:
        lines += [
            "\n## Gradients blocked at the mixed layer\n",
            "Half of the minibatches are mixed, after stage 1 or 2, α = 2; in these steps no "
            "gradient reaches the layers below (above) the mixed one. The other half trains all "
            "layers.\n",
            table(header, [
                [m, found.cell(m, "error", percent=True, digits=2),
                 found.cell(m, "before", "log_loss")]
                for m in ["ERM", *halves] if m in found.methods
            ]),
        ]  # fmt: skip
        for m in halves[1:]:
            lines.append(_verdict(found, m, "half", ("error",), "the error"))
            lines.append(_verdict(found, m, "ERM", ("error",), "the error"))
    return lines


def _calibration(found, suffix):
    header = ["", "ECE", "log-loss", "T", "ECE at T", "log-loss at T"]
    rows = [
        [m, found.cell(m, "before", "ece"), found.cell(m, "before", "log_loss"),
         found.cell(m, "temperature", digits=2), found.cell(m, "after", "ece"),
         found.cell(m, "after", "log_loss")]
        for m in found.methods
    ]  # fmt: skip
    lines = ["# How sure networks for images are\n"]
    lines.append(
        "ECE: expected calibration error of the predicted class, 10 equal bins. T: one "
        "temperature, fitted on 1000 images that were not trained on; above 1 it lowers "
        "confidence.\n"
    )
    lines += [table(header, rows), f"![reliability](image_calibration{suffix}.png)\n"]
    lines.append("## Which way\n")
    for m in found.methods:
        t = found.values(m, "temperature").mean()
        word = "too modest" if t < 1 else "too sure"
        lines.append(f"* *{m}* is {word}: T = {t:.2f}.")
    _reliability(found, f"image_calibration{suffix}.png")
    return lines


def _reliability(found, name):
    """Share right over confidence, and below it how many rows there are in each bin."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    shown = [m for m in ("ERM", "mixup 1", "manifold 2", "CutMix 1") if m in found.methods]
    figure, axes = plt.subplots(
        2, len(shown), figsize=(2.6 * len(shown), 3.6), sharex=True, sharey="row", squeeze=False,
        height_ratios=[2, 1], layout="constrained",
    )  # fmt: skip
    for column, method in enumerate(shown):
        top, below = axes[:, column]
        top.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for part, colour in (("before", "C0"), ("after", "C1")):
            bins = found.by[method][0][part]["bins"]
            count, confidence, right = np.array(bins).T
            top.plot(confidence, right, "o-", color=colour, markersize=3, label=part)
            below.bar(confidence, count, width=0.04, color=colour, alpha=0.6)
        top.set_title(method, fontsize=9)
        below.set_xlabel("confidence")
    axes[0, 0].set_ylabel("share right")
    axes[1, 0].set_ylabel("rows")
    axes[0, 0].legend(title="temperature", fontsize=7, title_fontsize=7)
    figure.savefig(RESULTS / name, dpi=110)
    plt.close(figure)


def _hidden(found, _suffix):
    layers = list(found.by[found.methods[0]][0]["spectra"])
    rows = [
        [m, *(found.cell(m, "spectra", layer, digits=2) for layer in layers)]
        for m in found.methods
    ]
    lines = ["# Hidden states of one class\n"]
    lines.append(
        "Singular values of the matrix of hidden states of 50 test images of one class: the sum "
        "of all but the largest, over the largest, averaged over the classes. Smaller is flatter: "
        "the states of a class lie closer to one direction. Claim of the manifold-mixup paper "
        "(section 3): mixing hidden states flattens them.\n"
    )
    lines += [table(["", *layers], rows), "## Against ERM\n"]
    for m in found.methods:
        if m != "ERM" and "ERM" in found.methods:
            words = []
            for layer in layers:
                way = "flatter" if found.gap(m, "ERM", "spectra", layer)[0] < 0 else "less flat"
                sure = " (clear)" if _is_clear(found, m, "ERM", "spectra", layer) else ""
                words.append(f"{layer} {way}{sure}")
            lines.append(f"* *{m}* against ERM: {', '.join(words)}.")
    return lines

"""The pages of images.py: methods and blocked gradients, confidence, hidden states."""

import numpy as np
from scipy import stats

from benchmarks.records import RESULTS, table, write_page

SETTINGS = """Written by `benchmarks/claims/images.py`. Fashion-MNIST, {n} training
images, {n_test} of the test images, {seeds} seeds (each its own subset and weights);
pre-activation ResNet {network}, {epochs} epochs of SGD (momentum 0.9, weight decay 5e-4, learning
rate 0.05 along a cosine, minibatches of 64), bfloat16. Mean ± standard deviation over seeds; a
difference is *clear* where its 95 % interval over the seeds, paired, leaves out 0.
"""


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


def write_pages(rows, methods, settings):
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
    )
    _methods(found, head)
    _calibration(found, head)
    _hidden(found, head)


def _verdict(found, method, other, path, what):
    mean, error = found.gap(method, other, *path)
    n = min(len(found.by[method]), len(found.by[other]))
    clear = n > 1 and abs(mean) > stats.t.ppf(0.975, n - 1) * error
    way = "lower" if mean < 0 else "higher"
    sure = "clear" if clear else "not clear"
    return f"* {what} of *{method}* is {way} than of *{other}* by {abs(mean):.4f}: {sure}."


def _methods(found, head):
    shown = [m for m in found.methods if not m.startswith("half")]
    halves = [m for m in found.methods if m.startswith("half")]
    header = ["", "test error, %", "log-loss"]
    lines = ["# What is mixed: error and likelihood\n", head]
    lines.append(table(header, [
        [m, found.cell(m, "error", percent=True, digits=2), found.cell(m, "before", "log_loss")]
        for m in shown
    ]))  # fmt: skip
    lines.append("## Did the claim hold that mixing generalises better?\n")
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
    write_page("image_methods", "\n".join([*lines, ""]))


def _calibration(found, head):
    header = ["", "ECE", "log-loss", "T", "ECE at T", "log-loss at T"]
    rows = [
        [m, found.cell(m, "before", "ece"), found.cell(m, "before", "log_loss"),
         found.cell(m, "temperature", digits=2), found.cell(m, "after", "ece"),
         found.cell(m, "after", "log_loss")]
        for m in found.methods
    ]  # fmt: skip
    lines = ["# How sure networks for images are\n", head]
    lines.append(
        "ECE: expected calibration error of the predicted class, 10 equal bins. T: one "
        "temperature, fitted on 1000 images that were not trained on; above 1 it lowers "
        "confidence.\n"
    )
    lines += [table(header, rows), "![reliability](image_calibration.png)\n"]
    lines.append("## Did the claims hold?\n")
    for m in found.methods:
        t = found.values(m, "temperature").mean()
        word = "too modest" if t < 1 else "too sure"
        lines.append(f"* *{m}* is {word}: T = {t:.2f}.")
    _reliability(found)
    write_page("image_calibration", "\n".join([*lines, ""]))


def _reliability(found):
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
    figure.savefig(RESULTS / "image_calibration.png", dpi=110)
    plt.close(figure)


def _hidden(found, head):
    layers = list(found.by[found.methods[0]][0]["spectra"])
    rows = [
        [m, *(found.cell(m, "spectra", layer, digits=2) for layer in layers)]
        for m in found.methods
    ]
    lines = ["# Hidden states of one class\n", head]
    lines.append(
        "Singular values of the matrix of hidden states of 50 test images of one class: the sum "
        "of all but the largest, over the largest, averaged over the classes. Smaller is flatter: "
        "the states of a class lie closer to one direction. Claim of the manifold-mixup paper "
        "(section 3): mixing hidden states flattens them.\n"
    )
    lines += [table(["", *layers], rows), "## Did the claim hold?\n"]
    for m in found.methods:
        if m != "ERM" and "ERM" in found.methods:
            flatter = [x for x in layers if found.gap(m, "ERM", "spectra", x)[0] < 0]
            lines.append(f"* *{m}*: flatter than ERM at {', '.join(flatter) or 'no layer'}.")
    write_page("hidden_states", "\n".join([*lines, ""]))

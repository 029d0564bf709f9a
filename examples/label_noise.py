"""
With wrong labels the last epoch is the worst; a large α narrows the gap
========================================================================

A network first learns the rule and then memorises the labels that are wrong, so that its error on
clean rows rises again. Mixing hides each wrong label in mixtures with others. The more labels are
wrong, the more mixing pays: α = 8 and more, where tables with right labels want 0.1 to 0.4. That
is so in long trainings: in few epochs, before anything is memorised, strong mixing costs accuracy.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.robustness import HeldOutError, corrupt_labels

# %%
# The data
# --------
#
# 600 digits to learn from. :func:`~skmixup.robustness.corrupt_labels` makes exactly the given
# share of the labels wrong; those in red are.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 8 - 1, y, train_size=600, test_size=600, stratify=y, random_state=0
)
noisy = corrupt_labels(y_train, 0.4, random_state=0)
figure, axes = plt.subplots(1, 10, figsize=(10, 1.3), layout="constrained")
for axis, image, given, true in zip(axes, X_train, noisy, y_train, strict=False):
    axis.imshow(image.reshape(8, 8), cmap="gray_r")
    axis.set(xticks=[], yticks=[])
    axis.set_title(given, color="tab:red" if given != true else "black")

# %%
# The alternatives
# ----------------
#
# The same network without mixing (ERM), with mixup at three strengths, and with manifold mixup.
# :class:`~skmixup.robustness.HeldOutError` writes down the error on clean rows after every epoch,
# and changes nothing else.

NOISE = (0.0, 0.4, 0.8)


def classifiers(**params):
    """Return the ways of training, all with the same network."""
    return {
        "ERM": VicinalClassifier(**params),
        "mixup, α = 0.4": MixupClassifier(alpha=0.4, **params),
        "mixup, α = 8": MixupClassifier(alpha=8, **params),
        "mixup, α = 32": MixupClassifier(alpha=32, **params),
        "manifold mixup, α = 8": ManifoldMixupClassifier(alpha=8, **params),
    }


curves = {}
for noise in tqdm(NOISE, desc="share of wrong labels"):
    given = corrupt_labels(y_train, noise, random_state=0)
    held_out = HeldOutError(X_test, y_test)
    ways = classifiers(callbacks=[held_out], random_state=0, max_epochs=40, batch_size=64)
    for name, clf in ways.items():
        curves[noise, name] = clf.fit(X_train, given).history_[:, "held_out_error"]

print(f"{'wrong labels':>12}  {'':22} {'best epoch':>10} {'last epoch':>10}")
for (noise, name), curve in curves.items():
    print(f"{noise:>12.0%}  {name:22} {min(curve):>10.3f} {curve[-1]:>10.3f}")

# %%
# The effect on the error
# -----------------------
#
# Left, two trainings with 40 % of the labels wrong, epoch by epoch; right, the error of the last
# (full) and of the best epoch (dashed) against the share of wrong labels.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for name in ("ERM", "mixup, α = 8"):
    left.plot(np.arange(1, 41), curves[0.4, name], label=name)
left.set(xlabel="epoch", ylabel="error on clean rows", title="40 % of the labels wrong")
left.set_ylim(0, 0.4)
left.legend()
for name in classifiers():
    (line,) = right.plot(NOISE, [curves[n, name][-1] for n in NOISE], marker="o", label=name)
    best = [min(curves[n, name]) for n in NOISE]
    right.plot(NOISE, best, "--", color=line.get_color(), linewidth=1)
right.set(xlabel="share of wrong training labels", ylabel="error on clean rows")
right.set_title("last epoch (full), best epoch (dashed)")
right.legend()
plt.show()

# %%
# One split and one seed: :doc:`the benchmark </benchmarks/label_noise>` repeats it. Early
# stopping on clean rows finds the best epoch too, where there are clean rows to spare.

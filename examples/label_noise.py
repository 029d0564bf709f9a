"""Error against the share of wrong labels: ERM, mixup at several α, manifold mixup.

A network first learns the rule and then memorises the wrong labels, so the last epoch is worse
than the best; mixup with a large α narrows the gap. Writes label_noise.png. Run with
``python examples/label_noise.py``.
"""

from pathlib import Path

import matplotlib as mpl
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.robustness import HeldOutError, corrupt_labels

mpl.use("Agg")
import matplotlib.pyplot as plt

PICTURE = Path("label_noise.png")
NOISE = (0.0, 0.2, 0.4, 0.6, 0.8)


def classifiers(**params):
    """Return the ways of training, all with the same network."""
    return {
        "ERM": VicinalClassifier(**params),
        "mixup, α = 0.4": MixupClassifier(alpha=0.4, **params),
        "mixup, α = 8": MixupClassifier(alpha=8, **params),
        "mixup, α = 32": MixupClassifier(alpha=32, **params),
        "manifold mixup, α = 8": ManifoldMixupClassifier(alpha=8, **params),
    }


def errors(n_rows=600, **params):
    """Yield noise level, name and the errors of the best and the last epoch on clean rows."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 8 - 1, y, train_size=n_rows, stratify=y, random_state=0
    )
    for noise in tqdm(NOISE, desc="share of wrong labels"):
        noisy = corrupt_labels(y_train, noise, random_state=0)
        held_out = HeldOutError(X_test, y_test)
        for name, clf in classifiers(callbacks=[held_out], random_state=0, **params).items():
            history = clf.fit(X_train, noisy).history_
            curve = history[:, "held_out_error"]
            yield noise, name, min(curve), curve[-1]


def draw(rows):
    """Draw the last epoch as full lines, the best as dashed ones."""
    _, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for name in dict.fromkeys(row[1] for row in rows):
        noise, best, last = zip(*((n, b, e) for n, m, b, e in rows if m == name), strict=True)
        (line,) = ax.plot(noise, last, marker="o", label=name)
        ax.plot(noise, best, "--", color=line.get_color(), linewidth=1)
    ax.set(xlabel="share of wrong training labels", ylabel="error on clean rows")
    ax.set_title("Last epoch (full) and best epoch (dashed), digits")
    ax.legend()
    ax.figure.savefig(PICTURE, dpi=120)


if __name__ == "__main__":
    found = list(errors(max_epochs=60, batch_size=64))
    print(f"{'wrong labels':>12}  {'':22} {'best epoch':>10} {'last epoch':>10}")
    for noise, name, best, last in found:
        print(f"{noise:>12.0%}  {name:22} {best:>10.3f} {last:>10.3f}")
    draw(found)
    print(f"picture: {PICTURE.resolve()}")

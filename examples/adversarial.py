"""Accuracy against the size ε of an adversarial change: ERM, mixup, manifold mixup.

One gradient step (FGSM), ten (I-FGSM), and FGSM crafted on another network (black box). Writes
adversarial.png. Run with ``python examples/adversarial.py``.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.robustness import accuracy_under_attack, fgsm, ifgsm

mpl.use("Agg")
import matplotlib.pyplot as plt

PICTURE = Path("adversarial.png")
EPS = np.array([0, 1, 2, 3, 4, 5]) / 16  # pixels are 0 … 1


def main(max_epochs=40):
    """Train, attack, print, draw."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    params = {"max_epochs": max_epochs, "random_state": 0}
    nets = {
        "ERM": VicinalClassifier(**params),
        "mixup, α = 1": MixupClassifier(alpha=1.0, **params),
        "manifold mixup, α = 2": ManifoldMixupClassifier(alpha=2.0, **params),
    }
    for net in nets.values():
        net.fit(X_train, y_train)
    other = VicinalClassifier(max_epochs=max_epochs, random_state=1).fit(X_train, y_train)
    attacks = {
        "FGSM": (fgsm, {}),
        "I-FGSM, 10 steps": (ifgsm, {}),
        "FGSM from another network": (fgsm, {"source": other}),
    }
    _, axes = plt.subplots(1, 3, figsize=(12, 3.8), sharey=True, layout="constrained")
    for ax, (title, (attack, options)) in zip(axes, attacks.items(), strict=True):
        print(f"{title}\n{'ε':>24} " + " ".join(f"{eps:6.3f}" for eps in EPS))
        for name, net in nets.items():
            accuracy = [
                accuracy_under_attack(net, X_test, y_test, attack, eps=eps, clip=(0, 1), **options)
                for eps in EPS
            ]
            print(f"{name:>24} " + " ".join(f"{a:6.3f}" for a in accuracy))
            ax.plot(EPS, accuracy, marker="o", label=name)
        ax.set(title=title, xlabel="ε (largest change of a pixel)")
    axes[0].set_ylabel("accuracy on held-out digits")
    axes[0].legend()
    axes[0].figure.savefig(PICTURE, dpi=120)
    print(f"picture: {PICTURE.resolve()}")


if __name__ == "__main__":
    main()

"""Images with a ResNet: what each vicinity does to error, confidence and hidden states.

    OMP_NUM_THREADS=1 python benchmarks/claims/images.py [--full | --cifar] [--report]

Quick settings are for two cores: 2000 training images of Fashion-MNIST, a small ResNet. ``--full``
takes all of its images, a ResNet-18 and hours of a GPU; ``--cifar`` 20 000 images of CIFAR-10,
flipped and cropped, a ResNet-18 and minutes of a GPU; ``--methods`` and ``--seeds`` part the work
among programs that run side by side. Keeps every result in results/images.jsonl
(images_full.jsonl, images_cifar.jsonl), computes what is missing, and writes three pages:
image_methods.md, image_calibration.md, hidden_states.md (…_full.md, …_cifar.md).
"""

import sys
from pathlib import Path

import numpy as np
import torch

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.augment import RandomCrop, RandomHorizontalFlip
from skmixup.estimators.temperature import fit_temperature, with_temperature
from skmixup.robustness import expected_calibration_error
from skmixup.vicinal import CutMix, Gaussian

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.claims.image_pages import write_pages
from benchmarks.datasets import load_cifar10, load_fashion
from benchmarks.records import Records, command_line

HALF = {"alpha": 2.0, "layers": [1, 2], "mix_prob": 0.5}
METHODS = {
    "ERM": (VicinalClassifier, {}),
    "Gaussian 0.1": (VicinalClassifier, {"vicinity": Gaussian(0.1)}),
    "mixup 0.2": (MixupClassifier, {"alpha": 0.2}),
    "mixup 1": (MixupClassifier, {"alpha": 1.0}),
    "manifold 2": (ManifoldMixupClassifier, {"alpha": 2.0}),
    "CutMix 1": (VicinalClassifier, {"vicinity": CutMix(1.0)}),
    "half": (ManifoldMixupClassifier, HALF),
    "half, below blocked": (ManifoldMixupClassifier, {**HALF, "block_gradient": "below"}),
    "half, above blocked": (ManifoldMixupClassifier, {**HALF, "block_gradient": "above"}),
}
QUICK = {"n": 2000, "epochs": 30, "module__width": 16}
RESNET_18 = {"module__width": 64, "module__depths": (2, 2, 2, 2)}
FULL = {"n": 59_000, "epochs": 60, **RESNET_18}
CIFAR = {
    **{"data": "CIFAR-10", "n": 20_000, "epochs": 24, **RESNET_18, "batch_size": 128, "lr": 0.1},
    "augment": torch.nn.Sequential(RandomHorizontalFlip(), RandomCrop(padding=4)),
}
CIFAR_METHODS = ["ERM", "Gaussian 0.1", "mixup 1", "manifold 2", "CutMix 1"]
RECIPE = {
    "optimizer": torch.optim.SGD,
    "optimizer__momentum": 0.9,
    "optimizer__nesterov": True,
    "optimizer__weight_decay": 5e-4,
    "lr": 0.05,
    "batch_size": 64,
    "precision": "bfloat16",
}
SEEDS = range(3)
N_BINS = 10
ROWS_OF_A_CLASS = 50


def measure(method, seed, settings):
    """Error, confidence and hidden states of one network."""
    settings = dict(settings)
    n, epochs = settings.pop("n"), settings.pop("epochs")
    data = load_cifar10() if settings.pop("data", None) == "CIFAR-10" else load_fashion()
    order = np.random.default_rng(seed).permutation(len(data.X))
    train, calibrate = order[:n], order[-1000:]
    X_test, y_test = _scaled(data.X_test), data.y_test
    kind, params = METHODS[method]
    clf = kind(
        **params,
        **{**RECIPE, **settings},
        max_epochs=epochs,
        random_state=seed,
    ).fit(_scaled(data.X[train]), data.y[train])
    proba = clf.predict_proba(X_test)
    held_out = clf.predict_proba(_scaled(data.X[calibrate])), data.y[calibrate]
    temperature = fit_temperature(*held_out, np.ones(1000))
    cooled = with_temperature(proba, temperature)
    return [
        {
            "error": float((proba.argmax(axis=1) != y_test).mean()),
            "temperature": float(temperature),
            "before": _confidence(proba, y_test),
            "after": _confidence(cooled, y_test),
            "spectra": _spectra(clf.module_, X_test, y_test),
        }
    ]


def _scaled(pixels):
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels
    return pixels.astype(np.float32) / 255


def _confidence(proba, y):
    """Log-loss, calibration error, and rows, mean confidence and share right of each bin."""
    top, right = proba.max(axis=1), proba.argmax(axis=1) == y
    place = np.minimum((top * N_BINS).astype(int), N_BINS - 1)
    bins = [
        [int(here.sum()), float(top[here].mean()), float(right[here].mean())]
        for k in range(N_BINS)
        if (here := place == k).any()
    ]
    loss = -np.log(np.maximum(proba[np.arange(len(y)), y], 1e-12)).mean()
    ece = expected_calibration_error(y, proba, labels=np.arange(10), n_bins=N_BINS)
    return {"log_loss": float(loss), "ece": float(ece), "bins": bins}


def _spectra(module, X, y):
    """Of each stage and the pooled features: all singular values but the first, over the first.

    Of the matrix of hidden states of one class, 50 rows, averaged over the classes.
    """
    hidden = {}

    def keep(name):
        def hook(_module, _args, output):
            hidden[name] = output.detach().float().flatten(1)

        return hook

    parts = [(f"stage {k + 1}", stage) for k, stage in enumerate(module.stages)]
    handles = [part.register_forward_hook(keep(name)) for name, part in parts]
    handles.append(module.head.register_forward_pre_hook(
        lambda _module, args: hidden.__setitem__("pooled", args[0].detach().float())))  # fmt: skip
    device = next(module.parameters()).device
    ratios = {}
    try:
        for c in range(10):
            rows = np.flatnonzero(y == c)[:ROWS_OF_A_CLASS]
            with torch.no_grad():
                module.eval()(torch.from_numpy(X[rows]).to(device))
            for name, states in hidden.items():
                values = torch.linalg.svdvals(states).cpu().numpy()
                ratios.setdefault(name, []).append(float(values[1:].sum() / values[0]))
    finally:
        for handle in handles:
            handle.remove()
    return {name: float(np.mean(values)) for name, values in ratios.items()}


def main():
    """Compute what is missing, then write the pages."""
    parser = command_line(__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--full", action="store_true", help="all images, a ResNet-18, a GPU")
    size.add_argument("--cifar", action="store_true", help="CIFAR-10, a ResNet-18, a GPU")
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="compute these only")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS), help="and these")
    arguments = parser.parse_args()
    suffix = "_full" if arguments.full else "_cifar" * arguments.cifar
    settings = FULL if arguments.full else CIFAR if arguments.cifar else QUICK
    methods = CIFAR_METHODS if arguments.cifar else list(METHODS)
    records = Records("images" + suffix, n_keys=2)
    if not arguments.report:
        chosen = arguments.methods or methods
        planned = ((method, seed) for seed in arguments.seeds for method in chosen)
        records.run(planned, lambda method, seed: measure(method, seed, settings))
    if not arguments.methods:
        write_pages(records.rows, methods, {**RECIPE, **settings}, suffix)


if __name__ == "__main__":
    main()

"""
Several processes share a training, on as many GPUs, by skorch's AccelerateMixin
================================================================================

Each process trains on its part of every minibatch, and gradients are averaged. Here two processes
share a CPU, which shows that it works and is no faster. On a machine with GPUs leave out
`debug_launcher` and `cpu=True`, call ``main()`` and start the script with::

    accelerate launch --multi_gpu --num_processes 4 several_gpus.py

Needs ``pip install accelerate``. Run with ``python examples/several_gpus.py``.
"""

import os
import tempfile

import torch
from accelerate import Accelerator, debug_launcher
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch.helper import predefined_split
from skorch.hf import AccelerateMixin
from skorch.history import DistributedHistory
from torch.distributed import FileStore
from torch.nn import Module

from skmixup import ManifoldMixupClassifier
from skmixup.augment import RandomCrop
from skmixup.training.batches import ArrayDataset


class Accelerated(AccelerateMixin, ManifoldMixupClassifier):
    """The estimator, and how its steps, batches and files are shared among processes."""


class CpuAccelerator(Accelerator):
    """Leaves a loss alone, as on GPUs, where `Accelerator` would distribute its no parameters."""

    def prepare_model(self, model: Module, *args, **kwargs):
        if not any(p.requires_grad for p in model.parameters()):
            return model
        return super().prepare_model(model, *args, **kwargs)


def main(store=None):
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 1, 8, 8).astype("float32")
    X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=800, random_state=0)
    accelerator = CpuAccelerator(cpu=True)
    rank, n_processes = accelerator.process_index, accelerator.num_processes
    history = None
    if n_processes > 1:  # one that all processes agree on, so that all stop at the same epoch
        shared = FileStore(store, n_processes)
        history = DistributedHistory(store=shared, rank=rank, world_size=n_processes)
    clf = Accelerated(
        accelerator=accelerator,
        history=history,
        alpha=1.0,
        module__width=8,
        augment=RandomCrop(1),
        ema_decay=0.9,
        batch_size=32 // n_processes,  # rows of a minibatch in each process
        train_split=predefined_split(ArrayDataset(X_test, y_test)),
        lr=0.01,
        max_epochs=4,
        random_state=0,
        callbacks__print_log__sink=print,  # with verbose=0 nothing is printed
    ).fit(X_train, y_train)
    accuracy = clf.score(X_test, y_test)  # called in every process, each predicts a part
    if accelerator.is_main_process:
        steps = clf.history_[-1, "train_batch_count"]
        print(f"{n_processes} processes, {steps} steps an epoch, accuracy {accuracy:.3f}")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        debug_launcher(main, (os.path.join(folder, "store"),), num_processes=2)

"""What each of two processes does that train one network; test_accelerate.py starts them."""

import gc
import os

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather
from skorch.hf import AccelerateMixin
from torch import nn

from skmixup import ManifoldMixupClassifier, MixupRegressor, VicinalClassifier

RNG = np.random.default_rng(0)
CODES = np.arange(37) % 3  # odd: the last batches are filled up, and cut off again
X = (RNG.normal(size=(37, 4)) + 2 * np.eye(3, 4)[CODES]).astype(np.float32)
Y = np.array(["a", "b", "c"])[CODES]


class CpuAccelerator(Accelerator):
    """Leaves modules without parameters alone, as accelerate does on GPUs."""

    def prepare_model(self, model, *args, **kwargs):
        if not any(p.requires_grad for p in model.parameters()):
            return model
        return super().prepare_model(model, *args, **kwargs)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def accelerated(kind, accelerator, **params):
    mixed = type(kind.__name__, (AccelerateMixin, kind), {})
    return mixed(
        accelerator=accelerator, callbacks__print_log__sink=print, random_state=0, **params
    )


def all_alike(values):
    """Whether both processes have the same numbers."""
    both = gather(torch.as_tensor(np.asarray(values, dtype=np.float64))[None])
    return len(both) == 2 and bool(torch.equal(both[0], both[1]))


def parts_of_minibatches_are_the_minibatches(accelerator):
    rows = np.arange(32)
    params = {"optimizer": torch.optim.SGD, "lr": 0.1, "iterator_train__shuffle": False}
    params |= {"max_epochs": 3, "module": lambda: network()[::3]}
    two = accelerated(VicinalClassifier, accelerator, batch_size=4, **params)
    two.fit(X[rows], Y[rows], sample_weight=1.0 + rows / 32)
    one = VicinalClassifier(batch_size=8, random_state=0, device="cpu", **params)
    one.fit(X[rows], Y[rows], sample_weight=1.0 + rows / 32)
    assert two.history_[-1, "train_batch_count"] == one.history_[-1, "train_batch_count"] == 4
    np.testing.assert_allclose(two.predict_proba(X), one.predict_proba(X), atol=1e-6)


def layers_by_name_averages_and_augmentation(accelerator):
    net = accelerated(
        ManifoldMixupClassifier,
        accelerator,
        module=network,
        layers=["input", "2"],
        augment=lambda x: x + 0.1 * torch.randn_like(x),
        ema_decay=0.9,
        batch_size=4,
        train_split=0.25,
        max_epochs=3,
    ).fit(X, Y)
    assert net.predict(X).shape == (37,)
    assert all_alike(net.predict_proba(X))
    for module in (net.module_, net.student_):
        assert all(all_alike(p.detach()) for p in module.parameters())
    weights = [module[0].weight for module in (net.module_, net.student_)]
    assert not torch.equal(*weights)


def numeric_targets(accelerator):
    net = accelerated(MixupRegressor, accelerator, batch_size=8, max_epochs=2)
    assert net.fit(X, CODES.astype(float)).predict(X).shape == (37,)
    assert all_alike(net.predict(X))


if __name__ == "__main__":
    accelerator = CpuAccelerator(cpu=True)
    assert accelerator.num_processes == 2
    parts_of_minibatches_are_the_minibatches(accelerator)
    layers_by_name_averages_and_augmentation(accelerator)
    numeric_targets(accelerator)
    gc.collect()  # networks in circles hold the process group, and it its threads
    torch.distributed.destroy_process_group()
    print("all of it", flush=True)
    os._exit(0)  # torch's threads, if any is left, would be cut off by Python's end and abort

"""Facts about which device a net is trained on."""

import pytest
import torch

from skmixup import MixupClassifier
from skmixup.training.devices import resolve_device


def test_auto_takes_the_best_device_there_is(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("meta", "tensors have shapes but no values"),
        (torch.device("meta", 0), "tensors have shapes but no values"),
        ("xla", "this torch cannot compute on"),
        ("ipu:1", "this torch cannot compute on"),
        ("privateuseone", "this torch cannot compute on"),
    ],
)
def test_a_device_on_which_nothing_can_be_computed_is_an_error_before_training(device, said):
    clf = MixupClassifier(device=device)
    with pytest.raises(ValueError, match=rf"device is .*{said}.*use 'auto' or 'cpu'"):
        clf.fit([[0.0], [1.0]], [0, 1])
    assert not hasattr(clf, "module_")

"""A file that holds a default network of other sizes: the error says what would load it."""

import io

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skmixup import MixupClassifier
from skmixup.networks import MLP

RNG = np.random.default_rng(0)
CODES = np.arange(60) % 3
X = RNG.normal(size=(60, 4)).astype(np.float32)
IMAGES = RNG.normal(size=(12, 2, 4, 4)).astype(np.float32)
FAST = {"module__hidden_sizes": (8,), "max_epochs": 0, "random_state": 0}


def file_with(net, safe=False):
    file = io.BytesIO()
    net.save_params(file, use_safetensors=safe)
    file.seek(0)
    return file


TABLES = [
    ({}, {"module__hidden_sizes": (16, 4)}, "module__hidden_sizes=(8,)"),
    ({"module__hidden_sizes": (16, 4)}, {}, "module__hidden_sizes=(16, 4)"),
    ({"module__hidden_sizes": ()}, {}, "module__hidden_sizes=()"),
    ({"module__n_members": 1}, {}, "module__n_members=1"),
    ({}, {"module__n_members": 1}, "module__n_members=4"),
    ({"module__embedding": None}, {}, "module__embedding=None"),
    ({"module__embedding": "piecewise"}, {}, "module__embedding='piecewise'"),
    ({}, {"module__embedding": None}, "module__embedding='periodic'"),
    ({"module__scale_inputs": False}, {}, "module__scale_inputs=False"),
    (
        {"module__batch_norm": True, "module__n_members": 1, "module__hidden_sizes": (4,)},
        {},
        "module__hidden_sizes=(4,), module__n_members=1, module__batch_norm=True",
    ),
]
PICTURES = [
    ({"module__width": 8}, "module__width=8"),
    ({"module__depths": (1, 2)}, "module__depths=(1, 2)"),
    ({"module__scale_inputs": False}, "module__scale_inputs=False"),
]


def fitted(**params):
    return MixupClassifier(**FAST | params).fit(X, CODES)


def assert_the_remedy_loads(saved, own, told, safe):
    names = told.replace("(", r"\(").replace(")", r"\)")
    match = rf"(?s)with {names}, .*A new estimator with these.*loads it.*(size|Missing|Unexpec)"
    for net in (own, clone(own).set_params(classes=[0, 1, 2])):
        with pytest.raises(RuntimeError, match=match):
            net.load_params(file_with(saved, safe), use_safetensors=safe)
    named = eval(f"dict({told})")
    new = clone(own).set_params(classes=saved.classes_, **named)
    new.load_params(file_with(saved, safe), use_safetensors=safe)
    return new


@pytest.mark.parametrize(("of_file", "of_net", "told"), TABLES)
def test_a_default_network_of_other_sizes_is_told_of_with_what_would_load(of_file, of_net, told):
    saved, own = fitted(**of_file), fitted(**of_net)
    new = assert_the_remedy_loads(saved, own, told, safe=False)
    assert np.array_equal(new.predict_proba(X), saved.predict_proba(X))


@pytest.mark.parametrize("safe", [False, True], ids=["torch", "safetensors"])
@pytest.mark.parametrize(("of_file", "told"), PICTURES)
def test_so_is_one_for_images(of_file, told, safe):
    params = {"module__width": 4, "module__depths": (1, 1), "max_epochs": 0, "random_state": 0}
    own = MixupClassifier(**params).fit(IMAGES, CODES[:12])
    saved = clone(own).set_params(**of_file).fit(IMAGES, CODES[:12])
    new = assert_the_remedy_loads(saved, own, told, safe)
    assert np.array_equal(new.predict_proba(IMAGES), saved.predict_proba(IMAGES))


def test_other_columns_or_classes_are_told_of_with_what_would_load():
    saved, file = fitted(), io.BytesIO()
    wider = clone(saved).fit(np.c_[X, X], CODES % 2)
    match = r"4 inputs and 3 outputs, and this one has 8 and 2; .* that is not fitted .* loads it"
    with pytest.raises(RuntimeError, match=match):
        wider.load_params(file_with(saved))
    new = clone(wider)
    new.load_params(file_with(saved))
    assert np.array_equal(new.predict(X), saved.predict(X))
    torch.save(MLP(4, 3, hidden_sizes=(5,)).state_dict(), file)
    file.seek(0)
    with pytest.raises(RuntimeError, match=r"with module__hidden_sizes=\(5,\)"):
        saved.load_params(file)
    images = MixupClassifier(module__width=4, max_epochs=0).fit(IMAGES, CODES[:12])
    with pytest.raises(RuntimeError, match="holds an MLP for tables, and this one is a PreActRes"):
        images.load_params(file_with(saved))

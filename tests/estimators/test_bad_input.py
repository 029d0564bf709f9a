"""Bad input: an error before training that names the parameter, its value and the valid ones."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from torch import nn

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4)).astype(np.float32)
Y = np.arange(30) % 3
IMAGES = RNG.normal(size=(30, 1, 6, 6)).astype(np.float32)
FAST = {"module__hidden_sizes": (8,), "max_epochs": 2, "random_state": 0}
WITH_NAN, WITH_INF = X.copy(), X.copy()
WITH_NAN[3, 1], WITH_INF[2, 2] = np.nan, np.inf

PARAMETERS = [
    (MixupClassifier, {"alpha": -0.5}, ValueError, r"alpha must be a finite number ≥ 0.*-0\.5"),
    (MixupClassifier, {"alpha": float("nan")}, ValueError, r"alpha .*≥ 0.*nan"),
    (MixupClassifier, {"alpha": "high"}, TypeError, r"alpha .*≥ 0.*'high'"),
    (MixupClassifier, {"mix_per": "row"}, ValueError, r"mix_per .*'batch', 'sample'; got 'row'"),
    (MixupClassifier, {"mix_prob": 2}, ValueError, r"mix_prob .*\[0, 1\]; got 2"),
    (MixupClassifier, {"mix_epochs": -1}, ValueError, r"'mix_epochs' .*\[0, inf\).* Got -1"),
    (MixupClassifier, {"mix_epochs": 1.5}, ValueError, r"'mix_epochs' .*\[0.0?, 1.0?\].* Got 1.5"),
    (
        ManifoldMixupClassifier,
        {"layers": [0, 9]},
        ValueError,
        r"layers has 9.*0 \('input'\), 1 \('blocks.0'\)",
    ),
    (
        ManifoldMixupClassifier,
        {"layers": "body"},
        ValueError,
        r"layers has 'body'.*'blocks.0', 'blocks.0.0'",
    ),
    (ManifoldMixupClassifier, {"layers": []}, ValueError, "layers is empty"),
    (ManifoldMixupClassifier, {"layers": None}, ValueError, "layers has None"),
    (
        ManifoldMixupClassifier,
        {"block_gradient": "up"},
        ValueError,
        r"block_gradient .*None, 'below', 'above'; got 'up'",
    ),
    (MixupClassifier, {"max_epochs": -1}, ValueError, r"'max_epochs' .*\[0, inf\).* Got -1"),
    (MixupClassifier, {"max_epochs": 1.5}, ValueError, r"'max_epochs' .*int.* Got 1.5"),
    (MixupClassifier, {"lr": -0.1}, ValueError, r"'lr' .*\(0\.?0?, inf\).* Got -0.1"),
    (MixupClassifier, {"lr": 0}, ValueError, r"'lr' .*\(0.0?, inf\).* Got 0"),
    (MixupClassifier, {"batch_size": 0}, ValueError, r"'batch_size' .*'auto'.* Got 0"),
    (MixupClassifier, {"batch_size": "big"}, ValueError, r"'batch_size' .*'auto'.* Got 'big'"),
    (MixupClassifier, {"lr": True}, ValueError, r"'lr' .*\(0.0?, inf\).* Got True"),
    (MixupClassifier, {"max_epochs": True}, ValueError, r"'max_epochs' .*'auto'.* Got True"),
    (MixupClassifier, {"max_epochs": False}, ValueError, r"'max_epochs' .*'auto'.* Got False"),
    (MixupClassifier, {"batch_size": True}, ValueError, r"'batch_size' .*'auto'.* Got True"),
    (MixupClassifier, {"mix_epochs": True}, ValueError, r"'mix_epochs' .*\[0, inf\).* Got True"),
    (MixupClassifier, {"ema_decay": False}, ValueError, r"'ema_decay' .*\[0.0?, 1.*Got False"),
    (MixupClassifier, {"random_state": "a"}, ValueError, r"'random_state' .* Got 'a'"),
    (
        MixupClassifier,
        {"class_weight": "even"},
        ValueError,
        r"'class_weight' .*'balanced'.* Got 'even'",
    ),
    (
        MixupClassifier,
        {"class_weight": {7: 1.0}},
        ValueError,
        r"class_weight has \[7\].*\[0, 1, 2\]",
    ),
    (MixupClassifier, {"device": "gpu9"}, ValueError, r"device must be 'auto'.*got 'gpu9'"),
    (MixupClassifier, {"device": 1.5}, ValueError, r"device must be 'auto'.*got 1.5"),
    (
        MixupClassifier,
        {"module": "mlp"},
        (TypeError, ValueError),
        r"module must be None.*got 'mlp'",
    ),
    (MixupClassifier, {"train_split": 5}, ValueError, r"'train_split' .*callable.* Got 5"),
    (MixupClassifier, {"callbacks": "none"}, ValueError, r"'callbacks' .*'disable'.* Got 'none'"),
    (MixupClassifier, {"callbacks": [1]}, TypeError, r"callbacks must be a list .*; got 1"),
    (MixupClassifier, {"callbacks": [("a", len)]}, TypeError, r"callbacks .*; got \('a', <built"),
    (MixupClassifier, {"dataset": None}, ValueError, r"'dataset' .* callable. Got None"),
    (MixupClassifier, {"iterator_valid": "x"}, ValueError, r"'iterator_valid' .* Got 'x'"),
    (MixupClassifier, {"foo": 1}, ValueError, r"unexpected argument\(s\) foo"),
    (
        VicinalClassifier,
        {"vicinity": "mixup"},
        TypeError,
        r"vicinity must be None or an instance of .*CutMix or RandomChoice.*got 'mixup'",
    ),
]


@pytest.mark.parametrize(("estimator", "params", "error", "message"), PARAMETERS, ids=str)
def test_parameters(estimator, params, error, message):
    net = estimator(**({"module": None} | FAST | params))
    with pytest.raises(error, match=message):
        net.fit(X, Y)
    assert not getattr(net, "history_", None)  # raised before training
    assert not hasattr(net, "module_")


@pytest.mark.parametrize(("estimator", "params", "error", "message"), PARAMETERS, ids=str)
def test_parameters_that_are_wrong_cost_a_fitted_estimator_nothing(
    estimator, params, error, message
):
    if params.keys() & {"module", "foo"} or isinstance(params.get("callbacks"), list):
        pytest.skip("skorch makes the module anew, or callbacks, when the parameters are set")
    net = estimator(**FAST).fit(X, Y)
    expected = net.predict_proba(X)
    good = {name: net.get_params()[name] for name in params}
    net.set_params(**params)
    for fit in (net.fit, net.partial_fit):
        with pytest.raises((ValueError, TypeError)):
            fit(X, Y)
    assert np.array_equal(net.set_params(**good).predict_proba(X), expected)
    assert net.n_iter_ == 2


class Picture:
    """Is an array without a length, as images of PIL are."""

    def __array__(self, dtype=None, copy=None):
        return np.zeros((8, 8, 3), dtype=np.uint8)


OF_ARRAYS = np.empty(30, dtype=object)
OF_ARRAYS[:] = list(X)

DATA = [
    (OF_ARRAYS, Y, r"values that are arrays or lists .*np.stack\(X\)"),
    (pd.DataFrame({"a": OF_ARRAYS}), Y, r"np.stack\(X\['name'\]\)"),
    ([Picture()] * 30, Y, r"images of 8 × 8 pixels with 3 channels last"),
    (WITH_NAN, Y, "Input X contains NaN"),
    (WITH_INF, Y, "Input X contains infinity"),
    (X, Y[:-1], "inconsistent numbers of samples"),
    (X, Y + 0.5, "Unknown label type: continuous"),
    (X, np.zeros(30), "1 class"),
    (X, ["one"] * 30, "1 class"),
    (X, np.where(Y == 1, np.nan, Y), "NaN"),
    (X, None, "y to be passed, but the target y is None"),
    (X, np.eye(3)[Y] + 1, r"y has shape \(30, 3\), and 30 of its rows do not sum to one"),
    (X[0], Y, "Expected 2D array, got 1D array"),
    (X[:0], Y[:0], "0 sample"),
    (X[:, :0], Y, r"0 feature\(s\)"),
    (sparse.csr_array(X), Y, "[Ss]parse"),
    (np.array([["a", "b"]] * 30), Y, "could not convert string to float"),
    (X + 1j, Y, "Complex data not supported"),
    ([*np.ma.masked_less(X, 0)], Y, "X is a masked array"),
]


@pytest.mark.parametrize(("data", "y", "message"), DATA)
def test_data(data, y, message):
    net = MixupClassifier(**FAST)
    with pytest.raises((ValueError, TypeError), match=message):
        net.fit(data, y)
    assert not hasattr(net, "module_")


@pytest.mark.parametrize(("data", "y", "message"), DATA)
def test_data_that_are_wrong_cost_a_fitted_estimator_nothing(data, y, message):
    net = MixupClassifier(**FAST).fit(X, Y)
    expected, history = net.predict_proba(X), list(net.history_)
    with pytest.raises((ValueError, TypeError), match=message):
        net.fit(data, y)
    assert np.array_equal(net.predict_proba(X), expected)
    assert list(net.history_) == history
    assert net.n_features_in_ == 4


def test_a_refit_that_fails_after_other_columns_were_seen_costs_nothing():
    net = MixupClassifier(**FAST).fit(X, Y)
    expected = net.predict_proba(X)
    with pytest.raises(ValueError, match="continuous"):
        net.fit(X[:, :2], Y + 0.5)
    assert np.array_equal(net.predict_proba(X), expected)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_nested_tensor_is_to_be_padded():
    rows = torch.nested.nested_tensor([torch.ones(2 + i % 3) for i in range(30)])
    with pytest.raises(ValueError, match=r"different lengths: pad them, torch.nested.to_padded"):
        MixupClassifier(**FAST).fit(rows, Y)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_other_columns_at_prediction(method):
    net = MixupClassifier(**FAST).fit(X, Y)
    with pytest.raises(ValueError, match=r"X has 3 features, but MixupClassifier is expecting 4"):
        getattr(net, method)(X[:, :3])
    with pytest.raises(ValueError, match="NaN"):
        getattr(net, method)(WITH_NAN)
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        getattr(net, method)(sparse.csr_array(X))


@pytest.mark.parametrize("shape", [(1, 6, 5), (1, 3, 6), (1, 36), (1, 6, 6, 1)])
def test_another_image_shape_at_prediction(shape):
    net = MixupClassifier(module__width=4, max_epochs=1).fit(IMAGES, Y)
    message = (
        rf"rows of shape \({', '.join(map(str, shape))}\).*fitted on rows of shape \(1, 6, 6\)"
    )
    with pytest.raises(ValueError, match=message):
        net.predict(np.zeros((2, *shape)))
    with pytest.raises(ValueError, match="X has 3 features"):
        net.predict(np.zeros((2, 3, 6, 6)))


def test_no_default_network_for_other_shapes():
    with pytest.raises(ValueError, match=r"module=None .* rows of shape \(2, 2\)"):
        MixupClassifier().fit(np.zeros((30, 2, 2)), Y)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda: nn.Linear(4, 5), r"returns 5 logits, but y has 3 classes: \[0, 1, 2\]"),
        (lambda: nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)), r"shape \(n, 3\); got \(2,\)"),
        (lambda: nn.Linear(7, 3), "shapes cannot be multiplied"),
        (lambda: nn.LSTM(4, 5), "returns 5 logits"),
    ],
)  # fmt: skip
def test_modules_that_do_not_fit_the_data(module, message):
    net = MixupClassifier(module, max_epochs=2)
    with pytest.raises((ValueError, RuntimeError), match=message):
        net.fit(X, Y)
    assert not getattr(net, "history_", None)


@pytest.mark.parametrize(
    "weight", [np.full(30, -1.0), np.zeros(30), np.full(30, np.nan), np.ones(29), np.ones((30, 2))]
)
def test_sample_weights(weight):
    with pytest.raises(ValueError, match=r"sample_weight|Sample weights"):
        MixupClassifier(**FAST).fit(X, Y, sample_weight=weight)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has the device that is asked for")
def test_a_gpu_that_is_not_there():
    net = MixupClassifier(device="cuda", **FAST)
    with pytest.raises(ValueError, match=r"device is 'cuda', but this machine has 0 CUDA devices"):
        net.fit(X, Y)


def test_balanced_class_weight_needs_all_rows_at_once():
    net = MixupClassifier(class_weight="balanced", **FAST)
    with pytest.raises(
        ValueError, match="class_weight='balanced' is not possible with partial_fit"
    ):
        net.partial_fit(X, Y)

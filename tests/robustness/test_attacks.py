"""Facts about adversarial examples, mostly on models whose attack is known in closed form."""

import numpy as np
import pandas as pd
import pytest
import torch
from art.attacks import evasion
from art.estimators.classification import PyTorchClassifier
from scipy.special import softmax
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from skmixup import MixupClassifier
from skmixup.robustness import accuracy_under_attack, fgsm, ifgsm


def linear():
    return nn.Linear(5, 3)


def normalised_mlp():
    return nn.Sequential(
        nn.Linear(5, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 3)
    )


def weights(net):
    return net.module_.weight.detach().numpy(), net.module_.bias.detach().numpy()


def linear_gradient(net, X, y):
    """(softmax(Wx + b) - e_y) W, the gradient of the cross-entropy of a linear model."""
    W, b = weights(net)
    return (softmax(X @ W.T + b, axis=1) - np.eye(len(W))[y]) @ W


@pytest.fixture
def linear_net(plain_net, blobs):
    return plain_net(linear).fit(*blobs)


@pytest.fixture
def mlp_net(plain_net, blobs):
    return plain_net(normalised_mlp).fit(*blobs)


@pytest.mark.parametrize("eps", [0.0, 0.05, 0.3])
def test_fgsm_of_a_linear_model_is_the_closed_form(linear_net, blobs, eps):
    X, y = blobs
    sign = np.sign(linear_gradient(linear_net, X, y))
    np.testing.assert_allclose(fgsm(linear_net, X, y, eps), X + eps * sign, atol=1e-6)
    wanted = (y + 1) % 3
    sign = np.sign(linear_gradient(linear_net, X, wanted))
    adversarial = fgsm(linear_net, X, wanted, eps, targeted=True)
    np.testing.assert_allclose(adversarial, X - eps * sign, atol=1e-6)


def test_two_classes_fall_exactly_where_the_margin_is_smaller(plain_net, blobs):
    X, y = blobs[0], (blobs[1] > 0).astype(int)
    net = plain_net(nn.Linear, module__in_features=5, module__out_features=2).fit(X, y)
    (w0, w1), (b0, b1) = weights(net)
    w, margin = w1 - w0, (2 * y - 1) * (X @ (w1 - w0) + b1 - b0)
    for eps in (0.02, 0.1, 0.3):
        closed_form = np.mean(margin > eps * np.abs(w).sum())
        for attack in (fgsm, ifgsm):
            assert accuracy_under_attack(net, X, y, attack, eps=eps) == closed_form


def test_ifgsm_follows_its_recursion(linear_net, blobs):
    X, y = blobs
    eps, step, low, high = 0.1, 0.03, 0.0, 1.0
    x = X.astype(np.float64)
    for _ in range(7):
        x = x + step * np.sign(linear_gradient(linear_net, x, y))
        x = np.clip(np.clip(x, X - eps, X + eps), low, high)
    adversarial = ifgsm(linear_net, X, y, eps, step, 7, clip=(low, high))
    np.testing.assert_allclose(adversarial, x, atol=1e-5)


@pytest.mark.parametrize("attack", [fgsm, ifgsm])
def test_stays_in_the_ball_and_in_the_range(mlp_net, blobs, attack):
    X, y = blobs
    adversarial = attack(mlp_net, X, y, 0.2, clip=(0.0, 1.0))
    assert np.abs(adversarial - X).max() <= 0.2 + 1e-6
    assert adversarial.min() == 0.0
    assert adversarial.max() == 1.0
    high = np.array([1.0, 1.0, 1.0, 1.0, 1.1])
    adversarial = attack(mlp_net, X, y, 0.2, clip=(0.0, high))
    assert (adversarial <= high.astype(np.float32)).all()
    assert adversarial[:, 4].max() > 1


def test_many_steps_hurt_more_than_one_and_targets_are_reached(mlp_net, blobs):
    X, y = blobs
    eps = 0.15
    clean = np.mean(mlp_net.predict(X) == y)
    one = accuracy_under_attack(mlp_net, X, y, fgsm, eps=eps)
    many = accuracy_under_attack(mlp_net, X, y, ifgsm, eps=eps)
    assert many <= one < clean - 0.2
    target = (y + 1) % 3
    steered = mlp_net.predict(ifgsm(mlp_net, X, target, eps, targeted=True))
    assert np.mean(steered == target) > np.mean(mlp_net.predict(X) == target) + 0.3
    accuracy = accuracy_under_attack(mlp_net, X, y, ifgsm, eps=eps, target=target)
    assert accuracy == np.mean(steered == y)


def test_nothing_of_the_network_or_of_the_world_changes(mlp_net, blobs, global_states):
    X, y = blobs
    module = mlp_net.module_
    module.train()
    module[1].eval()  # a layer that its owner froze
    for parameter in module.parameters():
        parameter.grad = None
    state = {name: value.clone() for name, value in module.state_dict().items()}
    modes = [m.training for m in module.modules()]
    before, random_before = X.copy(), global_states()
    accuracy_under_attack(mlp_net, X, y, ifgsm, eps=0.1)
    assert global_states() == random_before
    np.testing.assert_array_equal(X, before)
    module.train()
    module[1].eval()
    ifgsm(mlp_net, X, y, eps=0.1)
    assert [m.training for m in module.modules()] == modes
    assert all(parameter.grad is None for parameter in module.parameters())
    assert all(parameter.requires_grad for parameter in module.parameters())
    for name, value in module.state_dict().items():
        assert torch.equal(value, state[name])


def test_mode_comes_back_after_an_error(mlp_net, blobs):
    X, y = blobs
    mlp_net.module_.train()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        fgsm(mlp_net, X[:, :3], y, 0.1)
    assert mlp_net.module_.training


def test_dropout_and_batch_size_have_no_say(mlp_net, blobs):
    X, y = blobs
    whole = ifgsm(mlp_net, X, y, 0.1)
    np.testing.assert_array_equal(whole, ifgsm(mlp_net, X, y, 0.1, batch_size=7))
    with torch.inference_mode():
        np.testing.assert_array_equal(whole, ifgsm(mlp_net, X, y, 0.1))


def test_an_autocast_has_no_say(mlp_net, blobs):
    expected = ifgsm(mlp_net, *blobs, 0.5, 0.05, 20)
    with torch.autocast("cpu", torch.bfloat16):
        found = ifgsm(mlp_net, *blobs, 0.5, 0.05, 20)
    assert np.array_equal(found, expected)


def test_images(plain_net):
    rng = np.random.default_rng(0)
    X = rng.random((40, 2, 6, 6)).astype(np.float32)
    y = rng.integers(0, 3, 40)

    def convolution():
        return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))

    net = plain_net(convolution, max_epochs=2).fit(X, y)
    adversarial = ifgsm(net, X, y, 8 / 255, clip=(0, 1))
    assert adversarial.shape == X.shape
    assert np.abs(adversarial - X).max() == pytest.approx(8 / 255, abs=1e-6)
    channel_range = (np.zeros((2, 1, 1)), np.ones((2, 1, 1)))
    np.testing.assert_array_equal(ifgsm(net, X, y, 8 / 255, clip=channel_range), adversarial)


def test_kind_and_type_of_x_come_back(linear_net, blobs):
    X, y = blobs
    reference = fgsm(linear_net, X, y, 0.1)
    assert reference.dtype == np.float32
    double = fgsm(linear_net, X.astype(np.float64), y, 0.1)
    assert double.dtype == np.float64
    np.testing.assert_allclose(double, reference, atol=1e-6)
    tensor = fgsm(linear_net, torch.from_numpy(X), torch.from_numpy(y), 0.1)
    assert isinstance(tensor, torch.Tensor)
    assert not tensor.requires_grad
    np.testing.assert_array_equal(tensor, reference)
    frame = fgsm(linear_net, pd.DataFrame(X, columns=list("abcde")), y, 0.1)
    assert frame.columns.tolist() == list("abcde")
    np.testing.assert_array_equal(frame, reference)
    assert fgsm(linear_net, np.ones((300, 5), dtype=np.uint8), y, 0.1).dtype == np.float32


def test_network_in_double_precision(plain_net, blobs):
    X, y = blobs
    X = X.astype(np.float64)
    net = plain_net(
        nn.Linear, module__in_features=5, module__out_features=3, module__dtype=torch.float64
    ).fit(X, y)
    np.testing.assert_allclose(
        fgsm(net, X, y, 0.1), X + 0.1 * np.sign(linear_gradient(net, X, y)), atol=1e-12
    )


def test_probabilities_with_nll_and_the_binary_net_agree_with_logits(plain_net, blobs):
    X, y = blobs[0], (blobs[1] > 0).astype(int)
    two = plain_net(nn.Linear, module__in_features=5, module__out_features=2).fit(X, y)
    expected = fgsm(two, X, y, 0.1)

    def with_softmax():
        return nn.Sequential(nn.Linear(5, 2), nn.Softmax(1))

    nll = plain_net(with_softmax, criterion=nn.NLLLoss, max_epochs=1).fit(X, y)
    nll.module_[0].load_state_dict(two.module_.state_dict())
    np.testing.assert_array_equal(fgsm(nll, X, y, 0.1), expected)

    binary = NeuralNetBinaryClassifier(
        nn.Linear,
        module__in_features=5,
        module__out_features=1,
        train_split=None,
        verbose=0,
        max_epochs=1,
    ).fit(X, y.astype(np.float32))
    with torch.no_grad():
        weight, bias = two.module_.weight, two.module_.bias
        binary.module_.weight.copy_((weight[1] - weight[0])[None])
        binary.module_.bias.copy_((bias[1] - bias[0])[None])
    np.testing.assert_array_equal(fgsm(binary, X, y, 0.1), expected)


def test_class_order_of_a_net_that_returns_labels(plain_net, blobs):
    X, codes = blobs
    names = np.array(["owl", "ant", "cat"])

    class Named(NeuralNetClassifier):
        def predict(self, X):
            return self.classes_[self.predict_proba(X).argmax(1)]

    plain = plain_net(linear).fit(X, codes)
    named = Named(
        linear, criterion=nn.CrossEntropyLoss, train_split=None, verbose=0, classes=names
    ).initialize()
    named.module_.load_state_dict(plain.module_.state_dict())
    np.testing.assert_array_equal(fgsm(named, X, names[codes], 0.1), fgsm(plain, X, codes, 0.1))
    with pytest.raises(ValueError, match=r"y holds \['bee'\], not in clf.classes_ \['owl'"):
        fgsm(named, X, ["bee"] * 300, 0.1)


def test_pipeline_is_attacked_at_its_last_step(plain_net, blobs):
    X, y = blobs
    pipe = make_pipeline(StandardScaler(), plain_net(linear)).fit(X, y)
    scaled = pipe[0].transform(X)
    adversarial = fgsm(pipe, X, y, 0.5)
    np.testing.assert_array_equal(adversarial, fgsm(pipe[-1], scaled, y, 0.5))
    assert accuracy_under_attack(pipe, X, y, fgsm, eps=0.5) == np.mean(
        pipe[-1].predict(adversarial) == y
    )
    alone = make_pipeline(plain_net(linear)).fit(X, y)
    np.testing.assert_array_equal(fgsm(alone, X, y, 0.1), fgsm(alone[-1], X, y, 0.1))


def test_search_is_attacked_at_its_best_estimator(plain_net, blobs):
    X, y = blobs
    pipe = make_pipeline(StandardScaler(), plain_net(linear, max_epochs=2))
    search = GridSearchCV(pipe, {"neuralnetclassifier__lr": [0.01, 0.1]}, cv=2).fit(X, y)
    np.testing.assert_array_equal(fgsm(search, X, y, 0.1), fgsm(search.best_estimator_, X, y, 0.1))


def test_frozen_estimators_are_attacked_as_what_is_in_them(plain_net, blobs):
    X, y = blobs
    pipe = make_pipeline(StandardScaler(), plain_net(linear)).fit(X, y)
    expected = fgsm(pipe, X, y, 0.5)
    for frozen in (FrozenEstimator(pipe), make_pipeline(pipe[0], FrozenEstimator(pipe[1]))):
        np.testing.assert_array_equal(fgsm(frozen, X, y, 0.5), expected)
        assert accuracy_under_attack(frozen, X, y, fgsm, eps=0.5, source=pipe) == np.mean(
            pipe[-1].predict(expected) == y
        )


def test_transfer_to_a_black_box(plain_net, blobs):
    X, y = blobs
    scaler = StandardScaler().fit(X)
    net = plain_net(linear).fit(scaler.transform(X), y)
    forest = make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=0)).fit(X, y)
    source = make_pipeline(StandardScaler(), plain_net(linear)).fit(X, y)
    transferred = accuracy_under_attack(forest, X, y, fgsm, eps=0.8, source=source)
    adversarial = fgsm(source[-1], scaler.transform(X), y, 0.8)
    assert transferred == np.mean(forest[-1].predict(adversarial) == y)
    assert transferred < forest.score(X, y) - 0.2
    with pytest.raises(ValueError, match="behind the same preprocessing"):
        accuracy_under_attack(forest, X, y, fgsm, eps=0.8, source=net)


def test_own_attack_gets_the_network_and_must_keep_the_shape(linear_net, blobs):
    X, y = blobs
    same = accuracy_under_attack(linear_net, X, y, lambda net, X, y: X)
    assert same == np.mean(linear_net.predict(X) == y)
    with pytest.raises(ValueError, match=r"rows of shape \(300, 5\), got \(300, 4\)"):
        accuracy_under_attack(linear_net, X, y, lambda net, X, y: X[:, :4])


def test_estimators_without_gradient_are_refused(plain_net, blobs):
    X, y = blobs
    forest = RandomForestClassifier(2).fit(X, y)
    for clf in (forest, make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)):
        for attack in (fgsm, ifgsm):
            with pytest.raises(TypeError, match="needs the gradient of the loss, so clf must be"):
                attack(clf, X, y, 0.1)
        with pytest.raises(TypeError, match="needs the gradient"):
            accuracy_under_attack(clf, X, y, fgsm, eps=0.1)
    regressor = NeuralNetRegressor(nn.Linear, module__in_features=5, module__out_features=1)
    with pytest.raises(TypeError, match="must be a fitted skorch classifier"):
        fgsm(regressor.initialize(), X, y, 0.1)
    with pytest.raises(NotFittedError):
        fgsm(plain_net(linear), X, y, 0.1)


def test_modules_without_gradient_are_refused(plain_net, blobs):
    X, y = blobs

    class Rounded(nn.Linear):
        def forward(self, x):
            return super().forward(x.detach().round())

    net = plain_net(Rounded, module__in_features=5, module__out_features=3).fit(X, y)
    with pytest.raises(TypeError, match="output of Rounded has no gradient with respect to X"):
        fgsm(net, X, y, 0.1)
    for parameter in net.module_.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(TypeError, match="output of Rounded has no gradient"):
        fgsm(net, X, y, 0.1)

    def lookup():
        return nn.Sequential(nn.Embedding(4, 2), nn.Flatten(), nn.Linear(10, 3))

    codes = (3 * X).astype(np.int64)
    net = plain_net(lookup, max_epochs=1).fit(codes, y)
    with pytest.raises(TypeError, match=r"X holds integers, which Sequential looks up"):
        fgsm(net, codes, y, 0.1)


def test_sparse_input_of_the_last_step_is_refused(plain_net, blobs):
    X, y = blobs
    pipe = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    pipe.fit(np.round(X), y)
    width = pipe[0].transform(np.round(X)).shape[1]
    net = plain_net(nn.Linear, module__in_features=width, module__out_features=3)
    pipe.steps[-1] = ("net", net.fit(pipe[0].transform(np.round(X)).toarray().astype("f"), y))
    with pytest.raises(TypeError, match="Sparse data was passed for X, but dense data is req"):
        fgsm(pipe, np.round(X), y, 0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eps": -0.1}, r"eps must be a finite number >= 0, got -0\.1"),
        ({"eps": float("nan")}, "eps must be a finite number >= 0, got nan"),
        ({"eps": "0.1"}, r"eps must be a finite number >= 0, got '0\.1'"),
        ({"eps": True}, "eps must be a finite number >= 0, got True"),
        ({"step": True}, "step must be a finite number >= 0, got True"),
        ({"step": -1}, "step must be a finite number >= 0, got -1"),
        ({"n_steps": 0}, "n_steps must be an int >= 1, got 0"),
        ({"n_steps": True}, "n_steps must be an int >= 1, got True"),
        ({"n_steps": 2.5}, r"n_steps must be an int >= 1, got 2\.5"),
        ({"batch_size": 0}, "batch_size must be an int >= 1, got 0"),
        ({"clip": (1, 0)}, r"low <= high, got \(1, 0\)"),
        ({"clip": 1}, r"clip must be \(low, high\).* got 1"),
        ({"clip": ([0, 0], [1, 1])}, r"against a row of shape \(5,\)"),
        ({"clip": (0.4, 0.5)}, r"X has values outside clip=\(0\.4, 0\.5\) \(from 0 to 1\)"),
        ({"y": [0, 1]}, r"inconsistent numbers of samples: \[300, 2\]"),
        ({"y": ["a"] * 300}, r"y must hold column numbers.* got \['a'\]"),
        ({"y": [-1] * 300}, r"y must hold column numbers.* got \[-1\]"),
        ({"X": np.full((300, 5), np.nan)}, "Input X contains NaN"),
    ],
)
def test_bad_input_is_named(linear_net, blobs, change, message):
    arguments = {"X": blobs[0], "y": blobs[1], "eps": 0.1} | change
    with pytest.raises(ValueError, match=message):
        ifgsm(linear_net, **arguments)


def test_bad_attack_is_named(linear_net, blobs):
    with pytest.raises(TypeError, match="attack must be a function such as fgsm or ifgsm, got 'f"):
        accuracy_under_attack(linear_net, *blobs, "fgsm")
    with pytest.raises(ValueError, match="targeted=True needs the labels to steer to"):
        accuracy_under_attack(linear_net, *blobs, fgsm, eps=0.1, targeted=True)
    with pytest.raises(TypeError, match="clf must be a classifier"):
        accuracy_under_attack(Ridge().fit(*blobs), *blobs, fgsm, eps=0.1, source=linear_net)


def test_agrees_with_the_adversarial_robustness_toolbox(mlp_net, blobs):
    X, y = blobs
    mlp_net.module_.eval()
    reference = PyTorchClassifier(
        mlp_net.module_,
        nn.CrossEntropyLoss(),
        input_shape=(5,),
        nb_classes=3,
        clip_values=(0.0, 1.0),
    )
    theirs = evasion.FastGradientMethod(reference, eps=0.1).generate(X, y)
    np.testing.assert_allclose(fgsm(mlp_net, X, y, 0.1, clip=(0, 1)), theirs, atol=1e-6)
    target = (y + 1) % 3
    theirs = evasion.BasicIterativeMethod(
        reference, eps=0.1, eps_step=0.03, max_iter=6, targeted=True, verbose=False
    ).generate(X, target)
    ours = ifgsm(mlp_net, X, target, 0.1, 0.03, 6, targeted=True, clip=(0, 1))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_our_estimators_with_names_as_labels_and_a_tuple_as_output(blobs):
    X, codes = blobs

    class Twice(nn.Linear):
        def forward(self, x):
            return super().forward(x), x

    names = np.array(["owl", "ant", "cat"])[codes]
    clf = MixupClassifier(
        Twice, module__in_features=5, module__out_features=3, max_epochs=3, random_state=0
    )
    clf.fit(X, names)
    order = np.searchsorted(["ant", "cat", "owl"], names)
    expected = X + 0.1 * np.sign(linear_gradient(clf, X, order))
    np.testing.assert_allclose(fgsm(clf, X, names, 0.1), expected, atol=1e-6)
    accuracy = accuracy_under_attack(clf, X, names, fgsm, eps=0.1)
    assert accuracy == np.mean(clf.predict(expected) == names)
    with pytest.raises(ValueError, match=r"y holds \['bee'\], not in clf.classes_ \['ant', 'cat"):
        fgsm(clf, X, ["bee"] * 300, 0.1)


def test_our_estimator_in_a_pipeline_with_pandas_output(blobs):
    X, y = blobs
    frame = pd.DataFrame(X, columns=list("abcde"))
    pipe = make_pipeline(StandardScaler(), MixupClassifier(max_epochs=2, random_state=0))
    pipe.set_output(transform="pandas").fit(frame, y)
    adversarial = fgsm(pipe, frame, y, 0.2)
    assert adversarial.columns.tolist() == list("abcde")
    np.testing.assert_allclose(
        np.abs(adversarial - pipe[0].transform(frame)).max(), 0.2, atol=1e-6
    )
    assert pipe[-1].predict(adversarial).shape == (300,)

"""Facts about which rows modules with `adapt_to_data` are shown, wherever they are."""

import numpy as np
import pytest
import torch
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import TensorDataset

from skmixup import (
    InterpolationConsistencyClassifier,
    MixupClassifier,
    MixupRegressor,
    VicinalClassifier,
)
from skmixup.networks import MLP

RNG = np.random.default_rng(0)
X = (1000 + 100 * RNG.normal(size=(60, 4))).astype(np.float32)
Y = (X[:, 0] > 1000).astype(int) + (X[:, 1] > 1000)


def mlp():
    return MLP(4, 3, hidden_sizes=(16,), n_members=2)


class Holder(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)


class Seeing(nn.Linear):
    """Keeps the rows it is shown."""

    def __init__(self, n_in=4, n_out=3):
        super().__init__(n_in, n_out)
        self.seen = None

    def adapt_to_data(self, X):
        assert self.seen is None
        self.seen = X.clone()


def fitted(module, X=X, y=Y, estimator=VicinalClassifier, **params):
    params = {"max_epochs": 1, "random_state": 0, "lr": 1e-9} | params
    return estimator(module, **params).fit(X, y)


WRAPPERS = {
    "Sequential": lambda net: nn.Sequential(net),
    "twice": lambda net: nn.Sequential(nn.Sequential(net)),
    "after Identity": lambda net: nn.Sequential(nn.Identity(), net),
    "DataParallel": nn.DataParallel,
    "a class": Holder,
    "compiled": lambda net: Holder(torch.compile(net, backend="eager")),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_the_default_network_in_a_wrapper_is_the_default_network(wrapper):
    params = {"max_epochs": 3, "lr": 0.01}
    torch.manual_seed(0)
    net = mlp()
    bare = fitted(net, **params)
    wrapped = fitted(WRAPPERS[wrapper](net), **params)
    assert np.array_equal(wrapped.predict_proba(X), bare.predict_proba(X))
    scaling = [m for m in wrapped.module_.modules() if hasattr(m, "center")]
    np.testing.assert_allclose(scaling[0].center, np.median(X, axis=0), rtol=1e-6)


def test_the_same_holds_for_a_data_set():
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    wrapped = fitted(nn.Sequential(mlp()), data, None, classes=[0, 1, 2])
    np.testing.assert_allclose(wrapped.module_[0].scaling.center, np.median(X, axis=0), rtol=1e-6)


def test_a_module_further_in_is_shown_what_reaches_it():
    net = fitted(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), Seeing(5)))
    expected = torch.relu(net.module_[0](torch.from_numpy(X))).detach()
    torch.testing.assert_close(net.module_[2].seen, expected, rtol=1e-4, atol=1e-4)


def test_in_16_bits_too_a_module_further_in_is_shown_rows_of_its_own_type():
    net = fitted(nn.Sequential(nn.Linear(4, 4), Seeing()), precision="bfloat16")
    with torch.no_grad():
        expected = net.module_[0](torch.from_numpy(X))
    torch.testing.assert_close(net.module_[1].seen, expected, rtol=1e-4, atol=0.01)
    MixupClassifier(nn.Sequential(nn.Linear(4, 4), mlp()), max_epochs=1, precision="bfloat16").fit(
        X, Y
    )


def test_the_second_is_shown_what_the_first_makes_once_it_has_adapted():
    class Centred(nn.Module):
        mean = 0.0

        def adapt_to_data(self, X):
            self.mean = X.mean(dim=0)

        def forward(self, x):
            return x - self.mean

    net = fitted(nn.Sequential(Centred(), Seeing()))
    x = torch.from_numpy(X)
    torch.testing.assert_close(net.module_[1].seen, x - x.mean(dim=0))


def test_after_a_normalisation_it_is_shown_rows_normalised_as_in_training():
    net = fitted(nn.Sequential(nn.BatchNorm1d(4), Seeing()), max_epochs=0)
    x = torch.from_numpy(X)
    expected = (x - x.mean(dim=0)) / x.std(dim=0, correction=0)
    torch.testing.assert_close(net.module_[1].seen, expected, rtol=1e-4, atol=1e-3)
    norm = net.module_[0]
    assert not norm.running_mean.any()
    assert torch.equal(norm.running_var, torch.ones(4))
    assert norm.num_batches_tracked == 0


def test_what_is_inside_an_adapting_module_is_its_own_business():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.seen = Seeing(), None

        def adapt_to_data(self, X):
            self.seen = X

        def forward(self, x):
            return self.inner(x)

    net = fitted(nn.Sequential(Outer()))
    assert torch.equal(net.module_[0].seen, torch.from_numpy(X))
    assert net.module_[0].inner.seen is None


def test_two_branches_are_each_shown_the_rows():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = Seeing(2), Seeing(4)

        def forward(self, x):
            return self.left(x[:, :2]) + self.right(x)

    net = fitted(Branches())
    assert torch.equal(net.module_.left.seen, torch.from_numpy(X)[:, :2])
    assert torch.equal(net.module_.right.seen, torch.from_numpy(X))


def test_other_arguments_of_the_call_do_not_disturb():
    class Calls(Holder):
        def forward(self, x):
            return self.net(x, None, scale=2.0)

    class Takes(Seeing):
        def forward(self, x, mask, scale):
            return super().forward(x) * scale

    assert torch.equal(fitted(Calls(Takes())).module_.net.seen, torch.from_numpy(X))


def test_one_that_is_not_called_is_told():
    class Skips(Holder):
        def __init__(self):
            super().__init__(nn.Linear(4, 3))
            self.unused = Seeing()

    with pytest.warns(UserWarning, match=r"'unused' has a method adapt_to_data but is not called"):
        fitted(Skips())


def test_many_rows_reach_a_module_further_in_as_a_sample(monkeypatch):
    monkeypatch.setattr("skmixup.vicinal.adaptation.MAX_ROWS", 40)
    monkeypatch.setattr("skmixup.vicinal.adaptation.CHUNK", 13)

    class Half(nn.Module):
        def forward(self, x):
            return x / 2

    net = fitted(nn.Sequential(Half(), Seeing()))
    seen = {tuple(row) for row in (2 * net.module_[1].seen).tolist()}
    assert len(seen) == 40
    assert seen <= {tuple(row) for row in X.tolist()}


# ---- rows held out


class Shown(Seeing):
    trained_on: list  # of each test, set there

    def forward(self, x):
        if self.training:
            self.trained_on.append(x.detach().clone())
        return super().forward(x)


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize(
    "split", [ValidSplit(5), ValidSplit(0.3), ValidSplit(3, stratified=True), "random"]
)
def test_rows_held_out_are_not_shown_and_the_split_is_that_of_training(wrap, split):
    if split == "random":

        def split(dataset, y=None, **kwargs):
            order = np.random.permutation(len(dataset))  # noqa: NPY002
            halves = order[:30], order[30:]
            return tuple(torch.utils.data.Subset(dataset, half) for half in halves)

    Shown.trained_on = []
    module = nn.Sequential(Shown()) if wrap else Shown()
    net = fitted(module, train_split=split)
    seen = next(m for m in net.module_.modules() if isinstance(m, Shown)).seen
    trained = torch.cat(Shown.trained_on)
    assert 0 < len(trained) < len(X)
    assert sorted(seen.tolist()) == sorted(trained.tolist())


def test_held_out_rows_of_a_data_set_are_not_shown():
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    Shown.trained_on = []
    net = fitted(Shown(), data, None, classes=[0, 1, 2], train_split=ValidSplit(0.3))
    assert sorted(net.module_.seen.tolist()) == sorted(torch.cat(Shown.trained_on).tolist())


def test_the_batch_size_is_still_automatic_after_a_fit_with_a_split():
    net = fitted(mlp(), train_split=ValidSplit(5))
    assert net.batch_size == "auto"


@pytest.mark.parametrize("attribute", ["buffer", "plain"])
def test_both_networks_of_interpolation_consistency_are_shown_the_rows(attribute):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)
            if attribute == "buffer":
                self.register_buffer("mean", torch.zeros(4))

        def adapt_to_data(self, X):
            self.mean = X.mean(dim=0)

        def forward(self, x):
            return self.linear((x - self.mean) / 100)

    y = np.where(np.arange(60) < 20, Y, -1)
    net = fitted(Scaled(), y=y, estimator=InterpolationConsistencyClassifier)
    for module in (net.module_, net.student_):
        np.testing.assert_allclose(module.mean, X.mean(axis=0), rtol=1e-5)


def test_the_wrapped_network_learns():
    net = fitted(nn.Sequential(mlp()), estimator=MixupClassifier, max_epochs=60, lr=0.01)
    assert net.score(X, Y) > 0.85


def test_rows_that_an_overridden_infer_changes_are_shown_as_they_arrive():
    class Halves(VicinalClassifier):
        def infer(self, x, **fit_params):
            return super().infer(x / 2, **fit_params)

    net = fitted(nn.Sequential(nn.Identity(), Seeing()), estimator=Halves)
    assert torch.equal(net.module_[1].seen, torch.from_numpy(X) / 2)


# Targets.


class SeeingTargets(Seeing):
    def adapt_to_data(self, X, y):
        super().adapt_to_data(X)
        self.targets = None if y is None else y.clone()


def targets_of(net):
    return next(m for m in net.module_.modules() if isinstance(m, SeeingTargets))


@pytest.mark.parametrize("wrapper", [w for w in WRAPPERS if w != "compiled"])
def test_a_module_that_asks_for_targets_is_shown_those_of_its_rows(wrapper):
    seen = targets_of(fitted(WRAPPERS[wrapper](SeeingTargets())))
    np.testing.assert_array_equal(seen.seen, X)
    np.testing.assert_array_equal(seen.targets, Y)


def test_behind_another_layer_too_where_of_many_rows_some_are_shown(monkeypatch):
    monkeypatch.setattr("skmixup.vicinal.adaptation.MAX_ROWS", 20)
    seen = targets_of(fitted(nn.Sequential(nn.Flatten(), nn.LayerNorm(4), SeeingTargets())))
    assert len(seen.seen) == len(seen.targets) == 20
    with torch.no_grad():
        arrives = nn.LayerNorm(4)(torch.from_numpy(X))
    places = torch.cdist(seen.seen, arrives).argmin(dim=1)
    torch.testing.assert_close(seen.seen, arrives[places])
    np.testing.assert_array_equal(seen.targets, Y[places])


def test_targets_are_those_of_the_rows_that_are_trained_on():
    net = fitted(SeeingTargets(), train_split=ValidSplit(3))
    train, _ = net.get_split_datasets(X, Y)
    np.testing.assert_array_equal(targets_of(net).targets, Y[np.asarray(train.indices)])


def test_targets_are_as_the_loss_sees_them():
    names = np.array(["ant", "bee", "cow"])[Y]
    np.testing.assert_array_equal(targets_of(fitted(SeeingTargets(), y=names)).targets, Y)
    numbers = fitted(SeeingTargets(4, 1), y=Y * 7.0, estimator=MixupRegressor)
    np.testing.assert_allclose(
        targets_of(numbers).targets.ravel(), (Y - Y.mean()) / Y.std(), rtol=1e-5
    )
    rows = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    assert targets_of(fitted(SeeingTargets(), X=rows, y=Y)).targets is None


def test_a_second_input_of_that_name_is_no_target():
    class TwoInputs(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 3)

        def adapt_to_data(self, x, y):
            self.seen = y.clone()

        def forward(self, x, y):
            return self.head(x * y)

    class Inputs(TwoInputs):
        def forward(self, **inputs):
            return self.head(inputs["x"] * inputs["y"])

    for module in (TwoInputs(), Inputs()):
        net = fitted(module, X={"x": X, "y": -X})
        np.testing.assert_array_equal(net.module_.seen, -X)

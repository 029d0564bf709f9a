"""Facts about regressors: units, mixed targets, weights, and scikit-learn's contract."""

import pickle
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.base import clone, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch.callbacks import Checkpoint, EarlyStopping, EpochScoring, LoadInitState
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from skmixup import ManifoldMixupRegressor, MixupRegressor, VicinalRegressor
from skmixup.vicinal import Gaussian, Mixup

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = 50 + 20 * (X[:, 0] - X[:, 1] ** 2) + RNG.normal(size=60)
KINDS = [VicinalRegressor, MixupRegressor, ManifoldMixupRegressor]


def net(kind=MixupRegressor, **params):
    return kind(**({"max_epochs": 3, "random_state": 0} | params))


def expected_failures(estimator):
    return {
        "check_sample_weight_equivalence_on_dense_data": (
            "training is on stochastic minibatches: a row of weight two shares its minibatch with "
            "other rows than two rows of weight one do"
        )
    }


@parametrize_with_checks(
    [kind(max_epochs=5) for kind in KINDS], expected_failed_checks=expected_failures
)
def test_scikit_learns_estimator_checks(estimator, check):
    check(estimator)


# ---- targets


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_in_the_units_of_the_targets(kind):
    plain = net(kind).fit(X, Y)
    scaled = net(kind).fit(X, 1000 * Y - 7)
    np.testing.assert_allclose(scaled.predict(X), 1000 * plain.predict(X) - 7, rtol=1e-4)
    np.testing.assert_allclose(scaled.loss_curve_, plain.loss_curve_, rtol=1e-4)
    assert 0 < plain.predict(X).mean() < 100


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-12, 1e12, 1e200, 1e300])
def test_targets_of_any_size(scale):
    y = np.c_[Y, scale * Y]
    predicted = net().fit(X, y).predict(X)
    np.testing.assert_allclose(
        net().fit(X, y[:, 1]).predict(X) / scale, net().fit(X, Y).predict(X)
    )
    assert np.isfinite(predicted).all()


def test_it_learns():
    data, target = load_diabetes(return_X_y=True)
    ridge = cross_val_score(make_pipeline(StandardScaler(), Ridge()), data, target).mean()
    ours = cross_val_score(net(max_epochs=8), data, target, error_score="raise")
    assert ours.mean() > ridge - 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_several_targets(kind):
    both = np.c_[Y, 1e-3 * X[:, 2]]
    clf = net(kind, max_epochs=30).fit(X, both)
    assert clf.predict(X).shape == (60, 2)
    assert clf.score(X, both) > 0.5
    assert net(kind).fit(X, Y[:, None]).predict(X).shape == (60, 1)


@pytest.mark.parametrize("target", [[*Y], pd.Series(Y), torch.from_numpy(Y), Y.astype("float32")])
def test_kinds_of_targets(target):
    np.testing.assert_allclose(
        net().fit(X, target).predict(X), net().fit(X, Y).predict(X), rtol=1e-4
    )


@pytest.mark.parametrize("kind", [MixupRegressor, ManifoldMixupRegressor])
def test_alpha_zero_is_erm_exactly(kind):
    erm = net(VicinalRegressor).fit(X, Y)
    assert np.array_equal(net(kind, alpha=0).fit(X, Y).predict(X), erm.predict(X))
    assert not np.array_equal(net(kind, alpha=1.0).fit(X, Y).predict(X), erm.predict(X))


class Recording(nn.Module):
    """Keeps what it was trained on."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 1)
        self.seen = []

    def forward(self, x):
        if self.training:
            self.seen.append(x.detach().clone())
        return self.head(x)


class Kept(nn.MSELoss):
    targets: ClassVar[list[torch.Tensor]] = []

    def forward(self, output, target):
        if torch.is_grad_enabled():
            Kept.targets.append(target.detach().clone())
        return super().forward(output, target)


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
def test_targets_are_mixed_as_the_inputs_are(mix_per):
    Kept.targets = []
    linear = X @ np.array([1.0, -2.0, 0.5, 3.0])  # a linear target is mixed as its inputs are
    clf = net(
        module=Recording, criterion=Kept, alpha=1.0, mix_per=mix_per, max_epochs=2, lr=1e-9
    ).fit(X, linear)
    x, y = torch.cat(clf.module_.seen), torch.cat(Kept.targets)
    expected = (x.double().numpy() @ [1.0, -2.0, 0.5, 3.0] - linear.mean()) / linear.std()
    np.testing.assert_allclose(y[:, 0], expected, atol=1e-4)
    rows = {tuple(row) for row in X.tolist()}
    assert not {tuple(row) for row in x.tolist()} <= rows


def test_similar_pairs_have_similar_targets():
    gaps = {}
    for pairing in ("uniform", "similar"):
        Kept.targets = []
        seen = net(module=Recording, criterion=Kept, alpha=(1e4, 1e4), pairing=pairing,
                   bandwidth=0.05, max_epochs=4, lr=1e-9, batch_size=60).fit(X, Y)  # fmt: skip
        assert seen.module_.seen
        # λ is ½: where partners are alike, mixed targets spread as the targets themselves
        gaps[pairing] = float(torch.cat(Kept.targets).std())
    assert gaps["uniform"] < 0.8
    assert gaps["similar"] > 0.9


def test_rows_without_weight_have_no_part_in_the_targets():
    weight = np.r_[np.ones(40), np.zeros(20)]
    wild = np.r_[Y[:40], np.full(20, 1e4)]
    Kept.targets = []
    net(criterion=Kept, alpha=1.0, batch_size=60).fit(X, wild, sample_weight=weight)
    z = (Y[:40] - Y[:40].mean()) / Y[:40].std()
    assert z.min() - 1e-5 <= float(torch.cat(Kept.targets).min())
    assert float(torch.cat(Kept.targets).max()) <= z.max() + 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_weight_might_as_well_be_absent(kind):
    weight = np.where(np.arange(60) % 3, np.linspace(1, 2, 60), 0)
    kept, padded = weight > 0, X.copy()
    padded[~kept] = 1e6
    found = net(kind).fit(padded, np.where(kept, Y, 1e9), sample_weight=weight)
    absent = net(kind).fit(X[kept], Y[kept], sample_weight=weight[kept])
    np.testing.assert_allclose(found.predict(X), absent.predict(X), rtol=1e-5)


@pytest.mark.parametrize("wild", [-9999.0, 1e9, 1e300])
def test_units_are_those_of_the_rows_that_count(wild):
    weight = np.r_[np.ones(50), np.zeros(10)]
    y = np.c_[Y, -Y]
    y[50:] = wild
    found = net(max_epochs=60).fit(X, y, sample_weight=weight)
    assert found.score(X[:50], np.c_[Y, -Y][:50]) > 0.9
    lone = np.r_[1.0, np.zeros(59)]
    with pytest.raises(ValueError, match="at least 2 that differ"):
        net().fit(X, Y, sample_weight=lone)
    with pytest.raises(ValueError, match="at least 2 that differ"):
        net().partial_fit(X, Y, sample_weight=lone)
    np.testing.assert_allclose(
        net().fit(X, Y, sample_weight=np.ones(60)).predict(X),
        net().fit(X, Y).predict(X),
        rtol=1e-3,
    )


# ---- losses


@pytest.mark.parametrize(
    "criterion", [nn.L1Loss, nn.HuberLoss, nn.SmoothL1Loss, torch.nn.functional.mse_loss]
)
def test_losses_of_torch(criterion):
    clf = net(criterion=criterion, max_epochs=60, mix_per="sample").fit(X, Y, np.ones(60))
    assert clf.score(X, Y) > 0.6


class Quantile(nn.Module):
    def __init__(self, q=0.9, reduction="mean"):
        super().__init__()
        self.q, self.reduction = q, reduction

    def forward(self, output, target):
        gap = target - output
        loss = torch.maximum(self.q * gap, (self.q - 1) * gap)
        return loss if self.reduction == "none" else loss.mean()


def test_a_quantile():
    small = {"max_epochs": 100, "module__hidden_sizes": (64,), "module__embedding": None}
    high = net(VicinalRegressor, criterion=Quantile, **small).fit(X, Y)
    low = net(VicinalRegressor, criterion=Quantile, criterion__q=0.1, **small).fit(X, Y)
    assert np.mean(high.predict(X) > Y) > 0.75
    assert np.mean(low.predict(X) > Y) < 0.25


def test_mean_and_variance_by_the_gaussian_likelihood():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.mean, self.spread = (
                nn.Linear(4, 32),
                nn.Linear(32, 1),
                nn.Linear(32, 1),
            )

        def forward(self, x):
            h = torch.relu(self.body(x))
            return self.mean(h), torch.nn.functional.softplus(self.spread(h)) + 1e-3

    class Likelihood(nn.GaussianNLLLoss):
        def forward(self, output, target):
            mean, variance = output
            return super().forward(mean, target, variance)

    clf = net(module=Two, criterion=Likelihood, max_epochs=80, lr=0.01).fit(X, Y)
    assert clf.predict(X).shape == (60,)
    assert clf.score(X, Y) > 0.5


LIKELIHOODS = [nn.GaussianNLLLoss, nn.GaussianNLLLoss(eps=1e-4), nn.functional.gaussian_nll_loss]


@pytest.mark.parametrize("criterion", LIKELIHOODS)
def test_the_gaussian_likelihood_of_torch(criterion):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4)).astype(np.float32)
    y = 7 * (x[:, 0] + np.where(x[:, 1] > 0, 2.0, 0.1) * rng.normal(size=300)) + 100
    clf = net(criterion=criterion, max_epochs=12, lr=0.01, mix_per="sample")
    clf.fit(x, y, sample_weight=np.ones(300))
    assert clf.predict(x).shape == (300,)
    quiet = x[:, 1] < -0.3
    assert np.corrcoef(clf.predict(x)[quiet], y[quiet])[0, 1] > 0.9
    assert abs(clf.predict(x).mean() - 100) < 3
    again = pickle.loads(pickle.dumps(clf))
    assert np.array_equal(again.predict(x), clf.predict(x))
    with torch.no_grad():
        variance = nn.functional.softplus(clf.module_(torch.from_numpy(x))[:, 1])
    assert variance[x[:, 1] > 0.3].mean() > 5 * variance[x[:, 1] < -0.3].mean()
    two = net(criterion=criterion, max_epochs=1).fit(X, np.c_[Y, -Y])
    assert two.predict(X).shape == (60, 2)


def test_the_gaussian_likelihood_is_that_of_the_mixed_standardised_targets():
    class Tuple(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(4, 2)

        def forward(self, x):
            out = self.one(x)
            return out[:, 0], nn.functional.softplus(out[:, 1])

    torch.manual_seed(0)
    pair = Tuple()
    one = net(module=pair.one, criterion=nn.GaussianNLLLoss).fit(X, Y)
    both = net(module=pair, criterion=nn.GaussianNLLLoss).fit(X, Y)
    np.testing.assert_allclose(both.predict(X), one.predict(X), rtol=1e-5)
    first = net(module=pair.one, criterion=nn.GaussianNLLLoss, max_epochs=1, batch_size=60,
                alpha=0, lr=1e-9).fit(X, Y)  # fmt: skip
    with torch.no_grad():
        out = pair.one(torch.from_numpy(X)).double()
    z, variance = torch.from_numpy((Y - Y.mean()) / Y.std()), nn.functional.softplus(out[:, 1])
    expected = 0.5 * (variance.log() + (out[:, 0] - z) ** 2 / variance).mean()
    assert first.loss_curve_[0] == pytest.approx(float(expected), rel=1e-5)
    with pytest.raises(ValueError, match=r"GaussianNLLLoss needs a mean and a variance.*\(2, 1\)"):
        net(module=nn.Linear(4, 1), criterion=nn.GaussianNLLLoss).fit(X, Y)


# ---- the contract


@pytest.mark.parametrize("kind", KINDS)
def test_clones_pickles_and_files_predict_alike(kind, tmp_path):
    clf = net(kind).fit(X, Y)
    assert is_regressor(clf)
    expected = clf.predict(X)
    assert np.array_equal(clone(clf).fit(X, Y).predict(X), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(clf)).predict(X), expected)
    clf.save_params(f_params=tmp_path / "net.pt")
    loaded = net(kind)
    loaded.load_params(f_params=tmp_path / "net.pt")
    assert np.array_equal(loaded.predict(X), expected)


def test_weights_that_are_loaded_bring_their_units(tmp_path):
    saved, file = net().fit(X, 1000 * Y + 7), tmp_path / "net.pt"
    saved.save_params(f_params=file)
    fitted = net().fit(X, Y)
    fitted.load_params(f_params=file)
    assert np.array_equal(fitted.predict(X), saved.predict(X))
    loaded, again = net(), net()
    loaded.load_params(f_params=file)
    loaded.save_params(f_params=tmp_path / "again.pt")
    again.load_params(f_params=tmp_path / "again.pt")
    assert np.array_equal(again.predict(X), saved.predict(X))
    torch.save(saved.module_.state_dict(), file)  # as another program does
    nowhere = net()
    nowhere.load_params(f_params=file)
    with pytest.raises(NotFittedError, match="does not know mean and spread of the targets"):
        nowhere.predict(X)


def test_weights_of_another_loss_are_no_second_target(tmp_path):
    net(criterion=nn.GaussianNLLLoss).fit(X, Y).save_params(f_params=tmp_path / "net.pt")
    loaded = net()
    loaded.load_params(f_params=tmp_path / "net.pt")
    with pytest.raises(ValueError, match=r"one number for each target, shape \(n, 1\); got"):
        loaded.predict(X)


def test_a_fit_from_a_checkpoint_keeps_the_units_of_its_targets(tmp_path):
    checkpoint = Checkpoint(dirname=tmp_path, monitor=None)
    net(callbacks=[checkpoint]).fit(X, Y)
    going_on = net(callbacks=[LoadInitState(checkpoint)]).fit(X, 1000 * Y)
    assert np.abs(going_on.predict(X)).max() > 10 * np.abs(Y).max()


def test_searches_pipelines_and_transformed_targets():
    grid = {"mixupregressor__alpha": [0.0, 0.4], "mixupregressor__pairing": ["uniform", "similar"]}
    search = GridSearchCV(make_pipeline(StandardScaler(), net()), grid, cv=2, error_score="raise")
    assert search.fit(X, Y).predict(X).shape == (60,)
    logs = TransformedTargetRegressor(net(), func=np.log, inverse_func=np.exp)
    assert np.all(logs.fit(X, np.exp(Y / 20)).predict(X) > 0)


def test_a_vicinity_as_a_parameter_is_searched_inside():
    search = GridSearchCV(
        net(VicinalRegressor, vicinity=Gaussian(0.1)), {"vicinity__sigma": [0.0, 0.5]}, cv=2
    ).fit(X, Y)
    assert set(search.best_params_) == {"vicinity__sigma"}
    similar = net(VicinalRegressor, vicinity=Mixup(1.0, pairing="similar")).fit(X, Y)
    flat = net(MixupRegressor, alpha=1.0, pairing="similar").fit(X, Y)
    assert np.array_equal(similar.predict(X), flat.predict(X))
    with pytest.raises(TypeError, match="no parameter vicinity; use VicinalRegressor"):
        MixupRegressor(vicinity=Mixup())


def test_held_out_rows_are_scored_in_units():
    score = EpochScoring("neg_mean_absolute_error", lower_is_better=False, name="mae")
    clf = net(train_split=0.25, callbacks=[score], max_epochs=4).fit(X, Y)
    assert len(clf.history_[:, "valid_loss"]) == 4
    assert -clf.history_[-1, "mae"] > 1  # not standardised
    stopped = net(train_split=0.25, callbacks=[EarlyStopping(patience=1)], max_epochs=200)
    assert stopped.fit(X, Y).n_iter_ < 200


def test_callbacks_see_targets_as_they_were_given():
    seen = []

    class Looks(EpochScoring):
        def on_batch_end(self, net, batch, training=False, **kwargs):
            seen.append(batch[1])

    net(callbacks=[Looks("r2", use_caching=False)], max_epochs=1).fit(X, Y)
    np.testing.assert_allclose(np.sort(np.concatenate(seen)), np.sort(Y), rtol=1e-5)


def test_partial_fit_keeps_the_units_of_the_first_call():
    clf = net(max_epochs=1)
    for _ in range(3):
        clf.partial_fit(X[:30], Y[:30])
    before = clf.predict(X).mean()
    clf.set_params(lr=1e-9).partial_fit(X[30:], Y[30:] + 2)
    assert abs(clf.predict(X).mean() - before) < 1


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("again", ["partial_fit", "fit"])
def test_targets_far_from_those_of_the_first_call_are_warned_of(again, several):
    y, far = (np.c_[Y, Y], np.c_[Y, Y + 1000]) if several else (Y, Y + 1000)
    reg = net(max_epochs=1, warm_start=True).fit(X, y)
    getattr(reg, again)(X, y + 2)
    with pytest.warns(UserWarning, match="standard deviations away.* first call"):
        getattr(reg, again)(X, far)
    reg.set_params(warm_start=False).fit(X, far)


def test_images_and_data_sets():
    images = RNG.normal(size=(20, 1, 8, 8)).astype(np.float32)
    means = images.mean(axis=(1, 2, 3)) * 10
    small = {"module__width": 4, "module__depths": (1, 1)}
    assert net(ManifoldMixupRegressor, **small).fit(images, means).predict(images).shape == (20,)
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    plain = {"iterator_train__shuffle": False, "alpha": 0, "module__dropout": 0.0}
    of_arrays = net(**plain).fit(X, Y)

    class Plain(Dataset):
        def __len__(self):
            return 60

        def __getitem__(self, i):
            return X[i], Y[i]

    for rows, y in ((data, Y), (Plain(), Y)):
        of_set = net(**plain).fit(rows, y)
        np.testing.assert_allclose(of_set.predict(rows), of_arrays.predict(X), rtol=1e-3)


# ---- bad input


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (np.r_[np.nan, Y[1:]], "Input y contains NaN in 1 of 60 rows, first in row 0; leave"),
        (pd.Series(Y).astype("Float64").where(Y[3] != Y), "NaN in 1 of 60 rows, first in row 3"),
        (np.r_[np.inf, Y[1:]], "Input y contains infinity in 1 of 60 rows, first in row 0"),
        (pd.Series([*np.c_[Y, Y]]), r"y holds arrays or lists .* pass np.stack\(y\)"),
        (np.full(60, 3.0), r"y is constant: all 60 rows have .*3\.0"),
        (np.c_[Y, np.ones(60)], r"target 1 of y is constant"),
        (np.array(["a", "b"] * 30), r"y must hold numbers; .*For labels of classes use"),
        (Y.reshape(60, 1, 1), r"shape \(n,\) for one target or \(n, n_targets\).*\(60, 1, 1\)"),
        (Y[:59], r"inconsistent numbers of samples"),
        (None, "requires y to be passed"),
        (np.ma.masked_greater(Y, 50), "y is a masked array"),
        (pd.Series(pd.to_timedelta(Y, "h")), r"y holds times \(timedelta64"),
        (scipy.sparse.csr_matrix(Y[:, None]), r"y is a sparse matrix of shape \(60, 1\)"),
    ],
)
def test_bad_targets_are_told_before_training(target, message):
    clf = net()
    with pytest.raises(ValueError, match=message):
        clf.fit(X, target)
    assert "module_" not in vars(clf)


def test_other_numbers_of_targets_or_outputs_are_told():
    clf = net().fit(X, Y)
    with pytest.raises(ValueError, match="y has 2 targets, but MixupRegressor was fitted on 1"):
        clf.partial_fit(X, np.c_[Y, Y])
    with pytest.raises(ValueError, match=r"shape \(n, 1\); got \(2, 3\)"):
        net(module=nn.Linear(4, 3)).fit(X, Y)


def test_weights_need_a_loss_for_each_row():
    def one_number(output, target):
        return ((output - target) ** 2).mean()

    net(criterion=one_number).fit(X, Y)
    with pytest.raises(TypeError, match="returns one number for a minibatch"):
        net(criterion=one_number).fit(X, Y, sample_weight=np.ones(60))


@pytest.mark.parametrize("criterion", [nn.PoissonNLLLoss, nn.BCEWithLogitsLoss, nn.KLDivLoss])
def test_losses_that_compare_with_counts_or_probabilities_are_refused(criterion):
    with pytest.raises(ValueError, match=f"criterion {criterion.__name__} compares .* MSELoss"):
        net(criterion=criterion).fit(X, np.round(np.abs(Y)))


def test_bandwidth_and_pairing_are_checked_before_training():
    with pytest.raises(ValueError, match="bandwidth must be a finite number above 0; got 0"):
        net(pairing="similar", bandwidth=0).fit(X, Y)
    with pytest.raises(ValueError, match="pairing must be one of 'uniform', 'similar'"):
        net(pairing="near").fit(X, Y)


def test_a_loss_of_the_users_own_is_joined_for_both_targets():
    class Plain(MixupRegressor):
        def get_loss(self, y_pred, y_true, X=None, training=False):
            return super().get_loss(y_pred, y_true, X=X, training=training)

    # of squared errors the gradient is that of the mixed target
    expected = net(alpha=1.0).fit(X, Y)
    found = net(Plain, alpha=1.0).fit(X, Y)
    np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=1e-3)

"""Facts about the vicinity that is one of several: how often each is drawn, and where it mixes."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from skmixup import VicinalClassifier, VicinalRegressor
from skmixup.vicinal import CutMix, Dirac, Gaussian, ManifoldMixup, Mixup, RandomChoice
from skmixup.vicinal.draw import Draw, Interpolation, Noise, Paste

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 1, 4, 4)).astype(np.float32)
Y = RNG.integers(0, 2, 32)
BOTH = RandomChoice([Mixup(0.2), CutMix(1.0)])


def network():
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))


def net(vicinity, estimator=VicinalClassifier, **params):
    defaults = {"max_epochs": 2, "batch_size": 4, "random_state": 0, "device": "cpu"}
    return estimator(params.pop("module", network), vicinity=vicinity, **defaults | params)


@pytest.mark.parametrize("probabilities", [None, [0.3, 0.7, 0.0], (0.0, 1.0, 0.0)])
def test_each_member_is_drawn_as_often_as_it_should(probabilities):
    vicinity = RandomChoice([Mixup(0.5), CutMix(1.0), Gaussian(0.1)], probabilities).validate()
    rng, x = np.random.default_rng(0), torch.from_numpy(X)
    drawn = Counter(type(vicinity.draw(x, rng)) for _ in range(1500))
    expected = np.full(3, 1 / 3) if probabilities is None else np.array(probabilities)
    counts = np.array([drawn[kind] for kind in (Interpolation, Paste, Noise)])
    assert counts.sum() == 1500
    assert (counts[expected == 0] == 0).all()
    possible = expected > 0
    assert (
        possible.sum() == 1
        or stats.chisquare(counts[possible], 1500 * expected[possible]).pvalue > 1e-3
    )


def test_what_is_drawn_is_what_the_member_draws():
    member, x = Mixup((2, 5), mix_per="sample", mix_prob=0.5), torch.from_numpy(X)
    rngs = [np.random.default_rng(1) for _ in range(2)]
    rngs[1].random()
    draw, expected = RandomChoice([member]).draw(x, rngs[0]), member.draw(x, rngs[1])
    assert torch.equal(draw.lam, expected.lam)
    assert torch.equal(draw.apply(x), expected.apply(x))


class Recorded(VicinalClassifier):
    def draw_step(self, X, **kwargs):
        self.__dict__.setdefault("_drawn_", []).append(super().draw_step(X, **kwargs))
        return self._drawn_[-1]


def test_each_member_mixes_at_its_own_layers():
    vicinity = RandomChoice(
        [ManifoldMixup(1.0, ["0"]), Mixup(1.0), ManifoldMixup(1.0, ["2", "1"]), Dirac()]
    )
    clf = net(vicinity, Recorded, max_epochs=12).fit(X, Y)
    kinds = Counter((type(draw), draw.site) for draw in clf._drawn_)
    assert kinds.keys() == {
        (Draw, "input"), *((Interpolation, site) for site in ("input", "0", "1", "2"))
    }  # fmt: skip
    shares = [kinds[Interpolation, site] for site in ("0", "input")]
    shares += [kinds[Interpolation, "1"] + kinds[Interpolation, "2"], kinds[Draw, "input"]]
    assert stats.chisquare(shares).pvalue > 1e-3


def test_a_choice_within_a_choice():
    vicinity = RandomChoice([RandomChoice([ManifoldMixup(1.0, ["0"]), CutMix()]), Dirac()])
    clf = net(vicinity, Recorded, max_epochs=8).fit(X, Y)
    assert {(type(d), d.site) for d in clf._drawn_} == {
        (Interpolation, "0"), (Paste, "input"), (Draw, "input")
    }  # fmt: skip


def test_one_member_alone_trains_as_it_does_by_itself():
    choice = net(RandomChoice([Mixup(0.0), CutMix(0.0)])).fit(X, Y)
    assert np.array_equal(choice.predict_proba(X), net(None).fit(X, Y).predict_proba(X))


def test_compiled_modules_have_hooks_at_the_layers_of_all_members():
    vicinity = RandomChoice([ManifoldMixup(1.0, ["0"]), ManifoldMixup(1.0, ["1"]), CutMix()])
    plain = net(vicinity).fit(X, Y)
    compiled = net(vicinity, compile=True, compile__backend="eager").fit(X, Y)
    np.testing.assert_allclose(compiled.predict_proba(X), plain.predict_proba(X), atol=1e-5)
    above = RandomChoice([CutMix(), ManifoldMixup(block_gradient="above")])
    with pytest.raises(ValueError, match="block_gradient='above'"):
        net(above, compile=True, compile__backend="eager").fit(X, Y)
    torch._dynamo.reset()


def test_regression_pairs_by_target_where_a_member_does():
    vicinity = RandomChoice([Mixup(1.0, pairing="similar", bandwidth=0.1), CutMix(), Gaussian()])
    regressor = net(vicinity, VicinalRegressor, module=lambda: network()[:3].append(
        nn.Linear(12, 1)))  # fmt: skip
    assert np.isfinite(regressor.fit(X, Y.astype(float)).predict(X)).all()


def test_parameters_of_members_can_be_searched_and_set():
    params = BOTH.get_params()
    assert params["0"] is BOTH.vicinities[0]
    assert (params["0__alpha"], params["1__alpha"]) == (0.2, 1.0)
    search = GridSearchCV(net(clone(BOTH)), {"vicinity__1__alpha": [0.5, 2.0]}, cv=2)
    best = search.fit(X, Y).best_estimator_
    assert best.vicinity.vicinities[1].alpha == search.best_params_["vicinity__1__alpha"]
    changed = clone(BOTH).set_params(**{"0": Gaussian(0.3), "0__sigma": 0.4, "1__mix_prob": 0.5})
    assert repr(changed) == "RandomChoice(vicinities=[Gaussian(sigma=0.4), CutMix(mix_prob=0.5)])"
    assert BOTH.vicinities[0].alpha == 0.2
    with pytest.raises(ValueError, match="Invalid parameter '2'"):
        BOTH.set_params(**{"2": Mixup()})
    with pytest.raises(ValueError, match="Invalid parameter 'beta'"):
        BOTH.set_params(**{"1__beta": 2})


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RandomChoice([]), ValueError, r"vicinities must be a list .* got \[\]"),
        (lambda: RandomChoice(Mixup()), ValueError, "vicinities must be a list"),
        (lambda: RandomChoice([Mixup(), None]), TypeError, r"Dirac\(\) for none; got None at 1"),
        (lambda: RandomChoice([Mixup]), TypeError, "must hold vicinities .* got <class"),
        (lambda: RandomChoice([Mixup(-1)]), ValueError, "alpha must be"),
        (lambda: RandomChoice([Mixup()], [0.5]), ValueError, "probabilities must be 1 numbers"),
        (lambda: RandomChoice([Mixup()], [0.5, 0.5]), ValueError, "probabilities must be 1"),
        (lambda: RandomChoice([Mixup(), CutMix()], [-0.5, 1.5]), ValueError, "probabilities must"),
        (lambda: RandomChoice([Mixup()], ["all"]), ValueError, "probabilities .* got .'all'"),
        (lambda: RandomChoice([Mixup()], 1.0), ValueError, "probabilities must be .* got 1.0"),
    ],
)
def test_errors_name_what_is_wrong(make, error, message):
    with pytest.raises(error, match=message):
        net(make()).fit(X, Y)


def test_images_with_channels_last_are_refused_for_cutmix_among_others():
    with pytest.raises(ValueError, match="CutMix pastes boxes"):
        net(BOTH, module=lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 2))).fit(
            np.zeros((8, 8, 8, 3), dtype=np.float32), Y[:8]
        )

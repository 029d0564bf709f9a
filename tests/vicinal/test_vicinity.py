"""Facts about the distributions: what a draw does to inputs and labels, how λ is distributed."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from torch import nn
from torch.utils.data import TensorDataset

import skmixup.vicinal
from skmixup import VicinalClassifier
from skmixup.vicinal import CutMix, Dirac, Gaussian, ManifoldMixup, Mixup, Vicinity
from skmixup.vicinal.draw import Draw


def batch(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def convex_combination(x, lam, partner):
    """λ x_i + (1 − λ) x_j, one row at a time."""
    lam = lam.expand(len(x)) if lam.ndim == 0 else lam
    return torch.stack([lam[i] * x[i] + (1 - lam[i]) * x[partner[i]] for i in range(len(x))])


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
@pytest.mark.parametrize("shape", [(7, 3), (6, 1), (1, 4), (5, 2, 3, 4), (4,), (256, 50)])
@pytest.mark.parametrize("vicinity", [Mixup, ManifoldMixup])
def test_a_mixed_batch_is_the_convex_combination(vicinity, shape, mix_per):
    x = batch(*shape)
    draw = vicinity(0.7, mix_per=mix_per).draw(x, np.random.default_rng(1))
    assert draw.lam.shape == ((shape[0],) if mix_per == "sample" else ())
    expected = convex_combination(x, draw.lam, draw.partner)
    torch.testing.assert_close(draw.apply(x), expected, atol=1e-6, rtol=0)


def test_partners_are_a_permutation_of_the_minibatch():
    draw = Mixup().draw(batch(31, 2), np.random.default_rng(0))
    assert sorted(draw.partner.tolist()) == list(range(31))


def test_every_row_is_equally_likely_as_a_partner():
    x, rng = batch(4, 1), np.random.default_rng(0)
    partner_of_first = [int(Mixup().draw(x, rng).partner[0]) for _ in range(2000)]
    assert stats.chisquare(np.bincount(partner_of_first, minlength=4)).pvalue > 1e-3


@pytest.mark.parametrize(
    ("alpha", "a", "b"),
    [(0.2, 0.2, 0.2), (1, 1, 1), (2.0, 2, 2), ((2, 5), 2, 5), ([5, 0.5], 5, 0.5)],
)
@pytest.mark.parametrize("vicinity", [Mixup, ManifoldMixup])
def test_one_lam_per_batch_follows_the_beta_distribution(vicinity, alpha, a, b):
    x, rng = batch(3, 2).double(), np.random.default_rng(0)
    lam = [float(vicinity(alpha).draw(x, rng).lam) for _ in range(2000)]
    assert stats.kstest(lam, stats.beta(a, b).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("alpha", "a", "b"), [(0.2, 0.2, 0.2), (2.0, 2, 2), ((2, 5), 2, 5)])
def test_one_lam_per_sample_follows_the_beta_distribution(alpha, a, b):
    x = batch(5000, 1).double()
    lam = Mixup(alpha, mix_per="sample").draw(x, np.random.default_rng(0)).lam
    assert stats.kstest(lam.numpy(), stats.beta(a, b).cdf).pvalue > 1e-3


def test_beta_2_5_is_not_mistaken_for_beta_5_2():
    lam = Mixup((2, 5), mix_per="sample").draw(batch(5000, 1), np.random.default_rng(0)).lam
    assert float(lam.mean()) == pytest.approx(2 / 7, abs=0.02)


def test_layers_are_drawn_uniformly():
    x, rng = batch(2, 2), np.random.default_rng(0)
    vicinity, sites = ManifoldMixup(), ("input", "a", "b")
    drawn = [vicinity.draw(x, rng, sites).site for _ in range(1500)]
    counts = [drawn.count(site) for site in sites]
    assert sum(counts) == 1500
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("vicinity", [Mixup, ManifoldMixup, CutMix])
def test_mix_prob_is_the_share_of_minibatches_that_are_mixed(vicinity):
    x, rng = batch(4, 1, 3, 3), np.random.default_rng(0)
    mixed = [not vicinity(mix_prob=0.3).draw(x, rng).is_identity for _ in range(1000)]
    assert stats.binomtest(sum(mixed), 1000, 0.3).pvalue > 1e-3


@pytest.mark.parametrize("vicinity", [Mixup, ManifoldMixup, CutMix])
def test_mix_prob_is_the_share_of_rows_that_are_mixed_where_each_has_its_own_lambda(vicinity):
    x, rng = batch(1000, 1, 9, 9), np.random.default_rng(0)
    draw = vicinity(8.0, mix_per="sample", mix_prob=0.3).draw(x, rng)
    clean = draw.lam == 1
    assert torch.equal(draw.apply(x)[clean], x[clean])
    assert stats.binomtest(int((~clean).sum()), 1000, 0.3).pvalue > 1e-3
    assert stats.kstest(draw.lam[~clean], stats.beta(8, 8).cdf).pvalue > 1e-3 or vicinity is CutMix


@pytest.mark.parametrize(
    "vicinity",
    [
        Dirac(),
        Mixup(0),
        Mixup((0, 0)),
        Mixup(0.0, mix_per="sample"),
        Mixup(mix_prob=0),
        ManifoldMixup(0),
        CutMix(0),
        Gaussian(0),
    ],
)
def test_draws_that_change_nothing_keep_inputs_labels_and_the_generator(vicinity):
    x, rng = batch(4, 1, 3, 3), np.random.default_rng(0)
    draw = vicinity.draw(x, rng)
    assert draw.is_identity
    assert draw.lam is None
    assert draw.partner is None
    assert draw.apply(x) is x
    if not (isinstance(vicinity, Mixup) and vicinity.mix_prob == 0):
        assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


def test_gaussian_noise_has_mean_zero_and_standard_deviation_sigma():
    x = batch(200, 50).double()
    draw = Gaussian(0.3).draw(x, np.random.default_rng(0))
    noise = (draw.apply(x) - x).numpy().ravel()
    assert stats.kstest(noise, stats.norm(0, 0.3).cdf).pvalue > 1e-3
    assert draw.lam is None  # labels stay
    assert not draw.is_identity


@pytest.mark.parametrize(
    "vicinity", [Mixup(), Mixup(mix_per="sample"), ManifoldMixup(), CutMix(), Gaussian(0.5)]
)
def test_a_draw_is_applied_again_with_the_same_outcome(vicinity):
    x = batch(5, 2, 4, 4)
    draw = vicinity.draw(x, np.random.default_rng(0))
    assert torch.equal(draw.apply(x), draw.apply(x))


@pytest.mark.parametrize(
    "vicinity", [Mixup(), Mixup(mix_per="sample"), ManifoldMixup(), CutMix(), Gaussian(0.5)]
)
def test_draws_come_from_the_generator_alone(vicinity):
    x = batch(5, 2, 4, 4)
    before = torch.get_rng_state()
    first, again = (vicinity.draw(x, np.random.default_rng(3)).apply(x) for _ in range(2))
    other = vicinity.draw(x, np.random.default_rng(4)).apply(x)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


def test_noise_is_the_same_whatever_the_order_in_memory():
    x = batch(5, 2, 4, 4)
    last = x.contiguous(memory_format=torch.channels_last)
    first, other = (Gaussian(0.5).draw(v, np.random.default_rng(3)).apply(v) for v in (x, last))
    assert torch.equal(first, other)
    assert other.is_contiguous(memory_format=torch.channels_last)


def test_the_users_batch_is_not_written_to():
    x = batch(5, 2, 4, 4)
    kept = x.clone()
    for vicinity in [Mixup(), ManifoldMixup(), CutMix(), Gaussian(0.5)]:
        vicinity.draw(x, np.random.default_rng(0)).apply(x)
    assert torch.equal(x, kept)


def test_half_precision_batches_keep_their_dtype():
    x = batch(6, 4).to(torch.bfloat16)
    for vicinity in [Mixup(), Mixup(mix_per="sample"), Gaussian(0.5)]:
        assert vicinity.draw(x, np.random.default_rng(0)).apply(x).dtype == torch.bfloat16


# ---- CutMix


def pixels_by_row(n, channels, height, width):
    """Images whose every pixel is the number of their row, so that pasted pixels are seen."""
    return torch.arange(float(n)).view(n, 1, 1, 1).expand(n, channels, height, width).contiguous()


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
@pytest.mark.parametrize("size", [(8, 8), (7, 7), (5, 9), (9, 4), (1, 1), (1, 6), (28, 27)])
@pytest.mark.parametrize("n", [2, 5, 8])
def test_cutmix_label_share_is_the_area_that_was_pasted(n, size, mix_per):
    x = pixels_by_row(n, 2, *size)
    for seed in range(10):
        draw = CutMix(1.0, mix_per=mix_per).draw(x, np.random.default_rng(seed))
        kept = (draw.apply(x) == x).double().mean(dim=(1, 2, 3))
        moved = draw.partner != torch.arange(n)
        lam = draw.lam.expand(n).double()
        torch.testing.assert_close(kept[moved], lam[moved], atol=1e-6, rtol=0)


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
def test_cutmix_pastes_one_box_of_the_partner(mix_per):
    x = pixels_by_row(6, 3, 10, 12)
    draw = CutMix(1.0, mix_per=mix_per).draw(x, np.random.default_rng(5))
    pasted = draw.apply(x)
    assert bool((draw.partner != torch.arange(6)).any())
    for i, j in enumerate(draw.partner.tolist()):
        assert set(pasted[i].unique().tolist()) <= {float(i), float(j)}
        box = pasted[i] == j
        assert torch.equal(box[0], box[1])  # all channels alike
        rows, columns = box[0].any(dim=1), box[0].any(dim=0)
        if i != j:
            assert torch.equal(box[0], rows[:, None] & columns[None, :])
            for side in (rows, columns):  # without a gap
                where = side.nonzero().ravel()
                assert len(where) == 0 or int(where[-1] - where[0]) + 1 == len(where)


def test_cutmix_boxes_have_the_area_that_lam_asks_for_where_nothing_is_clipped():
    # Sides L√(1 − λ) cut down to even whole numbers: the largest box that is seen for each
    # drawn λ is the one that no border clips.
    x, alpha = pixels_by_row(2, 1, 64, 64), (1e4, 1e4)  # λ ≈ ½
    shares = [float(CutMix(alpha).draw(x, np.random.default_rng(seed)).lam) for seed in range(60)]
    side = 2 * (int(64 * np.sqrt(0.5)) // 2)
    assert min(shares) == pytest.approx(1 - side**2 / 64**2, abs=0.03)


@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 3, 5, 5, 5)])
def test_cutmix_refuses_what_is_neither_images_nor_a_table(shape):
    with pytest.raises(ValueError, match=r"CutMix needs images .* or tables .* \(4, 3, 5"):
        CutMix().draw(batch(*shape), np.random.default_rng(0))


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_cutmix_takes_each_column_of_a_table_from_one_row_of_the_pair(mix_per, dtype):
    x = torch.arange(6 * 9).view(6, 9).to(dtype)
    for seed in range(20):
        draw = CutMix(1.0, mix_per=mix_per).draw(x, np.random.default_rng(seed))
        mixed = draw.apply(x)
        assert mixed.dtype == dtype
        assert torch.equal(mixed, draw.apply(x))
        own, other = mixed == x, mixed == x[draw.partner]
        assert torch.all(own | other)
        pairs = draw.partner != torch.arange(6)
        share = own.double().mean(dim=1)
        torch.testing.assert_close(draw.lam.expand(6)[pairs].double(), share[pairs])
        if mix_per == "batch":
            assert len(own[pairs].unique(dim=0)) <= 1


def test_cutmix_of_columns_keeps_each_with_probability_lambda():
    x = batch(200, 50)
    lam = torch.cat(
        [
            CutMix((3, 2), mix_per="sample").draw(x, np.random.default_rng(seed)).lam
            for seed in range(5)
        ]
    )
    # λ ~ Beta(3, 2) and then 50 columns kept with probability λ: a beta-binomial share
    law = stats.betabinom(50, 3, 2)
    found = np.bincount((lam.numpy() * 50).round().astype(int), minlength=51)
    edges = [0, 15, 22, 28, 33, 38, 43, 51]
    observed = [found[a:b].sum() for a, b in pairwise(edges)]
    expected = [1000 * law.pmf(range(a, b)).sum() for a, b in pairwise(edges)]
    assert stats.chisquare(observed, np.array(expected) * 1000 / sum(expected)).pvalue > 1e-3


def test_cutmix_of_several_tables_counts_the_columns_of_all():
    x = {"a": torch.arange(12).view(6, 2), "b": torch.arange(6), "c": torch.arange(30).view(6, 5)}
    draw = CutMix(1.0, mix_per="sample").draw(x, np.random.default_rng(1))
    mixed = draw.apply_to_each(x)
    own = torch.cat([(mixed[key] == x[key]).view(6, -1) for key in x], dim=1)
    pairs = draw.partner != torch.arange(6)
    torch.testing.assert_close(draw.lam[pairs], own.float().mean(dim=1)[pairs])


# ---- parameters


@pytest.mark.parametrize("vicinity", [Mixup, ManifoldMixup, CutMix])
@pytest.mark.parametrize(
    ("alpha", "error"),
    [
        (-0.1, ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        ((1, -1), ValueError),
        ((1, 0), ValueError),
        ((1, float("nan")), ValueError),
        ("0.4", TypeError),
        (None, TypeError),
        (True, TypeError),
        ((1, 2, 3), TypeError),
        (np.array(0.4), TypeError),
        ((1, "2"), TypeError),
    ],
)
def test_alpha_outside_its_range_is_named_with_its_value(vicinity, alpha, error):
    with pytest.raises(error, match=r"alpha must be a finite number ≥ 0") as caught:
        vicinity(alpha).validate()
    assert repr(alpha) in str(caught.value)


@pytest.mark.parametrize(
    "alpha", [0, 1, 0.5, np.float32(0.5), np.int64(2), (1, 2), [0.5, 2], (0, 0)]
)
def test_alpha_inside_its_range_is_accepted(alpha):
    vicinity = Mixup(alpha)
    assert vicinity.validate() is vicinity
    vicinity.draw(batch(4, 2), np.random.default_rng(0))


@pytest.mark.parametrize("vicinity", [Mixup, ManifoldMixup, CutMix])
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"mix_per": "row"}, r"mix_per must be one of 'batch', 'sample'; got 'row'"),
        ({"mix_per": None}, r"mix_per must be one of 'batch', 'sample'; got None"),
        ({"mix_prob": 1.5}, r"mix_prob must be a number in \[0, 1\]; got 1.5"),
        ({"mix_prob": -1}, r"mix_prob must be a number in \[0, 1\]; got -1"),
        ({"mix_prob": float("nan")}, r"mix_prob must be a number in \[0, 1\]; got nan"),
        ({"mix_prob": "1"}, r"mix_prob must be a number in \[0, 1\]; got '1'"),
    ],
)
def test_mix_per_and_mix_prob_are_checked(vicinity, params, message):
    with pytest.raises(ValueError, match=message):
        vicinity(**params).validate()


@pytest.mark.parametrize("value", ["up", True, "Below", 1])
def test_block_gradient_is_checked(value):
    message = r"block_gradient must be one of None, 'below', 'above'; got "
    with pytest.raises(ValueError, match=message):
        ManifoldMixup(block_gradient=value).validate()


@pytest.mark.parametrize(
    ("sigma", "error"),
    [(-1, ValueError), (float("nan"), ValueError), (float("inf"), ValueError), ("1", TypeError)],
)
def test_sigma_is_checked(sigma, error):
    with pytest.raises(error, match=r"sigma must be a finite number ≥ 0; got"):
        Gaussian(sigma).validate()


def test_vicinities_are_cloned_and_searched_by_parameter():
    vicinity = ManifoldMixup((1, 2), [0, 2], block_gradient="below", mix_per="sample")
    assert clone(vicinity).get_params() == vicinity.get_params()
    assert vicinity.get_params() == {
        "alpha": (1, 2),
        "layers": [0, 2],
        "block_gradient": "below",
        "mix_per": "sample",
        "mix_prob": 1.0,
        "pairing": "uniform",
        "bandwidth": 1.0,
        "partners": "batch",
    }
    assert Gaussian().set_params(sigma=0.7).sigma == 0.7


def test_only_manifold_mixup_acts_at_hidden_layers():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    for vicinity in [Dirac(), Gaussian(), Mixup(), CutMix()]:
        assert vicinity.sites(net) == ("input",)
    assert ManifoldMixup().sites(net) == ("input", "0")


def test_integer_codes_get_no_noise():
    codes = torch.tensor([[1, 2], [3, 4]])
    with pytest.raises(TypeError, match=r"int64.*cannot be averaged"):
        Gaussian().draw(codes, np.random.default_rng(0))


def test_the_empty_draw_is_the_identity():
    assert Draw().is_identity


# ---- vicinities of the user's own


class Replacement(Draw):
    """Some codes are replaced by 0."""

    is_identity = False

    def apply(self, x):
        return x * (torch.arange(x.shape[1]) > 0)


class Replace(Vicinity):
    def draw(self, x, rng, sites=("input",)):
        return Replacement(site=sites[0])


class ReplaceInside(Replace):
    def sites(self, module):
        return ("1",)


class Turned(nn.Module):
    def forward(self, x):
        return x.T


@pytest.mark.parametrize(
    ("vicinity", "layers"),
    [
        (Replace(), [nn.Embedding(9, 4), nn.Flatten(), nn.Linear(8, 3)]),
        (ReplaceInside(), [nn.Flatten(), Turned(), Turned(), nn.Linear(2, 3)]),
    ],
)
def test_a_vicinity_that_pairs_no_rows_may_act_on_codes_and_on_any_axis(
    vicinity, layers, mixed_at
):
    codes = torch.arange(18).view(9, 2) % 5
    floats = isinstance(vicinity, ReplaceInside)
    data = TensorDataset(codes.float() if floats else codes, torch.arange(9) % 3)
    clf = VicinalClassifier(
        nn.Sequential(*layers), vicinity=vicinity, classes=[0, 1, 2], max_epochs=1
    ).fit(data, None)
    assert mixed_at[-1] == vicinity.sites(clf.module_)


@pytest.mark.parametrize("name", sorted({*skmixup.vicinal.__all__} - {"RandomChoice"}))
def test_pickles_of_earlier_releases_find_their_classes(name):
    reference = f"cskmixup.vicinal.vicinity\n{name}\n.".encode()
    assert pickle.loads(reference) is getattr(skmixup.vicinal, name)

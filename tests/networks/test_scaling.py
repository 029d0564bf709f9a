"""Facts about the scaling of inputs."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import RobustScaler

from skmixup import VicinalClassifier
from skmixup.networks import MLP, scaling
from skmixup.networks.scaling import ChannelScaling, RobustScaling


def test_columns_are_scaled_as_by_sklearns_robust_scaler():
    X = np.random.default_rng(0).gamma(1.0, size=(501, 3)) * [1, 100, 1e-4] + [0, 50, 1]
    layer = RobustScaling(3, limit=1e6)
    layer.adapt_to_data(torch.from_numpy(X))
    expected = RobustScaler(unit_variance=True).fit_transform(X)
    scaled = layer(torch.from_numpy(X).float()).numpy()
    np.testing.assert_allclose(scaled, expected, rtol=1e-3, atol=2e-3)


def test_outliers_are_bent_towards_the_limit_and_order_is_kept():
    layer = RobustScaling(1)
    x = torch.tensor([-1e30, -10.0, -1.0, 0.0, 0.01, 1.0, 5.0, 3e38]).unsqueeze(1)
    y = layer(x).squeeze(1)
    assert torch.all(y[1:] > y[:-1])
    torch.testing.assert_close(y[[0, -1]], torch.tensor([-3.0, 3.0]))
    z = torch.tensor([1.0, 5.0])
    torch.testing.assert_close(y[[5, 6]], z / torch.sqrt(1 + (z / 3) ** 2))


def test_columns_without_an_interquartile_range():
    rare = np.zeros(100)
    rare[:5] = 1
    X = torch.from_numpy(np.stack([rare, np.full(100, 7.0)], axis=1))
    layer = RobustScaling(2, limit=1e6)
    layer.adapt_to_data(X)
    torch.testing.assert_close(
        layer(X.float()), torch.from_numpy(np.stack([2 * rare, np.zeros(100)], axis=1)).float()
    )


def test_the_largest_of_a_few_amounts_does_not_hide_the_others():
    rng = np.random.default_rng(0)
    gains = np.zeros(500)
    gains[:40] = rng.lognormal(8, 1, size=40)
    gains[0] = 99_999
    layer = RobustScaling(1, limit=1e6)
    layer.adapt_to_data(torch.from_numpy(gains).unsqueeze(1))
    scaled = layer(torch.from_numpy(gains).float().unsqueeze(1)).numpy().ravel()
    assert np.median(scaled[:40]) == pytest.approx(2, rel=1e-3)
    np.testing.assert_array_equal(scaled[40:], 0)


@pytest.mark.parametrize("embedding", [None, "piecewise"])
def test_a_stream_whose_first_call_has_one_row_is_warned_of(embedding):
    X = 1000 * np.random.default_rng(0).normal(size=(40, 3))
    clf = VicinalClassifier(module__embedding=embedding, max_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match="scaled by the rows .* one row has no spread"):
        clf.partial_fit(X[:1], [0], classes=[0, 1])
    clf.partial_fit(X[1:2], [1])  # told once
    clf.set_params(module__scale_inputs=False).partial_fit(X[:1], [0], classes=[0, 1])


def test_a_column_of_smallest_numbers_is_finite():
    x = torch.zeros(100, 1)
    x[:3] = 1e-45
    layer = RobustScaling(1)
    layer.adapt_to_data(x)
    assert layer(x).isfinite().all()


@pytest.mark.parametrize("order", ["sorted", "periodic"])
def test_of_many_rows_a_sample_stands_for_all(order):
    n = 40_000
    x = np.arange(n) if order == "sorted" else np.arange(n) % 4 * (n / 4)
    layer = RobustScaling(1)
    layer.adapt_to_data(torch.from_numpy(x.astype(np.float64)).unsqueeze(1))
    q1, median, q3 = np.quantile(x, [0.25, 0.5, 0.75])
    state = torch.get_rng_state()
    layer.adapt_to_data(torch.from_numpy(x.astype(np.float64)).unsqueeze(1))
    assert torch.equal(state, torch.get_rng_state())
    if order == "sorted":
        assert layer.center.item() == pytest.approx(median, rel=0.03)
        assert layer.scale.item() == pytest.approx((q3 - q1) / 1.349, rel=0.03)
    else:  # four values; a stride through the rows would have seen one of them
        assert layer.scale.item() > n / 8


def test_scaling_is_saved_with_the_weights_and_can_be_turned_off():
    X = torch.randn(50, 4) * 20 + 5
    net, other = MLP(4, 3), MLP(4, 3)
    net.adapt_to_data(X)
    other.load_state_dict(net.state_dict())
    assert torch.equal(net.eval()(X), other.eval()(X))
    plain = MLP(4, 3, scale_inputs=False)
    plain.adapt_to_data(X)
    assert not any("scaling" in name for name in plain.state_dict())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("limit", [0.1, 3.0])
def test_clipping_is_exact_to_the_last_digits_of_every_dtype(dtype, limit):
    largest = torch.finfo(dtype).max / 16  # for the reference, which divides by the limit
    z = torch.tensor([0.0, 0.01, -0.3, 2.0, -40.0, 1e3, -6e4], dtype=dtype)
    z = torch.cat([z, torch.tensor([largest, -largest], dtype=dtype)]).unsqueeze(1)
    layer = RobustScaling(1, limit=limit).to(dtype)
    exact = z.double()
    exact = exact / torch.hypot(exact / limit, torch.ones((), dtype=torch.float64))
    error = (layer(z).double() - exact).abs() / exact.abs().clamp_min(1e-30)
    assert error.max() <= 3 * torch.finfo(dtype).eps


def test_columns_far_from_what_was_seen_stay_finite():
    layer = RobustScaling(2)
    layer.adapt_to_data(torch.tensor([[0.0, -3e38], [1e-6, 0.0], [2e-6, 3e38]]).double())
    far = torch.tensor([[3e38, 3e38], [-3e38, -3e38]])
    assert torch.all(torch.isfinite(layer(far)))
    torch.testing.assert_close(layer(far)[:, 0], torch.tensor([3.0, -3.0]))


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_channels_are_standardised_a_few_images_at_a_time(monkeypatch, kind):
    monkeypatch.setattr(scaling, "CHUNK_ELEMENTS", 7 * 3 * 20)
    images = torch.randint(256, (50, 3, 5, 4), generator=torch.Generator().manual_seed(0))
    images[:, 1] = images[:, 1] // 50 + 200
    images[:, 2] = 77
    layer = ChannelScaling(3)
    layer.adapt_to_data(images.to(kind))
    exact = images.double()
    torch.testing.assert_close(layer.mean, exact.mean(dim=(0, 2, 3)).float())
    std = exact.std(dim=(0, 2, 3), correction=0).float()
    torch.testing.assert_close(layer.std, torch.where(std > 0, std, 1.0))
    out = layer(images.float())
    torch.testing.assert_close(out.std(dim=(0, 2, 3), correction=0), torch.tensor([1.0, 1.0, 0.0]))


def test_small_differences_of_large_pixels_are_kept():
    images = 1e6 + torch.randn(40, 1, 3, 3, dtype=torch.float64)
    layer = ChannelScaling(1)
    layer.adapt_to_data(images)
    torch.testing.assert_close(layer.std[0].double(), images.std(correction=0), rtol=1e-4, atol=0)

"""Embeddings against their formulas, and as a part of the default network."""

import pickle

import numpy as np
import pytest
import torch

from skmixup import VicinalClassifier
from skmixup.networks import MLP
from skmixup.networks.default import default_network_in
from skmixup.networks.embeddings import (
    PeriodicEmbeddings,
    PiecewiseLinearEmbeddings,
    bin_edges,
)


def test_the_formula_column_by_column():
    torch.manual_seed(0)
    embed, x = PeriodicEmbeddings(3, n_frequencies=5, n_curves=2, spread=0.4), torch.randn(7, 3)
    found = embed(x).reshape(7, 3, 3)
    f, b = embed.frequency / 10, embed.phase / 10
    for i in range(3):
        waves = torch.cos(2 * torch.pi * x[:, i : i + 1] * f[i] + b[i])
        expected = waves @ embed.weight[i] + embed.bias[i]
        torch.testing.assert_close(found[:, i], torch.cat([x[:, i : i + 1], expected], dim=1))


def test_frequencies_and_phases_at_the_start():
    torch.manual_seed(0)
    embed = PeriodicEmbeddings(200, spread=0.3)
    frequency, phase = embed.frequency.detach() / 10, embed.phase.detach() / 10
    assert float(frequency.std()) == pytest.approx(0.3, rel=0.05)
    assert float(phase.abs().max()) == pytest.approx(np.pi, rel=0.01)


def test_an_adam_step_moves_them_a_tenth_as_far():
    torch.manual_seed(0)
    embed = PeriodicEmbeddings(2)
    before = [p.detach().clone() for p in (embed.frequency, embed.phase, embed.weight)]
    optimizer = torch.optim.Adam(embed.parameters(), lr=0.01)
    embed(torch.randn(9, 2)).square().sum().backward()
    optimizer.step()
    after = [p.detach() for p in (embed.frequency, embed.phase, embed.weight)]
    moved = [float((a - b).abs().median()) for a, b in zip(after, before, strict=True)]
    assert [moved[0] / 10, moved[1] / 10, moved[2]] == pytest.approx([1e-3, 1e-3, 1e-2], rel=1e-2)


@pytest.mark.parametrize("n_members", [1, 4])
def test_the_default_network_embeds_scaled_columns(n_members):
    net = MLP(4, 3, hidden_sizes=(6,), n_members=n_members, embedding="periodic").eval()
    x = 100 * torch.randn(20, 4)
    net.adapt_to_data(x)
    seen = []
    net.embedding.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    assert net(x).shape == (20, 3)
    assert 1.0 < seen[0].abs().max() < 3.0
    assert net.blocks[0][0].in_features == 16
    assert default_network_in(net.state_dict()) == ("MLP", 4, 3)
    bare = MLP(4, 3, n_members=n_members, embedding="periodic", scale_inputs=False)
    assert default_network_in(bare.state_dict()) == ("MLP", 4, 3)


def test_an_embedding_that_does_not_exist():
    valid = "embedding must be 'auto', 'periodic', 'piecewise' or None"
    with pytest.raises(ValueError, match=f"{valid}; got 'linear'"):
        MLP(4, 3, embedding="linear")


def test_broken_lines_bend_at_the_edges_of_bins_and_are_flat_beyond():
    torch.manual_seed(0)
    embed = PiecewiseLinearEmbeddings(3, n_bins=4, n_curves=2)
    rows = torch.tensor([[0.0, 1.0, 5.0], [1.0, 1.0, 7.0], [3.0, 1.0, 5.0]])
    embed.adapt_to_data(rows)
    inside = torch.tensor([[-9.0, 1.0, 4.0], [0.5, 2.0, 6.0], [2.0, 0.0, 7.0], [99.0, 1.0, 8.0]])
    parts = [  # how much of each bin lies below: edges are 0, 1, 3; none; 5, 7
        [[0, 0, 0, 0], [0.5, 0, 0, 0], [1, 0.5, 0, 0], [1, 1, 0, 0]],
        [[0, 0, 0, 0]] * 4,
        [[0, 0, 0, 0], [0.5, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]],
    ]
    found = embed(inside).reshape(4, 3, 3)
    for i in range(3):
        expected = torch.tensor(parts[i], dtype=torch.float32) @ embed.weight[i] + embed.bias[i]
        torch.testing.assert_close(found[:, i], torch.cat([inside[:, i : i + 1], expected], dim=1))


def test_bins_lie_between_quantiles_or_few_values():
    rng = np.random.default_rng(0)
    assert bin_edges(np.full(9, 2.5), 4).tolist() == [2.5]
    assert bin_edges(np.array([3.0, 1.0, 3.0, 7.0]), 4).tolist() == [1, 3, 7]
    even = bin_edges(rng.permutation(1001) / 1.0, 4)
    assert even.tolist() == [0, 250, 500, 750, 1000]
    amounts = np.concatenate([np.zeros(950), rng.uniform(10, 20, 50)])
    edges = bin_edges(amounts, 16)  # quantiles of all are zeros, but for the last
    assert edges[0] == 0
    assert 8 <= (edges >= 10).sum() <= 16
    assert len(edges) <= 17
    close = bin_edges(np.array([1.0, 1.0 + 1e-9, 2.0]), 4)
    assert (1e-9 * bin_edges(np.arange(5.0), 4)).tolist() == bin_edges(
        1e-9 * np.arange(5.0), 4
    ).tolist()
    assert close.tolist() == [1, 2]  # a bin so narrow would be a step of rounding errors


def test_broken_lines_in_the_default_network_are_saved_with_it():
    options = {"hidden_sizes": (6,), "embedding": "piecewise"}
    net, other = MLP(4, 3, **options).eval(), MLP(4, 3, **options).eval()
    x = 100 * torch.randn(50, 4) + 1000
    before = net(x)
    net.adapt_to_data(x)
    assert not torch.allclose(net(x), before)
    starts = net.embedding.start
    assert starts.abs().max() <= 3  # of scaled columns
    assert torch.equal(starts[:, 0], net.scaling(x).min(dim=0).values)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(x), net(x))
    assert default_network_in(net.state_dict()) == ("MLP", 4, 3)
    bare = MLP(4, 3, scale_inputs=False, **options)
    assert default_network_in(bare.state_dict()) == ("MLP", 4, 3)
    bare.adapt_to_data(x)
    assert torch.equal(bare.embedding.start[:, 0], x.min(dim=0).values)


def test_classifiers_fit_the_bins_to_the_rows_that_they_are_trained_on():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2)).astype(np.float32)
    y = (np.abs(X[:, 0]) > 0.7).astype(int)  # thresholds in a column
    sizes = {"module__hidden_sizes": (8,), "module__n_members": 1}
    clf = VicinalClassifier(
        module__embedding="piecewise", max_epochs=40, lr=0.02, random_state=0, **sizes
    ).fit(X, y)
    assert clf.score(X, y) > 0.9
    embed = clf.module_.embedding
    lowest = clf.module_.scaling(torch.from_numpy(X)).min(dim=0).values
    assert torch.equal(embed.start[:, 0], lowest)
    again = pickle.loads(pickle.dumps(clf))
    assert np.array_equal(again.predict_proba(X), clf.predict_proba(X))

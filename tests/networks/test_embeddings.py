"""Periodic embeddings against their formula, and as a part of the default network."""

import numpy as np
import pytest
import torch

from skmixup.networks import MLP
from skmixup.networks.default import default_network_in
from skmixup.networks.embeddings import PeriodicEmbeddings


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
    with pytest.raises(
        ValueError, match="embedding must be 'auto', 'periodic' or None; got 'linear'"
    ):
        MLP(4, 3, embedding="linear")

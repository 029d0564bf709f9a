"""What of a dict of arrays is mixed, and at which layers."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from skorch.helper import DataFrameTransformer
from torch import nn

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.vicinal import CutMix, Gaussian, Mixup
from tests.estimators.dicts_of_arrays import CODES, FLOATS, LABELS, N, Table, Y, net


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
def test_every_value_is_mixed_alike(mix_per):
    clf = net(MixupClassifier, max_epochs=0, mix_per=mix_per, alpha=1.0).fit(FLOATS, Y)
    X = {key: torch.from_numpy(value) for key, value in FLOATS.items()}
    draw = Mixup(1.0, mix_per=mix_per).draw(X, np.random.default_rng(0))
    clf.module_.seen.clear()
    clf.forward_mixed(X, draw)
    _, *seen = clf.module_.seen[0]
    for mixed, x in zip(seen, X.values(), strict=True):
        lam = draw.lam.expand(N).view(-1, *[1] * (x.ndim - 1))
        torch.testing.assert_close(mixed, lam * x + (1 - lam) * x[draw.partner])


@pytest.mark.parametrize("estimator", [MixupClassifier, ManifoldMixupClassifier])
def test_codes_are_not_mixed_at_the_input(estimator):
    class Watched(Table):
        trained = False

        def forward(self, **X):
            Watched.trained |= self.training
            return super().forward(**X)

    params = {} if estimator is MixupClassifier else {"layers": [0, 1]}
    with pytest.raises(TypeError, match=r"'codes', has dtype torch.int64.*cannot be averaged"):
        net(estimator, Watched, **params).fit(CODES, Y)
    assert not Watched.trained


def test_codes_are_mixed_at_a_hidden_layer():
    clf = net(ManifoldMixupClassifier, Table, layers=["body"], alpha=1.0, max_epochs=30)
    clf.fit(CODES, LABELS)
    assert clf.score(CODES, LABELS) > 0.6
    X = {key: torch.from_numpy(value) for key, value in CODES.items()}
    draw = clf.get_vicinity().draw(X, np.random.default_rng(0), ("body",))
    m = clf.module_
    h = m.body(torch.cat([X["numbers"], m.embed(X["codes"]).flatten(1)], dim=1))
    expected = m.head(torch.relu(draw.apply(h)))
    torch.testing.assert_close(clf.forward_mixed(X, draw)[0], expected)


def test_auto_takes_the_layers_where_codes_and_numbers_have_met(mixed_at):
    net(ManifoldMixupClassifier, Table, alpha=1.0).fit(CODES, Y)
    assert mixed_at[-1] == ("body",)


def test_mixing_only_one_of_two_inputs_is_told():
    with pytest.warns(UserWarning, match="layer 'embed': not all that"):
        net(ManifoldMixupClassifier, Table, layers=["embed"], max_epochs=1).fit(CODES, Y)


def test_noise_is_added_to_numbers_and_codes_stay():
    X = {key: torch.from_numpy(value) for key, value in CODES.items()}
    draw = Gaussian(0.5).draw(X, np.random.default_rng(0))
    noisy = draw.apply_to_each(X)
    assert torch.equal(noisy["codes"], X["codes"])
    assert 0.4 < float((noisy["numbers"] - X["numbers"]).std()) < 0.6
    assert torch.equal(draw.apply_to_each(X)["numbers"], noisy["numbers"])
    net(VicinalClassifier, Table, vicinity=Gaussian(0.1), max_epochs=2).fit(CODES, Y)
    with pytest.raises(TypeError, match="cannot be averaged"):
        Gaussian(0.1).draw({"codes": X["codes"]}, np.random.default_rng(0))


def test_cutmix_mixes_codes_that_a_module_embeds():
    clf = net(VicinalClassifier, Table, vicinity=CutMix(0.5, mix_per="sample"), max_epochs=30)
    clf.fit(CODES, LABELS)
    assert clf.score(CODES, LABELS) > 0.6
    plain = net(VicinalClassifier, Table, max_epochs=30).fit(CODES, LABELS)
    assert not np.array_equal(clf.predict_proba(CODES), plain.predict_proba(CODES))


def test_cutmix_pastes_one_box_into_all_images_and_refuses_other_values():
    images = {k: torch.rand(6, c, 8, 8) for k, c in (("a", 1), ("b", 3))}
    draw = CutMix(1.0).draw(images, np.random.default_rng(3))
    pasted = draw.apply_to_each(images)
    inside = draw.inside.expand(6, 1, 8, 8)
    for key, x in images.items():
        expected = torch.where(inside.expand_as(x), x[draw.partner], x)
        assert torch.equal(pasted[key], expected)
    with pytest.raises(ValueError, match=r"CutMix needs images.*\(3, 4\), \(3, 2, 3\)"):
        net(vicinity=CutMix(1.0)).fit(FLOATS, Y)


def test_without_mixing_codes_are_no_matter():
    clf = net(MixupClassifier, Table, alpha=0, max_epochs=30).fit(CODES, LABELS)
    plain = net(module=Table, max_epochs=30).fit(CODES, LABELS)
    assert np.array_equal(clf.predict_proba(CODES), plain.predict_proba(CODES))


class Bert(nn.Module):
    """As transformers' models are built: blocks return tuples of one, and get the mask."""

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.output = nn.Linear(8, 8)

        def forward(self, h, mask):
            mixed, _ = self.attention(h, h, h, key_padding_mask=mask)
            return (h + torch.relu(self.output(h + mixed)),)

    def __init__(self, pool):
        super().__init__()
        self.embeddings = nn.Embedding(9, 8)
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleList([Bert.Layer() for _ in range(3)])
        self.classifier, self.pool = nn.Linear(8, 3), pool

    def forward(self, input_ids, attention_mask):
        h, mask = self.embeddings(input_ids), attention_mask == 0
        for layer in self.encoder.layer:
            (h,) = layer(h, mask)
        if self.pool == "first":
            return self.classifier(h[:, 0])
        weight = attention_mask.float().unsqueeze(2)
        return self.classifier((weight * h).sum(dim=1) / weight.sum(dim=1))


RNG = np.random.default_rng(1)
TOKENS = {
    "input_ids": RNG.integers(0, 9, size=(N, 5)),
    "attention_mask": (np.arange(5) < RNG.integers(2, 6, size=(N, 1))).astype(int),
}


def test_blocks_of_a_transformer_with_a_mask(mixed_at):
    layers = [f"encoder.layer.{i}" for i in range(3)]
    clf = net(ManifoldMixupClassifier, Bert, module__pool="first", max_epochs=2)
    clf.fit(TOKENS, Y)
    assert mixed_at[-1] == (layers[2],)  # after it the mask is of no use
    with pytest.warns(UserWarning, match=r"layers .*layer\.0', .*layer\.1': not all that"):
        clf.set_params(module__pool="mean").fit(TOKENS, Y)
    assert mixed_at[-1] == tuple(layers[:2])
    same_length = {**TOKENS, "attention_mask": np.ones((N, 5), dtype=int)}
    clf.fit(same_length, Y)
    assert mixed_at[-1] == tuple(layers[:2])


def test_columns_of_a_table_through_skorchs_transformer(mixed_at):
    frame = pd.DataFrame(FLOATS["left"], columns=list("abcd"))
    frame["color"] = pd.Categorical(np.array(list("xyz"))[Y])

    class Columns(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.body = nn.Embedding(3, 2), nn.Linear(6, 8)
            self.head = nn.Linear(8, 3)

        def forward(self, X, color):
            return self.head(torch.relu(self.body(torch.cat([X, self.embed(color)], dim=1))))

    clf = make_pipeline(DataFrameTransformer(), net(ManifoldMixupClassifier, Columns))
    assert cross_val_score(clf, frame, LABELS, cv=2, error_score="raise").min() > 0.6
    clf.fit(frame, LABELS)
    assert mixed_at[-1] == ("body",)
